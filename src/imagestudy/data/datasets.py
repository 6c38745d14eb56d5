"""Named sources of images: each gives all its images at once, with labels, class names and what is known of them.

A new source is one registered function that returns a `Dataset`. Facts of an entry: `title`, `license` and `citation`.
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


@dataclass(frozen=True)
class Dataset:
    """All images of a source, in the source's order.

    Args:
        images: grey values 0 to 255; one channel or three (RGB).
        labels: number of each image's class.
        classes: class names, in label order.
        part: the source's own split, 0 train, 1 validation, 2 test; None if it has none. Where it has no validation part, one is
            drawn from the training part.
        flips: "horizontal" and "vertical", as far as mirroring an image keeps its class.
        held_out: numbers of test and of validation images to be drawn, balanced over the classes, as far as `part` lacks them;
            None for the shares that `splits` has for everybody.
        groups: number of the group that an image belongs to, such as one person or one piece photographed several times, of
            which none may stand on two sides of a split; None if every image stands for itself.
        files: what each image is called where somebody may want to look at it; empty if images have no names.
    """

    images: UInt8[np.ndarray, "n height width channel"]
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    part: Int8[np.ndarray, " n"] | None
    flips: tuple[str, ...]
    held_out: tuple[int, int] | None = None
    groups: Int64[np.ndarray, " n"] | None = None
    files: tuple[str, ...] = ()


sources: Registry[Callable[..., Dataset]] = Registry("dataset")
_loaded: dict[str, Dataset] = {}


def load(choice: Choice, *, where: str = "") -> Dataset:
    """The dataset of a choice, read or made once a process; its arrays are read-only.

    Raises:
        InputError: the name is not registered or an option is not allowed; `where` says in which place it was given.
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
    """The choice as runs name it: at its registered version, and with what lies outside named by its content and not its place.

    A source whose images can change registers a fact `settle`, from its checked options to those that a run keeps.

    Raises:
        InputError: an unknown name or option, or what the source itself refuses.
    """
    options = sources.options(choice, where=where)
    outside = sources.entry(choice.name).facts.get("settle")
    settled = choice if outside is None else choice.model_copy(update={"options": outside(**options)})
    return sources.stamp(settled)


@sources.register(
    "digits",
    title="handwritten digits, 8×8 grey",
    license="CC BY 4.0",
    citation="Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; "
    "its test part, as it comes with scikit-learn",
)
def load_handwritten_digits() -> Dataset:
    """1,797 digits of 13 writers, 174 to 183 a class; the values 0 to 16 are stretched to 0 to 255 and rounded."""
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
    title="which of two marks stands above, 32×32 grey",
    license="made here",
    citation="made by this study for the claim that recurrent networks capture long-range dependencies",
)
def make_probe(
    *,
    distance: Annotated[int, Field(ge=PROBE_PLACES, le=PROBE_SIDE - MARKS.shape[1] + 1 - PROBE_PLACES)] = 6,
    n_train: Annotated[int, Field(ge=6, le=100_000)] = 4000,
    n_validation: Annotated[int, Field(ge=6, le=100_000)] = 500,
    n_test: Annotated[int, Field(ge=6, le=100_000)] = 1000,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> Dataset:
    """Two different small marks at random places, `distance` rows apart; the label says which of them stands above.

    There are K = 4 kinds of marks in a fixed order: plus, x, T, V, each five white pixels in a 3×3 square, each its own mirror
    image. An image shows two neighbours in this order, all K − 1 pairs alike; the label is 0 if the earlier one stands above,
    else 1.

    *Why neither pooling nor one place solves it, at any distance.* Which two marks are there says nothing: either may be above
    (50 %). One mark, even with its place and with knowing that it is the upper one, says something only if it is the first or
    the last of the order: an inner kind is as often the earlier of its pair as the later. A mark is of the first or last kind
    with probability 1 / (K − 1), so the best rule that sees one mark and its place is right in

        1/2 + 1 / (2 (K − 1)) = 2/3

    of all images, whatever the distance. (With two kinds it would be all of them as soon as the distance passes half the image.)
    Whoever does better has joined what two marks say, and they are `distance` rows apart.

    *Why only the distance changes.* The row of the upper mark is uniform over `PROBE_PLACES` = 6 rows, and all rows used lie in the
    middle of the image. From a distance of 6 on, the rows of upper and lower marks do not overlap: at every distance a mark
    has equally many places, and its place says as clearly whether it is the upper one. The columns are independent and uniform
    over all 30. Kinds, columns and the place among the six are the same draws for every distance.

    Args:
        distance: between the rows of the two marks; 6, 12 and 24 are near, middle and far.
        n_train: training images; classes are equal to within one image, in every part.
        n_validation: validation images.
        n_test: test images.
        seed: of all draws.
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
    """Write one white mark into every image, its upper left corner at (row, column)."""
    offset = np.arange(3)
    rows, columns = row[:, None, None] + offset[:, None], column[:, None, None] + offset
    images[np.arange(len(images))[:, None, None], rows, columns, 0] = MARKS[kind] * 255
