"""Files and folders that appear whole or not at all."""

import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from imagestudy.core.errors import InputError
from imagestudy.core.files import replacing

MOST_SHOWN = 80
"""Characters of a first line."""


def require_output(file: Path, *, suffix: str) -> Path:
    """Return the file if it can be written: its folder is there, and its name ends as it should, so that no image is overwritten.

    Raises:
        InputError: otherwise.
    """
    if file.is_dir():
        raise InputError(f"output {str(file)!r} is a folder; allowed is the name of a file that ends in {suffix}")
    if file.suffix.lower() != suffix:
        raise InputError(f"output {str(file)!r} was given; allowed is the name of a file that ends in {suffix}")
    if not file.parent.is_dir():
        raise InputError(f"output {str(file)!r} was given; there is no folder {str(file.parent)!r}")
    return file


def require_own(file: Path, is_own: Callable[[list[str]], bool], *, what: str) -> None:
    """See that no table of somebody else is overwritten: one that is there has a first line that is written here, or nothing in it.

    Args:
        file: of the table.
        is_own: whether a first line, cut into columns, is one of a table that is written here.
        what: that table is, for the sentence.

    Raises:
        InputError: otherwise.
    """
    if not file.exists() or not file.stat().st_size:
        return
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            first = next(csv.reader(stream), [])
        own, begin = is_own(first), f"it begins with {','.join(first)[:MOST_SHOWN]!r}"
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        own, begin = False, f"it is not readable as a table: {error}"
    if not own:
        raise InputError(f"{file} is there and is no table of {what}, {begin}; give another name for the output")


@contextmanager
def writing(file: Path) -> Iterator[TextIO]:
    """A text stream whose content takes the name of `file` when the block ends well; line ends are written as they come.

    Raises:
        InputError: no permission there, or no room.
    """
    with replacing(file) as fresh, fresh.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def put_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder of these files, in place of an earlier one; what else lies in that stays there.

    Raises:
        InputError: something that is no folder has its name.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a model is a folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh, older = Path(scratch) / "fresh", Path(scratch) / "older"
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        if folder.exists():
            folder.rename(older)
        fresh.rename(folder)
        for other in older.iterdir() if older.exists() else ():
            if other.name not in files:
                other.rename(folder / other.name)
