"""Labels and probabilities to scores.

Scores are shares of 1. A class without test images, or an empty group of classes, has no score: it is missing, never 0.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

ECE_BINS = 15
TEMPERATURES = (0.02, 50.0)


def accuracy(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"]) -> float:
    """Share of images that are predicted right, in [0, 1]."""
    _require_images(labels)
    return float(np.mean(predicted == labels))


def per_class_recall(
    predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int
) -> Float[np.ndarray, " class"]:
    """Share of each class's images that are predicted right, in [0, 1]; NaN for a class without images.

    Args:
        predicted: predicted class of each image.
        labels: true class of each image, in [0, classes).
        classes: number of classes.
    """
    _require_images(labels)
    images = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return np.divide(right, images, out=np.full(classes, np.nan), where=images > 0)


def balanced_accuracy(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Mean of the classes' recalls, in [0, 1] (Brodersen et al. 2010); `ValueError` if a class has no images."""
    return float(np.mean(_all_recalls(predicted, labels, classes=classes)))


def g_mean(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Geometric mean of the classes' recalls, in [0, 1]; 0 as soon as one class is never found (Kubat & Matwin 1997)."""
    return float(np.prod(_all_recalls(predicted, labels, classes=classes) ** (1 / classes)))


def worst_class(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Smallest recall of a class, in [0, 1]; `ValueError` if a class has no images."""
    return float(np.min(_all_recalls(predicted, labels, classes=classes)))


def macro_f1(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN), in [0, 1]; `ValueError` if a class has no images."""
    _require_all_classes(labels, classes=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return float(np.mean(2 * right / (np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes))))


def groups(counts: Int64[np.ndarray, " class"]) -> dict[str, Int64[np.ndarray, " _"]]:
    """Classes of the head, the middle and the tail, by rank thirds of the training counts.

    The outer groups hold floor(K/3) classes each (10 classes: 3/4/3). Ties in rank go by class index. Where only two counts occur
    (a step profile, two classes) there is a head and a tail and no middle. Where counts differ by at most one image, training is
    balanced and there are no groups.

    Args:
        counts: training images of each class.
    """
    if np.ptp(counts) <= 1:
        return {}
    ranked = np.argsort(-counts, kind="stable")
    levels = np.unique(counts)
    if len(levels) == 2:
        return {"head": np.flatnonzero(counts == levels[1]), "tail": np.flatnonzero(counts == levels[0])}
    third = len(counts) // 3
    return {
        "head": np.sort(ranked[:third]),
        "middle": np.sort(ranked[third : len(counts) - third]),
        "tail": np.sort(ranked[len(counts) - third :]),
    }


def average_precision(scores: Float[np.ndarray, " n"], positive: np.ndarray) -> float:
    """Area under the step-wise precision-recall curve, Σ (R_k − R_{k−1}) P_k over distinct thresholds, in [0, 1].

    Args:
        scores: the higher, the more likely positive.
        positive: true where an image belongs to the class; `ValueError` if it never does.
    """
    if not np.any(positive):
        raise ValueError("average precision needs at least one image of the class")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    found = np.cumsum(positive[order])[last_of_tie]
    precision = found / (last_of_tie + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / found[-1])


def ece(probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Expected calibration error: Σ_b (n_b/n) |accuracy_b − mean confidence_b|, in [0, 1] (Naeini et al. 2015).

    Fifteen bins of equal width over the largest probability, each closed on the right.
    """
    _require_images(labels)
    confidence = probabilities.max(axis=1).astype(np.float64)
    inside = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    gap = np.bincount(inside, weights=(probabilities.argmax(axis=1) == labels) - confidence, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(labels))


def brier(probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Mean over images of Σ_c (p_c − [y = c])², in [0, 2] (Brier 1950)."""
    _require_images(labels)
    hit = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(np.sum(probabilities**2, axis=1) - 2 * hit + 1))


def nll(log_probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Mean negative log-likelihood of the true classes in nats, at least 0; infinite if one of them got probability 0."""
    _require_images(labels)
    return float(-np.mean(log_probabilities[np.arange(len(labels)), labels]))


def normalize(log_scores: Float[np.ndarray, "n class"]) -> Float[np.ndarray, "n class"]:
    """The log-probabilities in float64, scaled to sum to 1: rows that were stored in float16 sum to 1 only nearly."""
    wide = log_scores.astype(np.float64)
    return wide - logsumexp(wide, axis=1, keepdims=True)


def temper(log_probabilities: Float[np.ndarray, "n class"], *, temperature: float) -> Float[np.ndarray, "n class"]:
    """Log-probabilities ∝ log p / T; T > 1 makes them less sure, and no T changes which class is the most likely."""
    return normalize(log_probabilities.astype(np.float64) / temperature)


def fit_temperature(log_probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """The temperature in [0.02, 50] that minimizes the NLL of these (validation) images (Guo et al. 2017).

    Found by bounded search over log T; NLL is convex in 1/T, so that there is one minimum.

    Raises:
        ValueError: no images, or a true class with probability 0, which no temperature mends.
    """
    if not np.isfinite(nll(log_probabilities, labels)):
        raise ValueError("no temperature fits: a true class has probability 0")
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: nll(temper(log_probabilities, temperature=float(np.exp(log_t))), labels),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def linear_weights(
    labels: Int64[np.ndarray, " n"],
    *,
    classes: int,
    score: Literal["balanced_accuracy", "accuracy"] = "balanced_accuracy",
    members: Sequence[int] | Int64[np.ndarray, " _"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Weights w_i, summing to 1, with which the score is Σ w_i · correct_i.

    Balanced accuracy: w_i = 1/(K n_{y_i}); accuracy: w_i = 1/n. Images outside of `members` weigh 0.

    Args:
        labels: true class of each test image.
        classes: number of classes.
        score: which of the two.
        members: the classes that count, such as a group's (None: all).

    Raises:
        ValueError: a class that counts has no images.
    """
    counted = np.arange(classes) if members is None else np.asarray(members, dtype=np.int64)
    _require_all_classes(labels, classes=classes, members=counted)
    inside = np.isin(labels, counted)
    if score == "accuracy":
        return inside / inside.sum()
    return inside / (len(counted) * np.bincount(labels, minlength=classes)[labels])


def score(
    log_probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"], counts: Int64[np.ndarray, " class"]
) -> dict[str, float]:
    """All scores of one run under their fixed names; groups that do not exist are left out.

    Args:
        log_probabilities: as predicted; rescaled to sum to 1.
        labels: true class of each image.
        counts: training images of each class; they rank the classes into head, middle and tail.

    Raises:
        ValueError: a class has no images.
    """
    logs = normalize(log_probabilities)
    probabilities, predicted, classes = np.exp(logs), logs.argmax(axis=1), len(counts)
    recalls = _all_recalls(predicted, labels, classes=classes)
    members = groups(counts)
    scores = {
        "balanced_accuracy": float(recalls.mean()),
        "accuracy": accuracy(predicted, labels),
        "macro_f1": macro_f1(predicted, labels, classes=classes),
        "g_mean": g_mean(predicted, labels, classes=classes),
        "worst_class": float(recalls.min()),
        **{group: float(recalls[inside].mean()) for group, inside in members.items()},
    }
    if "tail" in members:
        scores["average_precision_rare"] = float(
            np.mean([average_precision(probabilities[:, c], labels == c) for c in members["tail"]])
        )
    return scores | {"ece": ece(probabilities, labels), "brier": brier(probabilities, labels), "nll": nll(logs, labels)}


def _all_recalls(
    predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int
) -> Float[np.ndarray, " class"]:
    _require_all_classes(labels, classes=classes)
    return per_class_recall(predicted, labels, classes=classes)


def _require_images(labels: Int64[np.ndarray, " n"]) -> None:
    if not len(labels):
        raise ValueError("a score needs at least one image")


def _require_all_classes(labels: Int64[np.ndarray, " n"], *, classes: int, members: Int64[np.ndarray, " _"] | None = None) -> None:
    _require_images(labels)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}")
    counted = np.arange(classes) if members is None else members
    missing = [int(c) for c in np.setdiff1d(counted, labels)]
    if missing:
        raise ValueError(f"no test images of class {', '.join(map(str, missing))}: a mean over classes is not defined")
