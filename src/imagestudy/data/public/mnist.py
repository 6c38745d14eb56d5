"""The MNIST family: 28×28 grey images in IDX files, laid out as `torchvision.datasets` lays them out.

The files are read at once with NumPy; torchvision's classes give addresses and checksums, and are asked only when something has to
be fetched.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from jaxtyping import Int8, Int64, UInt8

from imagestudy.core.download import RemoteFile
from imagestudy.core.errors import InputError
from imagestudy.data.datasets import TEST, TRAIN, Dataset, sources
from imagestudy.data.public.remote import Known, Origin, Piece, obtain
from imagestudy.data.public.unpacking import gunzip, unzip_and_gunzip

HEADER_BYTES = {1: 8, 3: 16}
BYTES_OF = {1: 0x801, 3: 0x803}
"""Magic number of an IDX file of unsigned bytes, by its number of axes."""

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
LETTERS = tuple(f"emnist-letters-{name}" for name in FILES[:2] + tuple(name.replace("t10k", "test") for name in FILES[2:]))
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


MORE_MIRRORS = {"FashionMNIST": ("https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",)}
"""Beyond those that torchvision knows: the authors' repository."""


def _from_torchvision(name: str) -> tuple[Piece, ...]:
    """Addresses, mirrors and MD5 of the four files, as the torchvision class of that name has them."""
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
    """The array of an IDX file of bytes: a magic number and the length of each axis as big-endian 32-bit numbers, then the bytes.

    Raises:
        InputError: the file is no such file, or has more or fewer bytes than its header says.
    """
    raw = np.fromfile(file, dtype=np.uint8)
    header = raw[: HEADER_BYTES[axes]]
    if len(header) == HEADER_BYTES[axes]:
        magic, *shape = header.view(">u4").tolist()
        if magic == BYTES_OF[axes] and len(raw) - len(header) == np.prod(shape):
            return raw[len(header) :].reshape(shape)
    raise InputError(f"{file} is no whole IDX file of bytes with {axes} axes; delete it, and it is fetched again")


def _read(origin: Origin) -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"], Int8[np.ndarray, " n"]]:
    """Images, raw labels and parts: the training file, then the test file."""
    folder = obtain(origin)
    images = [read_idx(folder / name, axes=3) for name in origin.needs[::2]]
    labels = [read_idx(folder / name, axes=1) for name in origin.needs[1::2]]
    for name, seen, said in zip(origin.needs[1::2], images, labels, strict=True):
        if len(seen) != len(said):
            raise InputError(f"{folder / name} has {len(said)} labels for {len(seen)} images")
    part = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [len(said) for said in labels])
    return np.concatenate(images), np.concatenate(labels), part


def _dataset(
    origin: Origin,
    classes: tuple[str, ...],
    *,
    validation: int,
    flips: tuple[str, ...] = (),
    change: Callable[[np.ndarray], np.ndarray] = lambda images: images,
    first_label: int = 0,
) -> Dataset:
    images, labels, part = _read(origin)
    numbers: Int64[np.ndarray, " n"] = labels.astype(np.int64) - first_label
    return Dataset(change(images)[..., None], numbers, classes, part, flips=flips, held_out=(int((part == TEST).sum()), validation))


@sources.register(
    "mnist",
    title="handwritten digits, 28×28 grey",
    license="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 86(11), 1998",
    known=Known(images=70_000, size=(28, 28, 1), classes=10, ratio=7877 / 6313),
    origin=MNIST,
)
def load_mnist() -> Dataset:
    """60,000 training and 10,000 test images; a validation part of 5,000, balanced, is drawn from the training images."""
    return _dataset(MNIST, tuple("0123456789"), validation=5_000)


@sources.register(
    "fashion_mnist",
    title="pieces of clothing, 28×28 grey",
    license="MIT",
    citation="Xiao, Rasul & Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, 2017, "
    "arXiv:1708.07747",
    known=Known(images=70_000, size=(28, 28, 1), classes=10, ratio=1.0),
    origin=FASHION_MNIST,
)
def load_fashion_mnist() -> Dataset:
    """60,000 training and 10,000 test images, 7,000 a class; a validation part of 5,000 is drawn from the training images."""
    return _dataset(FASHION_MNIST, FASHION, validation=5_000, flips=("horizontal",))


@sources.register(
    "kmnist",
    title="cursive Japanese syllables, 28×28 grey",
    license="CC BY-SA 4.0",
    citation="Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018, arXiv:1812.01718",
    known=Known(images=70_000, size=(28, 28, 1), classes=10, ratio=1.0),
    origin=KMNIST,
)
def load_kmnist() -> Dataset:
    """60,000 training and 10,000 test images, 7,000 a class; a validation part of 5,000 is drawn from the training images."""
    return _dataset(KMNIST, KUZUSHIJI, validation=5_000)


@sources.register(
    "emnist_letters",
    title="handwritten letters, 28×28 grey",
    license="none stated",
    citation="Cohen, Afshar, Tapson & van Schaik, EMNIST: an Extension of MNIST to Handwritten Letters, 2017, arXiv:1702.05373",
    known=Known(images=145_600, size=(28, 28, 1), classes=26, ratio=1.0),
    origin=EMNIST_LETTERS,
)
def load_emnist_letters() -> Dataset:
    """124,800 training and 20,800 test images, 5,600 a class; a validation part of 10,400 is drawn from the training images.

    A capital and a small letter are one class. The files number the letters from 1 and hold every image with rows and columns
    exchanged; here they stand upright.
    """
    return _dataset(
        EMNIST_LETTERS,
        tuple(ascii_lowercase),
        validation=10_400,
        change=lambda images: np.ascontiguousarray(images.transpose(0, 2, 1)),
        first_label=1,
    )
