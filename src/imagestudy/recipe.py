"""Whether the recipe is fair: which learning rate validation prefers, for each network and on the whole.

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


def prefer(frame: pd.DataFrame, *, network: str = MEAN) -> float | None:
    """The learning rate of a network's highest score, or of the highest mean over all; None where nothing was tried."""
    found = frame[frame["network"] == network]
    return None if found.empty else float(found["highest at"].iloc[0])


def say(plan: Plan, frame: pd.DataFrame) -> str:
    """Which learning rates were preferred, whether the recipe has them, and where it has not."""
    shared = plan.study.training.learning_rate or LEARNING_RATE
    if frame.empty:
        return f"The recipe has a learning rate of {shared:g}; this effort tries no other (effort full does)."
    return _say_own(plan, frame) if plan.study.learning_rates else _say_shared(frame, shared)


def _say_shared(frame: pd.DataFrame, shared: float) -> str:
    preferred = prefer(frame) or shared
    networks = frame[frame["network"] != MEAN]
    apart = [
        f"{row['network']} at {row['highest at']}" for row in networks.to_dict("records") if float(row["highest at"]) != preferred
    ]
    held = "which is the recipe's" if np.isclose(preferred, shared) else f"where the recipe has {shared:g}"
    rest = f"Higher elsewhere: {', '.join(apart)}." if apart else "It is the best of every single network too."
    return f"On the whole, validation is highest at a learning rate of {preferred:g}, {held}. {rest}"


def _say_own(plan: Plan, frame: pd.DataFrame) -> str:
    seen = grids.recipes(plan)[0].training.images_seen
    apart = []
    for name in frame["network"][frame["network"] != MEAN]:
        rate = grids.training_of(plan, name).learning_rate or LEARNING_RATE
        if not np.isclose(rate, preferred := prefer(frame, network=name) or rate):
            apart.append(f"{name} has {rate:g} where validation is highest at {preferred:g}")
    rest = f"Not so: {'; '.join(apart)}." if apart else "So it is for every one of them."
    return f"Each network trains at the learning rate at which validation was highest after {seen:,} images seen. {rest}"
