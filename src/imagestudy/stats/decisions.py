"""The rule that turns an interval into a verdict, and statistics that are reported with it but do not decide it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from imagestudy.stats.intervals import Interval

Verdict = Literal["equivalent", "higher", "lower", "undecided"]

EXACT_SIGN_FLIPS = 12
"""The largest number of runs for which all sign flips are enumerated."""
RANDOM_SIGN_FLIPS = 20_000
"""The number of random sign flips for more runs than that."""


def corrected_level(comparisons: int, alpha: float = 0.05) -> float:
    """Return the confidence level 1 − α/m at which each of m declared comparisons is decided (Bonferroni).

    Args:
        comparisons: the number m of comparisons declared together, at least 1.
        alpha: the error rate α of the whole family of comparisons.
    """
    if comparisons < 1:
        raise ValueError(f"{comparisons} comparisons were declared; allowed: at least 1")
    return 1 - alpha / comparisons


def decide(interval: Interval, *, margin: float) -> Verdict:
    """Return the verdict on the interval of a difference.

    The verdict is "equivalent" if the interval lies within ± margin. Otherwise it is "higher" if the interval lies above 0, "lower"
    if it lies below 0, and "undecided" if it contains 0.

    In simulated families of ten true null hypotheses (500 images, n = 5 and 10 runs), a false "higher" occurred in 0.3–0.9 % of the
    families, and a false "higher" or "lower" in 1–2 %.

    Args:
        interval: the interval of the difference, at `corrected_level`.
        margin: the equivalence margin in the unit of the difference, at least 0. Fix it before looking at results.
    """
    if margin < 0:
        raise ValueError(f"the margin is {margin}; allowed: 0 or more")
    if -margin <= interval.low and interval.high <= margin:
        return "equivalent"
    if interval.low > 0:
        return "higher"
    return "lower" if interval.high < 0 else "undecided"


def sign_flip_p(differences: Float[np.ndarray, " run"], *, rng: np.random.Generator | None = None) -> float:
    """Return the two-sided p-value of the sign-flip test on paired differences (Fisher 1935).

    The test statistic is the mean. The smallest possible p-value of n runs is 2/2^n. Up to 12 runs, all sign flips are enumerated.
    Above that, 20,000 random flips are drawn and the observed signs are added.

    Args:
        differences: the paired difference of each run.
        rng: the random generator, required for more than 12 runs.

    Raises:
        ValueError: if there is no run, or there are more than 12 runs and `rng` is None.
    """
    runs = len(differences)
    if not runs:
        raise ValueError("no runs were given; the sign-flip test needs at least one run")
    exact = runs <= EXACT_SIGN_FLIPS
    if exact:
        signs = 1.0 - 2.0 * ((np.arange(2**runs)[:, None] >> np.arange(runs)) & 1)
    elif rng is None:
        raise ValueError(f"{runs} runs were given without rng; give a generator for more than {EXACT_SIGN_FLIPS} runs")
    else:
        signs = rng.choice([-1.0, 1.0], size=(RANDOM_SIGN_FLIPS, runs))
    slack = 1e-9 * float(np.abs(differences).sum())
    as_far = np.abs(signs @ differences) >= abs(float(differences.sum())) - slack
    return float(as_far.mean()) if exact else float((1 + as_far.sum()) / (1 + len(signs)))


def probability_of_improvement(a: Float[np.ndarray, " run"], b: Float[np.ndarray, " run"]) -> float:
    """Return P(A > B), the share of paired runs in which A scores higher; ties count half (Bouthillier et al. 2021)."""
    if not len(a):
        raise ValueError("no runs were given; P(A > B) needs at least one run")
    return float(np.mean((a > b) + 0.5 * (a == b)))


@dataclass(frozen=True)
class Needed:
    """How many more runs, more test images, or both would decide a comparison.

    A field is None if it is not needed or cannot decide the comparison. Both fields are None if there is only a single run, so
    that the numbers cannot be estimated, or if no number within the limits would decide the comparison.
    """

    more_runs: int | None
    more_images: int | None


@dataclass(frozen=True)
class Judged:
    """An effect with its verdict, corrected for the number of comparisons declared together.

    Args:
        interval: the interval of the effect, corrected for multiple comparisons.
        verdict: equivalent, higher, lower or undecided.
        comparisons: the number of comparisons declared together.
        p: the p-value of the sign-flip test over runs. It does not affect the verdict.
        improvement: P(A > B) over runs. It does not affect the verdict.
        needed: what would decide an undecided comparison.
    """

    interval: Interval
    verdict: Verdict
    comparisons: int
    p: float
    improvement: float
    needed: Needed
