"""Rank all models and families on balanced training data, and compare the deciding members in pairs."""

from itertools import combinations

import numpy as np
import pandas as pd

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.accuracy.costs import COSTS
from imagestudy.core.errors import InputError, require_known
from imagestudy.experiments.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.experiments.records import Records
from imagestudy.models import models
from imagestudy.models.families import family_title

SCORES = ("accuracy", "balanced_accuracy")
BASELINES = ("majority", "logistic")
FLOOR = "majority"
MOST_PICTURES = 60


def check(*, score: str, cost: str, missed_shown: int) -> None:
    """Raise `InputError` for an unknown score or cost, or for a number of pictures outside the limits."""
    require_known(score, SCORES, what="score", where="parameter 'score'")
    require_known(cost, COSTS, what="cost", where="parameter 'cost'")
    if not 1 <= missed_shown <= MOST_PICTURES:
        raise InputError(f"{missed_shown} was given in parameter 'missed_shown'; allowed: 1 to {MOST_PICTURES} pictures")


def rank(records: Records, *, score: str) -> pd.DataFrame:
    """Rank the models by their mean score on test images, the highest first.

    Returns:
        The columns of `comparisons.summarize`, and `near`, whether the model is statistically indistinguishable from the best, and
        `title`, the name of its family.
    """
    frame = comparisons.summarize(records, score=score).assign(near=comparisons.near_best(records, score=score))
    frame["title"] = [family_title(family) for family in frame["family"]]
    return frame.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def baselines(ranked: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the two baselines: the majority class and logistic regression."""
    return ranked[ranked["model"].isin(BASELINES)]


def say_baselines(ranked: pd.DataFrame, *, score: str) -> str:
    """Return two sentences: the scores of the baselines, and how much a model can gain over them."""
    found = baselines(ranked).to_dict("records")
    if not found:
        return "This study has neither of the two baselines."
    said = "; ".join(f"{row['model']} reaches {row['estimate']:.3f}" for row in reversed(found))
    room = 100 * (1 - max(row["estimate"] for row in found))
    return f"{_words(score).capitalize()}: {said}. The best baseline leaves room for {room:.1f} points."


def _words(score: str) -> str:
    return score.replace("_", " ")


def axis_start(ranked: pd.DataFrame) -> float:
    """Return the start of a score axis that the models fill: a multiple of 0.05 below all models except the majority class."""
    others = ranked.loc[ranked["model"] != FLOOR, "estimate"]
    lowest = float((others if len(others) else ranked["estimate"]).min())
    return float(np.clip(np.floor((lowest - 0.02) * 20) / 20, 0.0, 0.95))


def say_lead(ranked: pd.DataFrame, *, score: str, what: str = "model") -> str:
    """Return a sentence: which model has the highest mean score, and which are statistically indistinguishable from it.

    Args:
        ranked: the table of `rank`, or of `rank_families`.
        score: `accuracy` or `balanced_accuracy`.
        what: the column that holds the names.
    """
    best, *others = ranked.to_dict("records")
    near = [str(row[what]) for row in others if row["near"]]
    interval = f"{best['estimate']:.3f} [{best['low']:.3f}, {best['high']:.3f}]"
    tail = f"Statistically indistinguishable from it: {', '.join(near)}." if near else "All others are lower."
    rest = len(others) - len(near)
    below = f" The other {'one is' if rest == 1 else f'{rest} are'} lower." if near and rest else ""
    return f"**{best[what]}** has the highest {_words(score)}: {interval}. {tail}{below}"


def rank_families(records: Records, *, score: str) -> pd.DataFrame:
    """Rank the families. In each run, a family is represented by its member with the best validation score.

    Returns:
        One row per family, the highest first: `family`, `chosen` (the members and how often each was chosen), and `estimate`,
        `low`, `high`, `runs`, `images` and `near`, as in `rank`.
    """
    cells: dict[str, list[Records]] = {}
    for cell in records.cells().values():
        cells.setdefault(models.entry(cell.records[0].spec.model.name).facts["family"], []).append(cell)
    chosen = {family: comparisons.choose_by_validation(members, score=score) for family, members in cells.items()}
    means = {family: float(comparisons.level_of(runs, score=score).by_run.mean()) for family, runs in chosen.items()}
    best = max(means, key=means.__getitem__)
    level = stats.corrected_level(max(1, len(chosen) - 1))
    rows = []
    for family, runs in chosen.items():
        interval = comparisons.level_of(runs, score=score).interval(limits=(0.0, 1.0))
        near = family == best or comparisons.difference(chosen[best], runs, score=score).interval(level=level).low <= 0
        bounds = {name: getattr(interval, name) for name in ("estimate", "low", "high", "runs", "images")}
        rows.append({"family": family_title(family), "chosen": _say_chosen(runs)} | bounds | {"near": near})
    return pd.DataFrame(rows).sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def _say_chosen(runs: Records) -> str:
    names = [record.spec.model.name for record in runs]
    return ", ".join(f"{name} {names.count(name)}×" for name in sorted(set(names), key=lambda name: (-names.count(name), name)))


def deciding(records: Records) -> dict[str, Records]:
    """Return the records of each deciding member by name; if fewer than two have records, those of all models.

    The majority class does not count as a model here.
    """
    cells = {name: cell for name in DECIDING.values() if len(cell := records.where(model=name))}
    if len(cells) > 1:
        return cells
    return {cell.records[0].spec.model.name: cell for cell in contenders(records).cells().values()}


def compare_pairs(plan: Plan, records: Records, *, score: str) -> pd.DataFrame:
    """Compare all pairs of deciding members, corrected together for multiple comparisons.

    Returns:
        One row per pair: `row` and `column`, the two members, and the columns of `comparisons.as_row` for row minus column.

    Raises:
        InputError: if there are fewer than two models.
    """
    cells = deciding(records)
    if len(cells) < 2:
        raise InputError(f"study {plan.name!r} has nothing to compare; needed: at least two models besides {FLOOR!r}")
    pairs = list(combinations(cells, 2))
    rows = []
    for a, b in pairs:
        effect = comparisons.difference(cells[a], cells[b], score=score)
        judged = comparisons.judge(effect, margin=plan.study.margin, comparisons=len(pairs))
        rows.append({"row": a, "column": b} | comparisons.as_row(judged))
    return pd.DataFrame(rows)


def decidable(plan: Plan) -> list[str]:
    """Return the claims on accuracy that the study can decide, because it has the models they need; see `claims.CLAIMS`."""
    names = set(plan.study.models)
    facts = [models.entry(name).facts for name in names - {FLOOR}]
    learned = any(fact["kind"] == "neural" and fact["era"] == "modern" for fact in facts)
    fixed = any(fact["kind"] == "classical" for fact in facts)
    holds = {
        "A1": learned and fixed,
        "A2": names >= set(DECIDING.values()),
        "A3–A5": names >= {side[family] for family in TRADITIONAL for side in (TRADITIONAL, DECIDING)},
    }
    return [claim for claim, all_there in holds.items() if all_there]


def say_findings(findings: pd.DataFrame) -> str:
    """Return one line per claim of `claims.table`: its verdict, the effect, and what would decide it."""
    if findings.empty:
        return "This study lacks the models that decide these claims."
    return "\n".join(_say_finding(row) for row in findings.to_dict("records"))


def _say_finding(row: dict) -> str:
    needed = f"; {row['would decide it']} would decide it" if row["would decide it"] else ""
    points = f" ({row['points']})" if row["points"] else ""
    return f"- {row['claim']}, *{row['says']}*: **{row['verdict']}**{points}{needed}."


def say_other_scores(ranked: pd.DataFrame) -> str:
    """Return a sentence: the best model by each of the other scores. These scores have no intervals, so they decide nothing."""
    shown = ranked[ranked["model"] != FLOOR]
    bests = {
        "macro-F1": ("macro_f1", True),
        "worst-class recall": ("worst_class", True),
        "calibration error": ("ece", False),
        "negative log-likelihood": ("nll", False),
    }
    said = []
    for words, (column, high) in bests.items():
        best = shown.loc[[shown[column].idxmax() if high else shown[column].idxmin()]].to_dict("records")[0]
        said.append(f"{words}: {best['model']}, {best[column]:.3f}")
    return f"Best by {'; by '.join(said)}. These means over the runs have no intervals, so they decide nothing."


def contenders(records: Records) -> Records:
    """Return all records except those of the majority class, which uses no image."""
    return Records(tuple(record for record in records if record.spec.model.name != FLOOR), records.labels)


def conclude(ranked: pd.DataFrame, families: pd.DataFrame, findings: pd.DataFrame, *, score: str) -> str:
    """Return the answer to the notebook's question, computed from the tables and verdicts."""
    near = [str(name) for name in families.loc[families["near"], "family"]]
    together = f"{', '.join(near[:-1])} and {near[-1]} are statistically indistinguishable"
    lead = f"The best family is **{near[0]}**" if len(near) == 1 else f"No single family is best: {together}"
    question = "Which family recognizes images best on balanced training data?"
    parts = [
        f"{question} In each run, the member that is best on validation represents its family. {lead}.",
        say_lead(ranked, score=score),
        _say_verdicts(findings),
    ]
    return "\n\n".join(part for part in parts if part)


def _say_verdicts(findings: pd.DataFrame) -> str:
    """Return one sentence with all claims, grouped by verdict."""
    if findings.empty:
        return ""
    named: dict[str, list[str]] = {}
    for row in findings.to_dict("records"):
        named.setdefault(row["verdict"], []).append(row["claim"])
    told = [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} **{verdict}**" for verdict, names in named.items()]
    return f"Of the article's claims, {'; '.join(told)}."
