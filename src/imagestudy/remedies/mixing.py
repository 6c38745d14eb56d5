"""What the learner sees, mixed: two images in one, with the labels of both.

All that is random is drawn beforehand, one row a step: which image is mixed in, how much of it, and what its label counts for.
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
    """The schedule of a whole training.

    Args:
        partners: index of the training image that is mixed into each image of the plan.
        kept: λ of every step, the share that an image keeps of its own pixels, in [0, 1].
        shares: the share that its own label keeps, in [0, 1].
        boxes: first and last row and column (exclusive) of the part that is taken from the partner; None blends whole images.
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
        """The images of a step: λ·own + (1 − λ)·other, or own with the box of other pasted in."""
        if self.boxes is None:
            return torch.lerp(other, own, float(self.kept[step]))
        top, bottom, left, right = (int(edge) for edge in self.boxes[step])
        mixed = own.clone()
        mixed[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        return mixed


@runtime_checkable
class Mixing(Protocol):
    """A way of mixing images and labels."""

    def schedule(
        self,
        plan: Int64[np.ndarray, "step batch"],
        labels: Int64[np.ndarray, " n"],
        *,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> Mixture:
        """What is mixed into each image of a plan of training.

        Args:
            plan: indices of the images of each step.
            labels: of all training images.
            size: rows and columns of an image.
            rng: of all that is random here.
        """


@dataclass(frozen=True)
class Blend:
    """mixup: λ·x + (1 − λ)·x' and λ·y + (1 − λ)·y', λ ~ Beta(α, α) a step, x' another image of the same batch.

    Remix (κ and τ given) leaves the pixels of mixup and gives the whole label to the rarer class where the classes are unequal
    enough: its own where n_y ≤ n_y'/κ and 1 − λ < τ, the partner's where n_y ≥ κ·n_y' and λ < τ. τ = 0 is mixup.

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
        """See `Mixing.schedule`."""
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
    """CMO, CutMix towards the tail: into images as they come is pasted a box of an image of the balanced sampler.

    In a share p of the steps 1 − λ is uniform in [0, 1), the box has √(1 − λ) of each side around a uniform centre, cut at the
    border, and labels count by area.

    Args:
        probability: p, in [0, 1].

    Reference: Park et al., The Majority Can Help the Minority: Context-rich Minority Oversampling, CVPR 2022, algorithm 1; the box
    is that of Yun et al., CutMix, ICCV 2019.
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
        """See `Mixing.schedule`."""
        steps, batch = plan.shape
        partners = ClassSampler(power_shares(0.0)).plan(labels, images_seen=plan.size, batch=batch, rng=rng)
        boxes = _draw_boxes(rng.random(size=(steps,)), size, rng)
        boxes[rng.random(steps) >= self.probability] = 0
        area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
        kept = 1 - area / (size[0] * size[1])
        return Mixture(partners, kept, np.broadcast_to(kept[:, None], plan.shape), boxes)


def _draw_boxes(areas: Float[np.ndarray, " step"], size: tuple[int, int], rng: np.random.Generator) -> Int64[np.ndarray, "step 4"]:
    """First and last row and column of boxes that take a share of the image's area, before they are cut at its border."""
    edges = []
    for length in size:
        half = np.floor(length * np.sqrt(areas)).astype(np.int64) // 2
        center = rng.integers(0, length, size=len(areas))
        edges += [np.clip(center - half, 0, length), np.clip(center + half, 0, length)]
    return np.stack(edges, axis=1)
