"""What the remedies cost, and what tuning and post-hoc adjustment chose on validation."""

import numpy as np
import pandas as pd

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.imbalance.gains import declared_remedies, joined
from imagestudy.analysis.imbalance.selection import BEST_TAU, FIXED_TAU, PLAIN, TUNED, Shown
from imagestudy.experiments import grids
from imagestudy.experiments.dependencies import is_derived, parents
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records
from imagestudy.experiments.versions import stamp
from imagestudy.remedies import remedies

ACTS = {"nowhere": "nothing", "data": "sees", "loss": "pays", "head": "head", "posthoc": "says", "tuning": "recipe"}
"""What of the learner a remedy changes, by the facts of its entry."""
SAME_PRICE = 0.05
"""Prices that differ by less are called the same."""


def trainings(plan: Plan, remedy: str, model: str) -> int:
    """How often a model is trained for one finished run: once, once for every member of an ensemble, once more for every trial."""
    spec = stamp(grids.cell(plan, model, remedy=grids.remedy_of(plan, remedy))[0])
    return len(parents(spec)) if is_derived(spec) else 1 + len(parents(spec))


def changes(remedy: str) -> str:
    """What of the learner a remedy changes: `sees`, `head and pays`."""
    return " and ".join(ACTS[where] for where in remedies.entry(remedy).facts["acts"].split(" and "))


def costs(shown: Shown, model: str) -> pd.DataFrame:
    """What the remedies of one model cost and gain under the first profile: one row a remedy.

    Returns:
        Columns of `compare.summarize`; `changes`, see the function; `trainings`; `seconds` of one training, measured alone where
        the effort does that, else the mean of the runs; `times`: all of it in units of one plain training; `near`: not
        distinguishable from the highest.
    """
    cells = shown.cells(model)
    seconds = {name: _seconds(shown, cell) for name, cell in cells.items()}
    own = shown.of_model(model)
    frame = compare.summarize(own).drop(columns="seconds")
    number = [trainings(shown.plan, name, model) for name in cells]
    per_training = [seconds[name if grids.trains_once(name) else PLAIN] for name in cells]
    times = [count * one / seconds[PLAIN] for count, one in zip(number, per_training, strict=True)]
    said = [changes(name) for name in cells]
    return frame.assign(changes=said, trainings=number, seconds=per_training, times=times, near=compare.near_best(own))


def _seconds(shown: Shown, cell: Records) -> float:
    """Of one training in this cell: measured alone, or the mean of its runs."""
    alone = shown.records.of([cell.records[0].spec.with_(seed=0, kind="cost")])
    return float(np.mean([record.cost["seconds"] for record in (alone if len(alone) else cell)]))


def axis_start(frame: pd.DataFrame) -> float:
    """Where an axis of scores begins so that the remedies fill it: a little below plain training, at a multiple of 0.05."""
    plain = float(frame.loc[frame["remedy"] == remedies.entry(PLAIN).facts["title"], "estimate"].iloc[0])
    return float(np.clip(np.floor((plain - 0.03) * 20) / 20, 0.0, 0.95))


def say_cheapest(frame: pd.DataFrame) -> str:
    """How many remedies are as good as the highest, and which of them is the cheapest."""
    near = frame[frame["near"]].sort_values(["times", "estimate"], ascending=[True, False])
    cheapest, dearest = near.iloc[0], near.iloc[-1]
    said = f"{len(near)} of {len(frame)} cannot be told from the highest. "
    if dearest["times"] - cheapest["times"] < SAME_PRICE:
        return f"{said}Named by price, they are {', '.join(near['remedy'])}: all at {_price(dearest)}."
    return (
        f"{said}The cheapest of them is {cheapest['remedy']}, at {_price(cheapest)}; the dearest is {dearest['remedy']}, "
        f"at {_price(dearest)}."
    )


def _price(row: pd.Series) -> str:
    return (
        "the price of plain training" if abs(row["times"] - 1) < SAME_PRICE else f"{row['times']:.2g} times that of plain training"
    )


def tuned(shown: Shown) -> pd.DataFrame:
    """Just tune the plain baseline: one row a model with the gain over `none`, as in `gains`, the trainings and what was chosen."""
    frame = _one_against_another(shown, TUNED, PLAIN, comparisons=declared_remedies(shown, rank=0))
    chosen = [_settings(shown.cell(model, TUNED).records[0]) for model in frame["model"]]
    return frame.assign(trainings=[trainings(shown.plan, TUNED, model) for model in frame["model"]], chosen=chosen)


def taus(shown: Shown) -> pd.DataFrame:
    """One row a model: the strengths that validation chose, run by run, and what they gain over the fixed strength of 1.

    The models are declared together.
    """
    frame = _one_against_another(shown, BEST_TAU, FIXED_TAU, comparisons=len(shown.plan.study.crossed))
    chosen = [[record.facts["tau"] for record in shown.cell(model, BEST_TAU)] for model in frame["model"]]
    return frame.assign(
        chosen=[" ".join(f"{tau:.2f}" for tau in one) for one in chosen], median=[float(np.median(one)) for one in chosen]
    )


def _one_against_another(shown: Shown, remedy: str, baseline: str, *, comparisons: int) -> pd.DataFrame:
    """Two remedies compared on every model that has both, under the first profile."""
    both = [(shown.cell(model, remedy), shown.cell(model, baseline)) for model in shown.plan.study.crossed]
    margin = shown.plan.study.margin
    frame = joined([compare.against(a, b, margin=margin, comparisons=comparisons) for a, b in both if len(a) and len(b)])
    return pd.DataFrame(columns=["model", "difference", "verdict"]) if frame.empty else frame


def _settings(record: Record) -> str:
    """What a tuned run was trained with, where it is not the recipe's own."""
    training = {name.replace("_", " "): record.facts[name] for name in ("learning_rate", "weight_decay") if name in record.facts}
    chosen = training | record.facts.get("options", {})
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in chosen.items())
