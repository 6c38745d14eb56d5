"""Select or transform images; results that are too large for memory go to a memory-mapped file."""

from collections.abc import Callable, Iterable
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Int64, UInt8

from imagestudy.data.cache import cache_folder, naming_the_folder

MOST_IN_MEMORY = 2**29
"""The largest result kept in memory, in bytes. A learner keeps a second copy (channels first), and one process trains per core."""
BLOCK = 256
"""The number of images copied or transformed at a time."""

Images = UInt8[np.ndarray, "n height width channel"]


def gather(images: UInt8[np.ndarray, "all height width channel"], rows: Int64[np.ndarray, " n"]) -> Images:
    """Return the images of the given rows.

    A result larger than `MOST_IN_MEMORY` is a `np.memmap` of an unnamed temporary file, which is deleted together with the array.
    If `rows` lists all rows in order, the result is `images` itself, not a copy.

    Raises:
        InputError: if the disk is full or cannot be written to.
    """
    if np.array_equal(rows, np.arange(len(images))):
        return images
    shape = (len(rows), *images.shape[1:])
    if len(rows) * images[:1].nbytes <= MOST_IN_MEMORY:
        return images[rows]
    return _write((images[rows[start : start + BLOCK]] for start in range(0, len(rows), BLOCK)), shape)


def change(images: Images, function: Callable[[Images], Images]) -> Images:
    """Apply a function to all images, block by block, so that it needs working memory for one block only.

    A result larger than `MOST_IN_MEMORY` is written to disk, as in `gather`.

    Args:
        images: the input, which is not modified.
        function: a function from images to the same number of images of the same shape. It treats each image independently, or
            makes its random draws image by image.

    Raises:
        InputError: if the disk is full or cannot be written to.
    """
    blocks = (function(images[start : start + BLOCK]) for start in range(0, len(images), BLOCK))
    return np.concatenate(list(blocks)) if images.nbytes <= MOST_IN_MEMORY else _write(blocks, images.shape)


def _write(blocks: Iterable[Images], shape: tuple[int, ...]) -> Images:
    """Write the blocks one after the other to a temporary file and map it into memory."""
    with naming_the_folder():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache_folder()) as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block).data)
            file.flush()
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
