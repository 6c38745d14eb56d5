"""Archives become files: into an empty folder first, then each by one rename, so that nothing half-unpacked is ever read."""

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
    """Unpack an archive beside its place, then move what it gives into `folder`; what is there already stays.

    Raises:
        InputError: it is damaged, reaches outside its folder, or lacks something that it should give.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as name:
        scratch = Path(name)
        try:
            unpack(archive, scratch)
        except (OSError, EOFError, KeyError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
            raise InputError(f"{archive} cannot be unpacked ({error}); delete it, and it is fetched again") from error
        if lacking := [given for given in gives if not (scratch / given).exists()]:
            raise InputError(f"{archive} lacks {', '.join(lacking)}; delete it, and it is fetched again")
        for given in gives:
            if not (folder / given).exists():
                (folder / given).parent.mkdir(parents=True, exist_ok=True)
                (scratch / given).replace(folder / given)


def gunzip(archive: Path, scratch: Path) -> None:
    """One compressed file, under its name without `.gz`."""
    with gzip.open(archive) as source, (scratch / archive.stem).open("wb") as target:
        shutil.copyfileobj(source, target)


def untar(archive: Path, scratch: Path) -> None:
    """A tar archive, compressed or not; members outside the folder, devices and the like are refused (PEP 706)."""
    with tarfile.open(archive) as opened:
        opened.extractall(scratch, filter="data")


def unzip(archive: Path, scratch: Path) -> None:
    """A zip archive. A member whose place is outside the folder is refused, and not quietly moved inside."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.namelist():
            if not (scratch / member).resolve().is_relative_to(scratch.resolve()):
                raise zipfile.BadZipFile(f"its member {member!r} lies outside its folder")
        opened.extractall(scratch)


def unzip_and_gunzip(archive: Path, scratch: Path, *, members: Mapping[str, str]) -> None:
    """Some compressed members of a zip archive, each under a name of its own, and nothing else of it."""
    with zipfile.ZipFile(archive) as opened:
        for member, name in members.items():
            with opened.open(member) as packed, gzip.open(packed) as source, (scratch / name).open("wb") as target:
                shutil.copyfileobj(source, target)
