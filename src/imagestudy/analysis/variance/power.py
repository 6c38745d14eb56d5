"""What is undecided among the gains of remedies, and how many more runs, or test images, would settle it."""

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
"""More runs that somebody may be ready to pay for."""
RUNS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 60, 80, 100)
MOST_TIMES = 100
ALL = "all"
DECIDED, IMAGES, BOTH, BEYOND = "nothing: decided", "more test images", "more runs and test images", "out of reach"
NOTHING = "This study compares no remedy with plain training under an imbalanced profile: there is nothing to settle."


@dataclass(frozen=True)
class Gain:
    """What a remedy gains over plain training, judged.

    Args:
        model, remedy: whose gain it is.
        judged: the gain with its verdict.
        spread: what its interval is made of.
    """

    model: str
    remedy: str
    judged: Judged
    spread: stats.Spread


def check(*, more_images: int) -> None:
    """Raise `InputError` unless the number is one by which the test images can be multiplied."""
    if not 1 <= more_images <= MOST_TIMES:
        raise InputError(f"{more_images} was given in parameter 'more_images'; allowed: 1 to {MOST_TIMES} times the test images")


def grid(plan: Plan) -> list[RunSpec]:
    """All models and remedies under the first profile."""
    first = plan.study.profiles[:1]
    return [spec for spec in grids.imbalance(plan) if spec.profile in first]


def judge_gains(plan: Plan, records: Records) -> list[Gain]:
    """Every remedy against plain training under the first profile, judged as in `imbalance.gains`.

    Args:
        plan: the study at its effort.
        records: of `grid`.
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
    """How many comparisons need what: one row an amount, in `needed`, a column a model and one for `all`; each counts once."""
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
    """The row of `settle` in which a comparison counts."""
    runs, images = judged.needed.more_runs, judged.needed.more_images
    if judged.verdict != "undecided":
        return DECIDED
    if images:
        return BOTH if runs else IMAGES
    if runs is None:
        return BEYOND
    return _needs()[1 + int(np.searchsorted(STEPS, runs))]


def project(gains: Sequence[Gain], *, margin: float, more_images: int) -> pd.DataFrame:
    """The share of comparisons that so many runs would decide, on these test images and on `more_images` times as many.

    The estimates and their variance components stay as they are, so that at the recorded number of runs it is the share that is
    decided now. A comparison of single runs has no spread to project and is left out.

    Returns:
        `runs`, `images` (number of test images), `share`; no row where nothing can be projected.
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
    """The median gain over plain training of all remedies of these models, a share; missing where there are none."""
    found = [gain.judged.interval.estimate for gain in gains if gain.model in models]
    return float(np.median(found)) if found else float("nan")


def say(gains: Sequence[Gain]) -> str:
    """How many comparisons are undecided, and how many of them more runs, or more test images, would settle."""
    if not gains:
        return NOTHING
    table = settle(gains).set_index("needed")[ALL]
    open_ = int(table.sum() - table[DECIDED])
    if not open_:
        return f"All {len(gains)} comparisons are decided."
    reached = [int(table.iloc[1 : 2 + place].sum()) for place in range(len(STEPS))]
    runs = ", ".join(f"{step} more runs {number}" for step, number in zip(STEPS, reached, strict=True))
    images, both, beyond = (int(table[need]) for need in (IMAGES, BOTH, BEYOND))
    return (
        f"{open_} of {len(gains)} comparisons are undecided after {_count(gains)} runs. How many of them would be settled, as far "
        f"as their spread can be projected: with {runs}. {images} need more test images instead, {both} need both, {beyond} are "
        "out of reach."
    )


def _count(gains: Sequence[Gain]) -> str:
    low, high = (pick(gain.judged.interval.runs for gain in gains) for pick in (min, max))
    return str(low) if low == high else f"{low} to {high}"
