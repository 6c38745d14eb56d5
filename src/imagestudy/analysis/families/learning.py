"""Check that a model can memorize one batch, and summarize training curves."""

import numpy as np
import pandas as pd

from imagestudy.analysis.families.structure import find_extreme
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records


def say_overfit(cell: Records, model: str) -> str:
    """Say whether a model can memorize one batch of images, from the record of the run that tried it."""
    if not len(cell):
        return f"The run in which {model} should memorize one batch failed, so the model is broken."
    record = cell.records[0]
    images = sum(record.facts["counts"])
    right = round(record.facts["train_accuracy"] * images)
    memorized = (
        f"{model} classifies {right} of its {images} training images correctly after {record.cost['images_seen']:,} images seen"
    )
    verdict = "it can overfit one batch" if right == images else "it cannot overfit one batch. Do not trust the results below"
    elsewhere = f"On the validation set, the same network has a balanced accuracy of {record.validation['balanced_accuracy']:.3f}"
    return f"{memorized}: {verdict}. {elsewhere}."


def learned(plan: Plan, members: dict[str, Records]) -> pd.DataFrame:
    """Tabulate the end of training of each model, as means over its runs.

    Returns:
        One row per model with the columns `model`, `loss` in nats, `training` (accuracy on the last batches), `validation`
        (balanced accuracy), `gap` (training minus validation), and `settled`: the number of images seen after which the validation
        score stays within the study's margin of its last value.
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
    """Say which models settle first and last, and which has the largest gap between training and validation."""
    first, last = int(frame["settled"].min()), int(frame["settled"].max())
    early, late = (frame.loc[frame["settled"] == seen, "model"] for seen in (first, last))
    speed = (
        f"{' and '.join(early)} settle{'s' if len(early) == 1 else ''} {'first, ' if first < last else ''}after {first:,} images"
    )
    if first < last:
        speed += f"; {' and '.join(late)} settle{'s' if len(late) == 1 else ''} last, after {last:,}"
    widest = find_extreme(frame, "gap")
    gap, leader = f"{100 * widest['gap']:+.1f}".replace("-", "−"), f"largest for {widest['model']}: " if len(frame) > 1 else ""
    return f"{speed}. The final gap, training − validation, is {leader}{gap} points."
