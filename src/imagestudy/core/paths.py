"""Paths of the folders and files of the project. No other module defines them."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

STORE_NAME = "runs.sqlite"
RESULTS_VARIABLE = "IMAGESTUDY_RESULTS"


def _from_environment(variable: str, default: Path) -> Path:
    """The absolute path in an environment variable, or the default if the variable is not set."""
    given = os.environ.get(variable)
    return Path(given).expanduser().resolve() if given else default


def data_folder() -> Path:
    """The folder of downloads and caches. The environment variable `IMAGESTUDY_DATA` sets it."""
    return _from_environment("IMAGESTUDY_DATA", ROOT / "data")


def weights_folder() -> Path:
    """The folder of downloaded pretrained weights, inside the data folder."""
    return data_folder() / "weights"


def results_folder() -> Path:
    """The folder with the results of all studies. The environment variable `IMAGESTUDY_RESULTS` sets it."""
    return _from_environment(RESULTS_VARIABLE, ROOT / "results")


def study_results(study: str) -> Path:
    """The folder of one study, with its run store, executed notebooks, tables, figures and report."""
    return results_folder() / study


def store_file(study: str) -> Path:
    """The run store of one study, an SQLite file."""
    return study_results(study) / STORE_NAME


def published_results(study: str) -> Path:
    """The committed results of one study. No environment variable changes this folder, and an ordinary run never writes to it."""
    return ROOT / "results" / "published" / study


def notebooks_folder() -> Path:
    """The folder of the numbered notebooks, stored without outputs."""
    return ROOT / "notebooks"


def studies_folder() -> Path:
    """The folder of the study files that come with the project."""
    return notebooks_folder() / "studies"


def published_readme() -> Path:
    """The page about all published results; the part about each study is generated."""
    return ROOT / "results" / "published" / "README.md"


def data_readme() -> Path:
    """The page about the data. Its table is generated from the facts of the registered datasets."""
    return ROOT / "data" / "README.md"


def readme_file() -> Path:
    """The README. One part of it is generated from the published results."""
    return ROOT / "README.md"
