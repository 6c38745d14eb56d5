"""How a model sees an image: as one vector, as a sequence of rows, or as a grid of patches."""

import math

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

FEWEST, MOST = 4, 16
"""Positions a side that strides and patches leave, where the image has as many."""
LONGEST = 32
"""Most time steps of a recurrent network over the rows."""


def reduction(side: int) -> int:
    """By how much strides and patches shrink a side: a power of two that leaves 4 to 16 positions.

    It is the largest power of two up to √side, so that a patch and the grid of patches are about equally fine:
    8 → 2 (4 positions), 28 → 4 (7), 32 → 4 (8), 64 → 8 (8), 224 → 16 (14).
    """
    factor = 1 << int(math.log2(math.sqrt(side)))
    while positions(side, factor) > MOST:
        factor *= 2
    while factor > 1 and positions(side, factor) < FEWEST:
        factor //= 2
    return factor


def band(height: int) -> int:
    """How many rows make one time step: one, as long as that is at most 32 steps; 32 → 1 (32 steps), 64 → 2 (32), 100 → 4 (25).

    Steps are not a side of a grid: single rows keep a recurrent network's way from top to bottom as long as the image is high.
    """
    return positions(height, LONGEST)


def positions(side: int, factor: int) -> int:
    """Positions along a side after shrinking it by a factor, with padding at the end."""
    return -(-side // factor)


def vector(images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch pixel"]:
    """All pixels in one row, the neighbourhood of pixels forgotten."""
    return images.flatten(1)


def rows(images: Float[Tensor, "batch channel height width"], *, height: int) -> Float[Tensor, "batch time pixel"]:
    """The image from top to bottom in bands of `height` rows, each a vector; zeros fill up the last band."""
    images = F.pad(images, (0, 0, 0, -images.shape[2] % height)) if images.shape[2] % height else images
    return rearrange(images, "batch channel (time row) column -> batch time (channel row column)", row=height)


def patches(
    images: Float[Tensor, "batch channel height width"], *, height: int, width: int
) -> Float[Tensor, "batch rows columns pixel"]:
    """The image as a grid of patches, each a vector; zeros fill up the patches at the right and lower edge."""
    missing = (-images.shape[2] % height, -images.shape[3] % width)
    images = F.pad(images, (0, missing[1], 0, missing[0])) if any(missing) else images
    return rearrange(images, "batch channel (rows y) (columns x) -> batch rows columns (channel y x)", y=height, x=width)
