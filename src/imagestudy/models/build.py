"""Build any registered model for an image shape and a number of classes, at its own size or at a parameter budget."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec
from imagestudy.models.base import Network, Shape, count_parameters, models
from imagestudy.models.classical import Classical
from imagestudy.models.keras import KerasNetwork


def at_budget(choice: Choice, params: int) -> ModelSpec:
    """Return the model with a parameter budget, or without one if its size is fixed or its width is given."""
    sized = "step" in models.entry(choice.name).facts and "width" not in choice.options
    return ModelSpec(**choice.model_dump(include={"name", "options", "version", "source"}), params=params if sized else None)


def twin(spec: ModelSpec) -> ModelSpec:
    """Return the PyTorch model with the same layers and sizes; a PyTorch model is its own twin."""
    return ModelSpec(name=models.entry(spec.name).facts.get("twin", spec.name), options=spec.options, params=spec.params)


def build(spec: ModelSpec, *, shape: Shape, classes: int) -> Network | KerasNetwork | Classical:
    """Build a model.

    A PyTorch network draws its weights from torch's global generator. A Keras network draws the seeds of its initializers from it.

    Args:
        spec: name, options and parameter budget; the width is chosen to meet the budget within 10 %.
        shape: channels, height and width of an image.
        classes: number of classes, at least 2.

    Raises:
        InputError: the model or an option is unknown, the width is not a multiple of the model's step, no width meets the
            budget, or the model needs Keras and TensorFlow is not installed.
    """
    options = models.options(spec)
    if classes < 2 or min(shape) < 1:
        raise InputError(
            f"model {spec.name!r}: {classes} classes and image shape {shape} were given; "
            "needed are at least 2 classes and at least 1 channel, row and column"
        )
    function, facts = models.entry(spec.name).function, models.entry(spec.name).facts
    if "width" in spec.options and options["width"] % facts["step"]:
        raise InputError(f"model {spec.name!r}, width: {options['width']} was given; allowed are multiples of {facts['step']}")
    if spec.params is not None:
        options["width"] = _width(spec, shape, classes)
    return function(shape, classes, **options)


def check_size(spec: ModelSpec, *, shape: Shape, classes: int) -> None:
    """Raise `InputError` if no width meets the model's parameter budget for this image shape and number of classes."""
    if spec.params is not None:
        _width(spec, shape, classes)


def _width(spec: ModelSpec, shape: Shape, classes: int) -> int:
    if "step" not in models.entry(spec.name).facts:
        raise InputError(f"model {spec.name!r} has a fixed size; params: {spec.params} was given; remove params")
    if "width" in spec.options:
        raise InputError(f"model {spec.name!r}: both width and params were given; only one of them is allowed")
    return _search(twin(spec).name, tuple(sorted(models.options(spec).items())), spec.params or 0, shape, classes)


@lru_cache(maxsize=256)
def _search(name: str, options: tuple[tuple[str, Any], ...], params: int, shape: Shape, classes: int) -> int:
    entry = models.entry(name)
    others = {k: v for k, v in options if k != "width"}
    builder = partial(entry.function, shape, classes, **others)
    return fitting_width(lambda width: builder(width=width), params, step=entry.facts["step"], name=name)


TOLERANCE = 0.10
"""The largest allowed difference between parameters and budget, as a fraction of the budget."""

WIDEST = 4096
"""The search stops doubling the width when the budget or this width is reached."""


def fitting_width(build: Callable[[int], Network], params: int, *, step: int, name: str) -> int:
    """Return the multiple of `step` that gives the number of parameters nearest to `params`.

    Args:
        build: width → network; the number of parameters must grow with the width.
        params: the parameter budget.
        step: the width is a multiple of this number, for example the number of attention heads.
        name: name of the model, for the error message.

    Raises:
        InputError: no width gives a number of parameters within 10 % of the budget.
    """
    below, above = 1, 2
    while _count(build, above * step) < params and above * step < WIDEST:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if _count(build, middle * step) <= params else (below, middle)
    counts = {k * step: _count(build, k * step) for k in (below, above)}
    width = min(counts, key=lambda w: (abs(counts[w] - params), w))
    if abs(counts[width] - params) > TOLERANCE * params:
        offered = " or ".join(f"{count:,} (width {w})" for w, count in counts.items())
        raise InputError(f"model {name!r} cannot have {params:,} parameters within {TOLERANCE:.0%}; the nearest are {offered}")
    return width


def _count(build: Callable[[int], Network], width: int) -> int:
    """Return the number of parameters at a width.

    The network is built under a copy of torch's generator, so the search does not change later initializations.
    """
    with torch.random.fork_rng(devices=[]):
        return count_parameters(build(width))
