"""Compress text and arrays for the store. Log-probabilities are rounded to a fixed set of levels."""

import json
import lzma
import zlib

import numpy as np
from jaxtyping import Float, Float16

ROOT_STEPS = 128

FLOOR = 0.25

LEVELS = (2 * np.log(np.concatenate(([FLOOR], np.arange(1, ROOT_STEPS + 1))) / ROOT_STEPS)).astype(np.float16)
"""The log-probabilities that can be stored: √p in steps of 1/128. The lowest level is a quarter of a step."""

CODE = "level"


def round_log_probabilities(log_probabilities: Float[np.ndarray, "n class"]) -> Float16[np.ndarray, "n class"]:
    """Round log-probabilities to the nearest of the 129 levels that can be stored, which are equally spaced in √p.

    The square root stabilizes the variance of a proportion, and distances on this scale are Hellinger distances. Rounding changes
    p by little more than √p/128 at most: by 0.008 near 1 and by 0.0003 near 0.001. The lowest value is −12.5. The most likely class
    keeps the highest value alone: a class that would tie with it is moved one level down. Rounding twice gives the same values as
    rounding once. All recorded scores are computed from the rounded values, so they can be recomputed from the store.
    """
    level = np.rint(ROOT_STEPS * np.exp(np.minimum(log_probabilities, 0.0).astype(np.float64) / 2)).astype(np.int64)
    rows, best = np.arange(len(level)), log_probabilities.argmax(axis=1)
    top = np.maximum(level[rows, best], 1)
    level = np.minimum(level, top[:, None] - 1)
    level[rows, best] = top
    return LEVELS[level]


def pack(array: np.ndarray) -> tuple[str, str, bytes]:
    """Return the type, the shape and the compressed bytes of an array.

    Rounded log-probabilities take one byte each before compression: the number of their level.
    """
    if array.dtype.hasobject:
        raise TypeError("an array of Python objects cannot be stored")
    shape = json.dumps(array.shape)
    if array.dtype == np.float16:
        level = np.minimum(np.searchsorted(LEVELS, array), ROOT_STEPS)
        if np.array_equal(LEVELS[level], array):
            return CODE, shape, squeeze(level.astype(np.uint8))
    return array.dtype.str, shape, squeeze(array)


def unpack(dtype: str, shape: str, packed: bytes) -> np.ndarray:
    """Return the array that was packed by `pack`."""
    if dtype == CODE:
        return LEVELS[expand(packed, np.dtype(np.uint8)).reshape(json.loads(shape))]
    return expand(packed, np.dtype(dtype)).reshape(json.loads(shape))


def squeeze_text(text: str) -> bytes:
    """Compress text with zlib."""
    return zlib.compress(text.encode(), 9)


def expand_text(packed: bytes | str) -> str:
    """Return the text that was compressed. Older stores contain plain text, or zlib data with a preset dictionary."""
    if isinstance(packed, str):
        return packed
    try:
        return zlib.decompress(packed).decode()
    except zlib.error:
        return zlib.decompressobj(-zlib.MAX_WBITS, zdict=_OLD_PHRASES).decompress(packed).decode()


_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 2**20, "lc": 0, "lp": 0, "pb": 0}]
"""Raw LZMA without context modeling, because the bytes are independent samples of a few levels."""


def squeeze(array: np.ndarray) -> bytes:
    """Compress the bytes of an array with LZMA, one byte plane after the other."""
    planes = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8).reshape(-1, array.dtype.itemsize).T
    return lzma.compress(planes.tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def expand(packed: bytes, dtype: np.dtype) -> np.ndarray:
    """Return the array that was compressed by `squeeze`, flat and with the given type."""
    planes = np.frombuffer(lzma.decompress(packed, format=lzma.FORMAT_RAW, filters=_FILTERS), np.uint8)
    return np.frombuffer(planes.reshape(dtype.itemsize, -1).T.tobytes(), dtype)


_OLD_PHRASES = (
    b'{"dataset":{"name":"digits"},"draw":10,"init":10,"kind":"trial","model":{"name":"resnet","params":40000},"order":10,"profile":'
    b'{"name":"exponential","ratio":50.0},"remedy":{"name":"balanced_sampler","version":2},"seed":1,"training":{"version":2}}'
    b'{"scores":{"balanced_accuracy":0.9,"accuracy":0.9,"macro_f1":0.9,"g_mean":0.9,"worst_class":0.8,"head":0.99,"middle":0.9,'
    b'"tail":0.8,"average_precision_rare":0.9,"ece":0.0,"brier":0.1,"nll":0.2},"validation":{"balanced_accuracy":0.9,"accuracy":0.9,'
    b'"macro_f1":0.9,"nll":0.3},"cost":{"seconds":1.0,"images_seen":40000},"facts":{"counts":[95,61,39,25,16,10,6,4,2,1],'
    b'"train_accuracy":1.0,"temperature":1.0}}'
)
"""The preset dictionary of older stores. It is needed to read them."""
