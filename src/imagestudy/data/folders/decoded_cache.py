"""The cache of decoded images: one memory-mapped array per content and decoding settings, with labels and other facts.

* `cache/<content>-<settings>/` contains images.npy, labels.npy, part.npy, groups.npy, dataset.json and scan.json,
* `cache/settled/<key>` states which of these folders belongs to a listing of files and the requested settings, and keeps its scan,
* `cache/unpacked/<key>/` contains the files of an archive.
"""

import glob
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from imagestudy.core.errors import InputError
from imagestudy.core.files import put
from imagestudy.data.cache import cache_folder, making, naming_the_folder
from imagestudy.data.datasets import Dataset
from imagestudy.data.folders.grouping import number_groups
from imagestudy.data.folders.listing import Listing
from imagestudy.data.folders.scan_report import Scan, digest_of, from_json, to_json
from imagestudy.data.folders.scanning import Look, Seen, inspect_all
from imagestudy.data.folders.validation import judge

DECODING_VERSION = 1
"""Increase this number if a change in `decoding` changes pixels."""


def folder_of(content: str, look: Look) -> Path:
    """Return the cache folder of a content and decoding settings, whether it exists or not."""
    return cache_folder() / f"{content}-{digest_of([DECODING_VERSION, *asdict(look).values()])[:12]}"


def settle_listing(listing: Listing, look: Look, *, workers: int | None) -> tuple[str, Look]:
    """Make sure that the images of a listing are in the cache; return their content, and the settings with the colors resolved.

    The files are read unless files with the same names, sizes and times were decoded before.

    Raises:
        InputError: see `validation.check`; also if the disk is too full, or if the cache cannot be written to.
    """
    with naming_the_folder():
        return _settle(listing, look, workers)


def _settle(listing: Listing, look: Look, workers: int | None) -> tuple[str, Look]:
    note = cache_folder() / "settled" / digest_of([listing.signature(), DECODING_VERSION, *asdict(look).values()])
    settled = _recall_settled(note)
    if settled is None:
        scan, decided = _make(listing, look, workers)
        settled = scan.content, decided, to_json(scan)
        kept = json.dumps({"content": scan.content, "look": asdict(decided)}).encode()
        put(note, kept + b"\n" + settled[2])
    content, decided, record = settled
    _remember(folder_of(content, decided) / "scan.json", record)
    return content, decided


def _remember(file: Path, record: bytes) -> None:
    """Make a scan the latest one of its content. A read-only cache stays unchanged if it contains this scan."""
    if not file.is_file() or file.read_bytes() != record:
        put(file, record)
    with suppress(OSError):
        file.touch()


def _recall_settled(note: Path) -> tuple[str, Look, bytes] | None:
    """Return the content, the settings and the scan record of an earlier call; None if there was none or its images are deleted."""
    if not note.exists():
        return None
    first, record = note.read_bytes().split(b"\n", maxsplit=1)
    kept = json.loads(first)
    content, look = kept["content"], Look(**kept["look"])
    return (content, look, record) if folder_of(content, look).is_dir() else None


def _make(listing: Listing, look: Look, workers: int | None) -> tuple[Scan, Look]:
    _refuse_full_disk(len(listing.images) * look.row_bytes)
    with TemporaryDirectory(prefix=".making-", dir=cache_folder()) as work:
        pixels = Path(work) / "pixels"
        with pixels.open("wb") as sink:
            seen = inspect_all(listing, look, workers=workers, sink=sink)
        judged = judge(listing, seen)
        decided = _decide(look, [one for one in seen if one.facts is not None], judged.rows)
        folder = folder_of(judged.scan.content, decided)
        if not folder.exists():
            with making(folder) as fresh:
                _copy_rows(pixels, fresh / "images.npy", judged.rows, look, decided)
                _write_facts(fresh, judged.scan)
    return judged.scan, decided


def _refuse_full_disk(size: int) -> None:
    """Raise `InputError` if the disk is too full. For a moment, the decoded images are stored twice."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free
    if 2 * size > free:
        raise InputError(
            f"{cache_folder()} has {free / 1e9:.1f} GB of free disk space; needed: {2 * size / 1e9:.1f} GB; choose a smaller side, "
            "or set the environment variable IMAGESTUDY_DATA to use another data folder"
        )


def _decide(look: Look, readable: Sequence[Seen], rows: Sequence[int]) -> Look:
    if look.colours != "auto":
        return look
    return replace(look, colours="grey" if all(readable[row].grey for row in rows) else "rgb")


def _copy_rows(pixels: Path, file: Path, rows: Sequence[int], look: Look, decided: Look) -> None:
    """Copy the given rows with the channels that are kept. Plain reads and writes keep the memory small."""
    shape = (look.side, look.side, look.channels)
    with pixels.open("rb") as source, file.open("wb") as target:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), look.side, look.side, decided.channels)}
        np.lib.format.write_array_header_1_0(target, header)
        for row in rows:
            source.seek(row * look.row_bytes)
            image = np.frombuffer(source.read(look.row_bytes), dtype=np.uint8).reshape(shape)
            target.write(np.ascontiguousarray(image[..., : decided.channels]).data)


def _write_facts(folder: Path, scan: Scan) -> None:
    number = {label: n for n, label in enumerate(scan.classes)}
    np.save(folder / "labels.npy", np.array([number[image.label] for image in scan.images], dtype=np.int64))
    parts = [image.part for image in scan.images if image.part is not None]
    if parts:
        np.save(folder / "part.npy", np.array(parts, dtype=np.int8))
    groups = number_groups([image.group for image in scan.images])
    if groups is not None:
        np.save(folder / "groups.npy", np.array(groups, dtype=np.int64))
    names = {"classes": scan.classes, "files": [image.path for image in scan.images]}
    (folder / "dataset.json").write_text(json.dumps(names), encoding="utf-8")
    (folder / "scan.json").write_bytes(to_json(scan))


def open_dataset(content: str, look: Look) -> Dataset:
    """Open a cached dataset by its content and settings. Its images are memory-mapped from disk; changes to them stay in memory.

    Raises:
        InputError: if the dataset is not in the cache of this machine.
    """
    folder = folder_of(content, look)
    if not folder.is_dir():
        raise InputError(
            f"content {content!r} with side {look.side}, fit {look.fit} and colours {look.colours} is not in {cache_folder()}; "
            "give the path of the folder to decode it again"
        )
    names = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    return Dataset(
        np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False),
        np.load(folder / "labels.npy", allow_pickle=False),
        tuple(names["classes"]),
        part=_load_if_there(folder / "part.npy"),
        flips=(),
        groups=_load_if_there(folder / "groups.npy"),
        files=tuple(names["files"]),
    )


def _load_if_there(file: Path) -> np.ndarray | None:
    return np.load(file, allow_pickle=False) if file.exists() else None


def recall(content: str) -> Scan:
    """Return the latest scan of a content.

    Raises:
        InputError: if no scan of the content is in the cache of this machine.
    """
    records = sorted(cache_folder().glob(f"{glob.escape(content)}-*/scan.json"), key=lambda file: file.stat().st_mtime_ns)
    if not records:
        raise InputError(f"no scan of content {content!r} is in {cache_folder()}; give the path of the folder to scan it again")
    return from_json(records[-1].read_bytes())
