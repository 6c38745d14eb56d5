"""Split a dataset into images for training, validation and testing, and make the training set imbalanced.

The split belongs to the dataset and does not depend on the seeds of a run; these seeds only draw from the training pool.
Notation: n_c images of class c, K classes, n_max the largest count, IR = n_max / min n_c.
"""

import warnings
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Int8, Int64
from sklearn.model_selection import StratifiedGroupKFold

from imagestudy.core.errors import InputError
from imagestudy.core.seeding import generator
from imagestudy.core.specs import ProfileSpec
from imagestudy.data.datasets import TEST, TRAIN, VALIDATION, Dataset

SPLIT_SEED = 0
TEST_SHARE, VALIDATION_SHARE = 0.25, 0.15
TEST_FOLDS, VALIDATION_FOLDS = 4, 5
"""The numbers of folds for grouped images: 1 of 4 folds is 25 % of all images, 1 of 5 folds of the rest is 15 % of all images."""
GROUP_DRAWS = 20
"""The largest number of attempts to draw folds in which every part contains every class."""
ROUNDING_GUARD = 1e-9


@dataclass(frozen=True)
class Split:
    """The row numbers of a dataset's images in each part, ascending, without overlap. Profiles draw from the pool `train`."""

    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]


@dataclass(frozen=True)
class Imbalance:
    """Measures of the class imbalance of a set of labels.

    Args:
        counts: n_c in label order.
        ratio: max n_c / min n_c; infinite if a class is empty.
        gini: the Gini coefficient, 0 for equal counts and near 1 if one class has almost all images.
        smallest: the name of the class with the fewest images, the first one in case of a tie.
    """

    counts: Int64[np.ndarray, " class"]
    ratio: float
    gini: float
    smallest: str


def split(dataset: Dataset, *, number: int | None = None) -> Split:
    """Split a dataset into training pool, validation set and test set.

    The official parts of the dataset are kept. Missing parts are drawn class by class. If `dataset.held_out` is given, it states
    the numbers of test and validation images, and class counts differ by at most one image. Otherwise, 25 % and 15 % of every class
    are drawn, at least one image each, which keeps the natural class shares. If images are grouped, whole groups are drawn, with
    approximately the same shares.

    Args:
        dataset: the images with their labels, parts and groups.
        number: the number of a redrawn split. None is the one split that all runs share.

    Raises:
        InputError: if a class has fewer than three images, or too few groups to be in every part.
    """
    rng = generator(SPLIT_SEED, "split") if number is None else generator(number, "redrawn split")
    part = np.full(len(dataset.labels), TRAIN, dtype=np.int8) if dataset.part is None else dataset.part.copy()
    if VALIDATION not in part:
        _require_images(dataset, part)
        hold_out = _hold_out if dataset.groups is None else _hold_out_groups
        hold_out(dataset, part, rng=rng)
    train, validation, test = (np.flatnonzero(part == number) for number in (TRAIN, VALIDATION, TEST))
    return Split(train, validation, test)


def is_redrawn(dataset: Dataset) -> bool:
    """Return whether every run gets its own split: the dataset has no test set, and none is fixed for it."""
    return dataset.part is None and dataset.held_out is None


def _require_images(dataset: Dataset, part: Int8[np.ndarray, " n"]) -> None:
    needed, purpose = (2, "to train and validate") if TEST in part else (3, "to train, validate and test")
    counts = count(dataset.labels[part == TRAIN], len(dataset.classes))
    if counts.min() < needed:
        smallest = int(np.argmin(counts))
        name, number = dataset.classes[smallest], counts[smallest]
        raise InputError(f"class {name!r} has too few images ({number}); needed: {needed} or more, {purpose}")


def _hold_out(dataset: Dataset, part: Int8[np.ndarray, " n"], *, rng: np.random.Generator) -> None:
    """Draw validation images, and test images if there are none yet, and mark them in `part`."""
    pool = np.flatnonzero(part == TRAIN)
    tests, validations = _held_out_counts(dataset, count(dataset.labels[pool], len(dataset.classes)), tests=TEST not in part)
    for label in range(len(dataset.classes)):
        members = rng.permutation(pool[dataset.labels[pool] == label])
        part[members[: tests[label]]] = TEST
        part[members[tests[label] : tests[label] + validations[label]]] = VALIDATION


