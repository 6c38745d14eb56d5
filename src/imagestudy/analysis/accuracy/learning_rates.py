"""Whether the recipe is fair: which learning rate validation prefers, and what three times the budget would change.

Where rates are chosen, the test images are not asked: those runs are trials, on seeds that are never reported. Longer training is
compared and chooses nothing.
"""

import numpy as np
import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.experiments import grids
from imagestudy.experiments.grids import LONGER, RATES, Plan
from imagestudy.experiments.records import Records
from imagestudy.training import LEARNING_RATE

MEAN = "mean of all networks"
LENGTHENED = ["model", "budget", "longer", "difference", "verdict"]
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
    best, apart = [], []
    for row in frame[frame["network"].isin(plan.study.learning_rates)].to_dict("records"):
        name, rate = row["network"], plan.study.learning_rates[row["network"]]
        if np.isclose(rate, float(row["highest at"])):
            best.append(name)
            continue
        lead = f", {100 * (row[row['highest at']] - row[TITLES[rate]]):.1f} points higher" if rate in TITLES else ""
        apart.append(f"{name}, which has {rate:g} (highest at {row['highest at']}{lead})")
    of = "every one of them" if not apart else ", ".join(best) or "none of them"
    rest = f", but not for {'; '.join(apart)}" if apart else ""
    return f"Networks have learning rates of their own. After {seen:,} images seen validation is highest there for {of}{rest}."


def lengthen(plan: Plan, records: Records, lengthened: Records, *, score: str) -> pd.DataFrame:
    """What `LONGER` times the images seen add to the networks that were trained so, all declared together.

    Args:
        plan: the study at its effort.
        records: of `grids.accuracy` for these networks.
        lengthened: of `grids.longer`.
        score: accuracy or balanced_accuracy.

    Returns:
        One row a network, the highest after longer training first: `model`, `budget` and `longer`, its mean score after either, and
        the columns of `compare.as_row` for longer minus budget, and `n` in words; no row where nothing was trained longer.
    """
    rows = []
    for name in plan.effort.longer:
        pair = lengthened.where(model=name), records.of(grids.cell(plan, name))
        after, before = (float(comparisons.level_of(cell, score=score).by_run.mean()) for cell in pair)
        judged = comparisons.judge(
            comparisons.difference(*pair, score=score), margin=plan.study.margin, comparisons=len(plan.effort.longer)
        )
        means = {"model": name, "budget": before, "longer": after}
        rows.append(means | comparisons.as_row(judged) | {"n": comparisons.say_n(judged.interval)})
    if not rows:
        return pd.DataFrame(columns=LENGTHENED)
    return pd.DataFrame(rows).sort_values("longer", ascending=False, kind="stable", ignore_index=True)


def say_longer(plan: Plan, frame: pd.DataFrame) -> str:
    """Who gains by longer training, and whether the order of these networks changes."""
    if frame.empty:
        return "This effort trains no network longer than the others."
    budget = plan.training.images_seen
    named = {verdict: list(frame["model"][frame["verdict"] == verdict]) for verdict in comparisons.VERBS}
    said = "; ".join(f"{verdict} for {', '.join(names)}" for verdict, names in named.items() if names)
    opening = f"After {LONGER * budget:,} images seen instead of {budget:,}: {said}."
    if len(frame) == 1:
        return f"{opening} {frame['n'][0]}."
    before, after = list(frame.sort_values("budget", ascending=False, kind="stable")["model"]), list(frame["model"])
    order = f"changes from {', '.join(before)} to {', '.join(after)}" if after != before else "stays what it was"
    return f"{opening} The order of their means {order}. {frame['n'][0]}, {len(frame)} comparisons declared together."
