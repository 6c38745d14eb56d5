"""Sampling: which training images are used, how often, and in which order.

The schedule of a whole run is one array of indices, made before the first step. So every remedy uses exactly as many images as
plain training, and a training loop cannot skip a sampler by mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from imagestudy.core.errors import InputError


@runtime_checkable
class Sampling(Protocol):
    """A rule that chooses training images by their labels."""

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """Return the schedule of a whole run: row t holds the indices of the images of step t; `images_seen // batch` rows."""

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """Return the indices of one finite training set with the same rule, for a model that is fitted once."""


Bag = Callable[[Int64[np.ndarray, " n"], np.random.Generator], Int64[np.ndarray, " bag"]]
Shares = Callable[[Int64[np.ndarray, " class"], Float[np.ndarray, " step"]], Float[np.ndarray, "step class"]]


def every_image(labels: Int64[np.ndarray, " n"], _rng: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """Return every image once: plain training."""
    return np.arange(len(labels))


def under_sampled(labels: Int64[np.ndarray, " n"], rng: np.random.Generator) -> Int64[np.ndarray, " bag"]:
    """Return as many images of every class as the smallest class has, drawn without replacement (Buda et al. 2018).

    Uniform counts give every image once. The indices are in ascending order.
    """
    return np.flatnonzero(_rank_in_class(labels, rng) < _present(labels).min())


def over_sampled(labels: Int64[np.ndarray, " n"], rng: np.random.Generator) -> Int64[np.ndarray, " bag"]:
    """Return as many images of every class as the largest class has: whole copies and a random remainder (Buda et al. 2018).

    An image of a class with n_c images appears floor(max n / n_c) times, or once more. Uniform counts give every image once.
    The indices are in ascending order.
    """
    copies, remainder = np.divmod(_present(labels).max(), np.maximum(np.bincount(labels), 1))
    once_more = _rank_in_class(labels, rng) < remainder[labels]
    return np.repeat(np.arange(len(labels)), copies[labels] + once_more)


@dataclass(frozen=True)
class Epochs:
    """Shuffled passes over a set of images, called the bag; the last pass is cut at the end of the budget.

    The bag is drawn from a child of the generator and shuffled by the generator itself. Equal bags are therefore always shuffled
    into the same order. With uniform counts, over-sampling and under-sampling are bit for bit the same as plain training.

    Args:
        bag: function (labels, generator) → indices, possibly repeated.
        redrawn: whether a new bag is drawn for every pass; otherwise, one bag is drawn for the whole run.
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
        """Return one bag, see `Sampling.resample`."""
        return self.bag(labels, rng.spawn(1)[0])


@lru_cache
def power_shares(power: float) -> Shares:
    """Return class probabilities p_c ∝ n_c^power, the same at every step (Kang et al. 2020).

    A class without an image has probability 0.

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
    """Return class probabilities that become more balanced during training (Kang et al. 2020).

    At step t of T they are (1 − t/T) times those of uniform images plus t/T times those of uniform classes.
    """
    by_image, by_class = (power_shares(power)(counts, progress) for power in (1.0, 0.0))
    return by_image + progress[:, None] * (by_class - by_image)


@dataclass(frozen=True)
class ClassSampler:
    """Sampling with replacement: draw a class by its probability, then an image of this class.

    Args:
        shares: function (class counts, progress t/T of each step in [0, 1)) → probability of each class at each step.
    """

    shares: Shares

    def plan(
        self, labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "step batch"]:
        """See `Sampling.plan`."""
        steps = count_steps(labels, images_seen=images_seen, batch=batch)
        return self._draw(labels, progress=np.arange(steps) / steps, batch=batch, rng=rng)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """Draw as many images as there are, with the class probabilities at the end of training, see `Sampling.resample`."""
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
    """One sampling rule in the first part of training and another one in the rest.

    Plain epochs followed by the balanced sampler are deferred re-sampling, DRS (Cao et al. 2019). The first part is bit for bit the
    same as with the first rule alone.

    Args:
        first: rule for the steps t with t/T below `after`.
        then: rule for all later steps.
        after: fraction of training at which the rule changes, in [0, 1].
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
        in_first_part = np.arange(len(early)) / len(early) < self.after
        return np.where(in_first_part[:, None], early, late)

    def resample(self, labels: Int64[np.ndarray, " n"], *, rng: np.random.Generator) -> Int64[np.ndarray, " m"]:
        """Resample by the rule of the end of training, see `Sampling.resample`."""
        return self.then.resample(labels, rng=rng)


def count_steps(labels: Int64[np.ndarray, " n"], *, images_seen: int, batch: int) -> int:
    """Return the number of full batches in the budget.

    Raises:
        InputError: there are no training images, or the budget does not fill one batch.
    """
    if not len(labels):
        raise InputError("there are no training images to sample from")
    if images_seen < batch:
        raise InputError(f"a budget of {images_seen} images seen does not fill one batch of {batch}; at least {batch} are needed")
    return images_seen // batch


def _draw_classes(
    shares: Float[np.ndarray, "step class"], *, batch: int, rng: np.random.Generator
) -> Int64[np.ndarray, "step batch"]:
    """Draw classes for every step by inverting the cumulative distributions, all steps in one search.

    Adding t to the distribution of step t makes the concatenated distributions ascend.
    """
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
    """Return the rank of each image, from 0, in a random order of the images with the same label."""
    order = np.lexsort((rng.random(len(labels)), labels))
    rank = np.empty_like(labels)
    rank[order] = np.arange(len(labels)) - _starts(np.bincount(labels))[labels[order]]
    return rank
