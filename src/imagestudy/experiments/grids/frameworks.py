"""The same CNN in PyTorch and in Keras: trained in pairs, and measured in turn."""

from collections.abc import Sequence
from typing import Any

from imagestudy.core.specs import Choice, ProfileSpec, RunSpec
from imagestudy.experiments.grids.cells import DECIDING, Plan, cell, imbalanced_profiles, remedy_of, training_of
from imagestudy.models import models
from imagestudy.models.keras import is_installed

TWINS = {models.entry(name).facts["twin"]: name for name in models.names(kind="keras")}
"""PyTorch model → the same model in Keras."""
TWIN_REMEDIES = ("balanced_sampler", "class_weights", "balanced_softmax", "logit_adjustment")
"""Remedies under which the deciding CNN is trained in both frameworks: what the learner sees, pays (two) and says."""


def twin_cell(plan: Plan, model: str, **fields: Any) -> list[RunSpec]:
    """The runs of one cell of a Keras model, with the recipe of its PyTorch twin; of any other model, `cell`."""
    training = training_of(plan, models.entry(model).facts.get("twin", model))
    return [spec.with_(training=training) for spec in cell(plan, model, **fields)]


def twins(plan: Plan, *, remedies_: Sequence[str] = TWIN_REMEDIES) -> list[RunSpec]:
    """Each twin plain, balanced and under the first imbalanced profile, and there the deciding CNN with remedies."""
    profiles = imbalanced_profiles(plan)[:1]
    none = Choice(name="none")
    cells = [(name, one, none) for one in (ProfileSpec(), *profiles) for pair in TWINS.items() for name in pair]
    deciding = (DECIDING["cnn"], TWINS[DECIDING["cnn"]])
    cells += [(name, one, remedy_of(plan, how)) for one in profiles for how in remedies_ for name in deciding]
    return [spec for name, profile, how in cells for spec in twin_cell(plan, name, profile=profile, remedy=how)]


def twin_costs(plan: Plan) -> list[RunSpec]:
    """Costs and starts of the twins, in turn: who comes first changes with the round, so that a drift meets both alike.

    A round has a seed of its own; that of the costs that are measured once is none of them.
    """
    priced = [pair for pair in TWINS.items() if plan.effort.accuracy.costs is None or pair[0] in plan.effort.accuracy.costs]
    return [
        spec
        for number in range(1, (plan.effort.runs + 1) // 2 + 1)
        for pair in priced
        for kind in ("cost", "start")
        for spec in (_measured(plan, name, kind, number) for name in (pair if number % 2 else pair[::-1]))
    ]


def _measured(plan: Plan, model: str, kind: str, number: int) -> RunSpec:
    """One measurement of a round; a start ends with the first batch."""
    spec = twin_cell(plan, model)[0].with_(kind=kind, seed=number)
    if kind != "start":
        return spec
    return spec.with_(training=spec.training.model_copy(update={"images_seen": spec.training.batch}))


def frameworks(plan: Plan) -> list[RunSpec]:
    """The twins and what they cost; nothing where there is no TensorFlow to train half of them."""
    return [*twins(plan), *twin_costs(plan)] if is_installed() else []
