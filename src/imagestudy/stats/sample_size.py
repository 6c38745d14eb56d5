"""Estimate how many more runs or test images, and of which class, would decide an undecided comparison."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import hypot, sqrt

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import stdtrit

from imagestudy.stats.decisions import Needed, decide
from imagestudy.stats.intervals import Interval, Spread, center, measure_spread, redrawn_half_width, unseen_half_width

FEWEST_RUNS = 5
"""With fewer runs, the variance between runs is too uncertain for a projection."""
WIDEST = 1.0
"""An interval of a difference of scores that is wider than this, 100 points, says too little for a projection."""
MOST_RUNS = 1_000
"""The largest total number of runs considered."""
MOST_REDRAWN = 50
"""The largest total number of redrawn splits considered. More splits of the same images add little information."""
MOST_IMAGES = 10_000_000
"""The largest number of additional test images considered."""
MOST_TIMES = 10.0
"""The largest factor by which the number of images can realistically grow."""
ENDLESS = 1e12
"""A factor for the number of images that stands for infinitely many."""


def what_would_decide(
    values: Float[np.ndarray, "run image"],
    *,
    weights: Float[np.ndarray, " image"],
    strata: Int64[np.ndarray, " image"],
    margin: float,
    level: float,
    unit: float = 1.0,
) -> Needed:
    """Return the smallest number of additional runs that would decide, or, if runs cannot, of additional test images.

    The projection uses the formula of `crossed_interval` and assumes that the estimate and the variance components stay the same.
    The number of images is approximate. If neither runs nor images decide alone, the result is a combination: enough runs to
    reduce the run component to half of the squared width that decides, and images for the rest. A comparison that is already
    decided needs 0 more runs. The test set grows by the same factor in all strata. At most 1,000 runs in total and 10 million
    additional images are considered. With fewer than `FEWEST_RUNS` runs, or an interval wider than `WIDEST`, nothing is projected.

    Args:
        values: v_ri, see `measure_spread`.
        weights: w_i, see `measure_spread`.
        strata: the stratum of each image, see `measure_spread`.
        margin: the equivalence margin, in the unit of the statistic.
        level: the confidence level of the interval, in (0, 1).
        unit: how far one error of one model on one image moves its value, above 0.
    """
    spread = measure_spread(values, weights=weights, strata=strata, unit=unit)
    now = spread.projected(runs=spread.runs, images=1.0).interval(level=level)
    if spread.runs < FEWEST_RUNS or now.high - now.low > WIDEST:
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
    """Return the smallest number of additional redrawn splits that would decide, or, if splits cannot, of additional test images.

    The projection uses the formula of `redrawn_interval` and assumes that the estimate and the variance stay the same. With f times
    as many images (training and test images, in the same proportion), the variance and the influence of one image are divided by
    f. The number of images is approximate. If more than `MOST_TIMES` times the images would be needed, the result combines
    `MOST_REDRAWN` splits in total with images for the rest. With fewer than `FEWEST_RUNS` splits, or an interval wider than
    `WIDEST`, nothing is projected.

    Args:
        by_run: the score, or the paired difference of scores, of each run.
        test_share: n_test / n_train, above 0.
        images: the number of test images of one run.
        jump: how far one image typically moves the mean.
        depth: the number of distinct test images in the class with the most influential images.
        margin: the equivalence margin, in the unit of the statistic.
        level: the confidence level of the interval, in (0, 1).
    """
    runs = len(by_run)
    if runs < FEWEST_RUNS:
        return Needed(None, None)
    estimate, variance = float(np.mean(by_run)), float(np.var(by_run, ddof=1))

    def half_width(runs: int, times: float) -> float:
        seen = redrawn_half_width(variance / times, runs, test_share, level)
        return hypot(seen, unseen_half_width(jump=jump / times, depth=depth * times, level=level))

    if 2 * half_width(runs, 1.0) > WIDEST:
        return Needed(None, None)

    def decided(runs: int, more_images: int) -> bool:
        half = half_width(runs, 1 + more_images / images)
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
    """A spread and the contribution of each stratum to it.

    Args:
        whole: the spread.
        between_images, residual: the contributions of each stratum, which add up to the values of `whole` (the residual of a
            single run is NaN).
        heaviest: the largest absolute weight in each stratum.
        sizes: the number of images in each stratum.
    """

    whole: Spread
    between_images: Float[np.ndarray, " stratum"]
    residual: Float[np.ndarray, " stratum"]
    heaviest: Float[np.ndarray, " stratum"]
    sizes: Int64[np.ndarray, " stratum"]

    def enlarged(self, times: Float[np.ndarray, " stratum"]) -> Spread:
        """Return the expected spread after multiplying the number of test images of each stratum by `times`.

        The contribution of a stratum is divided by its factor. The term for unseen images is taken from the stratum that then has
        the most influential images. With the same factor for all strata, the result equals `Spread.projected`.
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
    """Estimate the variance components as in `measure_spread`, split by stratum in ascending order of the stratum numbers."""
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
    """How many more test images would decide a comparison.

    Args:
        stratum: the index of the stratum where more images help most.
        more: the approximate number of additional images of this stratum alone that decides; None if `MOST_TIMES` times as many
            images do not.
        of_all: the approximate number of additional images of all strata together, in their present proportion, that decides; None
            if `MOST_TIMES` times as many images do not.
        enough: a half width below this value decides.
        left: the half width with `MOST_TIMES` times as many images of all strata.
        floor: the half width in the limit of infinitely many images.
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
    """Return the smallest numbers of additional images, of one stratum and of all strata, that would decide a comparison.

    The estimate is assumed to stay the same. An interval with estimate d and half width h is decided if h is below |d| (higher or
    lower) or at most margin − |d| (equivalent).

    Args:
        half_width: a function from the growth factor of each stratum to the half width of the interval, see
            `SpreadByStratum.enlarged`.
        counts: the present number of images of each stratum.
        estimate: the estimated difference.
        margin: the equivalence margin in the unit of the difference, fixed before looking at results.
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
    """The half width due to retraining alone, in the limit of infinitely many test images."""
    return float(stdtrit(runs - 1, (1 + level) / 2)) * sqrt(spread.training / runs)


def _fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 0 to `most` for which `enough` is true, found by bisection; None if there is none.

    `enough` must be monotonic: if it is true for a number, it is true for all larger numbers.
    """
    if most < 0 or not enough(most):
        return None
    low, high = -1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
