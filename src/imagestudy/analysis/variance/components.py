"""Estimate the sources of variance between runs: subset draw, class order, initialization, batch order and test set.

The seed of each stream is changed alone. Half of the mean squared change of a run's score is the *total effect* of the stream
(Jansen 1999; Saltelli et al. 2010), E Var(Y | all other streams). Its interactions with the other streams count in full, so the
shares of the streams can add up to more than the whole.
"""

from math import sqrt

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import fdtri, gammaincinv

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.accuracy import variation
from imagestudy.analysis.comparisons import HEADLINE
from imagestudy.core import text
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.models import models

REDRAWN, RESTART, TOGETHER, TEST_SET = "subset draw", "restart", "all four", "test set"
MOVED: dict[str, tuple[str, ...]] = {
    REDRAWN: ("draw",),
    "class order": ("order",),
    "initialization": ("init",),
    "batch order": ("batches",),
    RESTART: grids.RESTARTED,
}
"""The streams whose seeds are changed, for each source of variance."""
SINGLE = tuple(source for source, streams in MOVED.items() if len(streams) == 1)
COLUMNS = ("model", "family", "source", "runs", "freedom", "points", "low", "high", "endless", "share")
LEVEL = 0.95
NOTHING = (
    "This effort changes no seed alone. Its entry `variance: moved` in the study file names no model, or the study has no "
    "imbalanced profile."
)


def needs(plan: Plan) -> list[RunSpec]:
    """Return the runs of plain training under the first profile, unchanged and with the seed of each stream changed alone."""
    return grids.spread(plan)


