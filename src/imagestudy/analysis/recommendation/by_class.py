"""Class by class: what the recommended candidate takes for what, and which classes the remedy moves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from imagestudy.analysis.recommendation.answer import Answer, class_names, name_of
from imagestudy.core.text import escape
from imagestudy.experiments.records import decided
from imagestudy.experiments.search import PLAIN, Candidate

LEAST = 0.005
"""A difference of recall below that is none where whole points are given."""


def confusion(answer: Answer) -> Float[np.ndarray, "class class"]:
    """Test images by true (row) and predicted class (column) under the recommended candidate, mean over the runs."""
    classes = len(class_names(answer.plan))
    cell = answer.cell(answer.best)
    total = np.zeros((classes, classes))
    for record in cell:
        labels = cell.labels_of(record)["test"]
        np.add.at(total, (labels, decided(record, labels)), 1)
    return total / len(cell)


def recall(answer: Answer) -> pd.DataFrame:
    """Recall of each class in each run, recommended and plain: `class` (its number), `candidate`, `recall`."""
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
    """The classes of lowest and highest recall under the recommendation, and what the remedy gives and takes."""
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
        said.append(f"gives {100 * moved[up]:.0f} points to class {names[up]}, more than to any other")
    if moved[down] <= -LEAST:
        said.append(f"takes {-100 * moved[down]:.0f} points from class {names[down]}, more than from any other")
    return f"Against plain training the remedy {', and '.join(said) or 'moves no class'}."
