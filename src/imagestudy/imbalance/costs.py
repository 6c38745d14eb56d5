"""What the remedies cost, and what tuning and post-hoc adjustment chose on validation."""

import numpy as np
import pandas as pd

from imagestudy import compare, grids
from imagestudy.grids import Plan
from imagestudy.imbalance.gains import declared_remedies, joined
from imagestudy.imbalance.shown import BEST_TAU, FIXED_TAU, PLAIN, TUNED, Shown
from imagestudy.remedies import remedies
from imagestudy.runs.lineage import is_derived, parents
from imagestudy.store import Record
from imagestudy.versions import stamp

ACTS = {"nowhere": "nothing", "data": "what it sees", "loss": "what it pays", "posthoc": "what it says", "tuning": "its recipe"}


def trainings(plan: Plan, remedy: str, model: str) -> int:
    """How often a model is trained for one finished run: once, and once more for each trial of tuning."""
    spec = stamp(grids.cell(plan, model, remedy=grids.remedy_of(plan, remedy))[0])
    return 1 if is_derived(spec) else 1 + len(parents(spec))


def costs(shown: Shown, model: str) -> pd.DataFrame:
    """One row a remedy of one model under the first profile: what it changes, trainings, and the seconds that they take."""
    rows = []
    for name, cell in shown.cells(model).items():
        spec, facts = cell.records[0].spec, remedies.entry(name).facts
        trials = shown.records.of(() if is_derived(spec) else parents(spec))
        seconds = float(np.mean([record.cost["seconds"] for record in cell])) + sum(trial.cost["seconds"] for trial in trials)
        named = {"remedy": facts["title"], "changes": ACTS[facts["acts"]]}
        rows.append(named | {"trainings": trainings(shown.plan, name, model), "seconds": seconds})
    return pd.DataFrame(rows)


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
