"""Keep the memory that a training step frees, so that the next step can reuse it."""

import ctypes
from functools import lru_cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
MOST_KEPT_BYTES = 2**30
"""The number of freed bytes that are kept."""
MOST_MAPPED_BYTES = 2**25
"""The largest threshold that glibc allows. Larger blocks are always allocated as separate memory maps."""


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Make glibc keep freed memory at the top of the heap of this process; return whether that succeeded.

    By default, glibc returns the activations of every step to the system and requests them again in the next step. Each page is
    then cleared again. This setting does not change any result. It has no effect with other C libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, MOST_MAPPED_BYTES)) and bool(mallopt(TRIM_THRESHOLD, MOST_KEPT_BYTES))
