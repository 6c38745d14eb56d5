"""The models: one file a family, and one function that builds any of them for an image's shape and a number of classes."""

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
    """The model with its width set to a budget of parameters, or as it is where it keeps its own size."""
    sized = "step" in models.entry(choice.name).facts and "width" not in choice.options
    return ModelSpec(name=choice.name, options=choice.options, version=choice.version, params=params if sized else None)


def twin(spec: ModelSpec) -> ModelSpec:
    """The PyTorch model of the same layers and sizes; of a PyTorch model, itself."""
    return ModelSpec(name=models.entry(spec.name).facts.get("twin", spec.name), options=spec.options, params=spec.params)


def build(spec: ModelSpec, *, shape: Shape, classes: int) -> Network | KerasNetwork | Classical:
    """Build a model; a network draws its weights from torch's global generator, one in Keras the seeds of its initialisers.

    Args:
        spec: name, options, and the budget of parameters that its width is set to meet within 10 %.
        shape: channels, height and width of an image.
        classes: at least 2.

    Raises:
        InputError: unknown model or option, a width that its parts do not divide, a budget that no width meets, a model in Keras
            where TensorFlow is not installed.
    """
    options = models.options(spec)
    if classes < 2 or min(shape) < 1:
        raise InputError(
            f"model {spec.name!r}: {classes} classes of images {shape} were given; allowed are 2 classes and 1 pixel or more"
        )
    function, facts = models.entry(spec.name).function, models.entry(spec.name).facts
    if "width" in spec.options and options["width"] % facts["step"]:
        raise InputError(f"model {spec.name!r}, width: {options['width']} was given; allowed are multiples of {facts['step']}")
    if spec.params is not None:
        options["width"] = _width(spec, shape, classes)
    return function(shape, classes, **options)


def check_size(spec: ModelSpec, *, shape: Shape, classes: int) -> None:
    """Raise `InputError` unless some width meets the model's budget of parameters on such images."""
    if spec.params is not None:
        _width(spec, shape, classes)


def _width(spec: ModelSpec, shape: Shape, classes: int) -> int:
    if "step" not in models.entry(spec.name).facts:
        raise InputError(f"model {spec.name!r} keeps its own size; params: {spec.params} was given, allowed is none")
    if "width" in spec.options:
        raise InputError(f"model {spec.name!r}: both width and params were given; allowed is one of them")
    return _search(twin(spec).name, tuple(sorted(models.options(spec).items())), spec.params or 0, shape, classes)


@lru_cache(maxsize=256)
def _search(name: str, options: tuple[tuple[str, Any], ...], params: int, shape: Shape, classes: int) -> int:
    entry = models.entry(name)
    others = {k: v for k, v in options if k != "width"}
    builder = partial(entry.function, shape, classes, **others)
    return fitting_width(lambda width: builder(width=width), params, step=entry.facts["step"], name=name)


TOLERANCE = 0.10
"""How far from the budget, as a share of it, a model may land."""

WIDEST = 4096


def fitting_width(build: Callable[[int], Network], params: int, *, step: int, name: str) -> int:
    """The multiple of `step` whose number of parameters is nearest to `params`.

    Args:
        build: width → network, with a number of parameters that grows with the width.
        params: the budget.
        step: the width is a multiple of it, such as the number of heads.
        name: of the model, for the error.

    Raises:
        InputError: no width lands within 10 % of the budget.
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
    """Built under a copy of torch's generator, so that looking for a width leaves the initialisation that follows alone."""
    with torch.random.fork_rng(devices=[]):
        return count_parameters(build(width))
