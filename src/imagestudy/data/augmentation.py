"""What is done anew to every training batch: small changes that keep the class, each image with its own draw.

Every step maps a batch to the same shape and range, on any device, without a loop over images. All draws come from the
generator, on the generator's device: the same state gives the same images. What comes in from outside the image is black (0).
Steps that only move or blacken whole pixels take bytes as they are, a quarter of the memory of floats; others take [0, 1].
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
    """Raise `InputError` for an unknown augmentation, an option that is not allowed, or a flip that does not keep the classes.

    Args:
        augment: the chosen steps.
        flips: directions that keep the classes of the dataset (`Dataset.flips`).
        where: the place of the choice, for the sentence.
    """
    for step in augment:
        options = augmentations.options(step, where=where)
        if step.name == "flip" and options["direction"] not in flips:
            allowed = ", ".join(flips) or "none"
            given = f"augmentation 'flip', direction: {options['direction']!r} was given{place(where)}"
            raise InputError(f"{given}; it does not keep the classes of this dataset, which allow: {allowed}")


def bind(augment: tuple[Choice, ...], *, flips: tuple[str, ...], where: str = "") -> Augmentation:
    """Check the chosen steps once and return the function that puts a batch through them, for the training loop.

    It takes bytes, and gives bytes or, from the first step on that needs them, floats in [0, 1]; `to_unit` makes either floats.

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
    """Bytes as floats in [0, 1]; floats as they are."""
    return images if images.is_floating_point() else images.float().div_(255)


def apply(images: Batch, augment: tuple[Choice, ...], generator: torch.Generator, *, flips: tuple[str, ...]) -> Batch:
    """Put one batch through the chosen steps, in that order."""
    return bind(augment, flips=flips)(images, generator)


def preview(
    images: UInt8[np.ndarray, "n height width channel"], augment: tuple[Choice, ...], *, seed: int, flips: tuple[str, ...] = ()
) -> UInt8[np.ndarray, "n height width channel"]:
    """What one batch may look like to the learner, as images again: to be looked at, nothing is trained on it.

    Args:
        images: one batch.
        augment: the chosen steps.
        seed: of the draws.
        flips: see `check_allowed`.
    """
    batch = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255
    augmented = apply(batch, augment, torch_generator(seed, "augment"), flips=flips)
    return augmented.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@augmentations.register("shift", title="shift", bytes=True)
def shift(images: AnyBatch, generator: torch.Generator, *, fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.125) -> AnyBatch:
    """Move each image by whole pixels, uniform in ±fraction of its height and of its width (rounded to a pixel); 0 is the identity.

    Whole pixels keep a small image as sharp as it was. Rows are copied whole: `index_select` is several times faster than indexing.
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
    """Turn each image about its middle by an angle uniform in ±degrees, bilinearly; 0 is the identity."""
    angle = _draw(len(images), generator, images.device).mul(2).sub(1).mul(math.radians(degrees))
    return _resample(images, torch.cos(angle), torch.sin(angle))


@augmentations.register("scale", title="scaling", bytes=False)
def scale(images: Batch, generator: torch.Generator, *, fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.1) -> Batch:
    """Enlarge each image about its middle by a factor uniform in 1 ± fraction, bilinearly; 0 is the identity."""
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
    """Mirror each image with the given probability: horizontally swaps left and right, vertically top and bottom."""
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
    """Blacken, with the given probability, a rectangle of the image's shape at a uniform place (Zhong et al. 2020).

    Args:
        images: batch.
        generator: of the draws.
        fraction: the rectangle's share of the area; its sides are rounded to whole pixels. 0 is the identity.
        probability: of each image to be erased at all.
    """
    number, _, height, width = images.shape
    rows, columns = round(math.sqrt(fraction) * height), round(math.sqrt(fraction) * width)
    lots = (_draw(number, generator, images.device) < probability)[:, None, None, None]
    top = _draw_integers(number, height - rows + 1, generator, images.device)[:, None, None, None]
    left = _draw_integers(number, width - columns + 1, generator, images.device)[:, None, None, None]
    row = torch.arange(height, device=images.device)[:, None]
    column = torch.arange(width, device=images.device)
    inside = (row >= top) & (row < top + rows) & (column >= left) & (column < left + columns)
    return images.masked_fill(inside & lots, 0)


def _draw(number: int, generator: torch.Generator, device: torch.device) -> Float[Tensor, " batch"]:
    return torch.rand(number, generator=generator, device=generator.device).to(device, non_blocking=True)


def _draw_integers(number: int, below: int, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.randint(below, (number,), generator=generator, device=generator.device).to(device, non_blocking=True)


def _resample(images: Batch, cosine: Float[Tensor, " batch"], sine: Float[Tensor, " batch"]) -> Batch:
    """Read every pixel at [[cosine, −sine], [sine, cosine]] · (its place seen from the middle, in pixels)."""
    _, _, height, width = images.shape
    zero = torch.zeros_like(sine)
    first = torch.stack((cosine, -sine * (height / width), zero), dim=1)
    second = torch.stack((sine * (width / height), cosine, zero), dim=1)
    grid = functional.affine_grid(torch.stack((first, second), dim=1).to(images.dtype), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp(0, 1)
