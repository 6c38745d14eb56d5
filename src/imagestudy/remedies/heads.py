"""Heads that a remedy can put in place of a network's linear head. A head turns pooled features into logits."""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Spec


class SavedHead(Spec):
    """The description of a head in a saved model, without its weights.

    Args:
        kind: "linear", "cosine", "scaled" (linear with one factor per class), or the name that a remedy of a plug-in gives it.
        bias: whether the linear layer has a bias.
        scale: scale of a cosine head; None for other heads.
    """

    kind: str = "linear"
    bias: bool = True
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class CosineHead(nn.Linear):
    """A head with the logits s · cos(x, w_c). Only directions matter, so no class benefits from a longer weight vector.

    Args:
        dim: number of pooled features.
        classes: number of classes.
        scale: s, above 0.

    Reference: Cao et al., NeurIPS 2019 (the normalized head of LDAM).
    """

    def __init__(self, dim: int, classes: int, *, scale: float):
        super().__init__(dim, classes, bias=False)
        self.scale = scale

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw directions: uniform numbers in [−1, 1), scaled to vectors of length 1."""
        self.weight.copy_(F.normalize(self.weight.uniform_(-1, 1)))

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


def describe(head: nn.Module) -> SavedHead:
    """Return the description of a linear, cosine or scaled head.

    Raises:
        InputError: the head is of another class, even if that class is derived from one of these.
    """
    if isinstance(head, CosineHead):
        return SavedHead(kind="cosine", scale=head.scale)
    linear = head.head if isinstance(head, ScaledHead) else head
    if type(linear) is not nn.Linear:
        name = type(linear).__name__
        raise InputError(f"a head of class {name} cannot be saved: its remedy must describe and restore it, see HeadRemedy.save")
    return SavedHead(kind="scaled" if isinstance(head, ScaledHead) else "linear", bias=linear.bias is not None)


def rebuild(saved: SavedHead, like: nn.Linear) -> nn.Module:
    """Return a head of the described kind and the size of `like`, with weights that are not yet loaded.

    Raises:
        InputError: the kind is not linear, cosine or scaled.
    """
    dim, classes = like.in_features, like.out_features
    if saved.kind == "cosine":
        if saved.scale is None:
            raise InputError("a cosine head needs its scale")
        return CosineHead(dim, classes, scale=saved.scale)
    if saved.kind not in {"linear", "scaled"}:
        raise InputError(f"head kind {saved.kind!r} is unknown; allowed: linear, cosine, scaled")
    linear = nn.Linear(dim, classes, bias=saved.bias)
    return ScaledHead(linear, classes) if saved.kind == "scaled" else linear
