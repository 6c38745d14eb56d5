"""Check the parameters of a family notebook before anything trains, and list the runs that it needs."""

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
    """Check the parameters of a family notebook before anything trains. They may have any type.

    Args:
        plan: the study at its effort.
        family: the family of the notebook.
        model: the network to inspect, a member of the family.
        curves: the networks whose training curves are drawn, at least one.
        example: the index of a training image.
        errors_shown: the maximum number of misclassified images shown, at least 1.

    Raises:
        InputError: if a parameter is not allowed.
    """
    require_known(model, _networks(family), what=f"model of family {family!r}", where="parameter 'model'")
    if not isinstance(curves, list | tuple) or not curves:
        raise InputError(f"parameter 'curves' is {curves!r}; allowed: a list with at least one network")
    for name in curves:
        require_known(name, models.names(kind="neural"), what="network", where="parameter 'curves'")
    _require_number(example, 0, len(_training_part(plan).labels) - 1, parameter="example")
    _require_number(errors_shown, 1, MOST_ERRORS, parameter="errors_shown")


def _networks(family: str) -> tuple[str, ...]:
    """Return the networks of a family that are trained from scratch, on the images of the study alone."""
    return models.names(kind="neural", family=family, pretrained=None)


def _require_number(given: Any, low: int, high: int, *, parameter: str) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise InputError(f"parameter {parameter!r} is {given!r}; allowed: whole numbers from {low} to {high}")


def needs(plan: Plan, family: str, *, model: str = "", curves: Sequence[str] = ()) -> list[RunSpec]:
    """List the runs that a family notebook needs.

    The article's claims about the families are corrected together for multiple comparisons. The modern and traditional members of
    all families are therefore included.

    Args:
        plan: the study at its effort.
        family: ann, cnn, rnn or transformer.
        model: the network to inspect. The default is the family's deciding member.
        curves: additional networks whose training curves are drawn.
    """
    model = model or DECIDING[family]
    others = [*DECIDING.values(), *(TRADITIONAL.values() if family in TRADITIONAL else ())]
    names = dict.fromkeys([*_networks(family), *curves, *others])
    return [
        *grids.accuracy(plan, models_=list(names)),
        *grids.overfit(plan, model),
        *grids.ablation(plan, DECIDING[family]),
        *(grids.probe(plan) if family == "rnn" else ()),
    ]


def cells(plan: Plan, records: Records, names: Sequence[str]) -> dict[str, Records]:
    """Return the runs of each model on balanced training data, by model name. Models without a finished run are left out."""
    found = {name: records.of(grids.cell(plan, name)) for name in names}
    return {name: cell for name, cell in found.items() if len(cell)}


def _training_part(plan: Plan) -> data.Part:
    return data.prepare(grids.cell(plan, DECIDING["ann"])[0]).train


def example(plan: Plan, number: int) -> UInt8[np.ndarray, "height width channel"]:
    """Return a training image of the first run of the study."""
    return _training_part(plan).images[number]


def class_names(plan: Plan) -> tuple[str, ...]:
    """Return the names of the classes, in label order."""
    return datasets.load(plan.study.dataset).classes


def probe_examples(plan: Plan, *, count: int) -> dict[str, Any]:
    """Return the first images of the long-range probe at each distance of the effort, as arguments of `figures.show_steps`.

    The marks of an image and their columns are the same at every distance.
    """
    apart = {f"{d} rows": datasets.load(grids.probe_dataset(d)).images[:count] for d in plan.effort.families.distances}
    first = next(iter(apart))
    return {"images": apart.pop(first), "steps": apart, "first": first}
