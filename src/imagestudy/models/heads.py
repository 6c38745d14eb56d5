"""Heads, which turn pooled features into logits. Every network is built with a linear head; some remedies replace it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class CosineHead(nn.Module):
    """A head with the logits s · cos(x, w_c). Only directions matter, so no class benefits from a longer weight vector.

    Args:
        dim: number of pooled features.
        classes: number of classes.
        scale: s, above 0.

    Reference: Cao et al., NeurIPS 2019 (the normalized head of LDAM).
    """

    def __init__(self, dim: int, classes: int, *, scale: float):
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, dim).uniform_(-1, 1)))
        self.scale = scale

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch class"]:
        """Return the logits, in [−s, s]."""
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


class ScaledHead(nn.Module):
    """A frozen head with one learned factor per class that multiplies its logits. Only the factors are trained; they start at 1.

    Args:
        head: the frozen head.
        classes: number of classes.

    Reference: Kang et al., ICLR 2020 (learnable weight scaling).
    """

    def __init__(self, head: nn.Module, classes: int):
        super().__init__()
        self.head = head.requires_grad_(False)
        self.factors = nn.Parameter(torch.ones(classes))

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch class"]:
        """Return the scaled logits."""
        return self.factors * self.head(features)


def normalized(head: nn.Linear, *, tau: float) -> nn.Linear:
    """Return a head with the weights w_c / ‖w_c‖^τ and no bias.

    τ = 0 leaves the weights unchanged. τ = 1 gives the weight vectors of all classes the same length.

    Reference: Kang et al., ICLR 2020, eq. 2.
    """
    made = nn.Linear(head.in_features, head.out_features, bias=False, device=head.weight.device)
    with torch.no_grad():
        made.weight.copy_(head.weight / head.weight.norm(dim=1, keepdim=True) ** tau)
    return made
