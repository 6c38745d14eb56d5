"""Decode public datasets that consist of single image files, once and on all cores, to a memory-mapped array in the cache."""

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
    """Return the images in the order of `files`. The array stays on disk; changes to it stay in memory.

    Args:
        name: the name of the dataset, for the cache.
        root: the folder of the files.
        files: the paths of the files, relative to `root`.
        look: the decoding settings.

    Raises:
        InputError: if there are no files, or if any file cannot be read. A public dataset is never used incomplete.
    """
    if not files:
        raise InputError(f"{root} contains no images of {name}; delete it to download it again")
    folder = cache_folder() / f"{name}-{digest_of([DECODING_VERSION, *astuple(look), *files])[:16]}"
    if not folder.is_dir():
        with making(folder) as fresh:
            _write_images(fresh / IMAGES, _list(name, root, files), look)
    return np.load(folder / IMAGES, mmap_mode="c", allow_pickle=False)


def _list(name: str, root: Path, files: Sequence[str]) -> Listing:
    """Return the listing that a folder scan takes. Only the file sizes matter here, to choose the number of processes."""
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
            f"{len(broken)} of {len(seen)} images of {listing.title} cannot be read; the first is {listing.root / path}: {reason}; "
            f"delete {listing.root} to download it again"
        )
