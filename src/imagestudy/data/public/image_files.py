"""Sets that come as single image files: decoded once, on all cores, to one memory-mapped array in the cache."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from imagestudy.core.errors import InputError
from imagestudy.data.cache import cache_folder, making
from imagestudy.data.folders.decoded_cache import DECODING_VERSION
from imagestudy.data.folders.listing import Listed, Listing
from imagestudy.data.folders.scan_report import digest_of
from imagestudy.data.folders.scanning import Look, inspect_all

IMAGES = "images.npy"


def decode_files(name: str, root: Path, files: Sequence[str], look: Look) -> UInt8[np.ndarray, "n side side channel"]:
    """The images in the order of their names; the array stays on disk, and a change to it in memory.

    Args:
        name: of the set, for the cache.
        root: folder of the files.
        files: their paths below it.
        look: how they are decoded.

    Raises:
        InputError: there is none, or one of them cannot be read: nothing of a public set is left out.
    """
    if not files:
        raise InputError(f"{root} holds no images of {name}; delete it, and it is fetched again")
    folder = cache_folder() / f"{name}-{digest_of([DECODING_VERSION, *astuple(look), *files])[:16]}"
    if not folder.is_dir():
        with making(folder) as fresh:
            _write_images(fresh / IMAGES, _list(name, root, files), look)
    return np.load(folder / IMAGES, mmap_mode="c", allow_pickle=False)


def _list(name: str, root: Path, files: Sequence[str]) -> Listing:
    """As the scan of a folder wants it; of the facts of a file only its size matters here, for the number of processes."""
    images = tuple(Listed(file, "", None, "", (root / file).stat().st_size, 0) for file in files)
    return Listing(root, name, images, (), Counter())


def _write_images(file: Path, listing: Listing, look: Look) -> None:
    shape = (len(listing.images), look.side, look.side, look.channels)
    with file.open("wb") as sink:
        np.lib.format.write_array_header_1_0(sink, {"descr": "|u1", "fortran_order": False, "shape": shape})
        seen = inspect_all(listing, look, workers=None, sink=sink)
    broken = [(image.path, one.reason) for image, one in zip(listing.images, seen, strict=True) if one.reason]
    if broken:
        path, reason = broken[0]
        raise InputError(
            f"{len(broken)} of {len(seen)} images of {listing.title} cannot be read, {listing.root / path} first: {reason}; "
            f"delete {listing.root}, and it is fetched again"
        )
