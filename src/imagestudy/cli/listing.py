"""Commands that list models, remedies and data sets, fetch pretrained weights, and measure the training speed."""

from typing import Annotated

import typer

from imagestudy.cli.options import Command, StudyOption, says_what_was_wrong


def _load_plugins(study: str | None) -> None:
    if study is not None:
        from imagestudy.experiments.study import load_plugins

        load_plugins(study)


@says_what_was_wrong
def models(study: StudyOption = None) -> None:
    """List the models: family, era, kind, and a description."""
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
    """List the data sets: images, size, classes, imbalance, license, and whether they are on disk."""
    from imagestudy.report.listings import say_datasets

    _load_plugins(study)
    typer.echo(say_datasets())


@says_what_was_wrong
def weights() -> None:
    """Download the weights of pretrained networks to the data folder, or explain how to get them by hand."""
    from imagestudy.models import models as registry
    from imagestudy.models.pretrained import starting_weights
    from imagestudy.models.pretrained_weights import fetch_weights

    for model in registry.names():
        if name := starting_weights(model):
            typer.echo(f"{model}: {fetch_weights(name)}")


@says_what_was_wrong
def bench(seconds: Annotated[float, typer.Option(min=0.1, help="Time for each measurement, in seconds.")] = 3.0) -> None:
    """Measure the training speed and print it as ratios within one measurement."""
    from imagestudy.training import benchmark

    benchmark.measure(seconds=seconds, say=typer.echo)


COMMANDS = (
    Command("models", models, "imagestudy models"),
    Command("remedies", remedies, "imagestudy remedies"),
    Command("datasets", datasets, "imagestudy datasets"),
    Command("weights", weights, "imagestudy weights"),
    Command("bench", bench, "imagestudy bench --seconds 1"),
)
