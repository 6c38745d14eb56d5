"""Random augmentation of training batches: small changes that keep the class, drawn independently for each image.

Every augmentation maps a batch to the same shape and range, on any device, without a loop over images. All random draws come from
the generator, on the generator's device: the same state gives the same images. Pixels from outside the image are black (0).
Augmentations that only move or blacken whole pixels accept bytes, which need a quarter of the memory of floats. The others need
floats in [0, 1].
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float, Real, UInt8
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from imagestudy.core.errors import InputError, place
from imagestudy.core.registry import Registry
from imagestudy.core.seeding import torch_generator
from imagestudy.core.specs import Choice

Batch = Float[Tensor, "batch channel height width"]
AnyBatch = Real[Tensor, "batch channel height width"]
Augmentation = Callable[[Tensor, torch.Generator], Tensor]

augmentations: Registry[Callable[..., Tensor]] = Registry("augmentation")


def check_allowed(augment: tuple[Choice, ...], flips: tuple[str, ...], *, where: str = "") -> None:
    """Raise `InputError` if an augmentation is unknown, an option is not allowed, or a flip does not keep the classes.

    Args:
        augment: the chosen augmentations.
        flips: the directions that keep the classes of the dataset (`Dataset.flips`).
        where: the place of the choice, for the error message.
    """
    for step in augment:
        options = augmentations.options(step, where=where)
        if step.name == "flip" and options["direction"] not in flips:
            allowed = ", ".join(flips) or "none"
            given = f"augmentation 'flip', direction: {options['direction']!r} was given{place(where)}"
            raise InputError(f"{given}; this flip does not keep the classes of this dataset; allowed: {allowed}")


def bind(augment: tuple[Choice, ...], *, flips: tuple[str, ...], where: str = "") -> Augmentation:
    """Check the chosen augmentations once and return a function that applies them to a batch, for the training loop.

    The function takes bytes. It returns floats in [0, 1] if any augmentation needs them, else bytes. `to_unit` converts both to
    floats.

    Raises:
        InputError: see `check_allowed`.
    """
    check_allowed(augment, flips, where=where)
    bound = [(augmentations.entry(step.name), augmentations.options(step)) for step in augment]

    def augment_batch(images: Tensor, generator: torch.Generator) -> Tensor:
        for entry, options in bound:
            images = entry.function(images if entry.facts["bytes"] else to_unit(images), generator, **options)
        return images

    return augment_batch


def to_unit(images: AnyBatch) -> Batch:
    """Convert bytes to floats in [0, 1]; return floats unchanged."""
    return images if images.is_floating_point() else images.float().div_(255)


def apply(images: Batch, augment: tuple[Choice, ...], generator: torch.Generator, *, flips: tuple[str, ...]) -> Batch:
    """Apply the chosen augmentations to one batch, in the given order."""
    return bind(augment, flips=flips)(images, generator)


def preview(
    images: UInt8[np.ndarray, "n height width channel"], augment: tuple[Choice, ...], *, seed: int, flips: tuple[str, ...] = ()
) -> UInt8[np.ndarray, "n height width channel"]:
    """Return one batch after random augmentation, as images for display; nothing is trained on them.

    Args:
        images: one batch.
        augment: the chosen augmentations.
        seed: the seed of the random draws.
        flips: see `check_allowed`.
    """
    batch = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255
    augmented = apply(batch, augment, torch_generator(seed, "augment"), flips=flips)
    return augmented.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@augmentations.register("shift", title="shift", bytes=True)
def shift(images: AnyBatch, generator: torch.Generator, *, fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.125) -> AnyBatch:
    """Shift each image by whole pixels, uniform in ±fraction of its height and width (rounded to a pixel); 0 is the identity.

    Shifts by whole pixels keep small images sharp. Whole rows are copied because `index_select` is several times faster than
    indexing.
    """
    number, channels, height, width = images.shape
    rows, columns = round(fraction * height), round(fraction * width)
    padded = functional.pad(images, (columns, columns, rows, rows)).contiguous()
    top = _draw_integers(number, 2 * rows + 1, generator, images.device)
    left = _draw_integers(number, 2 * columns + 1, generator, images.device)
    plane = torch.arange(number * channels, device=images.device).view(number, channels, 1) * padded.shape[2]
    row = plane + top[:, None, None] + torch.arange(height, device=images.device)
    start = row * padded.shape[3] + left[:, None, None]
    return padded.flatten().unfold(0, width, 1).index_select(0, start.flatten()).view(images.shape)


@augmentations.register("rotate", title="rotation", bytes=False)
def rotate(images: Batch, generator: torch.Generator, *, degrees: Annotated[float, Field(ge=0, le=180)] = 10.0) -> Batch:
    """Rotate each image about its center by an angle uniform in ±degrees, with bilinear interpolation; 0 is the identity."""
    angle = _draw(len(images), generator, images.device).mul(2).sub(1).mul(math.radians(degrees))
    return _resample(images, torch.cos(angle), torch.sin(angle))


@augmentations.register("scale", title="scaling", bytes=False)
def scale(images: Batch, generator: torch.Generator, *, fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.1) -> Batch:
    """Scale each image about its center by a factor uniform in 1 ± fraction, with bilinear interpolation; 0 is the identity."""
    factor = _draw(len(images), generator, images.device).mul(2).sub(1).mul(fraction).add(1)
    return _resample(images, 1 / factor, torch.zeros_like(factor))


@augmentations.register("flip", title="flip", bytes=True)
def flip(
    images: AnyBatch,
    generator: torch.Generator,
    *,
    direction: Literal["horizontal", "vertical"] = "horizontal",
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> AnyBatch:
    """Mirror each image with the given probability: "horizontal" swaps left and right, "vertical" swaps top and bottom."""
    both = torch.cat((images, images.flip(-1 if direction == "horizontal" else -2)))
    mirrored = _draw(len(images), generator, images.device) < probability
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * mirrored)


@augmentations.register("erase", title="erasing", bytes=True)
def erase(
    images: AnyBatch,
    generator: torch.Generator,
    *,
    fraction: Annotated[float, Field(ge=0, le=1)] = 0.1,
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> AnyBatch:
    """Blacken a rectangle in each image with the given probability, at a uniformly random position (Zhong et al. 2020).

    The rectangle has the aspect ratio of the image.

    Args:
        images: the batch.
        generator: the generator of the random draws.
        fraction: the area of the rectangle as a fraction of the image; its sides are rounded to whole pixels. 0 is the identity.
        probability: the probability that an image is changed.
    """
    number, _, height, width = images.shape
    rows, columns = round(math.sqrt(fraction) * height), round(math.sqrt(fraction) * width)
    erased = (_draw(number, generator, images.device) < probability)[:, None, None, None]
    top = _draw_integers(number, height - rows + 1, generator, images.device)[:, None, None, None]
    left = _draw_integers(number, width - columns + 1, generator, images.device)[:, None, None, None]
    row = torch.arange(height, device=images.device)[:, None]
    column = torch.arange(width, device=images.device)
    inside = (row >= top) & (row < top + rows) & (column >= left) & (column < left + columns)
    return images.masked_fill(inside & erased, 0)


def _draw(number: int, generator: torch.Generator, device: torch.device) -> Float[Tensor, " batch"]:
    return torch.rand(number, generator=generator, device=generator.device).to(device, non_blocking=True)


def _draw_integers(number: int, below: int, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.randint(below, (number,), generator=generator, device=generator.device).to(device, non_blocking=True)


def _resample(images: Batch, cosine: Float[Tensor, " batch"], sine: Float[Tensor, " batch"]) -> Batch:
    """Sample every pixel at [[cosine, −sine], [sine, cosine]] · (its position relative to the center, in pixels)."""
    _, _, height, width = images.shape
    zero = torch.zeros_like(sine)
    first = torch.stack((cosine, -sine * (height / width), zero), dim=1)
    second = torch.stack((sine * (width / height), cosine, zero), dim=1)
    grid = functional.affine_grid(torch.stack((first, second), dim=1).to(images.dtype), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp(0, 1)
