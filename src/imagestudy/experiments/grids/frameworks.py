"""Runs that compare the same models in PyTorch and Keras: trained in pairs, and measured in alternating order."""

from collections.abc import Sequence
from typing import Any

from imagestudy.core.specs import Choice, ProfileSpec, RunSpec
from imagestudy.experiments.grids.cells import DECIDING, Plan, cell, imbalanced_profiles, remedy_of, training_of
from imagestudy.models import models
from imagestudy.models.keras import is_installed

TWINS = {models.entry(name).facts["twin"]: name for name in models.names(kind="keras")}
"""PyTorch model → the same model in Keras."""
TWIN_REMEDIES = ("balanced_sampler", "class_weights", "balanced_softmax", "logit_adjustment")
"""Remedies for the deciding CNN in both frameworks. One changes the sampling, two change the loss, one changes the predictions."""


def twin_cell(plan: Plan, model: str, **fields: Any) -> list[RunSpec]:
    """Return the runs of one cell. A Keras model takes the training recipe of its PyTorch twin."""
    training = training_of(plan, models.entry(model).facts.get("twin", model))
    return [spec.with_(training=training) for spec in cell(plan, model, **fields)]


def twins(plan: Plan, *, remedies_: Sequence[str] = TWIN_REMEDIES) -> list[RunSpec]:
    """Return the runs of all twins with plain training, and of the deciding CNN with remedies.

    Plain training uses balanced data and the first imbalanced profile. The remedies use only the latter.
    """
    profiles = imbalanced_profiles(plan)[:1]
    none = Choice(name="none")
    cells = [(name, one, none) for one in (ProfileSpec(), *profiles) for pair in TWINS.items() for name in pair]
    deciding = (DECIDING["cnn"], TWINS[DECIDING["cnn"]])
    cells += [(name, one, remedy_of(plan, how)) for one in profiles for how in remedies_ for name in deciding]
    return [spec for name, profile, how in cells for spec in twin_cell(plan, name, profile=profile, remedy=how)]


def twin_costs(plan: Plan) -> list[RunSpec]:
    """Return the cost and startup measurements of the twins, in rounds.

    The order of the two frameworks alternates between rounds, so that a drift of the machine affects both equally. Each round has
    its own seed. None of these seeds is the seed of the measurements in `accuracy.costs`.
    """
    measured = [pair for pair in TWINS.items() if plan.effort.accuracy.costs is None or pair[0] in plan.effort.accuracy.costs]
    return [
        spec
        for number in range(1, (plan.effort.runs + 1) // 2 + 1)
        for pair in measured
        for kind in ("cost", "start")
        for spec in (_measured(plan, name, kind, number) for name in (pair if number % 2 else pair[::-1]))
    ]


def _measured(plan: Plan, model: str, kind: str, number: int) -> RunSpec:
    """Return one measurement of a round. A `start` ends after the first batch."""
    spec = twin_cell(plan, model)[0].with_(kind=kind, seed=number)
    if kind != "start":
        return spec
    return spec.with_(training=spec.training.model_copy(update={"images_seen": spec.training.batch}))


def frameworks(plan: Plan) -> list[RunSpec]:
    """Return the runs and the measurements of the twins; empty if TensorFlow is not installed."""
    return [*twins(plan), *twin_costs(plan)] if is_installed() else []
