"""Compute the recommendation, and compare it with plain training and with the other candidates of the panel."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.recommendation import good_enough
from imagestudy.core.specs import RunSpec
from imagestudy.data import datasets
from imagestudy.experiments import grids, runner, search
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records, decided
from imagestudy.experiments.search import PLAIN, SCORE, Candidate, Selection
from imagestudy.metrics import classification
from imagestudy.remedies import remedies
from imagestudy.stats import Judged


@dataclass(frozen=True)
class Answer:
    """The recommendation.

    Args:
        selection: the candidates, and what every run chose among them.
        best: the recommended candidate: the one of the panel with the highest mean score on validation. Ties go to the candidate
            that most runs chose, then to the simplest, see `search.simplicity`.
        chosen: the record of each run's own choice.
        plain: plain training of the same model in the same run.
        level: the score of the choices on test images.
        gain: the score of the choices minus that of plain training, with its verdict.
        panel: one row per candidate of the panel and per baseline, see `compare_panel`.
        shortcomings: why the recommendation is not good enough, see `good_enough.shortcomings`; empty if it is.
    """

    selection: Selection
    best: Candidate
    chosen: Records
    plain: Records
    level: stats.Interval
    gain: Judged
    panel: pd.DataFrame
    shortcomings: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        """The study at its effort."""
        return self.selection.plan

    def cell(self, candidate: Candidate) -> Records:
        """Return the runs of one candidate with the whole budget."""
        return _runs_of(self.selection, candidate)


def needs(plan: Plan) -> list[RunSpec]:
    """Return the runs of baselines, plain training with and without groups, and costs.

    The candidates are not included, because they are trained stage by stage.
    """
    return [*grids.baselines(plan), *grids.plain(plan), *grids.ungrouped(plan), *grids.costs(plan)]


def recommend(plan: Plan, *, workers: int | None = None) -> Answer:
    """Choose a candidate and judge the choice; missing runs are trained.

    Raises:
        InputError: see `search.select`.
    """
    selection = search.select(plan, workers=workers)
    labels = selection.records.labels
    chosen = Records(tuple(search.chosen(selection)), labels)
    beside = {
        (record.spec.model.name, record.spec.seed): record for record in selection.records if record.spec.remedy.name == PLAIN
    }
    plain = Records(tuple(beside[record.spec.model.name, record.spec.seed] for record in chosen), labels)
    best = best_of(selection, chosen)
    baselines = runner.obtain(grids.baselines(plan), study=plan.name, workers=workers)
    gain = comparisons.judge(comparisons.difference(chosen, plain), margin=plan.study.margin, comparisons=1)
    return Answer(
        selection,
        best,
        chosen,
        plain,
        comparisons.level_of(chosen).interval(limits=(0.0, 1.0)),
        gain,
        compare_panel(selection, best, baselines),
        good_enough.shortcomings(
            chosen,
            baselines.where(model=good_enough.MAJORITY) or None,
            gain,
            _runs_of(selection, best),
            _runs_of(selection, Candidate(best.model, PLAIN)),
            classes=class_names(plan),
            margin=plan.study.margin,
        ),
    )


def _runs_of(selection: Selection, candidate: Candidate) -> Records:
    return selection.records.of(search.runs_of(selection.plan, candidate))


def _on_validation(selection: Selection, candidate: Candidate) -> float:
    scores = [record.validation[SCORE] for record in _runs_of(selection, candidate)]
    return float(np.mean(scores)) if len(scores) == selection.plan.effort.runs else -np.inf


def best_of(selection: Selection, chosen: Records) -> Candidate:
    """Return the recommended candidate, see `Answer`."""

    def key(one: Candidate) -> tuple:
        times = sum(search.candidate_of(record) == one for record in chosen)
        return -_on_validation(selection, one), -times, search.simplicity(one)

    return min(selection.panel, key=key)


def compare_panel(selection: Selection, best: Candidate, baselines: Records) -> pd.DataFrame:
    """Compare the recommended candidate with the rest of the panel, plain training of its models, and the baselines.

    The differences are corrected together for multiple comparisons.

    Returns:
        One row per candidate, the highest first: the columns of `comparisons.summarize`, `candidate` (its name), `recommended` and
        `plain`. The comparison with the recommended candidate adds `difference`, `difference_low`, `difference_high`, `verdict`,
        `needed` and `near` (equivalent or undecided). `at_training_shares` is the accuracy at the class shares of the training
        images, which the test images need not have; see `accuracy_at_training_shares`.
    """
    plan = selection.plan
    names = dict.fromkeys((*selection.panel, *(Candidate(one.model, PLAIN) for one in selection.panel)))
    records = {one: selection.records.of(search.runs_of(plan, one)) for one in names}
    cells = {one: cell for one, cell in records.items() if len(cell) == plan.effort.runs}
    cells |= {Candidate(cell.records[0].spec.model.name, PLAIN): cell for cell in baselines.cells().values()}
    rows = []
    for one, cell in cells.items():
        row = comparisons.summarize(cell).iloc[0].to_dict()
        judged = comparisons.judge(
            comparisons.difference(cell, cells[best]), margin=plan.study.margin, comparisons=max(1, len(cells) - 1)
        )
        row["at_training_shares"] = accuracy_at_training_shares(cell)
        near = one == best or judged.verdict in ("equivalent", "undecided")
        rows.append(row | _named(one) | _judged(judged, same=one == best) | {"recommended": one == best, "near": near})
    return pd.DataFrame(rows).sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def accuracy_at_training_shares(cell: Records) -> float:
    """Return the mean accuracy over the runs at the class shares of the training images, before any remedy changes them."""
    accuracies = []
    for record in cell:
        counts, labels = np.array(record.facts["counts"]), cell.labels_of(record)["test"]
        accuracies.append(classification.accuracy_at_shares(decided(record, labels), labels, shares=counts / counts.sum()))
    return float(np.mean(accuracies))


def _named(one: Candidate) -> dict[str, object]:
    return {"candidate": name_of(one), "plain": one.remedy == PLAIN}


def _judged(judged: Judged, *, same: bool) -> dict[str, object]:
    if same:  # the difference of a candidate from itself is exactly 0
        return dict.fromkeys(("difference", "difference_low", "difference_high"), 0.0) | {"verdict": "", "needed": ""}
    row = comparisons.as_row(judged)
    bounds = {"difference": row["difference"], "difference_low": row["low"], "difference_high": row["high"]}
    return bounds | {name: row[name] for name in ("verdict", "needed")}


def name_of(candidate: Candidate) -> str:
    """Return the name of a candidate, as `resnet, balanced softmax`; for plain training, the name of the model alone."""
    return candidate.model if candidate.remedy == PLAIN else f"{candidate.model}, {remedies.entry(candidate.remedy).facts['title']}"


def class_names(plan: Plan) -> tuple[str, ...]:
    """Return the names of the classes, in label order."""
    return datasets.load(plan.study.dataset).classes


def first_run(answer: Answer) -> Records:
    """Return the first run of the recommended candidate, whatever its score."""
    cell = answer.cell(answer.best)
    return Records(cell.records[:1], cell.labels)
