"""The command line: `imagestudy run` = `train` (the grid) + `notebooks` (papermill) + `report` (the site); and the run store.

A fault of what was given ends with its sentence and exit code 2, and nothing written.
"""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from imagestudy import inference, report
from imagestudy.analysis import catalog
from imagestudy.analysis.recommendation import scan_summary
from imagestudy.core import files, paths
from imagestudy.core.errors import InputError, require_known
from imagestudy.experiments import grids, runner, search
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.planning import forecast, planner
from imagestudy.experiments.planning import study_file as planned
from imagestudy.experiments.store import RunStore
from imagestudy.experiments.study import EFFORTS, load_study, study_file
from imagestudy.inference import predict as predicting
from imagestudy.models import models
from imagestudy.models.pretrained import starting_weights
from imagestudy.models.pretrained_weights import fetch_weights
from imagestudy.report import publish as publishing
from imagestudy.report import results

NOTEBOOK_TIMEOUT_SECONDS = 6 * 3_600
STUDY, BUDGET = "digits", "30m"

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A comparative study of deep learning in image recognition.")
store_app = typer.Typer(no_args_is_help=True, help="What the run store of a study holds.")
app.add_typer(store_app, name="runs")

STUDY_HELP = "A name in notebooks/studies, or a path to a study file."
StudyOption = Annotated[str, typer.Option("--study", help=STUDY_HELP)]
EffortOption = Annotated[str, typer.Option("--effort", help="How much of the study is run: smoke, default or full.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; as many as there are cores by default.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", help="NAME=VALUE for the notebooks, the value as in YAML.")
]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="Notebooks, such as 08_class_imbalance; all by default.")]


def main() -> None:
    """Entry point of the `imagestudy` command. A polite kill leaves as Ctrl-C does: claims released, workers ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()


def _says_what_was_wrong(command: Callable[..., None]) -> Callable[..., None]:
    """A fault of the input ends in its sentence and exit code 2, a failed notebook or site in its own and 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"imagestudy: {error}", err=True)
            raise typer.Exit(2) from None
        except (report.NotebookError, report.SiteError) as error:
            typer.echo(f"imagestudy: {error}", err=True)
            raise typer.Exit(1) from None

    return wrapped


@app.command()
@_says_what_was_wrong
def run(
    study: Annotated[str | None, typer.Option("--study", help=STUDY_HELP, show_default=STUDY)] = None,
    effort: EffortOption = "default",
    workers: WorkersOption = None,
    parameter: ParameterOption = None,
    images: Annotated[str | None, typer.Option("--data", help="Your own images: a folder, a zip or tar archive, a CSV.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the study on --data; its name by default.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time that a study on --data may take: 90s, 30m, 2h.", show_default=BUDGET)
    ] = None,
) -> None:
    """Train what is missing, execute the notebooks, build the report, and hold the numbers to the published ones."""
    parameters = _parameters(parameter)
    if images is None:
        _refuse_of_own_images({"--name": name, "--budget": budget})
        file = STUDY if study is None else study
        _require_results(file)
        plan = grids.open_study(file, effort)
    else:
        if study is not None:
            raise InputError(f"--study {study!r} and --data {images!r} were given; allowed is one of them")
        file = str(_plan_own(images, name=name, budget=BUDGET if budget is None else budget, given={"effort": effort} | parameters))
        plan = grids.open_study(file, effort)
        typer.echo(scan_summary.say_images(plan))
        if late := scan_summary.say_late_weights(plan, Path(file)):
            typer.echo(late)
    report.check_parameters(_notebooks(plan, None), _for_notebooks(file, effort, parameters))
    _train(plan, workers=workers)
    executed = _execute(plan, file, effort, names=None, parameters=parameters, workers=workers)
    _build(plan, executed)
    if "13_recommendation" in catalog.notebooks(plan):
        typer.echo(f"The model: {results.keep_model(plan)}")
    typer.echo(results.say_agreement(plan.name))


def _refuse_of_own_images(given: dict[str, str | None]) -> None:
    for option, value in given.items():
        if value is not None:
            raise InputError(f"{option} {value!r} was given without --data; it is about a study of somebody's own images")


def _require_results(study: str) -> None:
    """Refuse a study whose results cannot be written, before its images are looked at."""
    files.require_writable(paths.study_results(load_study(study).name), variable=paths.RESULTS_VARIABLE)


