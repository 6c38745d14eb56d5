"""What follows for each family: the remedy that validation chooses, what it gains, what cannot be told from it, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.imbalance.costs import trainings
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, on_validation, title_of
from imagestudy.experiments.records import Records
from imagestudy.figures.style import FAMILY_TITLES
from imagestudy.models import models
from imagestudy.stats import Judged


@dataclass(frozen=True)
class Best:
    """What to do about imbalance with one model.

    Args:
        model: its name.
        remedy: best on validation, mean over runs; it may be `none`.
        judged: its gain over `none` on the test images; None if it is `none`.
        alike: other remedies, `none` left aside, that cannot be told from it on the test images.
        higher: those that are higher than it there.
        trainings: what it costs.
    """

    model: str
    remedy: str
    judged: Judged | None
    alike: tuple[str, ...]
    higher: tuple[str, ...]
    trainings: int


def best(shown: Shown) -> list[Best]:
    """One entry a model, under the first profile; the gain is judged as in `gains`, whose comparison it is."""
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
    """One paragraph a model: the remedy, its cost, its gain with interval and verdict, and what cannot be told from it."""
    return "\n\n".join(_say(one) for one in found)


def _say(one: Best) -> str:
    family = FAMILY_TITLES[models.entry(one.model).facts["family"]]
    times = "one training" if one.trainings == 1 else f"{one.trainings} trainings"
    title = title_of(one.remedy)
    said = [f"**{family[:1].upper()}{family[1:]} (`{one.model}`).** Validation chooses {title}, at {times}."]
    if one.judged is not None:
        said.append(f"It{compare.say(one.judged, '', PLAIN)}")
    said.append(f"Not to be told from it on the test images: {_titles(one.alike)}.")
    said += [f"Higher than it there: {_titles(one.higher)}."] if one.higher else []
    return " ".join(said)


def _titles(names: Sequence[str]) -> str:
    return "; ".join(map(title_of, names)) or "no other"
