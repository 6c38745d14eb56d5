"""Compare the classes: confusions of the recommended candidate, and the effect of its remedy on each recall."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from imagestudy.analysis.recommendation.answer import Answer, class_names, name_of
from imagestudy.core.text import escape
from imagestudy.experiments.records import decided
from imagestudy.experiments.search import PLAIN, Candidate

LEAST = 0.005
"""Smaller differences of recall count as none, because the sentences give whole points."""


def confusion(answer: Answer) -> Float[np.ndarray, "class class"]:
    """Return the confusion matrix of the recommended candidate: test images by true (row) and predicted class (column).

    The numbers are means over the runs.
    """
    classes = len(class_names(answer.plan))
    cell = answer.cell(answer.best)
    total = np.zeros((classes, classes))
    for record in cell:
        labels = cell.labels_of(record)["test"]
        np.add.at(total, (labels, decided(record, labels)), 1)
    return total / len(cell)


def recall(answer: Answer) -> pd.DataFrame:
    """Return the recall of each class in each run, for the recommended candidate and for plain training of its model.

    Returns:
        `class` (its label), `candidate` (its name) and `recall`.
    """
    rows = []
    for one in dict.fromkeys((answer.best, Candidate(answer.best.model, PLAIN))):
        cell = answer.cell(one)
        for record in cell:
            labels = cell.labels_of(record)["test"]
            right = decided(record, labels) == labels
            rows += [
                {"class": label, "candidate": name_of(one), "recall": float(right[labels == label].mean())}
                for label in np.unique(labels).tolist()
            ]
    return pd.DataFrame(rows)


def say_recall(answer: Answer, frame: pd.DataFrame) -> str:
    """Return sentences: the classes with the lowest and the highest recall, and the largest effects of the remedy."""
    names = [escape(name) for name in class_names(answer.plan)]
    means = frame.pivot_table(index="class", columns="candidate", values="recall")
    own = means[name_of(answer.best)].to_numpy()
    said = f"Lowest recall: class {names[own.argmin()]}, {own.min():.2f}; highest: {names[own.argmax()]}, {own.max():.2f}."
    if own.max() - own.min() < LEAST:
        said = f"All classes have a recall of {own.mean():.2f}."
    return said if answer.best.remedy == PLAIN else f"{said} {_say_moved(own - means[answer.best.model].to_numpy(), names)}"


def _say_moved(moved: Float[np.ndarray, " class"], names: Sequence[str]) -> str:
    up, down = int(moved.argmax()), int(moved.argmin())
    said = []
    if moved[up] >= LEAST:
        said.append(f"adds {_points(moved[up])} to the recall of class {names[up]}, the largest gain")
    if moved[down] <= -LEAST:
        said.append(f"takes {_points(-moved[down])} from the recall of class {names[down]}, the largest loss")
    return f"Compared with plain training, the remedy {', and '.join(said) or 'changes no recall'}."


def _points(share: float) -> str:
    points = f"{100 * share:.0f}"
    return f"{points} {'point' if points == '1' else 'points'}"
