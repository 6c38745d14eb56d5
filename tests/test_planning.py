"""A plan fits its budget, is kept for the same images, and is a study file that opens."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagestudy import data, grids, paths, planning
from imagestudy.data import folders
from imagestudy.data.folders.scans import ScannedImage
from imagestudy.errors import InputError
from imagestudy.models import models

SIZES = planning.Sizes(700, 150, 250)
SPEEDS = {"mlp": 20_000.0, "resnet": 2_000.0, "bilstm": 5_000.0, "vit": 3_000.0}


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(planning, "measure", lambda *_, **__: 1_000.0)


def refuse(_: str) -> Path:
    raise InputError("a test fetches nothing")


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "fetch_weights", refuse)
    monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for label, number in (("a", 12), ("b b", 9)):
        (tmp_path / "my own" / label).mkdir(parents=True)
        for place in range(number):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "my own" / label / f"{place}.png")
    return tmp_path / "my own"


def test_a_plan_takes_time_for_what_is_learned_from_and_a_third_of_it_for_what_is_looked_at():
    one, none = {"mlp": 100.0}, planning.Sizes(0, 1, 0)

    def seconds(sizes: planning.Sizes = none, *, seen: int = 90_000, runs: int = 2, cores: int = 1) -> float:
        return planning.estimate(one, sizes, images_seen=seen, runs=runs, cores=cores)

    # Of five candidates, one of three goes on; a plain run and four finalists see everything; so do a costed and a kept model.
    learned = 2 * (5 * 10_000 + 5 / 3 * 30_000 + (1 + 4) * 90_000) + 2 * 90_000
    assert seconds() == pytest.approx(learned / 100, rel=1e-3)
    more = seconds(planning.Sizes(30_000, 1, 6_000)) - seconds()
    assert more == pytest.approx(2 * (1 + 4) * 36_000 / 3 / 100)
    points, timed = 90_000 // 9_000, 21 * 2_048
    watched = seconds(planning.Sizes(0, 9_000, 0)) * 100 - learned
    assert watched == pytest.approx((2 * ((5 + 5 / 3) + 5 * (points + 1)) * 9_000 + timed) / 3)
    assert seconds(runs=4) - seconds() == pytest.approx(seconds() - 2 * 90_000 / 100, rel=1e-3)
    assert seconds() - seconds(cores=2) == pytest.approx((seconds() - 2 * 90_000 / 100) / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("sizes", "side"),
    [([(4, 5)], 8), ([(16, 16)] * 3, 16), ([(8, 20), (45, 30), (900, 700)], 45), ([(20, 20), (65, 10), (70, 70)], 64)],
)
def test_images_are_brought_to_the_median_of_their_longer_edges_within_bounds(sizes, side):
    images = [ScannedImage("a.png", "a", None, "", "PNG", "L", width, height, 1, "") for width, height in sizes]
    scan = folders.Scan(Path(), "few", tuple(images), (), {}, (), ("a",), "")
    assert planning.fitting_side(scan) == side


@pytest.mark.parametrize("allowed_s", [300.0, 1_800.0, 7_200.0, 86_400.0])
def test_what_is_offered_fits_and_the_next_longer_training_would_not(allowed_s):
    offer = planning.fit(SPEEDS, SIZES, allowed_s=allowed_s, cores=2)
    assert offer.seconds <= planning.RESERVE * allowed_s
    longer = [seen for seen in planning.LADDER if seen > offer.images_seen]
    if longer:
        least = planning.estimate(SPEEDS, SIZES, images_seen=longer[0], runs=min(planning.RUNS), cores=2)
        assert least > planning.RESERVE * allowed_s


@pytest.mark.parametrize("times", [0.3, 1.0, 1.7, 40.0])
def test_a_budget_that_is_too_small_says_what_would_do_though_the_speed_falls_a_little(times):
    speeds = {name: times * speed for name, speed in SPEEDS.items()}
    with pytest.raises(InputError, match="a budget of 1 s is too small; these images need about") as caught:
        planning.fit(speeds, SIZES, allowed_s=1.0, cores=2)
    named = re.search(r"about (\d+) minutes? or more$", str(caught.value))
    assert named is not None
    slower = {name: 0.85 * speed for name, speed in speeds.items()}
    assert planning.fit(slower, SIZES, allowed_s=60.0 * int(named[1]), cores=2).runs == min(planning.RUNS)


def test_the_plan_opens_as_a_study_and_is_kept_for_the_same_images(own):
    file = planning.plan_study(own, name=None, budget="2h")
    assert file == paths.study_results("my_own") / "study.yaml"
    plan = grids.open_study(str(file), "default")
    assert plan.is_redrawn
    assert [profile.name for profile in plan.study.profiles] == ["natural"]
    assert plan.study.crossed == (*planning.NETWORKS, planning.CLASSICAL)
    assert data.image_shape(plan.study.dataset) == (3, 16, 16)
    assert plan.study.left_out["resnet18"].endswith("could not be fetched (a test fetches nothing)")
    before = file.read_bytes()
    assert planning.plan_study(own, name=None, budget="120m").read_bytes() == before
    with pytest.raises(InputError, match="it was planned for a budget of 2h, and 1h is given; give another --name"):
        planning.plan_study(own, name=None, budget="1h")
    (own / "a" / "0.png").unlink()
    with pytest.raises(InputError, match="it was planned for other images than those that are given; give another --name"):
        planning.plan_study(own, name=None, budget="2h")
    assert file.read_bytes() == before


def test_a_pretrained_network_that_can_be_had_is_a_candidate_at_its_own_learning_rate(own, monkeypatch):
    monkeypatch.setattr(planning, "fetch_weights", lambda _: own)
    monkeypatch.setattr(planning, "measure", lambda *_, **__: 1_000.0)
    plan = grids.open_study(str(planning.plan_study(own, name=None, budget="2h")), "default")
    assert plan.study.crossed == (*planning.NETWORKS, "resnet18", planning.CLASSICAL)
    assert plan.study.left_out == {}
    rates = {name: grids.cell(plan, name)[0].training.learning_rate for name in ("resnet", "resnet18")}
    assert rates == {"resnet": planning.RATE, "resnet18": models.entry("resnet18").facts["learning_rate"]}


@pytest.mark.usefixtures("quickly")
def test_a_plan_follows_its_images_to_another_place_and_keeps_what_its_owner_changed(own):
    file = planning.plan_study(own, name=None, budget="2h")
    changed = file.read_text(encoding="utf-8").replace("margin: 0.01", "margin: 0.02  # mine") + "# the end\n"
    file.write_text(changed, encoding="utf-8")
    moved = own.parent / "else: #where" / own.name
    moved.parent.mkdir()
    own.rename(moved)
    assert planning.plan_study(moved, name=None, budget="2h") == file
    assert grids.open_study(str(file), "default").study.margin == 0.02
    lines = list(zip(changed.splitlines(), file.read_text(encoding="utf-8").splitlines(), strict=True))
    assert [(old.strip(), new.strip()) for old, new in lines if old != new] == [(f"path: {own}", f'path: "{moved}"')]


@pytest.mark.usefixtures("quickly")
def test_images_that_lie_in_the_data_folder_are_planned_for_where_they_are(own):
    lying = paths.data_folder() / "my own"
    lying.parent.mkdir(exist_ok=True)
    own.rename(lying)
    plan = grids.open_study(str(planning.plan_study(Path("my own"), name=None, budget="2h")), "default")
    assert plan.name == "my_own"


def test_a_name_that_is_no_folder_name_is_refused(own):
    with pytest.raises(InputError, match="allowed: letters, digits"):
        planning.plan_study(own, name="../x", budget="1h")
