"""The plan that somebody's own images have: where it is kept, whether it is the one that is asked for, and what it says of them.

`planning` writes it. From then on it belongs to its owner, who may change it: all that is renewed here is where the images lie.
"""

import math
import re
from pathlib import Path

import yaml

from imagestudy.core import files, paths
from imagestudy.core.errors import InputError

PRETRAINED = "resnet18"
LACKING = "its weights were not in the data folder and could not be fetched"
"""How the reason begins for which a plan leaves the pretrained network out; with the weights there, it is no reason any more."""
PUBLISHED = "published"
"""The folder of the results that come with the project lies beside those of the studies."""
UNITS = {"s": 1, "m": 60, "h": 3_600}
BUDGET = r"(\d+(?:\.\d+)?)\s*([smh])"
HEAD = re.compile(rf"# Planned for (\S+) in\s+({BUDGET})\s*\.")


def seconds_of(budget: str) -> float:
    """`90s`, `30m`, `2h` in seconds.

    Raises:
        InputError: it is no such text, or nothing.
    """
    found = re.fullmatch(BUDGET, budget.strip())
    if not found or float(found[1]) <= 0:
        raise InputError(f"budget {budget!r} was given; allowed: a number with s, m or h, such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def name_of(path: Path) -> str:
    """A study's name from that of a folder or archive: letters, digits, `_` and `-`; `_images` behind one that is taken."""
    stem = path.resolve().name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-") or "images"
    return f"{name}_images" if _is_taken(name) else name


def choose_name(path: Path, *, name: str | None) -> str:
    """The name that was given, or else the one that follows from the path.

    Raises:
        InputError: the given one cannot name a folder, or is that of a study that comes with the project.
    """
    if name is None:
        return name_of(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"name {name!r} was given; allowed: letters, digits, _ and -, the first a letter or digit")
    if _is_taken(name):
        raise InputError(f"name {name!r} was given; results of that name come with the project: give another --name")
    return name


def _is_taken(name: str) -> bool:
    """Whether a study of that name would share its results with the project's own; some file systems know no capitals."""
    return name.casefold() in {PUBLISHED, *(file.stem.casefold() for file in paths.studies_folder().glob("*.yaml"))}


def file_of(path: Path, *, name: str | None) -> Path:
    """Where the plan for a folder or archive is kept, whether it is there or not; `InputError` as `choose_name`."""
    return paths.study_results(choose_name(path, name=name)) / "study.yaml"


def head_of(content: str, budget: str) -> str:
    """The first line of a plan: for which images, by the digest of their content, and which budget."""
    return f"# Planned for {content} in {budget.strip()}."


def require_same(file: Path, *, content: str, budget: str) -> None:
    """Refuse a plan that was made for something else, and say for what.

    Raises:
        InputError: it is for other images or another budget, or its first line does not say so any more.
    """
    found = HEAD.fullmatch(file.read_text(encoding="utf-8", errors="replace").partition("\n")[0].rstrip())
    if found is None:
        reasons = ["its first line does not say for what it was planned"]
    else:
        reasons = ["it was planned for other images than those that are given"] if found[1] != content else []
        if not math.isclose(seconds_of(found[2]), seconds_of(budget)):
            reasons += [f"it was planned for a budget of {found[2]}, and {budget} is given"]
    if reasons:
        raise InputError(
            f"{file} is there already, and {' and '.join(reasons)}; give another --name, "
            f"or run it as it is with --study {file}, or remove it"
        )


def renew_path(file: Path, place: Path) -> None:
    """Let a plan say where its images lie now, and leave every other letter of it as it is.

    A file that is not readable any more stays as it is: opening it says what is wrong with it.
    """
    try:
        text = file.read_text(encoding="utf-8")
        node = _find(yaml.compose(text, Loader=yaml.SafeLoader), "dataset", "options", "path")
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    if node is not None and node.value != str(place):
        said = yaml.safe_dump(str(place), default_style='"', allow_unicode=True, width=math.inf).strip()
        files.put(file, f"{text[: node.start_mark.index]}{said}{text[node.end_mark.index :]}")


def _find(node: yaml.Node | None, *keys: str) -> yaml.ScalarNode | None:
    """The single value below some keys of nested mappings; None where there is none."""
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node if isinstance(node, yaml.ScalarNode) else None
