"""Measure test-set peeking: how much picking the best look at the test set inflates a score.

A diagnostic run repeats the recorded run with the same seeds, and scores validation and test images during training. Nothing else
may be chosen by diagnostic runs. Our protocol takes the last weights, whatever the curve shows.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from scipy.special import stdtrit

from imagestudy.analysis import comparisons
from imagestudy.core import text
from imagestudy.core.errors import InputError, require_known
from imagestudy.core.specs import ProfileSpec, RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.models import models

KIND = "diagnostic"
PICKED_ON = {"test": 4, "validation": 3}
"""The column of the curve for each set of images on which the best look is picked."""
LOOKS = (1, 2, 5, 10, 20, 50, 100)
LEVEL = 0.95
COLUMNS = ("model", "family", "profile", "picked", "looks", "runs", "difference", "low", "high")
NOTHING = "This effort looks at no test image during training. Its entry `variance: diagnosed` in the study file names no model."


def check(*, looks: int) -> None:
    """Raise `InputError` if the number of looks is outside the limits of the curves."""
    if not 1 <= looks <= LOOKS[-1]:
        raise InputError(f"{looks} was given in parameter 'looks'; allowed: 1 to {LOOKS[-1]} looks at the test images")


def model_of(plan: Plan, given: str) -> str:
    """Return the model to show in the curves; an empty name means the first model with diagnostic runs, or "" without any."""
    allowed = plan.effort.variance.diagnosed
    return require_known(given, allowed, what="model", where="parameter 'model'") if given else (*allowed, "")[0]


def needs(plan: Plan) -> list[RunSpec]:
    """Return the diagnostic runs and the recorded runs that they repeat."""
    declared = grids.diagnostics(plan)
    return [*declared, *(spec.with_(kind="run") for spec in declared)]


def curves(records: Records, *, model: str) -> dict[str, list[Float[np.ndarray, "point column"]]]:
    """Return the curves of a model's diagnostic runs by title, such as `mlp, balanced`.

    The columns of a curve are: images seen, loss, and accuracy on the batches, on validation images and on test images.
    """
    found: dict[str, list[np.ndarray]] = {}
    for record in records.where(model=model, kind=KIND):
        found.setdefault(f"{model}, {record.spec.profile.label}", []).append(record.arrays["curve"])
    return found


def places(points: int, *, looks: int) -> Int64[np.ndarray, " look"]:
    """Return the points of a curve at which it is looked at: evenly spaced, always with the last point.

    A curve with fewer points than looks is looked at in every point.
    """
    return np.unique([-(-points * look // looks) - 1 for look in range(1, looks + 1)])


def pick(curve: Float[np.ndarray, "point column"], *, looks: int, on: str) -> int:
    """Return the point of the best look, picked on `test` or on `validation`; the last one if several are equally good."""
    looked = places(len(curve), looks=looks)[::-1]
    return int(looked[np.argmax(curve[looked, PICKED_ON[on]])])


def above_last(curve: Float[np.ndarray, "point column"], *, looks: int, on: str) -> float:
    """Return the balanced accuracy on test images at the best look minus that of the last weights; at least 0 if picked on test."""
    scores = curve[:, PICKED_ON["test"]]
    return float(scores[pick(curve, looks=looks, on=on)] - scores[-1])


def measure(records: Records, *, looks: Sequence[int]) -> pd.DataFrame:
    """Return how much picking the best look adds to the score of the last weights, picked on the test set and on validation.

    Args:
        records: the records of `needs`.
        looks: numbers of looks; a curve with fewer points is looked at in every point.

    Returns:
        One row per model, profile, number of looks and `picked`, the set on which the look was picked; no row without such runs.
        `difference` is the mean over the runs, with the 95 % t-interval over runs. The interval covers retraining, on these test
        images.
    """
    cells = records.where(kind=KIND).cells().values()
    rows = [row for cell in cells for row in _measure_cell([r.arrays["curve"] for r in cell], cell.records[0].spec, looks)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measure_cell(found: Sequence[np.ndarray], spec: RunSpec, looks: Sequence[int]) -> list[dict[str, object]]:
    described = {"model": spec.model.name, "family": models.entry(spec.model.name).facts["family"], "profile": spec.profile.label}
    rows: list[dict[str, object]] = []
    for number in dict.fromkeys(min(number, len(found[0])) for number in looks):
        for on in PICKED_ON:
            values = np.array([above_last(curve, looks=number, on=on) for curve in found])
            rows.append(described | {"picked": on, "looks": number} | _interval(values, least=0.0 if on == "test" else -1.0))
    return rows


def _interval(values: Float[np.ndarray, " run"], *, least: float) -> dict[str, int | float]:
    """Return the mean over the runs with its t-interval, cut at the smallest possible value.

    A single run has the largest possible interval.
    """
    runs, mean = len(values), float(values.mean())
    half = float(stdtrit(runs - 1, (1 + LEVEL) / 2)) * sqrt(values.var(ddof=1) / runs) if runs > 1 else np.inf
    return {"runs": runs, "difference": mean, "low": max(least, mean - half), "high": min(1.0, mean + half)}


def spread_out(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the differences in points with their intervals as text, one row per model.

    There is one column per profile and set on which the look was picked.
    """
    said = [text.fold_points(row) for _, row in frame.iterrows()]
    columns = [f"{row['profile']}, {row['picked']}" for row in frame.to_dict("records")]
    told = frame.assign(said=said, column=columns)
    wide = told.pivot_table(index="model", columns="column", values="said", sort=False, aggfunc="first").fillna(text.MISSING)
    return wide.rename_axis(columns=None).reset_index()


