"""Commands that list what there is, and fetch or measure it."""

from typing import Annotated

import typer

from imagestudy.cli.options import Command, StudyOption, says_what_was_wrong


def _load_plugins(study: str | None) -> None:
    if study is not None:
        from imagestudy.experiments.study import load_plugins

        load_plugins(study)


@says_what_was_wrong
def models(study: StudyOption = None) -> None:
    """List the models: family, kind, and what each is."""
    from imagestudy.models import models as registry
    from imagestudy.report.listings import say_entries

    _load_plugins(study)
    typer.echo(say_entries(registry, ("family", "era", "kind")))


@says_what_was_wrong
def remedies(study: StudyOption = None) -> None:
    """List the remedies for class imbalance: title, where each acts, and its source."""
    from imagestudy.remedies import remedies as registry
    from imagestudy.report.listings import say_entries

    _load_plugins(study)
    typer.echo(say_entries(registry, ("title", "acts", "source")))


@says_what_was_wrong
def datasets(study: StudyOption = None) -> None:
    """List the data sets: images, size, classes, imbalance, licence, and whether they are on disk."""
    from imagestudy.report.listings import say_datasets

    _load_plugins(study)
    typer.echo(say_datasets())


@says_what_was_wrong
def weights() -> None:
    """Fetch the weights of pretrained networks into the data folder, or say where to get them and where to put them."""
    from imagestudy.models import models as registry
    from imagestudy.models.pretrained import starting_weights
    from imagestudy.models.pretrained_weights import fetch_weights

    for model in registry.names():
        if name := starting_weights(model):
            typer.echo(f"{model}: {fetch_weights(name)}")


@says_what_was_wrong
def bench(seconds: Annotated[float, typer.Option(min=0.1, help="Time for each measurement, in seconds.")] = 3.0) -> None:
    """Print training speed as ratios within one run."""
    from imagestudy.training import benchmark

    benchmark.measure(seconds=seconds, say=typer.echo)


COMMANDS = (
    Command("models", models, "imagestudy models"),
    Command("remedies", remedies, "imagestudy remedies"),
    Command("datasets", datasets, "imagestudy datasets"),
    Command("weights", weights, "imagestudy weights"),
    Command("bench", bench, "imagestudy bench --seconds 1"),
)
