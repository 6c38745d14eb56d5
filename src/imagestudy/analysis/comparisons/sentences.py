"""Describe verdicts, intervals, and the runs or images that would decide a comparison, in words."""

from math import isinf

from imagestudy import stats
from imagestudy.stats import Judged

VERBS = {
    "higher": "is higher than",
    "lower": "is lower than",
    "equivalent": "is equivalent to",
    "undecided": "is statistically indistinguishable from",
}


def say(judged: Judged, a: str, b: str, *, of: str = "balanced accuracy") -> str:
    """Describe a judged difference in one sentence. Its verb follows from the verdict."""
    interval = judged.interval
    sentence = f"{a} {VERBS[judged.verdict]} {b} in {of}: {say_points(interval)}, {say_n(interval)}"
    if judged.verdict == "undecided" and (needed := say_needed(judged.needed)):
        sentence += f"; {needed} would decide it"
    return sentence + "."


def say_points(interval: stats.Interval) -> str:
    """Format an interval of a difference, as `+1.2 points [0.4, 2.0]`."""
    return f"{_signed(interval.estimate)} points [{_points(interval.low)}, {_points(interval.high)}]"


def say_share(interval: stats.Interval) -> str:
    """Format an interval of a score, as `0.812 [0.798, 0.825]`."""
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def say_n(interval: stats.Interval) -> str:
    """State the sample size, as `n = 10 runs × 500 test images` or `n = 5 redrawn splits of 336 test images`."""
    images = f"{interval.images:,} test {_plural('image', interval.images)}"
    if interval.redrawn:
        return f"n = {interval.runs} redrawn {_plural('split', interval.runs)} of {images}"
    return f"n = {interval.runs} {_plural('run', interval.runs)} × {images}"


def say_needed(needed: stats.Needed) -> str:
    """Say what would decide a comparison, as `about 12 more runs and 300 more test images`; empty if nothing is known."""
    runs = f"{needed.more_runs:,} more {_plural('run', needed.more_runs)}" if needed.more_runs else ""
    images = f"{_round_up(needed.more_images)} more test {_plural('image', needed.more_images)}" if needed.more_images else ""
    both = " and ".join(part for part in (runs, images) if part)
    return f"about {both}" if both else ""


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"


def _round_up(number: int) -> str:
    step = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // step) * step:,}"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _points(share: float) -> str:
    return ("−∞" if share < 0 else "∞") if isinf(share) else f"{100 * share:.1f}".replace("-", "−")
