"""The study file of a plan: its name and path, the check that it matches a request, and the path of the images in it.

`planner` writes the file. After that, the user may change it. Only the path of the images is updated automatically.
"""

import math
import re
from pathlib import Path

import yaml

from imagestudy.core import files, paths
from imagestudy.core.errors import InputError
from imagestudy.experiments.study import PLANNED_NAME

PRETRAINED = "resnet18"
LACKING = "its weights were not in the data folder and could not be fetched"
"""The start of the reason why a plan leaves out the pretrained network. The reason is outdated once the weights are available."""
PUBLISHED = "published"
"""The name of the folder of published results. No study may have this name, because it would use the same folder."""
UNITS = {"s": 1, "m": 60, "h": 3_600}
BUDGET = r"(\d+(?:\.\d+)?)\s*([smh])"
HEAD = re.compile(rf"# Planned for (\S+) in\s+({BUDGET})\s*\.")


def seconds_of(budget: str) -> float:
    """Return a budget such as `90s`, `30m` or `2h` in seconds.

    Raises:
        InputError: the text has another form, or the budget is zero.
    """
    found = re.fullmatch(BUDGET, budget.strip())
    if not found or float(found[1]) <= 0:
        raise InputError(f"budget {budget!r} was given; allowed: a number with s, m or h, such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def name_of(path: Path) -> str:
    """Return a study name made from the name of a folder or archive, with only letters, digits, `_` and `-`.

    If the project uses the name itself, `_images` is appended.
    """
    stem = path.resolve().name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-") or "images"
    return f"{name}_images" if _is_taken(name) else name


def choose_name(path: Path, *, name: str | None) -> str:
    """Return the given name, or a name made from the path if no name is given.

    Raises:
        InputError: the given name has other characters than allowed, or the project uses it itself.
    """
    if name is None:
        return name_of(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"name {name!r} was given; allowed: letters, digits, _ and -, the first a letter or digit")
    if _is_taken(name):
        raise InputError(f"name {name!r} was given; the project uses this name itself; give another --name")
    return name


def _is_taken(name: str) -> bool:
    """Return whether the project uses this name itself. Some file systems ignore case, so the comparison does too."""
    return name.casefold() in {PUBLISHED, *(file.stem.casefold() for file in paths.studies_folder().glob("*.yaml"))}


def file_of(path: Path, *, name: str | None) -> Path:
    """Return the path of the plan for a folder or archive. The file may not exist yet. For errors, see `choose_name`."""
    return paths.study_results(choose_name(path, name=name)) / PLANNED_NAME


def head_of(content: str, budget: str) -> str:
    """Return the first line of a plan: the digest of the images' content, and the budget."""
    return f"# Planned for {content} in {budget.strip()}."


def require_same(file: Path, *, content: str, budget: str) -> None:
    """Raise an error if an existing plan was made for other images or another budget.

    Raises:
        InputError: the images or the budget differ, or the first line of the plan does not give them.
    """
    found = HEAD.fullmatch(file.read_text(encoding="utf-8", errors="replace").partition("\n")[0].rstrip())
    if found is None:
        reasons = ["its first line does not say what it was planned for"]
    else:
        reasons = ["it was planned for other images"] if found[1] != content else []
        if not math.isclose(seconds_of(found[2]), seconds_of(budget)):
            reasons += [f"it was planned for a budget of {found[2]}, not {budget}"]
    if reasons:
        raise InputError(
            f"{file} already exists, and {' and '.join(reasons)}; give another --name, "
            f"run the existing plan with --study {file}, or delete it"
        )


def renew_path(file: Path, place: Path) -> None:
    """Update the path of the images in a plan and change nothing else in the file.

    A file that cannot be read is left unchanged. The error is reported when the study is opened.
    """
    try:
        text = file.read_text(encoding="utf-8")
        node = _find(yaml.compose(text, Loader=yaml.SafeLoader), "dataset", "options", "path")
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    if node is not None and node.value != str(place):
        written = yaml.safe_dump(str(place), default_style='"', allow_unicode=True, width=math.inf).strip()
        files.put(file, f"{text[: node.start_mark.index]}{written}{text[node.end_mark.index :]}")


def _find(node: yaml.Node | None, *keys: str) -> yaml.ScalarNode | None:
    """Return the scalar node below these keys of nested mappings, or None if it does not exist."""
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node if isinstance(node, yaml.ScalarNode) else None
