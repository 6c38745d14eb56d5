"""Which images are trained on, selected with and tested on, and how the training set is made imbalanced.

The split of a dataset belongs to the dataset and never moves with a run; a run's own seeds only draw from the training pool.
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
"""Where groups stay together: one of four folds is a quarter of all images, one of five of the rest is 15 % of them."""
GROUP_DRAWS = 20
"""Draws of folds until every class is in every part."""
ROUNDING_GUARD = 1e-9


@dataclass(frozen=True)
class Split:
    """Row numbers of a dataset's images, ascending; no image is in two parts. `train` is the pool that profiles draw from."""

    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]


@dataclass(frozen=True)
class Imbalance:
    """How uneven a set of labels is.

    Args:
        counts: n_c in label order.
        ratio: max n_c / min n_c; infinite if a class is empty.
        gini: 0 for equal counts, near 1 if one class has nearly everything.
        smallest: name of the class with the fewest images, the first of them on a tie.
    """

    counts: Int64[np.ndarray, " class"]
    ratio: float
    gini: float
    smallest: str


def split(dataset: Dataset, *, number: int | None = None) -> Split:
    """Cut a dataset into training pool, validation and test set.

    The dataset's own parts are kept. What it lacks is drawn class by class: as many test and validation images as
    `dataset.held_out` says, balanced to within one image a class; or, without that, a quarter and 15 % of every class, at least
    one image, which keeps the natural shares. Where images stand in groups, whole groups are drawn, near the same shares.

    Args:
        dataset: images with their labels, parts and groups.
        number: of a redrawn split; None for the one split that all runs share.

    Raises:
        InputError: a class has fewer than three images, or too few groups to be in every part.
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
    """Whether every run is given a split of its own: the dataset has no test set, and none is fixed for it."""
    return dataset.part is None and dataset.held_out is None


def _require_images(dataset: Dataset, part: Int8[np.ndarray, " n"]) -> None:
    needed, purpose = (2, "to train and validate") if TEST in part else (3, "to train, validate and test")
    counts = count(dataset.labels[part == TRAIN], len(dataset.classes))
    if counts.min() < needed:
        poorest = int(np.argmin(counts))
        raise InputError(f"class {dataset.classes[poorest]!r} has {counts[poorest]} images; needed: {needed} or more, {purpose}")


def _hold_out(dataset: Dataset, part: Int8[np.ndarray, " n"], *, rng: np.random.Generator) -> None:
    """Mark in `part` the validation images that are drawn, and the test images if there are none yet."""
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
    """The same by whole groups (scikit-learn's StratifiedGroupKFold), drawn again until every class is in every part."""
    given, classes = part.copy(), len(dataset.classes)
    for _ in range(GROUP_DRAWS):
        part[:] = given
        for number, folds in ((TEST, TEST_FOLDS), (VALIDATION, VALIDATION_FOLDS)):
            if number not in given:
                part[_draw_fold(dataset, np.flatnonzero(part == TRAIN), folds=folds, rng=rng)] = number
        counts = np.stack([count(dataset.labels[part == number], classes) for number in (TRAIN, VALIDATION, TEST)])
        if counts.min() > 0:
            return
    poorest = int(np.argmin(counts.min(axis=0)))
    groups = len(np.unique(cast(np.ndarray, dataset.groups)[dataset.labels == poorest]))
    raise InputError(
        f"the images of class {dataset.classes[poorest]!r} stand in {groups} groups; since no group may be on two sides, "
        "it would be left out of training, validation or test; needed: more groups of it"
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
    """n_c in label order."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def spread(total: int, room: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " class"]:
    """`total` images over the classes, equal to within one; the one less falls to the classes with the least room."""
    share, extra = divmod(total, len(room))
    counts = np.full(len(room), share, dtype=np.int64)
    counts[np.argsort(-room, kind="stable")[:extra]] += 1
    return counts


def profile_counts(profile: ProfileSpec, available: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " rank"]:
    """Training images by rank, the largest class first.

    With n_max = `profile.largest`, or min over classes of the available images, so that any class can take any rank:

    * balanced: n_max everywhere, or `profile.size` images in all, equal to within one.
    * exponential (Cui et al. 2019): floor(n_max · IR^(−rank/(K−1))).
    * step (Buda et al. 2018): n_max for the first K/2 ranks (rounded down), floor(n_max / IR) for the rest.
    * natural: all that is available, in descending order.

    A tiny guard keeps a whole number that floating point puts just below itself from being rounded down.

    Raises:
        InputError: a class is left without an image, there are fewer than two classes, or `size` does not fit.
    """
    if len(available) < 2 or available.min() < 1:
        raise InputError(f"a profile needs two classes or more, each with a training image; these have {available.tolist()}")
    if profile.name == "natural":
        return np.sort(available)[::-1].copy()
    classes, largest = len(available), _largest(profile, int(available.min()))
    if profile.name == "balanced":
        return _balanced_counts(profile, classes, largest)
    if profile.ratio > largest:
        raise InputError(
            f"ratio {profile.ratio:g} of profile {profile.name!r} leaves a class without an image; "
            f"allowed: 1 to {largest}, since the largest class has {largest} images"
        )
    exponent = np.arange(classes) / (classes - 1) if profile.name == "exponential" else np.arange(classes) >= classes // 2
    return np.floor(largest * profile.ratio ** -exponent.astype(np.float64) + ROUNDING_GUARD).astype(np.int64)


def _largest(profile: ProfileSpec, room: int) -> int:
    if profile.largest is not None and profile.largest > room:
        raise InputError(
            f"a largest class of {profile.largest} was given to profile {profile.name!r}; "
            f"allowed: 1 to {room}, since {room} images is what every class has for training"
        )
    return room if profile.largest is None else profile.largest


def _balanced_counts(profile: ProfileSpec, classes: int, largest: int) -> Int64[np.ndarray, " rank"]:
    size = classes * largest if profile.size is None else profile.size
    if not classes <= size <= classes * largest:
        raise InputError(
            f"size {size} of a balanced profile does not fit; allowed: {classes} to {classes * largest}, "
            f"{classes} classes of 1 to {largest} images"
        )
    return spread(size, np.full(classes, largest))


def draw(
    dataset: Dataset, pool: Int64[np.ndarray, " pool"], profile: ProfileSpec, *, draw: int, order: int
) -> Int64[np.ndarray, " chosen"]:
    """The training set that a run's seeds draw from the pool under a profile, as row numbers, ascending.

    Args:
        dataset: the images' labels and classes.
        pool: row numbers that may be drawn, usually `Split.train`.
        profile: see `profile_counts`.
        draw: seed of which images are drawn.
        order: seed of which classes are rare.
    """
    available = count(dataset.labels[pool], len(dataset.classes))
    class_order = draw_class_order(profile, available, rng=generator(order, "order"))
    counts = profile_counts(profile, available)
    return choose(dataset.labels, pool, counts, class_order=class_order, rng=generator(draw, "draw"))


def draw_class_order(
    profile: ProfileSpec, available: Int64[np.ndarray, " class"], *, rng: np.random.Generator
) -> Int64[np.ndarray, " rank"]:
    """The class at every rank: a random permutation, so that it is not always the same classes that are rare.

    Under the natural profile the counts decide and `rng` is left alone; ties keep the order of the labels.
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

    Every class takes the first images of one permutation of its pool, whatever its count; so with the same state of `rng` a
    smaller set of a class is part of a larger one, and sets of different ratios are nested.

    Args:
        labels: of the whole dataset.
        pool: row numbers that may be drawn.
        counts_by_rank: images for each rank.
        class_order: class at each rank, a permutation of the labels.
        rng: moves on by one permutation a class, independent of the counts.

    Returns:
        Row numbers of the dataset, ascending.
    """
    wanted = np.empty(len(class_order), dtype=np.int64)
    wanted[class_order] = counts_by_rank
    chosen = []
    for label, number in enumerate(wanted):
        members = rng.permutation(pool[labels[pool] == label])
        if number > len(members):
            raise InputError(f"{number} training images of class number {label} are wanted; the pool has {len(members)}")
        chosen.append(members[:number])
    return np.sort(np.concatenate(chosen))


def describe(labels: Int64[np.ndarray, " n"], classes: tuple[str, ...]) -> Imbalance:
    """How uneven the classes are: counts, largest over smallest, Gini coefficient, name of the smallest class.

    The Gini coefficient is Σ_i (2i − K − 1) n_(i) / (K · N) with n_(1) ≤ … ≤ n_(K) and N = Σ n_c (Gini 1912).
    """
    counts = count(labels, len(classes))
    ranks = np.arange(1, len(counts) + 1)
    gini = float(((2 * ranks - len(counts) - 1) * np.sort(counts)).sum() / (len(counts) * counts.sum()))
    ratio = float(counts.max() / counts.min()) if counts.min() else float("inf")
    return Imbalance(counts, ratio, gini, classes[int(np.argmin(counts))])
