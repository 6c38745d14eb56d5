"""`imagestudy run --data`: from a folder of images to a plan, a report and a model, by the command that a person types."""

import os
import re
from pathlib import Path

import pytest
import typer
import yaml
from sample_folders import fill
from typer.testing import CliRunner

from imagestudy import inference
from imagestudy.analysis.recommendation import scan_summary
from imagestudy.cli import app
from imagestudy.cli import study as study_commands
from imagestudy.core import paths
from imagestudy.core.download import RemoteFile
from imagestudy.core.errors import InputError
from imagestudy.experiments import grids
from imagestudy.experiments.planning import planner, study_file


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

    monkeypatch.setattr(planner, "NETWORKS", ("mlp",))
    monkeypatch.setattr(planner, "REMEDIES", ("none", "logit_adjustment"))
    monkeypatch.setattr(planner, "MOST_FOR_CLASSICAL", 0)
    monkeypatch.setattr(planner, "fetch_weights", refuse)


def test_a_folder_becomes_a_plan_a_report_and_a_model_and_its_name_stands_for_it(tmp_path: Path) -> None:
    photos, others = fill(tmp_path / "photos", number=12), fill(tmp_path / "others", number=9, prefix="other")
    (photos / "cat" / "torn.png").write_bytes((photos / "cat" / "0.png").read_bytes()[:40])
    given = ("--name", "pets", "--budget", "24h", "--effort", "smoke", "--workers", "1")
    code, output = imagestudy("run", "--data", str(photos), *given)
    assert code == 0, output
    results = paths.study_results("pets")
    plan = grids.open_study(str(results / "study.yaml"), "smoke")
    assert yaml.safe_load((results / "study.yaml").read_text(encoding="utf-8"))["name"] == plan.name == "pets"
    assert "training runs are missing" in output
    assert "The report:" in output
    found = re.search(
        r"The images: 24 of 2 classes \(cat, dog\). The largest class is 1.0 times the size of the smallest. "
        r"1 file was set aside; (\S+) lists it",
        output,
    )
    assert found is not None
    assert "cat/torn.png" in Path(found[1]).read_text(encoding="utf-8")
    front = (results / "report" / "index.html").read_text(encoding="utf-8")
    assert "24 images of 2 classes" in front
    assert "1 file was set aside; 17_recommendation lists it and says why." in front
    assert (results / "tables" / "panel.csv").is_file()
    assert inference.load(results / "model").classes == ("cat", "dog")

    before = (results / "study.yaml").read_bytes()
    code, output = imagestudy("run", "--data", str(others), *given)
    assert (code, output.count("imagestudy:")) == (2, 1)
    assert "it was planned for other images; give another --name" in output
    assert (results / "study.yaml").read_bytes() == before

    code, output = imagestudy("train", "--study", str(results / "study.yaml"), "--effort", "smoke")
    assert code == 0
    assert "nothing is missing" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "empty"], "contains no image"),
        (["--data", "alone"], "contains one class, 'cat'"),
        (["--data", "good", "--budget", "soon"], "allowed: a number with s, m or h"),
        (["--data", "good", "--budget", "1s"], "these images need about"),
        (["--data", "good", "--name", "a/b"], "allowed: letters, digits, _ and -"),
        (["--data", "good", "--name", ""], "allowed: letters, digits, _ and -"),
        (["--data", "good", "--name", "Digits"], "the project uses this name itself; give another --name"),
        (["--data", "good", "--name", "published"], "the project uses this name itself; give another --name"),
        (["--data", "good", "--effort", "quick"], "unknown effort 'quick'; allowed: smoke, default, full"),
        (["--data", "good", "-p", "nosuch=1"], "unknown parameter 'nosuch' in 17_recommendation.ipynb"),
        (["--data", "good", "-p", "nosuch"], "allowed: NAME=VALUE"),
        (["--data", "good", "--budget", ""], "allowed: a number with s, m or h"),
        (["--data", "good", "--study", "digits"], "give only one of them"),
        (["--data", ""], "allowed: a folder, a zip or tar archive, or a CSV table"),
        (["--name", "pets"], "--name 'pets' was given without --data"),
        (["--budget", "40m"], "--budget '40m' was given without --data"),
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


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_a_number_of_workers_that_is_none_leaves_nothing(workers: str, tmp_path: Path) -> None:
    code, output = imagestudy("run", "--data", str(fill(tmp_path / "good")), "--workers", workers)
    assert code == 2
    assert "--workers" in output
    assert not list(paths.results_folder().rglob("*"))


@pytest.fixture
def _only_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network is said to be as fast, and what follows the plan is not done."""

    def stop(*_: object, **__: object) -> None:
        raise typer.Exit(0)

    monkeypatch.setattr(planner, "measure", lambda *_, **__: 1_000.0)
    monkeypatch.setattr(study_commands, "_train", stop)


@pytest.mark.usefixtures("_only_plans")
def test_a_folder_named_like_a_study_of_the_project_has_results_of_its_own(tmp_path: Path) -> None:
    code, output = imagestudy("run", "--data", str(fill(tmp_path / "digits", number=9)))
    assert code == 0, output
    file = paths.study_results("digits_images") / "study.yaml"
    assert f"The plan: study digits_images, in {file} The images: 18 of 2 classes" in output
    assert "No file was set aside." in output
    assert file.is_file()
    assert not paths.study_results("digits").exists()


@pytest.mark.usefixtures("_only_plans")
def test_weights_that_came_later_are_named_and_change_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("run", "--data", str(fill(tmp_path / "good", number=9)))
    assert "leaves out resnet18" not in imagestudy(*words)[1]
    file = paths.study_results("good") / "study.yaml"
    before = file.read_bytes()
    monkeypatch.setattr(scan_summary, "remote_weights", lambda _: RemoteFile("some.pth", (), ""))
    paths.weights_folder().mkdir(parents=True, exist_ok=True)
    (paths.weights_folder() / "some.pth").touch()
    output = imagestudy(*words)[1]
    assert "This plan leaves out resnet18 because its weights were not available. They are available now." in output
    assert f"delete {file} and run the same command again." in output
    assert file.read_bytes() == before
    file.write_bytes(before.replace(study_file.LACKING.encode(), b"it is slow"))
    assert "leaves out resnet18" not in imagestudy(*words)[1]


@pytest.mark.parametrize(
    "words",
    [("run", "--data", "nowhere"), ("run",), ("train",), ("notebooks",), ("report",)],
)
def test_results_that_cannot_be_written_are_refused_before_anything_is_looked_at(words, tmp_path, monkeypatch):
    monkeypatch.setattr(grids, "open_study", lambda *_: pytest.fail("a study was opened"))
    (tmp_path / "results").write_text("a file", encoding="utf-8")
    code, output = imagestudy(*words)
    assert (code, output.count("imagestudy: ")) == (2, 1)
    assert f"cannot be written to ({tmp_path / 'results'} is not a folder)" in output
    assert output.endswith("set the environment variable IMAGESTUDY_RESULTS to use another folder")

    (tmp_path / "results").unlink()
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(os, "access", lambda place, _: Path(place) != tmp_path / "results")
    code, output = imagestudy(*words)
    assert code == 2
    assert f"cannot be written to (no permission to write in {tmp_path / 'results'})" in output
