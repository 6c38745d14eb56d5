"""The catalog of questions: what a study asks, and what it refuses."""

from imagestudy.analysis import catalog
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan


def test_a_question_that_is_named_twice_or_by_an_old_name_is_asked_once() -> None:
    """Its runs were trained, and then two notebooks had the same name."""
    plan = grids.open_study("digits", "smoke")
    named = ("accuracy", "08_accuracy", "15_spread", "11_variance")
    assert catalog.asked(Plan(plan.study.model_copy(update={"questions": named}), plan.effort)) == ["accuracy", "variance"]
