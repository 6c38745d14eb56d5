"""Measure what the remedies cost in training time, and show what tuning and post-hoc adjustment chose on validation."""

import numpy as np
import pandas as pd

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.imbalance.gains import declared_remedies, joined
from imagestudy.analysis.imbalance.selection import BEST_TAU, FIXED_TAU, PLAIN, TUNED, Shown, say_title
from imagestudy.experiments import grids
from imagestudy.experiments.dependencies import is_derived, parents
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records
from imagestudy.experiments.versions import stamp
from imagestudy.remedies import remedies

ACTS = {
    "nowhere": "nothing",
    "data": "data",
    "loss": "loss",
    "head": "head",
    "posthoc": "predictions",
    "tuning": "hyperparameters",
}
"""The part of the learner that a remedy changes, by the fact `acts` of its entry."""
SAME_PRICE = 0.05
"""Two costs, in units of one plain training, count as equal if they differ by less than this."""


def trainings(plan: Plan, remedy: str, model: str) -> int:
    """Return the number of trainings that one run takes: one, plus one per tuning trial, or one per member of an ensemble."""
    spec = stamp(grids.cell(plan, model, remedy=grids.remedy_of(plan, remedy))[0])
    return len(parents(spec)) if is_derived(spec) else 1 + len(parents(spec))


def changes(remedy: str) -> str:
    """Return the parts of the learner that a remedy changes, as `data` or `head and loss`."""
    return " and ".join(ACTS[where] for where in remedies.entry(remedy).facts["acts"].split(" and "))


def costs(shown: Shown, model: str) -> pd.DataFrame:
    """Return the cost and the score of every remedy of one model under the first profile, one row per remedy.

    Returns:
        The columns of `comparisons.summarize`, and: `changes`, see `changes`; `trainings`, the number of trainings; `seconds` of
        one training, measured alone, or NaN if the effort does not measure it; `times`, the time of all trainings in units of one
        plain training; `near`, whether the remedy is statistically indistinguishable from the highest. A training that was not
        measured alone counts as long as a plain one, because it sees the same number of images. The seconds of the runs
        themselves are not used: other work ran beside them.
    """
    cells = shown.cells(model)
    seconds = {name: _seconds(shown, cell) for name, cell in cells.items()}
    own = shown.of_model(model)
    frame = compare.summarize(own).drop(columns="seconds")
    number = [trainings(shown.plan, name, model) for name in cells]
    per_training = [seconds[name if grids.trains_once(name) else PLAIN] for name in cells]
    ratios = np.nan_to_num(np.array(per_training) / seconds[PLAIN], nan=1.0)
    times = [count * ratio for count, ratio in zip(number, ratios.tolist(), strict=True)]
    said = [changes(name) for name in cells]
    return frame.assign(changes=said, trainings=number, seconds=per_training, times=times, near=compare.near_best(own))


def _seconds(shown: Shown, cell: Records) -> float:
    """Return the seconds of one training, measured alone; NaN without such a measurement."""
    alone = shown.records.of([cell.records[0].spec.with_(seed=0, kind="cost")])
    return alone.records[0].cost["seconds"] if len(alone) else float("nan")


def axis_start(frame: pd.DataFrame) -> float:
    """Return the start of a score axis that the remedies fill: a little below plain training, at a multiple of 0.05."""
    plain = float(frame.loc[frame["remedy"] == remedies.entry(PLAIN).facts["title"], "estimate"].iloc[0])
    return float(np.clip(np.floor((plain - 0.03) * 20) / 20, 0.0, 0.95))


def say_cheapest(frame: pd.DataFrame) -> str:
    """Return a sentence: how many remedies are statistically indistinguishable from the highest, and which of them is cheapest."""
    near = frame[frame["near"]].sort_values(["times", "estimate"], ascending=[True, False])
    cheapest, dearest = near.iloc[0], near.iloc[-1]
    names = [say_title(title) for title in near["remedy"]]
    verb = "is" if len(near) == 1 else "are"
    said = f"{len(near)} of {len(frame)} {verb} among the best (statistically indistinguishable from the highest). "
    if dearest["times"] - cheapest["times"] < SAME_PRICE:
        listed = f"It is {names[0]}," if len(near) == 1 else f"They are {'; '.join(names)}, all"
        return f"{said}{listed} at {_say_cost(dearest)}."
    ends = (
        f"The cheapest of them is {names[0]}, at {_say_cost(cheapest)}. The most expensive is {names[-1]}, at {_say_cost(dearest)}."
    )
    return f"{said}{ends}"


def _say_cost(row: pd.Series) -> str:
    return (
        "the cost of plain training"
        if abs(row["times"] - 1) < SAME_PRICE
        else f"{row['times']:.2g} times the cost of plain training"
    )


def tuned(shown: Shown) -> pd.DataFrame:
    """Return the gain of tuned over untuned plain training, one row per model.

    Returns:
        The columns of `gains`, and `trainings`, their number, and `chosen`, the hyperparameters that were chosen.
    """
    frame = _one_against_another(shown, TUNED, PLAIN, comparisons=declared_remedies(shown, rank=0))
    chosen = [_settings(shown.cell(model, TUNED).records[0]) for model in frame["model"]]
    return frame.assign(trainings=[trainings(shown.plan, TUNED, model) for model in frame["model"]], chosen=chosen)


def taus(shown: Shown) -> pd.DataFrame:
    """Return the strengths τ that validation chose in each run, and their gain over the fixed strength of 1, one row per model.

    The models are corrected together for multiple comparisons.
    """
    frame = _one_against_another(shown, BEST_TAU, FIXED_TAU, comparisons=len(shown.plan.study.crossed))
    chosen = [[record.facts["tau"] for record in shown.cell(model, BEST_TAU)] for model in frame["model"]]
    return frame.assign(
        chosen=[" ".join(f"{tau:.2f}" for tau in one) for one in chosen], median=[float(np.median(one)) for one in chosen]
    )


def _one_against_another(shown: Shown, remedy: str, baseline: str, *, comparisons: int) -> pd.DataFrame:
    """Compare two remedies under the first profile, on every model that has both."""
    both = [(shown.cell(model, remedy), shown.cell(model, baseline)) for model in shown.plan.study.crossed]
    margin = shown.plan.study.margin
    frame = joined([compare.against(a, b, margin=margin, comparisons=comparisons) for a, b in both if len(a) and len(b)])
    return pd.DataFrame(columns=["model", "difference", "verdict"]) if frame.empty else frame


def _settings(record: Record) -> str:
    """Return the hyperparameters that a tuned run chose instead of those of the recipe."""
    training = {name.replace("_", " "): record.facts[name] for name in ("learning_rate", "weight_decay") if name in record.facts}
    chosen = training | record.facts.get("options", {})
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in chosen.items())
