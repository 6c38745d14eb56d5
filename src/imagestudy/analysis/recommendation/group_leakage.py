"""What a split image by image would have said of images that come in groups: a score that leaks.

Pictures of one thing are alike. With some of them among the training images, the others are not new, and a test on them says
little of a thing never seen (Kaufman et al. 2012, section 3).
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
    """Plain training of each crossed model on both kinds of splits, the differences declared together.

    Args:
        plan: the study at its effort.
        kept: records of plain training with every group on one side.
        drawn: records of `grids.ungrouped`, the same with the groups forgotten.

    Returns:
        `model`, `kept` and `drawn` (balanced accuracy, 95 %), `flattery` (drawn minus kept, in points) and `verdict`; no row where
        the images have no groups.
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
    """Share of the test images of the first split image by image whose group has images among the training images, too."""
    groups = datasets.load(plan.study.dataset).groups
    if groups is None:
        return 0.0
    split = splits.split(datasets.load(grids.without_groups(plan)), number=0)
    return float(np.isin(groups[split.test], groups[split.train]).mean())


def say_leaks(plan: Plan, frame: pd.DataFrame) -> str:
    """How many groups there are, and what forgetting them would have done; nothing where there are none."""
    groups = datasets.load(plan.study.dataset).groups
    if groups is None or frame.empty:
        return "The images have no groups: each stands for itself, and no split can leak what two pictures of one thing share."
    flattered = frame["model"][frame["verdict"] == "higher"].tolist()
    told = "no model's score can be told from its honest one"
    if flattered:
        told = f"the score of {', '.join(flattered)} would have been higher"
    return (
        f"The images come in {len(np.unique(groups)):,} groups, and none stands on two sides of a split. Drawn image by image, "
        f"{100 * share_seen(plan):.0f} % of the test images would have had others of their group among the training images, "
        f"and {told}."
    )
