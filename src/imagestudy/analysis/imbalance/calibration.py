"""Whether the probabilities can be believed: as they come, with the prior put right, and after one temperature on top.

What is fitted is fitted on validation: first the prior, then the temperature.
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
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, title_of
from imagestudy.core import text
from imagestudy.experiments.records import Record, labels_key
from imagestudy.metrics import classification

RAW, CORRECTED, TEMPERED = STAGES = ("as it comes", "prior put right", "and tempered")
SCORES = {"ece": "ECE", "brier": "Brier score", "nll": "NLL"}
ALL = "all"
BRIER_UNIT = 2.0
"""The most that one image can move its Brier score."""

Labels = dict[str, Int64[np.ndarray, " image"]]
Logs = Float[np.ndarray, "image class"]
Members = dict[str, Bool[np.ndarray, " image"]]


@dataclass(frozen=True)
class Believed:
    """What the probabilities of one run say of each test image, and what is true.

    Args:
        confidence: the largest probability.
        right: 1 where the likeliest class is the true one, else 0.
        brier: Σ_c (p_c − [y = c])².
        nll: −log p_y, nats.
    """

    confidence: Float[np.ndarray, " image"]
    right: Float[np.ndarray, " image"]
    brier: Float[np.ndarray, " image"]
    nll: Float[np.ndarray, " image"]

    def scores(self, inside: Bool[np.ndarray, " image"]) -> dict[str, float]:
        """ECE, Brier score, NLL, accuracy and mean confidence of some of the images."""
        gaps = gaps_by_bin(self.confidence[inside], self.right[inside])
        means = {name: float(getattr(self, name)[inside].mean()) for name in ("brier", "nll", "right", "confidence")}
        return {"ece": float(np.abs(gaps.sum(axis=0)).sum() / inside.sum())} | means


@dataclass(frozen=True)
class Calibrated:
    """Every remedy of one model under the first profile.

    Args:
        runs: remedy → seed → stage → the run.
        fitted: remedy → seed → `tau` and `temperature`.
        groups: seed → "all", "head", "middle", "tail" → which test images are in it, by the run's own counts.
        labels: of the test images.
        comparisons: how many remedies are declared together.
    """

    runs: dict[str, dict[int, dict[str, Believed]]]
    fitted: dict[str, dict[int, dict[str, float]]]
    groups: dict[int, Members]
    labels: Int64[np.ndarray, " image"]
    comparisons: int


def calibrate(shown: Shown, model: str) -> Calibrated:
    """Correct all runs of one model under the first profile, see `correct`."""
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
    """One run at each stage, and what validation chose for it.

    The prior is put right for the class shares of the validation images, by the τ of the lowest NLL there; then one temperature
    is fitted to what results (Guo et al. 2017).

    Args:
        record: with the log-probabilities of validation and test images.
        labels: of the `validation` and the `test` images.
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
    """The τ with the lowest NLL on validation; NLL is convex in τ, so that there is one minimum."""
    losses = [classification.nll(reprior(log_probabilities, counts, prior, tau=tau), labels) for tau in TAUS]
    return float(TAUS[int(np.argmin(losses))])


def believe(log_probabilities: Logs, labels: Int64[np.ndarray, " image"]) -> Believed:
    """See `Believed`."""
    probabilities, rows = np.exp(log_probabilities), np.arange(len(labels))
    return Believed(
        confidence=probabilities.max(axis=1),
        right=(log_probabilities.argmax(axis=1) == labels).astype(np.float64),
        brier=np.sum(probabilities**2, axis=1) - 2 * probabilities[rows, labels] + 1,
        nll=-log_probabilities[rows, labels],
    )


def bins_of(confidence: Float[np.ndarray, " image"]) -> Int64[np.ndarray, " image"]:
    """The bin of each confidence, of fifteen equal ones closed on the right, as in `metrics.ece`."""
    return np.clip(np.ceil(confidence * classification.ECE_BINS).astype(np.int64) - 1, 0, classification.ECE_BINS - 1)


def gaps_by_bin(confidence: Float[np.ndarray, " image"], right: Float[np.ndarray, " image"]) -> Float[np.ndarray, "image bin"]:
    """Right minus confidence of each image in the column of its bin, so that ECE = Σ_b |Σ_i gap_ib| / n."""
    return np.eye(classification.ECE_BINS)[bins_of(confidence)] * (right - confidence)[:, None]


