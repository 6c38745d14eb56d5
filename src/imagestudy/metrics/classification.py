"""Classification scores computed from labels and predictions.

Rates such as accuracy and recall are fractions, not percentages. A class without test images or an empty group of classes has no
score: it is missing, never 0.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

ECE_BINS = 15
TEMPERATURES = (0.02, 50.0)
"""The smallest and largest temperature considered."""


def accuracy(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"]) -> float:
    """Return the plain accuracy, the share of correctly predicted images, in [0, 1]."""
    _require_images(labels)
    return float(np.mean(predicted == labels))


def per_class_recall(
    predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int
) -> Float[np.ndarray, " class"]:
    """Return the recall of each class, the share of its images that are predicted correctly, in [0, 1].

    The recall of a class without images is NaN.

    Args:
        predicted: the predicted class of each image.
        labels: the true class of each image, in [0, classes).
        classes: the number of classes.
    """
    _require_images(labels)
    images = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return np.divide(right, images, out=np.full(classes, np.nan), where=images > 0)


def balanced_accuracy(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Return the mean recall over classes, in [0, 1] (Brodersen et al. 2010).

    Raises:
        ValueError: if a class has no images.
    """
    return float(np.mean(_all_recalls(predicted, labels, classes=classes)))


def weights_at_shares(labels: Int64[np.ndarray, " n"], shares: Float[np.ndarray, " class"]) -> Float[np.ndarray, " n"]:
    """Return ρ_y / n_y for each image: weights that give each class its share ρ_c, however many images it has here.

    The weights sum to 1 if every class with a share has an image.
    """
    return shares[labels] / np.bincount(labels, minlength=len(shares))[labels]


def accuracy_at_shares(
    predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, shares: Float[np.ndarray, " class"]
) -> float:
    """Return the accuracy that is expected where class c has the share ρ_c of the images: Σ_c ρ_c · recall_c, in [0, 1].

    Uniform shares give balanced accuracy; the shares of the test images themselves give accuracy.

    Args:
        predicted: the predicted class of each image.
        labels: the true class of each image.
        shares: ρ_c, with sum 1.

    Raises:
        ValueError: if a class with a share above 0 has no images.
    """
    present = np.flatnonzero(shares)
    _require_all_classes(labels, classes=len(shares), members=present)
    return float(weights_at_shares(labels, shares) @ (predicted == labels))


def g_mean(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Return the geometric mean of the recalls of all classes, in [0, 1] (Kubat & Matwin 1997).

    It is 0 if the recall of any class is 0.

    Raises:
        ValueError: if a class has no images.
    """
    return float(np.prod(_all_recalls(predicted, labels, classes=classes) ** (1 / classes)))


def worst_class(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Return the smallest recall of any class, in [0, 1].

    Raises:
        ValueError: if a class has no images.
    """
    return float(np.min(_all_recalls(predicted, labels, classes=classes)))


def macro_f1(predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], *, classes: int) -> float:
    """Return the mean over classes of F1 = 2 TP / (2 TP + FP + FN), in [0, 1].

    Raises:
        ValueError: if a class has no images.
    """
    _require_all_classes(labels, classes=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return float(np.mean(2 * right / (np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes))))


