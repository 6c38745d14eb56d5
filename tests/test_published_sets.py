"""What is committed of the larger studies: models reach what is known, and the README says what was found."""

import pandas as pd
import pytest

from imagestudy.core import paths
from imagestudy.experiments import grids
from imagestudy.experiments.study import load_study
from imagestudy.report.publish import readme_marks

STUDIES = ("fashion_mnist", "cifar10_jpeg", "magnetic_tile")
FLOORS = {"mlp": 0.89, "bilstm": 0.89, "resnet": 0.925, "vit": 0.88}
"""Accuracy on balanced Fashion-MNIST below which a model, or its recipe, is broken; within three times the study's budget."""


def table(study: str, name: str) -> pd.DataFrame:
    return pd.read_csv(paths.published_results(study) / "tables" / f"{name}.csv")


@pytest.mark.parametrize("model", FLOORS)
def test_a_model_reaches_on_fashion_mnist_what_its_family_is_known_to_reach(model: str) -> None:
    cells = table("fashion_mnist", "cells")
    reached = cells[(cells["model"] == model) & (cells["profile"] == "balanced")].set_index("images_seen")["accuracy"]
    assert reached.max() >= FLOORS[model]


def test_every_deciding_member_was_scored_within_the_budget_and_under_both_profiles() -> None:
    cells, study = table("fashion_mnist", "cells"), load_study("fashion_mnist")
    within = cells[(cells["images_seen"] == study.training.images_seen) & (cells["remedy"] == "plain training")]
    profiles = {"balanced", *(profile.label for profile in study.profiles)}
    for model in grids.DECIDING.values():
        assert set(within[within["model"] == model]["profile"]) == profiles
    assert set(within["runs"]) == {study.effort("default").runs}


@pytest.mark.parametrize("study", STUDIES)
def test_the_recommendation_that_the_readme_gives_is_the_published_one(study: str) -> None:
    begin, end = readme_marks(study)
    said = paths.published_readme().read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    panel = table(study, "panel")
    best = panel[panel["recommended"]]
    assert len(best) == 1
    (enough,) = table(study, "answer")["good_enough"]
    assert f"model **{best['model'].iloc[0]}**" in said
    assert ("Use model" in said) == enough
    assert ("None of the candidates is good enough" in said) == (not enough)
