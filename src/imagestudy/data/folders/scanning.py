"""Every file is opened once: its digest, its header, its pixels at the study's size. In chunks, on all cores, in order."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from imagestudy.data.folders.decoding import Facts, UnreadableImageError, look
from imagestudy.data.folders.listing import Listing
from imagestudy.data.folders.scan_report import DIGEST_BYTES

CHUNK_BYTES = 4_000_000
"""Of decoded images that one task hands over."""
LARGEST_CHUNK = 64
ALONE_FILES, ALONE_BYTES = 4_000, 64_000_000
"""Up to so much, starting other processes takes longer than the work."""


@dataclass(frozen=True)
class Look:
    """How images are decoded: side in pixels, fit, and `grey`, `rgb`, or `auto`, which decodes to RGB and tells what is grey."""

    side: int
    fit: str
    colours: str

    @property
    def channels(self) -> int:
        """Of what is decoded."""
        return 1 if self.colours == "grey" else 3

    @property
    def row_bytes(self) -> int:
        """Of one decoded image."""
        return self.side * self.side * self.channels


CHECKING = Look(8, "stretch", "rgb")
"""For a scan that keeps no pixels."""


@dataclass(frozen=True)
class Seen:
    """What one file turned out to be: `reason` is empty if it can be used, `grey` says whether its channels are equal."""

    digest: str
    facts: Facts | None
    grey: bool
    reason: str


def inspect_all(listing: Listing, look: Look, *, workers: int | None, sink: BufferedIOBase | None) -> list[Seen]:
    """What every listed file turned out to be, in order; the pixels of the usable ones go to `sink` in that order.

    Args:
        listing: what is to be looked at.
        look: how.
        workers: processes; None for this one alone if there is little to do, else one a core.
        sink: takes `uint8 (usable, side, side, channel)`; None throws the pixels away.
    """
    files = [str(listing.root / image.path) for image in listing.images]
    size = max(1, min(LARGEST_CHUNK, CHUNK_BYTES // look.row_bytes))
    chunks = [files[start : start + size] for start in range(0, len(files), size)]
    if workers is None:
        little = len(files) <= ALONE_FILES and sum(image.size for image in listing.images) <= ALONE_BYTES
        workers = 1 if little else cpu_count()
    seen: list[Seen] = []
    with tqdm(total=len(files), desc="scan", unit="image", mininterval=1, file=sys.stdout, disable=None) as bar:
        for found, pixels in _map(chunks, look, min(workers, max(1, len(chunks)))):
            seen += found
            if sink is not None:
                sink.write(pixels.data)
            bar.update(len(found))
    return seen


def _map(chunks: Sequence[list[str]], look: Look, workers: int) -> Iterator[tuple[list[Seen], np.ndarray]]:
    if workers == 1:
        return (inspect_chunk(chunk, look) for chunk in chunks)
    parallel = Parallel(n_jobs=workers, backend="loky", return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
    return parallel(delayed(inspect_chunk)(chunk, look) for chunk in chunks)


def inspect_chunk(files: list[str], look: Look) -> tuple[list[Seen], UInt8[np.ndarray, "usable side side channel"]]:
    """Look at some files one after the other; pixels are those of the usable ones."""
    seen, pixels = [], np.empty((len(files), look.side, look.side, look.channels), dtype=np.uint8)
    usable = 0
    for file in files:
        one, square = inspect(Path(file), look)
        seen.append(one)
        if square is not None:
            pixels[usable] = square
            usable += 1
    return seen, pixels[:usable]


def inspect(file: Path, given: Look) -> tuple[Seen, UInt8[np.ndarray, "side side channel"] | None]:
    """Look at one file."""
    try:
        with open_file(file) as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()
            if not stream.tell():
                return Seen(digest, None, False, "empty: zero bytes"), None
            stream.seek(0)
            facts, square = look(
                stream, side=given.side, fit=given.fit, colours="rgb" if given.colours == "auto" else given.colours
            )
    except PermissionError:
        return Seen("", None, False, "no permission to read it"), None
    except OSError as error:
        return Seen("", None, False, f"cannot be read: {error.strerror or error}"), None
    except UnreadableImageError as error:
        return Seen("", None, False, str(error)), None
    return Seen(digest, facts, bool((square == square[..., :1]).all()), ""), square


def open_file(file: Path) -> BufferedReader:
    """The only place where a file of somebody's folder is opened."""
    return file.open("rb")