def _plan_own(images: str, *, name: str | None, budget: str, given: dict[str, Any]) -> Path:
    """The study file of somebody's own images.

    All else that was given is checked before it is written: it would stay, and refuse the next command with another budget.
    """
    if not images.strip():
        raise InputError(f"--data {images!r} was given; allowed: a folder, a zip or tar archive, or a CSV table")
    require_known(given["effort"], EFFORTS, what="effort")
    file = planned.file_of(Path(images), name=name)
    if not file.is_file():
        report.check_parameters(_files(planner.NOTEBOOKS), {"study": str(file)} | given)
    planner.plan_study(Path(images), name=name, budget=budget)
    typer.echo(f"The plan: study {file.parent.name}, in {file}")
    return file


@app.command()
@_says_what_was_wrong
def train(study: StudyOption = "digits", effort: EffortOption = "default", workers: WorkersOption = None) -> None:
    """Train the runs of a study that its store does not have."""
    _require_results(study)
    _train(grids.open_study(study, effort), workers=workers)


def _train(plan: Plan, *, workers: int | None) -> None:
    chooses = "13_recommendation" in catalog.notebooks(plan)
    typer.echo(forecast.say_outlook(plan, forecast.look_ahead(plan, workers=workers)))
    if chooses:
        typer.echo(search.say_schedule(plan))
    wanted = catalog.everything(plan)
    records = runner.obtain(wanted, study=plan.name, workers=workers)
    failed = len(wanted) - len(records)
    typer.echo(f"{len(records)} runs are recorded" + (f", {failed} failed: see `imagestudy runs failed`." if failed else "."))
    if chooses:
        search.select(plan, workers=workers)


