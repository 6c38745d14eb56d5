"""Coverage and error rates by simulation, intervals computed by hand, invariances and limits."""

from math import inf, log, sqrt

import numpy as np
import pytest
from scipy import stats as scipy_stats

from imagestudy import stats
from imagestudy.metrics import classification

CLASSES, PER_CLASS = 10, 50
IMAGES = CLASSES * PER_CLASS
LABELS = np.repeat(np.arange(CLASSES), PER_CLASS)
WEIGHTS = classification.linear_weights(LABELS, classes=CLASSES)
SIMULATIONS = 2_000
RECALLS = np.linspace(0.82, 0.98, CLASSES)


def draw_correct(rng, *, runs, recalls=RECALLS, shared=1.0, training=0.0, base=None, simulations=SIMULATIONS):
    """Simulate correctness (simulation, run, image) from a latent normal variable.

    Its variance is split into an image part, a run × class part, and a residual. With `shared` = 1, every run fails on the same
    images; with 0, failures are specific to each run. `base` is the image part, so that two models can share it. The expected
    recalls over retraining and new test sets are exactly those given.
    """
    image = rng.standard_normal((simulations, 1, IMAGES), dtype=np.float32) if base is None else base
    latent = np.sqrt(np.float32(shared)) * image
    if training:
        effect = rng.standard_normal((simulations, runs, CLASSES, 1), dtype=np.float32)
        latent = latent + np.sqrt(np.float32(training)) * np.repeat(effect, PER_CLASS, axis=3).reshape(simulations, runs, IMAGES)
    rest = np.float32(1 - shared - training)
    if rest > 1e-6:
        latent = latent + np.sqrt(rest) * rng.standard_normal((simulations, runs, IMAGES), dtype=np.float32)
    correct = latent < np.repeat(scipy_stats.norm.ppf(recalls), PER_CLASS).astype(np.float32)
    return np.broadcast_to(correct, (simulations, runs, IMAGES)).astype(np.float32)


def coverage(values, truth, *levels):
    spreads = [stats.measure_spread(v, weights=WEIGHTS, strata=LABELS) for v in values]
    shares = [np.mean([abs(s.estimate - truth) <= s.half_width(level=level) for s in spreads]) for level in levels or (0.95,)]
    return shares if levels else shares[0]


def spread_of(values, **options):
    return stats.measure_spread(np.asarray(values, dtype=float), **options)


# Coverage ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("shared", [1.0, 0.0], ids=["same images fail", "idiosyncratic"])
def test_coverage_of_a_score(runs, shared):
    values = draw_correct(np.random.default_rng(0), runs=runs, shared=shared)
    single, one_of_ten = coverage(values, RECALLS.mean(), 0.95, stats.corrected_level(10))
    assert 0.93 <= single <= 0.985
    assert one_of_ten >= 0.99


@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("shared", [1.0, 0.0], ids=["same images fail", "idiosyncratic"])
def test_coverage_of_a_paired_difference(runs, shared):
    rng = np.random.default_rng(1)
    image = rng.standard_normal((SIMULATIONS, 1, IMAGES), dtype=np.float32)
    other = rng.standard_normal((SIMULATIONS, 1, IMAGES), dtype=np.float32)
    a = draw_correct(rng, runs=runs, shared=shared, base=image)
    b = draw_correct(rng, runs=runs, shared=shared, recalls=RECALLS - 0.02, base=np.float32(0.8) * image + np.float32(0.6) * other)
    single, one_of_ten = coverage(a - b, 0.02, 0.95, stats.corrected_level(10))
    assert 0.93 <= single <= 0.985
    assert one_of_ten >= 0.99


@pytest.mark.parametrize("runs", [5, 10])
def test_coverage_where_runs_images_and_their_residual_all_vary(runs):
    values = draw_correct(np.random.default_rng(2), runs=runs, shared=0.5, training=0.05)
    assert 0.93 <= coverage(values, RECALLS.mean()) <= 0.985


