"""The built-in datasets have the documented properties; one mark, one position or a bag of marks cannot solve the probe."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.data.datasets import MARKS, PROBE_PLACES, TEST, TRAIN, VALIDATION, Dataset, load, sources

DISTANCES = (6, 12, 23, 24)
SIZES = {"n_train": 1200, "n_validation": 60, "n_test": 120}


def probe(**options) -> Dataset:
    return load(Choice(name="probe", options=SIZES | options))


def marks_in(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read kind, row and column of the upper and the lower mark of every image from the pixels; three arrays of shape (n, 2)."""
    kinds, rows, columns = (np.empty((len(dataset.images), 2), dtype=np.int64) for _ in range(3))
    for i, image in enumerate(dataset.images[..., 0]):
        lit = np.flatnonzero(image.any(axis=1))
        assert len(lit) == 6
        for j, band in enumerate((lit[:3], lit[3:])):
            across = np.flatnonzero(image[band].any(axis=0))
            assert np.ptp(band) == 2
            assert np.ptp(across) == 2
            shape = image[band[0] : band[0] + 3, across[0] : across[0] + 3] // 255
            kinds[i, j] = [(shape == mark).all() for mark in MARKS].index(True)
            rows[i, j], columns[i, j] = band[0], across[0]
    return kinds, rows, columns


def best_accuracy(seen: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy of the best rule that uses only `seen`: it predicts the more frequent label of each value."""
    return sum(np.bincount(labels[seen == value]).max() for value in np.unique(seen)) / len(labels)


@pytest.mark.parametrize("name", ["digits", "probe"])
def test_every_source_gives_well_formed_data_and_is_cited(name):
    dataset = load(Choice(name=name))
    assert dataset.images.dtype == np.uint8
    assert len(dataset.images) == len(dataset.labels)
    assert set(dataset.labels.tolist()) == set(range(len(dataset.classes)))
    assert set(dataset.flips) <= {"horizontal", "vertical"}
    assert {"title", "license", "citation"} <= set(sources.entry(name).facts)


def test_digits_are_those_of_scikit_learn_rescaled_to_255():
    dataset = load(Choice(name="digits"))
    assert dataset.images.shape == (1797, 8, 8, 1)
    assert (dataset.images.min(), dataset.images.max()) == (0, 255)
    assert dataset.classes == tuple("0123456789")
    assert dataset.part is None
    assert dataset.flips == ()
    assert np.bincount(dataset.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(np.rint(dataset.images[..., 0] * (16 / 255)), load_digits().images)


def test_a_dataset_is_loaded_once_and_cannot_be_written_to():
    dataset = probe()
    assert probe() is dataset
    assert probe(seed=1) is not dataset
    for array in (dataset.images, dataset.labels, dataset.part, load(Choice(name="digits")).images):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("options", [{"distance": 5}, {"distance": 25}, {"distance": 6.5}, {"n_train": 0}, {"rows": 3}])
def test_options_that_are_not_allowed_are_refused(options):
    with pytest.raises(InputError, match="probe"):
        load(Choice(name="probe", options=options))


def test_an_unknown_source_is_refused_with_the_allowed_ones():
    with pytest.raises(InputError, match=r"unknown dataset 'digit' in here; allowed: digits, probe, .*; did you mean 'digits'"):
        load(Choice(name="digit"), where="here")


def test_all_marks_have_the_same_size_and_do_not_change_in_a_horizontal_flip():
    assert (MARKS.sum(axis=(1, 2)) == 5).all()
    np.testing.assert_array_equal(MARKS, MARKS[:, :, ::-1])
    assert len({mark.tobytes() for mark in MARKS}) == len(MARKS)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_label_tells_which_of_two_neighboring_marks_is_higher(distance):
    dataset = probe(distance=distance)
    kinds, rows, columns = marks_in(dataset)
    assert (np.diff(rows) == distance).all()
    assert (np.abs(np.diff(kinds)) == 1).all()
    np.testing.assert_array_equal(dataset.labels, (kinds[:, 0] > kinds[:, 1]).astype(int))
    assert set(columns.ravel().tolist()) == set(range(30))
    assert abs(np.corrcoef(columns.T)[0, 1]) < 0.1


@pytest.mark.parametrize("distance", DISTANCES)
def test_every_distance_has_equally_many_rows_for_upper_and_lower_marks_without_overlap(distance):
    _, rows, _ = marks_in(probe(distance=distance))
    upper, lower = (set(row.tolist()) for row in rows.T)
    assert len(upper) == len(lower) == PROBE_PLACES
    assert not upper & lower
    assert abs(min(upper) - (29 - max(lower))) <= 1


@pytest.mark.parametrize("distance", DISTANCES)
def test_one_mark_gives_two_thirds_and_a_bag_of_marks_one_half_at_every_distance(distance):
    dataset = probe(distance=distance)
    kinds, rows, _ = (a[dataset.part == TRAIN] for a in marks_in(dataset))
    labels = dataset.labels[dataset.part == TRAIN]
    for side in (0, 1):
        assert best_accuracy(kinds[:, side], labels) == pytest.approx(2 / 3)
        assert 2 / 3 <= best_accuracy(kinds[:, side] * 32 + rows[:, side], labels) < 0.72
        assert best_accuracy(rows[:, side], labels) < 0.56
    assert best_accuracy(kinds.min(axis=1), labels) == pytest.approx(1 / 2)
    assert best_accuracy(kinds[:, 0] * 8 + kinds[:, 1], labels) == 1


def test_the_bound_for_one_mark_follows_from_counting_all_cases():
    cases = [(earlier + label, label) for earlier in range(len(MARKS) - 1) for label in (0, 1)]
    upper, labels = np.array(cases).T
    assert best_accuracy(upper, labels) == pytest.approx(1 / 2 + 1 / (2 * (len(MARKS) - 1)))


@pytest.mark.parametrize("distance", [6, 24])
def test_no_weighting_of_fixed_pixels_solves_the_probe(distance):
    dataset = load(Choice(name="probe", options={"distance": distance}))
    flat = dataset.images.reshape(len(dataset.images), -1) / 255
    train, test = dataset.part == TRAIN, dataset.part == TEST
    model = LogisticRegression(C=0.01).fit(flat[train], dataset.labels[train])
    assert model.score(flat[test], dataset.labels[test]) < 0.58


def test_parts_have_the_sizes_asked_for_and_balanced_classes():
    dataset = probe()
    for part, size in ((TRAIN, 1200), (VALIDATION, 60), (TEST, 120)):
        assert np.bincount(dataset.labels[dataset.part == part]).tolist() == [size // 2, size // 2]


def test_the_draws_depend_on_the_seed_alone_and_no_part_on_the_size_of_another():
    once, more, other = probe(), probe(n_train=600), probe(seed=1)
    np.testing.assert_array_equal(once.images, sources.entry("probe").function(**SIZES).images)
    np.testing.assert_array_equal(once.images[once.part == TEST], more.images[more.part == TEST])
    assert (once.images != other.images).any()
    near, far = (marks_in(probe(distance=distance)) for distance in (6, 24))
    np.testing.assert_array_equal(near[0], far[0])
    np.testing.assert_array_equal(near[2], far[2])
    np.testing.assert_array_equal(near[1][:, 0] - near[1][:, 0].min(), far[1][:, 0] - far[1][:, 0].min())
