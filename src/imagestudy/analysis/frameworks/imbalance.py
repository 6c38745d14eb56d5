"""Compare the gains of remedies for class imbalance between the two frameworks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from imagestudy import figures, stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect, Redrawn
from imagestudy.analysis.frameworks.scores import say_paired
from imagestudy.experiments import grids
from imagestudy.experiments.grids import DECIDING, TWINS, Plan
from imagestudy.experiments.records import Records
from imagestudy.figures import Picture
from imagestudy.figures.style import draw_sentence
from imagestudy.figures.tables import NOT_RECORDED
from imagestudy.remedies import remedies as registered

SIDES = {"PyTorch": DECIDING["cnn"], "Keras": TWINS[DECIDING["cnn"]]}


def _cells(plan: Plan, records: Records, remedy: str) -> dict[str, Records]:
    """Return the runs of the deciding CNN with a remedy under the first imbalanced profile, by framework."""
    profiles = grids.imbalanced_profiles(plan)[:1]
    given = {"remedy": grids.remedy_of(plan, remedy)}
    return {
        side: records.of(spec for one in profiles for spec in grids.twin_cell(plan, name, profile=one, **given))
        for side, name in SIDES.items()
    }


def gains(plan: Plan, records: Records, *, remedies: Sequence[str]) -> pd.DataFrame:
    """Compare each remedy with plain training in each framework.

    The comparisons in one framework are corrected together. The columns are those of `comparisons.against` and `framework`. The
    table is empty if no runs are recorded.
    """
    plain, frames = _cells(plan, records, "none"), []
    for remedy in remedies:
        for side, cell in _cells(plan, records, remedy).items():
            if len(cell) and len(plain[side]):
                against = comparisons.against(cell, plain[side], margin=plan.study.margin, comparisons=len(remedies))
                frames.append(against.assign(framework=side))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["remedy", "framework", "difference"])


def draw_gains(frame: pd.DataFrame) -> Picture:
    """Draw the gains as a shaded table with the frameworks side by side."""
    return figures.draw_gains(frame, columns="framework") if len(frame) else draw_sentence(NOT_RECORDED)


def compare_gains(plan: Plan, records: Records, *, remedies: Sequence[str]) -> pd.DataFrame:
    """Compare the gain of each remedy in Keras with its gain in PyTorch, one row per remedy, corrected together.

    Returns:
        The columns of `comparisons.as_row`, `remedy`, both gains in points as text, and the mean recall of the rare classes in both
        frameworks.
    """
    plain, rows = _cells(plan, records, "none"), []
    for remedy in remedies:
        cells = _same_seeds([*_cells(plan, records, remedy).values(), *plain.values()])
        if not len(cells[0]):
            continue
        ours, theirs = comparisons.difference(cells[1], cells[3]), comparisons.difference(cells[0], cells[2])
        judged = comparisons.judge(_minus(ours, theirs), margin=plan.study.margin, comparisons=len(remedies))
        said = {side: comparisons.say_points(one.interval()) for side, one in (("PyTorch", theirs), ("Keras", ours))}
        tails = {f"{side} tail": _tail(cell) for side, cell in zip(SIDES, cells, strict=False)}
        rows.append({"remedy": registered.entry(remedy).facts["title"]} | said | tails | comparisons.as_row(judged))
    return pd.DataFrame(rows)


def _tail(cell: Records) -> float:
    return float(np.mean([record.scores.get("tail", np.nan) for record in cell]))


def _same_seeds(cells: Sequence[Records]) -> list[Records]:
    """Restrict all cells to their common seeds."""
    shared = set.intersection(*({record.spec.seed for record in cell} for cell in cells))
    return [Records(tuple(record for record in cell if record.spec.seed in shared), cell.labels) for cell in cells]


def _minus(a: Effect | Redrawn, b: Effect | Redrawn) -> Effect | Redrawn:
    """Return the difference between two effects on the same runs and images."""
    if isinstance(a, Effect) and isinstance(b, Effect):
        return Effect(a.values - b.values, a.weights, a.strata)
    assert isinstance(a, Redrawn)
    assert isinstance(b, Redrawn)
    return a.minus(b)


def say_levels(frame: pd.DataFrame) -> str:
    """Describe the intervals in the table of `compare_gains`: their levels and the sample size."""
    if frame.empty:
        return ""
    level = 100 * stats.corrected_level(int(frame["comparisons"].max()))
    n = say_paired(frame)
    return f"Intervals: 95 % for each gain, {level:.3g} % for their difference; {n}. Rare classes: the rarest third of all classes."


def say_gains(frame: pd.DataFrame) -> str:
    """Say by the verdicts whether the remedies gain the same in both frameworks."""
    if frame.empty:
        return "It is unknown whether remedies gain the same in both frameworks: the runs are not recorded."
    counted = frame["verdict"].value_counts(sort=False)
    apart = [str(row["remedy"]) for row in frame.to_dict("records") if row["verdict"] in ("higher", "lower")]
    said = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
    tail = f"Different gains: {', '.join(apart)}." if apart else "No remedy shows a difference between the frameworks."
    remedies = "1 remedy" if len(frame) == 1 else f"{len(frame)} remedies"
    return f"Verdicts on the gains of {remedies} in Keras compared with PyTorch: {said}. {tail}"
