"""The mistakes of a model, by class and by image.

Test images are only scored. All misclassified images that are shown come from the validation set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, UInt8

from imagestudy import data
from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.families.choices import class_names
from imagestudy.analysis.families.structure import find_extreme
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.metrics import classification


def confusion(cell: Records) -> Float[np.ndarray, "class class"]:
    """Count test images by true class (row) and predicted class (column), as means over the runs."""
    labels = cell.test_labels()
    total = np.zeros((len(cell.records[0].facts["counts"]),) * 2)
    for record in cell:
        np.add.at(total, (labels, record.arrays["test"].argmax(axis=1)), 1)
    return total / len(cell)


def per_class(plan: Plan, cell: Records) -> pd.DataFrame:
    """Tabulate the recall of each class with its 95 % interval, and the verdict on it against the mean recall of all other classes.

    The verdicts of all classes are corrected together for multiple comparisons.

    Returns:
        One row per class with the columns `class` (the name), `estimate`, `low`, `high`, `runs`, `images` and `verdict`.
    """
    labels, values, names = cell.test_labels(), cell.correct(), class_names(plan)
    every = np.arange(len(names))
    rows = []
    for number, name in enumerate(names):
        own, others = (_recall_weights(labels, members) for members in (every[[number]], np.delete(every, number)))
        interval = Effect(values, own, labels).interval(limits=(0.0, 1.0))
        apart = comparisons.judge(Effect(values, own - others, labels), margin=plan.study.margin, comparisons=len(names))
        rows.append((name, interval.estimate, interval.low, interval.high, interval.runs, interval.images, apart.verdict))
    return pd.DataFrame(rows, columns=["class", "estimate", "low", "high", "runs", "images", "verdict"])


def _recall_weights(labels: Int64[np.ndarray, " n"], members: Int64[np.ndarray, " _"]) -> Float[np.ndarray, " n"]:
    return classification.linear_weights(labels, classes=int(labels.max()) + 1, score="balanced_accuracy", members=members)


def say_per_class(frame: pd.DataFrame) -> str:
    """Name the class with the lowest recall, and count the verdicts of all classes."""
    worst = find_extreme(frame, "estimate", least=True)
    interval = f"{worst['estimate']:.3f} [{worst['low']:.3f}, {worst['high']:.3f}]"
    counted = [f"{n} {verdict}" for verdict, n in frame["verdict"].value_counts(sort=False).items()]
    runs, images = (
        f"{worst[name]} {_plural(word, int(worst[name]))}" for name, word in (("runs", "run"), ("images", "test image"))
    )
    return (
        f"Class {worst['class']} has the lowest recall: {interval}, n = {runs} × {images}. "
        f"Verdicts for the {len(frame)} classes, each compared with the mean of all others: {', '.join(counted)}."
    )


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"


def say_confusion(matrix: Float[np.ndarray, "class class"], classes: Sequence[str]) -> str:
    """Describe the most frequent mistake in one sentence."""
    wrong = matrix * (1 - np.eye(len(matrix)))
    if not wrong.any():
        return "No run misclassifies any test image."
    true, said = divmod(int(wrong.argmax()), len(wrong))
    often, images = wrong[true, said], matrix[true].sum()
    return (
        f"The most frequent mistake is {classes[true]} classified as {classes[said]}: {often:.1f} of {images:.0f} "
        f"test {_plural('image', round(images))} per run, {100 * often / wrong.sum():.0f} % of all mistakes."
    )


@dataclass(frozen=True)
class Errors:
    """The validation images, and the predictions of the runs of one cell for them.

    Args:
        images, labels: all validation images and their true classes.
        predicted: the true class if every run is right, else the wrong class with the highest mean probability.
        probabilities: the mean class probabilities over the runs.
        misses: for each image, the number of runs that misclassify it.
        runs: the number of runs.
    """

    images: UInt8[np.ndarray, "n height width channel"]
    labels: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, " n"]
    probabilities: Float[np.ndarray, "n class"]
    misses: Int64[np.ndarray, " n"]
    runs: int


def errors(cell: Records) -> Errors:
    """Collect the validation errors of the runs of one cell. All runs share the same validation images, whatever their seeds."""
    part = data.prepare(cell.records[0].spec).validation
    stored = [record.arrays["validation"] for record in cell]
    probabilities = np.mean([np.exp(classification.normalize(logs)) for logs in stored], axis=0)
    misses = np.stack([logs.argmax(axis=1) != part.labels for logs in stored]).sum(axis=0, dtype=np.int64)
    rivals = probabilities.copy()
    rivals[np.arange(len(rivals)), part.labels] = -1.0
    predicted = np.where(misses > 0, rivals.argmax(axis=1), part.labels)
    return Errors(part.images, part.labels, predicted, probabilities, misses, len(cell))


def say_errors(found: Errors) -> str:
    """Say how many validation images some run misclassifies, and how many every run misclassifies."""
    images, some, every = len(found.labels), int((found.misses > 0).sum()), int((found.misses == found.runs).sum())
    verb, runs = "is" if some == 1 else "are", f"{found.runs} {_plural('run', found.runs)}"
    return (
        f"Of {images} validation {_plural('image', images)}, {some} {verb} misclassified in at least one of {runs}, "
        f"{every} in every run."
    )
