"""Fully connected networks (ANN), which treat the image as one vector."""

from itertools import pairwise
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models import views
from imagestudy.models.base import Depth, Network, OnlyPosition, Shape, Share, Width, draw_xavier, models, norm


class VectorFeatures(nn.Module):
    """Fully connected layers on the vector of all pixels. Their output is a grid with one position."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim 1 1"]:
        """Flatten the images, apply the layers and return a 1×1 grid."""
        return self.layers(views.vector(images))[:, :, None, None]


class Layer(nn.Module):
    """Linear → batch norm → GELU → dropout, with a residual connection if input and output have the same size."""

    def __init__(self, inputs: int, outputs: int, *, normalise: bool, dropout: float):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=not normalise)
        self.norm = norm(outputs, wanted=normalise)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.residual = inputs == outputs

    def forward(self, vectors: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Apply the layer and, if the sizes match, add its input."""
        changed = self.dropout(self.activation(self.norm(self.linear(vectors))))
        return vectors + changed if self.residual else changed


@models.register("perceptron", family="ann", era="traditional", kind="neural")
def perceptron(shape: Shape, classes: int) -> Network:
    """Build a network with one hidden layer of 512 sigmoid units, for backpropagation (Rumelhart, Hinton & Williams 1986)."""
    hidden = 512
    layers = nn.Sequential(nn.Linear(prod(shape), hidden), nn.Sigmoid())
    network = Network(VectorFeatures(layers), OnlyPosition(), nn.Linear(hidden, classes))
    draw_xavier(network)
    return network


@models.register("article", family="ann", era="listing", kind="neural", step=1)
def article(shape: Shape, classes: int, *, width: Width = 533) -> Network:
    """Build the network that both listings of the article define: Linear → ReLU → Dropout(0.1) → Linear."""
    layers = nn.Sequential(nn.Linear(prod(shape), width), nn.ReLU(), nn.Dropout(0.1))
    return Network(VectorFeatures(layers), OnlyPosition(), nn.Linear(width, classes))


@models.register("mlp", family="ann", era="modern", kind="neural", step=2)
def mlp(
    shape: Shape, classes: int, *, width: Width = 160, depth: Depth = 2, normalise: bool = True, dropout: Share = 0.1
) -> Network:
    """Build a residual multilayer perceptron.

    It has `depth` layers with batch norm, GELU and dropout (Ioffe & Szegedy 2015; He et al. 2016).
    """
    sizes = [prod(shape), *[width] * depth]
    layers = [Layer(a, b, normalise=normalise, dropout=dropout) for a, b in pairwise(sizes)]
    return Network(VectorFeatures(nn.Sequential(*layers)), OnlyPosition(), nn.Linear(width, classes))