def calibration(calibrated: Calibrated) -> pd.DataFrame:
    """One row a remedy, stage and group of test images: means over runs.

    Groups are of true classes. Within one of them even right probabilities show a gap, since they do not know the true class; there
    `right` and `confidence` say which way it goes.

    Returns:
        `remedy`, `stage`, `group`, `ece`, `brier`, `nll`, `right` (accuracy), `confidence` (its mean), and `tau` and `temperature`,
        medians over runs of what validation chose.
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
    """What each remedy costs in calibration at one stage: its scores minus those of `none` at the same stage, over all test images.

    Every interval is at the level of all remedies declared together. No margin was fixed beforehand for calibration, so that a
    score is higher (worse), lower (better) or undecided.

    Returns:
        One row a remedy and score: `remedy`, `score`, `difference`, `low`, `high`, `verdict`.
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
    """ECE, Brier score or NLL of some runs minus that of runs paired with them, for another training and another test set.

    Brier score and NLL are means over images and take `stats.crossed_interval`; the ECE takes `stats.bootstrap_interval`.

    Args:
        ours: the runs of one side.
        theirs: those of the other.
        labels: of the test images.
        score: `ece`, `brier` or `nll`.
        level: nominal coverage.
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
    """The costs in calibration with a column a score: hundredths, interval and verdict; see `calibration_costs`."""
    said = {(row["remedy"], row["score"]): f"{text.fold_points(row)} {row['verdict']}" for _, row in frame.iterrows()}
    return pd.DataFrame(
        [{"remedy": title} | {score: said[title, score] for score in SCORES} for title in dict.fromkeys(frame["remedy"])]
    )


def say_costs(frames: dict[str, pd.DataFrame]) -> str:
    """One bullet a stage: how many remedies are worse and better calibrated than `none`, by score.

    Args:
        frames: stage → `calibration_costs`.
    """
    return "\n".join(f"* *{stage}*: {'; '.join(_count(frame, score) for score in SCORES)}." for stage, frame in frames.items())


def _count(frame: pd.DataFrame, score: str) -> str:
    verdicts = list(frame.loc[frame["score"] == score, "verdict"])
    worse, better = verdicts.count("higher"), verdicts.count("lower")
    return f"in {SCORES[score]} {worse} of {len(verdicts)} are worse than {PLAIN}, {better} better"


def by_group(frame: pd.DataFrame, remedies: Sequence[str]) -> pd.DataFrame:
    """One row a remedy and group: each score at the three stages, as text with arrows between them.

    Args:
        frame: of `calibration`.
        remedies: names of those that are shown.
    """
    rows = []
    for title in map(title_of, remedies):
        for group, own in frame[frame["remedy"] == title].groupby("group", sort=False):
            told = {score: " → ".join(text.plain(value, digits=2) for value in own[score]) for score in SCORES}
            rows.append({"remedy": title, "group": group} | told)
    return pd.DataFrame(rows)


def reliability(calibrated: Calibrated, remedies: Sequence[str]) -> pd.DataFrame:
    """How often a run is right where it is so sure: one row a remedy, stage, bin of confidence, and seed or all runs pooled.

    Returns:
        `remedy`, `stage`, `seed` (−1 where runs are pooled), `bin`, `confidence` and `right` (means in the bin), and `share` of the
        images.
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
    """Bins without images have no row."""
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
    """For each remedy, by how much the stated confidence exceeds the accuracy at each stage, runs pooled.

    Args:
        frame: of `reliability`.
    """
    pooled = frame[frame["seed"] == -1]
    said = []
    for title, own in pooled.groupby("remedy", sort=False):
        parts = [f"{_excess(rows)} {stage}" for stage, rows in own.groupby("stage", sort=False)]
        said.append(f"With {title}, confidence minus accuracy, in points: {', '.join(parts)}.")
    return " ".join(said)


def _excess(rows: pd.DataFrame) -> str:
    return text.signed(100 * float(((rows["confidence"] - rows["right"]) * rows["share"]).sum()))
