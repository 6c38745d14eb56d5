"""Which remedy, then: remedies ranked within a model, and whether one remedy would do for all models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.imbalance.gains import joined
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, on_validation, title_of
from imagestudy.experiments import grids
from imagestudy.experiments.records import Records


def rank(shown: Shown, model: str) -> pd.DataFrame:
    """The remedies of one model under the first profile, the highest first.

    Returns:
        Columns of `compare.summarize`, and `near`: not distinguishable from the highest (`compare.near_best`).
    """
    own = shown.of_model(model)
    frame = comparisons.summarize(own).assign(near=comparisons.near_best(own))
    return frame.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def mark_best(gained: pd.DataFrame, shown: Shown) -> pd.DataFrame:
    """The gains under the first profile with a column `near`: whether a remedy cannot be told from the highest of its model."""
    near = {
        (model, row["remedy"]): bool(row["near"])
        for model in dict.fromkeys(gained["model"])
        for row in rank(shown, model).to_dict("records")
    }
    return gained.assign(near=[near[row["model"], row["remedy"]] for row in gained.to_dict("records")])


def say_near(marked: pd.DataFrame) -> str:
    """For each model how many remedies cannot be told from its highest, and which remedies are among them for every model."""
    models = list(dict.fromkeys(marked["model"]))
    number = [f"{int(marked.loc[marked['model'] == name, 'near'].sum())} for {name}" for name in models]
    by_remedy = marked.groupby("remedy", sort=False)["near"]
    always = [str(name) for name, near in by_remedy if near.all() and len(near) == len(models)]
    everywhere = f"In that list for every model: {', '.join(always)}." if always else "None is in that list for every model."
    return f"Remedies that cannot be told from the highest of their column: {', '.join(number)}. {everywhere}"


def one_for_all(shown: Shown) -> pd.DataFrame:
    """Does the best remedy depend on the model? For each, its own choice against the one that is best for all the others.

    Both are chosen on validation: the own by the model's mean over runs, the other by the mean over all other models' gains there.
    The difference is judged on the test images; the models are declared together.

    Returns:
        `model`, `own`, `common` (titles), and the columns of a judged difference; no row for a model whose two choices agree.
    """
    cells = {model: shown.cells(model) for model in shown.plan.study.crossed}
    cells = {model: found for model, found in cells.items() if PLAIN in found}
    rows = []
    for model, found in cells.items():
        own = max(found, key=lambda name: on_validation(found[name]))
        common = _best_elsewhere([other for name, other in cells.items() if name != model], among=list(found))
        if own != common:
            judged = comparisons.judge(
                comparisons.difference(found[own], found[common]), margin=shown.plan.study.margin, comparisons=len(cells)
            )
            rows.append({"model": model, "own": title_of(own), "common": title_of(common)} | comparisons.as_row(judged))
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["model", "own", "common", "difference", "verdict"])


def _best_elsewhere(others: Sequence[dict[str, Records]], *, among: Sequence[str]) -> str:
    """The remedy of the highest mean gain on validation over these models, among those that all of them can follow."""
    shared = [name for name in among if all(name in found for found in others)]

    def gain(name: str) -> float:
        return float(np.mean([on_validation(found[name]) - on_validation(found[PLAIN]) for found in others])) if others else 0.0

    return max(shared, key=gain)


def say_one_for_all(frame: pd.DataFrame, shown: Shown) -> str:
    """Whether a model's own choice is better than the common one, counted by verdict."""
    models = len(shown.plan.study.crossed)
    same = models - len(frame)
    if frame.empty:
        return f"All {models} models choose what the others would choose for them."
    verdicts = frame["verdict"].value_counts().to_dict()
    said = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    agree = f"{same} of {models} models choose what the others would choose for them; " if same else ""
    return f"{agree}own choice against the common one: {said}."


def curves(shown: Shown, model: str, *, remedies: Sequence[str] | None = None) -> pd.DataFrame:
    """Balanced accuracy of a model at every ratio of the effort: columns of `compare.summarize`.

    Args:
        shown: with the runs of `grids.curves`.
        model: a crossed one.
        remedies: None takes `none` and all remedies of the curves.
    """
    plan = shown.plan
    names = grids.curve_remedies(plan, model) if remedies is None else remedies
    cells = [
        shown.records.of(grids.cell(plan, model, profile=profile, remedy=grids.remedy_of(plan, name)))
        for name in names
        for profile in grids.curve_profiles(plan)
    ]
    return joined([comparisons.summarize(cell) for cell in cells if len(cell)])
