"""Convolutional networks (CNN): the same small filter is applied at every position of a grid."""

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models import views
from imagestudy.models.base import Network, Shape, Width, draw_xavier, models, norm


class GridFeatures(nn.Module):
    """Convolutions over the image."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Keep the grid, transform every neighbourhood."""
        return self.layers(images)


class FullyConnectedPool(nn.Module):
    """LeNet's way from the grid to a vector: two fully connected tanh layers over all positions."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.c5 = nn.Linear(inputs, hidden)
        self.f6 = nn.Linear(hidden, outputs)

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch outputs"]:
        """Flatten and connect."""
        return torch.tanh(self.f6(torch.tanh(self.c5(features.flatten(1)))))


def strides(height: int, width: int, *, stages: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """The strides that leave a grid as `views.reduction` wants it: one before the stages, and one for each of them.

    The earlier stages halve, so that most of the work is done on the small grid; what is left for large images comes before them.
    """
    sides = [_strides(views.reduction(side), stages) for side in (height, width)]
    first, *others = zip(*sides, strict=True)
    return first, others


def _strides(factor: int, stages: int) -> list[int]:
    halving = [2 if factor >= 2 << i else 1 for i in range(stages)]
    return [factor // prod(halving), *halving]


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that `strides` leave."""
    return views.positions(height, views.reduction(height)), views.positions(width, views.reduction(width))


@models.register("lenet", family="cnn", era="traditional", kind="neural")
def lenet(shape: Shape, classes: int) -> Network:
    """LeNet-5 (LeCun et al. 1998) in its own size: 6 and 16 filters of 5×5, tanh, average pooling, 120 and 84 units.

    The convolutions pad, and a pooling that would leave fewer than 4 positions a side is left out.
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
    """Batch norm, ReLU and 3×3 convolution, twice, added to the input: pre-activation (He et al. 2016, second paper).

    The shortcut has no parameters, so that leaving it out changes nothing else.
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
        """The sum is passed on as it is."""
        changed = self.conv1(self.relu(self.norm1(grid)))
        changed = self.conv2(self.relu(self.norm2(changed)))
        return grid + changed if self.shortcut else changed


class QuadrantPool(nn.Module):
    """The means over the four quarters of the grid, one after another: what is there, and roughly where.

    Quarters of an odd grid share its middle row or column; a grid of one row or column has halves only.
    """

    def __init__(self, rows: int, columns: int):
        super().__init__()
        self.parts = min(2, rows) * min(2, columns)
        self.mean = nn.AvgPool2d((-(-rows // 2), -(-columns // 2)), stride=(max(1, rows // 2), max(1, columns // 2)))

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch pooled"]:
        """Average each quarter."""
        return self.mean(features).flatten(1)


def stem(channels: int, width: int, stride: tuple[int, int], *, normalise: bool = True) -> nn.Sequential:
    """A first convolution, 3×3 at stride 1, larger with the stride so that every pixel counts; batch norm, ReLU."""
    kernel = (2 * stride[0] + 1, 2 * stride[1] + 1)
    conv = nn.Conv2d(channels, width, kernel, stride, padding=stride, bias=not normalise)
    return nn.Sequential(conv, norm(width, wanted=normalise), nn.ReLU(inplace=True))


def draw_he(module: nn.Module) -> None:
    """Normal weights that keep the variance of gradients through ReLU convolutions (He et al. 2015)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


@models.register("resnet", family="cnn", era="modern", kind="neural", step=2)
def resnet(shape: Shape, classes: int, *, width: Width = 32, shortcut: bool = True, normalise: bool = True) -> Network:
    """A small residual network: a 3×3 stem, then two pre-activation blocks of `width` filters, each behind a max pooling.

    Few wide layers on a small grid cost a CPU less than many narrow ones on a large grid, at the same number of parameters.
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
