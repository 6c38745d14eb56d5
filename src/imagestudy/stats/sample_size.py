"""What would decide an undecided comparison: how many more runs, how many more test images, and of which class."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import hypot, sqrt

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import stdtrit

from imagestudy.stats.decisions import Needed, decide
from imagestudy.stats.intervals import Interval, Spread, center, measure_spread, redrawn_half_width, unseen_half_width

MOST_RUNS = 1_000
MOST_REDRAWN = 50
"""More splits of the same images than that say little more."""
MOST_IMAGES = 10_000_000
MOST_TIMES = 10.0
"""More images than so many times those that are there are out of reach."""
ENDLESS = 1e12


def what_would_decide(
    values: Float[np.ndarray, "run image"],
    *,
    weights: Float[np.ndarray, " image"],
    strata: Int64[np.ndarray, " image"],
    margin: float,
    level: float,
    unit: float = 1.0,
) -> Needed:
    """The fewest more runs that would decide, or, where runs cannot, about how many more test images.

    By the formula of `crossed_interval`, with the estimate and the variance components staying as they are. Where neither does it
    alone: as many runs as bring the run component to half of the squared width that decides, and the images for the rest. What is
    decided already needs 0 more runs. The test set grows in all strata alike. Never more than 1,000 runs or 10 million images.
    """
    spread = measure_spread(values, weights=weights, strata=strata, unit=unit)
    if spread.runs < 2:
        return Needed(None, None)

    def decided(runs: int, images: int) -> bool:
        larger = spread.projected(runs=runs, images=1 + images / spread.images)
        return decide(larger.interval(level=level), margin=margin) != "undecided"

    more_runs = _fewest(lambda more: decided(spread.runs + more, 0), MOST_RUNS - spread.runs)
    if more_runs is not None:
        return Needed(more_runs, None)
    more_images = _fewest(lambda more: decided(spread.runs, more), MOST_IMAGES)
    if more_images is not None:
        return Needed(None, more_images)
    enough = max(abs(spread.estimate), margin - abs(spread.estimate)) ** 2 / 2
    more_runs = _fewest(lambda more: _training_width(spread, spread.runs + more, level) ** 2 <= enough, MOST_RUNS - spread.runs)
    if more_runs is None:
        return Needed(None, None)
    more_images = _fewest(lambda more: decided(spread.runs + more_runs, more), MOST_IMAGES)
    return Needed(None, None) if more_images is None else Needed(more_runs, more_images)


def what_would_decide_redrawn(
    by_run: Float[np.ndarray, " run"],
    *,
    test_share: float,
    images: int,
    jump: float,
    depth: float,
    margin: float,
    level: float,
) -> Needed:
    """The fewest more redrawn splits that would decide, or, where splits cannot, about how many more images to test on.

    By the formula of `redrawn_interval`, with the estimate and the variance staying as they are; with f times the images (to train
    and to test on, the shares kept) the variance is taken to be an f-th, and one image moves the mean an f-th as far. Where more
    than `MOST_TIMES` the images would be needed: as many splits as say something, and the images for the rest.
    """
    runs = len(by_run)
    if runs < 2:
        return Needed(None, None)
    estimate, variance = float(np.mean(by_run)), float(np.var(by_run, ddof=1))

    def decided(runs: int, more_images: int) -> bool:
        times = 1 + more_images / images
        seen = redrawn_half_width(variance / times, runs, test_share, level)
        half = hypot(seen, unseen_half_width(jump=jump / times, depth=depth * times, level=level))
        return decide(Interval(estimate, estimate - half, estimate + half, level, runs, images), margin=margin) != "undecided"

    more_runs = _fewest(lambda more: decided(runs + more, 0), MOST_REDRAWN - runs)
    if more_runs is not None:
        return Needed(more_runs, None)
    more_images = _fewest(lambda more: decided(runs, more), MOST_IMAGES)
    if more_images is None or more_images <= (MOST_TIMES - 1) * images or runs >= MOST_REDRAWN:
        return Needed(None, more_images)
    return Needed(MOST_REDRAWN - runs, _fewest(lambda more: decided(MOST_REDRAWN, more), more_images))


@dataclass(frozen=True)
class SpreadByStratum:
    """A spread, and what of it belongs to the images of each stratum.

    Args:
        whole: the spread.
        between_images, residual: the stratum's parts, which add up to those of `whole` (NaN for the residual of a single run).
        heaviest: the largest weight in the stratum.
        sizes: images in the stratum.
    """

    whole: Spread
    between_images: Float[np.ndarray, " stratum"]
    residual: Float[np.ndarray, " stratum"]
    heaviest: Float[np.ndarray, " stratum"]
    sizes: Int64[np.ndarray, " stratum"]

    def enlarged(self, times: Float[np.ndarray, " stratum"]) -> Spread:
        """The spread to be expected with so many times as many test images in each stratum, all else staying as it is.

        Each part shrinks with its own images; what the sample cannot show is that of the stratum whose images then weigh most. With
        the same number for all strata this is `Spread.projected`.
        """
        whole, weighs = self.whole, self.heaviest / times
        most = int(np.argmax(weighs))
        residual = float(np.sum(self.residual / times))
        left = residual / whole.residual if whole.residual > 0 else 1.0
        return replace(
            whole,
            images=round(float(np.sum(self.sizes * times))),
            between_runs=whole.training + (whole.between_runs - whole.training) * left,
            between_images=float(np.sum(self.between_images / times)),
            residual=residual,
            jump=whole.jump * float(weighs[most] / self.heaviest.max()),
            depth=float(self.sizes[most] * times[most]),
        )


def measure_by_stratum(
    values: Float[np.ndarray, "run image"],
    *,
    weights: Float[np.ndarray, " image"],
    strata: Int64[np.ndarray, " image"],
    unit: float = 1.0,
) -> SpreadByStratum:
    """`measure_spread`, taken apart by strata, in the order of their numbers."""
    _, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
    centered, sizes = center(values * weights, values, weights, strata)
    factor, mean, heaviest = sizes / np.maximum(sizes - 1, 1), centered.mean(axis=0), np.zeros(len(counts))
    np.maximum.at(heaviest, inverse, np.abs(weights))
    apart = np.sum((centered - mean) ** 2, axis=0) / (len(values) - 1) if len(values) > 1 else np.full(len(weights), np.nan)
    return SpreadByStratum(
        measure_spread(values, weights=weights, strata=strata, unit=unit),
        np.bincount(inverse, factor * mean**2),
        np.bincount(inverse, factor * apart),
        heaviest,
        counts.astype(np.int64),
    )


@dataclass(frozen=True)
class ImagesNeeded:
    """What more images can do for a comparison.

    Args:
        stratum: place of the one whose images help most.
        more: about how many more images of it alone decide; None where `MOST_TIMES` as many do not.
        of_all: about how many more images of all strata alike decide; None where `MOST_TIMES` as many do not.
        enough: half a width below this decides.
        left: half the width with `MOST_TIMES` as many images of all strata.
        floor: half the width that no number of images takes away.
    """

    stratum: int
    more: int | None
    of_all: int | None
    enough: float
    left: float
    floor: float


def what_images_decide(
    half_width: Callable[[Float[np.ndarray, " stratum"]], float],
    *,
    counts: Float[np.ndarray, " stratum"],
    estimate: float,
    margin: float,
) -> ImagesNeeded:
    """The fewest more images of one stratum, and of all alike, that would decide, with the estimate staying as it is.

    An interval of estimate d and half width h is decided where h is below |d| (higher or lower), or at most margin − |d|
    (equivalent).

    Args:
        half_width: from how many times as many images each stratum has to half the width of the interval, see
            `SpreadByStratum.enlarged`.
        counts: images that each stratum has now.
        estimate: of the difference.
        margin: fixed beforehand, in the unit of the difference.
    """
    strata, enough = len(counts), max(abs(estimate), margin - abs(estimate))

    def one(place: int, times: float) -> float:
        return half_width(np.where(np.arange(strata) == place, times, 1.0))

    def fewest(images: float, half: Callable[[float], float]) -> int | None:
        return _fewest(lambda more: half(1 + more / images) < enough, int((MOST_TIMES - 1) * images))

    alone = [fewest(float(counts[place]), partial(one, place)) for place in range(strata)]
    deciding = [(more, place) for place, more in enumerate(alone) if more is not None]
    helps_most = min(range(strata), key=lambda place: one(place, MOST_TIMES))
    more, stratum = min(deciding, default=(None, helps_most))
    of_all = fewest(float(counts.sum()), lambda times: half_width(np.full(strata, times)))
    left, floor = (half_width(np.full(strata, times)) for times in (MOST_TIMES, ENDLESS))
    return ImagesNeeded(stratum, more, of_all, enough, left, floor)


def _training_width(spread: Spread, runs: int, level: float) -> float:
    """Half width that another training alone gives, on an endless test set."""
    return float(stdtrit(runs - 1, (1 + level) / 2)) * sqrt(spread.training / runs)


def _fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 0 to `most` that is enough, if one is; what is enough stays so for larger numbers."""
    if most < 0 or not enough(most):
        return None
    low, high = -1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
