"""Remove everything that depends on the machine from executed notebooks, so that the diff of a notebook shows only results."""

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output

from imagestudy.core import paths

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
INJECTED = "injected-parameters"
PICTURES = "pictures"
"""The tag of a cell that shows images of the dataset."""
LEFT_OUT = (
    "*Images of this dataset are not published, because its license does not clearly allow it. This cell shows them when you "
    "execute the notebook.*"
)
PROGRESS_BAR = re.compile(r"^.*\d+%\|.*\|.*$\n?", re.MULTILINE)
CELL_FILE = re.compile(r"[^\s\"'<>]*ipykernel_\d+[/\\]\d+\.py")


def folders_of_this_machine() -> dict[str, str]:
    """Return folder → the text that is shown instead. Inner folders come before the folders that contain them."""
    named = {
        tempfile.gettempdir(): "TEMPORARY",
        str(Path.home()): "~",
        sys.base_prefix: "PYTHON",
        sys.prefix: "PYTHON",
        str(Path.cwd()): ".",
        str(paths.ROOT): ".",
        str(paths.data_folder()): "data",
        str(paths.results_folder()): "results",
    }
    return {folder: named[folder] for folder in sorted(named, key=len, reverse=True) if len(Path(folder).parts) > 1}


def quieten(notebook: NotebookNode, *, folders: Mapping[str, str]) -> None:
    """Remove times, versions, progress bars and the folders of this machine from an executed notebook, in place.

    Args:
        notebook: the notebook as papermill wrote it.
        folders: absolute folder → the text that is shown instead (without backslashes), inner folders first.
    """
    notebook.metadata = NotebookNode(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        if INJECTED in tags:
            cell.id = INJECTED
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _quieten_output(output, folders)]


def leave_out_pictures(notebook: NotebookNode) -> None:
    """Replace the outputs of the cells tagged `PICTURES` by a sentence, in place."""
    for cell in notebook.cells:
        if PICTURES in cell.metadata.get("tags", []):
            cell.outputs = [new_output("display_data", {"text/markdown": LEFT_OUT})]


def _quieten_output(output: NotebookNode, folders: Mapping[str, str]) -> bool:
    """Clean one output in place. Return False if it contained only a progress bar."""
    if output.output_type == "stream":
        is_bar = output.name == "stderr" and PROGRESS_BAR.search(output.text)
        output.text = _without_folders(PROGRESS_BAR.sub("", output.text) if is_bar else output.text, folders)
        return not is_bar or bool(output.text.strip())
    if output.output_type == "error":
        output.evalue = _without_folders(output.evalue, folders)
        output.traceback = [_without_folders(line, folders) for line in output.traceback]
        return True
    for kind, content in output.data.items():
        if isinstance(content, str) and (kind.startswith("text/") or kind == "image/svg+xml"):
            output.data[kind] = _without_folders(content, folders)
    return True


def _without_folders(text: str, folders: Mapping[str, str]) -> str:
    text = CELL_FILE.sub("CELL", text)
    for folder, shown in folders.items():
        text = re.sub(rf"(?<![\w{re.escape(os.sep)}.-]){re.escape(folder)}(?![\w.-])", shown, text)
    return text
