"""CIFAR-10 and CIFAR-100, read from the binary archives. torchvision reads the Python archives, but these are pickles.

A record starts with one byte for the label (CIFAR-10), or with two bytes for the coarse and the fine label (CIFAR-100). Then follow
3,072 bytes: the red, green and blue plane of a 32×32 image, row by row (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from imagestudy.core.download import RemoteFile
from imagestudy.core.errors import InputError
from imagestudy.data.datasets import BALANCED, TEST, TRAIN, Dataset, sources
from imagestudy.data.public.remote import VALIDATION_IMAGES, Known, Origin, Piece, obtain
from imagestudy.data.public.unpacking import untar

SIDE = 32
PIXEL_BYTES = 3 * SIDE * SIDE
BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))

TEN = RemoteFile(  # the MD5 checksums are in the table of downloads on the page above
    "cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz"),
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
    size=170_052_171,
)
HUNDRED = RemoteFile(
    "cifar-100-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz"),
    "md5:03b5dce01913d631647c71ecec9e9cb8",
    size=168_513_733,
)


def _origin(remote: RemoteFile, unpacked: str) -> Origin:
    return Origin("CIFAR", (unpacked,), lambda: (Piece(remote, (unpacked,), untar),))


CIFAR10, CIFAR100 = _origin(TEN, "cifar-10-batches-bin"), _origin(HUNDRED, "cifar-100-binary")


def _read(folder: Path, *, train: tuple[str, ...], test: str, names: str, label_bytes: int) -> Dataset:
    """Read the records of the training files, then of the test file. The last label byte of a record is its class."""
    records = [_read_records(folder / file, label_bytes) for file in (*train, test)]
    part = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [sum(map(len, records[:-1])), len(records[-1])])
    whole = np.concatenate(records)
    planes = whole[:, label_bytes:].reshape(-1, 3, SIDE, SIDE)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    classes = tuple((folder / names).read_text(encoding="ascii").split())
    labels = whole[:, label_bytes - 1].astype(np.int64)
    return Dataset(images, labels, classes, part, flips=("horizontal",), held_out=(int((part == TEST).sum()), VALIDATION_IMAGES))


def _read_records(file: Path, label_bytes: int) -> UInt8[np.ndarray, "n record"]:
    raw, length = np.fromfile(file, dtype=np.uint8), label_bytes + PIXEL_BYTES
    if len(raw) % length:
        raise InputError(f"{file} does not contain whole records of {length:,} bytes; delete its folder to download it again")
    return raw.reshape(-1, length)


@sources.register(
    "cifar10",
    title="animals and vehicles, 32×32 color",
    license="none stated",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of Toronto, 2009",
    known=Known(images=60_000, size=(SIDE, SIDE, 3), classes=10, ratio=1.0, held_out=(10_000, VALIDATION_IMAGES)),
    origin=CIFAR10,
    source="the author's page, binary version (torchvision reads the pickled version)",
    checksum="from that page",
    split=BALANCED,
)
def load_cifar10() -> Dataset:
    """Load 50,000 training and 10,000 test images, 6,000 per class. 5,000 training images are drawn for validation."""
    folder = obtain(CIFAR10) / CIFAR10.needs[0]
    return _read(folder, train=BATCHES, test="test_batch.bin", names="batches.meta.txt", label_bytes=1)


@sources.register(
    "cifar100",
    title="animals, plants and objects, 32×32 color",
    license="none stated",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of Toronto, 2009",
    known=Known(images=60_000, size=(SIDE, SIDE, 3), classes=100, ratio=1.0, held_out=(10_000, VALIDATION_IMAGES)),
    origin=CIFAR100,
    source="the author's page, binary version, fine labels",
    checksum="from that page",
    split=BALANCED,
)
def load_cifar100() -> Dataset:
    """Load 50,000 training and 10,000 test images with fine labels, 600 per class.

    5,000 training images are drawn for validation.
    """
    folder = obtain(CIFAR100) / CIFAR100.needs[0]
    return _read(folder, train=("train.bin",), test="test.bin", names="fine_label_names.txt", label_bytes=2)
