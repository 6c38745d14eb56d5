"""The definition of a remedy, and the registry of all remedies."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from imagestudy.core.errors import InputError, place
from imagestudy.core.registry import Registry
from imagestudy.core.specs import Choice
from imagestudy.remedies import sampling
from imagestudy.remedies.decoupling import HeadRemedy
from imagestudy.remedies.losses import Criterion, CrossEntropy, Device, Loss
from imagestudy.remedies.mixing import Mixing
from imagestudy.remedies.posthoc import Adjustment
from imagestudy.remedies.sampling import ClassSampler, Epochs, Sampling, progressive_shares

remedies: Registry = Registry("remedy", home="imagestudy.remedies", required=dict.fromkeys(("acts", "title", "source")))

COSINE_SCALE = 30.0
"""The scale s of the cosine head and of its margin loss (Cao et al. 2019)."""


class Trial(NamedTuple):
    """One hyperparameter setting of plain training.

    Args:
        learning_rate_factor: factor that multiplies the recipe's learning rate.
        weight_decay: weight decay of AdamW (decoupled, per unit of learning rate); None uses the recipe's value.
    """

    learning_rate_factor: float
    weight_decay: float | None


TRIALS = tuple(Trial(factor, decay) for decay in (None, 0.5) for factor in (1.0, 1 / 3, 3.0, 1 / 10))
"""The settings that tuning compares. The recipe itself comes first, so even a short search can keep the recipe unchanged."""


@dataclass(frozen=True)
class Remedy:
    """A remedy for class imbalance, as changes to plain training; the default of every argument is plain training.

    Args:
        sampling: which images training uses, how often and in which order.
        mixing: how training images and their labels are mixed; None mixes nothing.
        criterion: the loss function.
        head: what is done with the head of the network.
        posthoc: how finished predictions are corrected; None leaves them.
        members: number of plain training runs in an ensemble; 1 is no ensemble.
        trials: training settings that are compared on validation images; empty uses the recipe unchanged.
    """

    sampling: Sampling = field(default_factory=Epochs)
    mixing: Mixing | None = None
    criterion: Criterion = field(default_factory=CrossEntropy)
    head: HeadRemedy = field(default_factory=HeadRemedy)
    posthoc: Adjustment | None = None
    members: int = 1
    trials: tuple[Trial, ...] = ()

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """Return the images of every training step, see `sampling.Sampling.plan`."""
        return self.sampling.plan(labels, images_seen=images_seen, batch=batch, rng=rng)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device = "cpu") -> Loss:
        """Return the function (logits, labels, progress) → loss of each image, see `losses.Criterion.loss`."""
        return self.criterion.loss(counts, device=device)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """Return the training images of a classical model, see `sampling.Sampling.resample`."""
        return self.sampling.resample(labels, rng=rng)

    @property
    def needs(self) -> str:
        """The network-only feature this remedy needs; empty if classical models support it."""
        by_progress = isinstance(self.sampling, sampling.Deferred) or self.sampling == ClassSampler(progressive_shares)
        network_only = {
            "a loss other than cross-entropy": not isinstance(self.criterion, CrossEntropy),
            "images mixed batch by batch": self.mixing is not None,
            "a head on learned features": self.head != HeadRemedy(),
            "training in steps": by_progress,
            "several runs that differ in their seeds": self.members > 1,
        }
        return next((feature for feature, is_used in network_only.items() if is_used), "")

    def sample_weights(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"] | None:
        """Return the weight of an image of each class for a classical model, with Σ n_c w_c = N.

        The result is None if this remedy uses no class weights.

        Raises:
            InputError: the loss cannot be expressed as class weights, or a class has no image.
        """
        if not isinstance(self.criterion, CrossEntropy):
            raise InputError(f"the loss {type(self.criterion).__name__} cannot be expressed as class weights")
        return self.criterion.class_weights(counts)


def remedy(choice: Choice, *, where: str = "") -> Remedy:
    """Return the remedy with this name and these options.

    Raises:
        InputError: the name is unknown, or an option is not allowed.
    """
    return remedies.entry(choice.name, where=where).function(**remedies.options(choice, where=where))


def classical_remedies() -> tuple[str, ...]:
    """Return the names of the remedies that classical models support."""
    return tuple(name for name in remedies.names() if not remedy(Choice(name=name)).needs)


def require_classical(choice: Choice, *, where: str = "") -> Remedy:
    """Return the remedy with this name and these options for a classical model.

    Raises:
        InputError: the name is unknown, an option is not allowed, or the remedy needs a network-only feature.
    """
    found = remedy(choice, where=where)
    if found.needs:
        allowed = ", ".join(classical_remedies())
        raise InputError(
            f"remedy {choice.name!r}{place(where)} needs {found.needs}, which classical models do not support; allowed: {allowed}"
        )
    return found
