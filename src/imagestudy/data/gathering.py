"""Some rows of all images: in memory, or on the disk where they are too many for that."""

from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Int64, UInt8

from imagestudy.data.folders.making import cache_folder

MOST_IN_MEMORY = 2**29
"""Bytes; a learner keeps a second copy with the channels first, and as many processes train as there are cores."""
BLOCK = 1_024
"""Images copied at a time."""


def gather(
    images: UInt8[np.ndarray, "all height width channel"], rows: Int64[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n height width channel"]:
    """The images of these rows; above `MOST_IN_MEMORY` a `np.memmap` of a file without a name, which goes when the array does.

    Raises:
        OSError: the disk is full.
    """
    if len(rows) * images[:1].nbytes <= MOST_IN_MEMORY:
        return images[rows]
    cache_folder().mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=cache_folder()) as file:
        for start in range(0, len(rows), BLOCK):
            file.write(images[rows[start : start + BLOCK]].data)
        file.flush()
        return np.memmap(file, dtype=np.uint8, mode="r+", shape=(len(rows), *images.shape[1:]))
