"""Where things are: the only module that knows the names of folders and files."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

STORE_NAME = "runs.sqlite"
RESULTS_VARIABLE = "IMAGESTUDY_RESULTS"


def _moved_by(variable: str, default: Path) -> Path:
    given = os.environ.get(variable)
    return Path(given).expanduser().resolve() if given else default


def data_folder() -> Path:
    """The folder of downloads and caches; the environment variable `IMAGESTUDY_DATA` moves it."""
    return _moved_by("IMAGESTUDY_DATA", ROOT / "data")


def weights_folder() -> Path:
    """The folder of weights that others have trained, below that of the data."""
    return data_folder() / "weights"


def results_folder() -> Path:
    """The folder above all studies' results; the environment variable `IMAGESTUDY_RESULTS` moves it."""
    return _moved_by(RESULTS_VARIABLE, ROOT / "results")


def study_results(study: str) -> Path:
    """The folder of one study's own store, executed notebooks, tables, figures and report."""
    return results_folder() / study


def store_file(study: str) -> Path:
    """The run store of one study."""
    return study_results(study) / STORE_NAME


def published_results(study: str) -> Path:
    """The committed results of one study; never moved, never written by a plain run."""
    return ROOT / "results" / "published" / study


def notebooks_folder() -> Path:
    """The numbered notebooks, stripped of outputs."""
    return ROOT / "notebooks"


def studies_folder() -> Path:
    """The study files that come with the project."""
    return notebooks_folder() / "studies"


def readme_file() -> Path:
    """The README, of which one part is generated from the published results."""
    return ROOT / "README.md"
