"""What the learner pays: loss functions of logits, made once for the counts of a training set.

A loss has one value an image; the learner takes their mean over the *images* of the batch, and weights have mean 1 over the images
of the training set; otherwise a remedy would also change the size of the steps. Losses are computed in float32, whatever the logits
are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

from imagestudy.remedies.priors import relative_log_prior, require_every_class

Loss = Callable[[Float[Tensor, "batch class"], Int64[Tensor, " batch"], float], Float[Tensor, " batch"]]
WeightRule = Callable[[Int64[np.ndarray, " class"]], Float64[np.ndarray, " class"]]
Device = torch.device | str


@runtime_checkable
class Cost(Protocol):
    """A loss that is still to be told the class counts."""

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """The function (logits, labels, progress) → loss of each image, progress being the share of the training that is done.

        Args:
            counts: n_c of the training set.
            device: of the logits; what the loss needs there is put there now, once.
        """


def uniform_weights(counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    """Weight 1 for every class: plain training."""
    return np.ones(len(counts))


def inverse_frequency_weights(counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    """w_c ∝ 1/n_c, with mean 1 over classes (Σ w_c = K)."""
    return _with_class_mean_one(1 / require_every_class(counts))


def effective_number_weights(counts: Int64[np.ndarray, " class"], beta: float) -> Float64[np.ndarray, " class"]:
    """Weights by the effective number of images, w_c ∝ (1−β) / (1−β^n_c), as published: Σ w_c = K.

    β = 0 weighs all classes alike; β → 1 gives inverse frequencies.

    Args:
        counts: n_c, at least 1.
        beta: overlap of images of one class, in [0, 1).

    Raises:
        InputError: a class has no image.

    Reference: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.
    """
    return _with_class_mean_one((1 - beta) / (1 - beta ** require_every_class(counts)))


def with_image_mean_one(
    weights: Float64[np.ndarray, " class"], counts: Int64[np.ndarray, " class"]
) -> Float64[np.ndarray, " class"]:
    """The same weights with mean 1 over the images of the training set: Σ n_c w_c = N."""
    return weights * (counts.sum() / (counts @ weights))


@dataclass(frozen=True)
class CrossEntropy:
    """−w_y log p_y; its mean divides by the number of images, where torch's own weighted mean divides by their weight.

    Args:
        weigh: counts → class weights on any scale; they are rescaled to mean 1 over images.
    """

    weigh: WeightRule = uniform_weights

    def class_weights(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"] | None:
        """Class weights with Σ n_c w_c = N; None where every class weighs the same by definition."""
        return None if self.weigh is uniform_weights else with_image_mean_one(self.weigh(counts), counts)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        weights = self.class_weights(counts)
        if weights is None:
            return plain_cross_entropy
        on_device = _tensor(weights, device)

        def weighted(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            return functional.cross_entropy(logits.float(), labels, weight=on_device, reduction="none")

        return weighted


@dataclass(frozen=True)
class Focal:
    """−(1−p_y)^γ log p_y over the softmax: what is already right counts less. γ = 0 is cross-entropy.

    p_y is the plain probability, never one derived from a weighted loss. Of two classes this is the sigmoid form, without its α,
    of the difference of the logits.

    Args:
        gamma: γ, at least 0.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
    """

    gamma: float

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:  # noqa: ARG002
        """See `Cost.loss`; the counts do not matter."""

        def focal(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            surprise = functional.cross_entropy(logits.float(), labels, reduction="none")
            # At p_y = 1 the slope of a power below 1 is infinite; the smallest float keeps its product with 0 at 0.
            wrong = torch.expm1(-surprise).neg().clamp_min(torch.finfo(torch.float32).tiny)
            return wrong**self.gamma * surprise

        return focal


@dataclass(frozen=True)
class LogitAdjusted:
    """Cross-entropy of z + τ log π: the network learns logits of a class-balanced world.

    τ = 1 is balanced softmax, which adds log n_c: a constant added to all logits changes nothing. So log(n_c / max n) is added, and
    uniform counts, as τ = 0, are cross-entropy bit for bit.

    Args:
        tau: strength, at least 0.

    Reference: Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021; at τ = 1 Ren et al., Balanced Meta-Softmax for
    Long-Tailed Visual Recognition, NeurIPS 2020.
    """

    tau: float

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        log_prior = _tensor(self.tau * relative_log_prior(counts), device)

        def adjusted(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            return functional.cross_entropy(logits.float() + log_prior, labels, reduction="none")

        return adjusted


@dataclass(frozen=True)
class Margin:
    """LDAM: cross-entropy of s·(cos θ_y − Δ_y) against s·cos θ_c, so that rare classes are kept away from by a wider margin.

    The logits are those of a cosine head, s·cos θ. Δ_c = C · n_c^(−1/4) / max_j n_j^(−1/4): the rarest class gets C, and uniform
    counts give C to all.

    Args:
        largest: C, the margin of the rarest class, in units of the cosine.
        scale: s, that of the head.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, eq. 13.
    """

    largest: float
    scale: float

    def margins(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
        """Δ_c, in [0, C]."""
        relative = (require_every_class(counts) / counts.min()) ** -0.25
        return self.largest * relative

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        taken_off = torch.diag(_tensor(self.scale * self.margins(counts), device))

        def margin(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            return functional.cross_entropy(logits.float() - taken_off.index_select(0, labels), labels, reduction="none")

        return margin


@dataclass(frozen=True)
class Smoothed:
    """Label-aware smoothing: −(1 − ε_y) log p_y − ε_y/(K−1) Σ_{c≠y} log p_c; frequent classes are taught to be less sure.

    ε_c = tail + (head − tail) · sin(π/2 · (n_c − min n) / (max n − min n)); where counts are uniform, every class is a head class.
    head = tail = 0 is cross-entropy.

    Args:
        head: ε of the largest class, in [0, 1).
        tail: ε of the smallest.

    Reference: Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021, eq. 5, the concave form.
    """

    head: float
    tail: float

    def smoothing(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
        """ε_c, between tail and head."""
        above = counts - require_every_class(counts).min()
        place = above / above.max() if above.any() else np.ones(len(counts))
        return self.tail + (self.head - self.tail) * np.sin(np.pi / 2 * place)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        epsilon = self.smoothing(counts)[:, None]
        classes = len(counts)
        soft = _tensor(np.where(np.eye(classes) == 1, 1 - epsilon, epsilon / (classes - 1)), device)

        def smoothed(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            return functional.cross_entropy(logits.float(), soft.index_select(0, labels), reduction="none")

        return smoothed


@dataclass(frozen=True)
class Deferred:
    """One loss until a share of the training is done, another from then on.

    With class-balanced weights afterwards this is deferred re-weighting, DRW (Cao et al. 2019): features are learned from the
    images as they are, and only the small steps at the end are balanced.

    Args:
        first: paid at progress below `after`.
        then: paid from `after` on.
        after: share of the training, in [0, 1].
    """

    first: Cost
    then: Cost
    after: float = 0.8

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        early, late = (cost.loss(counts, device=device) for cost in (self.first, self.then))

        def deferred(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], progress: float
        ) -> Float[Tensor, " batch"]:
            return (early if progress < self.after else late)(logits, labels, progress)

        return deferred


@dataclass(frozen=True)
class Weighted:
    """Another loss, weighted by class: w_y times it. Weights have mean 1 over images.

    Args:
        cost: what is weighted.
        weigh: counts → class weights on any scale.
    """

    cost: Cost
    weigh: WeightRule

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        inner = self.cost.loss(counts, device=device)
        weights = _tensor(with_image_mean_one(self.weigh(counts), counts), device)

        def weighted(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], progress: float
        ) -> Float[Tensor, " batch"]:
            return weights.index_select(0, labels) * inner(logits, labels, progress)

        return weighted


def plain_cross_entropy(
    logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
) -> Float[Tensor, " batch"]:
    """−log p_y of each image."""
    return functional.cross_entropy(logits.float(), labels, reduction="none")


def _with_class_mean_one(weights: Float64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    return weights * (len(weights) / weights.sum())


def _tensor(values: Float64[np.ndarray, "*shape"], device: Device) -> Float[Tensor, "*shape"]:
    return torch.as_tensor(values, dtype=torch.float32, device=device)
