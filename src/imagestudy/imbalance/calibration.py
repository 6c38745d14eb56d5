"""Whether the probabilities can be believed: calibration under each remedy, as it comes and after one temperature."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy import compare, metrics, stats, tables
from imagestudy.imbalance.gains import declared_remedies
from imagestudy.imbalance.shown import PLAIN, Shown, title_of
from imagestudy.records import Records

Logs = Float[np.ndarray, "run image class"]


def calibration(shown: Shown, model: str) -> pd.DataFrame:
    """One row a remedy of one model under the first profile.

    The difference of the ECE to that of `none` is judged by `stats.bootstrap_interval` at the level of all remedies declared
    together; no margin of equivalence was fixed beforehand for calibration, so that it is higher, lower or undecided.

    Returns:
        `remedy`; `ece` and `nll`, means over runs as they come; `against`, the difference of the ECE in points, and its `verdict`;
        `temperature`, its mean, fitted in every run on validation (Guo et al. 2017); `ece_after` and `nll_after`.
    """
    cells = shown.cells(model)
    plain = cells[PLAIN]
    level = stats.corrected_level(declared_remedies(shown, rank=0))
    return pd.DataFrame([_row(name, cell, plain, level) for name, cell in cells.items()])


def _row(name: str, cell: Records, plain: Records, level: float) -> dict[str, object]:
    temperatures = [record.facts["temperature"] for record in cell]
    labels = cell.test_labels()
    raw = _logs(cell)
    after = np.stack([metrics.temper(logs, temperature=t) for logs, t in zip(raw, temperatures, strict=True)])
    means = {
        f"{score}{when}": float(np.mean([_score(score, one, labels) for one in logs]))
        for when, logs in (("", raw), ("_after", after))
        for score in ("ece", "nll")
    }
    return {"remedy": title_of(name)} | means | {"temperature": float(np.mean(temperatures))} | _against_plain(cell, plain, level)


def _score(name: str, logs: Float[np.ndarray, "image class"], labels: Int64[np.ndarray, " image"]) -> float:
    return metrics.ece(np.exp(logs), labels) if name == "ece" else metrics.nll(logs, labels)


def _logs(cell: Records) -> Logs:
    return np.stack([metrics.normalize(record.arrays["test"]) for record in cell])


def _against_plain(cell: Records, plain: Records, level: float) -> dict[str, object]:
    """The difference of ECE to plain training; nothing for plain training itself."""
    if cell.records[0].spec.remedy == plain.records[0].spec.remedy:
        return {"against": tables.MISSING, "verdict": tables.MISSING}
    ours, theirs = compare.paired(cell, plain)
    interval = ece_difference(_logs(ours), _logs(theirs), ours.test_labels(), level=level)
    bounds = pd.Series({"difference": interval.estimate, "low": interval.low, "high": interval.high})
    return {"against": tables.fold_points(bounds), "verdict": stats.decide(interval, margin=0.0)}


def ece_difference(ours: Logs, theirs: Logs, labels: Int64[np.ndarray, " image"], *, level: float) -> stats.Interval:
    """The ECE of some runs minus that of runs paired with them, for another training and another test set.

    Args:
        ours: log-probabilities.
        theirs: the same of the other side.
        labels: of the test images.
        level: nominal coverage.
    """
    gaps = [[_gaps(logs, labels) for logs in side] for side in (ours, theirs)]

    def statistic(
        run_weights: Float[np.ndarray, "draw run"], image_weights: Float[np.ndarray, "draw image"]
    ) -> Float[np.ndarray, " draw"]:
        first, second = (np.stack([np.abs(image_weights @ gap).sum(axis=1) for gap in side], axis=1) for side in gaps)
        return (run_weights * (first - second)).sum(axis=1) / (len(ours) * len(labels))

    rng = np.random.default_rng(0)
    return stats.bootstrap_interval(statistic, runs=len(ours), strata=labels, level=level, rng=rng, limits=(-1.0, 1.0))


def _gaps(logs: Float[np.ndarray, "image class"], labels: Int64[np.ndarray, " image"]) -> Float[np.ndarray, "image bin"]:
    """Hit minus confidence of each image in the column of its bin, so that ECE = Σ_b |Σ_i gap_ib| / n, as `metrics.ece`."""
    confidence = np.exp(logs.max(axis=1))
    inside = np.clip(np.ceil(confidence * metrics.ECE_BINS).astype(np.int64) - 1, 0, metrics.ECE_BINS - 1)
    return np.eye(metrics.ECE_BINS)[inside] * ((logs.argmax(axis=1) == labels) - confidence)[:, None]
