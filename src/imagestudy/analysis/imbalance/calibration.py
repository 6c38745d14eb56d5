"""Measure how well the predicted probabilities are calibrated, at three stages of correction.

The stages are: predictions as they come, with the prior corrected, and with one temperature in addition. The strength of the prior
correction and the temperature are fitted on validation images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

from imagestudy import stats
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.prior_shift import TAUS, reprior
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, say_remedy, say_title, title_of
from imagestudy.core import text
from imagestudy.experiments.records import Record, labels_key
from imagestudy.metrics import classification

RAW, CORRECTED, TEMPERED = STAGES = ("as they come", "prior corrected", "prior and temperature corrected")
SCORES = {"ece": "ECE", "brier": "Brier score", "nll": "NLL"}
ALL = "all"
BRIER_UNIT = 2.0
"""The largest possible change of the Brier score of one image."""

Labels = dict[str, Int64[np.ndarray, " image"]]
Logs = Float[np.ndarray, "image class"]
Members = dict[str, Bool[np.ndarray, " image"]]


@dataclass(frozen=True)
class Believed:
    """Confidence, correctness, Brier score and negative log-likelihood (NLL) of one run on each test image.

    Args:
        confidence: the largest probability.
        right: 1 if the most likely class is the true class, otherwise 0.
        brier: Σ_c (p_c − [y = c])².
        nll: −log p_y, in nats.
    """

    confidence: Float[np.ndarray, " image"]
    right: Float[np.ndarray, " image"]
    brier: Float[np.ndarray, " image"]
    nll: Float[np.ndarray, " image"]

    def scores(self, inside: Bool[np.ndarray, " image"]) -> dict[str, float]:
        """Return the ECE, Brier score, NLL, accuracy and mean confidence of the images where `inside` is true."""
        gaps = gaps_by_bin(self.confidence[inside], self.right[inside])
        means = {name: float(getattr(self, name)[inside].mean()) for name in ("brier", "nll", "right", "confidence")}
        return {"ece": float(np.abs(gaps.sum(axis=0)).sum() / inside.sum())} | means


@dataclass(frozen=True)
class Calibrated:
    """All runs of one model under the first profile, at every stage of correction.

    Args:
        runs: the run, by remedy, seed and stage.
        fitted: `tau` and `temperature`, by remedy and seed.
        groups: for each seed, which test images belong to "all", "head", "middle" and "tail", by the class counts of the run.
        labels: labels of the test images.
        comparisons: number of remedies that are corrected together for multiple comparisons.
    """

    runs: dict[str, dict[int, dict[str, Believed]]]
    fitted: dict[str, dict[int, dict[str, float]]]
    groups: dict[int, Members]
    labels: Int64[np.ndarray, " image"]
    comparisons: int


def calibrate(shown: Shown, model: str) -> Calibrated:
    """Correct all runs of one model under the first profile; see `correct`."""
    cells, labels = shown.cells(model), shown.records.labels
    made = {
        name: {record.spec.seed: correct(record, labels[labels_key(record.spec.dataset)]) for record in cell}
        for name, cell in cells.items()
    }
    test = cells[PLAIN].test_labels()
    groups = {record.spec.seed: _members(record, test) for cell in cells.values() for record in cell}
    runs, fitted = ({name: {seed: two[part] for seed, two in cell.items()} for name, cell in made.items()} for part in (0, 1))
    return Calibrated(runs, fitted, groups, test, declared_remedies(shown, rank=0))  # type: ignore[arg-type]


def _members(record: Record, labels: Int64[np.ndarray, " image"]) -> Members:
    groups = classification.groups(np.array(record.facts["counts"], dtype=np.int64))
    return {ALL: np.ones(len(labels), dtype=np.bool_)} | {name: np.isin(labels, classes) for name, classes in groups.items()}


def correct(record: Record, labels: Labels) -> tuple[dict[str, Believed], dict[str, float]]:
    """Return one run at each stage of correction, and the constants `tau` and `temperature` fitted on validation.

    First, the prior is corrected for the class shares of the validation images, by the τ with the lowest NLL on them. Then one
    temperature is fitted to the corrected predictions (Guo et al. 2017).

    Args:
        record: a run with the log-probabilities of validation and test images.
        labels: labels of the `validation` and the `test` images.
    """
    counts = np.array(record.facts["counts"], dtype=np.int64)
    raw = {part: classification.normalize(record.arrays[part]) for part in ("validation", "test")}
    prior = np.bincount(labels["validation"], minlength=len(counts)) / len(labels["validation"])
    tau = pick_tau_by_nll(raw["validation"], labels["validation"], counts, prior)
    righted = {part: reprior(logs, counts, prior, tau=tau) for part, logs in raw.items()}
    temperature = classification.fit_temperature(righted["validation"], labels["validation"])
    tempered = classification.temper(righted["test"], temperature=temperature)
    logs = zip(STAGES, (raw["test"], righted["test"], tempered), strict=True)
    return {stage: believe(one, labels["test"]) for stage, one in logs}, {"tau": tau, "temperature": temperature}


def pick_tau_by_nll(
    log_probabilities: Logs,
    labels: Int64[np.ndarray, " image"],
    counts: Int64[np.ndarray, " class"],
    prior: Float[np.ndarray, " class"],
) -> float:
    """Return the τ with the lowest NLL on validation. The NLL is convex in τ, so it has one minimum."""
    losses = [classification.nll(reprior(log_probabilities, counts, prior, tau=tau), labels) for tau in TAUS]
    return float(TAUS[int(np.argmin(losses))])


def believe(log_probabilities: Logs, labels: Int64[np.ndarray, " image"]) -> Believed:
    """Return the confidence, correctness, Brier score and NLL of each image; see `Believed`."""
    probabilities, rows = np.exp(log_probabilities), np.arange(len(labels))
    return Believed(
        confidence=probabilities.max(axis=1),
        right=(log_probabilities.argmax(axis=1) == labels).astype(np.float64),
        brier=np.sum(probabilities**2, axis=1) - 2 * probabilities[rows, labels] + 1,
        nll=-log_probabilities[rows, labels],
    )


def bins_of(confidence: Float[np.ndarray, " image"]) -> Int64[np.ndarray, " image"]:
    """Return the bin of each confidence, as in `classification.ece`: fifteen bins of equal width, closed on the right."""
    return np.clip(np.ceil(confidence * classification.ECE_BINS).astype(np.int64) - 1, 0, classification.ECE_BINS - 1)


def gaps_by_bin(confidence: Float[np.ndarray, " image"], right: Float[np.ndarray, " image"]) -> Float[np.ndarray, "image bin"]:
    """Return correctness minus confidence of each image, in the column of its bin, so that ECE = Σ_b |Σ_i gap_ib| / n."""
    return np.eye(classification.ECE_BINS)[bins_of(confidence)] * (right - confidence)[:, None]


def calibration(calibrated: Calibrated) -> pd.DataFrame:
    """Return the calibration scores of each remedy, stage and group of test images, averaged over the runs.

    The groups are formed by true class. Within a group, even correct probabilities show a gap, because they do not know the true
    class. The columns `right` and `confidence` show the direction of the gap.

    Returns:
        `remedy`, `stage`, `group`, `ece`, `brier`, `nll`, `right` (accuracy), `confidence` (mean confidence), and `tau` and
        `temperature`, the medians over the runs of the fitted constants.
    """
    rows = []
    for name, runs in calibrated.runs.items():
        chosen = {
            what: float(np.median([one[what] for one in calibrated.fitted[name].values()])) for what in ("tau", "temperature")
        }
        for stage in STAGES:
            for group in next(iter(calibrated.groups.values())):
                scores = [stages[stage].scores(calibrated.groups[seed][group]) for seed, stages in runs.items()]
                means = pd.DataFrame(scores).mean().to_dict()
                rows.append({"remedy": title_of(name), "stage": stage, "group": group} | means | chosen)
    return pd.DataFrame(rows)


def calibration_costs(calibrated: Calibrated, stage: str) -> pd.DataFrame:
    """Return the calibration scores of each remedy minus those of plain training, at one stage, over all test images.

    Every interval is corrected for all remedies together. No margin was fixed beforehand for calibration, so a score is higher
    (worse), lower (better) or undecided, and never equivalent.

    Returns:
        One row per remedy and score: `remedy`, `score`, `difference`, `low`, `high`, `verdict`.
    """
    level = stats.corrected_level(calibrated.comparisons)
    plain = calibrated.runs[PLAIN]
    rows = []
    for name in (name for name in calibrated.runs if name != PLAIN):
        seeds = sorted(calibrated.runs[name].keys() & plain.keys())
        ours, theirs = ([runs[seed][stage] for seed in seeds] for runs in (calibrated.runs[name], plain))
        for score in SCORES:
            interval = score_difference(ours, theirs, calibrated.labels, score=score, level=level)
            bounds = {"difference": interval.estimate, "low": interval.low, "high": interval.high}
            said = {"remedy": title_of(name), "score": score}
            rows.append(said | bounds | {"verdict": stats.decide(interval, margin=0.0)})
    return pd.DataFrame(rows)


def score_difference(
    ours: Sequence[Believed], theirs: Sequence[Believed], labels: Int64[np.ndarray, " image"], *, score: str, level: float
) -> stats.Interval:
    """Return the difference in ECE, Brier score or NLL between paired runs, with its interval.

    The interval covers retraining and new test images. The Brier score and the NLL are means over images and use
    `stats.crossed_interval`; the ECE uses `stats.bootstrap_interval`.

    Args:
        ours: the runs of one side.
        theirs: the runs of the other side, in the same order.
        labels: labels of the test images.
        score: `ece`, `brier` or `nll`.
        level: the confidence level of the interval, in (0, 1).
    """
    if score == "ece":
        return _ece_difference(ours, theirs, labels, level=level)
    first, second = (np.stack([getattr(one, score) for one in side]) for side in (ours, theirs))
    weights = np.full(len(labels), 1 / len(labels))
    unit = BRIER_UNIT if score == "brier" else max(float(np.abs(first - second).max()), 1.0)
    return stats.crossed_interval(first - second, weights=weights, strata=labels, level=level, unit=unit)


def _ece_difference(
    ours: Sequence[Believed], theirs: Sequence[Believed], labels: Int64[np.ndarray, " image"], *, level: float
) -> stats.Interval:
    wide = [np.concatenate([gaps_by_bin(one.confidence, one.right) for one in side], axis=1) for side in (ours, theirs)]

    def statistic(
        run_weights: Float[np.ndarray, "draw run"], image_weights: Float[np.ndarray, "draw image"]
    ) -> Float[np.ndarray, " draw"]:
        shape = (len(image_weights), len(ours), classification.ECE_BINS)
        first, second = (np.abs(image_weights @ gaps).reshape(shape).sum(axis=2) for gaps in wide)
        return (run_weights * (first - second)).sum(axis=1) / (len(ours) * len(labels))

    rng = np.random.default_rng(0)
    return stats.bootstrap_interval(statistic, runs=len(ours), strata=labels, level=level, rng=rng, limits=(-1.0, 1.0))


def spread_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `calibration_costs` with one column per score: difference in hundredths, interval and verdict."""
    said = {(row["remedy"], row["score"]): f"{text.fold_points(row)} {row['verdict']}" for _, row in frame.iterrows()}
    return pd.DataFrame(
        [{"remedy": title} | {score: said[title, score] for score in SCORES} for title in dict.fromkeys(frame["remedy"])]
    )


