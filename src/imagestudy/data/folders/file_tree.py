"""All files below a folder with sizes and times, none of them opened; links never lead out of it or round in a circle."""

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
"""Images of formats that are not read here: they are not foreign, and go to the quarantine with a reason."""
HIDDEN_NOTE = "hidden files and folders: left out"


@dataclass(frozen=True)
class File:
    """A regular file: its path inside the folder, size in bytes, time of its last change in nanoseconds."""

    path: str
    size: int
    changed: int


@dataclass(frozen=True)
class Walked:
    """What lies below `root`: images and tables by the endings of names, notes of the rest, and what cannot be looked at.

    `directories` are all folders in it that are not hidden; `shown` stands for the root in sentences where it was unpacked.
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
        """The root as the user knows it: a path inside the archive that was given, or else the root."""
        return self.shown or self.root

    def folders(self) -> list[str]:
        """Folders at the top that hold images at any depth."""
        return sorted({first for first, inside, _ in (image.path.partition("/") for image in self.images) if inside})

    def bare(self, depth: int = 0) -> list[str]:
        """Folders that lie so deep and hold no images at any depth."""
        filled = {tuple(image.path.split("/")[: depth + 1]) for image in self.images if image.path.count("/") > depth}
        deep = [folder for folder in self.directories if folder.count("/") == depth]
        return [folder for folder in deep if tuple(folder.split("/")) not in filled]

    def why_bare(self, folder: str) -> str:
        """Why a folder holds no images: what was set aside is a reason."""
        for one in self.quarantined:
            if one.path == folder:
                return one.reason
            if one.path.startswith(f"{folder}/"):
                return f"{one.path!r}: {one.reason}"
        return "no file in its folder is called as images are"

    def loose(self) -> list[File]:
        """Images at the top."""
        return [image for image in self.images if "/" not in image.path]

    def enter(self, folder: str) -> "Walked":
        """The same, seen from one folder at the top; what is quarantined and noted stays."""
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
    """Everything below a folder, sorted by path; `shown` is what it was unpacked from.

    A link to a file inside the folder is a file. Any other link, a file without permission or with a name that is not Unicode, and
    what is no regular file go to the quarantine. Linked folders are never followed, so that no circle can be.
    """
    root = root.resolve()
    images, tables, quarantined, notes = [], [], [], Counter[str]()
    directories: list[str] = []
    for path, found in _entries(root, notes, directories):
        suffix = Path(path).suffix.lower()
        if isinstance(found, str):
            quarantined.append(Quarantined(printable(path), "", found))
        elif suffix in SUFFIXES | UNREAD_SUFFIXES and printable(path) != path:
            quarantined.append(Quarantined(printable(path), "", "its name is not valid Unicode; rename it"))
        elif suffix in SUFFIXES | UNREAD_SUFFIXES:
            images.append(File(path, found.st_size, found.st_mtime_ns))
        elif suffix == ".csv":
            tables.append(File(path, found.st_size, found.st_mtime_ns))
        else:
            notes[f"files that are no images ({suffix or 'without an ending'}): left out"] += 1
    for files in (images, tables):
        files.sort(key=lambda file: file.path)
    folders = tuple(sorted(map(printable, directories)))
    return Walked(root, tuple(images), tuple(tables), tuple(quarantined), notes, folders, shown)


def printable(path: str) -> str:
    """A path that can be encoded, bytes that are no UTF-8 written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _entries(root: Path, notes: Counter[str], directories: list[str]) -> Iterator[tuple[str, os.stat_result | str]]:
    """Path inside and status of every file, or the reason why there is none; folders are added to `directories`."""
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
    """The status of a regular file that lies inside the root once all links are followed, or the reason why it is not used."""
    try:
        real = (root / inside).resolve(strict=True)
        found = real.stat()
    except (OSError, RuntimeError) as error:
        linked = (root / inside).is_symlink()
        return "a link that leads nowhere or in a circle" if linked else f"cannot be looked at: {error}"
    if not real.is_relative_to(root):
        return "leads out of the folder; only what lies inside is read"
    if stat.S_ISDIR(found.st_mode):
        return "a folder, or a link to one, which is not followed; put the folder itself in the place of a link"
    return _checked(found)


def _checked(found: os.stat_result) -> os.stat_result | str:
    return found if stat.S_ISREG(found.st_mode) else "not a regular file"
