"""Loss functions of logits, created once for the class counts of a training set.

A loss has one value per image. The learner averages the values over the *images* of the batch, and class weights have mean 1 over
the images of the training set. Otherwise, a remedy would also change the size of the training steps. Losses are computed in float32
for logits of any type.
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
class Criterion(Protocol):
    """The settings of a loss, from which `loss` creates the loss function for given class counts."""

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the function (logits, labels, progress) → loss of each image.

        The progress is the completed fraction of training.

        Args:
            counts: n_c of the training set.
            device: device of the logits; the constants of the loss are moved to it once, now.
        """


def uniform_weights(counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    """Return weight 1 for every class: plain training."""
    return np.ones(len(counts))


def inverse_frequency_weights(counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    """Return class weights w_c ∝ 1/n_c with mean 1 over classes (Σ w_c = K)."""
    return _with_class_mean_one(1 / require_every_class(counts))


def effective_number_weights(counts: Int64[np.ndarray, " class"], beta: float) -> Float64[np.ndarray, " class"]:
    """Return class weights by the effective number of images, w_c ∝ (1−β) / (1−β^n_c).

    As published, Σ w_c = K. β = 0 gives all classes the same weight; β → 1 gives inverse frequencies.

    Args:
        counts: n_c, at least 1.
        beta: overlap between the images of a class, in [0, 1).

    Raises:
        InputError: a class has no image.

    Reference: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.
    """
    return _with_class_mean_one((1 - beta) / (1 - beta ** require_every_class(counts)))


def with_image_mean_one(
    weights: Float64[np.ndarray, " class"], counts: Int64[np.ndarray, " class"]
) -> Float64[np.ndarray, " class"]:
    """Rescale class weights to mean 1 over the images of the training set: Σ n_c w_c = N."""
    return weights * (counts.sum() / (counts @ weights))


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy, optionally with class weights: −w_y log p_y.

    The mean divides by the number of images. Torch's own weighted mean divides by the sum of their weights instead.

    Args:
        weigh: function counts → class weights on any scale; the weights are rescaled to mean 1 over images.
    """

    weigh: WeightRule = uniform_weights

    def class_weights(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"] | None:
        """Return class weights with Σ n_c w_c = N, or None if all classes have the same weight by definition."""
        return None if self.weigh is uniform_weights else with_image_mean_one(self.weigh(counts), counts)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the loss function, see `Criterion.loss`."""
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
    """Focal loss in its softmax form, −(1−p_y)^γ log p_y: images that are already predicted well count less.

    γ = 0 is cross-entropy. p_y is the plain softmax probability, never derived from a weighted loss. For two classes, this is the
    sigmoid form of the published loss, applied to the difference of the logits, without the weight α.

    Args:
        gamma: γ, at least 0.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
    """

    gamma: float

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:  # noqa: ARG002
        """Return the focal loss, which does not depend on the counts, see `Criterion.loss`."""

        def focal(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            negative_log = functional.cross_entropy(logits.float(), labels, reduction="none")
            # At p_y = 1, a power below 1 has infinite slope; clamping to the smallest float keeps its product with 0 at 0.
            wrong = torch.expm1(-negative_log).neg().clamp_min(torch.finfo(torch.float32).tiny)
            return wrong**self.gamma * negative_log

        return focal


@dataclass(frozen=True)
class LogitAdjusted:
    """Cross-entropy of z + τ log π, so that the network learns logits z for balanced classes.

    τ = 1 is balanced softmax, which adds log n_c. A constant added to all logits does not change the loss, so log(n_c / max n) is
    used. With uniform counts, or with τ = 0, the loss is bit for bit the same as cross-entropy.

    Args:
        tau: strength of the adjustment, at least 0.

    Reference: Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021; at τ = 1 Ren et al., Balanced Meta-Softmax for
    Long-Tailed Visual Recognition, NeurIPS 2020.
    """

    tau: float

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the loss function, see `Criterion.loss`."""
        log_prior = _tensor(self.tau * relative_log_prior(counts), device)

        def adjusted(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            return functional.cross_entropy(logits.float() + log_prior, labels, reduction="none")

        return adjusted


@dataclass(frozen=True)
class Margin:
    """LDAM loss: cross-entropy of s·(cos θ_y − Δ_y) against s·cos θ_c, with a larger margin Δ for rarer classes.

    The logits s·cos θ come from a cosine head. The margins are Δ_c = C · n_c^(−1/4) / max_j n_j^(−1/4): the rarest class gets C,
    and with uniform counts every class gets C.

    Args:
        largest: C, the margin of the rarest class, in units of the cosine.
        scale: s, the scale of the cosine head.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, eq. 13.
    """

    largest: float
    scale: float

    def margins(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
        """Return the margin Δ_c of every class, in [0, C]."""
        relative = (require_every_class(counts) / counts.min()) ** -0.25
        return self.largest * relative

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the loss function, see `Criterion.loss`."""
        scaled_margins = torch.diag(_tensor(self.scale * self.margins(counts), device))

        def margin(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
        ) -> Float[Tensor, " batch"]:
            return functional.cross_entropy(logits.float() - scaled_margins.index_select(0, labels), labels, reduction="none")

        return margin


@dataclass(frozen=True)
class Smoothed:
    """Label-aware smoothing: −(1 − ε_y) log p_y − ε_y/(K−1) Σ_{c≠y} log p_c.

    The smoothing is stronger for frequent classes, which makes their predictions less confident:
    ε_c = tail + (head − tail) · sin(π/2 · (n_c − min n) / (max n − min n)). With uniform counts, every class gets ε = head.
    head = tail = 0 is cross-entropy.

    Args:
        head: ε of the largest class, in [0, 1).
        tail: ε of the smallest class, in [0, 1).

    Reference: Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021, eq. 5, the concave form.
    """

    head: float
    tail: float

    def smoothing(self, counts: Int64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
        """Return the smoothing ε_c of every class, between tail and head."""
        above = counts - require_every_class(counts).min()
        relative = above / above.max() if above.any() else np.ones(len(counts))
        return self.tail + (self.head - self.tail) * np.sin(np.pi / 2 * relative)

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the loss function, see `Criterion.loss`."""
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
    """One loss in the first part of training and another one in the rest.

    With class-balanced weights in the second part, this is deferred re-weighting, DRW (Cao et al. 2019). Features are learned from
    the images in their original frequencies, and only the small steps at the end are balanced.

    Args:
        first: loss at progress below `after`.
        then: loss from progress `after` on.
        after: fraction of training at which the loss changes, in [0, 1].
    """

    first: Criterion
    then: Criterion
    after: float = 0.8

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the loss function, see `Criterion.loss`."""
        early, late = (criterion.loss(counts, device=device) for criterion in (self.first, self.then))

        def deferred(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], progress: float
        ) -> Float[Tensor, " batch"]:
            return (early if progress < self.after else late)(logits, labels, progress)

        return deferred


@dataclass(frozen=True)
class Weighted:
    """A loss multiplied by class weights w_y, which have mean 1 over images.

    Args:
        criterion: the loss to be weighted.
        weigh: function counts → class weights on any scale.
    """

    criterion: Criterion
    weigh: WeightRule

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """Return the loss function, see `Criterion.loss`."""
        inner = self.criterion.loss(counts, device=device)
        weights = _tensor(with_image_mean_one(self.weigh(counts), counts), device)

        def weighted(
            logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], progress: float
        ) -> Float[Tensor, " batch"]:
            return weights.index_select(0, labels) * inner(logits, labels, progress)

        return weighted


def plain_cross_entropy(
    logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
) -> Float[Tensor, " batch"]:
    """Return the cross-entropy −log p_y of each image."""
    return functional.cross_entropy(logits.float(), labels, reduction="none")


def _with_class_mean_one(weights: Float64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    return weights * (len(weights) / weights.sum())


def _tensor(values: Float64[np.ndarray, "*shape"], device: Device) -> Float[Tensor, "*shape"]:
    return torch.as_tensor(values, dtype=torch.float32, device=device)
