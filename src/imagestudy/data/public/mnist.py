"""The MNIST family: 28×28 grayscale images in IDX files, stored in the same folders as in `torchvision.datasets`.

NumPy reads each file at once. The addresses and checksums come from the classes of torchvision, which is only imported if a file
must be downloaded.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from jaxtyping import Int8, Int64, UInt8

from imagestudy.core.download import RemoteFile
from imagestudy.core.errors import InputError
from imagestudy.data.datasets import BALANCED, TEST, TRAIN, Dataset, sources
from imagestudy.data.public.remote import VALIDATION_IMAGES, Known, Origin, Piece, obtain
from imagestudy.data.public.unpacking import gunzip, unzip_and_gunzip

HEADER_BYTES = {1: 8, 3: 16}
BYTES_OF = {1: 0x801, 3: 0x803}
"""Number of axes → magic number of an IDX file of unsigned bytes."""

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
LETTERS = tuple(f"emnist-letters-{name}" for name in FILES[:2] + tuple(name.replace("t10k", "test") for name in FILES[2:]))
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
VALIDATION_LETTERS = 10_400
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


MORE_MIRRORS = {"FashionMNIST": ("https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",)}
"""Mirrors that torchvision does not list: the repository of the authors."""


def _from_torchvision(name: str) -> tuple[Piece, ...]:
    """Return the four files to download, with the mirrors and MD5 checksums of the torchvision class of this name."""
    from torchvision import datasets

    known = getattr(datasets, name)
    mirrors = (*known.mirrors, *MORE_MIRRORS.get(name, ()))
    return tuple(
        Piece(RemoteFile(file, tuple(f"{mirror}{file}" for mirror in mirrors), f"md5:{md5}"), (Path(file).stem,), gunzip)
        for file, md5 in known.resources
    )


def _letters_from_torchvision() -> tuple[Piece, ...]:
    from torchvision.datasets import EMNIST

    members = {f"gzip/{name}.gz": name for name in LETTERS}
    archive = RemoteFile("gzip.zip", (EMNIST.url,), f"md5:{EMNIST.md5}")
    return (Piece(archive, LETTERS, partial(unzip_and_gunzip, members=members)),)


def _origin(name: str) -> Origin:
    return Origin(f"{name}/raw", FILES, partial(_from_torchvision, name))


MNIST, FASHION_MNIST, KMNIST = _origin("MNIST"), _origin("FashionMNIST"), _origin("KMNIST")
EMNIST_LETTERS = Origin("EMNIST/raw", LETTERS, _letters_from_torchvision)


def read_idx(file: Path, *, axes: int) -> UInt8[np.ndarray, "..."]:
    """Read the array of an IDX file of unsigned bytes.

    The file contains a magic number and the length of each axis, as big-endian 32-bit numbers, and then the bytes.

    Raises:
        InputError: if the file does not have this format, or has more or fewer bytes than its header states.
    """
    raw = np.fromfile(file, dtype=np.uint8)
    header = raw[: HEADER_BYTES[axes]]
    if len(header) == HEADER_BYTES[axes]:
        magic, *shape = header.view(">u4").tolist()
        if magic == BYTES_OF[axes] and len(raw) - len(header) == np.prod(shape):
            return raw[len(header) :].reshape(shape)
    raise InputError(f"{file} is not a complete IDX file of bytes (number of axes: {axes}); delete it to download it again")


def _read(origin: Origin) -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"], Int8[np.ndarray, " n"]]:
    """Read images, raw labels and parts, first of the training files, then of the test files."""
    folder = obtain(origin)
    images = [read_idx(folder / name, axes=3) for name in origin.needs[::2]]
    labels = [read_idx(folder / name, axes=1) for name in origin.needs[1::2]]
    for name, part_images, part_labels in zip(origin.needs[1::2], images, labels, strict=True):
        if len(part_images) != len(part_labels):
            raise InputError(
                f"{folder / name} has {len(part_labels)} labels for {len(part_images)} images; delete both to download them again"
            )
    part = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [len(part_labels) for part_labels in labels])
    return np.concatenate(images), np.concatenate(labels), part


def _dataset(
    origin: Origin,
    classes: tuple[str, ...],
    *,
    validation: int = VALIDATION_IMAGES,
    flips: tuple[str, ...] = (),
    change: Callable[[np.ndarray], np.ndarray] = lambda images: images,
    first_label: int = 0,
) -> Dataset:
    images, labels, part = _read(origin)
    numbers: Int64[np.ndarray, " n"] = labels.astype(np.int64) - first_label
    return Dataset(change(images)[..., None], numbers, classes, part, flips=flips, held_out=(int((part == TEST).sum()), validation))


@sources.register(
    "mnist",
    title="handwritten digits, 28×28 grayscale",
    license="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 86(11), 1998",
    known=Known(images=70_000, size=(28, 28, 1), classes=10, ratio=7877 / 6313, held_out=(10_000, VALIDATION_IMAGES)),
    origin=MNIST,
    source="torchvision's mirrors",
    checksum="from torchvision",
    split=BALANCED,
    pictures=True,
)
def load_mnist() -> Dataset:
    """Load 60,000 training and 10,000 test images. 5,000 training images, balanced, are drawn for validation."""
    return _dataset(MNIST, tuple("0123456789"))


@sources.register(
    "fashion_mnist",
    title="pieces of clothing, 28×28 grayscale",
    license="MIT",
    citation="Xiao, Rasul & Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, 2017, "
    "arXiv:1708.07747",
    known=Known(images=70_000, size=(28, 28, 1), classes=10, ratio=1.0, held_out=(10_000, VALIDATION_IMAGES)),
    origin=FASHION_MNIST,
    source="torchvision's mirror, then the authors' repository",
    checksum="from torchvision",
    split=BALANCED,
    pictures=True,
)
def load_fashion_mnist() -> Dataset:
    """Load 60,000 training and 10,000 test images, 7,000 per class. 5,000 training images are drawn for validation."""
    return _dataset(FASHION_MNIST, FASHION, flips=("horizontal",))


@sources.register(
    "kmnist",
    title="cursive Japanese syllables, 28×28 grayscale",
    license="CC BY-SA 4.0",
    citation="Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018, arXiv:1812.01718",
    known=Known(images=70_000, size=(28, 28, 1), classes=10, ratio=1.0, held_out=(10_000, VALIDATION_IMAGES)),
    origin=KMNIST,
    source="the authors' page, at torchvision's address",
    checksum="from torchvision",
    split=BALANCED,
    pictures=True,
)
def load_kmnist() -> Dataset:
    """Load 60,000 training and 10,000 test images, 7,000 per class. 5,000 training images are drawn for validation."""
    return _dataset(KMNIST, KUZUSHIJI)


@sources.register(
    "emnist_letters",
    title="handwritten letters, 28×28 grayscale",
    license="none stated",
    citation="Cohen, Afshar, Tapson & van Schaik, EMNIST: an Extension of MNIST to Handwritten Letters, 2017, arXiv:1702.05373",
    known=Known(images=145_600, size=(28, 28, 1), classes=26, ratio=1.0, held_out=(20_800, VALIDATION_LETTERS)),
    origin=EMNIST_LETTERS,
    source="NIST, at torchvision's address (560 MB, all parts of EMNIST)",
    checksum="from torchvision",
    split=BALANCED,
)
def load_emnist_letters() -> Dataset:
    """Load 124,800 training and 20,800 test images, 5,600 per class. 10,400 training images are drawn for validation.

    The uppercase and the lowercase form of a letter are one class. The files number the letters from 1 and store every image with
    rows and columns swapped; the loaded images are upright.
    """
    return _dataset(
        EMNIST_LETTERS,
        tuple(ascii_lowercase),
        validation=VALIDATION_LETTERS,
        change=lambda images: np.ascontiguousarray(images.transpose(0, 2, 1)),
        first_label=1,
    )
