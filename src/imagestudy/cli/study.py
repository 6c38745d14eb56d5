"""Commands that run a study. `run` combines `train` (the runs), `notebooks` (papermill) and `report` (the site)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imagestudy.cli.options import (
    Command,
    EffortOption,
    ParameterOption,
    StudyArgument,
    StudyOption,
    WorkersOption,
    one_study,
    says_what_was_wrong,
)

if TYPE_CHECKING:
    from imagestudy.experiments.grids import Plan

NOTEBOOK_TIMEOUT_SECONDS = 6 * 3_600
BUDGET = "30m"


@says_what_was_wrong
def run(
    position: StudyArgument = None,
    study: StudyOption = None,
    effort: EffortOption = "default",
    workers: WorkersOption = None,
    parameter: ParameterOption = None,
    images: Annotated[
        str | None, typer.Option("--data", help="Your images: a folder, a zip or tar archive, or a CSV table.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the study of your images. Default: the folder's name.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time for the study of your images, such as 90s, 30m or 2h.", show_default=BUDGET)
    ] = None,
) -> None:
    """Train the missing runs, execute the notebooks, build the report, and compare the results with the published ones."""
    from imagestudy import report
    from imagestudy.analysis import catalog
    from imagestudy.analysis.recommendation import scan_summary
    from imagestudy.core.errors import InputError
    from imagestudy.report import results

    parameters = _parameters(parameter)
    if images is None:
        _refuse_own_image_options({"--name": name, "--budget": budget})
        file = one_study(position, study)
        plan = _open(file, effort)
    else:
        if given := position or study:
            raise InputError(f"study {given!r} and --data {images!r} were given; give only one of them")
        file = str(_plan_own(images, name=name, budget=BUDGET if budget is None else budget, given={"effort": effort} | parameters))
        plan = _open(file, effort)
        typer.echo(scan_summary.say_images(plan))
        if late := scan_summary.say_late_weights(plan, Path(file)):
            typer.echo(late)
    report.check_parameters(_notebooks(plan, None), _for_notebooks(file, effort, parameters))
    _train(plan, workers=workers)
    executed = _execute(plan, file, effort, names=None, parameters=parameters, workers=workers)
    _build(plan, executed)
    if "recommendation" in catalog.asked(plan):
        typer.echo(f"The model: {results.keep_model(plan)}")
    typer.echo(results.say_agreement(plan.name))


def _refuse_own_image_options(given: dict[str, str | None]) -> None:
    from imagestudy.core.errors import InputError

    for option, value in given.items():
        if value is not None:
            raise InputError(f"{option} {value!r} was given without --data; it applies only to a study of your own images")


def _open(study: str, effort: str) -> "Plan":
    """Check that the results of a study can be written, print a note about old keys, and return the plan of the study."""
    from imagestudy.core import files, paths
    from imagestudy.experiments import grids
    from imagestudy.experiments.study import load_study, old_keys

    files.require_writable(paths.study_results(load_study(study).name), variable=paths.RESULTS_VARIABLE)
    if renamed := old_keys(study):
        typer.echo(f"Note: {study} uses keys of an older version, which still work: {', '.join(renamed)}", err=True)
    return grids.open_study(study, effort)


def _plan_own(images: str, *, name: str | None, budget: str, given: dict[str, Any]) -> Path:
    """Write the study file for the user's own images and return its path.

    All other options are checked first. Otherwise, a wrong option would leave a plan behind, and the next command with another
    budget would be refused.
    """
    from imagestudy import report
    from imagestudy.analysis import catalog
    from imagestudy.core.errors import InputError, require_known
    from imagestudy.experiments.planning import planner, study_file
    from imagestudy.experiments.study import EFFORTS

    if not images.strip():
        raise InputError(f"--data {images!r} was given; allowed: a folder, a zip or tar archive, or a CSV table")
    require_known(given["effort"], EFFORTS, what="effort")
    file = study_file.file_of(Path(images), name=name)
    if not file.is_file():
        report.check_parameters([catalog.notebook_of(one) for one in planner.QUESTIONS], {"study": str(file)} | given)
    planner.plan_study(Path(images), name=name, budget=budget)
    typer.echo(f"The plan: study {file.parent.name}, in {file}")
    return file


@says_what_was_wrong
def train(
    position: StudyArgument = None, study: StudyOption = None, effort: EffortOption = "default", workers: WorkersOption = None
) -> None:
    """Train the runs that are missing in the store of a study."""
    _train(_open(one_study(position, study), effort), workers=workers)


def _train(plan: "Plan", *, workers: int | None) -> None:
    from imagestudy.analysis import catalog
    from imagestudy.experiments import runner
    from imagestudy.experiments.planning import forecast

    typer.echo(forecast.say_forecast(plan, catalog.look_ahead(plan, workers=workers)))
    for stages in catalog.stages_of(plan):
        typer.echo(stages.describe(plan))
    wanted = {runner.stamp(spec).run_id for spec in catalog.train(plan, workers=workers)}
    failed = len(wanted & set(runner.failures(plan.name)))
    recorded = len(wanted) - failed
    typer.echo(
        f"{recorded} {'run is' if recorded == 1 else 'runs are'} recorded"
        + (f", {failed} failed: see `imagestudy runs failed`." if failed else ".")
    )


@says_what_was_wrong
def notebooks(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Questions or notebooks, such as class_imbalance. Default: all questions of the study."),
    ] = None,
    study: StudyOption = None,
    effort: EffortOption = "default",
    parameter: ParameterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Execute notebooks with papermill and write them to the study's results."""
    file = one_study(None, study)
    plan = _open(file, effort)
    for executed in _execute(plan, file, effort, names=names, parameters=_parameters(parameter), workers=workers):
        typer.echo(executed)


