"""Prepare the images of a run: the parts for training, validation and testing, as arrays.

The functions return NumPy arrays: images as `uint8 (n, height, width, channel)` and labels as `int64 (n,)`. The test part has its
own function, which only `experiments.execute` calls.
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
    """The data that a run can use during training: its training part under its profile, and the validation part.

    Args:
        train, validation: images and labels.
        counts: the number of training images per class, in label order.
        classes: the class names, in label order.
        flips: the directions in which a flip keeps the class.
    """

    train: Part
    validation: Part
    counts: Int64[np.ndarray, " class"]
    classes: tuple[str, ...]
    flips: tuple[str, ...]


def _process(dataset_key: str, preprocessing_key: str) -> UInt8[np.ndarray, "n height width channel"]:
    """Apply noise and preprocessing steps to all images of a dataset. The noise does not depend on the run: all runs share it."""
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
    """Return the result of `_process`, cached: the last 8 results in memory, but only the last 1 on disk."""
    keep = _kept if datasets.load(dataset).images.nbytes <= arrays.MOST_IN_MEMORY else _kept_on_disk
    return keep(dataset.key(), preprocessing.key())


def _take(spec: RunSpec, indices: Int64[np.ndarray, " n"]) -> Part:
    before_training = spec.preprocessing.model_copy(update={"augment": ()})
    images = _processed(spec.dataset, before_training)
    return Part(gather(images, indices), datasets.load(spec.dataset).labels[indices])


def prepare(spec: RunSpec) -> Prepared:
    """Return the training part that the run's profile and seeds select, and the validation part.

    Raises:
        InputError: if a name is unknown, an option is not allowed, or the profile leaves a class without images.
    """
    dataset = datasets.load(spec.dataset)
    augmentation.check_allowed(spec.preprocessing.augment, dataset.flips)
    parts = splits.split(dataset, number=spec.split)
    chosen = splits.draw(dataset, parts.train, spec.profile, draw=spec.seed_of("draw"), order=spec.seed_of("order"))
    train = _take(spec, chosen)
    counts = np.bincount(train.labels, minlength=len(dataset.classes)).astype(np.int64)
    return Prepared(train, _take(spec, parts.validation), counts, dataset.classes, dataset.flips)


def test_part(spec: RunSpec) -> Part:
    """Return the test images of a run's dataset, preprocessed like its training images. Only `experiments.execute` calls this."""
    return _take(spec, splits.split(datasets.load(spec.dataset), number=spec.split).test)


def held_out_labels(dataset: Choice, split: int | None = None) -> dict[str, Int64[np.ndarray, " n"]]:
    """Return the labels of a split's validation and test images, which are stored together with the predictions."""
    labels, parts = datasets.load(dataset).labels, splits.split(datasets.load(dataset), number=split)
    return {"validation": labels[parts.validation], "test": labels[parts.test]}


def check(spec: RunSpec) -> None:
    """Raise `InputError` unless the dataset and the preprocessing are registered and their options are allowed."""
    datasets.sources.check(spec.dataset)
    if spec.preprocessing.noise is not None:
        preprocess.noises.check(spec.preprocessing.noise)
    for step in spec.preprocessing.steps:
        preprocess.steps.check(step)
    for step in spec.preprocessing.augment:
        augmentation.augmentations.check(step)


def stamp(spec: RunSpec) -> RunSpec:
    """Return the spec with dataset and preprocessing at their currently registered versions."""
    given = spec.preprocessing
    stamped = {
        "noise": preprocess.noises.stamp(given.noise) if given.noise is not None else None,
        "steps": tuple(map(preprocess.steps.stamp, given.steps)),
        "augment": tuple(map(augmentation.augmentations.stamp, given.augment)),
    }
    return spec.with_(dataset=datasets.sources.stamp(spec.dataset), preprocessing=given.with_(**stamped))


def profile_size(dataset: Choice, profile: ProfileSpec) -> int:
    """Return the number of training images that a profile selects from a dataset."""
    return int(splits.profile_counts(profile, _available(dataset)).sum())


def _available(dataset: Choice) -> Int64[np.ndarray, " class"]:
    loaded = datasets.load(dataset)
    return splits.count(loaded.labels[splits.split(loaded).train], len(loaded.classes))


def is_redrawn(dataset: Choice) -> bool:
    """Return whether every run gets its own split: the dataset has no test set, and none is fixed for it."""
    return splits.is_redrawn(datasets.load(dataset))


def has_groups(dataset: Choice) -> bool:
    """Return whether the images of a dataset are grouped. A group is never divided between two parts of a split."""
    return datasets.load(dataset).groups is not None


def image_shape(dataset: Choice) -> tuple[int, int, int]:
    """Return the number of channels, the height and the width of a dataset's images."""
    _, height, width, channel = datasets.load(dataset).images.shape
    return channel, height, width


def image_count(dataset: Choice) -> int:
    """Return the number of images in all parts together."""
    return len(datasets.load(dataset).labels)


def class_count(dataset: Choice) -> int:
    """Return the number of classes."""
    return len(datasets.load(dataset).classes)


def allows_pictures(dataset: Choice) -> bool:
    """Return whether images of a dataset may be published; only an entry with the fact `pictures` says so."""
    return bool(datasets.sources.entry(dataset.name).facts.get("pictures", False))


def title(dataset: Choice) -> str:
    """Return the title of a dataset, a description in a few words."""
    return datasets.sources.entry(dataset.name).facts["title"]
