"""Images in, arrays out: what a run trains on, selects on and is scored on.

NumPy `uint8 (n, height, width, channel)` and `int64 (n,)` leave this package. The test part has a function of its own, which only
`runs` calls.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64, UInt8

from imagestudy.core.seeding import generator
from imagestudy.core.specs import Choice, PreprocessingSpec, ProfileSpec, RunSpec
from imagestudy.data import arrays, augmentation, datasets, splits
from imagestudy.data import preprocessing as preprocess
from imagestudy.data.arrays import change, gather

NOISE_SEED = 0


@dataclass(frozen=True)
class Part:
    """Images and their labels."""

    images: UInt8[np.ndarray, "n height width channel"]
    labels: Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class Prepared:
    """What a run may see while it learns: its training part under its profile, and the validation part.

    Args:
        train, validation: images and labels.
        counts: training images a class, in label order.
        classes: names of the classes.
        flips: directions in which a flip keeps the class.
    """

    train: Part
    validation: Part
    counts: Int64[np.ndarray, " class"]
    classes: tuple[str, ...]
    flips: tuple[str, ...]


def _process(dataset_key: str, preprocessing_key: str) -> UInt8[np.ndarray, "n height width channel"]:
    """All images of a dataset after noise and steps. The noise belongs to the dataset: every run meets the same noisy images."""
    images = datasets.load(Choice.model_validate_json(dataset_key)).images
    preprocessing = PreprocessingSpec.model_validate_json(preprocessing_key)
    noise, draws = preprocessing.noise, generator(NOISE_SEED, "noise")

    def process(block: UInt8[np.ndarray, "n height width channel"]) -> UInt8[np.ndarray, "n height width channel"]:
        noisy = block if noise is None else preprocess.add_noise(block, noise, draws)
        return preprocess.apply(noisy, preprocessing.steps)

    if noise is not None or preprocessing.steps:
        images = change(images, process)
    images.setflags(write=False)
    return images


_kept = lru_cache(maxsize=8)(_process)
_kept_on_disk = lru_cache(maxsize=1)(_process)


def _processed(dataset: Choice, preprocessing: PreprocessingSpec) -> UInt8[np.ndarray, "n height width channel"]:
    """See `_process`; the last few are kept, and of those that lie on the disk only one."""
    keep = _kept if datasets.load(dataset).images.nbytes <= arrays.MOST_IN_MEMORY else _kept_on_disk
    return keep(dataset.key(), preprocessing.key())


def _take(spec: RunSpec, indices: Int64[np.ndarray, " n"]) -> Part:
    before_training = spec.preprocessing.model_copy(update={"augment": ()})
    images = _processed(spec.dataset, before_training)
    return Part(gather(images, indices), datasets.load(spec.dataset).labels[indices])


def prepare(spec: RunSpec) -> Prepared:
    """The training part that the run's profile and seeds choose, and the validation part.

    Raises:
        InputError: an unknown name, an option that is not allowed, a profile that leaves a class empty.
    """
    dataset = datasets.load(spec.dataset)
    augmentation.check_allowed(spec.preprocessing.augment, dataset.flips)
    parts = splits.split(dataset, number=spec.split)
    chosen = splits.draw(dataset, parts.train, spec.profile, draw=spec.seed_of("draw"), order=spec.seed_of("order"))
    train = _take(spec, chosen)
    counts = np.bincount(train.labels, minlength=len(dataset.classes)).astype(np.int64)
    return Prepared(train, _take(spec, parts.validation), counts, dataset.classes, dataset.flips)


def test_part(spec: RunSpec) -> Part:
    """The test images of a run's dataset, preprocessed as its training images are; for `runs` alone."""
    return _take(spec, splits.split(datasets.load(spec.dataset), number=spec.split).test)


def held_out_labels(dataset: Choice, split: int | None = None) -> dict[str, Int64[np.ndarray, " n"]]:
    """The labels of a split's validation and test images, for `runs` to keep beside what it predicted."""
    labels, parts = datasets.load(dataset).labels, splits.split(datasets.load(dataset), number=split)
    return {"validation": labels[parts.validation], "test": labels[parts.test]}


def check(spec: RunSpec) -> None:
    """Raise `InputError` unless dataset and preprocessing are registered, with options that are allowed."""
    datasets.sources.check(spec.dataset)
    if spec.preprocessing.noise is not None:
        preprocess.noises.check(spec.preprocessing.noise)
    for step in spec.preprocessing.steps:
        preprocess.steps.check(step)
    for step in spec.preprocessing.augment:
        augmentation.augmentations.check(step)


def stamp(spec: RunSpec) -> RunSpec:
    """The spec with dataset and preprocessing at the versions that are registered now."""
    given = spec.preprocessing
    stamped = PreprocessingSpec(
        noise=preprocess.noises.stamp(given.noise) if given.noise is not None else None,
        steps=tuple(map(preprocess.steps.stamp, given.steps)),
        augment=tuple(map(augmentation.augmentations.stamp, given.augment)),
    )
    return spec.with_(dataset=datasets.sources.stamp(spec.dataset), preprocessing=stamped)


def profile_size(dataset: Choice, profile: ProfileSpec) -> int:
    """The number of training images that a profile takes of a dataset."""
    return int(splits.profile_counts(profile, _available(dataset)).sum())


def _available(dataset: Choice) -> Int64[np.ndarray, " class"]:
    loaded = datasets.load(dataset)
    return splits.count(loaded.labels[splits.split(loaded).train], len(loaded.classes))


def is_redrawn(dataset: Choice) -> bool:
    """Whether every run is given a split of its own: the dataset has no test set, and none is fixed for it."""
    return splits.is_redrawn(datasets.load(dataset))


def has_groups(dataset: Choice) -> bool:
    """Whether images of a dataset belong together, so that none of a group may stand on two sides of a split."""
    return datasets.load(dataset).groups is not None


def image_shape(dataset: Choice) -> tuple[int, int, int]:
    """Channels, height and width of a dataset's images."""
    _, height, width, channel = datasets.load(dataset).images.shape
    return channel, height, width


def image_count(dataset: Choice) -> int:
    """The number of images, those of all parts."""
    return len(datasets.load(dataset).labels)


def class_count(dataset: Choice) -> int:
    """The number of classes."""
    return len(datasets.load(dataset).classes)


def title(dataset: Choice) -> str:
    """What a dataset is, in a few words."""
    return datasets.sources.entry(dataset.name).facts["title"]
