"""What the learner pays: loss functions of logits, made once for the counts of a training set.

Every loss is a mean over the *images* of the batch, and weights have mean 1 over the images of the training set; otherwise a remedy
would also change the size of the steps. Losses are computed in float32, whatever the logits are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

from imagestudy.remedies.counts import relative_log_prior, require_every_class

Loss = Callable[[Float[Tensor, "batch class"], Int64[Tensor, " batch"], float], Float[Tensor, ""]]
WeightRule = Callable[[Int64[np.ndarray, " class"]], Float64[np.ndarray, " class"]]
Device = torch.device | str


@runtime_checkable
class Cost(Protocol):
    """A loss that is still to be told the class counts."""

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """The function (logits, labels, progress) → mean loss of a batch, progress being the share of the training that is done.

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
    """−w_y log p_y; the mean divides by the number of images, where torch's own weighted mean divides by their weight.

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

        def weighted(logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float) -> Float[Tensor, ""]:
            return functional.cross_entropy(logits.float(), labels, weight=on_device, reduction="sum") / len(labels)

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

        def focal(logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float) -> Float[Tensor, ""]:
            surprise = functional.cross_entropy(logits.float(), labels, reduction="none")
            # At p_y = 1 the slope of a power below 1 is infinite; the smallest float keeps its product with 0 at 0.
            wrong = torch.expm1(-surprise).neg().clamp_min(torch.finfo(torch.float32).tiny)
            return (wrong**self.gamma * surprise).mean()

        return focal


@dataclass(frozen=True)
class BalancedSoftmax:
    """Cross-entropy of z + log n_c: the network learns logits of a class-balanced world.

    A constant added to all logits changes nothing, so log(n_c / max n) is added, and uniform counts are cross-entropy bit for bit.

    Reference: Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020; the logit-adjusted loss of
    Menon et al., ICLR 2021, at τ = 1.
    """

    def loss(self, counts: Int64[np.ndarray, " class"], *, device: Device) -> Loss:
        """See `Cost.loss`."""
        log_prior = _tensor(relative_log_prior(counts), device)

        def balanced(logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float) -> Float[Tensor, ""]:
            return functional.cross_entropy(logits.float() + log_prior, labels)

        return balanced


def plain_cross_entropy(
    logits: Float[Tensor, "batch class"], labels: Int64[Tensor, " batch"], _progress: float
) -> Float[Tensor, ""]:
    """−log p_y, mean over the batch."""
    return functional.cross_entropy(logits.float(), labels)


def _with_class_mean_one(weights: Float64[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    return weights * (len(weights) / weights.sum())


def _tensor(values: Float64[np.ndarray, " class"], device: Device) -> Float[Tensor, " class"]:
    return torch.as_tensor(values, dtype=torch.float32, device=device)
