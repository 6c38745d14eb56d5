"""Fully connected networks (ANN): the image is one vector."""

from itertools import pairwise
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models import views
from imagestudy.models.base import Depth, Network, OnlyPosition, Shape, Share, Width, draw_xavier, models, norm


class VectorFeatures(nn.Module):
    """Fully connected layers over the vector of all pixels; the features are one position."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim 1 1"]:
        """Forget the grid, transform the vector."""
        return self.layers(views.vector(images))[:, :, None, None]


class Layer(nn.Module):
    """Linear → batch norm → GELU → dropout, added to its input where the two are of one size."""

    def __init__(self, inputs: int, outputs: int, *, normalise: bool, dropout: float):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=not normalise)
        self.norm = norm(outputs, wanted=normalise)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.residual = inputs == outputs

    def forward(self, vectors: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """One layer, with its shortcut."""
        changed = self.dropout(self.activation(self.norm(self.linear(vectors))))
        return vectors + changed if self.residual else changed


@models.register("perceptron", family="ann", era="traditional", kind="neural")
def perceptron(shape: Shape, classes: int) -> Network:
    """One hidden layer of 512 sigmoid units, trained by backpropagation (Rumelhart, Hinton & Williams 1986)."""
    hidden = 512
    layers = nn.Sequential(nn.Linear(prod(shape), hidden), nn.Sigmoid())
    network = Network(VectorFeatures(layers), OnlyPosition(), nn.Linear(hidden, classes))
    draw_xavier(network)
    return network


@models.register("article", family="ann", era="listing", kind="neural", step=1)
def article(shape: Shape, classes: int, *, width: Width = 533) -> Network:
    """The article's two listings, which are the same network: Linear → ReLU → Dropout(0.1) → Linear."""
    layers = nn.Sequential(nn.Linear(prod(shape), width), nn.ReLU(), nn.Dropout(0.1))
    return Network(VectorFeatures(layers), OnlyPosition(), nn.Linear(width, classes))


@models.register("mlp", family="ann", era="modern", kind="neural", step=2)
def mlp(
    shape: Shape, classes: int, *, width: Width = 160, depth: Depth = 2, normalise: bool = True, dropout: Share = 0.1
) -> Network:
    """A residual multilayer perceptron: `depth` layers of batch norm, GELU and dropout (Ioffe & Szegedy 2015; He et al. 2016)."""
    sizes = [prod(shape), *[width] * depth]
    layers = [Layer(a, b, normalise=normalise, dropout=dropout) for a, b in pairwise(sizes)]
    return Network(VectorFeatures(nn.Sequential(*layers)), OnlyPosition(), nn.Linear(width, classes))
