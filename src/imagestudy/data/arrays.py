"""Some rows of all images, or all of them changed: in memory, or on the disk where they are too many for that."""

from collections.abc import Callable, Iterable
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Int64, UInt8

from imagestudy.data.cache import cache_folder, naming_the_folder

MOST_IN_MEMORY = 2**29
"""Bytes; a learner keeps a second copy with the channels first, and as many processes train as there are cores."""
BLOCK = 256
"""Images copied or changed at a time."""

Images = UInt8[np.ndarray, "n height width channel"]


def gather(images: UInt8[np.ndarray, "all height width channel"], rows: Int64[np.ndarray, " n"]) -> Images:
    """The images of these rows; above `MOST_IN_MEMORY` a `np.memmap` of a file without a name, which goes when the array does.

    All rows in their order are the images themselves, not a copy.

    Raises:
        InputError: the disk is full, or may not be written to.
    """
    if np.array_equal(rows, np.arange(len(images))):
        return images
    shape = (len(rows), *images.shape[1:])
    if len(rows) * images[:1].nbytes <= MOST_IN_MEMORY:
        return images[rows]
    return _write((images[rows[start : start + BLOCK]] for start in range(0, len(rows), BLOCK)), shape)


def change(images: Images, function: Callable[[Images], Images]) -> Images:
    """All images through a function, block by block: what it needs beside them is a block's; above `MOST_IN_MEMORY` on the disk.

    Args:
        images: they stay as they are.
        function: images to as many of the same shape; it treats each by itself, or draws for one after the other.

    Raises:
        InputError: as `gather`.
    """
    blocks = (function(images[start : start + BLOCK]) for start in range(0, len(images), BLOCK))
    return np.concatenate(list(blocks)) if images.nbytes <= MOST_IN_MEMORY else _write(blocks, images.shape)


def _write(blocks: Iterable[Images], shape: tuple[int, ...]) -> Images:
    """Blocks one behind the other in a mapped file."""
    with naming_the_folder():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache_folder()) as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block).data)
            file.flush()
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
