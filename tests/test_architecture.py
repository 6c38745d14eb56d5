"""Imports only go down: the table of rows is here, and every module is held to it by reading its imports."""

import ast
import importlib
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from imagestudy.core import paths

PACKAGE = "imagestudy"
SOURCES = paths.ROOT / "src"
FLOORS = {
    "core": 0,
    "stats": 0,
    "metrics": 0,
    "data": 1,
    "models": 1,
    "remedies": 1,
    "training": 2,
    "experiments": 3,
    "figures": 4,
    "inference": 4,
    "analysis": 5,
    "report": 6,
    "cli": 7,
}
"""Room → floor, see DESIGN. A room imports only from lower floors, and inside itself; rooms of one floor do not know each other."""

ON_THEIR_OWN = ("metrics", "stats")
ALLOWED_TO_THOSE = {"numpy", "scipy", "jaxtyping", *sys.stdlib_module_names}
UNSAFE = {"pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib.load"}
WITHOUT_TORCH = (
    "figures",
    "analysis.comparisons",
    "analysis.accuracy",
    "analysis.imbalance",
    "analysis.variance",
    "analysis.claims",
    "analysis.recommendation",
    "analysis.preprocessing",
)
"""Rooms and analyses that evaluate what was recorded, and name no torch."""


def imported(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Full names of all modules that a source imports anywhere, relative ones resolved, `from a import b` as both a and a.b."""
    home = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def modules(folder: Path) -> Iterator[tuple[str, str, bool]]:
    """Name, source and whether it is a package, of every module below a folder."""
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield ".".join(parts[:-1] if is_package else parts), file.read_text(encoding="utf-8"), is_package


def part(module: str) -> str:
    """The room of a module."""
    return [*module.split("."), ""][1]


def faults(folder: Path, rows: dict[str, int]) -> list[str]:
    """Every import that does not go down, and every module that stands in no room."""
    found = []
    for module, source, is_package in modules(folder):
        if module == PACKAGE:
            found += [f"{module} imports {name}" for name in imported(source, module, is_package=True) if name.startswith(PACKAGE)]
            continue
        if part(module) not in rows:
            found.append(f"{module} is in no room")
            continue
        inside = {part(name) for name in imported(source, module, is_package=is_package) if name.split(".")[0] == PACKAGE}
        found += [
            f"{module} imports {name or PACKAGE}"
            for name in sorted(inside - {part(module), ""})
            if name not in rows or rows[name] >= rows[part(module)]
        ]
    return found


def circles(folder: Path) -> list[str]:
    """Modules that import each other, directly or by way of others; what a package exports counts as its own module."""
    texts = {name: source for name, source, _ in modules(folder)}
    try:
        tuple(TopologicalSorter({name: read_from(source, set(texts)) for name, source in texts.items()}).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def read_from(source: str, known: set[str]) -> set[str]:
    """The modules among those known from which a source takes a name; of `from package import module` the module alone."""
    froms = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    pairs = [(f"{node.module}.{alias.name}", str(node.module)) for node in froms for alias in node.names]
    return {full if full in known else base for full, base in pairs} & known


def opens_pickles(source: str) -> bool:
    """Whether `torch.load` is named without being called, then and there, for nothing but tensors."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]
    safe = [call for call in calls if any(ast.unparse(keyword) == "weights_only=True" for keyword in call.keywords)]
    return source.count("torch.load") > len(safe) or "from torch import load" in source


def outside(module: str) -> set[str]:
    """Names of all that a module of the package, or those of a package in it, import from elsewhere."""
    own = [given for given in modules(SOURCES) if f"{given[0]}.".startswith(f"{PACKAGE}.{module}.")]
    return {found.split(".")[0] for name, text, package in own for found in imported(text, name, is_package=package)}


def build(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


SMALL_FLOORS = {"low": 0, "side": 1, "beside": 1, "high": 2}


class TestThePackage:
    def test_imports_only_go_down(self) -> None:
        assert faults(SOURCES, FLOORS) == []

    def test_there_is_something_to_read(self) -> None:
        assert {part(name) for name, _, _ in modules(SOURCES)} - {""} == set(FLOORS)

    def test_no_module_stands_loose_and_no_two_import_each_other(self) -> None:
        assert sorted(file.name for file in (SOURCES / PACKAGE).glob("*.py")) == ["__init__.py"]
        assert circles(SOURCES) == []

    @pytest.mark.parametrize("module", ON_THEIR_OWN)
    def test_scores_and_statistics_stand_on_numpy_and_scipy_alone(self, module: str) -> None:
        assert outside(module) - ALLOWED_TO_THOSE - {PACKAGE} == set()

    @pytest.mark.parametrize("module", WITHOUT_TORCH)
    def test_nothing_above_the_records_names_torch(self, module: str) -> None:
        assert outside(module) & {"torch", "torchvision"} == set()

    def test_the_store_knows_specs_files_and_records_alone(self) -> None:
        names = {n for name, text, _ in modules(SOURCES) if name == f"{PACKAGE}.experiments.store" for n in imported(text, name)}
        own = {name.split(".")[2] for name in names if name.startswith(f"{PACKAGE}.") and name.count(".") > 1}
        assert own == {"specs", "files", "records", "codec"}

    def test_every_module_that_states_shapes_is_checked_by_jaxtyping_and_the_others_by_beartype(
        self, pytestconfig: pytest.Config
    ) -> None:
        hooked = tuple(f"{name}." for name in pytestconfig.getoption("jaxtyping_packages").split(",")[:-1])
        shaped = {name for name, text, _ in modules(SOURCES) if "jaxtyping" in imported(text, name)}
        assert [name for name in shaped if not f"{name}.".startswith(hooked)] == []
        importlib.import_module(f"{PACKAGE}.metrics.classification")
        loaders = {name: type(sys.modules[name].__loader__).__name__ for name in sys.modules if name.startswith(f"{PACKAGE}.")}
        assert {name for name, loader in loaders.items() if loader == "_JaxtypingLoader"} == {
            name for name in loaders if f"{name}.".startswith(hooked)
        }
        assert set(loaders.values()) <= {"_JaxtypingLoader", "BeartypeSourceFileLoader"}

    def test_no_search_path_is_edited(self) -> None:
        assert [name for name, text, _ in modules(SOURCES) if "sys.path" in text] == []

    def test_no_pickle_is_loaded(self) -> None:
        named = {name: imported(text, name, is_package=package) for name, text, package in modules(SOURCES)}
        assert [name for name, found in named.items() if found & UNSAFE] == []
        assert [n for n, text, _ in modules(SOURCES) if "allow_pickle=True" in text or opens_pickles(text)] == []


class TestThisTest:
    @pytest.mark.parametrize(
        "text",
        [
            "import imagestudy.high",
            "import imagestudy.high as h",
            "from imagestudy import high",
            "from imagestudy.high import thing",
            "from imagestudy.high.deep import thing",
            "from . import high",
            "from .high import thing",
            "def late():\n    from imagestudy import high",
            "if True:\n    import numpy, imagestudy.high",
        ],
    )
    def test_an_upward_import_is_found(self, text: str, tmp_path: Path) -> None:
        folder = build(tmp_path, {"__init__.py": "", "low.py": text, "high.py": ""})
        assert faults(folder, SMALL_FLOORS) == ["imagestudy.low imports high"]

    @pytest.mark.parametrize("text", ["from imagestudy import high", "from .. import high", "from ..high import thing"])
    def test_one_inside_a_package_is_found(self, text: str, tmp_path: Path) -> None:
        folder = build(tmp_path, {"low/__init__.py": "", "low/deep.py": text})
        assert faults(folder, SMALL_FLOORS) == ["imagestudy.low.deep imports high"]

    def test_a_sideways_import_is_found(self, tmp_path: Path) -> None:
        folder = build(tmp_path, {"side.py": "from imagestudy import beside"})
        assert faults(folder, SMALL_FLOORS) == ["imagestudy.side imports beside"]

    def test_a_downward_import_and_one_inside_a_package_are_fine(self, tmp_path: Path) -> None:
        files = {
            "high/__init__.py": "from imagestudy.low import a\nfrom . import deep\nfrom .deep import b",
            "high/deep.py": "from imagestudy import side\nfrom imagestudy.high import other\nimport numpy as high",
            "low.py": "import numpy\nfrom torch import high",
        }
        assert faults(build(tmp_path, files), SMALL_FLOORS) == []

    def test_a_module_in_no_room_is_an_error(self, tmp_path: Path) -> None:
        folder = build(tmp_path, {"stray.py": "", "deep/er.py": "", "side.py": "from imagestudy import stray"})
        assert faults(folder, SMALL_FLOORS) == [
            "imagestudy.deep.er is in no room",
            "imagestudy.side imports stray",
            "imagestudy.stray is in no room",
        ]

    @pytest.mark.parametrize(
        ("text", "opens"),
        [
            ("torch.load(file, weights_only=True)", False),
            ("torch.load(file)", True),
            ("torch.load(file, weights_only=False)", True),
            ("torch.load(file, weights_only=True), torch.load(file)", True),
            ("read = torch.load", True),
            ("from torch import load", True),
        ],
    )
    def test_a_pickle_that_would_be_opened_is_found(self, text: str, opens: bool) -> None:
        assert opens_pickles(text) == opens

    def test_a_circle_is_found_and_a_package_beside_its_own_modules_is_none(self, tmp_path: Path) -> None:
        files = {
            "low.py": "from imagestudy.side import a",
            "side.py": "from imagestudy import beside",
            "beside.py": "def late():\n    from imagestudy.low import b",
        }
        assert {name.split(".")[1] for name in circles(build(tmp_path / "round", files))} == {"low", "side", "beside"}
        files = {"high/__init__.py": "from imagestudy.high.deep import a", "high/deep.py": "from imagestudy.high import other"}
        assert circles(build(tmp_path / "straight", files | {"high/other.py": ""})) == []

    def test_the_package_itself_imports_nothing_of_its_own(self, tmp_path: Path) -> None:
        folder = build(tmp_path, {"__init__.py": "import imagestudy.low"})
        assert faults(folder, SMALL_FLOORS) == ["imagestudy imports imagestudy.low"]
