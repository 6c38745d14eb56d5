"""Execute notebooks with papermill, each in its own process, so that a timeout can stop it."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import papermill
from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from imagestudy.core.errors import FailedError, InputError, require_known

Parameter = bool | int | float | str | list
DECLARABLE: dict[str, Any] = {
    **{kind.__name__: kind for kind in (str, int, float, bool, list)},
    **{f"list[{kind.__name__}]": list[kind] for kind in (str, int, float, bool)},
}
GRACE_S = 30.0
POLL_S = 0.1


class NotebookError(FailedError):
    """A notebook failed. The text gives the notebook, the cell and the reason."""


@dataclass(frozen=True)
class Paper:
    """One notebook to execute: the source without outputs, the path of the executed copy, and the parameters it declares."""

    source: Path
    target: Path
    parameters: Mapping[str, Parameter]


def parameters_of(notebook: Path) -> dict[str, str]:
    """Return the parameters that a notebook declares: name → annotated type, as papermill infers it."""
    declared = papermill.inspect_notebook(nbformat.read(notebook, as_version=4))
    return {name: parameter["inferred_type_name"] for name, parameter in declared.items()}


def check_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Parameter]) -> None:
    """Check parameters before anything runs. Papermill itself would only print a warning.

    Args:
        notebooks: the notebooks to execute. At least one of them must declare each parameter.
        parameters: name → value.

    Raises:
        InputError: a notebook does not exist, no notebook declares a name, or a value does not have the declared type.
    """
    declared = {notebook: parameters_of(_existing(notebook)) for notebook in notebooks}
    known = sorted({name for types in declared.values() for name in types})
    where = ", ".join(notebook.name for notebook in notebooks)
    for name, value in parameters.items():
        require_known(name, known, what="parameter", where=where)
        for notebook, types in declared.items():
            if name in types:
                _check_type(name, _plain(name, value), types[name], where=notebook.name)


def execute(
    notebooks: Sequence[Path],
    *,
    output: Path,
    parameters: Mapping[str, Parameter],
    workers: int = 2,
    timeout_s: int,
    environment: Mapping[str, str] | None = None,
) -> list[Path]:
    """Execute notebooks with papermill, and write the executed copies to a folder under the same names.

    The kernels run in the working folder of the caller. An executed copy is written atomically. A failed notebook is saved in the
    same folder as `NAME.failed.ipynb` and does not stop the others. If a kernel does not start, the notebook is tried once more.

    Args:
        notebooks: the notebooks without outputs. Their file names must differ.
        output: the folder of the executed copies. It is created if it does not exist.
        parameters: name → value. Each notebook gets the parameters that it declares.
        workers: the number of notebooks that run at the same time.
        timeout_s: the maximum number of seconds per notebook.
        environment: environment variables of the kernels, in addition to those of this process.

    Returns:
        The executed copies, in the order of `notebooks`.

    Raises:
        InputError: see `check_parameters`; or a notebook rejects its parameters.
        NotebookError: a notebook failed or took too long.
    """
    check_parameters(notebooks, parameters)
    _check_targets(notebooks, output)
    papers = [_paper(notebook, output, parameters) for notebook in notebooks]
    failures = _run_all(papers, workers=workers, timeout_s=timeout_s, environment={**os.environ, **(environment or {})})
    refusals = [failure for failure in failures if isinstance(failure, InputError)]
    if refusals:
        raise InputError("\n".join(dict.fromkeys(str(refusal) for refusal in refusals)))
    if failures:
        raise NotebookError("\n".join(str(failure) for failure in failures))
    return [paper.target for paper in papers]


def _existing(notebook: Path) -> Path:
    if not notebook.is_file():
        raise InputError(f"no notebook {notebook.name!r} in {notebook.resolve().parent}")
    return notebook


def _plain(name: str, value: Any) -> Parameter:
    """Convert a value to a type that papermill can write into a cell.

    Papermill raises an error for NumPy numbers, which lists may contain.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_plain(name, item) for item in value]
    if isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"parameter {name!r} is {value!r}; allowed: text, a number, true or false, or a list of these")


def _check_type(name: str, value: Parameter, declared: str, *, where: str) -> None:
    if declared not in DECLARABLE:
        return
    try:
        TypeAdapter(DECLARABLE[declared]).validate_python(value, strict=True)
    except ValidationError:
        raise InputError(f"parameter {name!r} is {value!r}; {where} allows: {declared}") from None


def _check_targets(notebooks: Sequence[Path], output: Path) -> None:
    for name, count in Counter(notebook.name for notebook in notebooks).items():
        if count > 1:
            raise InputError(f"{count} notebooks are named {name!r}; their executed copies would overwrite each other in {output}")
    for notebook in notebooks:
        if notebook.resolve().parent == output.resolve():
            raise InputError(f"{notebook.name!r} is in {output}, where its executed copy would replace it")


def _paper(notebook: Path, output: Path, parameters: Mapping[str, Parameter]) -> Paper:
    declared = parameters_of(notebook)
    own = {name: _plain(name, value) for name, value in parameters.items() if name in declared}
    return Paper(source=notebook.resolve(), target=output.resolve() / notebook.name, parameters=own)


def _run_all(papers: Sequence[Paper], *, workers: int, timeout_s: int, environment: Mapping[str, str]) -> list[Exception]:
    """Execute all notebooks, `workers` at a time, and return the errors. If this process is interrupted, stop the running ones."""
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        runs = [pool.submit(_run_twice, paper, timeout_s=timeout_s, environment=environment, stop=stop) for paper in papers]
        try:
            for _ in tqdm(as_completed(runs), total=len(runs), desc="notebooks", unit="notebook", disable=None):
                pass
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [failure for run in runs if (failure := run.result()) is not None]


def _run_twice(paper: Paper, *, timeout_s: int, environment: Mapping[str, str], stop: threading.Event) -> Exception | None:
    """Execute a notebook, a second time if its kernel did not start. Return the error, or None if the notebook succeeded."""
    for _ in range(2):
        outcome = _run(paper, timeout_s=timeout_s, environment=environment, stop=stop)
        if outcome["outcome"] != "not started":
            break
    if outcome["outcome"] == "done":
        return None
    return InputError(outcome["why"]) if outcome["outcome"] == "refused" else NotebookError(outcome["why"])


def _run(paper: Paper, *, timeout_s: int, environment: Mapping[str, str], stop: threading.Event) -> dict[str, str]:
    """Execute a notebook in its own process and return the outcome, see `notebook_process`."""
    with tempfile.TemporaryDirectory(prefix="imagestudy-") as scratch:
        folder = Path(scratch)
        job = {"source": str(paper.source), "target": str(paper.target), "parameters": dict(paper.parameters)}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "imagestudy.report.notebook_process", str(folder)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            in_time = _wait(process, timeout_s=timeout_s, stop=stop)
        if not in_time:
            return {"outcome": "failed", "why": f"{paper.source.name} took longer than {timeout_s} s and was stopped"}
        if not (folder / "outcome.json").is_file():
            return {"outcome": "failed", "why": f"{paper.source.name}: {(folder / 'log').read_text(errors='replace')[-2000:]}"}
        return json.loads((folder / "outcome.json").read_text(encoding="utf-8"))


def _wait(process: subprocess.Popen, *, timeout_s: int, stop: threading.Event) -> bool:
    """Wait for a process and return whether it ended in time.

    If it did not, it is terminated, which also stops its kernel. If this does not work, it is killed.
    """
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline and not stop.is_set():
        time.sleep(POLL_S)
    if process.poll() is not None:
        return True
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return False
