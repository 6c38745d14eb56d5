"""Laws of what the learner pays: golden vectors, limiting cases, agreement with reference implementations."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from imagestudy.errors import InputError
from imagestudy.remedies.losses import (
    BalancedSoftmax,
    CrossEntropy,
    Focal,
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
EVERY = [CrossEntropy(), INVERSE, EFFECTIVE, Focal(0.5), Focal(2.0), BalancedSoftmax()]


def batch(*, size=64, classes=4, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(size, classes, generator=generator)
    return logits, torch.randint(classes, (size,), generator=generator)


def value_and_gradient(loss, logits, labels):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def make(cost, counts=COUNTS):
    loss = cost.loss(counts, device="cpu")
    return lambda logits, labels: loss(logits, labels, 0.5)


def paid(cost, logits, labels, counts=COUNTS):
    return value_and_gradient(make(cost, counts), logits, labels)


def assert_equal(one, other, **tolerance):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize(
    ("beta", "golden"),
    [
        (0.999, [0.1812, 0.1894, 0.2157, 0.2729, 0.3785, 0.5606, 0.8688, 1.3862, 2.2584, 3.6883]),
        (0.9999, [0.0506, 0.0769, 0.1211, 0.1950, 0.3188, 0.5246, 0.8683, 1.4426, 2.4092, 3.9927]),
    ],
)
def test_class_balanced_weights_are_the_published_ones_of_cifar10_at_ratio_100(beta, golden):
    weights = effective_number_weights(CIFAR10_RATIO_100, beta)
    np.testing.assert_allclose(weights, golden, atol=5.01e-5)
    assert weights.sum() == pytest.approx(10)


def test_class_balanced_weights_go_to_inverse_frequencies_as_beta_goes_to_one_and_to_none_at_zero():
    np.testing.assert_allclose(effective_number_weights(COUNTS, 1 - 1e-8), inverse_frequency_weights(COUNTS), rtol=1e-5)
    assert np.array_equal(effective_number_weights(COUNTS, 0.0), np.ones(4))


def test_class_weights_are_those_that_scikit_learn_calls_balanced():
    labels = np.repeat(np.arange(4), COUNTS)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(INVERSE.class_weights(COUNTS), expected)


@pytest.mark.parametrize("rule", [uniform_weights, inverse_frequency_weights, EFFECTIVE.weigh])
def test_weights_in_training_have_mean_one_over_images_whatever_their_scale(rule):
    for scale in (1.0, 1e6):
        weights = with_image_mean_one(scale * rule(COUNTS), COUNTS)
        assert COUNTS @ weights == pytest.approx(COUNTS.sum())


def test_the_plain_loss_is_cross_entropy_bit_for_bit():
    logits, labels = batch()
    assert_equal(paid(CrossEntropy(), logits, labels), value_and_gradient(functional.cross_entropy, logits, labels), rtol=0, atol=0)


@pytest.mark.parametrize("cost", [INVERSE, EFFECTIVE])
def test_a_weighted_loss_is_the_mean_over_images_of_weight_times_cross_entropy(cost):
    logits, labels = batch()
    weights = torch.as_tensor(cost.class_weights(COUNTS), dtype=torch.float32)
    by_hand = (weights[labels] * functional.cross_entropy(logits, labels, reduction="none")).mean()
    summed = functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / len(labels)
    value, _ = paid(cost, logits, labels)
    torch.testing.assert_close(value, by_hand)
    assert value == summed


def test_a_batch_of_a_rare_class_pays_more_although_the_weighted_mean_of_torch_would_hide_it():
    logits = torch.zeros(8, 4)
    loss = make(INVERSE)
    weights = torch.as_tensor(INVERSE.class_weights(COUNTS), dtype=torch.float32)
    common, rare = torch.zeros(8, dtype=torch.int64), torch.full((8,), 3)
    assert loss(logits, rare) / loss(logits, common) == pytest.approx(45, rel=1e-5)
    hidden = [functional.cross_entropy(logits, labels, weight=weights) for labels in (common, rare)]
    assert hidden[0] == pytest.approx(hidden[1].item())


def test_over_the_whole_training_set_a_weighted_loss_takes_steps_of_plain_size():
    labels = torch.repeat_interleave(torch.arange(4), torch.as_tensor(COUNTS))
    logits = torch.zeros(len(labels), 4)
    for cost in (INVERSE, EFFECTIVE):
        assert paid(cost, logits, labels)[0] == pytest.approx(np.log(4), rel=1e-6)


def test_focal_loss_with_gamma_zero_is_cross_entropy_in_value_and_gradient():
    logits, labels = batch()
    assert_equal(paid(Focal(0.0), logits, labels), paid(CrossEntropy(), logits, labels))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_is_its_formula_with_the_probability_of_the_plain_softmax(gamma):
    logits, labels = batch()

    def by_hand(leaf, target):
        p = leaf.double().softmax(dim=1)[torch.arange(len(target)), target]
        return (-((1 - p) ** gamma) * p.log()).mean().float()

    assert_equal(paid(Focal(gamma), logits, labels), value_and_gradient(by_hand, logits, labels))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_of_two_classes_is_the_sigmoid_form_of_the_logit_difference(gamma):
    logits, labels = batch(classes=2)

    def sigmoid_form(leaf, target):
        return sigmoid_focal_loss(leaf[:, 1] - leaf[:, 0], target.float(), alpha=-1, gamma=gamma, reduction="mean")

    found = paid(Focal(gamma), logits, labels, counts=np.array([9, 3]))
    assert_equal(found, value_and_gradient(sigmoid_form, logits, labels))


def test_balanced_softmax_is_its_formula():
    logits, labels = batch()

    def by_hand(leaf, target):
        raised = torch.as_tensor(COUNTS) * leaf.double().exp()
        return -(raised[torch.arange(len(target)), target] / raised.sum(dim=1)).log().mean().float()

    assert_equal(paid(BalancedSoftmax(), logits, labels), value_and_gradient(by_hand, logits, labels))


def test_balanced_softmax_is_the_logit_adjusted_loss_at_tau_one_gradients_too():
    logits, labels = batch()
    prior = torch.as_tensor(COUNTS / COUNTS.sum(), dtype=torch.float32)

    def logit_adjusted(leaf, target):
        return functional.cross_entropy(leaf + 1.0 * prior.log(), target)

    assert_equal(paid(BalancedSoftmax(), logits, labels), value_and_gradient(logit_adjusted, logits, labels))


@pytest.mark.parametrize("cost", [INVERSE, EFFECTIVE, BalancedSoftmax()])
def test_uniform_counts_make_reweighting_and_balanced_softmax_equal_none(cost):
    logits, labels = batch()
    assert_equal(paid(cost, logits, labels, UNIFORM), paid(CrossEntropy(), logits, labels, UNIFORM))


@pytest.mark.parametrize("cost", EVERY)
@pytest.mark.parametrize("right", [True, False])
def test_extreme_logits_keep_a_finite_loss_and_finite_gradients(cost, right):
    labels = torch.arange(4)
    logits = torch.full((4, 4), -1e4)
    logits[labels, labels if right else (labels + 1) % 4] = 1e4
    value, gradient = paid(cost, logits, labels)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    assert value == pytest.approx(0, abs=1e-6) if right else value > 1e3


@pytest.mark.parametrize("cost", EVERY)
def test_gradients_agree_with_finite_differences(cost):
    logits, labels = batch(size=8, scale=1.0)
    loss = make(cost)
    _, gradient = value_and_gradient(loss, logits, labels)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    step = 1e-2
    slope = (loss(logits + step * direction, labels) - loss(logits - step * direction, labels)) / (2 * step)
    assert slope == pytest.approx((gradient * direction).sum().item(), rel=5e-3, abs=1e-4)


@pytest.mark.parametrize("cost", EVERY)
def test_losses_are_computed_in_float32_and_hand_half_precision_logits_their_own_gradient(cost):
    logits, labels = batch()
    half = logits.bfloat16()
    value, gradient = paid(cost, half, labels)
    assert value.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    assert value == paid(cost, half.float(), labels)[0]


@pytest.mark.parametrize("cost", EVERY)
def test_the_loss_of_a_batch_is_the_mean_of_the_losses_of_its_images(cost):
    logits, labels = batch(size=6)
    loss = make(cost)
    single = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(loss(logits, labels), single.mean())


@pytest.mark.parametrize("cost", [INVERSE, EFFECTIVE, BalancedSoftmax()])
def test_a_class_without_an_image_is_refused_where_the_counts_matter(cost):
    with pytest.raises(InputError, match=r"class 2 has no training image \(counts \[5, 3, 0\]\)"):
        cost.loss(np.array([5, 3, 0]), device="cpu")