@app.command()
@_says_what_was_wrong
def notebooks(
    names: NamesArgument = None,
    study: StudyOption = "digits",
    effort: EffortOption = "default",
    parameter: ParameterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Execute notebooks with papermill into the study's results."""
    _require_results(study)
    plan = grids.open_study(study, effort)
    for file in _execute(plan, study, effort, names=names, parameters=_parameters(parameter), workers=workers):
        typer.echo(file)


def _notebooks(plan: Plan, names: list[str] | None) -> list[Path]:
    """The files of the named notebooks, or of those that the study has."""
    return _files(names or catalog.notebooks(plan))


def _files(names: Sequence[str]) -> list[Path]:
    known = {file.stem: file for file in sorted(paths.notebooks_folder().glob("[0-9][0-9]_*.ipynb"))}
    return [known[require_known(name, known, what="notebook")] for name in names]


def _parameters(given: list[str] | None) -> dict[str, Any]:
    pairs = [item.partition("=") for item in given or []]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise InputError(f"parameter {name!r} was given; allowed: NAME=VALUE")
    try:
        return {name: yaml.safe_load(value) for name, _, value in pairs}
    except yaml.YAMLError as error:
        raise InputError(f"a parameter's value is not readable as YAML: {' '.join(str(error).split())}") from None


def _for_notebooks(study: str, effort: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Study files elsewhere travel as whole paths: a notebook's kernel may stand in another folder."""
    file = study_file(study)
    named = file.stem if file.parent == paths.studies_folder() else str(file)
    return {"study": named, "effort": effort} | parameters


def _execute(
    plan: Plan, study: str, effort: str, *, names: list[str] | None, parameters: dict[str, Any], workers: int | None
) -> list[Path]:
    chosen = _notebooks(plan, names)
    given = _for_notebooks(study, effort, parameters)
    report.check_parameters(chosen, given)
    typer.echo(f"Executing {len(chosen)} notebooks …")
    output = paths.study_results(plan.name) / "notebooks"
    return report.execute(chosen, output=output, parameters=given, workers=workers or 2, timeout_s=NOTEBOOK_TIMEOUT_SECONDS)


@app.command(name="report")
@_says_what_was_wrong
def make_report(study: StudyOption = "digits", effort: EffortOption = "default") -> None:
    """Write tables and figures and build the site from the notebooks that were executed last."""
    _require_results(study)
    plan = grids.open_study(study, effort)
    executed = [paths.study_results(plan.name) / "notebooks" / file.name for file in _notebooks(plan, None)]
    lacking = [file.name for file in executed if not file.is_file()]
    if lacking:
        raise InputError(f"not executed yet: {', '.join(lacking)}; `imagestudy notebooks` does it")
    _build(plan, executed)


def _build(plan: Plan, executed: list[Path]) -> None:
    folder = paths.study_results(plan.name)
    front = results.write(plan, folder)
    index = report.build_site(
        study=plan.name, title=f"imagestudy: {plan.name}", notebooks=executed, front=front, output=folder / "report"
    )
    typer.echo(f"The report: {index}")


@app.command()
@_says_what_was_wrong
def publish(study: StudyOption = "digits", effort: EffortOption = "full") -> None:
    """Copy a study's results into results/published and renew the README's part about them; for maintainers."""
    plan = grids.open_study(study, effort)
    typer.echo(publishing.publish(plan, names=[file.name for file in _notebooks(plan, None)]))


@app.command()
@_says_what_was_wrong
def datasets() -> None:
    """List the data sets: images, size, classes, imbalance, licence, and whether they are on disk."""
    typer.echo(results.say_datasets())


@app.command()
@_says_what_was_wrong
def weights() -> None:
    """Fetch what pretrained networks start from into the data folder, or say where to get it and where to put it."""
    for model in models.names():
        if name := starting_weights(model):
            typer.echo(f"{model}: {fetch_weights(name)}")


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A saved model's folder, such as results/STUDY/model.")]


@app.command()
@_says_what_was_wrong
def predict(
    model: ModelArgument,
    images: Annotated[Path, typer.Argument(metavar="IMAGES-OR-FOLDER", help="An image, a folder, or a zip or tar archive.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to be written, ending in .csv.")],
    batch: Annotated[int, typer.Option("--batch", min=1, max=predicting.MOST_BATCH, help="Images predicted at a time.")] = 256,
    workers: WorkersOption = None,
) -> None:
    """Predict the classes of images with a saved model, into a table of probabilities."""
    typer.echo(predicting.predict(model, images, output, batch=batch, workers=workers))


@app.command()
@_says_what_was_wrong
def onnx(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to be written, ending in .onnx.")],
) -> None:
    """Write a saved network as ONNX: bytes (batch, side, side, channels) in, probabilities out."""
    typer.echo(inference.write_onnx(model, output))


@app.command()
@_says_what_was_wrong
def bench(seconds: Annotated[float, typer.Option(min=0.1, help="Time for each measurement.")] = 3.0) -> None:
    """Print training speed as ratios within this one run."""
    from imagestudy.training import benchmark

    benchmark.measure(seconds=seconds, say=typer.echo)


def _store(study: str) -> RunStore:
    return RunStore(paths.store_file(grids.open_study(study, "default").name))


@store_app.command(name="list")
@_says_what_was_wrong
def list_runs(study: StudyOption = "digits") -> None:
    """One line a run: id, status."""
    for run_id, status in sorted(_store(study).status().items()):
        typer.echo(f"{run_id} {status}")


@store_app.command(name="failed")
@_says_what_was_wrong
def failed_runs(study: StudyOption = "digits") -> None:
    """Failed runs with their reasons."""
    for failure in _store(study).failures().values():
        typer.echo(str(failure))


@store_app.command()
@_says_what_was_wrong
def retry(study: StudyOption = "digits") -> None:
    """Forget the failed runs, so that the next command trains them anew."""
    store = _store(study)
    failed = list(store.failures())
    if failed:
        store.forget(failed)
    typer.echo(f"{len(failed)} failed runs forgotten.")


@store_app.command()
@_says_what_was_wrong
def prune(study: StudyOption = "digits") -> None:
    """Remove runs that no effort of the study asks for any more."""
    plans = [grids.open_study(study, effort) for effort in EFFORTS]
    asked = [spec for plan in plans for spec in catalog.everything(plan)]
    asked += [spec for plan in plans if "13_recommendation" in catalog.notebooks(plan) for spec in search.possible(plan)]
    wanted = {spec.run_id for spec in runner.with_parents(asked)}
    store = _store(study)
    stale = [run_id for run_id in store.status() if run_id not in wanted]
    if stale:
        store.forget(stale)
    typer.echo(json.dumps({"removed": len(stale), "kept": len(store.status())}))


if __name__ == "__main__":
    main()
