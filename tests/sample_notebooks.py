"""Small notebooks, made by the tests themselves."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from imagestudy.report.clean_outputs import METADATA

PARAMETERS = """study: str = "digits"  # a name in studies/, or a path to a study file
effort: str = "default"  # smoke, default or full
ratios: list[int] = [10, 50]  # imbalance ratios
share: float = 0.5  # of the pool, between 0 and 1
"""


def code(source: str, *tags: str) -> NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def prose(source: str) -> NotebookNode:
    return new_markdown_cell(source)


def write(folder: Path, name: str, *cells: NotebookNode) -> Path:
    """A notebook with a title, a parameters cell and the given cells."""
    return write_cells(folder, name, [prose(f"# {name}: what happens?"), code(PARAMETERS, "parameters"), *cells])


def write_cells(folder: Path, name: str, cells: list[NotebookNode]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), file)
    return file


def shown(notebook: Path) -> str:
    """All text outputs of an executed notebook."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)
