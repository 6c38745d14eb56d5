"""Scores compared with scikit-learn and with values computed by hand, and their limiting cases."""

import numpy as np
import pytest
from sklearn import metrics as reference

from imagestudy.metrics import classification


@pytest.fixture(scope="module")
def case():
    """Log-probabilities (n, 5), labels and predictions of an imperfect classifier on imbalanced classes."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.full(n, c) for c, n in enumerate((60, 40, 20, 10, 5))])
    logits = rng.normal(size=(len(labels), 5)) + 1.5 * np.eye(5)[labels]
    logs = classification.normalize(logits)
    return logs, labels, logs.argmax(axis=1)


def test_recalls_and_f1_agree_with_scikit_learn(case):
    _, labels, predicted = case
    recalls = reference.recall_score(labels, predicted, average=None)
    assert classification.per_class_recall(predicted, labels, classes=5) == pytest.approx(recalls)
    assert classification.balanced_accuracy(predicted, labels, classes=5) == pytest.approx(
        reference.balanced_accuracy_score(labels, predicted)
    )
    assert classification.macro_f1(predicted, labels, classes=5) == pytest.approx(
        reference.f1_score(labels, predicted, average="macro")
    )
    assert classification.accuracy(predicted, labels) == pytest.approx(reference.accuracy_score(labels, predicted))
    assert classification.worst_class(predicted, labels, classes=5) == pytest.approx(recalls.min())


def test_a_class_never_predicted_has_f1_zero_as_in_scikit_learn():
    labels, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    expected = reference.f1_score(labels, predicted, average="macro", zero_division=0)
    assert classification.macro_f1(predicted, labels, classes=3) == pytest.approx(expected)


def test_nll_and_brier_agree_with_scikit_learn(case):
    logs, labels, _ = case
    assert classification.nll(logs, labels) == pytest.approx(reference.log_loss(labels, np.exp(logs)))
    per_class = [reference.brier_score_loss(labels == c, np.exp(logs[:, c])) for c in range(5)]
    assert classification.brier(np.exp(logs), labels) == pytest.approx(sum(per_class))


@pytest.mark.parametrize("decimals", [12, 1])
def test_average_precision_agrees_with_scikit_learn_with_and_without_ties(case, decimals):
    logs, labels, _ = case
    for c in range(5):
        scores = np.exp(logs[:, c]).round(decimals)
        assert classification.average_precision(scores, labels == c) == pytest.approx(
            reference.average_precision_score(labels == c, scores)
        )


def test_g_mean_by_hand_and_zero_if_a_class_has_recall_zero():
    labels = np.array([0, 0, 1, 1])
    assert classification.g_mean(np.array([0, 1, 1, 1]), labels, classes=2) == pytest.approx(np.sqrt(0.5))
    assert classification.g_mean(np.array([0, 0, 0, 0]), labels, classes=2) == 0


def test_accuracy_at_shares_is_accuracy_at_the_images_own_and_balanced_accuracy_at_uniform_ones(case):
    logs, labels = case[0], case[1]
    predicted, classes = logs.argmax(axis=1), logs.shape[1]
    own, uniform = np.bincount(labels, minlength=classes) / len(labels), np.full(classes, 1 / classes)
    found = [classification.accuracy_at_shares(predicted, labels, shares=shares) for shares in (own, uniform)]
    assert found == pytest.approx(
        [classification.accuracy(predicted, labels), classification.balanced_accuracy(predicted, labels, classes=classes)]
    )
    with pytest.raises(ValueError, match="no test images of class 0"):
        classification.accuracy_at_shares(predicted[labels > 0], labels[labels > 0], shares=uniform)


def test_ece_by_hand():
    # Bins (12/15, 13/15]: 0.82 right, 0.86 wrong -> gap |1 - 1.68| = 0.68; (8/15, 9/15]: 0.55 right, 0.6 right -> 0.85.
    confidence = np.array([0.82, 0.86, 0.55, 0.60])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    assert classification.ece(probabilities, np.array([0, 1, 0, 0])) == pytest.approx((0.68 + 0.85) / 4)


def test_ece_of_a_confident_correct_model_is_zero_and_of_a_confident_wrong_one_is_one():
    sure = np.eye(3)[[0, 1, 2]]
    assert classification.ece(sure, np.array([0, 1, 2])) == 0
    assert classification.ece(sure, np.array([1, 2, 0])) == 1


def test_brier_limits():
    sure = np.eye(3)[[0, 1, 2]]
    assert classification.brier(sure, np.array([0, 1, 2])) == 0
    assert classification.brier(sure, np.array([1, 2, 0])) == 2


def test_nll_is_infinite_if_a_true_class_has_probability_zero():
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[1.0, 0.0]]))
    assert classification.nll(logs, np.array([1])) == np.inf
    with pytest.raises(ValueError, match="probability 0"):
        classification.fit_temperature(logs, np.array([1]))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50], {"head": [0, 1, 2], "middle": [3, 4, 5, 6], "tail": [7, 8, 9]}),
        ([50, 83, 139, 232, 387, 645, 1077, 1796, 2997, 5000], {"head": [7, 8, 9], "middle": [3, 4, 5, 6], "tail": [0, 1, 2]}),
        ([90, 9, 90, 9], {"head": [0, 2], "tail": [1, 3]}),
        ([3, 30], {"head": [1], "tail": [0]}),
        ([5, 4, 4, 1], {"head": [0], "middle": [1, 2], "tail": [3]}),
        ([8, 4, 4, 4, 4, 1], {"head": [0, 1], "middle": [2, 3], "tail": [4, 5]}),
    ],
)
def test_groups_are_rank_thirds_or_the_two_levels(counts, expected):
    assert {name: list(members) for name, members in classification.groups(np.array(counts)).items()} == expected


@pytest.mark.parametrize("counts", [[100] * 10, [26] * 7 + [25] * 3])
def test_balanced_training_has_no_groups(case, counts):
    assert classification.groups(np.array(counts)) == {}
    logs, labels, _ = case
    assert not {"head", "middle", "tail", "average_precision_rare"} & set(classification.score(logs, labels, np.full(5, 20)))


def test_score_gives_all_scores_under_their_names(case):
    logs, labels, predicted = case
    scores = classification.score(logs, labels, np.array([60, 40, 20, 10, 5]))
    assert list(scores) == [
        *("balanced_accuracy", "accuracy", "macro_f1", "g_mean", "worst_class", "head", "middle", "tail"),
        *("average_precision_rare", "ece", "brier", "nll"),
    ]
    recalls = classification.per_class_recall(predicted, labels, classes=5)
    assert scores["head"] == recalls[0]
    assert scores["middle"] == pytest.approx(recalls[1:4].mean())
    assert scores["tail"] == recalls[4]
    assert scores["average_precision_rare"] == pytest.approx(reference.average_precision_score(labels == 4, np.exp(logs[:, 4])))
    assert all(type(value) is float for value in scores.values())


def test_step_and_two_class_scores_have_no_middle(case):
    logs, labels, _ = case
    assert "middle" not in classification.score(logs, labels, np.array([60, 60, 6, 6, 6]))
    two = classification.score(logs[:100, :2], labels[:100], np.array([60, 40]))
    assert "middle" not in two
    assert {"head", "tail"} <= set(two)


def test_scores_of_stored_float16_log_probabilities_stay_close(case):
    logs, labels, _ = case
    counts = np.array([60, 40, 20, 10, 5])
    stored = classification.score(logs.astype(np.float16), labels, counts)
    assert stored == pytest.approx(classification.score(logs, labels, counts), abs=1e-3)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "g_mean", "worst_class"])
def test_a_class_without_test_images_is_missing_never_zero(name):
    labels = predicted = np.array([0, 0, 2])
    recalls = classification.per_class_recall(predicted, labels, classes=3)
    assert np.isnan(recalls[1])
    with pytest.raises(ValueError, match="no test images of class 1"):
        getattr(classification, name)(predicted, labels, classes=3)


def test_wrong_labels_and_no_images_are_refused():
    none = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="at least one image"):
        classification.accuracy(none, none)
    with pytest.raises(ValueError, match="0 to 1"):
        classification.linear_weights(np.array([0, 1, 2]), classes=2)
    with pytest.raises(ValueError, match="at least one image of the class"):
        classification.average_precision(np.array([0.1, 0.2]), np.array([False, False]))


def test_linear_weights_reproduce_the_scores(case):
    _, labels, predicted = case
    correct = predicted == labels
    balanced = classification.linear_weights(labels, classes=5)
    assert balanced @ correct == pytest.approx(classification.balanced_accuracy(predicted, labels, classes=5))
    assert balanced.sum() == pytest.approx(1)
    plain = classification.linear_weights(labels, classes=5, score="accuracy")
    assert plain @ correct == pytest.approx(classification.accuracy(predicted, labels))
    tail = classification.linear_weights(labels, classes=5, members=[3, 4])
    assert tail @ correct == pytest.approx(classification.per_class_recall(predicted, labels, classes=5)[3:].mean())
    with pytest.raises(ValueError, match="no test images of class 4"):
        classification.linear_weights(labels[labels < 4], classes=5)
    assert classification.linear_weights(labels[labels < 4], classes=5, members=[0, 1]).sum() == pytest.approx(1)


def test_fit_temperature_finds_the_temperature_that_was_used():
    rng = np.random.default_rng(1)
    logs = classification.normalize(2 * rng.normal(size=(20_000, 4)))
    labels = (np.exp(logs).cumsum(axis=1) < rng.random((len(logs), 1))).sum(axis=1).clip(max=3)
    assert classification.fit_temperature(logs, labels) == pytest.approx(1, abs=0.05)
    sharpened = classification.temper(logs, temperature=1 / 3)
    assert classification.fit_temperature(sharpened, labels) == pytest.approx(3, abs=0.15)


def test_a_fitted_temperature_never_raises_the_nll_and_keeps_the_order(case):
    logs, labels, predicted = case
    tempered = classification.temper(logs, temperature=classification.fit_temperature(logs, labels))
    assert classification.nll(tempered, labels) <= classification.nll(logs, labels)
    assert np.array_equal(tempered.argmax(axis=1), predicted)
    assert np.exp(tempered).sum(axis=1) == pytest.approx(np.ones(len(labels)))
    assert classification.temper(logs, temperature=1.0) == pytest.approx(logs)
