"""What a scan of somebody's images found, and its record as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pydantic import TypeAdapter

DIGEST_BYTES = 16


@dataclass(frozen=True)
class ScannedImage:
    """An image that can be used.

    Args:
        path: inside the folder, with forward slashes.
        label: its class.
        part: 0 train, 1 validation, 2 test; None without an official split.
        group: what images share that show one thing; empty if it stands for itself.
        format, mode: as Pillow names them, such as `JPEG` and `RGB`.
        width, height: in pixels, upright.
        bytes: of the file.
        digest: of the file's bytes.
    """

    path: str
    label: str
    part: int | None
    group: str
    format: str
    mode: str
    width: int
    height: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Quarantined:
    """A file that is not used: where it lies inside the folder, its class as far as it has one, and why, in words."""

    path: str
    label: str
    reason: str


def say_quarantined(quarantined: Sequence[Quarantined]) -> str:
    """The tail of a sentence: how many files could not be used, and what is wrong with the first; empty if there are none."""
    if not quarantined:
        return ""
    first = quarantined[0]
    return f". Files that could not be used: {len(quarantined)}; the first is {first.path!r}: {first.reason}"


@dataclass(frozen=True)
class Duplicate:
    """Files with the same bytes: their paths, their classes and parts in that order, and the one that is kept ("" for none)."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    parts: tuple[int | None, ...]
    kept: str

    @property
    def crosses_classes(self) -> bool:
        """Whether the same image is said to be of two classes."""
        return len(set(self.labels)) > 1

    @property
    def crosses_parts(self) -> bool:
        """Whether the same image lies in two parts of an official split."""
        return len(set(self.parts)) > 1


@dataclass(frozen=True)
class Scan:
    """What a folder, archive or table of images holds.

    Args:
        root: the folder that all paths start from.
        title: name of what was given.
        images: the usable ones, sorted by path.
        quarantined: the others, sorted by path.
        notes: what is worth knowing, in words → how many images or files it concerns.
        duplicates: files of the same bytes.
        classes: names in natural order (`2` before `10`).
        content: digest of the usable images: paths inside, classes, parts, groups and bytes. Where the folder lies does not matter.
    """

    root: Path
    title: str
    images: tuple[ScannedImage, ...]
    quarantined: tuple[Quarantined, ...]
    notes: dict[str, int]
    duplicates: tuple[Duplicate, ...]
    classes: tuple[str, ...]
    content: str

    @property
    def formats(self) -> dict[str, int]:
        """How many of the images are of which format, as Pillow names them, the most frequent first."""
        return dict(Counter(image.format for image in sorted(self.images, key=lambda image: image.format)).most_common())


_scans: TypeAdapter[Scan] = TypeAdapter(Scan)


def to_json(scan: Scan) -> bytes:
    """The scan as JSON."""
    return _scans.dump_json(scan)


def from_json(text: bytes) -> Scan:
    """The scan that `to_json` wrote; anything else raises `ValueError`."""
    return _scans.validate_json(text)


def digest_of(parts: Iterable[object]) -> str:
    """One digest of several values: hexadecimal, 32 digits; where one value ends and the next begins makes a difference."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = str(part).encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
