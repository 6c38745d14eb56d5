"""Tests of the heads that remedies put on a network's pooled features."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from imagestudy.remedies.heads import CosineHead, ScaledHead, normalized

DIM, CLASSES = 6, 4


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def linear() -> nn.Linear:
    """Return a head with weights of very different norms and a bias that changes decisions."""
    head = nn.Linear(DIM, CLASSES)
    with torch.no_grad():
        head.weight.mul_(torch.tensor([[3.0], [1.0], [0.5], [0.1]]))
        head.bias.copy_(torch.tensor([5.0, 0.0, -1.0, 2.0]))
    return head


class TestCosineHead:
    def test_its_logits_are_the_scaled_cosines(self) -> None:
        head, features = CosineHead(DIM, CLASSES, scale=30.0), torch.randn(9, DIM)
        expected = functional.cosine_similarity(features[:, None], head.weight[None], dim=2)
        torch.testing.assert_close(head(features), 30 * expected)
        assert head(features).abs().max() <= 30 * (1 + 1e-6)

    def test_the_norms_of_features_and_weights_do_not_matter(self) -> None:
        head, features = CosineHead(DIM, CLASSES, scale=30.0), torch.randn(9, DIM)
        before = head(features)
        torch.testing.assert_close(head(7 * features), before)
        with torch.no_grad():
            head.weight.mul_(torch.tensor([[3.0], [1.0], [0.5], [0.1]]))
        torch.testing.assert_close(head(features), before)

    def test_its_initial_weights_have_norm_one_and_different_directions(self) -> None:
        weight = CosineHead(DIM, CLASSES, scale=30.0).weight
        torch.testing.assert_close(weight.norm(dim=1), torch.ones(CLASSES))
        assert (functional.cosine_similarity(weight[:1], weight[1:]) < 0.999).all()

    def test_features_of_zero_leave_logits_and_gradients_finite(self) -> None:
        head, features = CosineHead(DIM, CLASSES, scale=30.0), torch.zeros(2, DIM, requires_grad=True)
        logits = head(features)
        logits.sum().backward()
        assert torch.equal(logits, torch.zeros(2, CLASSES))
        assert torch.isfinite(features.grad).all()


class TestScaledHead:
    def test_with_factors_of_one_it_equals_the_head_bit_for_bit(self) -> None:
        head, features = linear(), torch.randn(9, DIM)
        assert torch.equal(ScaledHead(head, CLASSES)(features), head(features))

    def test_a_factor_multiplies_the_logit_of_its_class_with_the_bias(self) -> None:
        head, features = linear(), torch.randn(9, DIM)
        scaled = ScaledHead(head, CLASSES)
        with torch.no_grad():
            scaled.factors.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        torch.testing.assert_close(scaled(features), head(features) * torch.tensor([1.0, 2.0, 0.5, -1.0]))

    def test_only_the_factors_are_trained(self) -> None:
        scaled = ScaledHead(linear(), CLASSES)
        assert [name for name, p in scaled.named_parameters() if p.requires_grad] == ["factors"]
        scaled(torch.randn(9, DIM)).sum().backward()
        assert scaled.head.weight.grad is None
        assert scaled.factors.grad is not None


class TestNormalized:
    def test_tau_zero_keeps_the_weights_and_the_decisions_without_bias(self) -> None:
        head, features = linear(), torch.randn(50, DIM)
        made = normalized(head, tau=0.0)
        assert made.bias is None
        assert torch.equal(made.weight, head.weight)
        assert torch.equal(made(features).argmax(dim=1), (features @ head.weight.T).argmax(dim=1))

    def test_tau_one_gives_all_classes_weights_of_norm_one(self) -> None:
        torch.testing.assert_close(normalized(linear(), tau=1.0).weight.norm(dim=1), torch.ones(CLASSES))

    @pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, 2.0])
    def test_every_tau_keeps_directions_and_raises_norms_to_the_power_one_minus_tau(self, tau: float) -> None:
        head = linear()
        made = normalized(head, tau=tau)
        torch.testing.assert_close(functional.normalize(made.weight), functional.normalize(head.weight))
        torch.testing.assert_close(made.weight.norm(dim=1), head.weight.norm(dim=1) ** (1 - tau))

    def test_the_given_head_does_not_change(self) -> None:
        head = linear()
        before = head.weight.detach().clone()
        normalized(head, tau=1.0)
        assert torch.equal(head.weight, before)

    def test_a_larger_tau_predicts_a_class_with_long_weights_less_often(self) -> None:
        features = torch.randn(2_000, DIM)
        shares = [(normalized(linear(), tau=tau)(features).argmax(dim=1) == 0).float().mean().item() for tau in (0.0, 1.0, 2.0)]
        assert shares[0] > shares[1] > shares[2]
        assert math.isclose(sum(shares[1:2]), 0.25, abs_tol=0.2)
