"""Tests of post-hoc logit adjustment: prior shift, identity, composition, and the choice of tau."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from imagestudy.core.errors import InputError
from imagestudy.remedies.posthoc import TAUS, Adjustment, adjust, pick_tau

COUNTS = np.array([90, 31, 7, 2])
UNIFORM = np.full(4, 25)
CENTERS = np.array([-1.5, 0.0, 1.0, 2.5])


def predictions(*, n=50, seed=0):
    return log_softmax(3 * np.random.default_rng(seed).normal(size=(n, 4)), axis=1)


def posterior(x, prior):
    return log_softmax(norm.logpdf(x[:, None], CENTERS) + np.log(prior), axis=1)


def gaussian_validation(*, each, prior, seed=0):
    labels = np.repeat(np.arange(4), each)
    x = np.random.default_rng(seed).normal(CENTERS[labels])
    return posterior(x, prior), labels


def test_tau_zero_is_the_identity():
    np.testing.assert_allclose(adjust(predictions(), COUNTS, tau=0.0), predictions(), atol=1e-12)


def test_uniform_counts_change_nothing_at_any_tau():
    assert np.array_equal(adjust(predictions(), UNIFORM, tau=2.0), adjust(predictions(), UNIFORM, tau=0.0))


def test_adjusting_twice_adds_the_taus_and_a_negative_tau_adds_the_prior():
    twice = adjust(adjust(predictions(), COUNTS, tau=0.3), COUNTS, tau=0.9)
    np.testing.assert_allclose(twice, adjust(predictions(), COUNTS, tau=1.2), atol=1e-12)
    np.testing.assert_allclose(adjust(twice, COUNTS, tau=-1.2), predictions(), atol=1e-12)


def test_tau_one_turns_posteriors_under_the_training_prior_into_those_under_a_uniform_prior():
    x = np.linspace(-6, 6, 101)
    found = adjust(posterior(x, COUNTS / COUNTS.sum()), COUNTS, tau=1.0)
    np.testing.assert_allclose(found, posterior(x, np.full(4, 0.25)), atol=1e-10)


def test_tau_one_decides_between_gaussians_at_the_midpoints_of_their_centers():
    midpoints = (CENTERS[1:] + CENTERS[:-1]) / 2
    x = np.sort(np.concatenate([midpoints - 1e-6, midpoints + 1e-6]))
    decided = adjust(posterior(x, COUNTS / COUNTS.sum()), COUNTS, tau=1.0).argmax(axis=1)
    assert decided.tolist() == [0, 1, 1, 2, 2, 3]


def test_the_decision_is_argmax_of_logits_minus_tau_log_prior():
    logits = predictions() + 5.0
    expected = (logits - 0.7 * np.log(COUNTS / COUNTS.sum())).argmax(axis=1)
    assert np.array_equal(adjust(logits, COUNTS, tau=0.7).argmax(axis=1), expected)


def test_the_result_is_normalized_float64_even_for_float16_with_minus_infinity():
    stored = predictions().astype(np.float16)
    stored[0, 1:] = -np.inf
    adjusted = adjust(stored, COUNTS, tau=1.0)
    assert adjusted.dtype == np.float64
    np.testing.assert_allclose(np.exp(adjusted).sum(axis=1), 1)
    assert np.exp(adjusted[0]).tolist() == [1, 0, 0, 0]


def balanced_accuracy(predicted, labels, tau):
    decided = adjust(predicted, COUNTS, tau=tau).argmax(axis=1)
    return np.mean([(decided[labels == c] == c).mean() for c in np.unique(labels)])


@pytest.mark.parametrize("each", [[300, 300, 300, 300], [900, 310, 70, 20], [300, 300, 0, 300], [300, 300, 300, 0]])
def test_the_chosen_tau_has_the_best_balanced_accuracy_over_the_validation_classes(each):
    predicted, labels = gaussian_validation(each=each, prior=COUNTS / COUNTS.sum())
    scores = [balanced_accuracy(predicted, labels, tau) for tau in TAUS]
    assert balanced_accuracy(predicted, labels, pick_tau(predicted, labels, COUNTS)) == pytest.approx(max(scores))
    assert max(scores) > scores[0] + 0.02


def test_bayes_posteriors_need_tau_one_and_posteriors_with_the_squared_prior_need_two():
    prior = COUNTS / COUNTS.sum()
    once, labels = gaussian_validation(each=[5000] * 4, prior=prior)
    twice, _ = gaussian_validation(each=[5000] * 4, prior=prior**2 / np.sum(prior**2))
    assert pick_tau(once, labels, COUNTS) == pytest.approx(1.0, abs=0.15)
    assert pick_tau(twice, labels, COUNTS) == pytest.approx(2.0, abs=0.15)


def test_validation_images_of_a_common_class_do_not_outvote_those_of_a_rare_one():
    prior = COUNTS / COUNTS.sum()
    natural, labels = gaussian_validation(each=[9000, 3100, 700, 200], prior=prior)
    assert pick_tau(natural, labels, COUNTS) > 0.5


def two_class_scores(switch_taus, labels):
    """Return predictions that switch from class 0 to class 1 at the given tau, with counts 3:1."""
    margin = np.asarray(switch_taus) * np.log(3)
    return log_softmax(np.stack([margin, np.zeros(len(margin))], axis=1), axis=1), np.asarray(labels)


@pytest.mark.parametrize(
    ("switches", "labels", "picked"),
    [
        ([0.325, 1.025], [1, 0], 0.65),  # best from 0.35 to 1.0: fourteen values, so the smaller of the two middles
        ([0.325, 0.425, 0.525, 1.025], [1, 0, 1, 0], 0.75),  # best at 0.35 and 0.4, and again from 0.55 to 1.0
        ([5.0, 5.0], [0, 0], 1.5),  # no prediction switches: the middle of the grid
        ([0.025, 2.975], [1, 0], 1.5),  # best everywhere except at both ends
    ],
)
def test_ties_choose_the_middle_of_the_widest_plateau(switches, labels, picked):
    predicted, target = two_class_scores(switches, labels)
    assert pick_tau(predicted, target, np.array([3, 1])) == picked


def test_of_two_plateaus_the_wider_one_counts_and_of_equally_wide_ones_the_first():
    predicted, target = two_class_scores([0.125, 0.225, 0.425, 0.925], [1, 0, 1, 0])
    assert pick_tau(predicted, target, np.array([3, 1]), grid=[0.15, 0.2, 0.3, 0.5, 0.7, 0.8]) == 0.7
    assert pick_tau(predicted, target, np.array([3, 1]), grid=[0.15, 0.2, 0.3, 0.5, 0.7]) == 0.15


def test_uniform_counts_choose_the_middle_of_the_grid_because_all_taus_are_equal():
    assert pick_tau(predictions(), np.arange(50) % 4, UNIFORM) == TAUS[len(TAUS) // 2] == 1.5


def test_a_fixed_adjustment_keeps_its_tau_and_an_open_one_uses_the_chosen_tau():
    predicted, labels = gaussian_validation(each=[100] * 4, prior=COUNTS / COUNTS.sum())
    assert Adjustment(1.0).choose(predicted, labels, COUNTS) == 1.0
    assert Adjustment(None).choose(predicted, labels, COUNTS) == pick_tau(predicted, labels, COUNTS)
    assert np.array_equal(Adjustment(None).apply(predicted, COUNTS, 0.7), adjust(predicted, COUNTS, tau=0.7))


def test_an_empty_validation_set_and_an_empty_class_are_refused():
    with pytest.raises(InputError, match="no validation image"):
        pick_tau(np.zeros((0, 4)), np.array([], dtype=np.int64), COUNTS)
    with pytest.raises(InputError, match="class 1 has no training image"):
        adjust(np.zeros((2, 2)), np.array([3, 0]), tau=1.0)
