"""Heads: pooled features → logits. A network is built with a linear one; remedies exchange it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class CosineHead(nn.Module):
    """s · cos(x, w_c): only directions count, so that no class is preferred for the length of its weights.

    Args:
        dim: of the pooled features.
        classes: number of classes.
        scale: s, above 0.

    Reference: Cao et al., NeurIPS 2019 (the normalised head of LDAM).
    """

    def __init__(self, dim: int, classes: int, *, scale: float):
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, dim).uniform_(-1, 1)))
        self.scale = scale

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch class"]:
        """The logits, in [−s, s]."""
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


class ScaledHead(nn.Module):
    """A head whose logits are multiplied by one factor a class, which alone is trained; the factors start at 1.

    Args:
        head: kept as it is.
        classes: number of classes.

    Reference: Kang et al., ICLR 2020 (learnable weight scaling).
    """

    def __init__(self, head: nn.Module, classes: int):
        super().__init__()
        self.head = head.requires_grad_(False)
        self.factors = nn.Parameter(torch.ones(classes))

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch class"]:
        """The scaled logits."""
        return self.factors * self.head(features)


def normalized(head: nn.Linear, *, tau: float) -> nn.Linear:
    """The head w_c / ‖w_c‖^τ without bias: τ = 0 leaves the weights, τ = 1 gives all classes weights of one length.

    Reference: Kang et al., ICLR 2020, eq. 2.
    """
    made = nn.Linear(head.in_features, head.out_features, bias=False, device=head.weight.device)
    with torch.no_grad():
        made.weight.copy_(head.weight / head.weight.norm(dim=1, keepdim=True) ** tau)
    return made
