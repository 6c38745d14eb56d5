"""What holds for every test: types are checked when a function is called, and nothing is written into the project.

The two folders of the project move into a temporary one, and writing under the real ones fails. Modules with arrays are checked by
jaxtyping (see `pyproject.toml`), which takes ten times as long for each call; the others are checked by beartype alone.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from beartype import BeartypeConf
from beartype.claw import beartype_package

beartype_package("imagestudy", conf=BeartypeConf(claw_is_pep526=False))
from imagestudy.core import paths  # noqa: E402

GUARDED = tuple(str(paths.ROOT / name) + os.sep for name in ("data", "results", "notebooks"))
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MAKING = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.remove": 0, "os.rmdir": 0, "os.truncate": 0}


def refuse_writing(event: str, arguments: tuple) -> None:
    """Audit hook: `PermissionError` where this process is about to write into the project's own folders."""
    written: object = None
    if event == "open":
        file, mode, flags = arguments
        written = file if (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & WRITING else None
    elif event in MAKING:
        written = arguments[MAKING[event]]
    elif event == "sqlite3.connect" and "mode=ro" not in str(arguments[0]) and "immutable=1" not in str(arguments[0]):
        written = arguments[0]
    if isinstance(written, str | bytes | os.PathLike):
        place = os.path.abspath(os.fsdecode(written).removeprefix("file:"))
        if f"{place}{os.sep}".startswith(GUARDED):
            raise PermissionError(f"a test must not write to {place}; IMAGESTUDY_DATA and IMAGESTUDY_RESULTS move the folders")


sys.addaudithook(refuse_writing)


@pytest.fixture(scope="session", autouse=True)
def _session_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Folders for what fixtures of wider scope do, kernels and worker processes included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGESTUDY_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("IMAGESTUDY_RESULTS", str(tmp_path_factory.mktemp("results")))
        patch.delenv("IMAGESTUDY_TRAIN", raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Folders of this test alone."""
    monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("IMAGESTUDY_RESULTS", str(tmp_path / "results"))
