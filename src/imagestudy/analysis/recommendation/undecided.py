"""What is left open between the recommendation and the rest of the panel, and what would settle it.

The variance of a difference of two balanced accuracies has a part for each class, which more test images of that class make
smaller, and one for training, which only more runs do. So it can be asked of every class how many images of it alone would decide.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt

import numpy as np
from jaxtyping import Float

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect, Redrawn
from imagestudy.analysis.recommendation.answer import Answer, class_names, name_of
from imagestudy.core.text import escape
from imagestudy.data import splits
from imagestudy.experiments.records import Records, decided
from imagestudy.experiments.search import Candidate
from imagestudy.stats import ImagesNeeded, Interval, Needed, SpreadByStratum

HalfWidth = Callable[[Float[np.ndarray, " class"]], float]

LEAST_SHOWN = 0.0005
"""Half widths below that are no part of a sentence that gives tenths of points."""


def say_open(answer: Answer) -> str:
    """What is undecided between the recommendation and others of the panel, and how many images of which class would settle it."""
    rows = answer.panel[(answer.panel["verdict"] == "undecided") & ~answer.panel["plain"]]
    if rows.empty:
        return "Nothing is left open between the candidates of the panel."
    known = {name_of(one): one for one in answer.selection.panel}
    return "\n".join(f"* {_say_between(answer, known[name])}" for name in rows["candidate"])


def _say_between(answer: Answer, other: Candidate) -> str:
    effect, head = _effect(answer, other), f"Undecided between {escape(name_of(answer.best))} and {escape(name_of(other))}"
    if len(effect.by_run) < 2:
        return f"{head}: a single run does not show how far runs differ."
    ending = say_deciding(
        images_that_decide(answer, other),
        _within_reach(effect.needed(margin=answer.plan.study.margin, level=_level(answer)), effect.interval()),
        names=[escape(name) for name in class_names(answer.plan)],
        estimate=float(effect.by_run.mean()),
        margin=answer.plan.study.margin,
        redrawn=isinstance(effect, Redrawn),
    )
    return f"{head}{ending}"


def say_deciding(
    images: ImagesNeeded, needed: Needed, *, names: Sequence[str], estimate: float, margin: float, redrawn: bool
) -> str:
    """How the sentence goes on: until when it is undecided, what else would decide it, or that images will not.

    Args:
        images: what more images can do.
        needed: how many more runs would decide, alone or together with images, where that is within reach.
        names: of the classes, in label order.
        estimate: of the difference.
        margin: inside which a difference does not matter.
        redrawn: whether a share of all images is tested on in each run; else they are test images.
    """
    name, runs = names[images.stratum], "" if needed.more_images else comparisons.say_needed(needed)
    what, where = ("images", f", {splits.TEST_SHARE:.0%} of them to test on") if redrawn else ("test images", "")
    if images.more is not None:
        sooner = f"; {runs} would decide it, too" if runs else ""
        return f" until about {round_up(images.more):,} more {what} of class {name} are there{where}{sooner}."
    if runs:
        return f"; {runs} would decide it. Images of one class would not; those of class {name} would help most."
    if images.of_all is not None:
        more = f"about {round_up(images.of_all):,} more {what}, of all classes alike, are there{where}"
        return f" until {more}; those of class {name} help most."
    alone = " alone" if needed.more_images else ""
    return f", and more images{alone} will not decide it: {_say_out_of_reach(images, needed, estimate=estimate, margin=margin)}"


def _say_out_of_reach(images: ImagesNeeded, needed: Needed, *, estimate: float, margin: float) -> str:
    """What many more images would leave, what of it no image takes away, and whether the difference matters."""
    said = [f"{stats.MOST_TIMES:.0f} times as many in every class would leave ± {_points(images.left)} points"]
    if images.floor >= LEAST_SHOWN:
        said.append(f" (training alone gives ± {_points(images.floor)}, which only more runs make smaller)")
    said.append(f", where less than ± {_points(images.enough)} decides")
    said.append(f"; {comparisons.say_needed(needed)} would." if needed.more_images else ".")
    if abs(estimate) < margin:
        said.append(f" The difference of {_points(abs(estimate))} points is inside the margin of {_points(margin)}: ")
        said.append("probably too small to matter.")
    return "".join(said)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _within_reach(needed: Needed, interval: Interval) -> Needed:
    """What more runs would do, unless they or the images beside them are many times those that there are."""
    runs, images = ((stats.MOST_TIMES - 1) * number for number in (interval.runs, interval.images))
    reached = needed.more_runs is not None and needed.more_runs <= runs and (needed.more_images or 0) <= images
    return needed if reached else Needed(None, None)


def _effect(answer: Answer, other: Candidate) -> Effect | Redrawn:
    return comparisons.difference(answer.cell(answer.best), answer.cell(other))


def _level(answer: Answer) -> float:
    return stats.corrected_level(max(1, len(answer.panel) - 1))


def images_that_decide(answer: Answer, other: Candidate) -> ImagesNeeded:
    """What more images of each class can do for the difference between the recommendation and another candidate.

    With an official test set, test images of a class make its own part of the variance smaller (`stats.SpreadByStratum`). Where
    splits are redrawn, class c gives v_c / (K² n_c) to the difference on one test set, with v_c the variance over its test images
    of the difference of correctness. The variance over splits, which comes from the images that are trained on, too, is taken to
    belong to the classes in that proportion, and to shrink with them; with f times all images it is an f-th, as in
    `stats.what_would_decide_redrawn`.
    """
    effect = _effect(answer, other)
    if isinstance(effect, Redrawn):
        half_width, counts = _redrawn_half_width(answer, other, effect)
    else:
        apart = stats.measure_by_stratum(effect.values, weights=effect.weights, strata=effect.strata, unit=effect.unit)
        half_width, counts = partial(_shared_half_width, apart, level=_level(answer)), apart.sizes.astype(float)
    estimate = float(effect.by_run.mean())
    return stats.what_images_decide(half_width, counts=counts, estimate=estimate, margin=answer.plan.study.margin)


def _shared_half_width(apart: SpreadByStratum, times: Float[np.ndarray, " class"], *, level: float) -> float:
    return apart.enlarged(times).half_width(level=level)


def _redrawn_half_width(answer: Answer, other: Candidate, effect: Redrawn) -> tuple[HalfWidth, Float[np.ndarray, " class"]]:
    """Half the width by how many times as many images each class has, and the images that each has, tested on or not."""
    interval = effect.interval(level=_level(answer))
    parts, tested = _class_variances(
        *comparisons.paired(answer.cell(answer.best), answer.cell(other)), names=class_names(answer.plan)
    )
    shares = parts / parts.sum() if parts.any() else np.full(len(parts), 1 / len(parts))

    def half_width(times: Float[np.ndarray, " class"]) -> float:
        return (interval.high - interval.estimate) * sqrt(float(np.sum(shares / times)))

    return half_width, tested / splits.TEST_SHARE


def _class_variances(
    a: Records, b: Records, *, names: Sequence[str]
) -> tuple[Float[np.ndarray, " class"], Float[np.ndarray, " class"]]:
    """v_c / (K² n_c), and n_c, both means over the runs."""
    classes = len(names)
    parts, counts = np.zeros((2, len(a), classes))
    for run, (one, other) in enumerate(zip(a, b, strict=True)):
        labels = a.labels_of(one)["test"]
        apart = (decided(one, labels) == labels).astype(float) - (decided(other, labels) == labels)
        for label in range(classes):
            own = apart[labels == label]
            counts[run, label] = len(own)
            parts[run, label] = own.var() / (classes**2 * max(len(own), 1))
    return parts.mean(axis=0), counts.mean(axis=0)


def round_up(number: int) -> int:
    """A number of at most two digits before the zeros, at least 1, not smaller."""
    whole = max(1, number)
    step = 10 ** max(0, len(str(whole)) - 2)
    return -(-whole // step) * step
