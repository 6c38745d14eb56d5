"""Convolutional networks (CNN): the same small filter is applied at every position of a grid."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models import views
from imagestudy.models.network import MeanPool, Network, Shape, Width, draw_xavier, models, norm


class GridFeatures(nn.Module):
    """Convolutions over the image, kept in the channels-last layout, which is the faster one."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Keep the grid, transform every neighbourhood."""
        return self.layers(images.contiguous(memory_format=torch.channels_last))


class FullyConnectedPool(nn.Module):
    """LeNet's way from the grid to a vector: two fully connected tanh layers over all positions."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.c5 = nn.Linear(inputs, hidden)
        self.f6 = nn.Linear(hidden, outputs)

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch outputs"]:
        """Flatten and connect."""
        return torch.tanh(self.f6(torch.tanh(self.c5(features.flatten(1)))))


def halvings(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """The stride of each stage, rows and columns apart, such that the grid is as fine as `views.reduction` says.

    The late stages halve; what `stages` halvings cannot do is left to the first one.
    """
    steps = []
    for side in (height, width):
        factor, strides = views.reduction(side), []
        for _ in range(stages - 1):
            strides.append(2 if factor > 1 else 1)
            factor //= strides[-1]
        steps.append([factor, *reversed(strides)])
    return list(zip(*steps, strict=True))


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that the strides of `halvings` leave."""
    return views.positions(height, views.reduction(height)), views.positions(width, views.reduction(width))


@models.register("lenet", family="cnn", era="traditional", kind="neural")
def lenet(shape: Shape, classes: int) -> Network:
    """LeNet-5 (LeCun et al. 1998) in its own size: 6 and 16 filters of 5×5, tanh, average pooling, 120 and 84 units.

    The convolutions pad, and a pooling that would leave fewer than 4 positions a side is left out.
    """
    channels, height, width = shape
    first, second = halvings(height, width, 2)
    layers = nn.Sequential()
    for i, (inputs, outputs, stride) in enumerate([(channels, 6, second), (6, 16, first)]):
        layers.append(nn.Conv2d(inputs, outputs, 5, padding=2))
        layers.append(nn.Tanh())
        if stride != (1, 1):
            layers.append(nn.AvgPool2d(stride, ceil_mode=True))
    rows, columns = grid_size(height, width)
    pool = FullyConnectedPool(16 * rows * columns, 120, 84)
    network = Network(GridFeatures(layers), pool, nn.Linear(84, classes))
    draw_xavier(network)
    return network


class Block(nn.Module):
    """Two 3×3 convolutions with batch norm and ReLU, added to the input (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, *, stride: tuple[int, int], shortcut: bool, normalise: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=not normalise)
        self.norm1 = norm(outputs, wanted=normalise)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=not normalise)
        self.norm2 = norm(outputs, wanted=normalise)
        self.relu = nn.ReLU()
        self.shortcut = Shortcut(inputs, outputs, stride=stride) if shortcut else None

    def forward(self, grid: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs rows columns"]:
        """Post-activation residual block."""
        changed = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(grid)))))
        return self.relu(changed if self.shortcut is None else changed + self.shortcut(grid))


class Shortcut(nn.Module):
    """The input of a block, subsampled to the grid of its output and filled up with zero channels (option A of He et al.)."""

    def __init__(self, inputs: int, outputs: int, *, stride: tuple[int, int]):
        super().__init__()
        self.missing = outputs - inputs
        self.stride = stride

    def forward(self, grid: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs rows columns"]:
        """No parameters, so that an ablation of the shortcut leaves their number alone."""
        if self.stride != (1, 1):
            grid = nn.functional.avg_pool2d(grid, self.stride, ceil_mode=True)
        return nn.functional.pad(grid, (0, 0, 0, 0, 0, self.missing)) if self.missing else grid


@models.register("resnet", family="cnn", era="modern", kind="neural", step=2)
def resnet(shape: Shape, classes: int, *, width: Width = 16, shortcut: bool = True, normalise: bool = True) -> Network:
    """A residual network (He et al. 2016): a 3×3 stem and three blocks of `width`, 2·`width`, 2·`width` filters."""
    channels, height, columns = shape
    stem, *strides = halvings(height, columns, 3)
    first = nn.Sequential(
        nn.Conv2d(channels, width, 3, stem, padding=1, bias=not normalise), norm(width, wanted=normalise), nn.ReLU()
    )
    sizes = [width, width, 2 * width, 2 * width]
    blocks = [
        Block(a, b, stride=s, shortcut=shortcut, normalise=normalise)
        for a, b, s in zip(sizes, sizes[1:], [(1, 1), *strides], strict=False)
    ]
    network = Network(GridFeatures(nn.Sequential(first, *blocks)), MeanPool(), nn.Linear(2 * width, classes))
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    return network.to(memory_format=torch.channels_last)
