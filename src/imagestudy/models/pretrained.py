"""A network that starts from weights which others have trained on a million photographs, and is trained on as a whole.

Building it reads no file: the learner puts the weights in before it trains, and a saved model has its own.
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
COLOURS = 3
POOLED = 512
NOT_FEATURES = ("avgpool", "fc")
"""Children of torchvision's network that belong to its own head."""
RATE = 3e-4
"""Of fine-tuning: a tenth of the 0.003 at which small networks train here from random weights, so that the first steps, whose
gradients come through a head that knows nothing yet, do not undo what was learned (Girshick et al., CVPR 2014, take a tenth of the
rate of pretraining). How like ImageNet the images are decides which is best (Li et al., ICLR 2020); a study may set another."""


class ColourGrid(nn.Module):
    """Layers that were trained on colour photographs, over images that may be small or grey.

    A grey image is shown as a colour image whose three channels are equal. To sum the first kernels over the colours would say the
    same and cost less, but the weights would no longer be those of the file, and a step of AdamW would move their sum less.

    Args:
        layers: three channels and a grid → 512 values at each position of a grid a 32nd as large.
        enlarge: brings images to the size at which the layers see them.
    """

    def __init__(self, layers: nn.Sequential, enlarge: nn.Module):
        super().__init__()
        self.enlarge = enlarge
        self.layers = layers

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Enlarge, repeat a single channel, convolve."""
        return self.layers(self.enlarge(images).expand(-1, COLOURS, -1, -1))


def enlarged(height: int, width: int, *, side: int) -> tuple[int, int]:
    """Height and width with the longer of them at least `side`, in proportion; larger images stay as they are."""
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
    """ResNet-18 (He et al., CVPR 2016) as torchvision has it, with a head of its own; pretrained on ImageNet (Deng et al. 2009).

    The layers halve the image five times, so small images are enlarged (bilinear) until their longer side has `side` pixels: 64
    leave 2×2 positions, and cost a 12th of the 224 that ImageNet is mostly seen at.

    ImageNet's images were normalised by ImageNet's mean and deviation a channel; the learner normalises these by their own. Either
    way a channel has mean 0 and deviation 1 over its set, which is what the first layer and the running statistics expect.

    Raises:
        InputError: images that are neither grey nor RGB.
    """
    from torchvision.models import resnet18 as published  # loads slowly

    channels, height, width = shape
    if channels not in (1, COLOURS):
        raise InputError(f"model 'resnet18': images of {channels} channels were given; allowed are 1 (grey) and 3 (RGB)")
    size = enlarged(height, width, side=side)
    grow = nn.Identity() if size == (height, width) else nn.Upsample(size, mode="bilinear", align_corners=False)
    children = published(norm_layer=BatchNorm).named_children()
    layers = nn.Sequential(OrderedDict((name, part) for name, part in children if name not in NOT_FEATURES))
    return Network(ColourGrid(layers, grow), MeanPool(), nn.Linear(POOLED, classes))


def starting_weights(name: str) -> str | None:
    """What a model starts from, by torchvision's name of it; None for one that starts from random weights."""
    return models.entry(name).facts.get("pretrained")


def load_weights(network: Network, file: Path) -> None:
    """Put published weights and running statistics into the features of a network; its head stays as it was drawn.

    Args:
        network: as `resnet18` builds it.
        file: torchvision's, its checksum right. Nothing but tensors is read of it.
    """
    found = torch.load(file, map_location="cpu", weights_only=True)
    layers = cast(ColourGrid, network.features).layers
    layers.load_state_dict({name: value for name, value in found.items() if name.partition(".")[0] not in NOT_FEATURES})