def say_costs(frames: dict[str, pd.DataFrame]) -> str:
    """Return one bullet per stage: how many remedies are calibrated worse and better than plain training, by score.

    Args:
        frames: the table of `calibration_costs` for each stage.
    """
    return "\n".join(f"* *{stage}*: {'; '.join(_count(frame, score) for score in SCORES)}." for stage, frame in frames.items())


def _count(frame: pd.DataFrame, score: str) -> str:
    verdicts = list(frame.loc[frame["score"] == score, "verdict"])
    worse, better = verdicts.count("higher"), verdicts.count("lower")
    are = ["is" if number == 1 else "are" for number in (worse, better)]
    return f"in {SCORES[score]}, {worse} of {len(verdicts)} {are[0]} worse than {say_remedy(PLAIN)}, and {better} {are[1]} better"


def by_group(frame: pd.DataFrame, remedies: Sequence[str]) -> pd.DataFrame:
    """Return one row per remedy and group, with each score at the three stages as text, such as `0.12 → 0.05 → 0.04`.

    Args:
        frame: the table of `calibration`.
        remedies: names of the remedies to show.
    """
    rows = []
    for title in map(title_of, remedies):
        for group, own in frame[frame["remedy"] == title].groupby("group", sort=False):
            told = {score: " → ".join(text.plain(value, digits=2) for value in own[score]) for score in SCORES}
            rows.append({"remedy": title, "group": group} | told)
    return pd.DataFrame(rows)


