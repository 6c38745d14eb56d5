"""Memory that a training step frees is kept for the next one."""

import ctypes
from functools import lru_cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
MOST_KEPT_BYTES = 2**30
MOST_MAPPED_BYTES = 2**25
"""The highest that glibc allows; larger blocks are mapped by themselves."""


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the C library keep what is freed at the top of its heap, for this process; say whether it does.

    By itself glibc gives the activations of every step back to the system and asks for them in the next one, and each page is
    cleared anew. No number changes. Other C libraries stay as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, MOST_MAPPED_BYTES)) and bool(mallopt(TRIM_THRESHOLD, MOST_KEPT_BYTES))
