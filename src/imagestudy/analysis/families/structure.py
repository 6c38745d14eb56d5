"""How a model is built: what it makes of an image, its layers, and how large it is."""

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
"""Family → how it sees an image, as `figures.draw_view` names it."""


def say_view(plan: Plan, family: str) -> str:
    """What a family makes of an image of the study, in numbers."""
    channels, height, width = data.image_shape(plan.study.dataset)
    tall, wide, band = views.reduction(height), views.reduction(width), views.band(height)
    rows, columns, steps = views.positions(height, tall), views.positions(width, wide), views.positions(height, band)
    tokens = rows * columns
    seen = {
        "ann": f"one vector of {channels * height * width:,} numbers, and every hidden unit has a weight for each of them",
        "cnn": f"a grid of {height} × {width} positions, which strides or pooling shrink to {rows} × {columns}",
        "rnn": f"a sequence of {steps} time steps, each of {channels * band * width:,} numbers",
        "transformer": f"{tokens} patches of {channels * tall * wide} numbers, and attention weighs {tokens} × {tokens} = "
        f"{tokens**2:,} pairs of them in every head",
    }
    return f"An image of {height} × {width} pixels becomes {seen[family]}."


def _layers(plan: Plan, spec: ModelSpec) -> list[complexity.Layer]:
    return complexity.layers(spec, shape=data.image_shape(plan.study.dataset), classes=data.class_count(plan.study.dataset))


def size_of(plan: Plan, spec: ModelSpec) -> int:
    """The number of a model's trained parameters."""
    return sum(layer.parameters for layer in _layers(plan, spec))


def layers(plan: Plan, model: str) -> pd.DataFrame:
    """One row a layer, in the order in which an image passes them: layer, kind, output, parameters."""
    found = _layers(plan, grids.model_spec(plan, model))
    rows = [(one.name, one.kind, " × ".join(map(str, one.output)), one.parameters) for one in found]
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def find_extreme(frame: pd.DataFrame, column: str, *, least: bool = False) -> pd.Series:
    """The row in which a column is largest, or smallest; the first of several."""
    values = frame[column].to_numpy()
    return frame.iloc[int(values.argmin() if least else values.argmax())]


def say_size(frame: pd.DataFrame, model: str) -> str:
    """How many parameters a model has, and where most of them are."""
    total, largest = int(frame["parameters"].sum()), find_extreme(frame, "parameters")
    share = largest["parameters"] / total
    return (
        f"{model} has {total:,} trained parameters; the layer with the most, {largest['layer']}, holds {100 * share:.0f} % of them."
    )


def say_sharing(plan: Plan, frame: pd.DataFrame) -> str:
    """What it saves that the first convolution has the same weights at every position; empty if there is none."""
    convolutions = frame[frame["kind"] == "Conv2d"]
    if convolutions.empty:
        return ""
    first, inputs = convolutions.iloc[0], int(np.prod(data.image_shape(plan.study.dataset)))
    outputs = int(np.prod([int(n) for n in str(first["output"]).split(" × ")]))
    return (
        f"The first convolution gives {outputs:,} numbers from {inputs:,} with {first['parameters']:,} parameters; connecting each "
        f"to each would take {inputs * outputs:,} weights, {inputs * outputs / first['parameters']:,.0f} times as many."
    )


def sizes(plan: Plan, members: dict[str, Records]) -> pd.DataFrame:
    """`compare.summarize` of models in accuracy, with the column `parameters` beside it."""
    frames = [
        comparisons.summarize(cell, score="accuracy").assign(parameters=size_of(plan, grids.model_spec(plan, name)))
        for name, cell in members.items()
    ]
    return pd.concat(frames, ignore_index=True)
