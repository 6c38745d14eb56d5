"""Convert images into what a model reads: one vector, a sequence of bands of rows, or a grid of patches."""

import math

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

FEWEST, MOST = 4, 16
"""Smallest and largest number of positions per side after strides or patches; a smaller image keeps all its positions."""
LONGEST = 32
"""Largest number of time steps of a recurrent network over the rows."""


def reduction(side: int) -> int:
    """Return the factor by which strides and patches shrink a side: a power of two that leaves 4 to 16 positions.

    The factor is the largest power of two up to √side, so a patch and the grid of patches have about the same number of positions
    per side: 8 → 2 (4 positions), 28 → 4 (7), 32 → 4 (8), 64 → 8 (8), 224 → 16 (14).
    """
    factor = 1 << int(math.log2(math.sqrt(side)))
    while positions(side, factor) > MOST:
        factor *= 2
    while factor > 1 and positions(side, factor) < FEWEST:
        factor //= 2
    return factor


def band(height: int) -> int:
    """Return the number of rows per time step: 1 if the image has at most 32 rows, more for taller images.

    Examples: 32 → 1 (32 steps), 64 → 2 (32), 100 → 4 (25). The limit of 16 positions per side of a grid does not apply to time
    steps: with single rows, a recurrent network takes as many steps as the image has rows.
    """
    return positions(height, LONGEST)


def positions(side: int, factor: int) -> int:
    """Return the number of positions along a side after shrinking it by a factor, with padding at the end."""
    return -(-side // factor)


def vector(images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch pixel"]:
    """Return all pixels of an image as one vector, which loses their positions."""
    return images.flatten(1)


def rows(images: Float[Tensor, "batch channel height width"], *, height: int) -> Float[Tensor, "batch time pixel"]:
    """Return the bands of `height` rows from top to bottom, each as one vector; the last band is padded with zeros."""
    images = F.pad(images, (0, 0, 0, -images.shape[2] % height)) if images.shape[2] % height else images
    return rearrange(images, "batch channel (time row) column -> batch time (channel row column)", row=height)


def patches(
    images: Float[Tensor, "batch channel height width"], *, height: int, width: int
) -> Float[Tensor, "batch rows columns pixel"]:
    """Return a grid of patches, each as one vector; patches at the right and lower edges are padded with zeros."""
    missing = (-images.shape[2] % height, -images.shape[3] % width)
    images = F.pad(images, (0, missing[1], 0, missing[0])) if any(missing) else images
    return rearrange(images, "batch channel (rows y) (columns x) -> batch rows columns (channel y x)", y=height, x=width)
