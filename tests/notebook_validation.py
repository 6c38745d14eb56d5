"""Executed notebooks are run again by nbval, which compares the cells that are tagged."""

import os
import re
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
from notebook_laws import CHECKED, tags

from imagestudy.experiments.store import RunStore

RULES = Path(__file__).parent / "nbval.cfg"


@dataclass(frozen=True)
class Validation:
    """What nbval found: cells as (file name, number among the code cells), and all it said."""

    passed: set[tuple[str, int]]
    failed: set[tuple[str, int]]
    said: str


def validate(folder: Path, *, results: Path, train: str | None = None) -> Validation:
    """Run every notebook of a folder again, against the store in `results`, and compare the tagged cells."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        "-p",
        "no:cacheprovider",
        "-p",
        "no:jaxtyping",
    ]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", str(RULES), "-n", "2", "--dist", "loadscope"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"IMAGESTUDY_RESULTS": str(results)} | ({"IMAGESTUDY_TRAIN": train} if train else {})
    run = subprocess.run(
        [*command, "-q", "-rA", "--color=no", str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) (\S+\.ipynb)::Cell (\d+)", run.stdout, re.MULTILINE)
    cells = {outcome: {(Path(file).name, int(cell)) for was, file, cell in found if was == outcome} for outcome, _, _ in found}
    assert (run.returncode == 0) == (set(cells) == {"PASSED"}), run.stdout + run.stderr
    return Validation(cells.get("PASSED", set()), cells.get("FAILED", set()) | cells.get("ERROR", set()), run.stdout)


def checked_cells(folder: Path) -> set[tuple[str, int]]:
    """The cells that nbval compares: tagged, and with an output that is not a picture alone."""
    found = set()
    for file in folder.glob("*.ipynb"):
        cells = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
        for index, cell in enumerate(cells):
            if CHECKED in tags(cell):
                assert any(
                    output.get("text") or any(k.startswith("text/") for k in output.get("data", {})) for output in cell.outputs
                )
                found.add((file.name, index))
    return found


MEASURED = ("seconds", "memory_mb", "latency_ms", "images_per_second")


def slow_down(store: RunStore, *, spared: Collection[str] = ()) -> None:
    """Double the measured time and memory in every record, as a slower machine would; those of the runs in `spared` stay."""
    for record in store.load(run_id for run_id in store.status() if run_id not in spared).values():
        slowed = {name: 2 * value if name in MEASURED else value for name, value in record.cost.items()}
        store.write(replace(record, cost=slowed, arrays={}))
