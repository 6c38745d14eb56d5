"""Sentences of the recommendation: they name every candidate that is higher, and only real changes of recall."""

import pandas as pd
import pytest

from imagestudy import stats
from imagestudy.analysis import recommendation
from imagestudy.analysis.recommendation import Answer, by_class, sentences
from imagestudy.analysis.recommendation import answer as answering
from imagestudy.core.specs import Choice, ModelSpec, RunSpec
from imagestudy.experiments.records import Record, Records
from imagestudy.experiments.search import Candidate, Selection
from imagestudy.stats import Judged

BEST = Candidate("mlp", "balanced_softmax")
INTERVAL = stats.Interval(0.8, 0.7, 0.9, 0.95, 5, 100)
GAIN = Judged(INTERVAL, "higher", 1, 0.06, 1.0, stats.Needed(None, None))


def answer_of(**verdicts: str) -> Answer:
    """Return an answer with only the panel, the gain and the level set."""
    rows = [
        ("mlp, balanced softmax", True, True, ""),
        *((n, False, v in ("equivalent", "undecided"), v) for n, v in verdicts.items()),
    ]
    made = object.__new__(Answer)
    panel = pd.DataFrame(rows, columns=["candidate", "recommended", "near", "verdict"])
    for name, value in {"best": BEST, "panel": panel, "level": INTERVAL, "gain": GAIN, "shortcomings": ()}.items():
        object.__setattr__(made, name, value)
    return made


def test_only_where_all_others_are_lower_is_it_said_that_they_are() -> None:
    assert sentences.say_near(answer_of(vit="lower", svm="lower")) == (
        "All other candidates that were trained with the whole budget are lower than mlp, balanced softmax."
    )
    assert sentences.conclude(answer_of(vit="lower")).endswith("(higher). No other candidate matches it.")


def test_what_is_higher_on_the_test_images_is_named_first() -> None:
    told = answer_of(vit="higher", svm="undecided", elman="lower", cct="higher")
    assert sentences.say_near(told) == (
        "Higher than mlp, balanced softmax on the test images, but not on validation, which decides: vit; cct. "
        "Statistically indistinguishable from mlp, balanced softmax: svm."
    )
    assert sentences.conclude(told).endswith(
        "2 of 4 other candidates are higher on the test images, and 1 is statistically indistinguishable from it."
    )


def test_a_panel_of_higher_ones_alone_is_never_said_to_be_lower() -> None:
    told = answer_of(vit="higher")
    assert "lower" not in sentences.say_near(told)
    assert sentences.conclude(told).endswith(
        "1 of 1 other candidate is higher on the test images, and 0 are statistically indistinguishable from it."
    )


def test_what_a_remedy_costs_in_accuracy_is_said_and_plain_training_has_no_price() -> None:
    told = answer_of(mlp="lower")
    told.panel["accuracy"] = [0.144, 0.742]
    told.panel["at_training_shares"] = [0.146, 0.74]
    assert sentences.say_price(told) == (
        " Where the classes have the shares that they have in the training images, its accuracy is 14.6%, against 74.0% for plain "
        "training of the same model."
    )
    told.panel["accuracy"], told.panel["at_training_shares"] = [0.594, 0.446], [0.695, 0.804]
    assert sentences.say_price(told) == (
        " Where the classes have the shares that they have in the training images, its accuracy is 69.5%, against 80.4% for plain "
        "training of the same model. On the test images, whose classes have other shares, it is 59.4%, against 44.6%."
    )
    object.__setattr__(told, "best", Candidate("mlp", "none"))
    assert sentences.say_price(told) == ""


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Answer:
    monkeypatch.setattr(by_class, "class_names", lambda _: ("cat", "dog", "owl"))
    made = answer_of()
    object.__setattr__(made, "selection", None)
    monkeypatch.setattr(Answer, "plan", property(lambda _: None))
    return made


def recalls(own: list[float], plain: list[float]) -> pd.DataFrame:
    sides = {recommendation.name_of(BEST): own, "mlp": plain}
    return pd.DataFrame(
        [{"class": c, "candidate": name, "recall": value} for name, side in sides.items() for c, value in enumerate(side)]
    )


@pytest.mark.parametrize(
    ("own", "plain", "said"),
    [
        (
            [1.0, 1.0, 1.0],
            [1.0, 1.0, 1.0],
            "All classes have a recall of 1.00. Compared with plain training, the remedy changes no recall.",
        ),
        (
            [0.7, 0.9, 0.5],
            [0.9, 0.9, 0.5],
            "Lowest recall: class owl, 0.50; highest: dog, 0.90. "
            "Compared with plain training, the remedy takes 20 points from the recall of class cat, the largest loss.",
        ),
        (
            [0.7, 0.9, 0.5],
            [0.8, 0.9, 0.1],
            "Lowest recall: class owl, 0.50; highest: dog, 0.90. Compared with plain training, the remedy adds 40 points to the "
            "recall of class owl, the largest gain, and takes 10 points from the recall of class cat, the largest loss.",
        ),
    ],
)
def test_what_the_remedy_moves_is_what_is_said_to_move(own: list, plain: list, said: str, named: Answer) -> None:
    assert by_class.say_recall(named, recalls(own, plain)) == said


def test_equal_scores_go_to_the_choice_of_most_runs_then_to_the_simplest(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other, large = Candidate("mlp", "none"), Candidate("mlp", "class_weights"), Candidate("vit", "none")

    def ran(*candidates: Candidate) -> Records:
        specs = [
            RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name=one.model), remedy=Choice(name=one.remedy), seed=seed)
            for seed, one in enumerate(candidates)
        ]
        return Records(tuple(Record(spec, {}, {}, {}, {}) for spec in specs), {})

    monkeypatch.setattr(answering, "_on_validation", lambda *_: 0.9)
    selection = object.__new__(Selection)
    object.__setattr__(selection, "panel", (large, other, plain))

    def first(*chosen: Candidate) -> Candidate:
        return answering.best_of(selection, ran(*chosen))

    assert first(other, other, plain) == other
    assert first(other, plain) == first() == plain
