"""Tabulate records: one row per run, per cell or per comparison."""

import numpy as np
import pandas as pd

from imagestudy.analysis.comparisons.decisions import judge
from imagestudy.analysis.comparisons.effects import HEADLINE, difference, level_of
from imagestudy.analysis.comparisons.sentences import say_needed
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.records import Records
from imagestudy.models import models
from imagestudy.remedies import remedies
from imagestudy.stats import Judged


def tidy(records: Records) -> pd.DataFrame:
    """Tabulate one row per run: its spec, all scores and the training time in seconds."""
    return pd.DataFrame([_described(record.spec) | record.scores | {"seconds": record.cost["seconds"]} for record in records])


def _described(spec: RunSpec) -> dict[str, object]:
    facts = models.entry(spec.model.name).facts
    preprocessing = [step.label for step in (*spec.preprocessing.steps, *spec.preprocessing.augment)]
    return {
        "dataset": spec.dataset.label,
        "family": facts["family"],
        "era": facts["era"],
        "model": spec.model.label,
        "profile": spec.profile.label,
        "ratio": spec.profile.ratio,
        "remedy": remedies.entry(spec.remedy.name).facts["title"],
        "noise": "clean" if spec.preprocessing.noise is None else "noisy",
        "preprocessing": ", ".join(preprocessing) or "off",
        "seed": spec.seed,
    }


OTHER_SCORES = (
    "accuracy",
    "macro_f1",
    "g_mean",
    "worst_class",
    "head",
    "middle",
    "tail",
    "average_precision_rare",
    "ece",
    "brier",
    "nll",
)


def summarize(records: Records, *, score: str = HEADLINE) -> pd.DataFrame:
    """Tabulate one row per cell: a score with its 95 % interval, the means of the other scores, and the mean training time.

    Returns:
        The columns of `tidy` that describe a run, without `seed`, then `estimate`, `low`, `high`, `runs`, `images`, the other
        scores and `seconds`.
    """
    rows = []
    for cell in records.cells().values():
        interval = level_of(cell, score=score).interval(limits=(0.0, 1.0))
        described = {k: v for k, v in _described(cell.records[0].spec).items() if k != "seed"}
        bounds = {k: getattr(interval, k) for k in ("estimate", "low", "high", "runs", "images")}
        frame = pd.DataFrame([record.scores for record in cell])
        means = {name: float(frame[name].mean()) for name in OTHER_SCORES if name in frame}
        rows.append(described | bounds | means | {"seconds": float(np.mean([r.cost["seconds"] for r in cell]))})
    return pd.DataFrame(rows)


def against(
    records: Records, baseline: Records, *, margin: float, comparisons: int | None = None, score: str = HEADLINE
) -> pd.DataFrame:
    """Compare each cell with one baseline cell: the difference in a score with its interval and verdict, one row per cell.

    Args:
        records: the runs of all cells, without the baseline.
        baseline: the runs of the baseline cell.
        margin: the equivalence margin, as a share.
        comparisons: the number of comparisons declared together. None is the number of cells.
        score: `balanced_accuracy` or `accuracy`.
    """
    cells = list(records.cells().values())
    declared = comparisons or len(cells)
    rows = []
    for cell in cells:
        judged = judge(difference(cell, baseline, score=score), margin=margin, comparisons=declared)
        described = {k: v for k, v in _described(cell.records[0].spec).items() if k != "seed"}
        rows.append(described | as_row(judged))
    return pd.DataFrame(rows)


def as_row(judged: Judged) -> dict[str, object]:
    """Return a judged effect as the columns of a table row."""
    interval = judged.interval
    return {
        "difference": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "verdict": judged.verdict,
        "runs": interval.runs,
        "images": interval.images,
        "comparisons": judged.comparisons,
        "p": judged.p,
        "P(A > B)": judged.improvement,
        "needed": say_needed(judged.needed) if judged.verdict == "undecided" else "",
    }
