"""Options that the commands share, and the handling of errors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

STUDY = "digits"
STUDY_HELP = "A name in notebooks/studies, or a path to a study file."
StudyArgument = Annotated[str | None, typer.Argument(metavar="STUDY", help=STUDY_HELP, show_default=STUDY)]
StudyOption = Annotated[str | None, typer.Option("--study", help=STUDY_HELP, show_default=STUDY)]
EffortOption = Annotated[str, typer.Option("--effort", help="How much of the study is run: smoke, default or full.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Number of processes. Default: one per core.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", help="NAME=VALUE for the notebooks, with VALUE as in YAML.")
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved model, such as results/STUDY/model.")]


@dataclass(frozen=True)
class Command:
    """A command with an example call."""

    name: str
    function: Callable[..., None]
    example: str


def says_what_was_wrong(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command so that errors are printed. Wrong input exits with code 2, a failed notebook or site with code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from imagestudy.core.errors import FailedError, InputError

        try:
            command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"imagestudy: {error}", err=True)
            raise typer.Exit(2) from None
        except FailedError as error:
            typer.echo(f"imagestudy: {error}", err=True)
            raise typer.Exit(1) from None

    return wrapped


def one_study(position: str | None, option: str | None) -> str:
    """Return the study that was given as argument or by `--study`, or `digits` if none was given.

    Raises:
        InputError: two different studies were given, or a folder of images instead of a study.
    """
    from imagestudy.core.errors import InputError

    if position is not None and option is not None and position != option:
        raise InputError(f"{position!r} and --study {option!r} were given; give only one study")
    given = position if position is not None else option
    if given is not None and Path(given).expanduser().is_dir():
        raise InputError(f"{given!r} is a folder, not a study file; for a folder of images use: imagestudy run --data {given}")
    return STUDY if given is None else given
