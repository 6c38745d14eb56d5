"""Decode one image file to a square of bytes. Any fault of the file is reported in one sentence.

Pillow decodes. It recognizes a format by the content of the file, not by its name. Only plain raster formats are tried: other
formats would start programs (EPS) or accept any bytes as an image (TGA).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from imagestudy.core.errors import require_known

Image.init()
FORMATS = tuple(
    name for name in ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM") if name in Image.OPEN
)
SUFFIXES = frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS)
MOST_PIXELS = 50_000_000
DRAFT_FACTOR = 2
"""A JPEG is decoded to at least this many times the side, so that the filter of the final resize has pixels to average."""
FITS = ("pad", "stretch", "crop")
COLORS = ("grey", "rgb")
MODES = {"grey": "L", "rgb": "RGB"}
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class UnreadableImageError(ValueError):
    """The file is not an image, or not a complete one. The text is a sentence without the name of the file."""


@dataclass(frozen=True)
class Facts:
    """Facts from the header of a file: format and mode as named by Pillow, upright size in pixels, and the conversions needed."""

    format: str
    mode: str
    width: int
    height: int
    notes: tuple[str, ...]


def decode(file: Path | BufferedIOBase, *, side: int, fit: str, colours: str) -> UInt8[np.ndarray, "side side channel"]:
    """Decode an image to a square of bytes, upright and resized with antialiasing (triangle filter).

    * EXIF rotation is applied. Only the first frame is used. Palettes, CMYK and other color spaces are converted to RGB.
    * 16 bits per channel are scaled to 8 by the full range of the type, v → round(v · 255 / 65535), and floats by [0, 1]. The rule
      is the same for all images, so that a brighter image stays brighter. An image that uses little of the range becomes dark.
    * Transparent pixels are shown on white, as in viewers and on web pages. The color that is stored for them has no meaning.

    Args:
        file: a path or a seekable stream.
        side: the height and width of the result in pixels.
        fit: `pad` scales the longer edge to the side and fills the rest with black (0), as augmentation does; `stretch` changes the
            proportions; `crop` scales the shorter edge to the side and keeps the center. All three give the same result for a
            square image.
        colours: `grey` (one channel, ITU-R 601 luma) or `rgb` (three channels).

    Raises:
        UnreadableImageError: if the file is not an image, is cut off, lacks read permission, or states in its header more than
            50 megapixels (it is not decoded then).
        InputError: if `fit` or `colours` has another value.
    """
    return look(file, side=side, fit=fit, colours=colours)[1]


def look(file: Path | BufferedIOBase, *, side: int, fit: str, colours: str) -> tuple[Facts, UInt8[np.ndarray, "side side channel"]]:
    """Return the facts of the header, and the image as `decode` returns it, with one opening of the file."""
    require_known(fit, FITS, what="fit")
    mode = MODES[require_known(colours, COLORS, what="colours")]
    with _one_sentence_errors(), Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # any seekable stream
        _refuse_huge(image)
        facts = _read_facts(image)
        image.draft(None, (DRAFT_FACTOR * side, DRAFT_FACTOR * side))
        image.load()
        whole = _to_bytes(_upright(image)).convert(mode)
    return facts, np.asarray(_fit(whole, side, fit)).reshape(side, side, -1)


@contextmanager
def _one_sentence_errors() -> Iterator[None]:
    """Convert any error of a decoder to one sentence: on arbitrary bytes, decoders can raise anything. Warnings are ignored."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(f"not an image of a supported format: {', '.join(FORMATS)}") from None
    except PermissionError:
        raise UnreadableImageError("no permission to read the file") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"too many pixels by its header; allowed: {MOST_PIXELS // 10**6} million") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImageError(f"damaged or cut off: {reason}") from None


def _refuse_huge(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        allowed = MOST_PIXELS // 10**6
        raise UnreadableImageError(f"{image.width}×{image.height} pixels by its header; allowed: {allowed} million")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation: 1 for upright, 2 to 8 for rotated and mirrored images."""
    given = image.getexif().get(ExifTags.Base.Orientation, 1)
    return given if given in range(1, 9) else 1


def _upright(image: Image.Image) -> Image.Image:
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def _read_facts(image: Image.Image) -> Facts:
    orientation = _orientation(image)
    notes = {
        "images with more than 8 bits per channel (scaled to 8 by the full range of the type)": image.mode in DEEP_MODES,
        "CMYK images (converted to RGB)": image.mode == "CMYK",
        "images with a palette (converted to RGB)": image.mode in ("P", "PA"),
        "images with transparency (shown on white)": image.has_transparency_data,
        "animations and multi-page images (only the first is used)": image.format != "MPO" and getattr(image, "is_animated", False),
        "images with an EXIF rotation (turned upright)": orientation != 1,
    }
    width, height = image.size if orientation < 5 else image.size[::-1]
    return Facts(str(image.format), image.mode, width, height, tuple(text for text, holds in notes.items() if holds))


def _to_bytes(image: Image.Image) -> Image.Image:
    """Return the image in the mode `L` or `RGB`."""
    if image.mode in DEEP_MODES:
        return Image.fromarray(_scale(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _scale(values: Shaped[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Scale 16-bit integers, or floats in [0, 1], to bytes."""
    largest = 1 if values.dtype.kind == "f" else 65535
    if not (values.min() >= 0 and values.max() <= largest):
        raise UnreadableImageError(f"values from {values.min():g} to {values.max():g}; allowed for its type: 0 to {largest}")
    return np.rint(values * np.float32(255 / largest)).astype(np.uint8)


def _fit(image: Image.Image, side: int, fit: str) -> Image.Image:
    width, height = image.size
    whole = (0.0, 0.0, float(width), float(height))
    if fit == "pad" and width != height:
        scale = side / max(width, height)
        inner = _resize(image, (max(1, round(width * scale)), max(1, round(height * scale))), whole)
        square = Image.new(image.mode, (side, side))
        square.paste(inner, ((side - inner.width) // 2, (side - inner.height) // 2))
        return square
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    box = (left, top, left + edge, top + edge) if fit == "crop" else whole
    return _resize(image, (side, side), box)


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
