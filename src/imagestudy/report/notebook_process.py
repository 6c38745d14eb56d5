"""The process that executes one notebook: `python -m imagestudy.report.notebook_process FOLDER` reads `FOLDER/job.json`.

It writes the outcome to `FOLDER/outcome.json`: done, refused (the notebook raised `InputError`), not started, or failed.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from imagestudy.core.files import replacing
from imagestudy.report.clean_outputs import folders_of_this_machine, quieten

KERNEL_START_S = 120


def main(folder: Path) -> None:
    """Execute the notebook of the job in a folder, and write the outcome to the folder."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    outcome = execute_one(Path(job["source"]), target=Path(job["target"]), parameters=job["parameters"], scratch=folder)
    (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


def execute_one(source: Path, *, target: Path, parameters: Mapping[str, Any], scratch: Path) -> dict[str, str]:
    """Run papermill and write the executed notebook to `target`, or to `NAME.failed.ipynb` beside it if it failed.

    Returns:
        The outcome under `outcome` and, unless it is "done", the reason under `why`.
    """
    executed, failed = scratch / "executed.ipynb", failed_copy(target)
    try:
        _run_papermill(source, executed, parameters)
    except PapermillExecutionError as error:
        if error.ename == "InputError":
            return {"outcome": "refused", "why": f"{error.evalue} (notebook {source.name})"}
        _put_in_place(executed, failed)
        return {
            "outcome": "failed",
            "why": f"{source.name}, cell [{error.exec_count}]: {error.ename}: {error.evalue}; saved as {failed}",
        }
    except DeadKernelError as error:
        _put_in_place(executed, failed)
        return {"outcome": "failed", "why": f"{source.name}: its kernel died ({error}); saved as {failed}"}
    except RuntimeError as error:
        return {"outcome": "not started", "why": f"{source.name}: no kernel started ({error})"}
    except SystemExit:
        _put_in_place(executed, failed)
        raise
    _put_in_place(executed, target)
    failed.unlink(missing_ok=True)
    return {"outcome": "done"}


def failed_copy(target: Path) -> Path:
    """Return the path where a failed notebook is saved."""
    return target.with_suffix(".failed.ipynb")


def _run_papermill(source: Path, executed: Path, parameters: Mapping[str, Any]) -> None:
    """Run papermill with the kernel in the folder of this process.

    The TCP transport is encrypted, because ipykernel ≥ 7.3 otherwise writes a warning into every notebook.
    """
    papermill.execute_notebook(
        nbformat.read(source, as_version=4),
        str(executed).replace("{", "{{").replace("}", "}}"),
        parameters=dict(parameters),
        kernel_name="python3",
        progress_bar=False,
        start_timeout=KERNEL_START_S,
        coalesce_streams=True,
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )


def _put_in_place(executed: Path, target: Path) -> None:
    """Clean the executed notebook and write it to its target atomically."""
    if not executed.is_file():
        return
    notebook = nbformat.read(executed, as_version=4)
    quieten(notebook, folders=folders_of_this_machine())
    with replacing(target) as partial:
        nbformat.write(notebook, partial)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
