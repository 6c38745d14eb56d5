"""The published notebooks show what follows from the published records. A file of its own: another worker may run it."""

import shutil
from pathlib import Path

import pytest
from notebook_validation import checked_cells, validate

from imagestudy.analysis import catalog
from imagestudy.core import paths
from imagestudy.experiments import grids
from imagestudy.experiments.store import PREDICTIONS

STUDY = "digits"
WHOLE_S = 1800


@pytest.mark.timeout(WHOLE_S)
def test_published_numbers_follow_from_the_published_records(tmp_path: Path) -> None:
    published = paths.published_results(STUDY)
    (tmp_path / "results" / STUDY).mkdir(parents=True)
    for name in (paths.STORE_NAME, PREDICTIONS):
        shutil.copy(published / name, tmp_path / "results" / STUDY)
    shutil.copytree(published / "notebooks", tmp_path / "notebooks")
    found = validate(tmp_path / "notebooks", results=tmp_path / "results", train="never")
    assert not found.failed, found.said
    assert checked_cells(tmp_path / "notebooks") <= found.passed
    asked = catalog.asked(grids.open_study(STUDY, "full"))
    assert {file for file, _ in found.passed} == {catalog.notebook_of(question).name for question in asked}
