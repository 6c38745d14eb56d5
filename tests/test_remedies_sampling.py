"""Tests of sampling: exact counts, frequencies, and the same number of images for every remedy."""

import numpy as np
import pytest
from scipy.stats import chisquare

from imagestudy.core.errors import InputError
from imagestudy.remedies import sampling
from imagestudy.remedies.sampling import (
    ClassSampler,
    Deferred,
    Epochs,
    over_sampled,
    power_shares,
    progressive_shares,
    under_sampled,
)

COUNTS = np.array([90, 31, 7, 2])
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
UNIFORM = np.random.default_rng(1).permutation(np.repeat(np.arange(5), 12))

PLAIN = Epochs()
UNDER = Epochs(under_sampled)
OVER = Epochs(over_sampled, redrawn=True)
INSTANCE, SQUARE_ROOT, BALANCED = (ClassSampler(power_shares(power)) for power in (1.0, 0.5, 0.0))
PROGRESSIVE = ClassSampler(progressive_shares)
LATE = Deferred(PLAIN, BALANCED, 0.8)
EVERY = [PLAIN, UNDER, OVER, INSTANCE, SQUARE_ROOT, BALANCED, PROGRESSIVE, LATE]


def plan(rule, labels=LABELS, *, images_seen=1000, batch=16, seed=3):
    return rule.plan(labels, images_seen=images_seen, batch=batch, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("rule", EVERY)
@pytest.mark.parametrize(("images_seen", "batch"), [(1000, 16), (16, 16), (130, 130), (4001, 64), (7, 1)])
def test_every_plan_uses_as_many_images_as_plain_training(rule, images_seen, batch):
    schedule = plan(rule, images_seen=images_seen, batch=batch)
    assert schedule.shape == (images_seen // batch, batch)
    assert schedule.min() >= 0
    assert schedule.max() < len(LABELS)


@pytest.mark.parametrize("rule", EVERY)
def test_the_same_generator_gives_the_same_plan_and_set_and_another_one_differs(rule):
    assert np.array_equal(plan(rule, seed=5), plan(rule, seed=5))
    assert not np.array_equal(plan(rule, seed=5), plan(rule, seed=6))
    first, second = (rule.resample(LABELS, rng=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)


def test_every_plain_epoch_is_a_different_permutation_of_all_images():
    epochs = plan(PLAIN, images_seen=3 * 130, batch=10).reshape(3, 130)
    assert np.array_equal(np.sort(epochs, axis=1), np.tile(np.arange(130), (3, 1)))
    assert not np.array_equal(epochs[0], epochs[1])


def test_under_sampling_uses_one_subset_with_the_smallest_count_of_every_class():
    epochs = plan(UNDER, images_seen=4 * 8, batch=8)
    subset = np.unique(epochs[0])
    assert len(subset) == 8
    assert np.array_equal(np.bincount(LABELS[subset]), [2, 2, 2, 2])
    assert np.array_equal(np.sort(epochs, axis=1), np.tile(subset, (4, 1)))


def test_under_sampling_keeps_every_image_of_a_class_equally_often():
    labels = np.repeat([0, 1], [12, 3])
    kept = np.concatenate([under_sampled(labels, np.random.default_rng(seed)) for seed in range(2000)])
    assert chisquare(np.bincount(kept)[:12]).pvalue > 1e-3


def test_over_sampling_repeats_every_class_up_to_the_largest_count_in_every_epoch():
    epochs = plan(OVER, images_seen=3 * 360, batch=360)
    for epoch in epochs:
        assert np.array_equal(np.bincount(LABELS[epoch]), [90, 90, 90, 90])
        copies = np.bincount(epoch, minlength=130)
        for label, count in enumerate(COUNTS):
            whole = 90 // count
            assert set(copies[label == LABELS]) <= {whole, whole + 1}
            assert np.sum(copies[label == LABELS] == whole + 1) == 90 % count


def test_over_sampling_draws_a_new_random_remainder_in_every_epoch():
    first, second = plan(OVER, images_seen=2 * 360, batch=360)
    assert not np.array_equal(np.sort(first), np.sort(second))


@pytest.mark.parametrize("rule", [UNDER, OVER])
def test_with_uniform_counts_under_and_over_sampling_are_plain_training_bit_for_bit(rule):
    assert np.array_equal(plan(rule, UNIFORM), plan(PLAIN, UNIFORM))
    assert np.array_equal(rule.resample(UNIFORM, rng=np.random.default_rng(0)), np.arange(len(UNIFORM)))


@pytest.mark.parametrize(("rule", "power"), [(INSTANCE, 1.0), (SQUARE_ROOT, 0.5), (BALANCED, 0.0)])
@pytest.mark.parametrize("counts", [COUNTS, np.full(5, 12)])
def test_samplers_reach_their_class_frequencies_and_draw_images_of_a_class_evenly(rule, power, counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    drawn = plan(rule, labels, images_seen=100_000, batch=50).ravel()
    expected = len(drawn) * counts**power / np.sum(counts**power)
    assert chisquare(np.bincount(labels[drawn]), expected).pvalue > 1e-3
    largest = np.bincount(drawn)[: counts[0]]
    assert chisquare(largest).pvalue > 1e-3


def test_power_one_has_the_original_class_frequencies_and_uniform_counts_make_all_samplers_equal():
    uniform = [plan(rule, UNIFORM, seed=9) for rule in (INSTANCE, SQUARE_ROOT, BALANCED)]
    assert np.array_equal(uniform[0], uniform[1])
    assert np.array_equal(uniform[0], uniform[2])
    shares = power_shares(1.0)(COUNTS, np.zeros(1))
    np.testing.assert_allclose(shares[0], COUNTS / COUNTS.sum())


def test_progressive_shares_move_linearly_from_uniform_images_to_uniform_classes():
    start, half, end = progressive_shares(COUNTS, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(start, COUNTS / COUNTS.sum(), rtol=1e-12)
    np.testing.assert_allclose(end, 0.25, rtol=1e-12)
    np.testing.assert_allclose(half, (start + end) / 2, rtol=1e-12)
    np.testing.assert_allclose(progressive_shares(COUNTS, np.linspace(0, 1, 7)).sum(axis=1), 1)
    assert progressive_shares(np.array([3, 0, 9]), np.array([0.5]))[0, 1] == 0


def test_the_progressive_sampler_starts_with_uniform_images_and_ends_with_uniform_classes():
    drawn = LABELS[plan(PROGRESSIVE, images_seen=200_000, batch=100)]
    early, late = (np.bincount(part.ravel(), minlength=4) / part.size for part in (drawn[:100], drawn[-100:]))
    np.testing.assert_allclose(early, COUNTS / COUNTS.sum(), atol=0.04)
    np.testing.assert_allclose(late, 0.25, atol=0.04)
    middle = np.bincount(drawn.ravel(), minlength=4)
    assert chisquare(middle, drawn.size * (COUNTS / COUNTS.sum() + 0.25) / 2).pvalue > 1e-3


def test_uniform_counts_make_the_progressive_sampler_equal_to_the_others():
    assert np.array_equal(plan(PROGRESSIVE, UNIFORM), plan(BALANCED, UNIFORM))


@pytest.mark.parametrize("steps", [625, 40, 10, 7])
def test_deferred_resampling_is_plain_training_bit_for_bit_until_the_switch_and_then_balanced(steps):
    found = plan(LATE, images_seen=steps * 64, batch=64)
    rng = np.random.default_rng(3)
    early, late = (rule.plan(LABELS, images_seen=steps * 64, batch=64, rng=rng) for rule in (PLAIN, BALANCED))
    switch = -(-4 * steps // 5)
    assert np.array_equal(found[:switch], plan(PLAIN, images_seen=steps * 64, batch=64)[:switch])
    assert np.array_equal(early, plan(PLAIN, images_seen=steps * 64, batch=64))
    assert np.array_equal(found[switch:], late[switch:])
    assert not np.array_equal(found[switch:], early[switch:])


def test_after_the_switch_deferred_resampling_draws_all_classes_equally():
    found = plan(LATE, images_seen=100_000, batch=50)
    assert chisquare(np.bincount(LABELS[found[1600:]].ravel(), minlength=4)).pvalue > 1e-3
    assert np.bincount(found[:1599].ravel(), minlength=130).std() < 1


@pytest.mark.parametrize(("after", "same"), [(0.0, BALANCED), (1.0, PLAIN)])
def test_deferral_to_the_start_is_the_second_rule_alone_and_deferral_to_the_end_the_first(after, same):
    found = plan(Deferred(PLAIN, BALANCED, after))
    expected = np.random.default_rng(3)
    if same is BALANCED:
        plan_of_first = PLAIN.plan(LABELS, images_seen=1000, batch=16, rng=expected)
        assert plan_of_first.shape == found.shape
    assert np.array_equal(found, same.plan(LABELS, images_seen=1000, batch=16, rng=expected))


def test_a_sampled_finite_set_has_the_size_of_the_original_and_the_classes_of_the_sampler():
    labels = np.repeat(np.arange(3), [6000, 600, 60])
    found = BALANCED.resample(labels, rng=np.random.default_rng(0))
    assert len(found) == len(labels)
    assert chisquare(np.bincount(labels[found])).pvalue > 1e-3
    for rule in (PROGRESSIVE, LATE):
        assert chisquare(np.bincount(labels[rule.resample(labels, rng=np.random.default_rng(0))])).pvalue > 1e-3
    assert np.bincount(labels[OVER.resample(labels, rng=np.random.default_rng(0))]).tolist() == [6000] * 3
    assert np.bincount(labels[UNDER.resample(labels, rng=np.random.default_rng(0))]).tolist() == [60] * 3
    assert np.array_equal(PLAIN.resample(labels, rng=np.random.default_rng(0)), np.arange(len(labels)))


@pytest.mark.parametrize("rule", EVERY)
def test_a_label_without_images_is_never_drawn_and_is_not_the_smallest_class(rule):
    labels = np.repeat([0, 2, 5], [20, 4, 8])
    assert set(np.unique(labels[plan(rule, labels)])) == {0, 2, 5}
    assert len(rule.resample(labels, rng=np.random.default_rng(0))) >= 12


@pytest.mark.parametrize("rule", EVERY)
def test_one_image_can_be_trained_on(rule):
    assert np.array_equal(plan(rule, np.array([1]), images_seen=4, batch=2), np.zeros((2, 2)))


def test_classes_with_probability_zero_are_never_drawn():
    class Highest(np.random.Generator):
        def random(self, size):
            return np.full(size, np.nextafter(1.0, 0.0))

    shares = np.tile([0.0, 0.3, 0.7, 0.0], (4000, 1))
    assert np.all(sampling._draw_classes(shares, batch=3, rng=Highest(np.random.PCG64())) == 2)


@pytest.mark.parametrize("rule", EVERY)
def test_a_budget_below_one_batch_and_an_empty_training_set_are_refused(rule):
    with pytest.raises(InputError, match="budget of 15 images seen does not fill one batch of 16"):
        plan(rule, images_seen=15)
    with pytest.raises(InputError, match="no training image"):
        plan(rule, np.array([], dtype=np.int64))
