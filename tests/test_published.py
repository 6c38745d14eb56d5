"""What is committed under `results/published/digits` keeps what was promised of it."""

import json
from functools import lru_cache

import numpy as np
import pytest

from imagestudy.analysis import catalog
from imagestudy.analysis.accuracy import learning_rates
from imagestudy.core import paths
from imagestudy.core.specs import ProfileSpec, RunSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records, decided, labels_key
from imagestudy.experiments.store import PREDICTIONS, RunStore
from imagestudy.remedies import remedies
from imagestudy.report import publish
from imagestudy.training import LEARNING_RATE

EXPECTED = {"resnet": 0.985, "svm": 0.98, "mlp": 0.965, "elman": 0.945, "bilstm": 0.945, "vit": 0.945}
"""Accuracy on balanced digits below which a model, or its recipe, is broken."""
MOST_MINUTES = {"default": 27.0, "full": 170.0}
"""Of training on two cores; the notebooks and the report come on top."""
CORES = 2
FOLDER = paths.published_results("digits")


@pytest.fixture(scope="module")
def store() -> RunStore:
    return RunStore(FOLDER / paths.STORE_NAME, read_only=True)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return grids.open_study("digits", "full")


@lru_cache
def wanted(effort: str) -> tuple[RunSpec, ...]:
    """Every run of the study at an effort, with those that it depends on."""
    return tuple(runner.with_parents(catalog.needs(grids.open_study("digits", effort))))


def read(store: RunStore, specs: list[RunSpec]) -> Records:
    return store.read([runner.stamp(spec).run_id for spec in specs])


def mean(records: Records, score: str = "accuracy") -> float:
    return float(np.mean([record.scores[score] for record in records]))


def test_every_run_of_the_whole_study_is_there_and_none_failed(store: RunStore) -> None:
    assert store.status() == {spec.run_id: "done" for spec in wanted("full")}
    assert json.loads((FOLDER / "provenance.json").read_text(encoding="utf-8"))["runs"] == len(wanted("full"))


def test_the_store_is_small_enough_to_be_committed(store: RunStore) -> None:
    assert all((FOLDER / name).stat().st_size <= publish.MOST_STORE_BYTES for name in (store.file.name, PREDICTIONS, "runs.csv"))


@pytest.mark.parametrize("model", EXPECTED)
def test_a_model_reaches_what_its_family_is_known_to_reach(model: str, store: RunStore, plan: Plan) -> None:
    found = read(store, grids.cell(plan, model))
    assert len(found) == plan.effort.runs
    assert mean(found) >= EXPECTED[model]


def test_imbalance_costs_a_cnn_what_it_should_and_two_remedies_win_it_back(store: RunStore, plan: Plan) -> None:
    profile = ProfileSpec(name="exponential", ratio=50.0)

    def reached(remedy: str) -> float:
        cell = grids.cell(plan, "resnet", profile=profile, remedy=grids.remedy_of(plan, remedy))
        return mean(read(store, cell), "balanced_accuracy")

    assert reached("none") == pytest.approx(0.84, abs=0.03)
    assert max(reached("balanced_softmax"), reached("logit_adjustment")) >= 0.89


def test_the_recipe_has_the_learning_rate_that_its_trials_prefer(store: RunStore, plan: Plan) -> None:
    frame = learning_rates.rates(plan, read(store, grids.recipes(plan)))
    assert learning_rates.prefer(frame) == LEARNING_RATE


def test_probabilities_are_there_where_the_report_looks_at_them_and_decisions_everywhere(store: RunStore, plan: Plan) -> None:
    first = grids.imbalanced_profiles(plan)[0]
    records = [r for r in read(store, grids.imbalance(plan)) if not is_derived(r.spec)]
    close = [r for r in records if r.spec.profile == first]
    assert all({"test", "validation"} <= set(r.arrays) for r in close)
    assert all({"test", "missed"} & set(r.arrays) for r in records)
    for record in records[:: len(records) // 20]:
        labels = store.load_arrays(labels_key(record.spec.dataset))["test"]
        assert float((decided(record, labels) == labels).mean()) == pytest.approx(record.scores["accuracy"], abs=1e-6)


def test_every_remedy_of_the_registry_is_tried_but_one_that_equals_another(plan: Plan) -> None:
    assert set(remedies.names()) - set(plan.study.remedies) == {"logit_adjusted_loss"}


@pytest.mark.parametrize("effort", MOST_MINUTES)
def test_an_effort_keeps_to_its_time(effort: str, store: RunStore) -> None:
    """By the median of its like: runs that were trained beside other work took longer, and most were not."""
    took: dict[tuple, list[float]] = {}
    for record in read(store, [spec for spec in wanted("full") if not is_derived(spec)]):
        took.setdefault(like(record.spec), []).append(record.cost["seconds"])
    specs = [spec for spec in wanted(effort) if not is_derived(spec)]
    seconds = [float(np.median(took[like(spec)])) for spec in specs]
    assert sum(seconds) / CORES / 60 <= MOST_MINUTES[effort]


def like(spec: RunSpec) -> tuple:
    return spec.model.name, spec.dataset.name, spec.training.images_seen, spec.kind