def say_same(records: Records) -> str:
    """Return a sentence: the largest difference between a diagnostic run's last look and the recorded score. It should be 0."""
    gaps = last_gaps(records)
    if not len(gaps):
        return NOTHING
    return (
        f"The last look of {len(gaps)} diagnostic {'run' if len(gaps) == 1 else 'runs'} differs by at most "
        f"{100 * np.abs(gaps).max():.2f} points from the recorded score of the run with the same seeds."
    )


def last_gaps(records: Records) -> Float[np.ndarray, " run"]:
    """Return the test score at the last look minus the recorded score of the run with the same seeds.

    Diagnostic runs without a recorded run are left out.
    """
    recorded = {record.spec.run_id: record.scores[comparisons.HEADLINE] for record in records.where(kind="run")}
    pairs = [(record, record.spec.with_(kind="run").run_id) for record in records.where(kind=KIND)]
    return np.array(
        [r.arrays["curve"][-1, PICKED_ON["test"]] - recorded[same] for r, same in pairs if same in recorded], np.float64
    )


def say_looks(frame: pd.DataFrame) -> str:
    """Return a sentence: how much test-set peeking adds with few and with many looks, averaged over models and profiles."""
    if frame.empty:
        return NOTHING
    means = 100 * frame.groupby(["picked", "looks"])["difference"].mean()
    few, most = (int(choose(frame.loc[frame["looks"] > 1, "looks"])) for choose in (min, max))
    test, honest = means["test"], means["validation"]
    return (
        f"On average over models and profiles, the best of {few} looks at the test set adds {test[few]:.1f} points, and the best "
        f"of {most} looks adds {test[most]:.1f}. Picked on validation, the best of {most} looks adds {text.signed(honest[most])}."
    )


def say(frame: pd.DataFrame, *, gain: float) -> str:
    """Return sentences: what test-set peeking adds, compared with picking on validation and with the gain of a typical remedy.

    Args:
        frame: the table of `measure`, with one number of looks.
        gain: the gain of a typical remedy under the imbalanced profile, as a fraction of 1; missing if there is none.
    """
    if frame.empty:
        return NOTHING
    test, honest = (100 * frame[frame["picked"] == on].set_index(["model", "profile"])["difference"] for on in PICKED_ON)
    most = max(test.index, key=lambda one: test[one])
    apart = max(float(np.ptp(rows)) for _, rows in test.groupby("profile"))
    number = int(frame["looks"].max())
    looks = f"{number} look" if number == 1 else f"{number} looks"
    told = (
        f"Picking the best of {looks} on the test set adds {test.min():.1f} to {test.max():.1f} "
        f"points, most for {' under '.join(most)}. Picking it on validation adds {text.signed(honest.min())} to "
        f"{text.signed(honest.max())}. Between two models under the same profile, the effect of peeking differs by up to "
        f"{apart:.1f} points."
    )
    imbalanced = test[test.index.get_level_values("profile") != ProfileSpec().label]
    if imbalanced.empty or not np.isfinite(gain):
        return told
    return (
        f"{told} Under imbalance, peeking adds {imbalanced.mean():.1f} points on average over the models. The median gain of a "
        f"remedy over plain training of the same models is {text.signed(100 * gain)}."
    )
