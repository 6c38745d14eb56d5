"""Splits never change and never overlap; profiles have the published counts; draws are nested and repeatable."""

from itertools import pairwise

import numpy as np
import pytest

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ProfileSpec
from imagestudy.data.datasets import Dataset, load
from imagestudy.data.splits import choose, count, describe, draw, draw_class_order, profile_counts, split, spread

DIGITS = Choice(name="digits")
POOL = np.array([99, 102, 98, 103, 101, 102, 101, 99, 95, 100])


def exponential(ratio: float) -> ProfileSpec:
    return ProfileSpec(name="exponential", ratio=ratio)


def step(ratio: float) -> ProfileSpec:
    return ProfileSpec(name="step", ratio=ratio)


def dataset_of(counts: list[int]) -> Dataset:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return Dataset(np.zeros((len(labels), 8, 8, 1), np.uint8), labels, tuple("abcdefgh"[: len(counts)]), None, ())


def test_digits_are_split_as_designed():
    dataset = load(DIGITS)
    parts = split(dataset)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (1000, 297, 500)
    assert np.bincount(dataset.labels[parts.test]).tolist() == [50] * 10
    assert np.bincount(dataset.labels[parts.validation]).tolist() == [29, 30, 29, 30, 30, 30, 30, 30, 29, 30]
    assert sorted(np.concatenate([parts.train, parts.validation, parts.test]).tolist()) == list(range(1797))


def test_a_split_is_the_same_every_time():
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(split(load(DIGITS)), name), getattr(split(load(DIGITS)), name))


def test_a_source_with_parts_of_its_own_keeps_them():
    dataset = load(Choice(name="probe", options={"n_train": 60, "n_validation": 12, "n_test": 18}))
    parts = split(dataset)
    np.testing.assert_array_equal(parts.train, np.arange(60))
    np.testing.assert_array_equal(parts.validation, np.arange(60, 72))
    np.testing.assert_array_equal(parts.test, np.arange(72, 90))


def test_without_a_split_a_quarter_is_for_testing_and_natural_shares_are_kept():
    dataset = dataset_of([400, 100, 20])
    parts = split(dataset)
    assert np.bincount(dataset.labels[parts.test]).tolist() == [100, 25, 5]
    assert np.bincount(dataset.labels[parts.validation]).tolist() == [60, 15, 3]
    assert np.bincount(dataset.labels[parts.train]).tolist() == [240, 60, 12]


def test_a_class_too_small_for_three_parts_is_refused_by_name():
    with pytest.raises(InputError, match=r"class 'b' has too few images \(2\); needed: 3 or more"):
        split(dataset_of([40, 2]))


def test_spread_is_equal_to_within_one_and_spares_the_smallest():
    np.testing.assert_array_equal(spread(11, np.array([5, 9, 7, 5])), [3, 3, 3, 2])
    np.testing.assert_array_equal(spread(12, np.array([5, 9, 7])), [4, 4, 4])


@pytest.mark.parametrize(
    ("classes", "available", "totals"),
    [
        (10, 5000, {10: 20431, 50: 13996, 100: 12406, 200: 11203}),
        (100, 500, {10: 19573, 50: 12608, 100: 10847, 200: 9502}),
        (10, 6000, {10: 24516, 50: 16796, 100: 14886}),
    ],
    ids=["CIFAR-10", "CIFAR-100", "Fashion-MNIST"],
)
def test_exponential_profiles_have_the_published_totals(classes, available, totals):
    for ratio, total in totals.items():
        assert profile_counts(exponential(ratio), np.full(classes, available)).sum() == total


def test_exponential_profile_has_the_published_counts():
    counts = profile_counts(exponential(100), np.full(10, 5000))
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def test_the_smallest_class_is_exact_in_spite_of_floating_point():
    for largest in range(1, 200):
        for smallest in (n for n in range(1, largest + 1) if largest % n == 0):
            for profile in (exponential(largest / smallest), step(largest / smallest)):
                assert profile_counts(profile, np.full(3, largest))[-1] == smallest


