"""conda users get what pip users get, and every dependency is pinned to a version that the project allows."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from imagestudy.core import paths

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((paths.ROOT / "environment.yml").read_text(encoding="utf-8"))
REQUIREMENTS = [
    Requirement(text)
    for text in (*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra))
]


@pytest.fixture(scope="module")
def pins() -> dict[str, Requirement]:
    """Name → the line of constraints.txt."""
    lines = (paths.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    names = [canonicalize_name(requirement.name) for requirement in parsed]
    assert len(names) == len(set(names)), "a dependency is pinned twice"
    return dict(zip(names, parsed, strict=True))


class TestConda:
    def test_the_environment_has_the_projects_name_and_one_channel(self) -> None:
        assert ENVIRONMENT.keys() == {"name", "channels", "dependencies"}
        assert ENVIRONMENT["name"] == PROJECT["name"]
        assert ENVIRONMENT["channels"] == ["conda-forge"]

    def test_its_python_is_one_that_the_project_allows(self) -> None:
        (python,) = [text for text in ENVIRONMENT["dependencies"] if str(text).startswith("python")]
        version = re.fullmatch(r"python=(\d+\.\d+)", python)
        assert version
        assert f"{version[1]}.0" in SpecifierSet(PROJECT["requires-python"])
        assert PROJECT["requires-python"] == f">={version[1]}"

    def test_everything_else_comes_from_the_project_itself(self) -> None:
        python, pip, from_pip = ENVIRONMENT["dependencies"]
        assert python.startswith("python=")
        assert pip == "pip"
        assert from_pip.keys() == {"pip"}
        (line,) = from_pip["pip"]
        extras = re.fullmatch(r"-e \.\[([\w,]+)\]", line)
        assert extras
        assert set(extras[1].split(",")) == set(PROJECT["optional-dependencies"])


class TestPins:
    @pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
    def test_every_dependency_is_pinned_to_a_version_that_is_allowed(self, requirement: Requirement, pins: dict) -> None:
        pin = pins[canonicalize_name(requirement.name)]
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert "*" not in exact.version
        assert exact.version in requirement.specifier

    def test_every_pin_is_exact(self, pins: dict) -> None:
        assert [name for name, pin in pins.items() if [s.operator for s in pin.specifier] not in (["=="], ["==="])] == []

    def test_no_place_to_install_from_is_named(self, pins: dict) -> None:
        assert [name for name, pin in pins.items() if pin.url] == []
