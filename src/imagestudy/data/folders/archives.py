"""Unpack a zip or tar archive once, below the data folder, without trusting the names in it.

Nothing is ever written outside this folder. A member with an absolute path or with `..`, a link or a device is left out and
reported.
"""

import errno
import json
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

from imagestudy.core.errors import InputError
from imagestudy.data.cache import cache_folder, making, naming_the_folder
from imagestudy.data.folders.file_tree import printable
from imagestudy.data.folders.scan_report import Quarantined, digest_of

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
SAMPLE = 1 << 20
"""The number of bytes at the start and the end that identify an archive. A zip stores the checksums of its members at the end."""
SPARE_BYTES, MOST_GROWTH = 1 << 30, 20
"""An archive can unpack to SPARE_BYTES plus MOST_GROWTH times its size. Images hardly compress; a larger archive is an attack."""
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
)


class Member(NamedTuple):
    """A member of an archive: its name, its stated size, and a function that reads it (None for a folder, a link or a device)."""

    name: str
    size: int
    read: Callable[[int], bytes] | None
    is_folder: bool = False


def is_archive(file: Path) -> bool:
    """Return whether a file name has the suffix of a supported archive format."""
    return file.name.lower().endswith(SUFFIXES)


def title_of(file: Path) -> str:
    """Return the name of an archive without its suffix."""
    return file.name[: -len(max((s for s in SUFFIXES if file.name.lower().endswith(s)), key=len))]


def unpack(archive: Path) -> tuple[Path, tuple[Quarantined, ...]]:
    """Unpack an archive unless this was done before; return the folder of its files, and the members that were left out.

    Raises:
        InputError: if the file is not an archive, is damaged or encrypted, or unpacks to far more than its size.
    """
    with _one_sentence_errors(archive):
        folder = cache_folder() / "unpacked" / _key(archive)
    with naming_the_folder():
        if not folder.exists():
            with making(folder) as fresh:
                refused = _unpack(archive, fresh / "files")
                (fresh / "refused.json").write_text(json.dumps([asdict(one) for one in refused]), encoding="utf-8")
        refused = [Quarantined(**one) for one in json.loads((folder / "refused.json").read_text(encoding="utf-8"))]
    return folder / "files", tuple(refused)


def _key(archive: Path) -> str:
    with archive.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        first = stream.read(SAMPLE)
        stream.seek(max(0, size - SAMPLE))
        return digest_of([size, archive.stat().st_mtime_ns, first.hex(), stream.read(SAMPLE).hex()])


def _unpack(archive: Path, target: Path) -> list[Quarantined]:
    target.mkdir()
    allowed = SPARE_BYTES + MOST_GROWTH * archive.stat().st_size
    refused, written = [], 0
    with _one_sentence_errors(archive):
        for member in _members(archive):
            inside = member.name.replace("\\", "/")
            unsafe = _fault(inside)
            if not member.read and not unsafe:
                _make_folder(target / inside if member.is_folder else (target / inside).parent)
            if member.is_folder:
                continue
            fault = unsafe if member.read else "a link or device inside the archive"
            if member.read and not fault:
                _refuse_bomb(archive, written + member.size, allowed)
                fault, grown = _write(member.read, target / inside, allowed - written)
                written += grown
                _refuse_bomb(archive, written, allowed)
            if fault:
                refused.append(Quarantined(printable(member.name), "", fault))
    return refused


@contextmanager
def _one_sentence_errors(archive: Path) -> Iterator[None]:
    """Convert an error to an `InputError` of one sentence, without the details of `tarfile` on each compression that it tried."""
    try:
        yield
    except InputError:
        raise
    except BROKEN as error:
        why = " ".join(str(error).partition(":\n")[0].split()) or type(error).__name__
        raise InputError(f"{archive} cannot be unpacked: {why}; allowed: a whole zip or tar archive without a password") from None


def _members(archive: Path) -> Iterator[Member]:
    return _zip_members(archive) if archive.name.lower().endswith(".zip") else _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                yield Member(member.filename, 0, None)
            elif member.is_dir():
                yield Member(member.filename, 0, None, is_folder=True)
            else:
                with opened.open(member) as stream:
                    yield Member(member.filename, member.file_size, stream.read)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            if (stream := opened.extractfile(member) if member.isfile() else None) is not None:
                yield Member(member.name, member.size, stream.read)
            else:
                yield Member(member.name, 0, None, is_folder=member.isdir())


def _make_folder(folder: Path) -> None:
    """Create a folder, so that its class is known even if the folder is empty or all its files are left out."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)


def _fault(inside: str) -> str:
    """Return why the name of a member is rejected; empty if it is accepted."""
    if inside.startswith("/") or re.match(r"[A-Za-z]:", inside):
        return "an absolute path inside the archive"
    if ".." in inside.split("/"):
        return "a path that leads outside the archive"
    return "" if "\0" not in inside and inside.strip("/") else "no file name"


def _refuse_bomb(archive: Path, size: int, allowed: int) -> None:
    if size > allowed:
        raise InputError(
            f"{archive} unpacks to more than {allowed / 1e9:.1f} GB, which is {MOST_GROWTH} times its size plus "
            f"{SPARE_BYTES / 1e9:.1f} GB; if this size is right, unpack it yourself and give the path of the folder"
        )


def _write(read: Callable[[int], bytes], file: Path, most: int) -> tuple[str, int]:
    """Write one member, at most slightly more than `most` bytes; return the fault, if any, and the number of bytes written."""
    written = 0
    try:
        with _open_new(file) as out:
            while written <= most and (data := read(SAMPLE)):
                written += out.write(data)
    except (zipfile.BadZipFile, zlib.error) as error:
        file.unlink()
        return f"damaged inside the archive: {error}", 0
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return "a file or folder of this name already exists", 0
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
            raise
        return f"its name is not a valid file name here: {error.strerror}", 0
    return "", written


def _open_new(file: Path) -> BufferedWriter:
    """Open a new file. Its folder is created only if it is missing, which is much faster than checking it every time."""
    try:
        return file.open("xb")
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("xb")
