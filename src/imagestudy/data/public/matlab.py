"""The datasets in MATLAB files, read by SciPy: Street View House Numbers (SVHN) and the Olivetti faces.

The function in scikit-learn that downloads the faces stores a pickle. Only its address and checksum are used here.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from imagestudy.core.download import RemoteFile
from imagestudy.core.errors import InputError
from imagestudy.data.datasets import BALANCED, TEST, TRAIN, Dataset, sources
from imagestudy.data.public.remote import VALIDATION_IMAGES, Known, Origin, Piece, obtain

FACE_SIDE, PERSONS, FACES_EACH = 64, 40, 10


def _house_numbers_from_torchvision() -> tuple[Piece, ...]:
    from torchvision.datasets import SVHN

    found = (SVHN.split_list[part] for part in ("train", "test"))
    return tuple(Piece(RemoteFile(name, (url,), f"md5:{md5}"), (name,), unpack=None) for url, name, md5 in found)


def _faces_from_scikit_learn() -> tuple[Piece, ...]:
    from sklearn.datasets._olivetti_faces import FACES

    # scikit-learn names the second address as the original source of its copy.
    urls = (FACES.url, "https://cs.nyu.edu/~roweis/data/olivettifaces.mat")
    return (Piece(RemoteFile(FACES.filename, urls, f"sha256:{FACES.checksum}"), (FACES.filename,), unpack=None),)


HOUSE_NUMBERS = Origin("SVHN", ("train_32x32.mat", "test_32x32.mat"), _house_numbers_from_torchvision)
OLIVETTI = Origin("olivetti", ("olivettifaces.mat",), _faces_from_scikit_learn)


def _read_arrays(file: Path, *names: str) -> list[np.ndarray]:
    try:
        found: dict[str, Any] = loadmat(file, variable_names=names)
        return [found[name] for name in names]
    except (MatReadError, ValueError, TypeError, KeyError, EOFError, OSError) as error:
        raise InputError(f"{file} cannot be read ({error}); delete it to download it again") from error


def _read_house_numbers(file: Path) -> tuple[UInt8[np.ndarray, "n 32 32 3"], UInt8[np.ndarray, " n"]]:
    """Read images and labels. X has the axes row, column, channel, image; y contains the digits 1 to 9, and 10 for the digit 0."""
    images, labels = _read_arrays(file, "X", "y")
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels.ravel() % 10


@sources.register(
    "svhn",
    title="house numbers in photographs, 32×32 color",
    license="non-commercial",
    citation="Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, NIPS workshop, 2011",
    known=Known(images=99_289, size=(32, 32, 3), classes=10, ratio=18_960 / 6_254, held_out=(26_032, VALIDATION_IMAGES)),
    origin=HOUSE_NUMBERS,
    source="the authors' page",
    checksum="from torchvision",
    split=f"{BALANCED}; without the 531,131 easier images",
)
def load_house_numbers() -> Dataset:
    """Load 73,257 training and 26,032 test images, without the 531,131 easier ones.

    5,000 training images are drawn for validation.
    """
    folder = obtain(HOUSE_NUMBERS)
    images, labels = zip(*(_read_house_numbers(folder / name) for name in HOUSE_NUMBERS.needs), strict=True)
    part = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [len(numbers) for numbers in labels])
    whole = np.concatenate(labels).astype(np.int64)
    return Dataset(
        np.concatenate(images), whole, tuple("0123456789"), part, flips=(), held_out=(int((part == TEST).sum()), VALIDATION_IMAGES)
    )


@sources.register(
    "olivetti",
    title="faces of 40 people, 64×64 grayscale",
    license="credit to AT&T",
    citation="Samaria & Harter, Parameterisation of a Stochastic Model for Human Face Identification, IEEE WACV, 1994",
    known=Known(images=400, size=(FACE_SIDE, FACE_SIDE, 1), classes=PERSONS, ratio=1.0, held_out=(2 * PERSONS, 2 * PERSONS)),
    origin=OLIVETTI,
    source="AT&T Laboratories Cambridge, from scikit-learn's mirror, then New York University",
    checksum="from scikit-learn",
    split="every run draws its own split: of the ten images of each person, two test and two validate",
)
def load_faces() -> Dataset:
    """Load 400 images, ten of each person, taken for AT&T Laboratories Cambridge.

    These are too few to fix a test set, so every run draws its own. The file has the axes pixel and image; the pixels of an image
    are stored column by column.
    """
    (faces,) = _read_arrays(obtain(OLIVETTI) / OLIVETTI.needs[0], "faces")
    images = faces.T.reshape(-1, FACE_SIDE, FACE_SIDE).transpose(0, 2, 1)
    labels = np.arange(len(images), dtype=np.int64) // FACES_EACH
    classes = tuple(f"person {number}" for number in range(1, PERSONS + 1))
    return Dataset(
        np.ascontiguousarray(images)[..., None].astype(np.uint8),
        labels,
        classes,
        part=None,
        flips=("horizontal",),
    )