def test_coverage_of_few_shared_failures_where_a_normal_interval_fails():
    recalls = np.linspace(0.98, 1, CLASSES)
    values = draw_correct(np.random.default_rng(3), runs=5, recalls=recalls)
    assert coverage(values, 0.99) >= 0.93
    spreads = [stats.measure_spread(v, weights=WEIGHTS, strata=LABELS) for v in values]
    plain = [abs(s.estimate - 0.99) <= 1.96 * sqrt(s.between_images) for s in spreads]
    assert np.mean(plain) < 0.9


def test_coverage_of_a_difference_of_two_test_sets():
    rng = np.random.default_rng(4)
    a, b = draw_correct(rng, runs=5, shared=0.5), draw_correct(rng, runs=5, shared=0.5)
    values = np.concatenate([a, b[:, :, : IMAGES // 2]], axis=2)
    weights = np.concatenate([np.full(IMAGES, 1 / IMAGES), np.full(IMAGES // 2, -2 / IMAGES)])
    strata = np.concatenate([LABELS, CLASSES + LABELS[: IMAGES // 2]])
    truth = RECALLS.mean() - RECALLS[: CLASSES // 2].mean()
    intervals = [stats.crossed_interval(v, weights=weights, strata=strata) for v in values]
    assert 0.93 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.985


@pytest.mark.parametrize("shared", [1.0, 0.0], ids=["same images fail", "idiosyncratic"])
def test_bootstrap_coverage_of_a_log_odds(shared):
    rng = np.random.default_rng(5)
    values = draw_correct(rng, runs=5, shared=shared, simulations=250)
    mean = RECALLS.mean()
    truth = log(mean / (1 - mean))
    hits = []
    for v in values.astype(float):
        interval = stats.bootstrap_interval(log_odds_of(v), runs=5, strata=LABELS, draws=200, rng=rng, unit=1 / (mean * (1 - mean)))
        hits.append(interval.low <= truth <= interval.high)
    assert 0.92 <= np.mean(hits) <= 0.995


@pytest.mark.parametrize("training", [0.0, 0.03])
def test_the_family_error_rate_of_ten_true_nulls_is_small(training):
    families, comparisons, runs = 300, 10, 5
    rng = np.random.default_rng(6)
    image = rng.standard_normal((families, 1, IMAGES), dtype=np.float32)
    correct = [
        draw_correct(rng, runs=runs, shared=0.5, training=training, base=image, simulations=families)
        for _ in range(comparisons + 1)
    ]
    level = stats.corrected_level(comparisons)
    false = np.zeros((families, comparisons), dtype=bool)
    for c, model in enumerate(correct[1:]):
        for f, values in enumerate(model - correct[0]):
            verdict = stats.decide(stats.crossed_interval(values, weights=WEIGHTS, strata=LABELS, level=level), margin=0.005)
            false[f, c] = verdict in ("higher", "lower")
    assert false.any(axis=1).mean() <= 0.05


# By hand ----------------------------------------------------------------------------------------------------------------


def test_components_by_hand():
    # Two runs, two strata of two images, weights 1/4. Stratum 0: (1, 1) and (0, 1); stratum 1: (1, 1) and (1, 1).
    values = np.array([[1.0, 0, 1, 1], [1, 1, 1, 1]])
    spread = stats.measure_spread(values, weights=np.full(4, 0.25), strata=np.array([0, 0, 1, 1]))
    assert spread.estimate == 0.875
    assert spread.between_runs == pytest.approx(0.03125)  # run totals 0.75 and 1
    assert spread.between_images == pytest.approx(2 * 2 * 0.0625**2)  # image means 1/4 and 1/8, centered ± 1/16; × 2/(2 − 1)
    assert spread.residual == pytest.approx(2 * 4 * 0.0625**2)
    assert spread.training == 0
    assert spread.sampling == pytest.approx(0)
    cubes, squares = 2 * 0.0625**3, 2 * 0.0625**2
    assert spread.jump == pytest.approx((cubes + 0.1 * 0.25**3) / (squares + 0.1 * 0.25**2))
    assert (spread.runs, spread.images, spread.depth) == (2, 4, 2)


def test_runs_that_differ_equally_on_all_images_give_the_t_interval_of_their_means():
    shares = np.array([0.1, 0.4, 0.2, 0.5, 0.3])
    values = np.repeat(shares[:, None], IMAGES, axis=1)
    spread = stats.measure_spread(values, weights=WEIGHTS, strata=LABELS, unit=1e-9)
    low, high = scipy_stats.t.interval(0.95, 4, loc=shares.mean(), scale=shares.std(ddof=1) / sqrt(5))
    interval = spread.interval(level=0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_runs_that_are_all_the_same_give_the_stratified_interval_of_the_images():
    one = draw_correct(np.random.default_rng(7), runs=1, simulations=1)[0]
    values = np.repeat(one, 5, axis=0)
    recalls = one[0].reshape(CLASSES, PER_CLASS).mean(axis=1)
    variance = np.sum(recalls * (1 - recalls) / (PER_CLASS - 1)) / CLASSES**2
    spread = stats.measure_spread(values, weights=WEIGHTS, strata=LABELS, unit=1e-9)
    assert (spread.between_runs, spread.residual) == pytest.approx((0, 0), abs=1e-12)
    assert spread.between_images == pytest.approx(variance)
    assert spread.half_width(level=0.95) >= 1.95 * sqrt(variance)


@pytest.mark.parametrize(("level", "tail"), [(0.95, 0.025), (0.995, 0.0025)])
def test_zero_failures_give_the_exact_binomial_bound_and_not_zero(level, tail):
    values = np.ones((5, IMAGES))
    strata = np.zeros(IMAGES, dtype=np.int64)
    interval = stats.crossed_interval(values, weights=np.full(IMAGES, 1 / IMAGES), strata=strata, level=level, limits=(0.0, 1.0))
    clopper_pearson = scipy_stats.binomtest(IMAGES, IMAGES).proportion_ci(level, method="exact").low
    assert interval.estimate == 1
    assert interval.low == pytest.approx(clopper_pearson)
    assert interval.low == pytest.approx(1 + log(tail) / IMAGES, abs=1e-4)
    assert interval.high == 1


def test_two_models_that_never_differ_still_have_an_interval_of_positive_width():
    interval = stats.crossed_interval(np.zeros((5, IMAGES)), weights=WEIGHTS, strata=LABELS)
    assert interval.low == -interval.high
    assert 0.006 < interval.high < 0.0075
    assert stats.decide(interval, margin=0.01) == "equivalent"
    assert stats.decide(interval, margin=0.005) == "undecided"


def test_a_single_run_has_no_bounds_but_its_limits():
    values = draw_correct(np.random.default_rng(8), runs=1, simulations=1)[0]
    interval = stats.crossed_interval(values, weights=WEIGHTS, strata=LABELS)
    assert (interval.low, interval.high) == (-inf, inf)
    assert stats.decide(interval, margin=0.01) == "undecided"
    limited = stats.crossed_interval(values, weights=WEIGHTS, strata=LABELS, limits=(0.0, 1.0))
    assert (limited.low, limited.high) == (0, 1)
    needed = stats.what_would_decide(values, weights=WEIGHTS, strata=LABELS, margin=0.01, level=0.95)
    assert needed == stats.Needed(None, None)


def test_a_class_of_one_image_still_varies():
    values = np.array([[1.0, 0, 1, 0], [1, 0, 1, 0]])
    options = {"weights": np.full(4, 0.25)}
    alone = spread_of(values, strata=np.array([0, 0, 1, 2]), **options)
    assert alone.between_images > spread_of(values[:, :2], strata=np.array([0, 0]), weights=np.full(2, 0.25)).between_images


def test_the_interval_is_the_estimate_plus_and_minus_its_half_width():
    values = draw_correct(np.random.default_rng(16), runs=5, shared=0.5, simulations=1)[0]
    spread = stats.measure_spread(values, weights=WEIGHTS, strata=LABELS)
    interval = stats.crossed_interval(values, weights=WEIGHTS, strata=LABELS, level=0.9)
    half = spread.half_width(level=0.9)
    assert interval == stats.Interval(spread.estimate, spread.estimate - half, spread.estimate + half, 0.9, 5, IMAGES)


# Invariances ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(9)
    a = draw_correct(rng, runs=5, shared=0.5, training=0.05, simulations=1)[0].astype(float)
    b = draw_correct(rng, runs=5, shared=0.5, training=0.05, recalls=RECALLS - 0.03, simulations=1)[0].astype(float)
    return a, b


def bounds(interval):
    return interval.estimate, interval.low, interval.high


def test_the_order_of_runs_and_of_images_does_not_matter(pair):
    a, b = pair
    rng = np.random.default_rng(10)
    labels = np.sort(rng.integers(CLASSES, size=IMAGES))
    for weights in (classification.linear_weights(labels, classes=CLASSES), np.full(IMAGES, 1 / IMAGES)):
        shuffled, runs = rng.permutation(IMAGES), rng.permutation(5)
        one = stats.crossed_interval(a - b, weights=weights, strata=labels)
        other = stats.crossed_interval((a - b)[runs][:, shuffled], weights=weights[shuffled], strata=labels[shuffled])
        assert bounds(one) == pytest.approx(bounds(other), rel=1e-9)


def test_swapping_the_models_mirrors_the_interval(pair):
    a, b = pair
    one = stats.crossed_interval(a - b, weights=WEIGHTS, strata=LABELS)
    other = stats.crossed_interval(b - a, weights=WEIGHTS, strata=LABELS)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_images_without_weight_change_nothing(pair):
    a, _ = pair
    inside = LABELS < 3
    weights = classification.linear_weights(LABELS, classes=CLASSES, members=[0, 1, 2])
    whole = stats.crossed_interval(a, weights=weights, strata=LABELS)
    part = stats.crossed_interval(a[:, inside], weights=weights[inside], strata=LABELS[inside])
    assert bounds(whole) == pytest.approx(bounds(part))
    assert whole.images == part.images == 150


def test_scaling_the_values_and_their_unit_scales_the_interval(pair):
    a, b = pair
    one = stats.crossed_interval(a - b, weights=WEIGHTS, strata=LABELS)
    percent = stats.crossed_interval(100 * (a - b), weights=WEIGHTS, strata=LABELS, unit=100.0)
    assert bounds(percent) == pytest.approx([100 * bound for bound in bounds(one)])


def test_a_higher_level_is_wider_and_more_runs_or_images_are_narrower(pair):
    a, b = pair
    spread = stats.measure_spread(a - b, weights=WEIGHTS, strata=LABELS)
    assert spread.half_width(level=0.99) > spread.half_width(level=0.95)
    assert spread.projected(runs=5, images=1.0) == spread
    assert spread.projected(runs=10, images=1.0).half_width(level=0.95) < spread.half_width(level=0.95)
    assert spread.projected(runs=5, images=4.0).half_width(level=0.95) < spread.half_width(level=0.95)
    assert spread.projected(runs=5, images=4.0).images == 2_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.full((2, IMAGES), np.nan)}, "finite"),
        ({"values": np.ones((0, IMAGES))}, "0 runs"),
        ({"weights": np.zeros(IMAGES)}, "0 such images"),
        ({"unit": 0.0}, "above 0"),
        ({"level": 1.0}, "below 1"),
    ],
)
def test_invalid_arguments_are_refused(change, message):
    given = {"values": np.ones((2, IMAGES)), "weights": WEIGHTS, "strata": LABELS} | change
    with pytest.raises(ValueError, match=message):
        stats.crossed_interval(given.pop("values"), **given)


# Bootstrap --------------------------------------------------------------------------------------------------------------


def mean_of(values):
    """Weighted balanced accuracy of `values` (run, image), as a statistic for the bootstrap."""
    return lambda runs, images: np.einsum("dr,dr->d", runs, images * WEIGHTS @ values.T) / runs.shape[1]


def log_odds_of(values):
    mean = mean_of(values)

    def statistic(runs, images):
        share = np.clip(mean(runs, images), 0.5 / IMAGES, 1 - 0.5 / IMAGES)
        return np.log(share / (1 - share))

    return statistic


def test_the_bootstrap_of_a_linear_statistic_agrees_with_the_closed_form(pair):
    a, b = pair
    closed = stats.crossed_interval(a - b, weights=WEIGHTS, strata=LABELS)
    drawn = stats.bootstrap_interval(mean_of(a - b), runs=5, strata=LABELS, draws=6_000, rng=np.random.default_rng(11))
    assert drawn.estimate == pytest.approx(closed.estimate)
    assert drawn.high - drawn.low == pytest.approx(closed.high - closed.low, rel=0.05)


def test_the_bootstrap_is_reproducible_and_symmetric(pair):
    a, b = pair

    def interval(values, seed):
        return stats.bootstrap_interval(mean_of(values), runs=5, strata=LABELS, draws=200, rng=np.random.default_rng(seed))

    assert interval(a, 1) == interval(a, 1)
    assert interval(a, 1) != interval(a, 2)
    assert bounds(interval(a - b, 1))[1:] == pytest.approx([-x for x in bounds(interval(b - a, 1))[:0:-1]])


def test_edge_cases_of_the_bootstrap():
    def interval(statistic, runs):
        rng = np.random.default_rng(12)
        return stats.bootstrap_interval(statistic, runs=runs, strata=LABELS, draws=50, rng=rng, limits=(0.0, 1.0))

    alone = interval(mean_of(np.ones((1, IMAGES))), 1)
    assert (alone.estimate, alone.low, alone.high) == (pytest.approx(1), 0, 1)
    perfect = interval(mean_of(np.ones((5, IMAGES))), 5)
    assert 0.992 < perfect.low < 0.994
    with pytest.raises(ValueError, match="not finite"):
        interval(lambda runs, images: np.full(len(runs + images[:, :1]), np.inf), 5)


def test_draw_weights_keep_every_stratum_at_its_size():
    weights = stats.draw_weights(np.array([0, 1, 0, 1, 1, 2]), draws=100, rng=np.random.default_rng(13))
    assert weights[:, [0, 2]].sum(axis=1) == pytest.approx(np.full(100, 2))
    assert weights[:, [1, 3, 4]].sum(axis=1) == pytest.approx(np.full(100, 3))
    assert np.all(weights[:, 5] == 1)


# Verdicts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.005, 0.005, "equivalent"),
        (0.002, 0.008, "equivalent"),
        (-0.01, 0.01, "equivalent"),
        (0.002, 0.02, "higher"),
        (0.011, 0.02, "higher"),
        (-0.02, -0.002, "lower"),
        (-0.002, 0.02, "undecided"),
        (0.0, 0.02, "undecided"),
        (-0.02, 0.02, "undecided"),
        (-inf, inf, "undecided"),
    ],
)
def test_the_verdict_rule(low, high, verdict):
    interval = stats.Interval((low + high) / 2 if low > -inf else 0.0, low, high, 0.95, 5, 500)
    assert stats.decide(interval, margin=0.01) == verdict


def test_corrected_level():
    assert stats.corrected_level(1) == 0.95
    assert stats.corrected_level(10) == pytest.approx(0.995)
    assert stats.corrected_level(2, 0.1) == pytest.approx(0.95)
    with pytest.raises(ValueError, match="at least 1"):
        stats.corrected_level(0)
    with pytest.raises(ValueError, match="0 or more"):
        stats.decide(stats.Interval(0.0, -1.0, 1.0, 0.95, 5, 500), margin=-0.01)


@pytest.mark.parametrize(("runs", "best"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (8, 1 / 128), (10, 1 / 512)])
def test_the_smallest_sign_flip_p_is_two_in_two_to_the_n(runs, best):
    assert stats.sign_flip_p(np.linspace(0.1, 0.2, runs)) == best
    assert stats.sign_flip_p(-np.linspace(0.1, 0.2, runs)) == best


def test_sign_flip_p_by_hand_and_against_scipy():
    # ± 3 ± 2 ± 1 is at least 4 away from 0 in 4 of 8 cases.
    assert stats.sign_flip_p(np.array([3.0, 2, -1])) == 0.5
    assert stats.sign_flip_p(np.zeros(4)) == 1
    differences = np.random.default_rng(14).normal(0.3, 1, 9)
    reference = scipy_stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert stats.sign_flip_p(differences) == pytest.approx(reference.pvalue)


def test_many_runs_flip_signs_at_random_from_the_given_generator():
    differences = np.random.default_rng(15).normal(0.4, 1, 20)
    p = stats.sign_flip_p(differences, rng=np.random.default_rng(1))
    assert p == stats.sign_flip_p(differences, rng=np.random.default_rng(1))
    assert p == pytest.approx(scipy_stats.ttest_1samp(differences, 0).pvalue, abs=0.03)
    assert stats.sign_flip_p(np.ones(30), rng=np.random.default_rng(1)) == pytest.approx(1 / 20_001)
    with pytest.raises(ValueError, match="give a generator"):
        stats.sign_flip_p(differences)


def test_probability_of_improvement_by_hand():
    a, b = np.array([3.0, 2, 1, 5]), np.array([1.0, 2, 4, 3])
    assert stats.probability_of_improvement(a, b) == (1 + 0.5 + 0 + 1) / 4
    assert stats.probability_of_improvement(a, b) + stats.probability_of_improvement(b, a) == 1
    assert stats.probability_of_improvement(a, a) == 0.5


# What would decide ------------------------------------------------------------------------------------------------------


def needs(values, *, margin=0.01, level=0.95):
    return stats.what_would_decide(values, weights=WEIGHTS, strata=LABELS, margin=margin, level=level)


def verdict_with(values, needed, *, margin=0.01, level=0.95):
    spread = stats.measure_spread(values, weights=WEIGHTS, strata=LABELS)
    larger = spread.projected(runs=5 + (needed.more_runs or 0), images=1 + (needed.more_images or 0) / IMAGES)
    return stats.decide(larger.interval(level=level), margin=margin)


def test_more_runs_decide_if_only_the_runs_vary():
    shares = 0.03 + np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
    values = np.repeat(shares[:, None], IMAGES, axis=1)
    needed = needs(values)
    # t² S²/n + (0.0071)² < 0.03² with S = 0.0316 holds from 8 runs on.
    assert needed == stats.Needed(3, None)
    assert verdict_with(values, needed) == "higher"
    assert verdict_with(values, stats.Needed(2, None)) == "undecided"


def test_few_runs_and_an_interval_wider_than_the_scale_give_no_forecast():
    """Two runs once gave −21.6 points [−100, 100], and a forecast that one more run would decide."""
    shares = 0.03 + np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
    values = np.repeat(shares[:, None], IMAGES, axis=1)
    assert needs(values[1:]) == needs(values[:2]) == stats.Needed(None, None)
    assert needs(30 * values) == stats.Needed(None, None)


def shared_differences():
    """In every run and every class, only A is correct on three images and only B on two."""
    return np.tile(np.r_[np.ones(3), -np.ones(2), np.zeros(PER_CLASS - 5)], (5, CLASSES))


def test_more_images_decide_if_all_runs_fail_on_the_same_images():
    values = shared_differences()
    needed = needs(values)
    assert needed.more_runs is None
    # 50 images of variance 1/500² give ± 0.029 around 0.02: about twice as many images.
    assert 480 < needed.more_images < 620
    assert verdict_with(values, needed) == "higher"
    assert verdict_with(values, stats.Needed(None, needed.more_images - 1)) == "undecided"


def test_more_runs_and_images_together_decide_if_neither_does_alone():
    values = shared_differences()
    values += np.array([-0.08, -0.04, 0.0, 0.04, 0.08])[:, None]
    needed = needs(values)
    assert needed.more_runs > 0
    assert needed.more_images > 0
    assert verdict_with(values, needed) == "higher"


def test_a_decided_comparison_needs_nothing_and_equivalence_can_be_reached():
    assert needs(np.full((5, IMAGES), 0.2)) == stats.Needed(0, None)
    needed = needs(np.zeros((5, IMAGES)), level=0.995)
    assert needed.more_runs is None
    assert verdict_with(np.zeros((5, IMAGES)), needed, level=0.995) == "equivalent"
    # As many a class as rule out a class that fails on a tenth of its images: 0.01 of balanced accuracy.
    assert 0.9 ** ((IMAGES + needed.more_images) / CLASSES) == pytest.approx(0.0025, rel=0.02)


def test_a_difference_of_zero_without_a_margin_cannot_be_decided():
    assert needs(np.zeros((5, IMAGES)), margin=0.0) == stats.Needed(None, None)
