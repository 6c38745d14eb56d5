"""Convolutional networks (CNN), which apply the same small filters at every position of the image."""

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models import views
from imagestudy.models.base import Network, Shape, Width, draw_xavier, models, norm


class GridFeatures(nn.Module):
    """The convolutional layers of a network; their output is a grid of features."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Apply the layers and return the grid of features."""
        return self.layers(images)


class FullyConnectedPool(nn.Module):
    """The pool of LeNet: two fully connected tanh layers on all positions of the grid."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.c5 = nn.Linear(inputs, hidden)
        self.f6 = nn.Linear(hidden, outputs)

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch outputs"]:
        """Flatten the grid and apply both layers."""
        return torch.tanh(self.f6(torch.tanh(self.c5(features.flatten(1)))))


def strides(height: int, width: int, *, stages: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the strides that shrink an image by `views.reduction`: one stride before the stages, and one per stage.

    The earlier stages halve the grid, so most of the work is done on the small grid. If a large image needs a larger reduction,
    the rest of it comes before the stages.
    """
    sides = [_strides(views.reduction(side), stages) for side in (height, width)]
    first, *others = zip(*sides, strict=True)
    return first, others


def _strides(factor: int, stages: int) -> list[int]:
    halving = [2 if factor >= 2 << i else 1 for i in range(stages)]
    return [factor // prod(halving), *halving]


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Return the number of rows and columns of the grid after all `strides`."""
    return views.positions(height, views.reduction(height)), views.positions(width, views.reduction(width))


@models.register("lenet", family="cnn", era="traditional", kind="neural")
def lenet(shape: Shape, classes: int) -> Network:
    """Build LeNet-5 (LeCun et al. 1998) at its original size.

    It has 6 and 16 filters of 5×5 pixels, tanh, average pooling, and layers of 120 and 84 units. The convolutions pad the image.
    A pooling layer is left out if it would leave fewer than 4 positions per side.
    """
    channels, height, width = shape
    first, (second, third) = strides(height, width, stages=2)
    layers = nn.Sequential()
    for inputs, outputs, stride in [(channels, 6, (first[0] * second[0], first[1] * second[1])), (6, 16, third)]:
        layers.extend([nn.Conv2d(inputs, outputs, 5, padding=2), nn.Tanh()])
        if stride != (1, 1):
            layers.append(nn.AvgPool2d(stride, ceil_mode=True))
    rows, columns = grid_size(height, width)
    pool = FullyConnectedPool(16 * rows * columns, 120, 84)
    network = Network(GridFeatures(layers), pool, nn.Linear(84, classes))
    draw_xavier(network)
    return network


class Block(nn.Module):
    """A pre-activation residual block: batch norm, ReLU and 3×3 convolution, twice, added to the input.

    The shortcut has no parameters, so leaving it out changes nothing else.

    Reference: He et al. 2016, second paper.
    """

    def __init__(self, width: int, *, shortcut: bool, normalise: bool):
        super().__init__()
        self.norm1 = norm(width, wanted=normalise)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=not normalise)
        self.norm2 = norm(width, wanted=normalise)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=not normalise)
        self.relu = nn.ReLU(inplace=normalise)
        self.shortcut = shortcut

    def forward(self, grid: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch dim rows columns"]:
        """Return the sum of input and residual, without an activation after it."""
        changed = self.conv1(self.relu(self.norm1(grid)))
        changed = self.conv2(self.relu(self.norm2(changed)))
        return grid + changed if self.shortcut else changed


class QuadrantPool(nn.Module):
    """A pool that averages over each of the four quarters of the grid, so it keeps rough positions.

    If the number of rows or columns is odd, the quarters share the middle row or column. A grid of one row or one column has only
    two parts.
    """

    def __init__(self, rows: int, columns: int):
        super().__init__()
        self.parts = min(2, rows) * min(2, columns)
        self.mean = nn.AvgPool2d((-(-rows // 2), -(-columns // 2)), stride=(max(1, rows // 2), max(1, columns // 2)))

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch pooled"]:
        """Return the means of all quarters as one vector."""
        return self.mean(features).flatten(1)


def stem(channels: int, width: int, stride: tuple[int, int], *, normalise: bool = True) -> nn.Sequential:
    """Build the first layers: a convolution, batch norm and ReLU.

    The kernel is 3×3 at stride 1. It grows with the stride, so that every pixel is used.
    """
    kernel = (2 * stride[0] + 1, 2 * stride[1] + 1)
    conv = nn.Conv2d(channels, width, kernel, stride, padding=stride, bias=not normalise)
    return nn.Sequential(conv, norm(width, wanted=normalise), nn.ReLU(inplace=True))


def draw_he(module: nn.Module) -> None:
    """Initialize convolutions with normal weights that preserve the variance of gradients through ReLU layers (He et al. 2015)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


@models.register("resnet", family="cnn", era="modern", kind="neural", step=2)
def resnet(shape: Shape, classes: int, *, width: Width = 32, shortcut: bool = True, normalise: bool = True) -> Network:
    """Build a small residual network: a stem, then two pre-activation blocks with `width` filters each.

    The stem is a 3×3 convolution at stride 1. Max pooling comes before each block. At the same number of parameters, a few wide
    layers on a small grid are faster on a CPU than many narrow layers on a large grid.
    """
    channels, height, columns = shape
    first, later = strides(height, columns, stages=2)
    layers = stem(channels, width, first, normalise=normalise)
    for stride in later:
        if stride != (1, 1):
            layers.append(nn.MaxPool2d(stride, ceil_mode=True))
        layers.append(Block(width, shortcut=shortcut, normalise=normalise))
    layers.extend([norm(width, wanted=normalise), nn.ReLU(inplace=True)])
    draw_he(layers)
    pool = QuadrantPool(*grid_size(height, columns))
    return Network(GridFeatures(layers), pool, nn.Linear(pool.parts * width, classes))
