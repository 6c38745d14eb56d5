"""The recipes of CONTRIBUTING.md work as they stand there, outside the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imagestudy.core import paths

PATTERN = re.compile(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)
RECIPES = dict(PATTERN.findall((paths.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in RECIPES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "make_notebook.py"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imagestudy(*words: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "imagestudy.cli", *words]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_a_model_a_remedy_a_data_set_and_an_analysis_are_at_most_40_lines_each() -> None:
    assert set(RECIPES) == {"my_model.py", "my_remedy.py", "my_dataset.py", "my_analysis.py", "make_notebook.py", "study.yaml"}
    assert all(len(text.splitlines()) <= 40 for text in RECIPES.values())


@pytest.mark.usefixtures("own")
def test_all_four_are_run_in_workers_and_kernels_and_shown_in_the_report() -> None:
    done = imagestudy("run", "study.yaml", "--effort", "smoke", "--workers", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    results = paths.study_results("study")
    assert (results / "notebooks" / "best_seed.ipynb").is_file()
    assert "Which seed did best?" in (results / "report" / "best_seed.html").read_text(encoding="utf-8")
    assert "two_convolutions" in (results / "tables" / "cells.csv").read_text(encoding="utf-8")
    assert "two_convolutions" in imagestudy("models", "--study", "study.yaml").stdout
    assert "cube-root sampler" in imagestudy("remedies", "--study", "study.yaml").stdout
    listed = imagestudy("runs", "list", "study.yaml").stdout
    assert listed.count(" done") == 2


CROSSED = """
import sys
from pathlib import Path
from imagestudy import inference
from imagestudy.core.specs import Choice
from imagestudy.experiments import grids, runner
plan = grids.open_study("study.yaml", "smoke")
plan = grids.Plan(plan.study, plan.effort.model_copy(update={"runs": 4}))
chosen = [{"profile": plan.study.profiles[0], "remedy": Choice(name=name)} for name in plan.study.remedies]
cells = [grids.cell(plan, "two_convolutions", **one) for one in chosen]
records = runner.obtain([spec for cell in cells for spec in cell], study=plan.name, workers=2)
print(len(records), *sorted(record.spec.run_id for record in records))
inference.save(records.records[0].spec, Path("saved"), scores={}, provenance={})
"""


def test_an_edited_plug_in_trains_anew_and_a_saved_model_asks_for_its_file(own: Path) -> None:
    def train() -> list[str]:
        done = subprocess.run([sys.executable, "-c", CROSSED], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1].split()

    number, *first = train()
    assert int(number) == 8  # spawned workers know the model, the remedy and the data set
    assert train()[1:] == first
    (own / "images").mkdir()
    from PIL import Image

    Image.new("L", (8, 8)).save(own / "images" / "one.png")
    refused = imagestudy("predict", "saved", "images", "-o", "out.csv")
    assert refused.returncode == 2
    assert "needs the plug-in my_model.py, which is not loaded" in " ".join(refused.stderr.split())
    given = ("--plugin", "my_model.py", "--plugin", "my_dataset.py")
    assert imagestudy("predict", "saved", "images", "-o", "out.csv", *given).returncode == 0
    (own / "my_model.py").write_text(RECIPES["my_model.py"] + "# edited\n", encoding="utf-8")
    assert set(train()[1:]).isdisjoint(first)


def test_a_plug_in_that_cannot_be_used_is_refused_with_its_reason(own: Path) -> None:
    faults = {
        "raise ValueError('no')": "cannot be loaded: ValueError: no",
        RECIPES["my_model.py"].replace("two_convolutions", "resnet"): "registers the model 'resnet', which the project itself has",
    }
    for text, said in faults.items():
        (own / "my_model.py").write_text(text, encoding="utf-8")
        done = imagestudy("train", "study.yaml")
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())
    (own / "my_model.py").unlink()
    assert "no plug-in" in imagestudy("train", "study.yaml").stderr
