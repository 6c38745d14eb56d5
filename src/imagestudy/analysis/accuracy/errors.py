"""Which images the models misclassify, and how far they agree. Only validation images are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, UInt8

from imagestudy import data
from imagestudy.analysis.accuracy.ranking import contenders, deciding
from imagestudy.data import datasets
from imagestudy.experiments.records import Records


@dataclass(frozen=True)
class Hardest:
    """The validation images that most runs misclassify, the hardest first.

    Args:
        images: the images as the models see them.
        captions: the true class, the most frequent wrong prediction, and the share of all runs that misclassify the image.
    """

    images: UInt8[np.ndarray, "n height width channel"]
    captions: tuple[str, ...]

    @property
    def places(self) -> Int64[np.ndarray, " n"]:
        """The position of the caption of each image, for `figures.show_images`."""
        return np.arange(len(self.captions))


def share_right(records: Records) -> Float[np.ndarray, " image"]:
    """Return for each test image the share of runs that classify it correctly, over all models except the majority class."""
    return contenders(records).correct().mean(axis=0)


def say_agreement(records: Records) -> str:
    """Return a sentence: how many test images all runs classify correctly, how many at most half of them, and how many none."""
    right = share_right(records)
    every, few, none = int((right == 1).sum()), int(((right <= 0.5) & (right > 0)).sum()), int((right == 0).sum())
    are = "is" if every == 1 else "are"
    return (
        f"Of {len(right):,} test images, {every:,} {are} classified correctly by every run of every model (without the majority "
        f"class); {few:,} by half of the runs or fewer; {none:,} by no run."
    )


def find_hardest(records: Records, *, number: int) -> Hardest:
    """Return the validation images that most runs misclassify, over all models except the majority class.

    Ties are sorted by the mean probability of the true class, the lowest first. No model was trained on these images, and no test
    image is shown.
    """
    runs = contenders(records)
    validation = data.prepare(runs.records[0].spec).validation
    predicted = np.stack([record.arrays["validation"].argmax(axis=1) for record in runs])
    wrong = (predicted != validation.labels).mean(axis=0)
    every = np.arange(len(wrong))
    likely = np.mean([record.arrays["validation"][every, validation.labels] for record in runs], axis=0, dtype=np.float64)
    hardest = np.lexsort((likely, -wrong))[:number]
    classes = datasets.load(runs.records[0].spec.dataset).classes
    captions = [_caption(classes, int(validation.labels[i]), float(wrong[i]), predicted[:, i]) for i in hardest]
    return Hardest(validation.images[hardest], tuple(captions))


def _caption(classes: Sequence[str], label: int, wrong: float, predicted: Int64[np.ndarray, " run"]) -> str:
    mistaken = np.bincount(predicted[predicted != label], minlength=len(classes))
    said = f"predicted {classes[int(mistaken.argmax())]}" if mistaken.any() else "never missed"
    return f"{classes[label]}\n{said}\nmissed by {100 * wrong:.0f} %"


def share_errors(records: Records) -> pd.DataFrame:
    """Return the share of the errors of each deciding member that another member, or another run of its own, makes as well.

    Returns:
        One row per member: `model`, `missed` (the share of all test images that it misses), and one column per member. A share is
        missing if the member makes no errors.
    """
    wrong = {name: 1 - cell.correct() for name, cell in deciding(records).items()}
    rows = []
    for name, own in wrong.items():
        row: dict[str, object] = {"model": name, "missed": float(own.mean())}
        rows.append(row | {other: _shared(own, theirs, same=name == other) for other, theirs in wrong.items()})
    return pd.DataFrame(rows)


def _shared(own: Float[np.ndarray, "run image"], theirs: Float[np.ndarray, "other image"], *, same: bool) -> float:
    """Return the mean number of errors that two different runs share, divided by the mean number of errors of the first."""
    both = own @ theirs.T
    pairs = both[np.eye(*both.shape) == 0] if same else both
    return float(pairs.mean() / own.sum(axis=1).mean()) if pairs.size and own.any() else float("nan")
