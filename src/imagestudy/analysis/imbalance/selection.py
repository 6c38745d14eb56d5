"""What is shown, as the parameters ask for it, and the runs behind it."""

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
from imagestudy.remedies import remedies

PLAIN, TUNED, FIXED_TAU, BEST_TAU = "none", "tuned", "logit_adjustment", "logit_adjustment_tuned"
MEMBERS = tuple(name for family in TRADITIONAL for name in (TRADITIONAL[family], DECIDING[family]))
"""The traditional and the modern member of each family that has both."""


@dataclass(frozen=True)
class Shown:
    """The records of a plan under the profiles that are shown.

    Args:
        plan: study and effort.
        profiles: the most important first.
        records: of `grid`.
    """

    plan: Plan
    profiles: Sequence[ProfileSpec]
    records: Records

    def cell(self, model: str, remedy: str, *, rank: int = 0) -> Records:
        """The runs of a model under a remedy and the profile of this rank, seed by seed; empty if there are none.

        The other members of an ensemble, whose seeds were moved in part, are no runs of plain training in their own right.
        """
        found = self.records.where(model=model, profile=self.profiles[rank], remedy=remedy, kind="run")
        return Records(tuple(record for record in found if not record.spec.is_moved), found.labels)

    def cells(self, model: str, *, rank: int = 0) -> dict[str, Records]:
        """Remedy → its runs on one model, in the order of the study; a remedy without runs is left out."""
        found = {name: self.cell(model, name, rank=rank) for name in remedies_of(self.plan, model, rank=rank)}
        return {name: cell for name, cell in found.items() if len(cell)}

    def of_model(self, model: str, *, only: Sequence[str] = ()) -> Records:
        """All runs of one model under the first profile, or those under the named remedies, as one collection."""
        cells = [cell for name, cell in self.cells(model).items() if not only or name in only]
        return Records(tuple(record for cell in cells for record in cell), self.records.labels)


def remedies_of(plan: Plan, model: str, *, rank: int) -> list[str]:
    """The remedies that the plan tries on a model under the profile of this rank."""
    return grids.remedies_of(plan, model, whole=rank < plan.effort.whole)


def profiles_of(plan: Plan, *, ratios: Sequence[Any]) -> list[ProfileSpec]:
    """The imbalanced profiles that are shown, the most important first; `ratios` replaces those of the study file.

    Raises:
        InputError: as `grids.imbalanced_profiles`; or the study has nothing to show.
    """
    profiles = grids.imbalanced_profiles(plan, ratios=ratios)
    needed = {
        "exponential or step profile" if ratios else "imbalanced profile": bool(profiles),
        "model under 'crossed'": bool(plan.study.crossed),
        "remedy that this effort tries": any(set(remedies_of(plan, name, rank=0)) - {PLAIN} for name in plan.study.crossed),
    }
    if lacking := [what for what, there in needed.items() if not there]:
        raise InputError(f"study {plan.name!r} names no {lacking[0]}; needed: one or more, to compare remedies for class imbalance")
    return profiles


def model_of(plan: Plan, given: str) -> str:
    """The model that is looked at closely; an empty name is the study's first crossed one."""
    return require_known(given, plan.study.crossed, what="model", where="parameter 'model'") if given else plan.study.crossed[0]


def check_remedy(plan: Plan, given: str, *, model: str) -> None:
    """Raise `InputError` unless the name is empty or a remedy that the plan tries on the model under the first profile."""
    allowed = [name for name in remedies_of(plan, model, rank=0) if name != PLAIN]
    if given:
        require_known(given, allowed, what="remedy", where=f"parameter 'remedy', model {model!r}")


def remedy_of(shown: Shown, given: str, *, model: str) -> str:
    """The remedy that is looked at closely; an empty name is the one that does best on validation, `none` left aside."""
    check_remedy(shown.plan, given, model=model)
    cells = {name: cell for name, cell in shown.cells(model).items() if name != PLAIN}
    return given or max(cells, key=lambda name: on_validation(cells[name]))


def on_validation(cell: Records) -> float:
    """Mean over runs of the balanced accuracy on validation."""
    return float(np.mean([record.validation[comparisons.HEADLINE] for record in cell]))


def title_of(remedy: str) -> str:
    """A remedy's name in tables and sentences."""
    return remedies.entry(remedy).facts["title"]


def grid(plan: Plan, profiles: Sequence[ProfileSpec], *, ratios: Sequence[Any]) -> list[RunSpec]:
    """All runs that are shown, the trials of tuning among them; under the first profile post-hoc adjustment in any case."""
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
    """Each profile with the balanced one of as many images; left out is the natural one, which has more than any balanced one."""
    return [(profile, grids.as_many_balanced(plan, profile)) for profile in profiles if profile.name != "natural"]


def counts(plan: Plan, profiles: Sequence[ProfileSpec]) -> dict[str, Int64[np.ndarray, " rank"]]:
    """Label of a profile → training images of each class, the largest first."""
    dataset = datasets.load(plan.study.dataset)
    available = splits.count(dataset.labels[splits.split(dataset).train], len(dataset.classes))
    return {profile.label: splits.profile_counts(profile, available) for profile in profiles}
