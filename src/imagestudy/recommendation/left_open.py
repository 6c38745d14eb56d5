"""What is left open between the recommendation and the rest of the panel, and what would settle it."""

import numpy as np
from jaxtyping import Float

from imagestudy import compare, stats
from imagestudy.data import splits
from imagestudy.halving import Candidate
from imagestudy.recommendation.answer import Answer, class_names, name_of
from imagestudy.records import Records, decided
from imagestudy.tables import escape


def say_open(answer: Answer) -> str:
    """What is undecided between the recommendation and others of the panel, and how many images of which class would settle it."""
    rows = answer.panel[(answer.panel["verdict"] == "undecided") & ~answer.panel["plain"]]
    if rows.empty:
        return "Nothing is left open between the candidates of the panel."
    known = {name_of(one): one for one in answer.selection.panel}
    return "\n".join(f"* {_say_open(answer, known[row['candidate']], row['needed'])}" for row in rows.to_dict("records"))


def _say_open(answer: Answer, other: Candidate, needed: str) -> str:
    more = images_that_decide(answer, other)
    head = f"Undecided between {escape(name_of(answer.best))} and {escape(name_of(other))}"
    if more is not None:
        name, number = more
        return f"{head} until about {number:,} more images of class {escape(name)} are there, a quarter of them to test on."
    return f"{head}; {needed} would decide it." if needed else f"{head}, and nothing within reach would decide it."


def images_that_decide(answer: Answer, other: Candidate) -> tuple[str, int] | None:
    """The class whose images are what the comparison lacks most, and about how many more of them would decide it.

    The variance that class c gives to the difference of two balanced accuracies is v_c / (K² n_c), with v_c the variance over its
    test images of the difference of correctness. More images of the class that gives most make that part smaller; all else is
    taken to stay. None if that alone cannot decide.
    """
    plan, names = answer.plan, class_names(answer.plan)
    a, b = compare.paired(answer.cell(answer.best), answer.cell(other))
    effect = compare.difference(a, b)
    level = stats.corrected_level(max(1, len(answer.panel) - 1))
    interval = effect.interval(level=level)
    half = interval.high - interval.estimate
    wanted = max(abs(interval.estimate), plan.study.margin - abs(interval.estimate))
    parts, counts = _class_variances(a, b, classes=len(names))
    worst = int(np.argmax(parts))
    share = parts[worst] / max(float(np.var(effect.by_run, ddof=1)), float(parts.sum()))
    left = 1 - (1 - (wanted / half) ** 2) / share if share > 0 else -1.0
    if not np.isfinite(half) or left <= 0 or left >= 1:
        return None
    return names[worst], _round_up(counts[worst] * (1 / left - 1) / splits.TEST_SHARE)


def _class_variances(a: Records, b: Records, *, classes: int) -> tuple[Float[np.ndarray, " class"], Float[np.ndarray, " class"]]:
    """v_c / (K² n_c), and n_c, both means over the runs."""
    parts, counts = np.zeros((2, len(a), classes))
    for run, (one, other) in enumerate(zip(a, b, strict=True)):
        labels = a.labels_of(one)["test"]
        apart = (decided(one, labels) == labels).astype(float) - (decided(other, labels) == labels)
        for label in range(classes):
            own = apart[labels == label]
            counts[run, label] = len(own)
            parts[run, label] = own.var() / (classes**2 * max(len(own), 1))
    return parts.mean(axis=0), counts.mean(axis=0)


def _round_up(number: float) -> int:
    whole = max(1, int(np.ceil(number)))
    step = 10 ** max(0, len(str(whole)) - 2)
    return -(-whole // step) * step
