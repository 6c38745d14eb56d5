"""What every numbered notebook keeps to, so that it reads, runs and compares like the others."""

import ast
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from imagestudy import figures, report
from imagestudy.core.errors import InputError
from imagestudy.report.clean_outputs import PICTURES
from imagestudy.report.notebooks import DECLARABLE

CODE_CELLS = range(8, 23)
LINES = 15
WORDS = range(250, 1001)
PARAMETERS = range(4, 9)
CHECKED = "nbval-check-output"
FORBIDDEN = {
    ast.FunctionDef: "def",
    ast.AsyncFunctionDef: "def",
    ast.ClassDef: "class",
    ast.For: "for",
    ast.AsyncFor: "for",
    ast.While: "while",
}


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def faults_of(file: Path) -> list[str]:
    """Every breach of a law in one notebook, as sentences; empty for a good one."""
    notebook = nbformat.read(file, as_version=4)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {error.message}"]
    return [*_of_stripping(notebook), *_of_build(notebook), *_of_parameters(notebook, file), *_of_code(notebook)]


def _of_stripping(notebook: NotebookNode) -> list[str]:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    language = notebook.metadata.get("language_info", {})
    checks = {
        "outputs are not stripped": any(cell.outputs for cell in code),
        "execution counts are not stripped": any(cell.execution_count is not None for cell in code),
        "a cell has metadata besides tags": any(set(cell.metadata) - {"tags"} for cell in notebook.cells),
        "the notebook has metadata besides kernelspec and language_info": bool(
            set(notebook.metadata) - {"kernelspec", "language_info"}
        ),
        "the kernel is not python3": notebook.metadata.get("kernelspec", {}).get("name") != "python3",
        "language_info is not Python without a version": language.get("name") != "python" or "version" in language,
    }
    return [fault for fault, holds in checks.items() if holds]


def _of_build(notebook: NotebookNode) -> list[str]:
    cells = notebook.cells
    count = sum(cell.cell_type == "code" for cell in cells)
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    words = len(
        re.findall(r"[^\W\d_]+", re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)", " ", prose, flags=re.DOTALL))
    )
    checks = {
        "the first cell is no Markdown that has a title and asks a question": cells[0].cell_type != "markdown"
        or not re.match(r"# \S", cells[0].source)
        or "?" not in cells[0].source,
        "the second cell is not the one tagged parameters": [i for i, c in enumerate(cells) if "parameters" in tags(c)] != [1],
        f"{count} code cells": count not in CODE_CELLS,
        f"{words} words of prose": words not in WORDS,
        f"the last cell is no conclusion tagged {CHECKED}": cells[-1].cell_type != "code" or CHECKED not in tags(cells[-1]),
    }
    return [fault for fault, holds in checks.items() if holds]


def _of_parameters(notebook: NotebookNode, file: Path) -> list[str]:
    """Each parameter must be one annotated literal a line, with a comment, and papermill must see it."""
    cell = notebook.cells[1]
    if "parameters" not in tags(cell):
        return []
    faults, values = [], {}
    for line in filter(str.strip, cell.source.splitlines()):
        try:
            [statement] = ast.parse(line).body
            assert isinstance(statement, ast.AnnAssign)
            assert ast.unparse(statement.annotation) in DECLARABLE
            assert re.search(r"\S\s+# \S", line)
            values[ast.unparse(statement.target)] = ast.literal_eval(statement.value)  # type: ignore[arg-type]
        except (AssertionError, SyntaxError, ValueError):
            faults.append(f"no annotated literal with a comment behind it: {line}")
    seen = report.parameters_of(file)
    if set(seen) != set(values):
        faults.append(f"papermill reads {sorted(seen)}, the cell sets {sorted(values)}")
    if len(values) not in PARAMETERS or not {"study", "effort"} <= set(values):
        faults.append(f"{len(values)} parameters: {', '.join(values)}")
    try:
        report.check_parameters([file], values)
    except InputError as error:
        faults.append(str(error))
    return faults


def _draws_images(node: ast.AST) -> bool:
    """Whether a part of a cell calls a function of `figures` that draws images, not numbers."""
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "figures"):
        return False
    return getattr(figures, node.attr).__module__ in (figures.images.__name__, figures.views.__name__)


def _of_code(notebook: NotebookNode) -> list[str]:
    faults = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        lines = sum(bool(line.strip()) for line in cell.source.splitlines())
        if not 0 < lines <= LINES:
            faults.append(f"cell {index} has {lines} lines")
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError:
            faults.append(f"cell {index} is not plain Python")
            continue
        faults += [f"cell {index} has a {FORBIDDEN[type(node)]}" for node in nodes if type(node) in FORBIDDEN]
        if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes):
            faults.append(f"cell {index} imports *")
        if any(map(_draws_images, nodes)) != (PICTURES in tags(cell)):
            faults.append(f"cell {index} draws images of the dataset without the tag {PICTURES!r}, or has the tag and draws none")
    return faults