def measure(records: Records) -> pd.DataFrame:
    """Return the standard deviation of one run's balanced accuracy due to each source, in points.

    Args:
        records: the records of `needs`.

    Returns:
        One row per model and source; no row without records:

        * `points`: the standard deviation on these test images, with the bounds `low` and `high` of a 95 % interval;
        * `endless`: the same in the limit of infinitely many test images (at least 0); missing for the test set itself;
        * `share`: the share of the variance between the original runs, in which all four streams differ;
        * `freedom`: the degrees of freedom of the interval;
        * `runs`: the number of pairs of runs, or of runs.
    """
    plain = Records(tuple(record for record in records if not record.spec.is_moved), records.labels)
    rows = [row for cell in plain.cells().values() for row in _measure_model(cell, records)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measure_model(cell: Records, records: Records) -> list[dict[str, object]]:
    whole, test_set = _together(cell), _test_set(cell)
    moved = {source: records.of([record.spec.moved(*streams) for record in cell]) for source, streams in MOVED.items()}
    parts = {source: _total_effect(cell, runs) for source, runs in moved.items() if len(runs)} | {TOGETHER: whole}
    name = cell.records[0].spec.model.name
    described = {"model": name, "family": models.entry(name).facts["family"]}
    variance = float(whole["points"]) ** 2
    shares = {
        source: {"share": float(part["points"]) ** 2 / variance if variance > 0 else np.nan} for source, part in parts.items()
    }
    return [
        described | {"source": source} | part | shares.get(source, {}) for source, part in (parts | {TEST_SET: test_set}).items()
    ]


def _total_effect(cell: Records, moved: Records) -> dict[str, int | float]:
    """Return the total effect of some streams: on these test images, and in the limit of infinitely many test images.

    The total effect is half of the mean squared change of the score.
    """
    change = comparisons.shared_difference(cell, moved)
    squares = change.by_run**2 / 2
    sampled = [
        stats.measure_spread(one[None], weights=change.weights, strata=change.strata).between_images for one in change.values
    ]
    endless = max(0.0, float(np.mean(squares - np.array(sampled) / 2)))
    return _as_points(squares, freedom=len(squares)) | {"runs": len(squares), "endless": 100 * sqrt(endless)}


def _together(cell: Records) -> dict[str, int | float]:
    """Return the effect of all four streams together: the variance between the original runs."""
    score = comparisons.level_of(cell).by_run
    (seen,) = variation.measure_spread(cell, score=HEADLINE).to_dict("records")
    runs = len(score)
    if runs < 2:
        return dict.fromkeys(("points", "low", "high", "endless", "freedom"), np.nan) | {"runs": runs}
    squares = (score - score.mean()) ** 2 * runs / (runs - 1)
    return _as_points(squares, freedom=runs - 1) | {"runs": runs, "endless": float(seen["training"])}


def _test_set(cell: Records) -> dict[str, int | float]:
    """Return the effect of the test set: the variance of one trained model's score between test sets of this size.

    It is estimated as in `variation.measure_spread`. It is a sum over images, Σ w² (v − class mean)² n/(n − 1), so its interval is
    `stats.crossed_interval`.
    """
    effect = comparisons.shared_level(cell)
    (seen,) = variation.measure_spread(cell, score=HEADLINE).to_dict("records")
    squares = np.zeros_like(effect.values)
    for stratum in np.unique(effect.strata):
        inside = effect.strata == stratum
        apart = effect.values[:, inside] - effect.values[:, inside].mean(axis=1, keepdims=True)
        squares[:, inside] = apart**2 * inside.sum() / max(1, inside.sum() - 1)
    interval = stats.crossed_interval(squares, weights=effect.weights**2, strata=effect.strata, level=LEVEL, limits=(0.0, np.inf))
    points = float(seen["test_set"]) if len(cell) > 1 else 100 * sqrt(interval.estimate)
    bounds = {"low": 100 * sqrt(interval.low), "high": 100 * sqrt(interval.high)}
    return {"points": points, "runs": len(cell)} | bounds


def _as_points(squares: Float[np.ndarray, " run"], *, freedom: int) -> dict[str, int | float]:
    """Return the root mean square with its interval, in points, from squared changes of a score between 0 and 1."""
    low, high, held = variance_interval(squares, freedom=freedom, level=LEVEL)
    return {"points": 100 * sqrt(squares.mean()), "low": 100 * sqrt(low), "high": 100 * sqrt(high), "freedom": held}


def variance_interval(squares: Float[np.ndarray, " run"], *, freedom: int, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the χ² interval of a variance that is estimated by a mean of squares.

    Heavy tails reduce the degrees of freedom. These are 2 / (variance of the mean square / its square), at most `freedom`
    (Satterthwaite 1946), with the kurtosis of the sample.

    The coverage of nominal 95 % intervals was simulated for 5 and 10 runs. It is 95 % for normal effects, 98 % for uniform effects,
    87 % for exponential effects, and 82 % for a stream of which half is interaction, because few runs do not show their own tails.
    In the last two cases, the χ² interval with `freedom` degrees of freedom has 84–87 % and 76–80 %. The bootstrap over runs has
    76–82 % for normal effects and 60–73 % in the last two cases.

    Args:
        squares: the estimate of each run, at least 0.
        freedom: the largest possible degrees of freedom, at most the number of squares.
        level: the confidence level of the interval, in (0, 1).

    Returns:
        The lower bound, the upper bound and the degrees of freedom; 0, 0 and `freedom` if all squares are 0.
    """
    mean = float(squares.mean())
    if mean == 0:
        return 0.0, 0.0, float(freedom)
    tails = float(np.mean(squares**2)) / mean**2 - 1
    held = min(float(freedom), 2 * freedom / tails) if tails > 0 else float(freedom)
    low, high = (mean * held / (2 * float(gammaincinv(held / 2, p))) for p in ((1 + level) / 2, (1 - level) / 2))
    return low, high, held


def spread_out(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the standard deviations in points with their intervals as text, one row per source and one column per model."""
    said = [f"{row['points']:.1f} [{row['low']:.1f}, {row['high']:.1f}]" for row in frame.to_dict("records")]
    return _by_model(frame.assign(said=said))


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each source's share of the variance between runs with its interval as text, one row per source, one column per model.

    The test set is not among the sources.
    """
    whole = {row["model"]: row for row in frame[frame["source"] == TOGETHER].to_dict("records")}
    inside = frame[~frame["source"].isin((TOGETHER, TEST_SET))]
    return _by_model(inside.assign(said=[_say_share(row, whole[row["model"]]) for row in inside.to_dict("records")]))


def _say_share(part: dict, whole: dict) -> str:
    """Return a share of variance with the interval of a ratio of variances, as `12 % [3, 47]`.

    The share is 0 if the part has no variance, and missing if the whole has none.
    """
    if not part["points"] or not whole["points"] > 0:
        return "0 %" if whole["points"] > 0 else text.MISSING
    share, low, high = (100 * ratio**2 for ratio in ratio_interval(part, whole))
    return f"{share:.0f} % [{low:.0f}, {high:.0f}]"


def _by_model(told: pd.DataFrame) -> pd.DataFrame:
    wide = told.pivot_table(index="source", columns="model", values="said", sort=False, aggfunc="first")
    return wide.rename_axis(columns=None).reset_index()


def say_largest(frame: pd.DataFrame) -> str:
    """Return one bullet per model: the largest of the four sources, and its ratio to the next largest."""
    if frame.empty:
        return NOTHING
    said = [_say_largest(model, rows) for model, rows in frame[frame["source"].isin(SINGLE)].groupby("model", sort=False)]
    return "\n".join(said)


def _say_largest(model: object, rows: pd.DataFrame) -> str:
    first, second, *_ = rows.sort_values("points", ascending=False, kind="stable").to_dict("records")
    lead = f"* **{model}**: the largest source is {first['source']} with {first['points']:.1f} points"
    if not second["points"]:
        return f"{lead}. The others have no effect."
    ratio, low, high = ratio_interval(first, second)
    told = "" if low > 1 else " The two are statistically indistinguishable."
    return f"{lead}, {ratio:.1f} times [{low:.1f}, {high:.1f}] as much as the next, {second['source']}.{told}"


def ratio_interval(above: dict, below: dict, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the ratio of two standard deviations with its interval from the F distribution; both are rows of `measure`.

    In an additive model, the squares of two streams are independent, although they share the original runs.
    """
    ratio = above["points"] / below["points"]
    low, high = (float(fdtri(above["freedom"], below["freedom"], p)) for p in ((1 - level) / 2, (1 + level) / 2))
    return ratio, ratio / sqrt(high), ratio / sqrt(low)


def say_redraw(frame: pd.DataFrame) -> str:
    """Return sentences on subset draw and initialization: their standard deviations, and the ratio of the two for each model."""
    if frame.empty:
        return NOTHING
    said = [
        f"{source} {_range(rows['points'])} points ({_range(rows['endless'])} in the limit of infinitely many test images)"
        for source, rows in frame[frame["source"].isin((REDRAWN, "initialization"))].groupby("source", sort=False)
    ]
    runs = frame.loc[frame["source"].isin(SINGLE), "runs"]
    ratios = [
        _say_ratio(str(model), rows.set_index("source").to_dict("index")) for model, rows in frame.groupby("model", sort=False)
    ]
    return (
        f"Standard deviations across the models: {'; '.join(said)}. Ratio of {REDRAWN} to initialization: {', '.join(ratios)}. "
        f"Each estimate rests on only {_count(runs)} {'pair' if runs.max() == 1 else 'pairs'} of runs."
    )


def _say_ratio(model: str, rows: dict) -> str:
    above, below = rows.get(REDRAWN), rows.get("initialization")
    if not (above and below and above["points"] and below["points"]):
        return f"{model} {text.MISSING}"
    ratio, low, high = ratio_interval(above, below)
    return f"{model} {ratio:.1f} [{low:.1f}, {high:.1f}]"


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.1f}", f"{values.max():.1f}"
    return low if low == high else f"{low} to {high}"


def _count(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def say_restart(frame: pd.DataFrame) -> str:
    """Return a list: the share of the variance that restarts alone show, and how much too short their error bar is."""
    if frame.empty:
        return NOTHING
    by_model = {model: rows.set_index("source").to_dict("index") for model, rows in frame.groupby("model", sort=False)}
    told = [_say_restart(str(model), rows[RESTART], rows[TOGETHER]) for model, rows in by_model.items() if RESTART in rows]
    return "\n".join(["Restarts alone, on one subset and with one class order, show:", "", *told])


def _say_restart(model: str, alone: dict, whole: dict) -> str:
    """Return the share of the variance that restarts show, with its interval, and the consequence for an error bar.

    The share is E Var(Y | draw, order) / Var(Y): the part of the variance that remains if the images are kept.
    """
    if not (alone["points"] > 0 and whole["points"] > 0):
        return f"* **{model}**: a share that cannot be estimated from these runs."
    bar = whole["points"] / alone["points"]
    told = f"{bar:.1f} times too short" if bar > 1 else "not too short"
    return f"* **{model}**: {_say_share(alone, whole)} of the variance between runs; an error bar from restarts is {told}."


def say_test_set(frame: pd.DataFrame) -> str:
    """Return two sentences that compare the effect of another test set with the effect of retraining."""
    if frame.empty:
        return NOTHING
    by_source = {source: rows.set_index("model")["points"] for source, rows in frame.groupby("source")}
    sampled, seen = by_source[TEST_SET], by_source[TOGETHER]
    larger = int((sampled > seen).sum())
    return (
        f"Standard deviation of the score of one trained model between test sets of this size: {_range(sampled)} points; between "
        f"trainings: {_range(seen)}. The test set has the larger effect in {larger} of {len(sampled)} "
        f"{'model' if len(sampled) == 1 else 'models'}."
    )
