"""The optimism of picking the best look at the test set, measured: diagnostic runs, by which nothing else may be chosen.

A diagnostic run trains as the recorded run of the same seeds does, and looks at validation and test images while it goes. Our
protocol takes the last weights, whatever the curve says.
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
"""What the best look is picked on → its column of the curve."""
LOOKS = (1, 2, 5, 10, 20, 50, 100)
LEVEL = 0.95
COLUMNS = ("model", "family", "profile", "picked", "looks", "runs", "difference", "low", "high")
NOTHING = "This effort looks at no test image during training: its entry `diagnosed` in the study file names no model."


def check(*, looks: int) -> None:
    """Raise `InputError` unless the number of looks is one that the curves can give."""
    if not 1 <= looks <= LOOKS[-1]:
        raise InputError(f"{looks} was given in parameter 'looks'; allowed: 1 to {LOOKS[-1]} looks at the test images")


def model_of(plan: Plan, given: str) -> str:
    """The model whose curves are shown; an empty name is the first that the effort diagnoses, if it does any."""
    allowed = plan.effort.diagnosed
    return require_known(given, allowed, what="model", where="parameter 'model'") if given else (*allowed, "")[0]


def grid(plan: Plan) -> list[RunSpec]:
    """The diagnostic runs and the recorded ones that they repeat."""
    declared = grids.diagnostics(plan)
    return [*declared, *(spec.with_(kind="run") for spec in declared)]


def curves(records: Records, *, model: str) -> dict[str, list[Float[np.ndarray, "point column"]]]:
    """`model, profile` → the curves of its diagnostic runs: images seen, loss, accuracy on the batches, on validation, on test."""
    found: dict[str, list[np.ndarray]] = {}
    for record in records.where(model=model, kind=KIND):
        found.setdefault(f"{model}, {record.spec.profile.label}", []).append(record.arrays["curve"])
    return found


def places(points: int, *, looks: int) -> Int64[np.ndarray, " look"]:
    """Where a curve of so many points is looked at: evenly, the last point always; at every point if it has no more of them."""
    return np.unique([-(-points * look // looks) - 1 for look in range(1, looks + 1)])


def pick(curve: Float[np.ndarray, "point column"], *, looks: int, on: str) -> int:
    """The point of the best look, as picked on `test` or on `validation`: the last of equals, since a tie is no reason to stop."""
    looked = places(len(curve), looks=looks)[::-1]
    return int(looked[np.argmax(curve[looked, PICKED_ON[on]])])


def above_last(curve: Float[np.ndarray, "point column"], *, looks: int, on: str) -> float:
    """Balanced accuracy on the test images at the best look minus that of the last weights; never below 0 if picked on test."""
    scores = curve[:, PICKED_ON["test"]]
    return float(scores[pick(curve, looks=looks, on=on)] - scores[-1])


def measure(records: Records, *, looks: Sequence[int]) -> pd.DataFrame:
    """What picking the best look adds to the score of the last weights, on the test set and on validation.

    Args:
        records: of `grid`.
        looks: numbers of looks; a curve of fewer points is looked at as often as it can be.

    Returns:
        One row a model, profile, number of looks and `picked`, what the look was picked on; no row where there are no such runs.
        `difference` is a mean over runs, with the 95 % t-interval over runs: for another training, on these test images.
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
    """Mean over runs with its t-interval, cut at the least that it can be; endless for a single run."""
    runs, mean = len(values), float(values.mean())
    half = float(stdtrit(runs - 1, (1 + LEVEL) / 2)) * sqrt(values.var(ddof=1) / runs) if runs > 1 else np.inf
    return {"runs": runs, "difference": mean, "low": max(least, mean - half), "high": min(1.0, mean + half)}


def spread_out(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a model, and a column for each profile and what the look was picked on: points with their interval."""
    said = [text.fold_points(row) for _, row in frame.iterrows()]
    columns = [f"{row['profile']}, {row['picked']}" for row in frame.to_dict("records")]
    told = frame.assign(said=said, column=columns)
    wide = told.pivot_table(index="model", columns="column", values="said", sort=False, aggfunc="first").fillna(text.MISSING)
    return wide.rename_axis(columns=None).reset_index()


def say_same(records: Records) -> str:
    """How far the last look of each diagnostic run is from the recorded score of the run that it repeats: it should be nowhere."""
    gaps = last_gaps(records)
    if not len(gaps):
        return NOTHING
    return (
        f"The last look of {len(gaps)} diagnostic runs is at most {100 * np.abs(gaps).max():.2f} points from the recorded score "
        "of the run with the same seeds."
    )


def last_gaps(records: Records) -> Float[np.ndarray, " run"]:
    """Test score at the last look minus the recorded one of the run with the same seeds, for each diagnostic run that has both."""
    recorded = {record.spec.run_id: record.scores[comparisons.HEADLINE] for record in records.where(kind="run")}
    pairs = [(record, record.spec.with_(kind="run").run_id) for record in records.where(kind=KIND)]
    return np.array(
        [r.arrays["curve"][-1, PICKED_ON["test"]] - recorded[same] for r, same in pairs if same in recorded], np.float64
    )


def say_looks(frame: pd.DataFrame) -> str:
    """How the optimism grows with the number of looks, as a mean over models and profiles."""
    if frame.empty:
        return NOTHING
    means = 100 * frame.groupby(["picked", "looks"])["difference"].mean()
    few, most = (int(choose(frame.loc[frame["looks"] > 1, "looks"])) for choose in (min, max))
    test, honest = means["test"], means["validation"]
    return (
        f"As a mean over models and profiles, the best of {few} looks at the test set adds {test[few]:.1f} points, of {most} looks "
        f"{test[most]:.1f}. Picked on validation, the best of {most} looks adds {text.signed(honest[most])}."
    )


def say(frame: pd.DataFrame, *, gain: float) -> str:
    """How much too good the best look on the test set is, next to what an honest pick gives and to what a remedy gains.

    Args:
        frame: of `measure`, with one number of looks.
        gain: of a typical remedy under the imbalanced profile, a share; missing if there is none.
    """
    if frame.empty:
        return NOTHING
    test, honest = (100 * frame[frame["picked"] == on].set_index(["model", "profile"])["difference"] for on in PICKED_ON)
    most = max(test.index, key=lambda one: test[one])
    apart = max(float(np.ptp(rows)) for _, rows in test.groupby("profile"))
    told = (
        f"Picking the best of {int(frame['looks'].max())} looks on the test set adds {test.min():.1f} to {test.max():.1f} points, "
        f"most with {' under '.join(most)}; picking it on validation adds {text.signed(honest.min())} to "
        f"{text.signed(honest.max())}. Between two models under one profile the optimism differs by up to {apart:.1f} points."
    )
    imbalanced = test[test.index.get_level_values("profile") != ProfileSpec().label]
    if imbalanced.empty or not np.isfinite(gain):
        return told
    return (
        f"{told} Under imbalance it is {imbalanced.mean():.1f} points as a mean over the models, where the median gain of a remedy "
        f"over plain training of the same models is {text.signed(100 * gain)}."
    )
