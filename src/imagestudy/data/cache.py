"""Create folders in the cache, each complete or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagestudy.core import paths
from imagestudy.core.errors import InputError


def cache_folder() -> Path:
    """Return the folder of everything that is derived from images. It can be deleted at any time."""
    return paths.data_folder() / "cache"


@contextmanager
def naming_the_folder() -> Iterator[None]:
    """Convert an `OSError` in the block to an `InputError` that names the cache folder.

    Raises:
        InputError: if the cache folder cannot be written to, for lack of permission, of a folder or of disk space.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{cache_folder()} cannot be written to ({error.strerror or error}); decoded images are cached there; set the "
            "environment variable IMAGESTUDY_DATA to use another data folder"
        ) from None


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `folder` if the block succeeds. If `folder` exists by then, it stays as it is."""
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
