"""What a remedy is, and the registry of all of them."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from imagestudy.core.errors import InputError, place
from imagestudy.core.registry import Registry
from imagestudy.core.specs import Choice
from imagestudy.remedies import sampling
from imagestudy.remedies.decoupling import Ending
from imagestudy.remedies.losses import Cost, CrossEntropy, Device, Loss
from imagestudy.remedies.mixing import Mixing
from imagestudy.remedies.posthoc import Adjustment
from imagestudy.remedies.sampling import ClassSampler, Epochs, Sampling, progressive_shares

remedies: Registry = Registry("remedy")

COSINE_SCALE = 30.0
"""s of the cosine head and of the margin loss on it (Cao et al. 2019)."""


class Trial(NamedTuple):
    """One setting of the plain training.

    Args:
        learning_rate_factor: multiplies the recipe's learning rate.
        weight_decay: of AdamW (decoupled, per unit of learning rate); None is the recipe's own.
    """

    learning_rate_factor: float
    weight_decay: float | None


TRIALS = tuple(Trial(factor, decay) for decay in (None, 0.5) for factor in (1.0, 1 / 3, 3.0, 1 / 10))
"""The recipe itself comes first: tuning can always choose to change nothing, and a shorter search keeps that choice."""


@dataclass(frozen=True)
class Remedy:
    """What is done about imbalance; everything not named is plain training.

    Args:
        sampling: what the learner sees.
        mixing: which images are mixed before it sees them; None leaves them.
        cost: what it pays.
        head: "linear", or "cosine" with the scale `COSINE_SCALE`.
        ending: what is done to the head after the features have been learned.
        posthoc: how what it says is corrected afterwards; None leaves it.
        members: how many runs of plain training speak together.
        trials: settings of the training recipe among which validation chooses; empty trains the recipe as it stands.
    """

    sampling: Sampling = field(default_factory=Epochs)
    mixing: Mixing | None = None
    cost: Cost = field(default_factory=CrossEntropy)
    head: Literal["linear", "cosine"] = "linear"
    ending: Ending | None = None
    posthoc: Adjustment | None = None
    members: int = 1
    trials: tuple[Trial, ...] = ()

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """The schedule of a whole training, see `sampling.Sampling.plan`."""
        return self.sampling.plan(labels, images_seen=images_seen, batch=batch, rng=rng)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device = "cpu") -> Loss:
        """The function (logits, labels, progress) → loss of each image, see `losses.Cost.loss`."""
        return self.cost.loss(counts, device=device)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """The images on which a classical learner is fitted, see `sampling.Sampling.resample`."""
        return self.sampling.resample(labels, rng=rng)

    @property
    def needs(self) -> str:
        """What only a network has and this remedy works on; empty if a learner that is fitted once can follow it too."""
        changing = isinstance(self.sampling, sampling.Deferred) or self.sampling == ClassSampler(progressive_shares)
        wanted = {
            "a loss": not isinstance(self.cost, CrossEntropy),
            "images mixed batch by batch": self.mixing is not None,
            "a head on learned features": self.ending is not None or self.head != "linear",
            "a training in steps": changing,
            "trainings that differ by their seeds": self.members > 1,
        }
        return next((what for what, is_wanted in wanted.items() if is_wanted), "")

    def sample_weights(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"] | None:
        """What an image of each class weighs for a classical learner, Σ n_c w_c = N; None if this remedy does not weigh.

        Raises:
            InputError: the loss cannot be said in class weights, or a class has no image.
        """
        if not isinstance(self.cost, CrossEntropy):
            raise InputError(f"the loss {type(self.cost).__name__} cannot be said in class weights")
        return self.cost.class_weights(counts)


def remedy(choice: Choice, *, where: str = "") -> Remedy:
    """The remedy of a name and its options; an unknown name or a bad option raises `InputError`."""
    return remedies.entry(choice.name, where=where).function(**remedies.options(choice, where=where))


def classical_remedies() -> tuple[str, ...]:
    """The names that a classical model can follow."""
    return tuple(name for name in remedies.names() if not remedy(Choice(name=name)).needs)


def require_classical(choice: Choice, *, where: str = "") -> Remedy:
    """The remedy of a name, for a classical model; one that needs what only a network has raises `InputError`."""
    found = remedy(choice, where=where)
    if found.needs:
        allowed = ", ".join(classical_remedies())
        raise InputError(
            f"remedy {choice.name!r} needs {found.needs}, which a classical model does not have{place(where)}; allowed: {allowed}"
        )
    return found
