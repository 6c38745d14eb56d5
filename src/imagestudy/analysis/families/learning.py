"""How a model learned: by heart, and in its training curves."""

import numpy as np
import pandas as pd

from imagestudy.analysis.families.structure import find_extreme
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records


def say_overfit(cell: Records, model: str) -> str:
    """Whether a model learned a handful of images by heart, from the record of that run."""
    if not len(cell):
        return f"The run in which {model} should learn one batch by heart failed: the model is broken."
    record = cell.records[0]
    images = sum(record.facts["counts"])
    right = round(record.facts["train_accuracy"] * images)
    by_heart = f"{model} names {right} of its {images} training images rightly after {record.cost['images_seen']:,} images seen"
    verdict = "it can overfit one batch" if right == images else "it cannot overfit one batch, and nothing below is to be trusted"
    elsewhere = f"On validation, the same network has a balanced accuracy of {record.validation['balanced_accuracy']:.3f}"
    return f"{by_heart}: {verdict}. {elsewhere}."


def learned(plan: Plan, members: dict[str, Records]) -> pd.DataFrame:
    """One row a model, means over its runs at the end of training.

    Returns:
        Columns `model`, `loss` in nats, `training` (accuracy on the last batches), `validation` (balanced accuracy), `gap` between
        the two, and `settled`: images seen from which on validation stays within the study's margin of its last value.
    """
    rows = []
    for name, cell in members.items():
        curves = np.stack([record.arrays["curve"] for record in cell])
        seen, loss, training, validation = curves.mean(axis=0, dtype=np.float64).T
        away = np.flatnonzero(np.abs(validation - validation[-1]) > plan.study.margin)
        settled = int(seen[away[-1] + 1]) if len(away) else int(seen[0])
        rows.append((name, loss[-1], training[-1], validation[-1], training[-1] - validation[-1], settled))
    return pd.DataFrame(rows, columns=["model", "loss", "training", "validation", "gap", "settled"])


def say_learned(frame: pd.DataFrame) -> str:
    """Which models settle first and last, and which has the widest gap between training and validation."""
    first, last = int(frame["settled"].min()), int(frame["settled"].max())
    early, late = (frame.loc[frame["settled"] == seen, "model"] for seen in (first, last))
    speed = (
        f"{' and '.join(early)} settle{'s' if len(early) == 1 else ''} {'first, ' if first < last else ''}after {first:,} images"
    )
    if first < last:
        speed += f", {' and '.join(late)} last, after {last:,}"
    widest = find_extreme(frame, "gap")
    gap, whose = f"{100 * widest['gap']:+.1f}".replace("-", "−"), f" is largest for {widest['model']}" if len(frame) > 1 else ""
    return f"{speed}. Training − validation at the end{whose}: {gap} points."