def reliability(calibrated: Calibrated, remedies: Sequence[str]) -> pd.DataFrame:
    """Return the accuracy in each bin of confidence, per remedy and stage, for each run and for all runs pooled.

    Returns:
        `remedy`, `stage`, `seed` (−1 for all runs pooled), `bin`, `confidence` and `right` (means in the bin), and `share`, the
        share of the images in the bin.
    """
    rows: list[dict[str, Any]] = []
    for name in remedies:
        for stage in STAGES:
            runs = {seed: stages[stage] for seed, stages in calibrated.runs[name].items()}
            pairs = {seed: (one.confidence, one.right) for seed, one in runs.items()}
            pooled = tuple(np.concatenate(side) for side in zip(*pairs.values(), strict=True))
            for seed, (confidence, right) in ({-1: pooled} | pairs).items():
                said = {"remedy": title_of(name), "stage": stage, "seed": seed}
                rows += [said | row for row in _rows_of_bins(confidence, right)]
    return pd.DataFrame(rows)


def _rows_of_bins(confidence: Float[np.ndarray, " image"], right: Float[np.ndarray, " image"]) -> list[dict[str, Any]]:
    """Return one row per bin: its number, mean confidence, accuracy and share of the images. Empty bins have no row."""
    inside = bins_of(confidence)
    return [
        {
            "bin": int(number),
            "confidence": float(confidence[inside == number].mean()),
            "right": float(right[inside == number].mean()),
            "share": float((inside == number).mean()),
        }
        for number in np.unique(inside)
    ]


def say_reliability(frame: pd.DataFrame) -> str:
    """Return one sentence per remedy: mean confidence minus accuracy at each stage, over all runs pooled.

    Args:
        frame: the table of `reliability`.
    """
    pooled = frame[frame["seed"] == -1]
    said = []
    for title, own in pooled.groupby("remedy", sort=False):
        parts = [f"{_excess(rows)} ({stage})" for stage, rows in own.groupby("stage", sort=False)]
        said.append(f"Confidence minus accuracy for {say_title(str(title))}, in points: {', '.join(parts)}.")
    return " ".join(said)


def _excess(rows: pd.DataFrame) -> str:
    return text.signed(100 * float(((rows["confidence"] - rows["right"]) * rows["share"]).sum()))
