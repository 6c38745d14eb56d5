"""Predict image files with a saved model: decode on all cores, predict in batches, and write rows as they are ready.

File names are written unchanged, quoted by the rules of CSV (RFC 4180). A spreadsheet may read a name that begins with = as a
formula. Import the column as text if the names come from an unknown source.
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
"""First columns of the table of predictions; a column for each class follows."""
FAULT_COLUMNS = ("path", "reason")
"""Columns of the table of unreadable files."""
MOST_BATCH = 4_096
"""Largest batch size."""

Squares = UInt8[np.ndarray, "n side side channel"]


@dataclass(frozen=True)
class Summary:
    """Summary of a prediction.

    Args:
        images: number of images that were predicted.
        unreadable: number of files that could not be read.
        left_out: number of other files in the folder, with names that are not image names.
        seconds: time for decoding and predicting, without loading the model.
        output: table of predictions.
        unreadable_output: table of unreadable files.
    """

    images: int
    unreadable: int
    left_out: int
    seconds: float
    output: Path
    unreadable_output: Path

    def __str__(self) -> str:
        rate = self.images / self.seconds
        text = f"{_number(self.images, 'image')} predicted in {self.seconds:.1f} s ({rate:,.0f} images per second)"
        text += f", written to {self.output}"
        text += f"; {_number(self.unreadable, 'unreadable file')}, listed in {self.unreadable_output}"
        return f"{text}; {_number(self.left_out, 'other file')} left out." if self.left_out else f"{text}."


@dataclass(frozen=True)
class Found:
    """Files found for a prediction.

    Args:
        root: folder that contains the files.
        files: paths of the images, relative to `root`.
        refused: files that are known to be unusable, with reasons.
        left_out: number of other files.
        size: total size of `files`, in bytes.
    """

    root: Path
    files: tuple[str, ...]
    refused: tuple[Quarantined, ...]
    left_out: int
    size: int


def _number(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 image` or `1,200 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def predict(model: Path, images: Path, output: Path, *, batch: int = 256, workers: int | None = None) -> Summary:
    """Predict images and write a CSV table with one row per image, sorted by path.

    The columns are `path`, `predicted`, `confidence` and the probability of each class. Probabilities are those of
    `SavedModel.predict_proba`, with six digits. A second table, `<name of the output>-unreadable.csv`, lists `path` and `reason` of
    the files that could not be read, sorted by path; it has no rows if all files could be read.

    Both files appear only when everything is done. They replace the files of an earlier prediction, but never another table. If no
    image of a folder can be read, only the second table is written.

    Args:
        model: folder of a saved model.
        images: an image, a folder with images at any depth, or a zip or tar archive of such a folder.
        output: path of the table; it must end in .csv.
        batch: number of images that are predicted together; memory use grows with it.
        workers: number of processes that decode images. None uses only the current process for small inputs, and otherwise one
            process per core.

    Returns:
        Counts, time and paths of the two tables.

    Raises:
        InputError: if the input is wrong or damaged, no image can be read, or an output cannot be written or is another table.
    """
    if not 1 <= batch <= MOST_BATCH:
        raise InputError(f"batch {batch} was given; allowed are 1 to {MOST_BATCH}")
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
            raise InputError(_say_none_readable(images, faults, companion))
    return Summary(done, len(faults), found.left_out, time.perf_counter() - started, output, companion)


def _require_outputs(output: Path, companion: Path) -> None:
    """Check that both files can be written, and that existing ones come from an earlier prediction."""
    require_output(output, suffix=".csv")
    require_own(output, lambda first: tuple(first[: len(COLUMNS)]) == COLUMNS and len(first) > len(COLUMNS), what="predictions")
    require_own(companion, lambda first: tuple(first) == FAULT_COLUMNS, what="unreadable files")


def _say_none_readable(images: Path, faults: list[tuple[str, str]], companion: Path) -> str:
    """Return the error message for an input without a readable image."""
    path, reason = faults[0]
    if images.is_dir() or is_archive(images):
        return (
            f"no image in {str(images)!r} could be predicted: {_number(len(faults), 'file')} could not be read, "
            f"listed in {companion}; the first is {path!r}: {reason}"
        )
    if images.suffix.lower() in SUFFIXES | UNREAD_SUFFIXES:
        return f"{str(images)!r} could not be predicted: {reason}"
    return f"{str(images)!r} is not an image, folder or archive: {reason}"


def _columns(classes: Sequence[str]) -> list[str]:
    """Return the class names; a class named like one of the first columns gets the prefix `class `."""
    return [f"class {name}" if name in COLUMNS else name for name in classes]


def find_images(images: Path) -> Found:
    """Find the image files that a path refers to. No file is opened, but an archive is unpacked into the data folder.

    Args:
        images: an image, a folder or an archive.

    Raises:
        InputError: if the path does not exist, or no file in it has the name of an image.
    """
    if not images.exists():
        raise InputError(f"{str(images)!r} does not exist; give an image, a folder or an archive")
    if images.is_file() and not is_archive(images):
        return Found(images.parent, (images.name,), (), 0, images.stat().st_size)
    folder, refused = unpack(images) if images.is_file() else (images, ())
    walked = walk(folder)
    refused = (*refused, *walked.quarantined)
    if not walked.images and not refused:
        raise InputError(f"{str(images)!r} contains no images; images are recognized by their suffix, in folders at any depth")
    left_out = sum(walked.notes.values()) + len(walked.tables)
    size = sum(file.size for file in walked.images)
    return Found(walked.root, tuple(file.path for file in walked.images), refused, left_out, size)


def _write_rows(
    opened: SavedModel, found: Found, table: TextIO, faults: list[tuple[str, str]], *, batch: int, workers: int | None
) -> int:
    """Decode, predict and write all images; return the number of predicted images, and add unreadable files to `faults`."""
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
    """Yield names and square images of the readable files in order, chunk by chunk; add path and reason of others to `faults`."""
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
    """Yield the same names and images in batches of equal size; only the last batch may be smaller."""
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