def groups(counts: Int64[np.ndarray, " class"]) -> dict[str, Int64[np.ndarray, " _"]]:
    """Return the classes of the head, middle and tail group, by thirds of the ranking of training counts.

    Head and tail contain floor(K/3) of the K classes each (10 classes: 3/4/3). Ties are broken by class index. If only two distinct
    counts occur (a step profile, or two classes), there is a head and a tail but no middle. If the counts differ by at most one
    image, the training set is balanced and there are no groups.

    Args:
        counts: the number of training images of each class.
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
    """Return the average precision: the area under the stepwise precision-recall curve, in [0, 1].

    It is Σ (R_k − R_{k−1}) P_k over the distinct thresholds, with recall R and precision P.

    Args:
        scores: the score of each image. A higher score means that the class is more likely.
        positive: true for images that belong to the class.

    Raises:
        ValueError: if no image belongs to the class.
    """
    if not np.any(positive):
        raise ValueError("no image belongs to the class; average precision needs at least one image of the class")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    found = np.cumsum(positive[order])[last_of_tie]
    precision = found / (last_of_tie + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / found[-1])


def ece(probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Return the expected calibration error Σ_b (n_b/n) |accuracy_b − mean confidence_b|, in [0, 1] (Naeini et al. 2015).

    The largest probability of each image is sorted into fifteen bins of equal width. Each bin includes its right edge.
    """
    _require_images(labels)
    confidence = probabilities.max(axis=1).astype(np.float64)
    inside = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    gap = np.bincount(inside, weights=(probabilities.argmax(axis=1) == labels) - confidence, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(labels))


def brier(probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Return the Brier score, the mean over images of Σ_c (p_c − [y = c])², in [0, 2] (Brier 1950)."""
    _require_images(labels)
    hit = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(np.sum(probabilities**2, axis=1) - 2 * hit + 1))


def nll(log_probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Return the mean negative log-likelihood of the true classes in nats, at least 0.

    It is infinite if the probability of a true class is 0.
    """
    _require_images(labels)
    return float(-np.mean(log_probabilities[np.arange(len(labels)), labels]))


def normalize(log_scores: Float[np.ndarray, "n class"]) -> Float[np.ndarray, "n class"]:
    """Convert log-probabilities to float64 and normalize each row so that the probabilities sum to 1.

    Rows stored in float16 sum to 1 only approximately.
    """
    wide = log_scores.astype(np.float64)
    return wide - logsumexp(wide, axis=1, keepdims=True)


def temper(log_probabilities: Float[np.ndarray, "n class"], *, temperature: float) -> Float[np.ndarray, "n class"]:
    """Divide log-probabilities by a temperature T and normalize them.

    T > 1 lowers the confidence. No T changes the predicted class.
    """
    return normalize(log_probabilities.astype(np.float64) / temperature)


def fit_temperature(log_probabilities: Float[np.ndarray, "n class"], labels: Int64[np.ndarray, " n"]) -> float:
    """Return the temperature in [0.02, 50] that minimizes the NLL of the given validation images (Guo et al. 2017).

    The minimum is found by a bounded search over log T. It is unique because the NLL is convex in 1/T.

    Raises:
        ValueError: if there are no images, or a true class has probability 0 (no temperature can correct that).
    """
    if not np.isfinite(nll(log_probabilities, labels)):
        raise ValueError("a true class has probability 0; a temperature needs probabilities above 0 for all true classes")
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
    """Return image weights w_i with sum 1 such that the score is Σ w_i · correct_i.

    For balanced accuracy, w_i = 1/(K n_{y_i}). For accuracy, w_i = 1/n. Images of classes outside `members` have weight 0.

    Args:
        labels: the true class of each test image.
        classes: the number of classes.
        score: balanced accuracy or accuracy.
        members: the classes to include, such as those of one group (None: all classes).

    Raises:
        ValueError: if an included class has no images.
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
    """Return all scores of one run by name. Groups of classes that do not exist are omitted.

    Args:
        log_probabilities: the predicted log-probabilities. They are normalized before use.
        labels: the true class of each image.
        counts: the number of training images of each class. They define the groups head, middle and tail.

    Raises:
        ValueError: if a class has no images.
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
        raise ValueError("no images were given; a score needs at least one image")


def _require_all_classes(labels: Int64[np.ndarray, " n"], *, classes: int, members: Int64[np.ndarray, " _"] | None = None) -> None:
    _require_images(labels)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} were given; allowed: 0 to {classes - 1}")
    counted = np.arange(classes) if members is None else members
    missing = [int(c) for c in np.setdiff1d(counted, labels)]
    if missing:
        raise ValueError(f"no test images of class {', '.join(map(str, missing))}; a mean over classes needs images of every class")
