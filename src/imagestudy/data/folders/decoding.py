"""One image file to one square of bytes; whatever is wrong with the file is said in a sentence.

Pillow decodes. Formats are told by their content, not by the file's name, and only plain raster formats are tried: others would
start programs (EPS), or take any bytes for an image (TGA).
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
"""JPEG is decoded no smaller than this many times the side, so that the filter of the last step has something to average."""
FITS = ("pad", "stretch", "crop")
COLOURS = ("grey", "rgb")
MODES = {"grey": "L", "rgb": "RGB"}
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class UnreadableImageError(ValueError):
    """A file that is no image, or not a whole one; its text is a sentence without the file's name."""


@dataclass(frozen=True)
class Facts:
    """What a file's header says: format and mode in Pillow's words, upright size in pixels, and what had to be done to it."""

    format: str
    mode: str
    width: int
    height: int
    notes: tuple[str, ...]


def decode(file: Path | BufferedIOBase, *, side: int, fit: str, colours: str) -> UInt8[np.ndarray, "side side channel"]:
    """The image as a square of bytes, upright, antialiased (triangle filter).

    * EXIF rotation is applied; of several frames the first is taken; palettes, CMYK and other colour spaces become RGB.
    * 16 bits a channel become 8 by the full range of the type, v → round(v · 255 / 65535), and floats by [0, 1]: one rule for all
      images, so that bright stays brighter than dark between them; an image that uses little of the range comes out dark.
    * Transparent pixels lie on white, as viewers and web pages show them: the colour stored beneath is nobody's intention.

    Args:
        file: path, or a stream that can seek.
        side: height and width of the result, in pixels.
        fit: `pad` scales the longer edge to the side and fills up with black (0), as augmentation does; `stretch` gives up the
            proportions; `crop` scales the shorter edge to the side and keeps the middle. A square image comes out the same.
        colours: `grey` (one channel, ITU-R 601 luma) or `rgb` (three).

    Raises:
        UnreadableImageError: no image, cut off, no permission, or more than 50 megapixels by its header (it is not decoded then).
        InputError: another fit or colours.
    """
    return look(file, side=side, fit=fit, colours=colours)[1]


def look(file: Path | BufferedIOBase, *, side: int, fit: str, colours: str) -> tuple[Facts, UInt8[np.ndarray, "side side channel"]]:
    """What the header says and the image as `decode` gives it, from one opening."""
    require_known(fit, FITS, what="fit")
    mode = MODES[require_known(colours, COLOURS, what="colours")]
    with _saying_why(), Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # it takes any stream that can seek
        _refuse_huge(image)
        facts = _read_facts(image)
        image.draft(None, (DRAFT_FACTOR * side, DRAFT_FACTOR * side))
        image.load()
        whole = _to_bytes(_upright(image)).convert(mode)
    return facts, np.asarray(_fit(whole, side, fit)).reshape(side, side, -1)


@contextmanager
def _saying_why() -> Iterator[None]:
    """Decoders meet arbitrary bytes and may raise anything: each becomes one sentence. Their warnings are of no use to anybody."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(f"not an image of a format that is read here: {', '.join(FORMATS)}") from None
    except PermissionError:
        raise UnreadableImageError("no permission to read it") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"far more pixels by its header than the {MOST_PIXELS // 10**6} million allowed") from None
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImageError(f"broken or cut off: {said}") from None


def _refuse_huge(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        allowed = MOST_PIXELS // 10**6
        raise UnreadableImageError(f"{image.width}×{image.height} pixels by its header; allowed are {allowed} million")


def _orientation(image: Image.Image) -> int:
    """1 for upright, 2 to 8 for the turned and mirrored ones of EXIF."""
    given = image.getexif().get(ExifTags.Base.Orientation, 1)
    return given if given in range(1, 9) else 1


def _upright(image: Image.Image) -> Image.Image:
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def _read_facts(image: Image.Image) -> Facts:
    orientation = _orientation(image)
    told = {
        "more than 8 bits a channel: scaled to 8 by the full range of the type": image.mode in DEEP_MODES,
        "CMYK: turned into RGB": image.mode == "CMYK",
        "palette: turned into RGB": image.mode in ("P", "PA"),
        "transparency: laid on white": image.has_transparency_data,
        "animated or of several pages: the first is taken": image.format != "MPO" and getattr(image, "is_animated", False),
        "rotated by EXIF: turned upright": orientation != 1,
    }
    width, height = image.size if orientation < 5 else image.size[::-1]
    return Facts(str(image.format), image.mode, width, height, tuple(text for text, holds in told.items() if holds))


def _to_bytes(image: Image.Image) -> Image.Image:
    """The image as `L` or `RGB`."""
    if image.mode in DEEP_MODES:
        return Image.fromarray(_scale(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _scale(values: Shaped[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Bytes of 16-bit integers, or of floats in [0, 1]."""
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
