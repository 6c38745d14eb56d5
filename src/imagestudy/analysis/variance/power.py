"""Estimate how many more runs or test images would decide the undecided comparisons of remedies with plain training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.imbalance import Shown
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.selection import PLAIN
from imagestudy.core.errors import InputError
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.stats import Judged

STEPS = (10, 20, 50)
"""Numbers of additional runs that the table and the sentences consider."""
RUNS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 60, 80, 100)
MOST_TIMES = 100
ALL = "all"
DECIDED, IMAGES, BOTH, BEYOND = "nothing (decided)", "more test images", "more runs and test images", "out of reach"
NOTHING = "This study compares no remedy with plain training under an imbalanced profile, so there is nothing to decide."


@dataclass(frozen=True)
class Gain:
    """The gain of a remedy over plain training, with its verdict.

    Args:
        model, remedy: names of the model and the remedy.
        judged: the gain with its interval and verdict.
        spread: the variance components behind the interval.
    """

    model: str
    remedy: str
    judged: Judged
    spread: stats.Spread


def check(*, more_images: int) -> None:
    """Raise `InputError` if the factor for the number of test images is outside the limits."""
    if not 1 <= more_images <= MOST_TIMES:
        raise InputError(f"{more_images} was given in parameter 'more_images'; allowed: 1 to {MOST_TIMES} times the test images")


def needs(plan: Plan) -> list[RunSpec]:
    """Return the runs of all crossed models and remedies under the first profile."""
    first = plan.study.profiles[:1]
    return [spec for spec in grids.imbalance(plan) if spec.profile in first]


def judge_gains(plan: Plan, records: Records) -> list[Gain]:
    """Compare every remedy with plain training under the first profile, as in `imbalance.gains`.

    Args:
        plan: the study at its effort.
        records: the records of `needs`.
    """
    shown = Shown(plan, plan.study.profiles[:1], records)
    if not shown.profiles:
        return []
    declared, margin = declared_remedies(shown, rank=0), plan.study.margin
    cells = {model: shown.cells(model) for model in plan.study.crossed}
    return [
        _judge(model, remedy, comparisons.shared_difference(cell, own[PLAIN]), margin=margin, declared=declared)
        for model, own in cells.items()
        for remedy, cell in own.items()
        if PLAIN in own and remedy != PLAIN
    ]


def _judge(model: str, remedy: str, effect: Effect, *, margin: float, declared: int) -> Gain:
    spread = stats.measure_spread(effect.values, weights=effect.weights, strata=effect.strata, unit=effect.unit)
    return Gain(model, remedy, comparisons.judge(effect, margin=margin, comparisons=declared), spread)


def settle(gains: Sequence[Gain]) -> pd.DataFrame:
    """Count the comparisons by what would decide them.

    Returns:
        One row per amount in the column `needed`, one column per model, and a column `all`. Each comparison counts once.
    """
    needed = pd.Categorical([name_need(gain.judged) for gain in gains], categories=_needs(), ordered=True)
    frame = pd.DataFrame({"needed": needed, "model": [gain.model for gain in gains]})
    models = list(dict.fromkeys(frame["model"]))
    table = pd.crosstab(frame["needed"], frame["model"], dropna=False).reindex(index=_needs(), columns=models, fill_value=0)
    return table.assign(**{ALL: table.sum(axis=1)}).astype(int).rename_axis(columns=None).reset_index()


def _needs() -> list[str]:
    least = (1, *(step + 1 for step in STEPS[:-1]))
    runs = [f"{low} to {high} more runs" for low, high in zip(least, STEPS, strict=True)]
    return [DECIDED, *runs, f"over {STEPS[-1]} more runs", IMAGES, BOTH, BEYOND]


def name_need(judged: Judged) -> str:
    """Return the row of `settle` in which a comparison counts."""
    runs, images = judged.needed.more_runs, judged.needed.more_images
    if judged.verdict != "undecided":
        return DECIDED
    if images:
        return BOTH if runs else IMAGES
    if runs is None:
        return BEYOND
    return _needs()[1 + int(np.searchsorted(STEPS, runs))]


def project(gains: Sequence[Gain], *, margin: float, more_images: int) -> pd.DataFrame:
    """Return the share of comparisons that more runs would decide, on these test images and on `more_images` times as many.

    The projection keeps the estimates and their variance components. So at the recorded number of runs, the share is the present
    one. Comparisons of single runs are left out, because they have no variance to project.

    Returns:
        `runs`, `images` (number of test images) and `share`; no row if nothing can be projected.
    """
    known = [gain for gain in gains if gain.spread.runs > 1]
    rows = [
        {
            "runs": runs,
            "images": times * known[0].spread.images,
            "share": np.mean([_is_decided(g, runs, times, margin) for g in known]),
        }
        for times in (dict.fromkeys((1, more_images)) if known else ())
        for runs in sorted({*RUNS, known[0].spread.runs})
    ]
    return pd.DataFrame(rows, columns=["runs", "images", "share"])


def _is_decided(gain: Gain, runs: int, times: int, margin: float) -> bool:
    interval = gain.spread.projected(runs=runs, images=float(times)).interval(level=gain.judged.interval.level)
    return stats.decide(interval, margin=margin) != "undecided"


def median_gain(gains: Sequence[Gain], *, models: Sequence[str]) -> float:
    """Return the median gain over plain training of all remedies of these models, as a fraction of 1; missing without gains."""
    found = [gain.judged.interval.estimate for gain in gains if gain.model in models]
    return float(np.median(found)) if found else float("nan")


def say(gains: Sequence[Gain]) -> str:
    """Return sentences: how many comparisons are undecided, and how many of them more runs or test images would decide."""
    if not gains:
        return NOTHING
    table = settle(gains).set_index("needed")[ALL]
    open_ = int(table.sum() - table[DECIDED])
    if not open_:
        return "The 1 comparison is decided." if len(gains) == 1 else f"All {len(gains)} comparisons are decided."
    reached = [int(table.iloc[1 : 2 + place].sum()) for place in range(len(STEPS))]
    runs = "; ".join(f"with {step} more runs, {number}" for step, number in zip(STEPS, reached, strict=True))
    images, both, beyond = (int(table[need]) for need in (IMAGES, BOTH, BEYOND))
    recorded, noun = _count(gains), "comparison" if len(gains) == 1 else "comparisons"
    return (
        f"{open_} of {len(gains)} {noun} {'is' if open_ == 1 else 'are'} undecided after {recorded} "
        f"{'run' if recorded == '1' else 'runs'}. The projection says how many of them would be decided: {runs}. "
        f"{images} {'needs' if images == 1 else 'need'} more test images instead, {both} {'needs' if both == 1 else 'need'} both, "
        f"and {beyond} {'is' if beyond == 1 else 'are'} out of reach."
    )


def _count(gains: Sequence[Gain]) -> str:
    low, high = (pick(gain.judged.interval.runs for gain in gains) for pick in (min, max))
    return str(low) if low == high else f"{low} to {high}"
