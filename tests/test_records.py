"""Records are chosen by what was run and keep the labels of the images that they were scored on."""

from pathlib import Path

import numpy as np
import pytest

from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec
from imagestudy.experiments.records import Failure, Record, Records, labels_key
from imagestudy.experiments.store import RunStore
from imagestudy.experiments.versions import stamp

DIGITS, PROBE = Choice(name="digits"), Choice(name="probe", options={"distance": 12})
LABELS = {"test": np.array([0, 1, 2, 1]), "validation": np.array([2, 0])}
STEP = ProfileSpec(name="step", ratio=10.0)


def run(model: str = "mlp", **fields: object) -> RunSpec:
    return stamp(RunSpec(**({"dataset": DIGITS, "model": ModelSpec(name=model)} | fields)))


def record(spec: RunSpec) -> Record:
    said = np.random.default_rng(spec.seed).random((4, 3)).astype(np.float16)
    return Record(spec, {"accuracy": spec.seed / 10}, {}, {"seconds": 1.0}, {}, {"test": said})


RUNS = [
    *(run(seed=seed) for seed in (2, 0, 1)),
    *(run(profile=STEP, seed=seed) for seed in (0, 1)),
    run("vit"),
    run("vit", remedy=Choice(name="focal", options={"gamma": 1.0})),
    run(kind="cost"),
]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs.sqlite")
    for spec in RUNS:
        store.write(record(spec))
    store.write(Failure(run("resnet"), "no luck"))
    store.write_arrays(labels_key(DIGITS), LABELS)
    return store


@pytest.fixture
def records(store: RunStore) -> Records:
    return store.read([spec.run_id for spec in RUNS])


def specs(records: Records) -> list[RunSpec]:
    return [record.spec for record in records]


def test_runs_come_in_the_order_in_which_they_are_asked_for(store: RunStore) -> None:
    backwards = [spec.run_id for spec in reversed(RUNS)]
    assert [record.spec.run_id for record in store.read(iter(backwards))] == backwards


def test_failed_and_missing_runs_are_left_out(store: RunStore) -> None:
    found = store.read([run("resnet").run_id, run(seed=9).run_id, run().run_id])
    assert specs(found) == [run()]
    assert len(found) == 1


def test_a_run_that_is_asked_for_by_its_description_is_found(records: Records) -> None:
    assert specs(records.of([run("vit"), run(seed=9), run(seed=1), run("vit")])) == [run("vit"), run(seed=1)]


@pytest.mark.parametrize(
    ("condition", "number"),
    [
        ({}, 8),
        ({"model": "mlp"}, 6),
        ({"model": "mlp", "kind": "run"}, 5),
        ({"kind": "cost"}, 1),
        ({"profile": STEP}, 2),
        ({"profile": ProfileSpec(), "model": "mlp", "kind": "run"}, 3),
        ({"remedy": "focal"}, 1),
        ({"dataset": DIGITS}, 8),
        ({"dataset": PROBE}, 0),
        ({"model": "mlp", "remedy": "focal"}, 0),
    ],
)
def test_where_keeps_the_records_of_which_all_is_true(records: Records, condition: dict, number: int) -> None:
    assert len(records.where(**condition)) == number


def test_where_keeps_order_and_labels(records: Records) -> None:
    kept = records.where(model="mlp", profile=ProfileSpec(), kind="run")
    assert [spec.seed for spec in specs(kept)] == [2, 0, 1]
    np.testing.assert_array_equal(kept.test_labels(), LABELS["test"])


def test_a_cell_is_everything_but_the_seed_in_the_order_of_seeds(records: Records) -> None:
    cells = list(records.cells().values())
    assert [[spec.seed for spec in specs(cell)] for cell in cells] == [[0, 1, 2], [0, 1], [0], [0], [0]]
    assert all(len({spec.with_(seed=0).run_id for spec in specs(cell)}) == 1 for cell in cells)


def test_correct_has_a_row_a_record_and_a_column_an_image(records: Records) -> None:
    correct = records.where(profile=STEP).correct()
    expected = [record(run(profile=STEP, seed=seed)).arrays["test"].argmax(axis=1) == LABELS["test"] for seed in (0, 1)]
    np.testing.assert_array_equal(correct, np.array(expected, dtype=float))


def test_records_of_two_datasets_have_no_common_labels(store: RunStore) -> None:
    store.write(record(run(dataset=PROBE)))
    store.write_arrays(labels_key(PROBE), LABELS)
    both = store.read([run().run_id, run(dataset=PROBE).run_id])
    with pytest.raises(ValueError, match="too many values"):
        both.test_labels()
    np.testing.assert_array_equal(both.where(dataset=PROBE).test_labels(), LABELS["test"])


def test_each_dataset_with_its_options_has_labels_of_its_own() -> None:
    keys = {labels_key(DIGITS), labels_key(PROBE), labels_key(Choice(name="probe")), labels_key(Choice(name="digits", version=2))}
    assert len(keys) == 4


def test_preprocessing_tells_cells_apart(store: RunStore) -> None:
    noisy = run(preprocessing=PreprocessingSpec(noise=Choice(name="gaussian")))
    store.write(record(noisy))
    assert len(store.read([run().run_id, noisy.run_id]).cells()) == 2
