"""Tests of the losses: published values, limiting cases, agreement with reference implementations."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.remedies import remedy
from imagestudy.remedies.losses import (
    CrossEntropy,
    Deferred,
    Focal,
    LogitAdjusted,
    Margin,
    Smoothed,
    Weighted,
    effective_number_weights,
    inverse_frequency_weights,
    uniform_weights,
    with_image_mean_one,
)

CIFAR10_RATIO_100 = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
COUNTS = np.array([90, 31, 7, 2])
UNIFORM = np.full(4, 25)

INVERSE = CrossEntropy(inverse_frequency_weights)
EFFECTIVE = CrossEntropy(lambda counts: effective_number_weights(counts, 0.9999))
BALANCED_SOFTMAX = LogitAdjusted(1.0)
LATE = Deferred(CrossEntropy(), Weighted(CrossEntropy(), EFFECTIVE.weigh), after=0.5)
ZERO_WHEN_CERTAIN = [
    CrossEntropy(),
    INVERSE,
    EFFECTIVE,
    Focal(0.5),
    Focal(2.0),
    BALANCED_SOFTMAX,
    LogitAdjusted(2.5),
    Margin(0.5, 30.0),
    Weighted(Margin(0.5, 30.0), EFFECTIVE.weigh),
    LATE,
]
EVERY = [*ZERO_WHEN_CERTAIN, Smoothed(0.3, 0.0), Smoothed(0.3, 0.1)]
"""The losses in ZERO_WHEN_CERTAIN are 0 if the true class has probability 1; label smoothing penalizes certainty."""


def batch(*, size=64, classes=4, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(size, classes, generator=generator)
    return logits, torch.randint(classes, (size,), generator=generator)


def value_and_gradient(loss, logits, labels):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def each(criterion, counts=COUNTS, *, progress=0.5):
    """Return the function that gives the loss of each image."""
    loss = criterion.loss(counts, device="cpu")
    return lambda logits, labels: loss(logits, labels, progress)


def make(criterion, counts=COUNTS, *, progress=0.5):
    """Return the training objective: the mean loss over the images of a batch."""
    loss = each(criterion, counts, progress=progress)
    return lambda logits, labels: loss(logits, labels).mean()


def loss_and_gradient(criterion, logits, labels, counts=COUNTS, *, progress=0.5):
    return value_and_gradient(make(criterion, counts, progress=progress), logits, labels)


def assert_equal(one, other, **tolerance):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize(
    ("beta", "published"),
    [
        (0.999, [0.1812, 0.1894, 0.2157, 0.2729, 0.3785, 0.5606, 0.8688, 1.3862, 2.2584, 3.6883]),
        (0.9999, [0.0506, 0.0769, 0.1211, 0.1950, 0.3188, 0.5246, 0.8683, 1.4426, 2.4092, 3.9927]),
    ],
)
def test_class_balanced_weights_are_the_published_ones_of_cifar10_at_ratio_100(beta, published):
    weights = effective_number_weights(CIFAR10_RATIO_100, beta)
    np.testing.assert_allclose(weights, published, atol=5.01e-5)
    assert weights.sum() == pytest.approx(10)


def test_class_balanced_weights_approach_inverse_frequencies_as_beta_approaches_one_and_are_one_at_zero():
    np.testing.assert_allclose(effective_number_weights(COUNTS, 1 - 1e-8), inverse_frequency_weights(COUNTS), rtol=1e-5)
    assert np.array_equal(effective_number_weights(COUNTS, 0.0), np.ones(4))


def test_class_weights_equal_the_balanced_weights_of_scikit_learn():
    labels = np.repeat(np.arange(4), COUNTS)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(INVERSE.class_weights(COUNTS), expected)


@pytest.mark.parametrize("rule", [uniform_weights, inverse_frequency_weights, EFFECTIVE.weigh])
def test_weights_in_training_have_mean_one_over_images_at_any_scale(rule):
    for scale in (1.0, 1e6):
        weights = with_image_mean_one(scale * rule(COUNTS), COUNTS)
        assert COUNTS @ weights == pytest.approx(COUNTS.sum())


def test_the_plain_loss_is_cross_entropy_bit_for_bit():
    logits, labels = batch()
    one_by_one = functional.cross_entropy(logits, labels, reduction="none")
    assert torch.equal(each(CrossEntropy())(logits, labels), one_by_one)
    value, gradient = loss_and_gradient(CrossEntropy(), logits, labels)
    expected, slope = value_and_gradient(functional.cross_entropy, logits, labels)
    torch.testing.assert_close(value, expected)
    assert torch.equal(gradient, slope)


@pytest.mark.parametrize("criterion", [INVERSE, EFFECTIVE])
def test_a_weighted_loss_is_the_mean_over_images_of_weight_times_cross_entropy(criterion):
    logits, labels = batch()
    weights = torch.as_tensor(criterion.class_weights(COUNTS), dtype=torch.float32)
    by_hand = (weights[labels] * functional.cross_entropy(logits, labels, reduction="none")).mean()
    summed = functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / len(labels)
    value, _ = loss_and_gradient(criterion, logits, labels)
    torch.testing.assert_close(value, by_hand)
    torch.testing.assert_close(value, summed)


def test_a_batch_of_a_rare_class_has_a_larger_loss_which_torchs_weighted_mean_would_hide():
    logits = torch.zeros(8, 4)
    loss = make(INVERSE)
    weights = torch.as_tensor(INVERSE.class_weights(COUNTS), dtype=torch.float32)
    common, rare = torch.zeros(8, dtype=torch.int64), torch.full((8,), 3)
    assert loss(logits, rare) / loss(logits, common) == pytest.approx(45, rel=1e-5)
    hidden = [functional.cross_entropy(logits, labels, weight=weights) for labels in (common, rare)]
    assert hidden[0] == pytest.approx(hidden[1].item())


def test_over_the_whole_training_set_a_weighted_loss_has_the_size_of_the_plain_loss():
    labels = torch.repeat_interleave(torch.arange(4), torch.as_tensor(COUNTS))
    logits = torch.zeros(len(labels), 4)
    for criterion in (INVERSE, EFFECTIVE):
        assert loss_and_gradient(criterion, logits, labels)[0] == pytest.approx(np.log(4), rel=1e-6)


def test_focal_loss_with_gamma_zero_is_cross_entropy_in_value_and_gradient():
    logits, labels = batch()
    assert_equal(loss_and_gradient(Focal(0.0), logits, labels), loss_and_gradient(CrossEntropy(), logits, labels))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_is_its_formula_with_the_probability_of_the_plain_softmax(gamma):
    logits, labels = batch()

    def by_hand(leaf, target):
        p = leaf.double().softmax(dim=1)[torch.arange(len(target)), target]
        return (-((1 - p) ** gamma) * p.log()).mean().float()

    assert_equal(loss_and_gradient(Focal(gamma), logits, labels), value_and_gradient(by_hand, logits, labels))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_of_two_classes_is_the_sigmoid_form_of_the_logit_difference(gamma):
    logits, labels = batch(classes=2)

    def sigmoid_form(leaf, target):
        return sigmoid_focal_loss(leaf[:, 1] - leaf[:, 0], target.float(), alpha=-1, gamma=gamma, reduction="mean")

    found = loss_and_gradient(Focal(gamma), logits, labels, counts=np.array([9, 3]))
    assert_equal(found, value_and_gradient(sigmoid_form, logits, labels))


def test_balanced_softmax_is_its_formula():
    logits, labels = batch()

    def by_hand(leaf, target):
        raised = torch.as_tensor(COUNTS) * leaf.double().exp()
        return -(raised[torch.arange(len(target)), target] / raised.sum(dim=1)).log().mean().float()

    assert_equal(loss_and_gradient(BALANCED_SOFTMAX, logits, labels), value_and_gradient(by_hand, logits, labels))


def test_balanced_softmax_is_the_logit_adjusted_loss_at_tau_one_in_value_and_gradient():
    logits, labels = batch()
    prior = torch.as_tensor(COUNTS / COUNTS.sum(), dtype=torch.float32)

    def logit_adjusted(leaf, target):
        return functional.cross_entropy(leaf + 1.0 * prior.log(), target)

    assert_equal(loss_and_gradient(BALANCED_SOFTMAX, logits, labels), value_and_gradient(logit_adjusted, logits, labels))


@pytest.mark.parametrize("criterion", [INVERSE, EFFECTIVE, BALANCED_SOFTMAX])
def test_uniform_counts_make_reweighting_and_balanced_softmax_equal_plain_training(criterion):
    logits, labels = batch()
    assert_equal(loss_and_gradient(criterion, logits, labels, UNIFORM), loss_and_gradient(CrossEntropy(), logits, labels, UNIFORM))


@pytest.mark.parametrize("criterion", [INVERSE, EFFECTIVE, BALANCED_SOFTMAX, LogitAdjusted(2.5)])
def test_other_counts_make_them_differ_from_plain_training(criterion):
    logits, labels = batch()
    _, gradient = loss_and_gradient(criterion, logits, labels)
    assert (gradient - loss_and_gradient(CrossEntropy(), logits, labels)[1]).abs().max() > 1e-4


@pytest.mark.parametrize("criterion", [Focal(2.0), Margin(0.5, 30.0), Smoothed(0.3, 0.0)])
def test_focal_loss_margins_and_smoothing_differ_from_plain_training_at_uniform_counts(criterion):
    logits, labels = batch()
    value, _ = loss_and_gradient(criterion, logits, labels, UNIFORM)
    assert (value - loss_and_gradient(CrossEntropy(), logits, labels, UNIFORM)[0]).abs() > 1e-2


@pytest.mark.parametrize("counts", [COUNTS, UNIFORM, CIFAR10_RATIO_100])
def test_the_logit_adjusted_loss_at_tau_zero_is_cross_entropy_bit_for_bit(counts):
    logits, labels = batch(classes=len(counts))
    found = loss_and_gradient(LogitAdjusted(0.0), logits, labels, counts)
    assert_equal(found, loss_and_gradient(CrossEntropy(), logits, labels, counts), rtol=0, atol=0)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.5])
def test_the_logit_adjusted_loss_is_its_formula(tau):
    logits, labels = batch()

    def by_hand(leaf, target):
        raised = torch.as_tensor(COUNTS / COUNTS.sum()) ** tau * leaf.double().exp()
        return -(raised[torch.arange(len(target)), target] / raised.sum(dim=1)).log().mean().float()

    assert_equal(loss_and_gradient(LogitAdjusted(tau), logits, labels), value_and_gradient(by_hand, logits, labels))


def test_margins_are_the_published_ones_of_cifar10_at_ratio_100():
    published = [0.1581, 0.1797, 0.2042, 0.2321, 0.2638, 0.2998, 0.3407, 0.3872, 0.4405, 0.5000]
    found = Margin(0.5, 30.0).margins(CIFAR10_RATIO_100)
    np.testing.assert_allclose(found, published, atol=5.01e-5)
    assert found[-1] == 0.5
    np.testing.assert_allclose(found * CIFAR10_RATIO_100**0.25, 0.5 * 50**0.25)


def test_uniform_counts_give_every_class_the_largest_margin():
    assert np.array_equal(Margin(0.4, 30.0).margins(UNIFORM), np.full(4, 0.4))


def test_the_margin_loss_is_cross_entropy_of_scaled_cosines_with_the_true_one_lowered():
    cosines, labels = batch(scale=0.4)
    margins = torch.as_tensor(0.5 * (2 / COUNTS) ** 0.25)

    def by_hand(leaf, target):
        lowered = leaf.double() / 30 - functional.one_hot(target, 4) * margins
        chosen = torch.exp(30 * lowered[torch.arange(len(target)), target])
        return -(chosen / torch.exp(30 * lowered).sum(dim=1)).log().mean().float()

    assert_equal(loss_and_gradient(Margin(0.5, 30.0), 30 * cosines, labels), value_and_gradient(by_hand, 30 * cosines, labels))


def test_a_margin_of_zero_is_cross_entropy_bit_for_bit():
    logits, labels = batch()
    assert_equal(
        loss_and_gradient(Margin(0.0, 30.0), logits, labels), loss_and_gradient(CrossEntropy(), logits, labels), rtol=0, atol=0
    )


def test_a_rarer_class_has_a_larger_margin():
    level = torch.zeros(4, 4)
    by_class = each(Margin(0.5, 30.0))(level, torch.arange(4))
    assert (by_class.diff() > 0).all()
    right_by_margin = level + torch.diag(torch.as_tensor(30 * Margin(0.5, 30.0).margins(COUNTS), dtype=torch.float32))
    torch.testing.assert_close(each(Margin(0.5, 30.0))(right_by_margin, torch.arange(4)), torch.full((4,), np.log(4)).float())


def test_smoothing_is_its_formula_from_zero_for_the_tail_to_the_most_for_the_head():
    found = Smoothed(0.3, 0.0).smoothing(np.array([120, 70, 40, 20]))
    np.testing.assert_allclose(found, 0.3 * np.array([1, np.sqrt(0.5), np.sin(np.pi / 10), 0]), atol=1e-12)
    np.testing.assert_allclose(Smoothed(0.4, 0.1).smoothing(np.array([20, 120])), [0.1, 0.4])
    assert np.array_equal(Smoothed(0.3, 0.0).smoothing(UNIFORM), np.full(4, 0.3))


@pytest.mark.parametrize("label", range(4))
def test_the_loss_of_a_class_equals_torchs_label_smoothing_of_the_same_strength(label):
    """Torch distributes its ε over all K classes, including the true one; here ε goes to the other K − 1 classes."""
    logits, _ = batch()
    labels = torch.full((len(logits),), label)
    epsilon = float(Smoothed(0.3, 0.1).smoothing(COUNTS)[label])

    def of_torch(leaf, target):
        return functional.cross_entropy(leaf, target, label_smoothing=epsilon * 4 / 3)

    assert_equal(loss_and_gradient(Smoothed(0.3, 0.1), logits, labels), value_and_gradient(of_torch, logits, labels))


def test_no_smoothing_is_cross_entropy_in_value_and_gradient():
    logits, labels = batch()
    assert_equal(loss_and_gradient(Smoothed(0.0, 0.0), logits, labels), loss_and_gradient(CrossEntropy(), logits, labels))


def test_the_loss_of_a_smoothed_label_is_smallest_at_exactly_that_probability():
    epsilon = Smoothed(0.3, 0.1).smoothing(COUNTS)
    wanted = torch.as_tensor(np.where(np.eye(4) == 1, 1 - epsilon[:, None], epsilon[:, None] / 3), dtype=torch.float32)
    _, gradient = loss_and_gradient(Smoothed(0.3, 0.1), wanted.log(), torch.arange(4))
    torch.testing.assert_close(gradient, torch.zeros(4, 4), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", [inverse_frequency_weights, EFFECTIVE.weigh])
def test_weighting_the_plain_loss_is_weighted_cross_entropy(rule):
    logits, labels = batch()
    found = loss_and_gradient(Weighted(CrossEntropy(), rule), logits, labels)
    assert_equal(found, loss_and_gradient(CrossEntropy(rule), logits, labels))


@pytest.mark.parametrize("criterion", [Focal(2.0), Margin(0.5, 30.0)])
def test_a_weight_only_multiplies_the_loss_of_an_image(criterion):
    logits, labels = batch()
    weights = torch.as_tensor(INVERSE.class_weights(COUNTS), dtype=torch.float32)
    found = each(Weighted(criterion, INVERSE.weigh))(logits, labels)
    assert torch.equal(found, weights[labels] * each(criterion)(logits, labels))


@pytest.mark.parametrize("steps", [625, 40, 10, 7])
def test_deferred_reweighting_is_plain_in_the_first_four_fifths_of_the_steps_and_then_weighted(steps):
    logits, labels = batch()
    loss = remedy(Choice(name="drw")).loss(COUNTS)
    plain, weighted = each(CrossEntropy())(logits, labels), each(EFFECTIVE)(logits, labels)
    assert not torch.equal(plain, weighted)
    for step in {0, *range(4 * steps // 5 - 2, 4 * steps // 5 + 3), steps - 1}.intersection(range(steps)):
        found = loss(logits, labels, step / steps)
        torch.testing.assert_close(found, plain if 5 * step < 4 * steps else weighted)


@pytest.mark.parametrize(("progress", "early"), [(0.0, True), (0.79, True), (0.8, False), (0.99, False)])
def test_the_gradient_of_deferred_reweighting_is_plain_bit_for_bit_until_the_switch(progress, early):
    logits, labels = batch()
    criterion = Deferred(CrossEntropy(), EFFECTIVE)
    assert_equal(
        loss_and_gradient(criterion, logits, labels, progress=progress),
        loss_and_gradient(CrossEntropy() if early else EFFECTIVE, logits, labels),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize(("after", "same"), [(0.0, EFFECTIVE), (1.0, CrossEntropy())])
def test_deferral_to_the_start_is_never_plain_and_deferral_to_the_end_is_always_plain(after, same):
    logits, labels = batch()
    for progress in (0.0, 0.5, 624 / 625):
        found = loss_and_gradient(Deferred(CrossEntropy(), EFFECTIVE, after), logits, labels, progress=progress)
        assert_equal(found, loss_and_gradient(same, logits, labels), rtol=0, atol=0)


@pytest.mark.parametrize("criterion", [criterion for criterion in EVERY if criterion is not LATE])
def test_only_deferred_losses_depend_on_the_progress(criterion):
    logits, labels = batch()
    assert torch.equal(each(criterion, progress=0.0)(logits, labels), each(criterion, progress=0.99)(logits, labels))


@pytest.mark.parametrize("criterion", EVERY)
@pytest.mark.parametrize("right", [True, False])
def test_extreme_logits_keep_a_finite_loss_and_finite_gradients(criterion, right):
    labels = torch.arange(4)
    logits = torch.full((4, 4), -1e4)
    logits[labels, labels if right else (labels + 1) % 4] = 1e4
    value, gradient = loss_and_gradient(criterion, logits, labels)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    assert value == pytest.approx(0, abs=1e-6) if right and criterion in ZERO_WHEN_CERTAIN else value > 1e3


@pytest.mark.parametrize("criterion", EVERY)
def test_gradients_agree_with_finite_differences(criterion):
    logits, labels = batch(size=8, scale=1.0)
    loss = make(criterion)
    _, gradient = value_and_gradient(loss, logits, labels)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    step = 1e-2
    slope = (loss(logits + step * direction, labels) - loss(logits - step * direction, labels)) / (2 * step)
    assert slope == pytest.approx((gradient * direction).sum().item(), rel=5e-3, abs=1e-4)


@pytest.mark.parametrize("criterion", EVERY)
def test_losses_are_computed_in_float32_and_gradients_have_the_type_of_the_logits(criterion):
    logits, labels = batch()
    half = logits.bfloat16()
    value, gradient = loss_and_gradient(criterion, half, labels)
    assert value.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    assert value == loss_and_gradient(criterion, half.float(), labels)[0]


@pytest.mark.parametrize("criterion", EVERY)
def test_the_loss_of_an_image_does_not_depend_on_the_rest_of_the_batch(criterion):
    logits, labels = batch(size=6)
    loss = each(criterion)
    single = torch.cat([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(loss(logits, labels), single)


@pytest.mark.parametrize(
    "criterion",
    [INVERSE, EFFECTIVE, BALANCED_SOFTMAX, Margin(0.5, 30.0), Smoothed(0.3, 0.0), Weighted(Focal(2.0), INVERSE.weigh), LATE],
)
def test_a_class_without_an_image_is_refused_where_the_counts_matter(criterion):
    with pytest.raises(InputError, match=r"class 2 has no training image \(counts \[5, 3, 0\]\)"):
        criterion.loss(np.array([5, 3, 0]), device="cpu")
