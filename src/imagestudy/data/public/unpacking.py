"""Unpack downloaded archives into an empty folder, then rename each file to its place, so that no incomplete file is ever read."""

import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from imagestudy.core.errors import InputError


def unpack_whole(archive: Path, folder: Path, gives: tuple[str, ...], unpack: Callable[[Path, Path], None]) -> None:
    """Unpack an archive into a temporary folder, then move the files in `gives` into `folder`. Existing files are kept.

    Raises:
        InputError: if the archive is damaged, has members outside its folder, or lacks one of the files in `gives`.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as name:
        scratch = Path(name)
        try:
            unpack(archive, scratch)
        except (OSError, EOFError, KeyError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
            raise InputError(f"{archive} cannot be unpacked ({error}); delete it to download it again") from error
        if lacking := [given for given in gives if not (scratch / given).exists()]:
            raise InputError(f"{archive} does not contain {', '.join(lacking)}; delete it to download it again")
        for given in gives:
            if not (folder / given).exists():
                (folder / given).parent.mkdir(parents=True, exist_ok=True)
                (scratch / given).replace(folder / given)


def gunzip(archive: Path, scratch: Path) -> None:
    """Decompress a file and store it under its name without `.gz`."""
    with gzip.open(archive) as source, (scratch / archive.stem).open("wb") as target:
        shutil.copyfileobj(source, target)


def untar(archive: Path, scratch: Path) -> None:
    """Extract a tar archive, compressed or not. Members outside the folder, devices and similar members are rejected (PEP 706)."""
    with tarfile.open(archive) as opened:
        opened.extractall(scratch, filter="data")


def unzip(archive: Path, scratch: Path) -> None:
    """Extract a zip archive. A member outside the folder is an error; it is not silently moved inside."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.namelist():
            if not (scratch / member).resolve().is_relative_to(scratch.resolve()):
                raise zipfile.BadZipFile(f"its member {member!r} is outside its folder")
        opened.extractall(scratch)


def unzip_and_gunzip(archive: Path, scratch: Path, *, members: Mapping[str, str]) -> None:
    """Extract and decompress the given members of a zip archive, each under its given name, and no other members."""
    with zipfile.ZipFile(archive) as opened:
        for member, name in members.items():
            with opened.open(member) as packed, gzip.open(packed) as source, (scratch / name).open("wb") as target:
                shutil.copyfileobj(source, target)
