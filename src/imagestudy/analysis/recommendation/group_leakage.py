"""Measure leakage: how much splits drawn image by image inflate the score if images come in groups.

Pictures of the same thing look alike. If some of them are training images, the others are not new to the model, and a test on them
says little about new things (Kaufman et al. 2012, section 3).
"""

import numpy as np
import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import say_share
from imagestudy.data import datasets, splits
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records

SHOWN = {
    "model": "model",
    "kept": "groups kept together",
    "drawn": "image by image",
    "flattery": "difference",
    "verdict": "verdict",
}


def leaks(plan: Plan, kept: Records, drawn: Records) -> pd.DataFrame:
    """Compare splits drawn image by image with splits that keep groups together, for plain training of each crossed model.

    The models are corrected together for multiple comparisons.

    Args:
        plan: the study at its effort.
        kept: records of plain training on splits with every group in one part.
        drawn: records of `grids.ungrouped`, the same runs on splits that ignore the groups.

    Returns:
        `model`, `kept` and `drawn` (balanced accuracy with its 95 % interval), `flattery` (drawn minus kept, in points) and
        `verdict`; no row if the images have no groups.
    """
    honest = [spec.with_(dataset=plan.study.dataset) for spec in grids.ungrouped(plan)]
    cells = {cell.records[0].spec.model.name: cell for cell in kept.of(honest).cells().values()}
    others = {cell.records[0].spec.model.name: cell for cell in drawn.cells().values()}
    rows = []
    for name, other in others.items():
        judged = comparisons.judge(comparisons.difference(other, cells[name]), margin=plan.study.margin, comparisons=len(others))
        levels = [say_share(comparisons.level_of(cell).interval(limits=(0.0, 1.0))) for cell in (cells[name], other)]
        flattery = comparisons.say_points(judged.interval)
        rows.append(dict(zip(SHOWN, (name, *levels, flattery, judged.verdict), strict=True)))
    return pd.DataFrame(rows, columns=list(SHOWN))


def share_seen(plan: Plan) -> float:
    """Return the share of test images with images of the same group in the training set, in the first split that ignores groups."""
    groups = datasets.load(plan.study.dataset).groups
    if groups is None:
        return 0.0
    split = splits.split(datasets.load(grids.without_groups(plan)), number=0)
    return float(np.isin(groups[split.test], groups[split.train]).mean())


def say_leaks(plan: Plan, frame: pd.DataFrame) -> str:
    """Return sentences: the number of groups, and the effect of ignoring them; without groups, that nothing can leak."""
    groups = datasets.load(plan.study.dataset).groups
    if groups is None or frame.empty:
        return "The images have no groups, so no split can leak information between pictures of the same thing."
    flattered = frame["model"][frame["verdict"] == "higher"].tolist()
    told = "no model would score significantly higher"
    if flattered:
        told = f"the {'score' if len(flattered) == 1 else 'scores'} of {', '.join(flattered)} would be higher"
    return (
        f"The images form {len(np.unique(groups)):,} groups, and all images of a group are in the same part of a split. "
        "In splits drawn image "
        f"by image, {100 * share_seen(plan):.0f} % of the test images would share a group with training images, and {told}."
    )
