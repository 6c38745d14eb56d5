"""The results of scanning a user's images, and their record as JSON."""

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
        path: the path inside the folder, with forward slashes.
        label: the class.
        part: 0 train, 1 validation, 2 test; None if there is no official split.
        group: the name of the group of images that show the same object; empty if the image is its own group.
        format, mode: the format and mode as named by Pillow, such as `JPEG` and `RGB`.
        width, height: the size in pixels, upright.
        bytes: the size of the file in bytes.
        digest: the digest of the file's bytes.
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
    """A file that is not used: its path inside the folder, its class (empty if it has none), and the reason in words."""

    path: str
    label: str
    reason: str


def say_quarantined(quarantined: Sequence[Quarantined]) -> str:
    """Return the end of a sentence that states how many files cannot be used and what is wrong with the first; empty if none."""
    if not quarantined:
        return ""
    first = quarantined[0]
    return f". Files that cannot be used: {len(quarantined)}; the first is {first.path!r}: {first.reason}"


@dataclass(frozen=True)
class Duplicate:
    """Files with the same bytes: their paths, their classes and parts in the same order, and the kept path ("" for none)."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    parts: tuple[int | None, ...]
    kept: str

    @property
    def crosses_classes(self) -> bool:
        """Return whether the files are in different classes."""
        return len(set(self.labels)) > 1

    @property
    def crosses_parts(self) -> bool:
        """Return whether the files are in different parts of an official split."""
        return len(set(self.parts)) > 1


@dataclass(frozen=True)
class Scan:
    """The content of a folder, archive or table of images.

    Args:
        root: the folder that all paths are relative to.
        title: the name of the folder, archive or table.
        images: the images that can be used, sorted by path.
        quarantined: the files that cannot be used, sorted by path.
        notes: remark in words → the number of images or files that it concerns.
        duplicates: the files with the same bytes.
        classes: the class names in natural order (`2` before `10`).
        content: a digest of the usable images, of their paths inside the folder, classes, parts, groups and bytes. It does not
            depend on the location of the folder.
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
        """Return the number of images per format, as named by Pillow, the most frequent format first."""
        return dict(Counter(image.format for image in sorted(self.images, key=lambda image: image.format)).most_common())


_scans: TypeAdapter[Scan] = TypeAdapter(Scan)


def to_json(scan: Scan) -> bytes:
    """Return the scan as JSON."""
    return _scans.dump_json(scan)


def from_json(text: bytes) -> Scan:
    """Read a scan that `to_json` wrote. Anything else raises `ValueError`."""
    return _scans.validate_json(text)


def digest_of(parts: Iterable[object]) -> str:
    """Return one digest of several values, 32 hexadecimal digits. It also depends on where one value ends and the next begins."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = str(part).encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
