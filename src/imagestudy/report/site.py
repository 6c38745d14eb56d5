"""Build the site with Sphinx: a first page and the executed notebooks. It can be read from disk without a network."""

import ast
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from imagestudy.core.errors import FailedError, InputError
from imagestudy.core.text import escape
from imagestudy.report.clean_outputs import INJECTED

THEME = Path(__file__).parent / "theme"
QUICK_CHECK = "Quick check (effort smoke): it shows that everything runs. Its numbers and verdicts mean nothing."
"""What stands on top of every page if a notebook was executed with the effort `smoke`."""


class SiteError(FailedError):
    """Sphinx failed or gave a warning. The text contains its output."""


def build_site(*, study: str, title: str, notebooks: Sequence[Path], front: str, output: Path) -> Path:
    """Build the site and replace an older one. If the build fails, the older one is kept.

    Args:
        study: the name of the study. It is also the project name of the site.
        title: the heading of the first page. It is escaped here.
        notebooks: the executed notebooks, in reading order.
        front: the Markdown of the first page below its heading. External text in it must be escaped with `escape`.
        output: the folder of the site.

    Returns:
        The first page.

    Raises:
        InputError: a notebook is missing.
        SiteError: Sphinx failed or warned.
    """
    for notebook in notebooks:
        if not notebook.is_file():
            raise InputError(f"no executed notebook {notebook.name!r} in {notebook.resolve().parent}")
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        source, built = Path(scratch) / "source", Path(scratch) / "built"
        _write_source(source, study=study, title=title, notebooks=notebooks, front=front)
        _run_sphinx(source, built)
        if output.exists():
            output.rename(Path(scratch) / "older")
        built.rename(output)
    return output / "index.html"


def _write_source(source: Path, *, study: str, title: str, notebooks: Sequence[Path], front: str) -> None:
    shutil.copytree(THEME, source)
    read = {notebook.name: nbformat.read(notebook, as_version=4) for notebook in notebooks}
    facts = {"study": study, "title": title, "notice": QUICK_CHECK if any(map(_is_quick_check, read.values())) else ""}
    (source / "site.json").write_text(json.dumps(facts), encoding="utf-8")
    pages = "\n".join(notebook.stem for notebook in notebooks)
    contents = f"```{{toctree}}\n:maxdepth: 1\n:caption: Notebooks\n\n{pages}\n```\n"
    (source / "index.md").write_text(f"# {escape(title)}\n\n{front}\n\n{contents}", encoding="utf-8")
    for name, page in read.items():
        fold(page)
        nbformat.write(page, source / name)


def _is_quick_check(page: NotebookNode) -> bool:
    return any('effort = "smoke"' in cell.source for cell in page.cells if INJECTED in cell.metadata.get("tags", []))


def fold(page: NotebookNode) -> None:
    """Fold the cells with parameters and imports, in place."""
    for cell in page.cells:
        if cell.cell_type == "code" and (shown := _folded_as(cell)):
            cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
            cell.metadata.mystnb = {"code_prompt_show": shown, "code_prompt_hide": shown}


def _folded_as(cell: NotebookNode) -> str:
    tags = cell.metadata.get("tags", [])
    if INJECTED in tags:
        return "Parameters as set for this page"
    if "parameters" in tags:
        return "Parameters"
    return "Imports" if not cell.outputs and _starts_with_import(cell.source) else ""


def _starts_with_import(source: str) -> bool:
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return False
    return bool(statements) and isinstance(statements[0], ast.Import | ast.ImportFrom)


def _run_sphinx(source: Path, built: Path) -> None:
    command = [sys.executable, "-P", "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-d", f"{built}.cache"]
    run = subprocess.run([*command, str(source), str(built)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SiteError(f"Sphinx failed:\n{run.stderr.strip() or run.stdout.strip()}")
