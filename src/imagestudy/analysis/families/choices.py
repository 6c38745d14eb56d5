"""What a family's notebook is asked to show, checked before anything trains, and the runs that it needs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from imagestudy import data
from imagestudy.core.errors import InputError, require_known
from imagestudy.core.specs import RunSpec
from imagestudy.data import datasets
from imagestudy.experiments import grids
from imagestudy.experiments.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.experiments.records import Records
from imagestudy.models import models

MOST_ERRORS = 60
NO_PROBE = "This study has no probe."


def check(plan: Plan, family: str, *, model: Any, curves: Any, example: Any, errors_shown: Any) -> None:
    """Raise `InputError` unless a family notebook's parameters are allowed, of whatever type they are, before anything trains.

    Args:
        plan: the study at its effort.
        family: of the notebook.
        model: the one inspected; a network of the family.
        curves: networks, at least one, of which training curves are drawn.
        example: number of a training image.
        errors_shown: number of images, at least 1.
    """
    require_known(model, _networks(family), what=f"model of family {family!r}", where="parameter 'model'")
    if not isinstance(curves, list | tuple) or not curves:
        raise InputError(f"parameter 'curves' is {curves!r}; allowed: a list of at least one network")
    for name in curves:
        require_known(name, models.names(kind="neural"), what="network", where="parameter 'curves'")
    _require_number(example, 0, len(_training_part(plan).labels) - 1, parameter="example")
    _require_number(errors_shown, 1, MOST_ERRORS, parameter="errors_shown")


def _networks(family: str) -> tuple[str, ...]:
    """Those that learn from a study's images alone, as the article means it."""
    return models.names(kind="neural", family=family, pretrained=None)


def _require_number(given: Any, low: int, high: int, *, parameter: str) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise InputError(f"parameter {parameter!r} is {given!r}; allowed: whole numbers from {low} to {high}")


def grid(plan: Plan, family: str, *, model: str, curves: Sequence[str]) -> list[RunSpec]:
    """The runs that a family's notebook needs; the article's claims about families are declared together and need all pairs."""
    others = [*DECIDING.values(), *(TRADITIONAL.values() if family in TRADITIONAL else ())]
    names = dict.fromkeys([*_networks(family), *curves, *others])
    return [
        *grids.accuracy(plan, models_=list(names)),
        *grids.overfit(plan, model),
        *grids.ablation(plan, DECIDING[family]),
        *(grids.probe(plan) if family == "rnn" else ()),
    ]


def cells(plan: Plan, records: Records, names: Sequence[str]) -> dict[str, Records]:
    """Name of a model → its runs on balanced training data; models without a finished run are left out."""
    found = {name: records.of(grids.cell(plan, name)) for name in names}
    return {name: cell for name, cell in found.items() if len(cell)}


def _training_part(plan: Plan) -> data.Part:
    return data.prepare(grids.cell(plan, DECIDING["ann"])[0]).train


def example(plan: Plan, number: int) -> UInt8[np.ndarray, "height width channel"]:
    """A training image of the study's first run."""
    return _training_part(plan).images[number]


def class_names(plan: Plan) -> tuple[str, ...]:
    """The names of the study's classes, in label order."""
    return datasets.load(plan.study.dataset).classes


def probe_examples(plan: Plan, *, count: int) -> dict[str, Any]:
    """The first training images of the long-range probe at each of the effort's distances, as arguments of `figures.show_steps`.

    An image's marks and columns are the same at every distance.
    """
    apart = {f"{d} rows": datasets.load(grids.probe_dataset(d)).images[:count] for d in plan.effort.distances}
    first = next(iter(apart))
    return {"images": apart.pop(first), "steps": apart, "first": first}
