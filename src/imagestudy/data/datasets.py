"""The registry of datasets, and the datasets that need no download.

To add a dataset, register a function that returns a `Dataset`: all images at once, with labels, class names and known facts.
Every entry states the facts `title`, `license` and `citation`. The built-in ones also state what `data/README.md` says about them:

* `source`: where the images come from.
* `checksum`: how the bytes are verified; for downloads, only where the checksums come from.
* `split`: the split rule, with the placeholders `{training}`, `{pool}`, `{validation}` and `{test}` for numbers of images. The pool
  is the training part without the validation images.
* `pictures`: True if the license allows pictures of the images to be published; without this fact, none are published.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Int8, Int64, UInt8
from pydantic import Field
from sklearn.datasets import load_digits

from imagestudy.core.registry import Registry
from imagestudy.core.seeding import generator
from imagestudy.core.specs import Choice

TRAIN, VALIDATION, TEST = 0, 1, 2

FIXED = "fixed: {test:,} test and {validation:,} validation images, both balanced; {pool:,} images in the training pool"
OFFICIAL = "official: {training:,} training + {test:,} test"
BALANCED = f"{OFFICIAL}; {{validation:,}} training images for validation, balanced"
"""Split rules that several datasets share."""


@dataclass(frozen=True)
class Dataset:
    """All images of a dataset, in the order of its source.

    Args:
        images: pixel values from 0 to 255, with one channel (grayscale) or three (RGB).
        labels: the class number of each image.
        classes: the class names, in label order.
        part: the official split: 0 train, 1 validation, 2 test; None if there is none. If it has no validation part, one is drawn
            from the training part.
        flips: the directions, "horizontal" or "vertical", in which mirroring an image keeps its class.
        held_out: the numbers of test and validation images to draw, balanced over the classes, for the parts that `part` lacks.
            None uses the default shares of `splits`.
        groups: the group number of each image. Images of the same person or of the same photographed object form a group. A group
            is never divided between two parts of a split. None if all images are independent.
        files: the name of each image, so that users can look at it; empty if images have no names.
    """

    images: UInt8[np.ndarray, "n height width channel"]
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    part: Int8[np.ndarray, " n"] | None
    flips: tuple[str, ...]
    held_out: tuple[int, int] | None = None
    groups: Int64[np.ndarray, " n"] | None = None
    files: tuple[str, ...] = ()


sources: Registry[Callable[..., Dataset]] = Registry(
    "dataset", home="imagestudy.data", required=dict.fromkeys(("title", "license", "citation"))
)
_loaded: dict[str, Dataset] = {}


def load(choice: Choice, *, where: str = "") -> Dataset:
    """Return the dataset of a choice, read or generated once per process. Its arrays are read-only.

    Raises:
        InputError: if the name is not registered or an option is not allowed. The message names the place of the choice, `where`.
    """
    key = choice.key()
    if key not in _loaded:
        dataset = sources.entry(choice.name, where=where).function(**sources.options(choice, where=where))
        for array in (dataset.images, dataset.labels, dataset.part, dataset.groups):
            if array is not None:
                array.flags.writeable = False
        _loaded[key] = dataset
    return _loaded[key]


def settle(choice: Choice, *, where: str = "") -> Choice:
    """Return the choice as runs record it: at its registered version, and with files identified by content instead of location.

    A dataset with images that can change registers a fact `settle`, a function from its checked options to those that a run
    records.

    Raises:
        InputError: if the name or an option is unknown, or if the dataset itself rejects the options.
    """
    options = sources.options(choice, where=where)
    outside = sources.entry(choice.name).facts.get("settle")
    settled = choice if outside is None else choice.model_copy(update={"options": outside(**options)})
    return sources.stamp(settled)


@sources.register(
    "digits",
    title="handwritten digits, 8×8 grayscale",
    license="CC BY 4.0",
    citation="Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; "
    "the test part, as included in scikit-learn",
    source="`sklearn.datasets.load_digits`",
    checksum="pinned with scikit-learn in `constraints.txt`; a test compares the images with those of scikit-learn",
    split=FIXED,
    pictures=True,
)
def load_handwritten_digits() -> Dataset:
    """Load 1,797 digits by 13 writers, 174 to 183 per class. Pixel values from 0 to 16 are rescaled to 0 to 255 and rounded."""
    found = load_digits()
    images = np.rint(found.images * 255 / 16).astype(np.uint8)[..., None]
    classes = tuple(str(name) for name in found.target_names)
    return Dataset(images, found.target.astype(np.int64), classes, part=None, flips=(), held_out=(500, 297))


PROBE_SIDE = 32
PROBE_PLACES = 6
MARKS: UInt8[np.ndarray, "kind 3 3"] = np.array(
    [
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
        [[1, 1, 1], [0, 1, 0], [0, 1, 0]],
        [[1, 0, 1], [1, 0, 1], [0, 1, 0]],
    ],
    dtype=np.uint8,
)


@sources.register(
    "probe",
    title="which of two marks is higher, 32×32 grayscale",
    license="MIT",
    citation="generated by this project to test the claim that recurrent networks capture long-range dependencies",
    source="`imagestudy.data.datasets`, from a fixed seed",
    checksum="a test checks that every call gives the same bits",
    split="{pool:,} training, {validation:,} validation and {test:,} test images",
    pictures=True,
)
def make_probe(
    *,
    distance: Annotated[int, Field(ge=PROBE_PLACES, le=PROBE_SIDE - MARKS.shape[1] + 1 - PROBE_PLACES)] = 6,
    n_train: Annotated[int, Field(ge=6, le=100_000)] = 4000,
    n_validation: Annotated[int, Field(ge=6, le=100_000)] = 500,
    n_test: Annotated[int, Field(ge=6, le=100_000)] = 1000,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> Dataset:
    """Generate images of two different small marks at random positions, `distance` rows apart; the label tells which is higher.

    There are K = 4 kinds of marks in a fixed order: plus, x, T, V. Each has five white pixels in a 3×3 square and is its own mirror
    image. An image shows two marks that are neighbors in this order. All K − 1 pairs are equally frequent. The label is 0 if the
    mark that is earlier in the order is the upper one, else 1.

    *Why neither pooling nor a single position solves it, at any distance.* Knowing which two marks are present does not help:
    either can be the upper one (50 %). Knowing one mark, even with its position and the fact that it is the upper one, helps only
    if it is the first or the last kind in the order: an inner kind is the earlier one of its pair as often as the later one. A mark
    is of the first or last kind with probability 1 / (K − 1). So the best rule that uses one mark and its position has the accuracy

        1/2 + 1 / (2 (K − 1)) = 2/3

    at every distance. (With two kinds, its accuracy would be 100 % as soon as the distance exceeds half the image.) A model with a
    higher accuracy combines information from both marks, which are `distance` rows apart.

    *Why only the distance changes.* The row of the upper mark is uniform over `PROBE_PLACES` = 6 rows, and all rows used are in the
    middle of the image. From a distance of 6 on, the rows of upper and lower marks do not overlap. So at every distance, a mark has
    the same number of possible rows, and its row reveals equally well whether it is the upper one. The columns are independent and
    uniform over all 30. The random draws of kinds, columns and one of the six rows are the same for every distance.

    Args:
        distance: the number of rows between the two marks; 6 is near, 12 is medium and 24 is far.
        n_train: the number of training images. In every part, class counts differ by at most one image.
        n_validation: the number of validation images.
        n_test: the number of test images.
        seed: the seed of all random draws.
    """
    sizes = (n_train, n_validation, n_test)
    drawn = [_draw_probe(number, distance, generator(seed, f"probe part {part}")) for part, number in enumerate(sizes)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*drawn, strict=True))
    part = np.repeat(np.array([TRAIN, VALIDATION, TEST], dtype=np.int8), sizes)
    return Dataset(images, labels, ("earlier above", "later above"), part, flips=("horizontal",))


def _draw_probe(
    number: int, distance: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "n 32 32 1"], Int64[np.ndarray, " n"]]:
    pairs = len(MARKS) - 1
    cell = rng.permutation(number) % (2 * pairs)
    earlier, labels = cell // 2, cell % 2
    top = (PROBE_SIDE - MARKS.shape[1] + 1 - PROBE_PLACES - distance) // 2
    upper_row = top + rng.integers(0, PROBE_PLACES, number)
    columns = rng.integers(0, PROBE_SIDE - MARKS.shape[2] + 1, (2, number))
    images = np.zeros((number, PROBE_SIDE, PROBE_SIDE, 1), dtype=np.uint8)
    _draw_marks(images, earlier + labels, upper_row, columns[0])
    _draw_marks(images, earlier + 1 - labels, upper_row + distance, columns[1])
    return images, labels


def _draw_marks(
    images: UInt8[np.ndarray, "n height width 1"],
    kind: Int64[np.ndarray, " n"],
    row: Int64[np.ndarray, " n"],
    column: Int64[np.ndarray, " n"],
) -> None:
    """Draw one white mark into every image, with its upper left corner at (row, column)."""
    offset = np.arange(3)
    rows, columns = row[:, None, None] + offset[:, None], column[:, None, None] + offset
    images[np.arange(len(images))[:, None, None], rows, columns, 0] = MARKS[kind] * 255
