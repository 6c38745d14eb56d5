"""Whether the recipe that all networks share is fair: which learning rate validation prefers, for each and on the whole.

The test images are not asked: the runs are trials, on seeds that are never reported.
"""

import numpy as np
import pandas as pd

from imagestudy import grids
from imagestudy.grids import RATES, Plan
from imagestudy.learners import LEARNING_RATE
from imagestudy.records import Records

MEAN = "mean of all networks"
TITLES = {rate: f"{rate:g}" for rate in RATES}


def rates(plan: Plan, records: Records) -> pd.DataFrame:
    """Balanced accuracy on validation, a mean over the tried profiles and seeds: one row a network and one of their mean.

    Args:
        plan: the study at its effort.
        records: of `grids.recipes`.

    Returns:
        `network`, a column for each learning rate, named as `TITLES` says, and `highest at`, the rate of the highest mean; no row
        where nothing was tried.
    """
    scores = [
        {
            "network": record.spec.model.name,
            "rate": TITLES[record.spec.training.learning_rate or LEARNING_RATE],
            "score": record.validation["balanced_accuracy"],
        }
        for record in records.of(grids.recipes(plan))
    ]
    if not scores:
        return pd.DataFrame(columns=["network", *TITLES.values(), "highest at"])
    means = pd.DataFrame(scores).pivot_table(index="network", columns="rate", values="score", sort=False)[list(TITLES.values())]
    means.loc[MEAN] = means.mean()
    return means.assign(**{"highest at": means.idxmax(axis=1)}).rename_axis(columns=None).reset_index()


def prefer(frame: pd.DataFrame) -> float | None:
    """The learning rate of the highest mean over all networks, as `rates` found it; None where nothing was tried."""
    return None if frame.empty else float(frame["highest at"].iloc[-1])


def say(frame: pd.DataFrame) -> str:
    """Which learning rate is highest on the whole, whether the recipe has it, and which networks would rather have another."""
    preferred = prefer(frame)
    if preferred is None:
        return f"The recipe has a learning rate of {LEARNING_RATE:g}; this effort tries no other (`full` does)."
    networks = frame[frame["network"] != MEAN]
    apart = [
        f"{row['network']} at {row['highest at']}" for row in networks.to_dict("records") if float(row["highest at"]) != preferred
    ]
    held = "which is the recipe's" if np.isclose(preferred, LEARNING_RATE) else f"where the recipe has {LEARNING_RATE:g}"
    rest = f"Higher elsewhere: {', '.join(apart)}." if apart else "It is the best of every single network too."
    return f"On the whole, validation is highest at a learning rate of {preferred:g}, {held}. {rest}"
