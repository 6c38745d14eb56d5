"""What a cell is: a model at its budget under a profile, with every seed; and which models, profiles and remedies a study has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagestudy import data
from imagestudy.core.errors import InputError, place
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.experiments.study import Effort, Study
from imagestudy.models import at_budget, models
from imagestudy.training import followed_remedies

DECIDING = {"ann": "mlp", "cnn": "resnet", "rnn": "bilstm", "transformer": "vit"}
TRADITIONAL = {"ann": "perceptron", "cnn": "lenet", "rnn": "elman"}
LISTING = "article"


@dataclass(frozen=True)
class Plan:
    """A checked study at one effort."""

    study: Study
    effort: Effort

    @property
    def name(self) -> str:
        """The study's name, and that of its results folder."""
        return self.study.name

    @property
    def is_redrawn(self) -> bool:
        """Whether every run has a split of its own, since the dataset has no test set."""
        return data.is_redrawn(self.study.dataset)

    @property
    def training(self) -> TrainingSpec:
        """The study's recipe within the effort's budget."""
        seen = self.effort.images_seen
        return self.study.training if seen is None else self.study.training.model_copy(update={"images_seen": seen})


def training_of(plan: Plan, model: str) -> TrainingSpec:
    """The recipe within the effort's budget, with the network's own learning rate where the study or the model has one."""
    rate = plan.study.learning_rates.get(model, models.entry(model).facts.get("learning_rate"))
    return plan.training if rate is None else plan.training.model_copy(update={"learning_rate": rate})


def model_spec(plan: Plan, name: str, **options: Any) -> ModelSpec:
    """The model at the study's parameter budget; classical and traditional members keep their own size."""
    return at_budget(Choice(name=name, options=options), plan.study.params)


def repeat(plan: Plan, spec: RunSpec) -> list[RunSpec]:
    """The run with every seed, each on a split of its own where the study's images have no test set."""
    redrawn = plan.is_redrawn and spec.dataset == plan.study.dataset
    return [spec.with_(seed=seed, split=seed if redrawn else None) for seed in range(plan.effort.runs)]


def cell(plan: Plan, model: str, **fields: Any) -> list[RunSpec]:
    """The runs of one cell: a model under whatever profile, remedy and preprocessing the fields say, with every seed."""
    options = fields.pop("options", {})
    training = training_of(plan, model)
    return repeat(plan, RunSpec(dataset=plan.study.dataset, training=training, model=model_spec(plan, model, **options), **fields))


def members(plan: Plan) -> tuple[str, ...]:
    """The study's models, and those by which the claims are decided whatever the study lists."""
    return tuple(dict.fromkeys((*plan.study.models, *DECIDING.values(), *TRADITIONAL.values(), LISTING)))


def imbalanced_profiles(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[ProfileSpec]:
    """The study's imbalanced profiles that the effort runs, the most important first; `ratios` replaces those of the file.

    Raises:
        InputError: a ratio below 1, or one that leaves a class empty.
    """
    if not ratios:
        return list(plan.study.profiles[: plan.effort.profiles])
    kinds = list(dict.fromkeys(profile.name for profile in plan.study.profiles if profile.name in ("exponential", "step")))
    profiles = [profile_of_kind(kind, ratio) for kind in kinds for ratio in ratios]
    for profile in profiles:
        require_images(plan.study, profile, where="parameter 'ratios'")
    return profiles


def profile_of_kind(kind: str, ratio: Any) -> ProfileSpec:
    """An exponential or step profile of a ratio that somebody gave, of whatever type it is; a wrong one raises `InputError`."""
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not ratio >= 1:
        raise InputError(f"ratio {ratio!r} was given in parameter 'ratios'; allowed: numbers of at least 1")
    return ProfileSpec(name=kind, ratio=float(ratio))  # type: ignore[arg-type]


def require_images(study: Study, profile: ProfileSpec, *, where: str) -> None:
    """Raise `InputError`, with the place, if the profile leaves a class empty."""
    try:
        data.profile_size(study.dataset, profile)
    except InputError as error:
        raise InputError(f"{error}; given{place(where)}") from None


def is_classical(model: str) -> bool:
    """Whether a model is no network."""
    return models.entry(model).facts["kind"] == "classical"


def remedies_of(plan: Plan, model: str, *, whole: bool) -> list[str]:
    """The remedies that a model is crossed with; a classical model leaves out those that need a loss of their own."""
    wanted = plan.study.remedies if whole else [r for r in plan.study.remedies if r in ("none", *plan.effort.imbalance.thinned)]
    return [name for name in wanted if name in followed_remedies(model)]


def remedy_of(plan: Plan, name: str) -> Choice:
    """A remedy of the study; tuning gets the effort's number of trials."""
    return Choice(
        name=name, options={"trials": plan.effort.imbalance.trials} if name == "tuned" and plan.effort.imbalance.trials != 8 else {}
    )
