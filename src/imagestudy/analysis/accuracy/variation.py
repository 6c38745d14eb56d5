"""How much of a score's variance is due to retraining and how much to the test set, and what would narrow its interval."""

import numpy as np
import pandas as pd

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.accuracy.ranking import contenders
from imagestudy.experiments.records import Records

MORE = 4
"""The factor by which a projection multiplies the number of runs or of test images."""


def measure_spread(records: Records, *, score: str) -> pd.DataFrame:
    """Return the standard deviations of one run's score due to retraining and due to another test set, in points.

    Returns:
        One row per model, without the majority class: `model`, `runs`, and

        * `seen`: the standard deviation between the recorded runs, on one test set;
        * `training`: the part due to retraining, in the limit of infinitely many test images;
        * `test_set`: the standard deviation of one trained model between test sets of this size, both the part that its runs share
          and the part of a single run;
        * `test_share`: the share of the test set in the variance of both.
    """
    rows = []
    for cell in contenders(records).cells().values():
        spread = _spread(cell, score=score)
        test_set = spread.sampling + spread.residual
        whole = spread.training + test_set
        row = {"model": cell.records[0].spec.model.label, "runs": spread.runs, "seen": 100 * np.sqrt(spread.between_runs)}
        row |= {"training": 100 * np.sqrt(spread.training), "test_set": 100 * np.sqrt(test_set)}
        rows.append(row | {"test_share": test_set / whole if whole > 0 else float("nan")})
    return pd.DataFrame(rows)


def _spread(cell: Records, *, score: str) -> stats.Spread:
    effect = comparisons.shared_level(cell, score=score)
    return stats.measure_spread(effect.values, weights=effect.weights, strata=effect.strata)


def say_spread(spread: pd.DataFrame) -> str:
    """Return sentences: in how many models the finite test set causes more of the variance than retraining does."""
    known = spread.dropna(subset=["test_share"])
    if known.empty:
        return "Single runs cannot separate the effect of retraining from that of another test set."
    most = int((known["test_share"] > 0.5).sum())
    return (
        f"Standard deviations of one run's score, in points. A component with an estimate of zero or less is shown as 0. In {most} "
        f"of {len(known)} {'model' if len(known) == 1 else 'models'}, the finite test set causes more than half of the variance; "
        f"the median share is {100 * known['test_share'].median():.0f} %. Estimates from {int(known['runs'].max())} runs are rough."
    )


def project(records: Records, *, score: str, model: str) -> pd.DataFrame:
    """Return the half width of one model's 95 % interval as recorded, with more runs, with more test images, and with both."""
    spread = _spread(records.where(model=model), score=score)
    rows = []
    for words, runs, images in (
        ("as recorded", 1, 1),
        (f"{MORE} times the runs", MORE, 1),
        (f"{MORE} times the test images", 1, MORE),
        ("both", MORE, MORE),
    ):
        larger = spread.projected(runs=runs * spread.runs, images=float(images))
        half = larger.half_width(level=0.95)
        rows.append({"with": words, "runs": larger.runs, "test images": larger.images, "half_width": 100 * half})
    return pd.DataFrame(rows)


def say_projection(projected: pd.DataFrame, *, model: str) -> str:
    """Return a sentence: whether more runs or more test images would narrow the interval more."""
    now, runs, images, _ = projected["half_width"]
    if not np.isfinite(now):
        return f"A single run of {model} does not show how much trainings vary."
    more = (
        "More test images would narrow it more"
        if images < runs
        else "More runs would narrow it more"
        if runs < images
        else "Both would narrow it equally"
    )
    return (
        f"Half width of the interval of {model}: ±{now:.1f} points as recorded, ±{runs:.1f} with {MORE} times the runs, "
        f"±{images:.1f} with {MORE} times the test images. {more}."
    )
