"""Files that appear whole or not at all, and whether there is a place for them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from imagestudy.core.errors import InputError


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A name beside a file, for what takes the file's place when the block ends well; otherwise nothing of it stays.

    Its folder is made.

    Raises:
        InputError: no permission there, or no room.
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
    """Write a file whole, in the place of an earlier one; for the errors see `replacing`."""
    with replacing(file) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def require_writable(folder: Path, *, variable: str) -> None:
    """Refuse a folder that cannot be made or written to, before any work is done for it; nothing is made here.

    Args:
        folder: the one that will be written to, there already or not.
        variable: of the environment, that moves it.

    Raises:
        InputError: a file stands in its place, or this user may not write there.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        why = _say_obstacle(nearest)
    except OSError as error:
        why = str(error)
    if why:
        raise InputError(f"{folder} cannot be written to ({why}); the environment variable {variable} moves it")


def _say_obstacle(nearest: Path) -> str:
    if not nearest.is_dir():
        return f"{nearest} is no folder"
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"no permission to write in {nearest}"
