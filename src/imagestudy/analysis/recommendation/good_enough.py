"""Decide whether the recommendation is good enough to be used, and say why not."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from imagestudy.analysis import comparisons
from imagestudy.core.text import escape
from imagestudy.experiments.records import Records, decided
from imagestudy.stats import Judged

MAJORITY = "majority"


def pooled_recall(cell: Records, *, classes: int) -> Float[np.ndarray, " class"]:
    """Return the recall of each class over the test images of all runs together."""
    right, images = np.zeros(classes), np.zeros(classes)
    for record in cell:
        labels = cell.labels_of(record)["test"]
        images += np.bincount(labels, minlength=classes)
        right += np.bincount(labels[decided(record, labels) == labels], minlength=classes)
    return right / images


def shortcomings(
    chosen: Records,
    majority: Records | None,
    gain: Judged,
    own: Records,
    plain: Records,
    *,
    classes: Sequence[str],
    margin: float,
) -> tuple[str, ...]:
    """Return why the recommendation is not good enough, as parts of a sentence; empty if it is.

    It is not good enough if its gain over the majority class is not *higher*; if its gain over plain training is not *higher* and
    its accuracy at the class shares of the training images is *lower*; or if it recognizes no test image of a class in any run.

    Args:
        chosen: the record of each run's own choice.
        majority: the runs of the majority class; None if the study does not have them.
        gain: `chosen` compared with plain training in balanced accuracy.
        own: all runs of the recommended candidate.
        plain: all runs of plain training of its model.
        classes: the names of the classes in label order.
        margin: the equivalence margin.
    """
    said = []
    if majority is not None:
        over = comparisons.judge(comparisons.difference(chosen, majority), margin=margin, comparisons=1)
        if over.verdict != "higher":
            said.append(
                f"its balanced accuracy is not shown to be higher than that of always predicting the largest class "
                f"({comparisons.say_points(over.interval)}, {over.verdict})"
            )
    price = comparisons.judge(comparisons.difference_at_training_shares(own, plain), margin=margin, comparisons=1)
    if gain.verdict != "higher" and price.verdict == "lower":
        said.append(
            f"it is not shown to be better than plain training in balanced accuracy ({gain.verdict}), and where the classes have "
            f"the shares that they have in the training images, its accuracy is lower ({comparisons.say_points(price.interval)})"
        )
    never = [escape(name) for name, recall in zip(classes, pooled_recall(own, classes=len(classes)), strict=True) if recall == 0]
    if never:
        which = "class" if len(never) == 1 else "the classes"
        said.append(f"in all runs together, it recognizes no test image of {which} {', '.join(never)}")
    return tuple(said)
