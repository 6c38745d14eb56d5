"""The command line. Each group of commands has its own file. Modules that are slow to import are imported inside the commands."""

import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from imagestudy.cli import listing, model, store, study

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
for group in (study, model, listing):
    for command in group.COMMANDS:
        app.command(name=command.name, epilog=f"Example: {command.example}")(command.function)
app.add_typer(store.app, name="runs")


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"imagestudy {version('imagestudy')}")
        raise typer.Exit
    return wanted


@app.callback(
    epilog="Example: imagestudy run digits --effort smoke. "
    "`imagestudy models`, `imagestudy remedies` and `imagestudy datasets` list what a study file can name."
)
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A comparative study of deep learning in image recognition."""


def main() -> None:
    """Run the `imagestudy` command. SIGTERM stops it in the same way as Ctrl-C: claims are released and workers are stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