def test_step_profile_halves_the_classes():
    assert profile_counts(step(10), np.full(10, 5000)).tolist() == [5000] * 5 + [500] * 5
    assert profile_counts(step(10), np.full(5, 99)).tolist() == [99] * 2 + [9] * 3
    assert profile_counts(step(4), np.array([8, 30])).tolist() == [8, 2]


@pytest.mark.parametrize("name", ["exponential", "step"])
def test_ratio_one_is_balanced(name):
    profile = ProfileSpec(name=name, ratio=1)
    np.testing.assert_array_equal(profile_counts(profile, POOL), profile_counts(ProfileSpec(), POOL))


def test_balanced_profile_takes_what_every_class_has_or_the_size_asked_for():
    assert profile_counts(ProfileSpec(), POOL).tolist() == [95] * 10
    assert profile_counts(ProfileSpec(size=257), POOL).tolist() == [26] * 7 + [25] * 3
    assert profile_counts(ProfileSpec(size=10), POOL).tolist() == [1] * 10


def test_a_smaller_largest_class_shrinks_all_the_others_with_it():
    smaller = ProfileSpec(name="exponential", ratio=10, largest=24)
    assert profile_counts(smaller, POOL).tolist() == [24, 18, 14, 11, 8, 6, 5, 4, 3, 2]
    assert profile_counts(ProfileSpec(name="step", ratio=10, largest=48), POOL).tolist() == [48] * 5 + [4] * 5
    assert profile_counts(ProfileSpec(name="step", ratio=24, largest=24), POOL)[-1] == 1


@pytest.mark.parametrize("name", ["exponential", "step"])
def test_a_largest_class_equal_to_the_default_changes_nothing(name):
    whole, said = (ProfileSpec(name=name, ratio=10, largest=largest) for largest in (None, 95))
    np.testing.assert_array_equal(profile_counts(said, POOL), profile_counts(whole, POOL))


def test_a_largest_class_larger_than_a_class_can_provide_is_rejected():
    with pytest.raises(
        InputError, match=r"^a largest class of 96 was given to profile 'step'; allowed: 1 to 95, the number of training"
    ):
        profile_counts(ProfileSpec(name="step", ratio=2, largest=96), POOL)


def test_a_ratio_above_the_largest_class_leaves_a_class_without_an_image():
    with pytest.raises(InputError, match="ratio 25 of profile 'step' leaves a class without an image; allowed: 1 to 24"):
        profile_counts(ProfileSpec(name="step", ratio=25, largest=24), POOL)


def test_with_the_same_seeds_a_smaller_training_set_is_part_of_a_larger_one_and_the_same_classes_are_rare():
    dataset, parts = load(DIGITS), split(load(DIGITS))
    profiles = [ProfileSpec(name="exponential", ratio=10, largest=largest) for largest in (24, 48, None)]
    drawn = [draw(dataset, parts.train, profile, draw=3, order=4) for profile in profiles]
    assert set(drawn[0]) < set(drawn[1]) < set(drawn[2])
    counts = [count(dataset.labels[rows], 10) for rows in drawn]
    assert len({tuple(np.flatnonzero(c == c.max())) + tuple(np.flatnonzero(c == c.min())) for c in counts}) == 1


@pytest.mark.parametrize("size", [9, 951])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(InputError, match=f"size {size} .* allowed: 10 to 950"):
        profile_counts(ProfileSpec(size=size), POOL)


@pytest.mark.parametrize("profile", [exponential(95.5), step(96), exponential(1000)])
def test_a_ratio_that_leaves_a_class_empty_is_refused_with_the_largest_allowed(profile):
    with pytest.raises(InputError, match=rf"ratio {profile.ratio:g} .* leaves a class without an image; allowed: 1 to 95,"):
        profile_counts(profile, POOL)
    assert profile_counts(profile.model_copy(update={"ratio": 95.0}), POOL)[-1] == 1


