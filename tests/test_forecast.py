"""What is still to be trained is said beforehand: exactly where it is known, as a bound where scores decide."""

from itertools import pairwise

import pytest

from imagestudy.analysis import catalog
from imagestudy.core import paths
from imagestudy.experiments import grids, runner, search
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.planning import forecast
from imagestudy.experiments.planning.forecast import Forecast, say_forecast
from imagestudy.experiments.store import RunStore

STUDY = """\
dataset: digits
questions: [recommendation]
models: [majority]
profiles: [{name: exponential, ratio: 20}]
crossed: [mlp, svm]
remedies: [none, balanced_sampler, class_weights, logit_adjustment]
training: {images_seen: 1_920}
efforts:
  smoke: {runs: 2, rungs: 2, finalists: 1, costs: []}
  default: {runs: 3, rungs: 2, finalists: 1, costs: []}
  full: {runs: 3, rungs: 0}
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "small.yaml").write_text(STUDY, encoding="utf-8")
    return str(tmp_path / "small.yaml")


def trainings_done() -> int:
    store = RunStore(paths.store_file("small"))
    return sum(not is_derived(record.spec) for record in store.load(store.status()).values())


def test_the_bound_holds_shrinks_rung_by_rung_and_ends_at_nothing(study):
    plan = grids.open_study(study, "smoke")
    seen = [(0, catalog.look_ahead(plan, workers=1))]
    runner.obtain(catalog.needs(plan), study=plan.name, workers=1)
    seen.append((trainings_done(), catalog.look_ahead(plan, workers=1)))
    first = [search.trial(search.runs_of(plan, c)[n], search.budgets(plan)[0]) for c in search.candidates(plan) for n in (0, 1)]
    for part in (first[::2], first):  # one run's whole first rung, then the other's
        runner.obtain(part, study=plan.name, workers=1)
        seen.append((trainings_done(), catalog.look_ahead(plan, workers=1)))
    assert "up to" in say_forecast(plan, seen[0][1])
    search.select(plan, workers=1)
    total = trainings_done()
    assert all(one.certain <= total - done <= one.most for done, one in seen)
    assert all(a + x.most >= b + y.most and a + x.certain <= b + y.certain for (a, x), (b, y) in pairwise(seen))
    assert catalog.look_ahead(plan) == Forecast(0, 0, 0.0)
    assert "nothing is missing" in say_forecast(plan, catalog.look_ahead(plan))


def test_the_bound_counts_no_more_than_can_be_asked_for(study):
    plan = grids.open_study(study, "smoke")
    certain = 1 + 2 + 6  # majority, the plain ones of the grid, and the first rung, where two of eight candidates are derived
    assert catalog.look_ahead(plan).certain == 2 * certain
    assert catalog.look_ahead(plan).most == 2 * (
        certain + 3 + 2
    )  # three go on; one finalist of the run and one of the panel, not plain


def test_runs_that_are_recorded_are_not_announced_again_when_more_are_asked_for(study):
    fewer, more = (grids.open_study(study, effort) for effort in ("smoke", "default"))
    before = catalog.look_ahead(more)
    search.select(fewer, workers=1)
    after = catalog.look_ahead(more)
    assert after.certain < before.certain
    assert after.most < before.most
    done = trainings_done()
    search.select(more, workers=1)
    runner.obtain(catalog.needs(more), study=more.name, workers=1)
    assert after.certain <= trainings_done() - done <= after.most


def test_without_rungs_everything_is_certain(study):
    plan = grids.open_study(study, "full")
    found = catalog.look_ahead(plan, workers=1)
    assert found.certain == found.most
    search.select(plan, workers=1)
    runner.obtain(catalog.needs(plan), study=plan.name, workers=1)
    assert trainings_done() == found.most


def test_a_study_that_chooses_nothing_is_announced_exactly(tmp_path):
    text = STUDY.replace("questions: [recommendation]", "questions: [accuracy]").replace("[majority]", "[majority, mlp]")
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    plan = grids.open_study(str(tmp_path / "small.yaml"), "smoke")
    found = catalog.look_ahead(plan, workers=1)
    assert found.certain == found.most == 4
    assert found.seconds == pytest.approx(2 * catalog.look_ahead(plan, workers=2).seconds)
    assert "4 training runs are missing" in say_forecast(plan, found)


def test_the_time_is_that_of_the_slowest_that_may_go_on(study, monkeypatch):
    plan = grids.open_study(study, "smoke")
    monkeypatch.setattr(forecast.runner, "estimate_each", lambda specs, _: [1.0 if s.model.name == "mlp" else 0.0 for s in specs])
    number, trained = plan.effort.runs, 3  # trainings of mlp: logit adjustment follows from the plain one
    plain_of_the_grid = 1
    second_rung = min(trained, search.kept_after(0, rungs=2, candidates=8, finalists=1))
    finals = min(trained - 1, 2 * plan.effort.recommendation.finalists)
    assert catalog.look_ahead(plan, workers=1).seconds == number * (trained + plain_of_the_grid + second_rung + finals)
