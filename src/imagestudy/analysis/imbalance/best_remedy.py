"""Choose the best remedy for each model on validation, and report its gain, its cost and the remedies that match it."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.imbalance.costs import trainings
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, on_validation, say_remedy
from imagestudy.experiments.records import Records
from imagestudy.models import models
from imagestudy.models.families import family_title
from imagestudy.stats import Judged


@dataclass(frozen=True)
class Best:
    """The best remedy for one model.

    Args:
        model: name of the model.
        remedy: the remedy with the highest mean score on validation; it may be plain training (`none`).
        judged: its gain over plain training on the test images; None for plain training.
        alike: the other remedies that are equivalent or undecided against it on the test images, without plain training.
        higher: the other remedies that are higher than it on the test images, without plain training.
        trainings: number of trainings that one run with the remedy takes.
    """

    model: str
    remedy: str
    judged: Judged | None
    alike: tuple[str, ...]
    higher: tuple[str, ...]
    trainings: int


def best(shown: Shown) -> list[Best]:
    """Return one entry for each model, under the first profile. The gain is the same comparison as in `gains`."""
    found = {model: shown.cells(model) for model in shown.plan.study.crossed}
    return [_best(shown, model, cells) for model, cells in found.items() if PLAIN in cells]


def _best(shown: Shown, model: str, cells: dict[str, Records]) -> Best:
    chosen = max(cells, key=lambda name: on_validation(cells[name]))

    def judge(ours: str, theirs: str, comparisons: int) -> Judged:
        return compare.judge(
            compare.difference(cells[ours], cells[theirs]), margin=shown.plan.study.margin, comparisons=comparisons
        )

    others = {name: judge(name, chosen, max(1, len(cells) - 2)).verdict for name in cells if name not in (chosen, PLAIN)}
    return Best(
        model=model,
        remedy=chosen,
        judged=None if chosen == PLAIN else judge(chosen, PLAIN, declared_remedies(shown, rank=0)),
        alike=tuple(name for name, verdict in others.items() if verdict in ("equivalent", "undecided")),
        higher=tuple(name for name, verdict in others.items() if verdict == "higher"),
        trainings=trainings(shown.plan, chosen, model),
    )


def say_best(found: Sequence[Best]) -> str:
    """Return one paragraph per model: the best remedy, its cost, its gain and verdict, and the remedies that match it."""
    return "\n\n".join(_say(one) for one in found)


def _say(one: Best) -> str:
    family = family_title(models.entry(one.model).facts["family"])
    times = "one training" if one.trainings == 1 else f"{one.trainings} trainings"
    said = [f"**{family[:1].upper()}{family[1:]} (`{one.model}`).** Validation chooses {say_remedy(one.remedy)} ({times})."]
    if one.judged is not None:
        said.append(compare.say(one.judged, "It", say_remedy(PLAIN)))
    if one.alike:
        said.append(f"Statistically indistinguishable from it on the test images: {_list(one.alike)}.")
    else:
        said.append("No other remedy matches it on the test images.")
    said += [f"Higher than it on the test images: {_list(one.higher)}."] if one.higher else []
    return " ".join(said)


def _list(names: Sequence[str]) -> str:
    return "; ".join(map(say_remedy, names))
