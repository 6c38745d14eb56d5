"""List all files below a folder with sizes and times, without opening them or following links out of it or in a circle."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagestudy.data.folders.decoding import SUFFIXES
from imagestudy.data.folders.scan_report import Quarantined

HIDDEN = {"__macosx", "thumbs.db", "desktop.ini"}
UNREAD_SUFFIXES = {".heic", ".heif", ".psd", ".svg", ".tga", ".dcm", ".pcx"}
"""The suffixes of image formats that are not supported. These files are quarantined with a reason, not just ignored."""
HIDDEN_NOTE = "hidden files and folders (ignored)"


@dataclass(frozen=True)
class File:
    """A regular file: its path inside the folder, its size in bytes, and the time of its last change in nanoseconds."""

    path: str
    size: int
    changed: int


@dataclass(frozen=True)
class Walked:
    """The content of the folder `root`: images and tables by file suffix, files that cannot be used, and notes on the others.

    `directories` lists all folders in it that are not hidden. If the folder was unpacked, messages show the path `shown` instead of
    `root`.
    """

    root: Path
    images: tuple[File, ...]
    tables: tuple[File, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    notes: Counter[str] = field(default_factory=Counter)
    directories: tuple[str, ...] = ()
    shown: Path | None = None

    @property
    def place(self) -> Path:
        """Return the root as the user knows it: a path inside the given archive, or else the root itself."""
        return self.shown or self.root

    def folders(self) -> list[str]:
        """Return the top-level folders that contain images at any depth."""
        return sorted({first for first, inside, _ in (image.path.partition("/") for image in self.images) if inside})

    def bare(self, depth: int = 0) -> list[str]:
        """Return the folders at the given depth that contain no images at any depth below."""
        filled = {tuple(image.path.split("/")[: depth + 1]) for image in self.images if image.path.count("/") > depth}
        deep = [folder for folder in self.directories if folder.count("/") == depth]
        return [folder for folder in deep if tuple(folder.split("/")) not in filled]

    def why_bare(self, folder: str) -> str:
        """Return why a folder contains no images: the reason of its first quarantined file, if there is one."""
        for one in self.quarantined:
            if one.path == folder:
                return one.reason
            if one.path.startswith(f"{folder}/"):
                return f"{one.path!r}: {one.reason}"
        return "no file in its folder has the suffix of an image format"

    def loose(self) -> list[File]:
        """Return the images at the top level."""
        return [image for image in self.images if "/" not in image.path]

    def enter(self, folder: str) -> "Walked":
        """Return the content of one top-level folder. All quarantined files and notes are kept."""
        start = f"{folder}/"
        images, tables = (
            tuple(replace(file, path=file.path.removeprefix(start)) for file in files if file.path.startswith(start))
            for files in (self.images, self.tables)
        )
        quarantined = tuple(replace(one, path=one.path.removeprefix(start)) for one in self.quarantined)
        directories = tuple(one.removeprefix(start) for one in self.directories if one.startswith(start))
        shown = self.shown / folder if self.shown else None
        return Walked(self.root / folder, images, tables, quarantined, self.notes, directories, shown)


def walk(root: Path, *, shown: Path | None = None) -> Walked:
    """List everything below a folder, sorted by path; `shown` is the archive that it was unpacked from.

    A link to a file inside the folder counts as a file. These are quarantined: any other link, a file without permission, a file
    with a name that is not Unicode, and anything that is not a regular file. Linked folders are never followed, which rules out
    circles.
    """
    root = root.resolve()
    images, tables, quarantined, notes = [], [], [], Counter[str]()
    directories: list[str] = []
    for path, found in _entries(root, notes, directories):
        suffix = Path(path).suffix.lower()
        if isinstance(found, str):
            quarantined.append(Quarantined(printable(path), "", found))
        elif suffix in SUFFIXES | UNREAD_SUFFIXES and printable(path) != path:
            quarantined.append(Quarantined(printable(path), "", "the file name is not valid Unicode; rename the file"))
        elif suffix in SUFFIXES | UNREAD_SUFFIXES:
            images.append(File(path, found.st_size, found.st_mtime_ns))
        elif suffix == ".csv":
            tables.append(File(path, found.st_size, found.st_mtime_ns))
        else:
            notes[f"files that are not images ({suffix or 'no suffix'}, ignored)"] += 1
    for files in (images, tables):
        files.sort(key=lambda file: file.path)
    folders = tuple(sorted(map(printable, directories)))
    return Walked(root, tuple(images), tuple(tables), tuple(quarantined), notes, folders, shown)


def printable(path: str) -> str:
    """Return the path with all bytes escaped that are not UTF-8, so that it can be encoded."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _entries(root: Path, notes: Counter[str], directories: list[str]) -> Iterator[tuple[str, os.stat_result | str]]:
    """Yield the path and the status of every file, or the reason why it cannot be used; add the folders to `directories`."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = list(os.scandir(root / inside))
        except OSError as error:
            yield inside, f"the folder cannot be opened: {error.strerror}"
            continue
        for entry in entries:
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.name.startswith(".") or entry.name.lower() in HIDDEN:
                notes[HIDDEN_NOTE] += 1
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
                directories.append(path)
            else:
                yield path, status(root, path) if entry.is_symlink() else _checked(entry.stat())


def status(root: Path, inside: str) -> os.stat_result | str:
    """Return the status of a regular file that is inside the root after following links, or the reason why it is not used."""
    try:
        real = (root / inside).resolve(strict=True)
        found = real.stat()
    except (OSError, RuntimeError) as error:
        linked = (root / inside).is_symlink()
        return "a broken or circular link" if linked else f"cannot be accessed: {error}"
    if not real.is_relative_to(root):
        return "outside the folder; only files inside are read"
    if stat.S_ISDIR(found.st_mode):
        return "a folder, or a link to a folder, which is not followed; replace a link by the folder itself"
    return _checked(found)


def _checked(found: os.stat_result) -> os.stat_result | str:
    return found if stat.S_ISREG(found.st_mode) else "not a regular file"
