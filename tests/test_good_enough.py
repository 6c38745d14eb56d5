"""None of the candidates is good enough: each of the three rules, on hand-made predictions."""

import numpy as np
import pytest

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.recommendation import good_enough
from imagestudy.core.specs import Choice, ModelSpec, RunSpec
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.metrics import classification
from imagestudy.stats import Judged

CLASSES = ("free", "blow_hole", "crack")
LABELS = np.repeat(np.arange(3), [60, 60, 60])
COUNTS = [900, 80, 20]
DIGITS = Choice(name="digits")


def cell(predicted: np.ndarray, *, runs: int = 5) -> Records:
    """Runs that all predict the same; their seeds differ."""
    made = [
        Record(
            RunSpec(dataset=DIGITS, model=ModelSpec(name="mlp"), seed=seed),
            {"balanced_accuracy": classification.balanced_accuracy(predicted, LABELS, classes=3)},
            {},
            {},
            {"counts": COUNTS},
            {"missed": (predicted - LABELS) % 3},
        )
        for seed in range(runs)
    ]
    return Records(tuple(made), {labels_key(DIGITS): {"test": LABELS}})


MAJORITY = cell(np.zeros(180, dtype=np.int64))
RIGHT = cell(LABELS)
NEVER_FREE = cell(np.where(LABELS == 0, 1, LABELS))
"""Recognizes the two rare classes, and none of the most frequent one."""


def judged(verdict: str) -> Judged:
    return Judged(stats.Interval(0.1, 0.0, 0.2, 0.95, 5, 180), verdict, 1, 0.06, 1.0, stats.Needed(None, None))  # type: ignore[arg-type]


def found(chosen: Records, own: Records, plain: Records, *, gain: str = "higher") -> tuple[str, ...]:
    return good_enough.shortcomings(chosen, MAJORITY, judged(gain), own, plain, classes=CLASSES, margin=0.01)


def test_what_recognizes_every_class_and_beats_the_others_is_good_enough() -> None:
    assert found(RIGHT, RIGHT, MAJORITY) == ()


def test_what_is_not_higher_than_the_largest_class_is_not() -> None:
    (said,) = [one for one in found(MAJORITY, RIGHT, RIGHT) if "largest class" in one]
    assert said.endswith("equivalent)") or said.endswith("undecided)")


def test_a_loss_at_the_training_shares_counts_only_without_a_gain() -> None:
    lost = "where the classes have the shares that they have in the training images, its accuracy is lower (−90.0 points"
    assert any(lost in one for one in found(RIGHT, NEVER_FREE, RIGHT, gain="undecided"))
    assert not any(lost in one for one in found(RIGHT, NEVER_FREE, RIGHT, gain="higher"))
    assert not any("lower" in one for one in found(RIGHT, RIGHT, NEVER_FREE, gain="undecided"))


def test_a_class_that_is_never_recognized_is_named() -> None:
    assert found(RIGHT, NEVER_FREE, RIGHT) == ("in all runs together, it recognizes no test image of class free",)
    assert found(RIGHT, MAJORITY, MAJORITY) == (
        "in all runs together, it recognizes no test image of the classes blow\\_hole, crack",
    )


def test_the_difference_at_training_shares_weighs_each_class_by_its_share_in_training() -> None:
    effect = comparisons.difference_at_training_shares(NEVER_FREE, RIGHT)
    assert effect.by_run.tolist() == pytest.approx([-0.9] * 5)
    assert comparisons.difference_at_training_shares(RIGHT, RIGHT).by_run.tolist() == [0.0] * 5
