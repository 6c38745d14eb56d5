"""Files that appear whole or not at all, and whether there is a place for them."""

import os
from pathlib import Path

from imagestudy.errors import InputError


def put(file: Path, text: str) -> None:
    """Write a file under another name and rename it; its folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


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
