"""Read a table of images: a CSV file with the columns `path,label[,split][,group]` and paths relative to the table."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from imagestudy.core.errors import InputError, require_known
from imagestudy.data.folders.file_tree import printable, status
from imagestudy.data.folders.listing import PARTS, Listed, Listing, settle_parts
from imagestudy.data.folders.scan_report import Quarantined

NEEDED, ALLOWED = ("path", "label"), ("path", "label", "split", "group")
SHOWN = 3
MISSING = "listed in the table, but does not exist"


class Row(NamedTuple):
    """One row of a table; the value is empty for a column that the table lacks."""

    path: str
    label: str
    split: str
    group: str


def is_table(file: Path) -> bool:
    """Return whether the first line of a file names the columns of a table of images."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return set(NEEDED) <= set(_columns(next(csv.reader([lines.readline()], delimiter=_separator(file)), [])))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def read_table(file: Path, title: str, *, shown: Path | None = None) -> Listing:
    """Return the listing of a table. If the table was unpacked, messages show the path `shown` instead of its own.

    Files that are missing, outside the table's folder or listed twice are quarantined, and so are rows without a label.

    Raises:
        InputError: if a required column or all rows are missing, a split is unknown, or no file can be used.
    """
    shown = shown or file
    rows = _read_rows(file, shown)
    found = _entries(file, rows, shown)
    listed = [entry for entry in found if isinstance(entry, Listed)]
    quarantined = [entry for entry in found if isinstance(entry, Quarantined)]
    notes = Counter[str]()
    if missing := [entry.path for entry in quarantined if entry.reason == MISSING]:
        some = ", ".join(map(repr, missing[:SHOWN])) + (", …" if len(missing) > SHOWN else "")
        notes[f"files that are listed in the table but do not exist: {some}"] = len(missing)
        if not listed:
            raise InputError(
                f"{shown} lists no file that can be used; files that do not exist: {len(missing)} ({some}); paths are relative to "
                f"{shown.parent}"
            )
    if not listed:
        raise InputError(f"{shown} lists no file that can be used; the first is {quarantined[0].path!r}: {quarantined[0].reason}")
    listed = settle_parts(sorted(listed, key=lambda image: image.path), notes)
    imageless = _imageless(quarantined, {image.label for image in listed})
    place = None if shown == file else shown.parent
    return Listing(file.parent.resolve(), title, tuple(listed), tuple(quarantined), notes, imageless, place)


def _imageless(quarantined: list[Quarantined], labels: set[str]) -> dict[str, str]:
    """Return the classes without a usable row, each with the number of its rows and the fault of the first one."""
    unusable: dict[str, list[Quarantined]] = {}
    for one in quarantined:
        if one.label and one.label not in labels:
            unusable.setdefault(one.label, []).append(one)
    return {
        label: f"rows that cannot be used: {len(rows)}; the first is {rows[0].path!r}: {rows[0].reason}"
        for label, rows in unusable.items()
    }


def _separator(file: Path) -> str:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        header = lines.readline()
    return max(",;\t", key=header.count)


def _columns(header: list[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _read_rows(file: Path, shown: Path) -> list[Row]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            given = list(csv.reader(lines, delimiter=_separator(file), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{shown} cannot be read as a CSV table in UTF-8: {error}") from None
    if not given:
        raise InputError(f"{shown} is empty; needed: a first line with the columns path,label")
    columns = _columns(given[0])
    if missing := [name for name in NEEDED if name not in columns]:
        raise InputError(
            f"{shown} has no column {missing[0]!r}; its first line is {columns}; needed: path, label; optional: split, group"
        )
    at = {name: columns.index(name) for name in ALLOWED if name in columns}
    rows = [Row(*(_value(line, at.get(name)) for name in ALLOWED)) for line in given[1:] if any(line)]
    if not rows:
        raise InputError(f"{shown} has no row below its first line; needed: rows with a path and a label")
    return _strip(rows)


def _value(line: list[str], column: int | None) -> str:
    return line[column] if column is not None and column < len(line) else ""


def _strip(rows: list[Row]) -> list[Row]:
    """Strip blanks around values, but not around labels if this would merge two labels, which `validation` then rejects."""
    labels = {row.label for row in rows}
    merged = len({label.strip() for label in labels}) < len(labels)
    return [Row(row.path.strip(), row.label if merged else row.label.strip(), row.split.strip(), row.group.strip()) for row in rows]


def _entries(file: Path, rows: list[Row], shown: Path) -> list[Listed | Quarantined]:
    """Return one entry per row. A file with two labels is listed under both, and `validation` finds the contradiction."""
    folder, has_split = file.parent.resolve(), any(row.split for row in rows)
    seen: set[tuple[str, str]] = set()
    entries: list[Listed | Quarantined] = []
    for number, row in enumerate(rows, start=2):
        path = _inside(folder, row.path)
        entry = Quarantined(path, row.label, "listed twice") if (path, row.label) in seen else _entry(folder, path, row)
        if has_split and isinstance(entry, Listed):
            entry = _with_part(entry, row.split, f"{shown}, row {number}")
        seen.add((path, row.label))
        entries.append(entry)
    return entries


def _inside(folder: Path, given: str) -> str:
    """Return the path inside the folder, with forward slashes. A backslash is a separator unless a file has exactly this name."""
    path = given if os.path.exists(folder / given) else given.replace("\\", "/")
    whole = Path(os.path.normpath(folder / path))
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else path


def _entry(folder: Path, path: str, row: Row) -> Listed | Quarantined:
    if not row.label.strip():
        return Quarantined(printable(path), "", "no label in the table")
    if not row.path:
        return Quarantined("", row.label, "no path in the table")
    if not os.path.exists(folder / path):
        return Quarantined(printable(path), row.label, MISSING)
    found = status(folder, path)
    if isinstance(found, str):
        return Quarantined(printable(path), row.label, found)
    return Listed(path, row.label, None, row.group, found.st_size, found.st_mtime_ns)


def _with_part(entry: Listed, split: str, where: str) -> Listed | Quarantined:
    if not split:
        return Quarantined(entry.path, entry.label, "no split in the table, although other rows have one")
    part = PARTS[require_known(split.lower(), PARTS, what="split", where=where)]
    return Listed(entry.path, entry.label, part, entry.group, entry.size, entry.changed)
