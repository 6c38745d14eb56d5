"""What the learner sees: which training images, how often, in which order.

The whole schedule of a training is one array of indices, made before the first step, so that every remedy sees exactly as many
images as plain training and no sampler can be left out of the loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from imagestudy.core.errors import InputError


@runtime_checkable
class Sampling(Protocol):
    """A way of choosing training images by their labels."""

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """The schedule of a whole training: in row t the indices of the images of step t, `images_seen // batch` rows."""

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """The same choice as one finite set, for a learner that is fitted once on all its images."""


Bag = Callable[[Int64[np.ndarray, " n"], np.random.Generator], Int64[np.ndarray, " bag"]]
Shares = Callable[[Int64[np.ndarray, " class"], Float[np.ndarray, " step"]], Float[np.ndarray, "step class"]]


def every_image(labels: Int64[np.ndarray, " n"], _rng: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """Every image once: plain training."""
    return np.arange(len(labels))


def under_sampled(labels: Int64[np.ndarray, " n"], rng: np.random.Generator) -> Int64[np.ndarray, " bag"]:
    """As many images of every class as the smallest class has, drawn without replacement (Buda et al. 2018).

    Uniform counts give every image once. The bag is in ascending order.
    """
    return np.flatnonzero(_rank_in_class(labels, rng) < _present(labels).min())


def over_sampled(labels: Int64[np.ndarray, " n"], rng: np.random.Generator) -> Int64[np.ndarray, " bag"]:
    """As many images of every class as the largest class has: whole copies and a random remainder (Buda et al. 2018).

    An image of a class of n_c comes floor(max n / n_c) times or once more. Uniform counts give every image once.
    The bag is in ascending order.
    """
    copies, remainder = np.divmod(_present(labels).max(), np.maximum(np.bincount(labels), 1))
    once_more = _rank_in_class(labels, rng) < remainder[labels]
    return np.repeat(np.arange(len(labels)), copies[labels] + once_more)


@dataclass(frozen=True)
class Epochs:
    """Shuffled passes over a bag of images, one after another; the last one is cut where the budget ends.

    The bag is drawn from a child of the generator and shuffled by the generator itself: whatever the bag, equal bags come in
    the same order, so that under uniform counts over- and under-sampling are plain training bit for bit.

    Args:
        bag: (labels, generator) → indices, repeats allowed.
        redrawn: whether the bag is drawn anew for every pass, or once.
    """

    bag: Bag = every_image
    redrawn: bool = False

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """See `Sampling.plan`."""
        total = count_steps(labels, images_seen=images_seen, batch=batch) * batch
        draws = rng.spawn(1)[0]
        bag = self.bag(labels, draws)
        passes = [rng.permutation(bag)]
        for _ in range((total - 1) // len(bag)):
            bag = self.bag(labels, draws) if self.redrawn else bag
            passes.append(rng.permutation(bag))
        return np.concatenate(passes)[:total].reshape(-1, batch)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """See `Sampling.resample`: one bag."""
        return self.bag(labels, rng.spawn(1)[0])


def power_shares(power: float) -> Shares:
    """Shares p_c ∝ n_c^power, the same at every step; a class without an image has none (Kang et al. 2020).

    Args:
        power: 1 draws images uniformly, 1/2 is the square-root sampler, 0 draws classes uniformly.
    """

    def shares(counts: Int64[np.ndarray, " class"], progress: Float[np.ndarray, " step"]) -> Float[np.ndarray, "step class"]:
        raw = np.where(counts > 0, np.maximum(counts, 1) ** power, 0.0)
        return np.broadcast_to(raw / raw.sum(), (len(progress), len(counts)))

    return shares


def progressive_shares(
    counts: Int64[np.ndarray, " class"], progress: Float[np.ndarray, " step"]
) -> Float[np.ndarray, "step class"]:
    """(1 − t/T) · images drawn uniformly + (t/T) · classes drawn uniformly (Kang et al. 2020): balance grows with training."""
    by_image, by_class = (power_shares(power)(counts, progress) for power in (1.0, 0.0))
    return by_image + progress[:, None] * (by_class - by_image)


@dataclass(frozen=True)
class ClassSampler:
    """Draws with replacement: first a class by its share, then an image of that class.

    Args:
        shares: (class counts, progress t/T of each step in [0, 1)) → the probability of each class at each step.
    """

    shares: Shares

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """See `Sampling.plan`."""
        steps = count_steps(labels, images_seen=images_seen, batch=batch)
        return self._draw(labels, progress=np.arange(steps) / steps, batch=batch, rng=rng)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """See `Sampling.resample`: as many draws as there are images, at the shares of the end of training."""
        return self._draw(labels, progress=np.ones(1), batch=len(labels), rng=rng)[0]

    def _draw(
        self, labels: Int64[np.ndarray, " n"], *, progress: Float[np.ndarray, " step"], batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        counts = np.bincount(labels)
        classes = _draw_classes(self.shares(counts, progress), batch=batch, rng=rng)
        by_class = np.argsort(labels, kind="stable")
        return by_class[_starts(counts)[classes] + rng.integers(0, counts[classes])]


@dataclass(frozen=True)
class Deferred:
    """One sampling until a share of the training is done, another from then on.

    With plain epochs before and the balanced sampler after this is deferred re-sampling, DRS (Cao et al. 2019). The first part is
    that of the first sampling alone, bit for bit.

    Args:
        first: at steps t with t/T below `after`.
        then: at all later ones.
        after: share of the training, in [0, 1].
    """

    first: Sampling
    then: Sampling
    after: float = 0.8

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """See `Sampling.plan`."""
        early = self.first.plan(labels, images_seen=images_seen, batch=batch, rng=rng)
        late = self.then.plan(labels, images_seen=images_seen, batch=batch, rng=rng)
        deferred = np.arange(len(early)) / len(early) < self.after
        return np.where(deferred[:, None], early, late)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """See `Sampling.resample`: that of the end of training."""
        return self.then.resample(labels, rng=rng)


def count_steps(labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int) -> int:
    """Full batches in the budget.

    Raises:
        InputError: there is no training image, or the budget does not fill one batch.
    """
    if not len(labels):
        raise InputError("there is no training image to sample from")
    if images_seen < batch:
        raise InputError(f"a budget of {images_seen} images seen does not fill one batch of {batch}; give at least {batch}")
    return images_seen // batch


def _draw_classes(
    shares: Float[np.ndarray, "step class"], *, batch: int, rng: np.random.Generator
) -> Int64[np.ndarray, "step batch"]:
    """Inverse distribution function of every step in one search: step t's function is lifted by t, so that all of them ascend."""
    steps, classes = shares.shape
    step = np.arange(steps)[:, None]
    upper = np.cumsum(shares, axis=1)
    upper /= upper[:, -1:]
    found = np.searchsorted((upper + step).ravel(), rng.random((steps, batch)) + step, side="right")
    last = classes - 1 - np.argmax(shares[:, ::-1] > 0, axis=1)[:, None]
    return np.minimum(found - step * classes, last)


def _present(labels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " present"]:
    counts = np.bincount(labels)
    return counts[counts > 0]


def _starts(counts: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " class"]:
    return np.cumsum(counts) - counts


def _rank_in_class(labels: Int64[np.ndarray, " n"], rng: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """A random order within each class: every image's place, from 0, among those of its label."""
    order = np.lexsort((rng.random(len(labels)), labels))
    rank = np.empty_like(labels)
    rank[order] = np.arange(len(labels)) - _starts(np.bincount(labels))[labels[order]]
    return rank
