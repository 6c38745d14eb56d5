"""Find the undecided comparisons between the recommendation and the panel, and what would decide them.

The variance of a difference between two balanced accuracies has one component per class, which shrinks with more test images of the
class, and one component for training, which shrinks only with more runs. So we can compute for each class how many more of its
images alone would decide.
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
"""Smaller half widths are not mentioned, because the sentences give tenths of points."""


def say_open(answer: Answer) -> str:
    """Return one bullet per undecided comparison with the recommended candidate: how many images of which class would decide it."""
    rows = answer.panel[(answer.panel["verdict"] == "undecided") & ~answer.panel["plain"]]
    if rows.empty:
        return "No comparison between the candidates of the panel is undecided."
    known = {name_of(one): one for one in answer.selection.panel}
    return "\n".join(f"* {_say_between(answer, known[name])}" for name in rows["candidate"])


def _say_between(answer: Answer, other: Candidate) -> str:
    effect, head = _effect(answer, other), f"Undecided between {escape(name_of(answer.best))} and {escape(name_of(other))}"
    if (runs := len(effect.by_run)) < stats.FEWEST_RUNS:
        few = "1 run does" if runs == 1 else f"{runs} runs do"
        return f"{head}. {few} not show well enough how much runs vary to say what would decide it."
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
    """Return the end of a sentence that begins with "Undecided between A and B": what would decide it.

    Args:
        images: what more images can do.
        needed: how many more runs would decide, alone or together with images; empty if the numbers are unrealistic.
        names: names of the classes, in label order.
        estimate: the estimated difference.
        margin: the equivalence margin.
        redrawn: whether each run tests on a share of all images; otherwise there is a fixed test set.
    """
    name, runs = names[images.stratum], "" if needed.more_images else comparisons.say_needed(needed)
    where = f" ({splits.TEST_SHARE:.0%} of them for testing)" if redrawn else ""
    if images.more is not None:
        sooner = f"; {runs} would decide it, too" if runs else ""
        return f": {_say_more(images.more, redrawn=redrawn)} of class {name}{where} would decide it{sooner}."
    if runs:
        return f": {runs} would decide it. More images of a single class would not; those of class {name} would help most."
    if images.of_all is not None:
        more = f"{_say_more(images.of_all, redrawn=redrawn)}, in the present class shares{where}, would decide it"
        return f": {more}. Those of class {name} help most."
    alone = " alone" if needed.more_images else ""
    return f". More images{alone} will not decide it: {_say_out_of_reach(images, needed, estimate=estimate, margin=margin)}"


def _say_more(number: int, *, redrawn: bool) -> str:
    rounded = round_up(number)
    return f"about {rounded:,} more {'image' if redrawn else 'test image'}{'' if rounded == 1 else 's'}"


def _say_out_of_reach(images: ImagesNeeded, needed: Needed, *, estimate: float, margin: float) -> str:
    """Return the width that many more images would leave, the part that only runs reduce, and whether the difference matters."""
    said = [f"{stats.MOST_TIMES:.0f} times as many in every class would leave ± {_points(images.left)} points"]
    if images.floor >= LEAST_SHOWN:
        said.append(f" (± {_points(images.floor)} comes from training and shrinks only with more runs)")
    said.append(f", but less than ± {_points(images.enough)} is needed")
    said.append(f"; {comparisons.say_needed(needed)} would decide it." if needed.more_images else ".")
    if abs(estimate) < margin:
        said.append(f" The difference of {_points(abs(estimate))} points is inside the margin of {_points(margin)}, ")
        said.append("so it is probably too small to matter.")
    return "".join(said)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _within_reach(needed: Needed, interval: Interval) -> Needed:
    """Return the needed runs and images, or nothing if they exceed the present numbers by more than a realistic factor."""
    runs, images = ((stats.MOST_TIMES - 1) * number for number in (interval.runs, interval.images))
    reached = needed.more_runs is not None and needed.more_runs <= runs and (needed.more_images or 0) <= images
    return needed if reached else Needed(None, None)


def _effect(answer: Answer, other: Candidate) -> Effect | Redrawn:
    return comparisons.difference(answer.cell(answer.best), answer.cell(other))


def _level(answer: Answer) -> float:
    return stats.corrected_level(max(1, len(answer.panel) - 1))


def images_that_decide(answer: Answer, other: Candidate) -> ImagesNeeded:
    """Return how many more images, of one class or of all, would decide between the recommendation and another candidate.

    With an official test set, more test images of a class reduce the variance component of this class (`stats.SpreadByStratum`).

    With redrawn splits, class c contributes v_c / (K² n_c) to the variance of the difference on one test set, where v_c is the
    variance of the difference of correctness over its test images. The variance over splits also comes from the training images.
    It is divided among the classes in proportion to these contributions, and each part shrinks with the images of its class. With
    f times as many images of all classes, the variance is divided by f, as in `stats.what_would_decide_redrawn`.
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
    """Return the half width as a function of the growth factors of the classes, and the present number of images of each class."""
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
    """Return v_c / (K² n_c) and n_c for each class, both averaged over the runs."""
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
    """Round a number up to two significant digits, to at least 1."""
    whole = max(1, number)
    step = 10 ** max(0, len(str(whole)) - 2)
    return -(-whole // step) * step
