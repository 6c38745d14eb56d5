"""The published notebooks show what follows from the published records. A file of its own: another worker may run it."""

import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_laws import tags
from notebook_validation import checked_cells, slow_down, validate

from imagestudy import data
from imagestudy.analysis import catalog
from imagestudy.core import paths
from imagestudy.experiments import grids
from imagestudy.experiments.store import PREDICTIONS, RunStore
from imagestudy.experiments.study import load_study
from imagestudy.report import publish
from imagestudy.report.clean_outputs import LEFT_OUT, PICTURES

STUDY = "digits"
WHOLE_S = 1800
ALL = sorted(paths.published_results(STUDY).parent.glob("*/notebooks/*.ipynb"))


@pytest.mark.timeout(WHOLE_S)
def test_published_numbers_follow_from_the_published_records_and_depend_on_no_machine(tmp_path: Path) -> None:
    """The records are the published ones, but for the time and memory that were measured: no checked cell may show them.

    The comparison of the frameworks is spared, because costs are its result.
    """
    plan = grids.open_study(STUDY, "full")
    published = paths.published_results(STUDY)
    (tmp_path / "results" / STUDY).mkdir(parents=True)
    for name in (paths.STORE_NAME, PREDICTIONS):
        shutil.copy(published / name, tmp_path / "results" / STUDY)
    spared = {spec.run_id for spec in catalog.needs(plan, ["frameworks"])}
    slow_down(RunStore(tmp_path / "results" / STUDY / paths.STORE_NAME), spared=spared)
    shutil.copytree(published / "notebooks", tmp_path / "notebooks")
    found = validate(tmp_path / "notebooks", results=tmp_path / "results", train="never")
    assert not found.failed, found.said
    assert checked_cells(tmp_path / "notebooks") <= found.passed
    asked = catalog.asked(plan)
    assert {file for file, _ in found.passed} == {catalog.notebook_of(question).name for question in asked}


@pytest.mark.parametrize("file", ALL, ids=[f"{file.parts[-3]}-{file.stem}" for file in ALL])
def test_images_are_published_only_where_the_dataset_allows_it(file: Path) -> None:
    cells = [cell for cell in nbformat.read(file, as_version=4).cells if PICTURES in tags(cell)]
    allowed = data.allows_pictures(load_study(file.parts[-3]).dataset)
    left_out = [[output.get("data") for output in cell.outputs] == [{"text/markdown": LEFT_OUT}] for cell in cells]
    assert left_out == [not allowed] * len(cells)


MODELS_PRICED = [file for file in ALL if file.stem == "08_accuracy"]


@pytest.mark.parametrize("file", MODELS_PRICED, ids=[file.parts[-3] for file in MODELS_PRICED])
def test_a_table_of_models_has_each_model_once(file: Path) -> None:
    """The table of costs once had 24 rows for a network, one for each priced remedy."""
    found = 0
    for cell in nbformat.read(file, as_version=4).cells:
        for output in cell.get("outputs", []):
            for table in BeautifulSoup("".join(output.get("data", {}).get("text/html", "")), "html.parser").find_all("table"):
                head, *rows = ([cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.find_all("tr"))
                if head[0] == "model" and "batch" not in head:
                    names = [row[0] for row in rows]
                    assert len(set(names)) == len(names), names
                    found += 1
    assert found > 1


@pytest.mark.parametrize("study", ["cifar10_jpeg", "magnetic_tile"])
def test_some_published_notebook_had_images_to_leave_out(study: str) -> None:
    found = [cell for file in ALL if file.parts[-3] == study for cell in nbformat.read(file, as_version=4).cells]
    assert any(PICTURES in tags(cell) for cell in found)


@pytest.mark.parametrize("pictures", [True, False])
def test_publishing_leaves_out_images_of_the_dataset_and_nothing_else(tmp_path: Path, pictures: bool) -> None:
    drawn = new_output("display_data", {"image/png": "AAAA"})
    notebook = new_notebook(
        cells=[new_code_cell("a", outputs=[drawn], metadata={"tags": [PICTURES]}), new_code_cell("b", outputs=[drawn])]
    )
    nbformat.write(notebook, tmp_path / "executed.ipynb")
    publish._put_notebook(tmp_path / "executed.ipynb", tmp_path / "published.ipynb", pictures=pictures)
    first, second = nbformat.read(tmp_path / "published.ipynb", as_version=4).cells
    assert second.outputs == [drawn]
    assert first.outputs == [drawn if pictures else new_output("display_data", {"text/markdown": LEFT_OUT})]
