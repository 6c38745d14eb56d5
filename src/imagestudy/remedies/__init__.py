"""Remedies for class imbalance: what the learner sees, pays and says, each under a registered name.

Facts of an entry: `acts` is where it acts ("nowhere", "data", "loss", "posthoc", "tuning"), `title` its name in tables, `source`
who proposed it, and `derived_from` the remedy whose recorded runs it is computed from, for those that train nothing of their own.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import Field

from imagestudy.errors import InputError, place
from imagestudy.registry import Registry
from imagestudy.remedies.losses import (
    BalancedSoftmax,
    Cost,
    CrossEntropy,
    Device,
    Focal,
    Loss,
    effective_number_weights,
    inverse_frequency_weights,
)
from imagestudy.remedies.posthoc import Adjustment
from imagestudy.remedies.sampling import ClassSampler, Epochs, Sampling, over_sampled, power_shares, under_sampled
from imagestudy.remedies.tuning import TRIALS, Trial
from imagestudy.specs import Choice

remedies: Registry = Registry("remedy")


@dataclass(frozen=True)
class Remedy:
    """What is done about imbalance; everything not named is plain training.

    Args:
        sampling: what the learner sees.
        cost: what it pays.
        posthoc: how what it says is corrected afterwards; None leaves it.
        trials: settings of the training recipe among which validation chooses; empty trains the recipe as it stands.
    """

    sampling: Sampling = field(default_factory=Epochs)
    cost: Cost = field(default_factory=CrossEntropy)
    posthoc: Adjustment | None = None
    trials: tuple[Trial, ...] = ()

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """The schedule of a whole training, see `sampling.Sampling.plan`."""
        return self.sampling.plan(labels, images_seen=images_seen, batch=batch, rng=rng)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device = "cpu") -> Loss:
        """The function (logits, labels, progress) → mean loss of a batch, see `losses.Cost.loss`."""
        return self.cost.loss(counts, device=device)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """The images on which a classical learner is fitted, see `sampling.Sampling.resample`."""
        return self.sampling.resample(labels, rng=rng)

    @property
    def classical(self) -> bool:
        """Whether a learner without a loss of ours can follow it: by resampled images, class weights, or afterwards."""
        return isinstance(self.cost, CrossEntropy)

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
    return tuple(name for name in remedies.names() if remedy(Choice(name=name)).classical)


def require_classical(choice: Choice, *, where: str = "") -> Remedy:
    """The remedy of a name, for a classical model; one that needs a loss of its own raises `InputError` with the allowed ones."""
    found = remedy(choice, where=where)
    if not found.classical:
        allowed = ", ".join(classical_remedies())
        raise InputError(
            f"remedy {choice.name!r} changes the loss, which a classical model does not let it do{place(where)}; allowed: {allowed}"
        )
    return found


@remedies.register("none", acts="nowhere", title="none", source="")
def none() -> Remedy:
    """Plain training: shuffled epochs and cross-entropy."""
    return Remedy()


@remedies.register("tuned", version=2, acts="tuning", title="none, tuned", source="")
def tuned(*, trials: Annotated[int, Field(ge=1, le=len(TRIALS))] = len(TRIALS)) -> Remedy:
    """Plain training whose learning rate and weight decay are chosen on validation, among the first so many trials."""
    return Remedy(trials=TRIALS[:trials])


@remedies.register("under_sampling", acts="data", title="under-sampling", source="Buda et al. 2018")
def under_sampling() -> Remedy:
    """Every class cut to the smallest, once, before training."""
    return Remedy(sampling=Epochs(under_sampled))


@remedies.register("over_sampling", acts="data", title="over-sampling", source="Buda et al. 2018")
def over_sampling() -> Remedy:
    """Every class repeated up to the largest, in every epoch."""
    return Remedy(sampling=Epochs(over_sampled, redrawn=True))


@remedies.register("square_root_sampler", acts="data", title="square-root sampler", source="Kang et al. 2020")
def square_root_sampler() -> Remedy:
    """Classes drawn in proportion to the square root of their counts."""
    return Remedy(sampling=ClassSampler(power_shares(0.5)))


@remedies.register("balanced_sampler", acts="data", title="balanced sampler", source="Kang et al. 2020")
def balanced_sampler() -> Remedy:
    """Classes drawn with equal probability."""
    return Remedy(sampling=ClassSampler(power_shares(0.0)))


@remedies.register("class_weights", acts="loss", title="class weights", source="King & Zeng 2001")
def class_weights() -> Remedy:
    """Cross-entropy weighted by inverse class frequency."""
    return Remedy(cost=CrossEntropy(inverse_frequency_weights))


@remedies.register("class_balanced", acts="loss", title="class-balanced weights", source="Cui et al. 2019")
def class_balanced(*, beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999) -> Remedy:
    """Cross-entropy weighted by the inverse effective number of images."""
    return Remedy(cost=CrossEntropy(partial(effective_number_weights, beta=beta)))


@remedies.register("focal", acts="loss", title="focal loss", source="Lin et al. 2017")
def focal(*, gamma: Annotated[float, Field(ge=0, le=10)] = 2.0) -> Remedy:
    """Focal loss in its softmax form, without weights."""
    return Remedy(cost=Focal(gamma))


@remedies.register("balanced_softmax", acts="loss", title="balanced softmax", source="Ren et al. 2020")
def balanced_softmax() -> Remedy:
    """Cross-entropy of logits that are raised by the log of the class counts."""
    return Remedy(cost=BalancedSoftmax())


@remedies.register(
    "logit_adjustment", acts="posthoc", derived_from="none", title="logit adjustment, τ = 1", source="Menon et al. 2021"
)
def logit_adjustment(*, tau: Annotated[float, Field(ge=0, le=5)] = 1.0) -> Remedy:
    """The log prior, τ times, taken off the finished predictions of plain training."""
    return Remedy(posthoc=Adjustment(tau))


@remedies.register(
    "logit_adjustment_tuned",
    version=2,
    acts="posthoc",
    derived_from="none",
    title="logit adjustment, τ*",
    source="Menon et al. 2021",
)
def logit_adjustment_tuned() -> Remedy:
    """The same with the τ that gives the best balanced accuracy on validation."""
    return Remedy(posthoc=Adjustment(tau=None))
