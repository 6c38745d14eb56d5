"""A saved model asked about image files: decoded on all cores, predicted in batches, written as they come.

What a file is called is written as it is, quoted by the rules of CSV (RFC 4180). A spreadsheet that opens the table may take a name
that begins with = for a formula: import the column as text where names come from strangers.
"""

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Float, UInt8
from joblib import Parallel, delayed
from tqdm import tqdm

from imagestudy import inference
from imagestudy.core.errors import InputError
from imagestudy.data.folders.archives import is_archive, unpack
from imagestudy.data.folders.decoding import SUFFIXES
from imagestudy.data.folders.file_tree import UNREAD_SUFFIXES, printable, walk
from imagestudy.data.folders.scan_report import Quarantined
from imagestudy.data.folders.scanning import ALONE_BYTES, ALONE_FILES, CHUNK_BYTES, LARGEST_CHUNK, Look, inspect_chunk
from imagestudy.experiments.executors.local import available_cores
from imagestudy.inference import SavedModel
from imagestudy.inference.files import require_output, require_own, writing

COLUMNS = ("path", "predicted", "confidence")
FAULT_COLUMNS = ("path", "reason")
MOST_BATCH = 4_096

Squares = UInt8[np.ndarray, "n side side channel"]


@dataclass(frozen=True)
class Summary:
    """What was done.

    Args:
        images, unreadable: files that were predicted, and that could not be.
        left_out: other files in the folder, which are no images by their names.
        seconds: for decoding and predicting, not for opening the model.
        output, unreadable_output: the two tables.
    """

    images: int
    unreadable: int
    left_out: int
    seconds: float
    output: Path
    unreadable_output: Path

    def __str__(self) -> str:
        rate = self.images / self.seconds
        said = f"{self.images:,} images predicted in {self.seconds:.1f} s ({rate:,.0f} images a second) in {self.output}"
        said += f"; {self.unreadable:,} unreadable, listed in {self.unreadable_output}"
        return f"{said}; {self.left_out:,} other files left out." if self.left_out else f"{said}."


@dataclass(frozen=True)
class Found:
    """Files to be predicted, by their paths below `root`; those known to be unusable; other files; bytes of the first, together."""

    root: Path
    files: tuple[str, ...]
    refused: tuple[Quarantined, ...]
    left_out: int
    size: int


def predict(model: Path, images: Path, output: Path, *, batch: int = 256, workers: int | None = None) -> Summary:
    """Write `path,predicted,confidence` and one column a class with its probability, a row an image, sorted by path.

    Probabilities are `SavedModel.predict_proba`, in six digits. Beside the table, `<its name>-unreadable.csv` lists `path,reason`
    of the files that could not be read, sorted; it has no row where there is none. Neither is seen before all is done. Both replace
    those of an earlier prediction, and no other table. Where not one image of a folder can be read, that list alone is written.

    Args:
        model: folder of a saved model.
        images: an image, a folder of images at any depth, or a zip or tar archive of one.
        output: of the table, ending in .csv.
        batch: images that are predicted at a time; memory grows with it.
        workers: processes that decode; None for this one alone if there is little to do, else one a core.

    Raises:
        InputError: wrong or damaged input, not one image that can be read, an output that cannot be written or is another table.
    """
    if not 1 <= batch <= MOST_BATCH:
        raise InputError(f"batch {batch} was given; allowed: 1 to {MOST_BATCH}")
    companion = output.with_name(f"{output.stem}-unreadable.csv")
    _require_outputs(output, companion)
    opened, found = inference.load(model), find_images(images)
    started = time.perf_counter()
    faults = [(one.path, one.reason) for one in found.refused]
    with writing(output) as table:
        csv.writer(table).writerow([*COLUMNS, *_columns(opened.classes)])
        done = _write_rows(opened, found, table, faults, batch=batch, workers=workers)
        faults.sort()
        if images.is_dir() or is_archive(images) or done:
            with writing(companion) as listed:
                csv.writer(listed).writerows([FAULT_COLUMNS, *faults])
        if not done:
            raise InputError(_say_nothing(images, faults, companion))
    return Summary(done, len(faults), found.left_out, time.perf_counter() - started, output, companion)


def _require_outputs(output: Path, companion: Path) -> None:
    """Both can be written, and are not there unless from an earlier prediction."""
    require_output(output, suffix=".csv")
    require_own(output, lambda first: tuple(first[: len(COLUMNS)]) == COLUMNS and len(first) > len(COLUMNS), what="predictions")
    require_own(companion, lambda first: tuple(first) == FAULT_COLUMNS, what="unreadable files")


