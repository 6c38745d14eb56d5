"""Runs of all models on balanced data: for their accuracy, learning rate, longer training, and cost."""

from collections.abc import Sequence

from imagestudy.core.specs import TRIAL_SEED, Choice, ProfileSpec, RunSpec
from imagestudy.experiments.grids.cells import Plan, cell, imbalanced_profiles, members, model_spec, remedies_of, remedy_of
from imagestudy.models import models
from imagestudy.remedies import remedy

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
"""The learning rates that are tried for the recipe that all networks share."""
LONGER = 3
"""The budget of longer training, as a multiple of the normal budget."""


def accuracy(plan: Plan, *, models_: Sequence[str] | None = None) -> list[RunSpec]:
    """Return the runs of every model on balanced training data, with plain training."""
    names = plan.study.models if models_ is None else models_
    return [spec for name in names for spec in cell(plan, name)]


def all_members(plan: Plan) -> list[RunSpec]:
    """Return the runs on balanced training data of every model that decides a claim."""
    return accuracy(plan, models_=members(plan))


def recipes(plan: Plan) -> list[RunSpec]:
    """Return trials of every network at every learning rate, on balanced data and under the first imbalanced profile.

    The seeds of the trials are never reported.
    """
    networks = [name for name in members(plan) if models.entry(name).facts["kind"] == "neural"]
    profiles = [ProfileSpec(), *imbalanced_profiles(plan)[:1]]
    seen = plan.effort.accuracy.trial_images or plan.training.images_seen
    return [
        RunSpec(
            dataset=plan.study.dataset,
            training=plan.training.model_copy(update={"learning_rate": rate, "images_seen": seen}),
            model=model_spec(plan, name),
            profile=profile,
            seed=TRIAL_SEED + number,
            kind="trial",
        )
        for name in networks
        for profile in profiles
        for rate in RATES
        for number in range(plan.effort.accuracy.trials)
    ]


def longer(plan: Plan) -> list[RunSpec]:
    """Return runs with `LONGER` times the images seen, on balanced data, for the networks that the effort names.

    The learning-rate schedule is stretched to the longer training.
    """
    return [
        spec.with_(training=spec.training.model_copy(update={"images_seen": LONGER * spec.training.images_seen}))
        for name in plan.effort.accuracy.longer
        for spec in cell(plan, name)
    ]


def costs(plan: Plan) -> list[RunSpec]:
    """Return one measurement of time and memory per model, and one per remedy for the models under `imbalance.costs`.

    The remedies are measured under the first profile.
    """
    return model_costs(plan) + [cell[0].with_(kind="cost") for cell in _remedy_cells(plan)]


def model_costs(plan: Plan) -> list[RunSpec]:
    """Return one measurement of time and memory per model, with plain training."""
    names = plan.study.models if plan.effort.accuracy.costs is None else plan.effort.accuracy.costs
    return [cell(plan, name)[0].with_(kind="cost") for name in names]


def _remedy_cells(plan: Plan) -> list[list[RunSpec]]:
    return [
        cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
        for profile in plan.study.profiles[:1]
        for model in plan.effort.imbalance.costs
        for name in remedies_of(plan, model, whole=plan.effort.imbalance.whole > 0)
        if trains_once(name)
    ]


def trains_once(name: str) -> bool:
    """Return whether a remedy is one training run of its own, neither computed from other runs nor selected among them."""
    found = remedy(Choice(name=name))
    return found.posthoc is None and found.members == 1 and not found.trials
