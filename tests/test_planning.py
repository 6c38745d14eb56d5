"""A plan fits its budget, is kept for the same images, and is a study file that opens."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagestudy import data, training
from imagestudy.analysis import catalog
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, RunSpec
from imagestudy.data import datasets, folders
from imagestudy.data.folders.scan_report import ScannedImage
from imagestudy.experiments import grids, runner, search
from imagestudy.experiments.planning import cost_model, planner
from imagestudy.models import models

WORK = cost_model.Work(700, 150, 250)
SPEEDS = {"mlp": 20_000.0, "resnet": 2_000.0, "bilstm": 5_000.0, "vit": 3_000.0}


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(planner, "measure", lambda *_, **__: 1_000.0)


def refuse(_: str) -> Path:
    raise InputError("a test fetches nothing")


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "fetch_weights", refuse)
    monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for label, number in (("a", 12), ("b b", 9)):
        (tmp_path / "my own" / label).mkdir(parents=True)
        for place in range(number):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "my own" / label / f"{place}.png")
    return tmp_path / "my own"


def seconds_of_all_runs(plan: grids.Plan, work: cost_model.Work, *, speed: float, cores: int) -> float:
    """By the runs that the study asks for, each with what it learns from and what it looks at, at one speed."""
    seen, last = plan.training.images_seen, search.budgets(plan)[1]

    def images(spec: RunSpec) -> float:
        looked = {"trial": work.validation, "cost": work.timed, "run": work.looked_at(seen)}[spec.kind]
        return spec.training.images_seen + looked / 3

    first = [search.trial(spec, search.budgets(plan)[0]) for one in search.candidates(plan) for spec in search.runs_of(plan, one)]
    tried = [spec for spec in runner.with_parents(first) if spec.remedy.name not in cost_model.DERIVED]
    fixed = [spec for spec in catalog.needs(plan) if spec.model.name != "majority"]
    alone = [spec for spec in fixed if spec.kind == "cost"]
    going_on = search.kept_after(0, rungs=cost_model.RUNGS, candidates=len(search.candidates(plan)), finalists=cost_model.FINALISTS)
    a_run = going_on * (last + work.validation / 3) + cost_model.FINALISTS * (seen + work.looked_at(seen) / 3)
    together = sum(images(spec) for spec in (*tried, *fixed) if spec.kind != "cost") + plan.effort.runs * a_run
    kept = seen + work.validation / 3
    return (together / cores + sum(map(images, alone)) + kept) / speed


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("grouped", [False, True])
def test_an_estimate_is_the_sum_over_the_runs_of_the_plan(own, monkeypatch, grouped):
    monkeypatch.setattr(
        planner, "invite_classical", lambda dataset, **_: (cost_model.Work.of(dataset), dict.fromkeys(planner.CLASSICAL, ""))
    )
    lines = [f"{file.relative_to(own)},{file.parent.name},{file.stem[-1]}{file.parent.name}" for file in sorted(own.rglob("*.png"))]
    (own / "all.csv").write_text("\n".join(["path,label,group" if grouped else "path,label,kind", *lines]), encoding="utf-8")
    plan = grids.open_study(str(planner.plan_study(own / "all.csv", name=None, budget="2h")), "default")
    work = cost_model.Work.of(datasets.load(plan.study.dataset))
    assert work.plain == 1 + grouped
    speeds = dict.fromkeys(planner.NETWORKS, 1_000.0)
    for cores in (1, 2):
        found = cost_model.estimate(speeds, work, images_seen=plan.training.images_seen, runs=plan.effort.runs, cores=cores)
        assert found == pytest.approx(seconds_of_all_runs(plan, work, speed=1_000.0, cores=cores), rel=1e-4)


def test_a_classical_model_takes_part_if_its_share_of_the_budget_is_enough(monkeypatch):
    monkeypatch.setattr(cost_model, "measure_classical", lambda *_, images: (0.1 * images, 0.0))
    dataset = datasets.load(Choice(name="digits"))
    bare, pool = cost_model.Work.of(dataset), cost_model.Work.of(dataset).train
    fits = {"logistic": 5 + 1, "svm": 5 * (3 * cost_model.RUNGS + 1 + 2) + 1}
    for allowed_s, kept in ((1e9, ["logistic", "svm"]), (fits["logistic"] * 0.1 * pool / 0.2 + 1, ["logistic"]), (60.0, [])):
        work, left_out = planner.invite_classical(dataset, allowed_s=allowed_s, cores=1)
        assert [name for name in planner.CLASSICAL if name not in left_out] == kept
        added_s = 5 * (work.every_run_s - bare.every_run_s) + work.once_s
        assert added_s == pytest.approx(sum(fits[name] for name in kept) * 0.1 * pool)
        assert all(re.match(r"it would take about \d+ minutes? of the budget of", why) for why in left_out.values())
    monkeypatch.setattr(planner, "MOST_FOR_CLASSICAL", pool - 1)
    work, left_out = planner.invite_classical(dataset, allowed_s=1e9, cores=1)
    assert (work, set(left_out)) == (bare, set(planner.CLASSICAL))


@pytest.mark.parametrize(("candidate", "more"), [(True, 10.0), (False, 0.0)])
def test_only_candidates_are_trained_again_without_groups(monkeypatch, candidate, more):
    monkeypatch.setattr(cost_model, "measure_classical", lambda *_, images: (10.0, 0.0))  # noqa: ARG005
    dataset, work = datasets.load(Choice(name="digits")), cost_model.Work(100, 20, 30)
    once, twice = (replace(work, plain=n).with_classical("svm", dataset, candidate=candidate).every_run_s for n in (1, 2))
    assert twice - once == pytest.approx(more)


@pytest.mark.parametrize("model", planner.CLASSICAL)
def test_a_fit_to_all_images_is_guessed_from_a_fit_to_a_few(model, monkeypatch):
    dataset = datasets.load(Choice(name="digits"))
    seen = []
    fit = training.ClassicalLearner.fit

    def note(self, images, labels):
        seen.append((len(images), len(set(labels.tolist()))))
        fit(self, images, labels)
        self.seconds = 2.0
        return self

    monkeypatch.setattr(training.ClassicalLearner, "fit", note)
    guessed = [cost_model.measure_classical(model, dataset, images=images)[0] for images in (3_000, 6_000)]
    assert guessed[1] == pytest.approx(guessed[0] * 2 ** cost_model.POWERS[model])
    assert seen == [(seen[0][0], 10)] * 2
    assert cost_model.PROBED_CLASSICAL <= seen[0][0] <= cost_model.PROBED_CLASSICAL + 10


@pytest.mark.parametrize(
    ("sizes", "side"),
    [([(4, 5)], 8), ([(16, 16)] * 3, 16), ([(8, 20), (45, 30), (900, 700)], 45), ([(20, 20), (65, 10), (70, 70)], 64)],
)
def test_images_are_brought_to_the_median_of_their_longer_edges_within_bounds(sizes, side):
    images = [ScannedImage("a.png", "a", None, "", "PNG", "L", width, height, 1, "") for width, height in sizes]
    scan = folders.Scan(Path(), "few", tuple(images), (), {}, (), ("a",), "")
    assert planner.fitting_side(scan) == side


@pytest.mark.parametrize("allowed_s", [300.0, 1_800.0, 7_200.0, 86_400.0])
def test_what_is_offered_fits_and_the_next_longer_training_would_not(allowed_s):
    offer = planner.fit(SPEEDS, WORK, allowed_s=allowed_s, cores=2)
    assert offer.seconds <= planner.RESERVE * allowed_s
    longer = [seen for seen in planner.LADDER if seen > offer.images_seen]
    if longer:
        least = cost_model.estimate(SPEEDS, WORK, images_seen=longer[0], runs=min(planner.RUNS), cores=2)
        assert least > planner.RESERVE * allowed_s


@pytest.mark.parametrize("times", [0.3, 1.0, 1.7, 40.0])
def test_a_budget_that_is_too_small_says_what_would_do_though_the_speed_falls_a_little(times):
    speeds = {name: times * speed for name, speed in SPEEDS.items()}
    with pytest.raises(InputError, match="a budget of 1 s is too small; these images need about") as caught:
        planner.fit(speeds, WORK, allowed_s=1.0, cores=2)
    named = re.search(r"about (\d+) minutes? or more$", str(caught.value))
    assert named is not None
    slower = {name: 0.85 * speed for name, speed in speeds.items()}
    assert planner.fit(slower, WORK, allowed_s=60.0 * int(named[1]), cores=2).runs == min(planner.RUNS)


def test_the_plan_opens_as_a_study_and_is_kept_for_the_same_images(own):
    file = planner.plan_study(own, name=None, budget="2h")
    assert file == paths.study_results("my_own") / "study.yaml"
    plan = grids.open_study(str(file), "default")
    assert plan.is_redrawn
    assert [profile.name for profile in plan.study.profiles] == ["natural"]
    assert plan.study.crossed == (*planner.NETWORKS, planner.CANDIDATE)
    assert data.image_shape(plan.study.dataset) == (3, 16, 16)
    assert plan.study.left_out["resnet18"].endswith("could not be fetched (a test fetches nothing)")
    before = file.read_bytes()
    assert planner.plan_study(own, name=None, budget="120m").read_bytes() == before
    with pytest.raises(InputError, match="it was planned for a budget of 2h, not 1h; give another --name"):
        planner.plan_study(own, name=None, budget="1h")
    (own / "a" / "0.png").unlink()
    with pytest.raises(InputError, match="it was planned for other images; give another --name"):
        planner.plan_study(own, name=None, budget="2h")
    assert file.read_bytes() == before


def test_a_pretrained_network_that_can_be_had_is_a_candidate_at_its_own_learning_rate(own, monkeypatch):
    monkeypatch.setattr(planner, "fetch_weights", lambda _: own)
    monkeypatch.setattr(planner, "measure", lambda *_, **__: 1_000.0)
    plan = grids.open_study(str(planner.plan_study(own, name=None, budget="2h")), "default")
    assert plan.study.crossed == (*planner.NETWORKS, "resnet18", planner.CANDIDATE)
    assert plan.study.left_out == {}
    rates = {name: grids.cell(plan, name)[0].training.learning_rate for name in ("resnet", "resnet18")}
    assert rates == {"resnet": planner.RATE, "resnet18": models.entry("resnet18").facts["learning_rate"]}


@pytest.mark.usefixtures("quickly")
def test_a_plan_follows_its_images_to_another_place_and_keeps_what_its_owner_changed(own):
    file = planner.plan_study(own, name=None, budget="2h")
    changed = file.read_text(encoding="utf-8").replace("margin: 0.01", "margin: 0.02  # mine") + "# the end\n"
    file.write_text(changed, encoding="utf-8")
    moved = own.parent / "else: #where" / own.name
    moved.parent.mkdir()
    own.rename(moved)
    assert planner.plan_study(moved, name=None, budget="2h") == file
    assert grids.open_study(str(file), "default").study.margin == 0.02
    lines = list(zip(changed.splitlines(), file.read_text(encoding="utf-8").splitlines(), strict=True))
    assert [(old.strip(), new.strip()) for old, new in lines if old != new] == [(f"path: {own}", f'path: "{moved}"')]


@pytest.mark.usefixtures("quickly")
def test_images_that_lie_in_the_data_folder_are_planned_for_where_they_are(own):
    lying = paths.data_folder() / "my own"
    lying.parent.mkdir(exist_ok=True)
    own.rename(lying)
    plan = grids.open_study(str(planner.plan_study(Path("my own"), name=None, budget="2h")), "default")
    assert plan.name == "my_own"


def test_a_name_that_is_no_folder_name_is_refused(own):
    with pytest.raises(InputError, match="allowed: letters, digits"):
        planner.plan_study(own, name="../x", budget="1h")
