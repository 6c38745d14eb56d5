"""Select the profiles, models and remedies to show, and the runs that this needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from imagestudy.analysis import comparisons
from imagestudy.core.errors import InputError, require_known
from imagestudy.core.specs import ProfileSpec, RunSpec
from imagestudy.data import datasets, splits
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.experiments.records import Records
from imagestudy.figures.style import PLAIN_TRAINING
from imagestudy.remedies import remedies

PLAIN, TUNED, FIXED_TAU, BEST_TAU = "none", "tuned", "logit_adjustment", "logit_adjustment_tuned"
MEMBERS = tuple(name for family in TRADITIONAL for name in (TRADITIONAL[family], DECIDING[family]))
"""The traditional and the modern member of each family that has both."""


@dataclass(frozen=True)
class Shown:
    """The records of a plan under the profiles to show.

    Args:
        plan: the study at its effort.
        profiles: the profiles, the most important first.
        records: the records of `needs`.
    """

    plan: Plan
    profiles: Sequence[ProfileSpec]
    records: Records

    def cell(self, model: str, remedy: str, *, rank: int = 0) -> Records:
        """Return the runs of a model with a remedy under the profile with this rank, in the order of their seeds.

        The result is empty if there are no such runs. The additional members of an ensemble have some seeds changed, so they do not
        count as runs of plain training.
        """
        found = self.records.where(model=model, profile=self.profiles[rank], remedy=remedy, kind="run")
        return Records(tuple(record for record in found if not record.spec.is_moved), found.labels)

    def cells(self, model: str, *, rank: int = 0) -> dict[str, Records]:
        """Return the runs of one model by remedy, in the order of the study; a remedy without runs is left out."""
        found = {name: self.cell(model, name, rank=rank) for name in remedies_of(self.plan, model, rank=rank)}
        return {name: cell for name, cell in found.items() if len(cell)}

    def of_model(self, model: str, *, only: Sequence[str] = ()) -> Records:
        """Return all runs of one model under the first profile as one collection; `only` limits it to the named remedies."""
        cells = [cell for name, cell in self.cells(model).items() if not only or name in only]
        return Records(tuple(record for cell in cells for record in cell), self.records.labels)


def remedies_of(plan: Plan, model: str, *, rank: int) -> list[str]:
    """Return the remedies that the plan tries on a model under the profile with this rank."""
    return grids.remedies_of(plan, model, whole=rank < plan.effort.imbalance.whole)


def profiles_of(plan: Plan, *, ratios: Sequence[Any]) -> list[ProfileSpec]:
    """Return the imbalanced profiles to show, the most important first. `ratios` replaces the ratios of the study file.

    Raises:
        InputError: see `grids.imbalanced_profiles`; or the study has nothing to show.
    """
    profiles = grids.imbalanced_profiles(plan, ratios=ratios)
    if lacking := _lacking(plan, profiles, what="exponential or step profile" if ratios else "imbalanced profile"):
        raise InputError(f"study {plan.name!r} has no {lacking[0]}; needed: at least one, to compare remedies for class imbalance")
    return profiles


def _lacking(plan: Plan, profiles: Sequence[ProfileSpec], *, what: str = "") -> list[str]:
    """Return what a study lacks to compare remedies; empty if nothing."""
    needed = {
        what: bool(profiles),
        "model under 'crossed'": bool(plan.study.crossed),
        "remedy that this effort tries": any(set(remedies_of(plan, name, rank=0)) - {PLAIN} for name in plan.study.crossed),
    }
    return [name for name, is_there in needed.items() if not is_there]


def compares_remedies(plan: Plan) -> bool:
    """Whether the study compares remedies at all; the notebooks about them refuse a study that does not."""
    return not _lacking(plan, grids.imbalanced_profiles(plan))


def model_of(plan: Plan, given: str) -> str:
    """Return the model to inspect; an empty name means the first crossed model of the study."""
    return require_known(given, plan.study.crossed, what="model", where="parameter 'model'") if given else plan.study.crossed[0]


def check_remedy(plan: Plan, given: str, *, model: str) -> None:
    """Raise `InputError` unless the name is empty or names a remedy that the plan tries on the model under the first profile."""
    allowed = [name for name in remedies_of(plan, model, rank=0) if name != PLAIN]
    if given:
        require_known(given, allowed, what="remedy", where=f"parameter 'remedy', model {model!r}")


def remedy_of(shown: Shown, given: str, *, model: str) -> str:
    """Return the remedy to inspect; an empty name means the best remedy on validation, without plain training."""
    check_remedy(shown.plan, given, model=model)
    cells = {name: cell for name, cell in shown.cells(model).items() if name != PLAIN}
    return given or max(cells, key=lambda name: on_validation(cells[name]))


def on_validation(cell: Records) -> float:
    """Return the balanced accuracy on validation images, averaged over the runs."""
    return float(np.mean([record.validation[comparisons.HEADLINE] for record in cell]))


def title_of(remedy: str) -> str:
    """Return the name of a remedy in tables; plain training is `none` there."""
    return remedies.entry(remedy).facts["title"]


def say_title(title: str) -> str:
    """Return the name that a sentence uses for a remedy with this title; `none` becomes "plain training"."""
    return PLAIN_TRAINING.get(title, title)


def say_remedy(remedy: str) -> str:
    """Return the name of a remedy in sentences; the remedy `none` is "plain training"."""
    return say_title(title_of(remedy))


def needs(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[RunSpec]:
    """Return all runs to show, including the tuning trials; the first profile always includes post-hoc adjustment.

    A study that compares no remedies needs none.
    """
    if not ratios and not compares_remedies(plan):
        return []
    profiles = profiles_of(plan, ratios=ratios)
    adjusted = [
        spec
        for model in plan.study.crossed
        for name in (FIXED_TAU, BEST_TAU)
        for spec in grids.cell(plan, model, profile=profiles[0], remedy=grids.remedy_of(plan, name))
    ]
    plain = [
        spec for pair in pairs(plan, profiles) for one in pair for name in MEMBERS for spec in grids.cell(plan, name, profile=one)
    ]
    beside = [*grids.loss_to_imbalance(plan), *grids.curves(plan), *grids.costs(plan)]
    return runner.with_parents([*grids.imbalance(plan, ratios=ratios), *adjusted, *plain, *beside])


def pairs(plan: Plan, profiles: Sequence[ProfileSpec]) -> list[tuple[ProfileSpec, ProfileSpec]]:
    """Return each profile with the balanced profile of the same number of images.

    The natural profile is left out, because it has more images than any balanced one.
    """
    return [(profile, grids.as_many_balanced(plan, profile)) for profile in profiles if profile.name != "natural"]


def counts(plan: Plan, profiles: Sequence[ProfileSpec]) -> dict[str, Int64[np.ndarray, " rank"]]:
    """Return the number of training images of each class under each profile, by the label of the profile; largest class first."""
    dataset = datasets.load(plan.study.dataset)
    available = splits.count(dataset.labels[splits.split(dataset).train], len(dataset.classes))
    return {profile.label: splits.profile_counts(profile, available) for profile in profiles}
