"""What all models share: the registry and the structure of a neural network (features, pool, head)."""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from imagestudy.core.registry import Registry

KINDS = ("neural", "keras", "classical")
models: Registry = Registry("model", home="imagestudy.models", required={"family": None, "era": None, "kind": KINDS})

Shape = tuple[int, int, int]
"""The channels, height and width of an image."""

Width = Annotated[int, Field(gt=0, le=4096)]
Depth = Annotated[int, Field(gt=0, le=12)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Network(nn.Module):
    """A classifier with three replaceable parts: logits = head(pool(features(images))).

    Args:
        features: (batch, channel, height, width) → (batch, dim, rows, columns); 1×1 for models that flatten the image.
        pool: (batch, dim, rows, columns) → (batch, pooled dim); each model defines its own pool.
        head: a linear layer, pooled dim → classes; some remedies replace it.
    """

    def __init__(self, features: nn.Module, pool: nn.Module, head: nn.Linear):
        super().__init__()
        self.features = features
        self.pool = pool
        self.head: nn.Module = head

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch class"]:
        """Return the logits."""
        return self.head(self.pool(self.features(images)))


class MeanPool(nn.Module):
    """A pool that averages over all positions."""

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch dim"]:
        """Return the mean over rows and columns."""
        return features.mean(dim=(2, 3))


class OnlyPosition(nn.Module):
    """The pool of a model that flattens the image: it returns the features of the only position."""

    def forward(self, features: Float[Tensor, "batch dim 1 1"]) -> Float[Tensor, "batch dim"]:
        """Remove the two axes of length 1."""
        return features.flatten(1)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization (Ioffe & Szegedy 2015) of vectors or grids that also works for a batch of one image.

    One image has no batch statistics. In training, it is normalized by the running statistics and does not update them.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept vectors and grids, so check nothing."""

    def forward(self, input: Float[Tensor, "batch dim *grid"]) -> Float[Tensor, "batch dim *grid"]:
        """Normalize by the batch statistics, or by the running statistics in evaluation and for a single image."""
        if self.training and len(input) == 1:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)


def norm(dim: int, *, wanted: bool) -> nn.Module:
    """Return a batch normalization layer, or an identity layer if an ablation leaves it out."""
    return BatchNorm(dim) if wanted else nn.Identity()


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def draw_xavier(module: nn.Module) -> None:
    """Initialize linear and convolutional layers with Xavier-uniform weights and zero biases (Glorot & Bengio 2010).

    Sigmoid and tanh layers need this initialization to train.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


@torch.no_grad()
def draw_recurrent(rnn: nn.RNNBase) -> None:
    """Initialize a recurrent layer: Xavier input weights, orthogonal recurrent weights, zero biases, forget-gate biases of 1.

    The recurrent weights are orthogonal within each gate (Saxe et al. 2014). A forget gate that starts open keeps information
    from early time steps (Gers et al. 2000; Jozefowicz et al. 2015).
    """
    for name, weight in rnn.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(weight)
        elif name.startswith("weight_hh"):
            for gate in weight.split(rnn.hidden_size):
                gate.copy_(nn.init.orthogonal_(torch.empty_like(gate)))
        else:
            weight.zero_()
            if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
                weight[rnn.hidden_size : 2 * rnn.hidden_size] = 1.0
