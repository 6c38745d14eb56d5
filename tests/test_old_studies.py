"""Study files and plans of earlier versions are understood, with a note that says which keys have new names."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from imagestudy.analysis import catalog
from imagestudy.cli import app
from imagestudy.experiments import grids
from imagestudy.experiments.study import EFFORTS, OLD_EFFORT_KEYS, load_study, old_keys

EARLIER = Path(__file__).parent / "golden" / "studies"
"""The study files of the project as they were before efforts had a block for each analysis."""

PLAN = """\
# Planned for 0123456789abcdef0123456789abcdef in 30m.
# 5 redrawn splits, trainings of 20,000 images seen: about 12 minutes on 2 cores, by the speed that was measured then.
name: pets
dataset: digits
notebooks:
- 13_recommendation
models: [majority, logistic, mlp, svm]
params: 40000
margin: 0.01
training: {images_seen: 1280, batch: 64, learning_rate: 0.003}
profiles:
- name: exponential
  ratio: 5
crossed: [mlp, svm]
remedies: [none, logit_adjustment]
efforts:
  smoke: {runs: 2, rungs: 1, finalists: 2, images_seen: 640}
  default: {runs: 5, rungs: 2, finalists: 4}
  full: {runs: 10, rungs: 2, finalists: 4}
left_out: {}
"""


@pytest.mark.parametrize("study", sorted(file.stem for file in EARLIER.glob("*.yaml")))
def test_an_earlier_study_file_is_the_same_study(study: str) -> None:
    earlier, now = load_study(str(EARLIER / f"{study}.yaml")), load_study(study)
    assert earlier.efforts == now.efforts
    assert earlier.model_copy(update={"questions": now.questions, "left_out": now.left_out}) == now
    assert {catalog.resolve(name) for name in earlier.questions} == set(now.questions)
    assert old_keys(str(EARLIER / f"{study}.yaml"))[0] == "notebooks → questions"
    assert old_keys(study) == []


def test_every_key_of_an_earlier_effort_has_a_place() -> None:
    used = {key for file in EARLIER.glob("*.yaml") for key in OLD_EFFORT_KEYS if f"{key}:" in file.read_text(encoding="utf-8")}
    assert {"rungs", "finalists", "settings", "distances", "recipes", "longer", "priced", "sizes", "spread", "diagnosed"} <= used
    blocks = {
        name for name in type(load_study("digits").effort("full")).model_fields if name not in ("runs", "profiles", "images_seen")
    }
    assert {block for block, _ in OLD_EFFORT_KEYS.values()} == blocks


def test_a_plan_of_an_earlier_version_opens_and_trains_with_a_note(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(PLAN, encoding="utf-8")
    for effort, (rungs, finalists) in zip(EFFORTS, ((1, 2), (2, 4), (2, 4)), strict=True):
        plan = grids.open_study(str(file), effort)
        assert (plan.effort.recommendation.rungs, plan.effort.recommendation.finalists) == (rungs, finalists)
        assert catalog.asked(plan) == ["recommendation"]
    done = CliRunner().invoke(app, ["train", str(file), "--effort", "smoke", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert "notebooks → questions, rungs → recommendation.rungs, finalists → recommendation.finalists" in " ".join(
        done.output.split()
    )
    assert file.read_text(encoding="utf-8") == PLAN


def test_a_study_that_compares_no_remedies_needs_no_runs_for_the_questions_about_them(tmp_path: Path) -> None:
    text = PLAN.replace("- 13_recommendation", "- 07_accuracy\n- 08_class_imbalance\n- 14_deployment")
    file = tmp_path / "study.yaml"
    file.write_text(text.replace("crossed: [mlp, svm]", "crossed: []"), encoding="utf-8")
    plan = grids.open_study(str(file), "smoke")
    assert catalog.needs(plan, ["class_imbalance", "deployment"]) == []
    assert {spec.model.name for spec in catalog.needs(plan)} == {"majority", "logistic", "mlp", "svm"}


@pytest.mark.parametrize(
    ("given", "question"), [("15_spread", "variance"), ("08_class_imbalance", "class_imbalance"), ("ann", "ann")]
)
def test_a_question_is_found_by_its_name_and_by_its_notebook_of_any_version(given: str, question: str) -> None:
    assert catalog.resolve(given) == question
    assert catalog.notebook_of(question).is_file()
