"""Whether the recipe that all networks share is fair: which learning rate validation prefers, for each and on the whole.

The test images are not asked: the runs are trials, on seeds that are never reported.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from imagestudy import grids
from imagestudy.grids import Plan
from imagestudy.learners import LEARNING_RATE
from imagestudy.records import Records

MEAN = "mean of all networks"


def rates(plan: Plan, records: Records) -> pd.DataFrame:
    """Balanced accuracy on validation, a mean over the tried profiles and seeds: one row a network and one of their mean.

    Args:
        plan: the study at its effort.
        records: of `grids.recipes`.

    Returns:
        `network`, a column for each learning rate, and `best`, the rate of the highest mean; no row where nothing was tried.
    """
    found: dict[str, dict[float, list[float]]] = {}
    for record in records.of(grids.recipes(plan)):
        rate = record.spec.training.learning_rate or LEARNING_RATE
        scores = found.setdefault(record.spec.model.name, {}).setdefault(rate, [])
        scores.append(record.validation["balanced_accuracy"])
    rows = [
        {"network": name} | {rate: float(np.mean(scores)) for rate, scores in by_rate.items()} for name, by_rate in found.items()
    ]
    frame = pd.DataFrame(rows, columns=["network", *grids.RATES])
    if rows:
        frame.loc[len(frame)] = [MEAN, *frame[list(grids.RATES)].mean()]
    best = frame[list(grids.RATES)].astype(float)
    return frame.assign(best=best.idxmax(axis=1) if rows else pd.Series(dtype=float))


def prefer(frame: pd.DataFrame) -> float | None:
    """The learning rate of the highest mean over all networks, as `rates` found it; None where nothing was tried."""
    return None if frame.empty else float(frame["best"].iloc[-1])


def columns(rates_: Sequence[float] = grids.RATES) -> dict[object, str]:
    """Titles of the columns of `rates`, for `tables.show`."""
    return {"network": "network", **{rate: f"{rate:g}" for rate in rates_}, "best": "highest at"}


def say(frame: pd.DataFrame) -> str:
    """Which learning rate is highest on the whole, whether the recipe has it, and which networks would rather have another."""
    preferred = prefer(frame)
    if preferred is None:
        return f"The recipe has a learning rate of {LEARNING_RATE:g}; this effort tries no other (`full` does)."
    others = frame[(frame["network"] != MEAN) & (frame["best"] != preferred)]
    apart = [f"{row['network']} at {row['best']:g}" for row in others.to_dict("records")]
    held = "which is the recipe's" if preferred == LEARNING_RATE else f"where the recipe has {LEARNING_RATE:g}"
    rest = f" Higher elsewhere: {', '.join(apart)}." if apart else " It is the best of every single network too."
    return f"On the whole, validation is highest at a learning rate of {preferred:g}, {held}.{rest}"
