"""Folders of the cache appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagestudy.core import paths
from imagestudy.core.errors import InputError


def cache_folder() -> Path:
    """Where all that is made of somebody's images lies; it can be deleted at any time."""
    return paths.data_folder() / "cache"


@contextmanager
def naming_the_folder() -> Iterator[None]:
    """Where the cache cannot be written, say so in one sentence.

    Raises:
        InputError: no permission there, no folder, no room.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{cache_folder()} cannot be written: {error.strerror or error}; what is made of images is kept there; name another "
            "data folder with IMAGESTUDY_DATA"
        ) from None


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the name of `folder` when the block ends well. Whoever comes second to a name gives way."""
    with naming_the_folder():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        yield fresh
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
