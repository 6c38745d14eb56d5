"""Rank the remedies of each model, and test whether one remedy serves all models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.imbalance.gains import joined
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, on_validation, say_title, title_of
from imagestudy.experiments import grids
from imagestudy.experiments.records import Records


def rank(shown: Shown, model: str) -> pd.DataFrame:
    """Rank the remedies of one model under the first profile, the highest first.

    Returns:
        The columns of `comparisons.summarize`, and `near`: whether the remedy is statistically indistinguishable from the highest
        (`comparisons.near_best`).
    """
    own = shown.of_model(model)
    frame = comparisons.summarize(own).assign(near=comparisons.near_best(own))
    return frame.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def mark_best(gained: pd.DataFrame, shown: Shown) -> pd.DataFrame:
    """Add a column `near` to the gains under the first profile.

    It says whether a remedy is statistically indistinguishable from the highest remedy of its model.
    """
    near = {
        (model, row["remedy"]): bool(row["near"])
        for model in dict.fromkeys(gained["model"])
        for row in rank(shown, model).to_dict("records")
    }
    return gained.assign(near=[near[row["model"], row["remedy"]] for row in gained.to_dict("records")])


def say_near(marked: pd.DataFrame) -> str:
    """Return two sentences: how many remedies are among the best for each model, and which are so for every model."""
    models = list(dict.fromkeys(marked["model"]))
    number = [f"{int(marked.loc[marked['model'] == name, 'near'].sum())} for {name}" for name in models]
    by_remedy = marked.groupby("remedy", sort=False)["near"]
    always = [say_title(str(name)) for name, near in by_remedy if near.all() and len(near) == len(models)]
    everywhere = (
        f"Among the best for every model: {'; '.join(always)}." if always else "No remedy is among the best for every model."
    )
    best = "Number of remedies among the best of their column (statistically indistinguishable from the highest)"
    return f"{best}: {', '.join(number)}. {everywhere}"


def one_for_all(shown: Shown) -> pd.DataFrame:
    """Compare each model's own best remedy with the remedy that is best for all other models.

    Both are chosen on validation: the own remedy by the mean score of the model, the common remedy by the mean gain of all other
    models. The difference is judged on the test images. The models are corrected together for multiple comparisons.

    Returns:
        `model`, `own` and `common` (titles of remedies), and the columns of `comparisons.as_row`. A model has no row if both
        choices agree.
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
    """Return the remedy with the highest mean gain of these models on validation, among the remedies that all of them can use."""
    shared = [name for name in among if all(name in found for found in others)]

    def gain(name: str) -> float:
        return float(np.mean([on_validation(found[name]) - on_validation(found[PLAIN]) for found in others])) if others else 0.0

    return max(shared, key=gain)


def say_one_for_all(frame: pd.DataFrame, shown: Shown) -> str:
    """Return a sentence that counts the verdicts on each model's own choice against the choice of the other models."""
    models = len(shown.plan.study.crossed)
    same = models - len(frame)
    if frame.empty:
        return f"{_say_models(models)} the same remedy as the other models would choose for {'it' if models == 1 else 'them'}."
    verdicts = frame["verdict"].value_counts().to_dict()
    said = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    choose, them = ("chooses", "it") if same == 1 else ("choose", "them")
    agree = f"{same} of {models} models {choose} the same remedy as the other models would choose for {them}. " if same else ""
    return f"{agree}Own choice against the choice of the others: {said}."


def _say_models(number: int) -> str:
    return f"The {number} model chooses" if number == 1 else f"All {number} models choose"


def curves(shown: Shown, model: str, *, remedies: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the balanced accuracy of a model at every imbalance ratio of the effort, with the columns of `comparisons.summarize`.

    Args:
        shown: the records, including the runs of `grids.curves`.
        model: a crossed model.
        remedies: names of remedies; None takes plain training and all remedies that the effort names for these curves.
    """
    plan = shown.plan
    names = grids.curve_remedies(plan, model) if remedies is None else remedies
    cells = [
        shown.records.of(grids.cell(plan, model, profile=profile, remedy=grids.remedy_of(plan, name)))
        for name in names
        for profile in grids.curve_profiles(plan)
    ]
    return joined([comparisons.summarize(cell) for cell in cells if len(cell)])
