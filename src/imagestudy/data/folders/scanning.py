"""Open every file once for its digest, its header and its pixels at the study's size: in chunks, on all cores, in order."""

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
"""The largest size of the decoded images that one task returns, in bytes."""
LARGEST_CHUNK = 64
ALONE_FILES, ALONE_BYTES = 4_000, 64_000_000
"""Up to this many files and bytes, starting other processes takes longer than the work itself."""


@dataclass(frozen=True)
class Look:
    """Decoding settings: side in pixels, fit, and `grey`, `rgb` or `auto`. `auto` decodes to RGB and detects grayscale images."""

    side: int
    fit: str
    colours: str

    @property
    def channels(self) -> int:
        """Return the number of channels of a decoded image."""
        return 1 if self.colours == "grey" else 3

    @property
    def row_bytes(self) -> int:
        """Return the size of a decoded image in bytes."""
        return self.side * self.side * self.channels


CHECKING = Look(8, "stretch", "rgb")
"""The settings of a scan that keeps no pixels."""


@dataclass(frozen=True)
class Seen:
    """The result of reading one file: `reason` is empty if it can be used; `grey` states whether all channels are equal."""

    digest: str
    facts: Facts | None
    grey: bool
    reason: str


def inspect_all(listing: Listing, look: Look, *, workers: int | None, sink: BufferedIOBase | None) -> list[Seen]:
    """Read every listed file; return the results in order, and write the pixels of usable files to `sink` in the same order.

    Args:
        listing: the files to read.
        look: the decoding settings.
        workers: the number of processes; None uses only this process if there is little work, else one process per core.
        sink: the stream that receives `uint8 (usable, side, side, channel)`; None discards the pixels.
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
    """Read files one after the other; return the results, and the pixels of the usable files."""
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
    """Read one file; return the result, and the pixels if the file can be used."""
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
        return Seen("", None, False, "no permission to read the file"), None
    except OSError as error:
        return Seen("", None, False, f"cannot be read: {error.strerror or error}"), None
    except UnreadableImageError as error:
        return Seen("", None, False, str(error)), None
    return Seen(digest, facts, bool((square == square[..., :1]).all()), ""), square


def open_file(file: Path) -> BufferedReader:
    """Open a file of a user's folder. No other function opens one."""
    return file.open("rb")
