"""Write output files and model folders completely or not at all, and protect files of other programs."""

import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from imagestudy.core.errors import InputError
from imagestudy.core.files import replacing

MOST_SHOWN = 80
"""Number of characters of a first line that an error message shows."""


def require_output(file: Path, *, suffix: str) -> Path:
    """Return the path if it is a valid output: its folder exists and its name ends in `suffix`, so that no image is overwritten.

    Raises:
        InputError: if the path is a folder, has another suffix, or is in a folder that does not exist.
    """
    if file.is_dir():
        raise InputError(f"output {str(file)!r} is a folder; give the name of a file that ends in {suffix}")
    if file.suffix.lower() != suffix:
        raise InputError(f"output {str(file)!r} does not end in {suffix}; give the name of a file that does")
    if not file.parent.is_dir():
        raise InputError(f"output {str(file)!r} cannot be written: folder {str(file.parent)!r} does not exist")
    return file


def require_own(file: Path, is_own: Callable[[list[str]], bool], *, what: str) -> None:
    """Check that an output does not overwrite a table of another program.

    The file may be missing, empty, or a table with a first line that this package writes.

    Args:
        file: path of the table.
        is_own: function that takes the first line as a list of columns and returns whether this package writes such a line.
        what: content of the table, for the error message.

    Raises:
        InputError: if the file exists and is not such a table.
    """
    if not file.exists() or not file.stat().st_size:
        return
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            first = next(csv.reader(stream), [])
        own, reason = is_own(first), f"it begins with {','.join(first)[:MOST_SHOWN]!r}"
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        own, reason = False, f"it cannot be read as a table: {error}"
    if not own:
        raise InputError(f"{file} already exists and is not a table of {what}: {reason}; give another name for the output")


@contextmanager
def writing(file: Path) -> Iterator[TextIO]:
    """Open a text stream, and rename the written file to `file` when the block succeeds; line endings are not changed.

    Raises:
        InputError: if there is no permission to write, or no space left.
    """
    with replacing(file) as fresh, fresh.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def put_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder, replacing the files of an earlier model; other files in the folder are kept.

    Args:
        folder: folder to write.
        files: file name → content.

    Raises:
        InputError: if `folder` is an existing file.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a model needs a folder")
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
