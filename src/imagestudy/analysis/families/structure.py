"""The structure of a model: how it sees an image, its layers, and its number of parameters."""

import numpy as np
import pandas as pd

from imagestudy import data
from imagestudy.analysis import comparisons
from imagestudy.core.specs import ModelSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.models import complexity, views

VIEWS = {"ann": "vector", "cnn": "grid", "rnn": "rows", "transformer": "patches"}
"""Family → the name of its view of an image in `figures.draw_view`."""


def say_view(plan: Plan, family: str) -> str:
    """Describe in numbers how a family sees an image of the study."""
    channels, height, width = data.image_shape(plan.study.dataset)
    tall, wide, band = views.reduction(height), views.reduction(width), views.band(height)
    rows, columns, steps = views.positions(height, tall), views.positions(width, wide), views.positions(height, band)
    tokens = rows * columns
    seen = {
        "ann": f"one vector of {channels * height * width:,} numbers. Every hidden unit has a weight for each of them",
        "cnn": f"a grid of {height} × {width} positions. Strides or pooling shrink it to {rows} × {columns}",
        "rnn": f"a sequence of {steps} time steps with {channels * band * width:,} numbers each",
        "transformer": f"{tokens} patches of {channels * tall * wide} numbers. Each attention head computes a weight for each of "
        f"{tokens} × {tokens} = {tokens**2:,} pairs of patches",
    }
    return f"An image of {height} × {width} pixels becomes {seen[family]}."


def _layers(plan: Plan, spec: ModelSpec) -> list[complexity.Layer]:
    return complexity.layers(spec, shape=data.image_shape(plan.study.dataset), classes=data.class_count(plan.study.dataset))


def size_of(plan: Plan, spec: ModelSpec) -> int:
    """Return the number of trained parameters of a model."""
    return sum(layer.parameters for layer in _layers(plan, spec))


def layers(plan: Plan, model: str) -> pd.DataFrame:
    """Tabulate the layers in the order in which an image passes them: `layer`, `kind`, `output` and `parameters`."""
    found = _layers(plan, grids.model_spec(plan, model))
    rows = [(one.name, one.kind, " × ".join(map(str, one.output)), one.parameters) for one in found]
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def find_extreme(frame: pd.DataFrame, column: str, *, least: bool = False) -> pd.Series:
    """Return the row with the largest (or smallest) value in a column; the first one if there are several."""
    values = frame[column].to_numpy()
    return frame.iloc[int(values.argmin() if least else values.argmax())]


def say_size(frame: pd.DataFrame, model: str) -> str:
    """Say how many parameters a model has, and which layer has the most."""
    total, largest = int(frame["parameters"].sum()), find_extreme(frame, "parameters")
    share = largest["parameters"] / total
    return f"{model} has {total:,} trained parameters. The largest layer, {largest['layer']}, holds {100 * share:.0f} % of them."


def say_sharing(plan: Plan, frame: pd.DataFrame) -> str:
    """Say how many weights the first convolution saves by sharing them across positions; empty if the model has no convolution."""
    convolutions = frame[frame["kind"] == "Conv2d"]
    if convolutions.empty:
        return ""
    first, inputs = convolutions.iloc[0], int(np.prod(data.image_shape(plan.study.dataset)))
    outputs = int(np.prod([int(n) for n in str(first["output"]).split(" × ")]))
    return (
        f"The first convolution computes {outputs:,} numbers from {inputs:,} with {first['parameters']:,} parameters. "
        f"Connecting every input with every output would take {inputs * outputs:,} weights, "
        f"{inputs * outputs / first['parameters']:,.0f} times as many."
    )


def sizes(plan: Plan, members: dict[str, Records]) -> pd.DataFrame:
    """Summarize the accuracy of models (see `comparisons.summarize`), with the column `parameters`."""
    frames = [
        comparisons.summarize(cell, score="accuracy").assign(parameters=size_of(plan, grids.model_spec(plan, name)))
        for name, cell in members.items()
    ]
    return pd.concat(frames, ignore_index=True)
