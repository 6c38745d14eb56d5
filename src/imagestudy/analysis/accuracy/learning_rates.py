"""Check that the training recipe is fair: the best learning rate of each network, and the effect of three times the budget.

Learning rates are chosen on validation images only, in trials with seeds that are never reported. Longer training is only compared;
nothing is chosen by it.
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
    """Return the balanced accuracy on validation for each network and learning rate, averaged over profiles and seeds.

    Args:
        plan: the study at its effort.
        records: the records of `grids.recipes`.

    Returns:
        One row per network, and one for the mean of all networks: `network`, one column per learning rate with its name in
        `TITLES`, and `highest at`, the rate with the highest score. The table has no row if the effort tries no rates.
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
    """Return the best learning rate of a network, by default of the mean of all networks; None if the effort tries no rates."""
    found = frame[frame["network"] == network]
    return None if found.empty else float(found["highest at"].iloc[0])


def say(plan: Plan, frame: pd.DataFrame) -> str:
    """Return a sentence: which learning rates are best on validation, and which networks train with another rate."""
    shared = plan.study.training.learning_rate or LEARNING_RATE
    if frame.empty:
        return f"The recipe has a learning rate of {shared:g}. This effort tries no other rates; effort full does."
    return _say_own(plan, frame) if plan.study.learning_rates else _say_shared(frame, shared)


def _say_shared(frame: pd.DataFrame, shared: float) -> str:
    preferred = prefer(frame) or shared
    networks = frame[frame["network"] != MEAN]
    apart = [
        f"{row['network']} at {row['highest at']}" for row in networks.to_dict("records") if float(row["highest at"]) != preferred
    ]
    held = "which is the rate of the recipe" if np.isclose(preferred, shared) else f"but the recipe has {shared:g}"
    rest = f"Networks with another best rate: {', '.join(apart)}." if apart else "It is also the best rate for every network."
    return f"The mean validation score of all networks is highest at a learning rate of {preferred:g}, {held}. {rest}"


def _say_own(plan: Plan, frame: pd.DataFrame) -> str:
    seen = grids.recipes(plan)[0].training.images_seen
    best, apart = [], []
    for row in frame[frame["network"].isin(plan.study.learning_rates)].to_dict("records"):
        name, rate = row["network"], plan.study.learning_rates[row["network"]]
        if np.isclose(rate, float(row["highest at"])):
            best.append(name)
            continue
        lead = f", {100 * (row[row['highest at']] - row[TITLES[rate]]):.1f} points higher" if rate in TITLES else ""
        apart.append(f"{name} at {rate:g} (highest at {row['highest at']}{lead})")
    of = "all of them" if not apart else ", ".join(best) or "none of them"
    rest = f"{', but not for ' if best else ': '}{'; '.join(apart)}" if apart else ""
    opening = "Networks have their own learning rates."
    return f"{opening} After {seen:,} images seen, the validation score is highest at their own rate for {of}{rest}."


def lengthen(plan: Plan, records: Records, lengthened: Records, *, score: str) -> pd.DataFrame:
    """Compare training with `LONGER` times as many images seen with the usual budget, for the networks that were trained longer.

    The networks are corrected together for multiple comparisons.

    Args:
        plan: the study at its effort.
        records: the records of `grids.accuracy` for these networks.
        lengthened: the records of `grids.longer`.
        score: `accuracy` or `balanced_accuracy`.

    Returns:
        One row per network, the highest score after longer training first: `model`, the mean scores `budget` and `longer`, the
        columns of `comparisons.as_row` for longer minus budget, and `n`, the number of runs and images as text. The table has no
        row if no network was trained longer.
    """
    rows = []
    for name in plan.effort.accuracy.longer:
        pair = lengthened.where(model=name), records.of(grids.cell(plan, name))
        after, before = (float(comparisons.level_of(cell, score=score).by_run.mean()) for cell in pair)
        judged = comparisons.judge(
            comparisons.difference(*pair, score=score), margin=plan.study.margin, comparisons=len(plan.effort.accuracy.longer)
        )
        means = {"model": name, "budget": before, "longer": after}
        rows.append(means | comparisons.as_row(judged) | {"n": comparisons.say_n(judged.interval)})
    if not rows:
        return pd.DataFrame(columns=LENGTHENED)
    return pd.DataFrame(rows).sort_values("longer", ascending=False, kind="stable", ignore_index=True)


def say_longer(plan: Plan, frame: pd.DataFrame) -> str:
    """Return a sentence: which networks gain from longer training, and whether it changes their order."""
    if frame.empty:
        return "This effort trains no network longer than the others."
    budget = plan.training.images_seen
    named = {verdict: list(frame["model"][frame["verdict"] == verdict]) for verdict in comparisons.VERBS}
    said = "; ".join(f"{verdict} for {', '.join(names)}" for verdict, names in named.items() if names)
    opening = f"Verdicts on {LONGER * budget:,} images seen instead of {budget:,}: {said}."
    if len(frame) == 1:
        return f"{opening} {frame['n'][0]}."
    before, after = list(frame.sort_values("budget", ascending=False, kind="stable")["model"]), list(frame["model"])
    order = f"changes from {', '.join(before)} to {', '.join(after)}" if after != before else "stays the same"
    return f"{opening} The order of their mean scores {order}. {frame['n'][0]}, corrected for {len(frame)} comparisons."