@pytest.mark.parametrize("available", [[5], [5, 0, 3]])
def test_an_empty_class_and_a_single_class_are_refused(available):
    for name in ("balanced", "natural"):
        with pytest.raises(InputError, match="two classes or more"):
            profile_counts(ProfileSpec(name=name), np.array(available))


def test_natural_profile_is_all_there_is_whatever_the_order_seed():
    dataset, parts = load(DIGITS), split(load(DIGITS))
    for seed in range(3):
        chosen = draw(dataset, parts.train, ProfileSpec(name="natural"), draw=seed, order=seed)
        np.testing.assert_array_equal(chosen, parts.train)
    assert profile_counts(ProfileSpec(name="natural"), POOL).tolist() == sorted(POOL.tolist(), reverse=True)
    order = draw_class_order(ProfileSpec(name="natural"), POOL, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(POOL[order], np.sort(POOL)[::-1])


def test_the_chosen_images_have_the_counts_of_their_ranks_and_come_from_the_pool():
    dataset, pool = load(DIGITS), split(load(DIGITS)).train
    order = np.random.default_rng(3).permutation(10)
    counts = profile_counts(exponential(50), POOL)
    chosen = choose(dataset.labels, pool, counts, class_order=order, rng=np.random.default_rng(4))
    np.testing.assert_array_equal(count(dataset.labels[chosen], 10)[order], counts)
    assert len(np.unique(chosen)) == counts.sum()
    assert np.isin(chosen, pool).all()


def test_more_images_than_the_pool_has_are_refused():
    with pytest.raises(InputError, match="training images of class number 0: 5 were requested; the pool contains 4"):
        choose(np.array([0] * 4 + [1] * 9), np.arange(13), np.array([5, 1]), class_order=np.arange(2), rng=np.random.default_rng(0))


@pytest.mark.parametrize("make", [exponential, step])
def test_with_the_same_seeds_a_steeper_profile_is_part_of_a_flatter_one(make):
    dataset, pool = load(DIGITS), split(load(DIGITS)).train
    drawn = [set(draw(dataset, pool, make(ratio), draw=7, order=7).tolist()) for ratio in (50, 20, 10, 2, 1)]
    for steeper, flatter in pairwise(drawn):
        assert steeper < flatter
    assert drawn[-1] == set(draw(dataset, pool, ProfileSpec(), draw=7, order=8).tolist())


def test_draw_and_order_seeds_are_independent():
    dataset, pool = load(DIGITS), split(load(DIGITS)).train

    def drawn(draw_seed: int, order_seed: int) -> np.ndarray:
        return draw(dataset, pool, exponential(50), draw=draw_seed, order=order_seed)

    def counts(chosen: np.ndarray) -> list[int]:
        return count(dataset.labels[chosen], 10).tolist()

    np.testing.assert_array_equal(drawn(1, 2), drawn(1, 2))
    assert drawn(1, 2).tolist() != drawn(3, 2).tolist()
    assert counts(drawn(1, 2)) == counts(drawn(3, 2))
    assert counts(drawn(1, 2)) != counts(drawn(1, 3))


def test_description_of_an_imbalance_by_hand():
    found = describe(np.repeat([0, 1, 2], [6, 3, 1]), ("a", "b", "c"))
    assert found.counts.tolist() == [6, 3, 1]
    assert found.ratio == 6
    assert found.gini == pytest.approx((2 * 6 - 2 * 1) / (3 * 10))
    assert found.smallest == "c"


def test_limits_of_the_description():
    even = describe(np.repeat([0, 1, 2], 5), ("a", "b", "c"))
    assert (even.ratio, even.gini, even.smallest) == (1, 0, "a")
    lonely = describe(np.zeros(5, dtype=np.int64), ("a", "b", "c", "d"))
    assert (lonely.ratio, lonely.gini, lonely.smallest) == (np.inf, 0.75, "b")