def _say_nothing(images: Path, faults: list[tuple[str, str]], companion: Path) -> str:
    """Why there is nothing to predict: no file could be read."""
    path, reason = faults[0]
    if images.is_dir() or is_archive(images):
        return (
            f"nothing in {str(images)!r} could be predicted: {len(faults)} could not be read, listed in {companion}; "
            f"the first is {path!r}: {reason}"
        )
    if images.suffix.lower() in SUFFIXES | UNREAD_SUFFIXES:
        return f"{str(images)!r} could not be predicted: {reason}"
    return f"{str(images)!r} is no image, folder or archive: {reason}"


def _columns(classes: Sequence[str]) -> list[str]:
    """The classes' names; one that is a column's name already has a word in front."""
    return [f"class {name}" if name in COLUMNS else name for name in classes]


def find_images(images: Path) -> Found:
    """The files that a path means; none of them is opened, but an archive is unpacked beneath the data folder.

    Raises:
        InputError: nothing is there, or no file whose name is that of an image.
    """
    if not images.exists():
        raise InputError(f"no image, folder or archive {str(images)!r}")
    if images.is_file() and not is_archive(images):
        return Found(images.parent, (images.name,), (), 0, images.stat().st_size)
    folder, refused = unpack(images) if images.is_file() else (images, ())
    walked = walk(folder)
    refused = (*refused, *walked.quarantined)
    if not walked.images and not refused:
        raise InputError(f"{str(images)!r} holds no images; looked at the endings of names, in folders at any depth")
    left_out = sum(walked.notes.values()) + len(walked.tables)
    size = sum(file.size for file in walked.images)
    return Found(walked.root, tuple(file.path for file in walked.images), refused, left_out, size)


def _write_rows(
    opened: SavedModel, found: Found, table: TextIO, faults: list[tuple[str, str]], *, batch: int, workers: int | None
) -> int:
    """Decode, predict and write; the number of images that were predicted. What cannot be read is added to `faults`."""
    done, writer = 0, csv.writer(table)
    with tqdm(total=len(found.files), desc="predict", unit="image", mininterval=1, file=sys.stdout, disable=None) as bar:
        for names, squares in regroup(_decode(opened, found, faults, bar, workers=workers), batch):
            writer.writerows(_rows(names, opened.predict_proba(squares), opened.classes))
            done += len(names)
    return done


def _rows(names: Sequence[str], probabilities: Float[np.ndarray, "n class"], classes: Sequence[str]) -> Iterator[list[str]]:
    for name, best, own in zip(names, probabilities.argmax(axis=1), probabilities, strict=True):
        yield [printable(name), classes[best], f"{own[best]:.6g}", *(f"{p:.6g}" for p in own)]


def _decode(
    opened: SavedModel, found: Found, faults: list[tuple[str, str]], bar: tqdm, *, workers: int | None
) -> Iterator[tuple[list[str], Squares]]:
    """Names and squares of what can be read, chunk by chunk in order; what cannot is added to `faults`: path and reason."""
    form = opened.description.images
    look = Look(form.side, form.fit, form.colours)
    size = max(1, min(LARGEST_CHUNK, CHUNK_BYTES // look.row_bytes))
    chunks = [found.files[start : start + size] for start in range(0, len(found.files), size)]
    if workers is None:
        little = len(found.files) <= ALONE_FILES and found.size <= ALONE_BYTES
        workers = 1 if little else available_cores()
    tasks = ([str(found.root / name) for name in chunk] for chunk in chunks)
    for chunk, (seen, squares) in zip(chunks, _inspect(tasks, look, min(workers, max(1, len(chunks)))), strict=True):
        faults += [(printable(name), one.reason) for name, one in zip(chunk, seen, strict=True) if one.reason]
        bar.update(len(chunk))
        yield [name for name, one in zip(chunk, seen, strict=True) if not one.reason], squares


def _inspect(tasks: Iterator[list[str]], look: Look, workers: int) -> Iterator:
    if workers == 1:
        return (inspect_chunk(task, look) for task in tasks)
    parallel = Parallel(n_jobs=workers, backend="loky", return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
    return parallel(delayed(inspect_chunk)(task, look) for task in tasks)


def regroup(chunks: Iterator[tuple[list[str], Squares]], batch: int) -> Iterator[tuple[list[str], Squares]]:
    """The same in batches of one size, but for the last, however the chunks were cut."""
    names: list[str] = []
    waiting: list[Squares] = []
    for more, squares in chunks:
        names += more
        waiting.append(squares)
        while len(names) >= batch:
            joined = np.concatenate(waiting)
            yield names[:batch], joined[:batch]
            names, waiting = names[batch:], [joined[batch:]]
    if names:
        yield names, np.concatenate(waiting)
