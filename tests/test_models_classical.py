"""Tests of the classical models."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from skimage.feature import hog as reference_hog
from sklearn.datasets import load_digits

from imagestudy.core.errors import InputError
from imagestudy.core.specs import ModelSpec
from imagestudy.models import Classical, build, classical, models
from imagestudy.models.hog import hog

CLASSICAL = models.names(kind="classical")


def made(name: str, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 10, **options) -> Classical:
    learner = build(ModelSpec(name=name, options=options), shape=shape, classes=classes)
    assert isinstance(learner, Classical)
    return learner


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    source = load_digits()
    return (source.images * 15.9375).astype(np.uint8)[..., None], source.target.astype(np.int64)


def noise(shape: tuple[int, int, int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    channels, height, width = shape
    return rng.integers(0, 256, (24, height, width, channels), dtype=np.uint8), np.arange(24, dtype=np.int64) % classes


def test_the_five_are_registered():
    assert CLASSICAL == ("majority", "logistic", "knn", "svm", "hog_svm")


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("majority", 0.05, 0.15), ("logistic", 0.93, 1), ("knn", 0.96, 1), ("svm", 0.95, 1), ("hog_svm", 0.93, 1)],
)
def test_accuracy_on_digits(name, least, most, digits):
    images, labels = digits
    learner = made(name)
    learner.fit(images[:1000], labels[:1000], sample_weight=None)
    assert least <= (learner.decision(images[1000:]).argmax(axis=1) == labels[1000:]).mean() <= most


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), 2), ((1, 8, 8), 3), ((3, 32, 32), 2), ((2, 5, 13), 4), ((1, 1, 1), 2)])
def test_any_image_shape_is_supported_and_fitting_is_deterministic(name, shape, classes):
    images, labels = noise(shape, classes)
    values = []
    for _ in range(2):
        learner = made(name, shape, classes)
        learner.fit(images, labels, sample_weight=None)
        values.append(learner.decision(images))
    assert values[0].shape == (24, classes)
    assert np.isfinite(values[0]).all()
    assert np.array_equal(*values)


def test_the_single_decision_value_of_two_classes_gives_the_same_probabilities(digits):
    images, labels = (part[digits[1] < 2] for part in digits)
    learner = made("logistic", classes=2)
    learner.fit(images, labels, sample_weight=None)
    np.testing.assert_allclose(softmax(learner.decision(images), axis=1), learner.pipeline.predict_proba(images), atol=1e-12)


def test_majority_predicts_the_class_frequencies_of_the_training_set():
    images, _ = noise((1, 8, 8), 2)
    learner = made("majority", classes=2)
    learner.fit(images, np.repeat(np.array([0, 1]), [18, 6]), sample_weight=None)
    np.testing.assert_allclose(np.exp(learner.decision(images[:2])), [[0.75, 0.25]] * 2)


def test_neighbors_are_counted_and_smoothed(digits):
    images, labels = digits
    learner = made("knn", neighbours=3)
    learner.fit(images[:200], labels[:200], sample_weight=None)
    probability = np.exp(learner.decision(images[:50]))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert set(np.round(probability * 13).astype(int).ravel()) <= {1, 2, 3, 4}


@pytest.mark.parametrize("name", [name for name in CLASSICAL if name != "majority"])
def test_too_many_pixels_for_the_memory_are_refused_before_they_are_read(name: str, tmp_path: Path) -> None:
    images = np.memmap(tmp_path / "sparse", dtype=np.uint8, mode="w+", shape=(600_000, 32, 32, 1))
    (tmp_path / "sparse").unlink()
    with pytest.raises(InputError, match=rf"model '{name}' keeps all .* which takes 4\.9 GB; at most 4\.3 GB are allowed"):
        made(name, shape=(1, 32, 32), classes=2).fit(images, np.arange(600_000) % 2)


@pytest.mark.parametrize("name", CLASSICAL)
def test_decision_values_do_not_depend_on_the_slice_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3
    model = made(name, classes=3)
    model.fit(images, labels)
    whole = model.decision(images)
    monkeypatch.setattr(classical, "SLICE", 7)
    np.testing.assert_allclose(model.decision(images), whole, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "options"), [("majority", {}), ("logistic", {}), ("svm", {"gamma": 0.1}), ("hog_svm", {"gamma": 0.1})]
)
def test_an_image_of_weight_two_counts_as_two_images(name, options, digits):
    images, labels = (part[digits[1] < 2][:120] for part in digits)
    twice = np.where(labels == 1, 2, 1)
    weighted, repeated = made(name, classes=2, **options), made(name, classes=2, **options)
    weighted.fit(images, labels, sample_weight=twice.astype(float))
    repeated.fit(np.repeat(images, twice, axis=0), np.repeat(labels, twice), sample_weight=None)
    np.testing.assert_allclose(weighted.decision(images), repeated.decision(images), atol=5e-3)


def test_nearest_neighbors_refuse_weights(digits):
    images, labels = digits
    with pytest.raises(InputError, match="model 'knn' does not support image weights; use a sampling remedy"):
        made("knn").fit(images, labels, sample_weight=np.ones(len(labels)))


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_class_without_an_image_is_refused(name, digits):
    images, labels = (part[digits[1] != 7] for part in digits)
    with pytest.raises(InputError, match="each of the 10 classes; class 7 has none"):
        made(name).fit(images, labels, sample_weight=None)


@pytest.mark.parametrize(("height", "width", "channels", "cell"), [(8, 8, 1, 2), (28, 28, 1, 4), (32, 32, 3, 4), (9, 11, 3, 2)])
def test_histograms_equal_scikit_images(height, width, channels, cell):
    images, _ = noise((channels, height, width), 2)
    one_by_one = [reference_hog(i / 255, pixels_per_cell=(cell, cell), cells_per_block=(2, 2), channel_axis=-1) for i in images]
    np.testing.assert_allclose(hog(images), one_by_one, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("svm", {"C": 0.0}, "model 'svm', C: 0.0 was given"),
        ("svm", {"gamma": -1.0}, "gamma"),
        ("knn", {"neighbours": 0}, "model 'knn', neighbours: 0 was given"),
        ("majority", {"C": 1.0}, "unknown key 'C' of model 'majority'"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        made(name, **options)
