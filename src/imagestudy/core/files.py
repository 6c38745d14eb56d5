"""Write files atomically, and check that a folder is writable."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from imagestudy.core.errors import InputError


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a temporary sibling path, which is renamed onto `file` when the block succeeds.

    If the block fails, the temporary file is deleted. The folder of `file` is created if it does not exist.

    Raises:
        InputError: if the file cannot be written, for example for lack of permission or disk space.
    """
    fresh = file.with_name(f".{file.name}.{token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield fresh
        fresh.replace(file)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            fresh.unlink()


def put(file: Path, content: str | bytes) -> None:
    """Write a file atomically and overwrite an existing one. See `replacing` for the errors."""
    with replacing(file) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def require_writable(folder: Path, *, variable: str) -> None:
    """Raise an error if a folder cannot be created or is not writable. The folder is not created.

    Args:
        folder: the folder to check. It may not exist yet.
        variable: the environment variable that sets this folder.

    Raises:
        InputError: if a file of that name is in the way, or the user may not write there.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        why = _obstacle(nearest)
    except OSError as error:
        why = str(error)
    if why:
        raise InputError(f"{folder} cannot be written to ({why}); set the environment variable {variable} to use another folder")


def _obstacle(nearest: Path) -> str:
    """Why this existing path is not a writable folder; empty if it is."""
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"no permission to write in {nearest}"
