"""Commands about the run store of a study."""

import json
from typing import TYPE_CHECKING

import typer

from imagestudy.cli.options import StudyArgument, StudyOption, one_study, says_what_was_wrong

if TYPE_CHECKING:
    from imagestudy.experiments.store import RunStore

app = typer.Typer(no_args_is_help=True, help="List, retry or remove the runs in a study's store.", rich_markup_mode=None)


def _store(position: str | None, study: str | None, *, read_only: bool) -> "RunStore":
    from imagestudy.core import paths
    from imagestudy.experiments.store import RunStore
    from imagestudy.experiments.study import load_study

    return RunStore(paths.store_file(load_study(one_study(position, study)).name), read_only=read_only)


@app.command(name="list", epilog="Example: imagestudy runs list digits")
@says_what_was_wrong
def list_runs(position: StudyArgument = None, study: StudyOption = None) -> None:
    """Print one line per run with its id and status."""
    for run_id, status in sorted(_store(position, study, read_only=True).status().items()):
        typer.echo(f"{run_id} {status}")


@app.command(name="failed", epilog="Example: imagestudy runs failed digits")
@says_what_was_wrong
def failed_runs(position: StudyArgument = None, study: StudyOption = None) -> None:
    """Print the failed runs and the reasons."""
    for failure in _store(position, study, read_only=True).failures().values():
        typer.echo(str(failure))


@app.command(epilog="Example: imagestudy runs retry digits")
@says_what_was_wrong
def retry(position: StudyArgument = None, study: StudyOption = None) -> None:
    """Remove the failed runs, so that the next command trains them again."""
    store = _store(position, study, read_only=False)
    failed = list(store.failures())
    if failed:
        store.forget(failed)
    typer.echo(f"{len(failed)} failed {'run' if len(failed) == 1 else 'runs'} removed.")


@app.command(epilog="Example: imagestudy runs prune digits")
@says_what_was_wrong
def prune(position: StudyArgument = None, study: StudyOption = None) -> None:
    """Remove the runs that no effort of the study needs."""
    from imagestudy.analysis import catalog
    from imagestudy.experiments import grids, runner
    from imagestudy.experiments.study import EFFORTS

    plans = [grids.open_study(one_study(position, study), effort) for effort in EFFORTS]
    wanted = {spec.run_id for spec in runner.with_parents(spec for plan in plans for spec in catalog.possible(plan))}
    store = _store(position, study, read_only=False)
    stale = [run_id for run_id in store.status() if run_id not in wanted]
    if stale:
        store.forget(stale)
    typer.echo(json.dumps({"removed": len(stale), "kept": len(store.status())}))
