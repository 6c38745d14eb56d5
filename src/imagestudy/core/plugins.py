"""Load plug-ins: Python files by users that register further models, remedies, datasets and analyses.

Loading a plug-in runs its code. The spec of a run contains the digest of the plug-in that registers a name. After a plug-in is
edited, its runs are therefore trained again.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from imagestudy.core.errors import InputError
from imagestudy.core.registry import Origin, plugin_modules

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_loaded: dict[Path, str] = {}


def load(files: Iterable[Path]) -> None:
    """Run the code of each file, unless this process has already run the same version of it.

    Raises:
        InputError: if a file is missing, its code fails, or it registers a name that is already taken.
    """
    for given in files:
        file = given.expanduser().resolve()
        if not file.is_file():
            raise InputError(f"no plug-in {str(given)!r}; looked for {file}")
        content = file.read_bytes()
        digest = hashlib.blake2b(content, digest_size=8).hexdigest()
        if _loaded.get(file) != digest:
            _run(file, content, digest)
            _loaded[file] = digest


def _run(file: Path, content: bytes, digest: str) -> None:
    module = ModuleType(f"imagestudy_plugin_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    plugin_modules[module.__name__] = Origin(str(file), digest)
    try:
        exec(compile(content, str(file), "exec"), module.__dict__)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"plug-in {file} cannot be loaded: {type(error).__name__}: {error}") from error


def loaded() -> dict[Path, str]:
    """Return the files and digests of the plug-ins that this process has loaded."""
    return dict(_loaded)


def call(function: Callable[[Task], Outcome], files: dict[Path, str], task: Task) -> Outcome:
    """Load the plug-ins of the parent process in a worker process, then call the function and return its result.

    Raises:
        InputError: if a plug-in cannot be loaded (see `load`), or has changed since the parent process loaded it.
    """
    load(files)
    if changed := [file for file, digest in files.items() if _loaded[file] != digest]:
        raise InputError(f"plug-in {changed[0]} has changed since the study was opened; start the command again")
    return function(task)
