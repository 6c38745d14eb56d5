"""`imagestudy run --data`: from a folder of images to a plan, a report and a model, by the command that a person types."""

from pathlib import Path

import pytest
import yaml
from sample_folders import fill
from typer.testing import CliRunner

from imagestudy import grids, paths, planning, saved
from imagestudy.cli import app
from imagestudy.errors import InputError


def imagestudy(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(autouse=True)
def _small_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """One network with two remedies, no kernel method, no weights from elsewhere: what is planned is quick."""

    def refuse(*_: object) -> None:
        raise InputError("tests fetch nothing")

    monkeypatch.setattr(planning, "NETWORKS", ("mlp",))
    monkeypatch.setattr(planning, "REMEDIES", ("none", "logit_adjustment"))
    monkeypatch.setattr(planning, "MOST_FOR_CLASSICAL", 0)
    monkeypatch.setattr(planning, "fetch_weights", refuse)


def test_a_folder_becomes_a_plan_a_report_and_a_model_and_its_name_stands_for_it(tmp_path: Path) -> None:
    photos, others = fill(tmp_path / "photos", number=12), fill(tmp_path / "others", number=9, prefix="other")
    given = ("--name", "pets", "--budget", "24h", "--effort", "smoke", "--workers", "1")
    code, output = imagestudy("run", "--data", str(photos), *given)
    assert code == 0, output
    results = paths.study_results("pets")
    plan = grids.open_study(str(results / "study.yaml"), "smoke")
    assert yaml.safe_load((results / "study.yaml").read_text(encoding="utf-8"))["name"] == plan.name == "pets"
    assert "trainings are missing" in output
    assert "The report:" in output
    assert "13_recommendation" in (results / "report" / "index.html").read_text(encoding="utf-8")
    assert (results / "tables" / "panel.csv").is_file()
    assert saved.load(results / "model").classes == ("cat", "dog")

    before = (results / "study.yaml").read_bytes()
    code, output = imagestudy("run", "--data", str(others), *given)
    assert (code, output.count("imagestudy:")) == (2, 1)
    assert "was planned for other images or another budget" in output
    assert (results / "study.yaml").read_bytes() == before

    code, output = imagestudy("train", "--study", str(results / "study.yaml"), "--effort", "smoke")
    assert code == 0
    assert "nothing is missing" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "empty"], "holds no image"),
        (["--data", "alone"], "holds one class, 'cat'"),
        (["--data", "good", "--budget", "soon"], "allowed: a number with s, m or h"),
        (["--data", "good", "--budget", "1s"], "these images need about"),
        (["--data", "good", "--name", "a/b"], "allowed: letters, digits, _ and -"),
        (["--name", "pets"], "--name was given without --data"),
    ],
)
def test_what_cannot_be_studied_ends_with_one_sentence_and_2_and_leaves_nothing(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "alone", ("cat",))
    fill(tmp_path / "good", number=4)
    code, output = imagestudy("run", *words)
    assert code == 2, output
    assert output.startswith("imagestudy: ")
    assert said in output
    assert not list(paths.results_folder().rglob("*"))