def _held_out_counts(dataset: Dataset, counts: Int64[np.ndarray, " class"], *, tests: bool) -> list[Int64[np.ndarray, " class"]]:
    if dataset.held_out is not None:
        return [spread(total, counts) for total in (dataset.held_out[0] if tests else 0, dataset.held_out[1])]
    if tests:
        return [np.maximum(np.rint(share * counts), 1).astype(np.int64) for share in (TEST_SHARE, VALIDATION_SHARE)]
    return [np.zeros_like(counts), np.maximum(np.rint(VALIDATION_SHARE / (1 - TEST_SHARE) * counts), 1).astype(np.int64)]


def _hold_out_groups(dataset: Dataset, part: Int8[np.ndarray, " n"], *, rng: np.random.Generator) -> None:
    """Draw whole groups instead (scikit-learn's StratifiedGroupKFold), repeatedly until every part contains every class."""
    given, classes = part.copy(), len(dataset.classes)
    for _ in range(GROUP_DRAWS):
        part[:] = given
        for number, folds in ((TEST, TEST_FOLDS), (VALIDATION, VALIDATION_FOLDS)):
            if number not in given:
                part[_draw_fold(dataset, np.flatnonzero(part == TRAIN), folds=folds, rng=rng)] = number
        counts = np.stack([count(dataset.labels[part == number], classes) for number in (TRAIN, VALIDATION, TEST)])
        if counts.min() > 0:
            return
    smallest = int(np.argmin(counts.min(axis=0)))
    groups = len(np.unique(cast(np.ndarray, dataset.groups)[dataset.labels == smallest]))
    raise InputError(
        f"class {dataset.classes[smallest]!r} has too few groups of images ({groups}); a group cannot be divided between parts, so "
        "the class would be missing from training, validation or test; needed: more groups of this class"
    )


