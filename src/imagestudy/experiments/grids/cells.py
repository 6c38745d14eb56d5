"""Build the cells of a study, and list its models, profiles and remedies.

A cell is one model at its parameter budget under one profile and one remedy, with every seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagestudy import data
from imagestudy.core.errors import InputError, place
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.experiments.study import Effort, Study
from imagestudy.models import at_budget, models
from imagestudy.models.families import DECIDING, TRADITIONAL
from imagestudy.training import followed_remedies

LISTING = "article"


@dataclass(frozen=True)
class Plan:
    """A checked study at one effort."""

    study: Study
    effort: Effort

    @property
    def name(self) -> str:
        """The name of the study and of its results folder."""
        return self.study.name

    @property
    def is_redrawn(self) -> bool:
        """Whether every run has its own split because the dataset has no test set."""
        return data.is_redrawn(self.study.dataset)

    @property
    def training(self) -> TrainingSpec:
        """The training recipe of the study with the budget of the effort."""
        seen = self.effort.images_seen
        return self.study.training if seen is None else self.study.training.model_copy(update={"images_seen": seen})


def training_of(plan: Plan, model: str) -> TrainingSpec:
    """Return the training recipe of a model, with the model's own learning rate if the study or the model defines one."""
    rate = plan.study.learning_rates.get(model, models.entry(model).facts.get("learning_rate"))
    return plan.training if rate is None else plan.training.model_copy(update={"learning_rate": rate})


def model_spec(plan: Plan, name: str, **options: Any) -> ModelSpec:
    """Return the model at the study's parameter budget. Classical and traditional models keep their own size."""
    return at_budget(Choice(name=name, options=options), plan.study.params)


def repeat(plan: Plan, spec: RunSpec) -> list[RunSpec]:
    """Return the run with every seed. Each seed has its own split if the study's dataset has no test set."""
    redrawn = plan.is_redrawn and spec.dataset == plan.study.dataset
    return [spec.with_(seed=seed, split=seed if redrawn else None) for seed in range(plan.effort.runs)]


def cell(plan: Plan, model: str, **fields: Any) -> list[RunSpec]:
    """Return the runs of one cell: a model with every seed.

    `fields` set the other parts of the spec, such as `profile`, `remedy`, `preprocessing` and the `options` of the model.
    """
    options = fields.pop("options", {})
    training = training_of(plan, model)
    return repeat(plan, RunSpec(dataset=plan.study.dataset, training=training, model=model_spec(plan, model, **options), **fields))


def members(plan: Plan) -> tuple[str, ...]:
    """Return the study's models and the models that decide the claims, whether or not the study lists them."""
    return tuple(dict.fromkeys((*plan.study.models, *DECIDING.values(), *TRADITIONAL.values(), LISTING)))


def imbalanced_profiles(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[ProfileSpec]:
    """Return the imbalanced profiles that the effort runs, the most important first.

    `ratios` replaces the ratios of the study file.

    Raises:
        InputError: a ratio is below 1 or leaves a class empty.
    """
    if not ratios:
        return list(plan.study.profiles[: plan.effort.profiles])
    kinds = list(dict.fromkeys(profile.name for profile in plan.study.profiles if profile.name in ("exponential", "step")))
    profiles = [profile_of_kind(kind, ratio) for kind in kinds for ratio in ratios]
    for profile in profiles:
        require_images(plan.study, profile, where="parameter 'ratios'")
    return profiles


def profile_of_kind(kind: str, ratio: Any) -> ProfileSpec:
    """Return an exponential or step profile with a ratio that was given by the user.

    Raises:
        InputError: the ratio is not a number of at least 1.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not ratio >= 1:
        raise InputError(f"ratio {ratio!r} was given in parameter 'ratios'; allowed: numbers of at least 1")
    return ProfileSpec(name=kind, ratio=float(ratio))  # type: ignore[arg-type]


def require_images(study: Study, profile: ProfileSpec, *, where: str) -> None:
    """Raise `InputError` if the profile leaves a class empty. The text names the place."""
    try:
        data.profile_size(study.dataset, profile)
    except InputError as error:
        raise InputError(f"{error}; given{place(where)}") from None


def is_classical(model: str) -> bool:
    """Return whether a model is a classical model, not a network."""
    return models.entry(model).facts["kind"] == "classical"


def remedies_of(plan: Plan, model: str, *, whole: bool) -> list[str]:
    """Return the remedies that a model is crossed with, without those that it does not support.

    They are all remedies of the study if `whole` is true, otherwise plain training and the `thinned` remedies of the effort.
    """
    wanted = plan.study.remedies if whole else [r for r in plan.study.remedies if r in ("none", *plan.effort.imbalance.thinned)]
    return [name for name in wanted if name in followed_remedies(model)]


def remedy_of(plan: Plan, name: str) -> Choice:
    """Return a remedy of the study. `tuned` gets the number of trials that the effort sets."""
    return Choice(
        name=name, options={"trials": plan.effort.imbalance.trials} if name == "tuned" and plan.effort.imbalance.trials != 8 else {}
    )
