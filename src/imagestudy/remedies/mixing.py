"""Mixing: each training image is combined with a second image, its partner, and so are their labels.

All random choices are drawn before training, with one row per step: the partners, the share of each image, and the share of each
label.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from imagestudy.remedies.sampling import ClassSampler, power_shares


@dataclass(frozen=True)
class Mixture:
    """The mixing schedule of a whole run.

    Args:
        partners: index of the partner that is mixed into each image of the plan.
        kept: λ of every step, the share of an image's own pixels, in [0, 1].
        shares: the share of an image's own label, in [0, 1].
        boxes: first and last row and first and last column (last ones exclusive) of the box that comes from the partner; None
            blends whole images.
    """

    partners: Int64[np.ndarray, "step batch"]
    kept: Float[np.ndarray, " step"]
    shares: Float[np.ndarray, "step batch"]
    boxes: Int64[np.ndarray, "step 4"] | None = None

    def mix(
        self,
        own: Float[Tensor, "batch channel height width"],
        other: Float[Tensor, "batch channel height width"],
        step: int,
    ) -> Float[Tensor, "batch channel height width"]:
        """Return the mixed images of a step: λ·own + (1 − λ)·other, or own with the box pasted in from other."""
        if self.boxes is None:
            return torch.lerp(other, own, float(self.kept[step]))
        top, bottom, left, right = (int(edge) for edge in self.boxes[step])
        mixed = own.clone()
        mixed[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        return mixed


@runtime_checkable
class Mixing(Protocol):
    """A rule that mixes images and labels."""

    def schedule(
        self,
        plan: Int64[np.ndarray, "step batch"],
        labels: Int64[np.ndarray, " n"],
        *,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> Mixture:
        """Return the mixing schedule for a plan of training.

        Args:
            plan: indices of the images of each step.
            labels: labels of all training images.
            size: rows and columns of an image.
            rng: generator for all random choices of the schedule.
        """


@dataclass(frozen=True)
class Blend:
    """Mixup: λ·x + (1 − λ)·x' and λ·y + (1 − λ)·y', with one λ ~ Beta(α, α) per step and x' from the same batch.

    Remix (with κ and τ) mixes the pixels like mixup. If the class sizes differ enough, it gives the whole label to the rarer class:
    the image's own label if n_y ≤ n_y'/κ and 1 − λ < τ, and the partner's label if n_y ≥ κ·n_y' and λ < τ. τ = 0 is mixup.

    Args:
        alpha: α, above 0; α → 0 mixes nothing.
        ratio: κ, at least 1.
        threshold: τ, in [0, 1].

    Reference: Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018; Chou et al., Remix: Rebalanced Mixup, ECCV
    workshops 2020, eq. 6.
    """

    alpha: float
    ratio: float = 1.0
    threshold: float = 0.0

    def schedule(
        self,
        plan: Int64[np.ndarray, "step batch"],
        labels: Int64[np.ndarray, " n"],
        *,
        size: tuple[int, int],  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Mixture:
        """Return the mixing schedule, see `Mixing.schedule`."""
        kept = rng.beta(self.alpha, self.alpha, size=len(plan))
        partners = rng.permuted(plan, axis=1)
        counts = np.bincount(labels)
        ours, theirs = counts[labels[plan]], counts[labels[partners]]
        share = np.broadcast_to(kept[:, None], plan.shape)
        to_own = (ours * self.ratio <= theirs) & (1 - share < self.threshold)
        to_partner = (ours >= self.ratio * theirs) & (share < self.threshold)
        return Mixture(partners, kept, np.select([to_own, to_partner], [1.0, 0.0], share))


@dataclass(frozen=True)
class TailPatch:
    """CMO, a CutMix for rare classes: a box from an image of the balanced sampler is pasted into each training image.

    The box is pasted in a fraction p of the steps. There, 1 − λ is uniform in [0, 1). The box covers √(1 − λ) of each side around a
    uniformly drawn center and is cut at the border. The labels are weighted by area.

    Args:
        probability: p, in [0, 1].

    Reference: Park et al., The Majority Can Help the Minority: Context-rich Minority Oversampling, CVPR 2022, algorithm 1; the
    box follows Yun et al., CutMix, ICCV 2019.
    """

    probability: float

    def schedule(
        self,
        plan: Int64[np.ndarray, "step batch"],
        labels: Int64[np.ndarray, " n"],
        *,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> Mixture:
        """Return the mixing schedule, see `Mixing.schedule`."""
        steps, batch = plan.shape
        partners = ClassSampler(power_shares(0.0)).plan(labels, images_seen=plan.size, batch=batch, rng=rng)
        boxes = _draw_boxes(rng.random(size=(steps,)), size, rng)
        boxes[rng.random(steps) >= self.probability] = 0
        area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
        kept = 1 - area / (size[0] * size[1])
        return Mixture(partners, kept, np.broadcast_to(kept[:, None], plan.shape), boxes)


def _draw_boxes(areas: Float[np.ndarray, " step"], size: tuple[int, int], rng: np.random.Generator) -> Int64[np.ndarray, "step 4"]:
    """Return the first and last row and column of random boxes, cut at the border of the image.

    Before it is cut, a box covers the given share of the image's area.
    """
    edges = []
    for length in size:
        half = np.floor(length * np.sqrt(areas)).astype(np.int64) // 2
        center = rng.integers(0, length, size=len(areas))
        edges += [np.clip(center - half, 0, length), np.clip(center + half, 0, length)]
    return np.stack(edges, axis=1)