def _notebooks(plan: "Plan", names: Sequence[str] | None) -> list[Path]:
    """Return the notebooks of the named questions, or of all questions of the study."""
    from imagestudy.analysis import catalog

    return [catalog.notebook_of(catalog.resolve(name)) for name in names or catalog.asked(plan)]


def _parameters(given: list[str] | None) -> dict[str, Any]:
    import yaml

    from imagestudy.core.errors import InputError

    pairs = [item.partition("=") for item in given or []]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise InputError(f"parameter {name!r} was given; allowed: NAME=VALUE")
    try:
        return {name: yaml.safe_load(value) for name, _, value in pairs}
    except yaml.YAMLError as error:
        raise InputError(f"a parameter's value is not readable as YAML: {' '.join(str(error).split())}") from None


def _for_notebooks(study: str, effort: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of every notebook.

    A study file outside the studies folder is given by its full path, because a kernel can run in another folder.
    """
    from imagestudy.core import paths
    from imagestudy.experiments.study import study_file

    file = study_file(study)
    named = file.stem if file.parent == paths.studies_folder() else str(file)
    return {"study": named, "effort": effort} | parameters


def _execute(
    plan: "Plan", study: str, effort: str, *, names: list[str] | None, parameters: dict[str, Any], workers: int | None
) -> list[Path]:
    from imagestudy import report
    from imagestudy.core import paths

    chosen = _notebooks(plan, names)
    given = _for_notebooks(study, effort, parameters)
    report.check_parameters(chosen, given)
    typer.echo(f"Executing {len(chosen)} notebook{'s' if len(chosen) != 1 else ''} …")
    output = paths.study_results(plan.name) / "notebooks"
    return report.execute(chosen, output=output, parameters=given, workers=workers or 2, timeout_s=NOTEBOOK_TIMEOUT_SECONDS)


@says_what_was_wrong
def make_report(position: StudyArgument = None, study: StudyOption = None, effort: EffortOption = "default") -> None:
    """Write tables and figures, and build the site from the notebooks that were executed last."""
    from imagestudy.core import paths
    from imagestudy.core.errors import InputError

    plan = _open(one_study(position, study), effort)
    executed = [paths.study_results(plan.name) / "notebooks" / file.name for file in _notebooks(plan, None)]
    lacking = [file.name for file in executed if not file.is_file()]
    if lacking:
        raise InputError(f"not executed yet: {', '.join(lacking)}; execute them with `imagestudy notebooks`")
    _build(plan, executed)


def _build(plan: "Plan", executed: list[Path]) -> None:
    from imagestudy import report
    from imagestudy.core import paths
    from imagestudy.report import results

    folder = paths.study_results(plan.name)
    front = results.write(plan, folder)
    index = report.build_site(
        study=plan.name, title=f"imagestudy: {plan.name}", notebooks=executed, front=front, output=folder / "report"
    )
    typer.echo(f"The report: {index}")


@says_what_was_wrong
def publish(position: StudyArgument = None, study: StudyOption = None, effort: EffortOption = "full") -> None:
    """Copy the results of a study to results/published and update the pages about them; for maintainers."""
    from imagestudy.report.publish import publish as publish_plan

    plan = _open(one_study(position, study), effort)
    typer.echo(publish_plan(plan, names=[file.name for file in _notebooks(plan, None)]))


COMMANDS = (
    Command("run", run, "imagestudy run digits --effort smoke, or imagestudy run --data my/images --budget 30m"),
    Command("train", train, "imagestudy train my/study.yaml --effort full --workers 8"),
    Command("notebooks", notebooks, "imagestudy notebooks class_imbalance --study digits -p 'ratios=[20]'"),
    Command("report", make_report, "imagestudy report digits --effort default"),
    Command("publish", publish, "imagestudy publish digits --effort full"),
)
