"""Images in groups with random labels: the class of a new group is unpredictable, that of a partly seen group is easy."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagestudy.analysis import recommendation
from imagestudy.data import datasets
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan

GROUPS, SHOTS, RUNS = 40, 6, 8
STUDY = f"""\
dataset: {{name: folder, options: {{path: %s, side: 8, %s}}}}
questions: [recommendation]
models: [knn]
profiles: [{{name: natural}}]
crossed: [knn]
efforts: {{smoke: {{runs: {RUNS}}}, default: {{runs: {RUNS}}}, full: {{runs: {RUNS}}}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty things with random pixels, each photographed six times with some noise."""
    place, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for group in range(GROUPS):
        looks = rng.integers(0, 256, (8, 8))
        (place / f"class{group % 2}").mkdir(exist_ok=True)
        for shot in range(SHOTS):
            pixels = np.clip(looks + rng.integers(-9, 10, looks.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"class{group % 2}" / f"thing{group:02}_{shot}.png")
    return place


def open_plan(folder: Path, place: Path, options: str = "group: 'thing[0-9]+'") -> Plan:
    (place / "mine.yaml").write_text(STUDY % (folder, options), encoding="utf-8")
    return grids.open_study(str(place / "mine.yaml"), "default")


def obtain(plan: Plan):
    return [runner.obtain(grid(plan), study=plan.name, workers=1) for grid in (grids.plain, grids.ungrouped)]


def test_a_split_image_by_image_inflates_the_score_and_the_page_says_so(folder: Path, tmp_path: Path) -> None:
    plan = open_plan(folder, tmp_path)
    kept, drawn = obtain(plan)
    assert np.mean([record.scores["balanced_accuracy"] for record in kept]) < 0.8
    assert np.mean([record.scores["balanced_accuracy"] for record in drawn]) > 0.95
    frame = recommendation.leaks(plan, kept, drawn)
    assert frame["model"].tolist() == ["knn"]
    assert frame["verdict"].tolist() == ["higher"]
    said = recommendation.say_leaks(plan, frame)
    assert f"{GROUPS} groups" in said
    assert "the score of knn would be higher" in said
    assert recommendation.share_seen(plan) == 1


def test_forgetting_the_groups_changes_the_split_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    plan = open_plan(folder, tmp_path)
    honest = [spec for spec in grids.plain(plan) if spec.profile == plan.study.profiles[0]]
    leaking = grids.ungrouped(plan)
    assert [spec.with_(dataset=plan.study.dataset) for spec in leaking] == honest
    assert {spec.split for spec in leaking} == set(range(RUNS))
    whole, forgotten = datasets.load(plan.study.dataset), datasets.load(grids.without_groups(plan))
    assert whole.groups is not None
    assert forgotten.groups is None
    assert np.array_equal(whole.images, forgotten.images)
    assert np.array_equal(whole.labels, forgotten.labels)


def test_without_groups_nothing_is_trained_and_nothing_claimed(folder: Path, tmp_path: Path) -> None:
    plan = open_plan(folder, tmp_path, "fit: pad")
    assert grids.ungrouped(plan) == []
    kept, drawn = obtain(plan)
    frame = recommendation.leaks(plan, kept, drawn)
    assert frame.empty
    assert recommendation.say_leaks(plan, frame).startswith("The images have no groups")
    assert recommendation.share_seen(plan) == 0
