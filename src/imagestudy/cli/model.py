"""Commands that use a saved model."""

from pathlib import Path
from typing import Annotated

import typer

from imagestudy.cli.options import Command, ModelArgument, WorkersOption, says_what_was_wrong

PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that the saved model needs. Its code is executed.")
]


@says_what_was_wrong
def predict(
    model: ModelArgument,
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="An image, a folder, or a zip or tar archive.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, ending in .csv.")],
    batch: Annotated[int, typer.Option("--batch", min=1, max=4_096, help="Number of images that are predicted at a time.")] = 256,
    workers: WorkersOption = None,
    plugin: PluginOption = None,
) -> None:
    """Predict the classes of images with a saved model, and write a table of probabilities."""
    from imagestudy.core import plugins
    from imagestudy.inference import predict as predicting

    plugins.load(plugin or [])
    typer.echo(predicting.predict(model, images, output, batch=batch, workers=workers))


@says_what_was_wrong
def onnx(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, ending in .onnx.")],
    plugin: PluginOption = None,
) -> None:
    """Export a saved network to ONNX. Its input is bytes (batch, side, side, channels), its output is probabilities."""
    from imagestudy import inference
    from imagestudy.core import plugins

    plugins.load(plugin or [])
    typer.echo(inference.write_onnx(model, output))


COMMANDS = (
    Command("predict", predict, "imagestudy predict results/images/model new/images -o predictions.csv"),
    Command("onnx", onnx, "imagestudy onnx results/images/model -o model.onnx"),
)