def _draw_fold(
    dataset: Dataset, rows: Int64[np.ndarray, " row"], *, folds: int, rng: np.random.Generator
) -> Int64[np.ndarray, " chosen"]:
    cut = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=int(rng.integers(2**31)))
    groups = cast(np.ndarray, dataset.groups)[rows]
    if len(np.unique(groups)) < folds:
        return rows[:0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        _, held = next(iter(cut.split(rows, dataset.labels[rows], groups=groups)))
    return rows[held]


def count(labels: Int64[np.ndarray, " n"], classes: int) -> Int64[np.ndarray, " class"]:
    """Return n_c, the number of images of each class, in label order."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def spread(total: int, room: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " class"]:
    """Distribute `total` images over the classes, equal to within one; the classes with the least room get one image less."""
    share, extra = divmod(total, len(room))
    counts = np.full(len(room), share, dtype=np.int64)
    counts[np.argsort(-room, kind="stable")[:extra]] += 1
    return counts


def profile_counts(profile: ProfileSpec, available: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " rank"]:
    """Return the number of training images per rank, the largest class first.

    n_max is `profile.largest`. By default, it is the smallest number of available images of any class, so that every class can take
    every rank. The counts are:

    * balanced: n_max for every class, or `profile.size` images in total, equal to within one.
    * exponential (Cui et al. 2019): floor(n_max · IR^(−rank/(K−1))).
    * step (Buda et al. 2018): n_max for the first K/2 ranks (rounded down), floor(n_max / IR) for the rest.
    * natural: all available images, in descending order.

    A small tolerance prevents floating-point error from rounding a whole number down to the next smaller one.

    Raises:
        InputError: if a class is left without an image, there are fewer than two classes, or `size` is out of range.
    """
    if len(available) < 2 or available.min() < 1:
        raise InputError(f"training images per class: {available.tolist()}; needed: two classes or more, each with an image")
    if profile.name == "natural":
        return np.sort(available)[::-1].copy()
    classes, largest = len(available), _largest(profile, int(available.min()))
    if profile.name == "balanced":
        return _balanced_counts(profile, classes, largest)
    if profile.ratio > largest:
        raise InputError(
            f"ratio {profile.ratio:g} of profile {profile.name!r} leaves a class without an image; "
            f"allowed: 1 to {largest}, the number of images of the largest class"
        )
    exponent = np.arange(classes) / (classes - 1) if profile.name == "exponential" else np.arange(classes) >= classes // 2
    return np.floor(largest * profile.ratio ** -exponent.astype(np.float64) + ROUNDING_GUARD).astype(np.int64)


def _largest(profile: ProfileSpec, room: int) -> int:
    if profile.largest is not None and profile.largest > room:
        raise InputError(
            f"a largest class of {profile.largest} was given to profile {profile.name!r}; "
            f"allowed: 1 to {room}, the number of training images that every class can provide"
        )
    return room if profile.largest is None else profile.largest


def _balanced_counts(profile: ProfileSpec, classes: int, largest: int) -> Int64[np.ndarray, " rank"]:
    size = classes * largest if profile.size is None else profile.size
    if not classes <= size <= classes * largest:
        raise InputError(
            f"size {size} was given to a balanced profile; allowed: {classes} to {classes * largest}, since each of the {classes} "
            f"classes can provide 1 to {largest} images"
        )
    return spread(size, np.full(classes, largest))


def draw(
    dataset: Dataset, pool: Int64[np.ndarray, " pool"], profile: ProfileSpec, *, draw: int, order: int
) -> Int64[np.ndarray, " chosen"]:
    """Draw the training set of a run from the pool under a profile; return its row numbers, ascending.

    Args:
        dataset: the labels and classes of the images.
        pool: the row numbers to draw from, usually `Split.train`.
        profile: see `profile_counts`.
        draw: the seed that selects the images.
        order: the seed that selects the rare classes.
    """
    available = count(dataset.labels[pool], len(dataset.classes))
    class_order = draw_class_order(profile, available, rng=generator(order, "order"))
    counts = profile_counts(profile, available)
    return choose(dataset.labels, pool, counts, class_order=class_order, rng=generator(draw, "draw"))


def draw_class_order(
    profile: ProfileSpec, available: Int64[np.ndarray, " class"], *, rng: np.random.Generator
) -> Int64[np.ndarray, " rank"]:
    """Draw the class of each rank: a random permutation, so that the rare classes differ between seeds.

    Under the natural profile, the counts determine the order and `rng` is not used; ties keep the label order.
    """
    if profile.name == "natural":
        return np.argsort(-available, kind="stable")
    return rng.permutation(len(available))


def choose(
    labels: Int64[np.ndarray, " n"],
    pool: Int64[np.ndarray, " pool"],
    counts_by_rank: Int64[np.ndarray, " rank"],
    *,
    class_order: Int64[np.ndarray, " rank"],
    rng: np.random.Generator,
) -> Int64[np.ndarray, " chosen"]:
    """Draw a training set from the pool without replacement: `counts_by_rank[r]` images of class `class_order[r]`.

    Each class takes the first images of one permutation of its pool, whatever its count. So with the same state of `rng`, a smaller
    set of a class is contained in a larger one, and sets with different ratios are nested.

    Args:
        labels: the labels of the whole dataset.
        pool: the row numbers to draw from.
        counts_by_rank: the number of images per rank.
        class_order: the class of each rank, a permutation of the labels.
        rng: the random generator; it advances by one permutation per class, whatever the counts.

    Returns:
        The drawn row numbers of the dataset, ascending.
    """
    wanted = np.empty(len(class_order), dtype=np.int64)
    wanted[class_order] = counts_by_rank
    chosen = []
    for label, number in enumerate(wanted):
        members = rng.permutation(pool[labels[pool] == label])
        if number > len(members):
            raise InputError(f"training images of class number {label}: {number} were requested; the pool contains {len(members)}")
        chosen.append(members[:number])
    return np.sort(np.concatenate(chosen))


def describe(labels: Int64[np.ndarray, " n"], classes: tuple[str, ...]) -> Imbalance:
    """Measure the class imbalance: counts, ratio of largest to smallest, Gini coefficient, name of the smallest class.

    The Gini coefficient is Σ_i (2i − K − 1) n_(i) / (K · N) with n_(1) ≤ … ≤ n_(K) and N = Σ n_c (Gini 1912).
    """
    counts = count(labels, len(classes))
    ranks = np.arange(1, len(counts) + 1)
    gini = float(((2 * ranks - len(counts) - 1) * np.sort(counts)).sum() / (len(counts) * counts.sum()))
    ratio = float(counts.max() / counts.min()) if counts.min() else float("inf")
    return Imbalance(counts, ratio, gini, classes[int(np.argmin(counts))])
