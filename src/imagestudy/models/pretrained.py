"""A network that starts from published weights, pretrained on a million photographs; all its layers are then trained further.

Building the network reads no file. The learner loads the weights before training, and a saved model contains its own weights.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Annotated, cast

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from imagestudy.core.errors import InputError
from imagestudy.models.base import BatchNorm, MeanPool, Network, Shape, models

Side = Annotated[int, Field(ge=32, le=512)]
WEIGHTS = "ResNet18_Weights.IMAGENET1K_V1"
COLORS = 3
POOLED = 512
NOT_FEATURES = ("avgpool", "fc")
"""The modules of torchvision's network that belong to its head."""
RATE = 3e-4
"""The learning rate of fine-tuning: a tenth of the 0.003 at which small networks train here from random weights.

In the first steps, the gradients come through a randomly initialized head. A small rate keeps these steps from destroying the
pretrained weights (Girshick et al., CVPR 2014, use a tenth of the pretraining rate). The best rate depends on how similar the
images are to ImageNet (Li et al., ICLR 2020). A study may set another rate.
"""


class ColorGrid(nn.Module):
    """Layers pretrained on color photographs, applied to images that may be small or gray.

    A gray image is repeated in all three channels. Summing the first kernels over the colors would give the same result with less
    computation. But the weights would then differ from those in the file, and a step of AdamW would change their sum less.

    Args:
        layers: image with three channels → 512 features at each position of a grid with 1/32 of the rows and columns.
        enlarge: resizes images to the input size of the layers.
    """

    def __init__(self, layers: nn.Sequential, enlarge: nn.Module):
        super().__init__()
        self.enlarge = enlarge
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Enlarge the images, repeat a single channel and apply the layers."""
        return self.layers(self.enlarge(images).expand(-1, COLORS, -1, -1))


def enlarged(height: int, width: int, *, side: int) -> tuple[int, int]:
    """Return height and width, enlarged in proportion so that the longer one is at least `side`; never smaller than given."""
    factor = max(1.0, side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


@models.register(
    "resnet18",
    family="cnn",
    era="modern",
    kind="neural",
    pretrained=WEIGHTS,
    learning_rate=RATE,
)
def resnet18(shape: Shape, classes: int, *, side: Side = 64) -> Network:
    """Build torchvision's ResNet-18 (He et al., CVPR 2016) with a new head; it is pretrained on ImageNet (Deng et al. 2009).

    The layers halve the image five times. Small images are therefore enlarged (bilinear) until their longer side has `side` pixels.
    A side of 64 pixels leaves 2×2 positions and costs 1/12 of the usual ImageNet size, 224 pixels.

    ImageNet's images were normalized by ImageNet's mean and standard deviation per channel. The learner normalizes the images of a
    study by their own mean and standard deviation. In both cases, a channel has mean 0 and standard deviation 1 over its training
    set, as the first layer and the running statistics expect.

    Raises:
        InputError: the images are neither gray nor RGB.
    """
    from torchvision.models import resnet18 as published  # loads slowly

    channels, height, width = shape
    if channels not in (1, COLORS):
        raise InputError(f"model 'resnet18': images of {channels} channels were given; allowed are 1 (gray) and 3 (RGB)")
    size = enlarged(height, width, side=side)
    grow = nn.Identity() if size == (height, width) else nn.Upsample(size, mode="bilinear", align_corners=False)
    children = published(norm_layer=BatchNorm).named_children()
    layers = nn.Sequential(OrderedDict((name, part) for name, part in children if name not in NOT_FEATURES))
    return Network(ColorGrid(layers, grow), MeanPool(), nn.Linear(POOLED, classes))


def starting_weights(name: str) -> str | None:
    """Return torchvision's name of the weights that a model starts from, or None if it starts from random weights."""
    return models.entry(name).facts.get("pretrained")


def load_weights(network: Network, file: Path) -> None:
    """Load published weights and running statistics into the features of a network; its head does not change.

    Args:
        network: a network built by `resnet18`.
        file: torchvision's file of weights, with a verified checksum. Only tensors are read from it.
    """
    found = torch.load(file, map_location="cpu", weights_only=True)
    layers = cast(ColorGrid, network.features).layers
    layers.load_state_dict({name: value for name, value in found.items() if name.partition(".")[0] not in NOT_FEATURES})
