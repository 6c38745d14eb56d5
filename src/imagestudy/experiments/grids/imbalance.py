"""Runs of models × remedies × imbalanced profiles, also for several ratios, training set sizes and seeds, and without groups."""

from collections.abc import Sequence
from typing import Any

from imagestudy import data
from imagestudy.core.specs import SEED_STREAMS, Choice, ProfileSpec, RunSpec
from imagestudy.experiments.grids.cells import (
    DECIDING,
    TRADITIONAL,
    Plan,
    cell,
    imbalanced_profiles,
    is_classical,
    profile_of_kind,
    remedies_of,
    remedy_of,
)
from imagestudy.training import followed_remedies

RESTARTED = ("init", "batches")
"""The random streams that change when a model is trained again on the same images. "Another seed" usually means this."""


def imbalance(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[RunSpec]:
    """Return the runs of models × remedies × imbalanced profiles.

    The first profiles are combined with all remedies, the others only with the `thinned` remedies. The effort sets how many.
    """
    cells = [
        cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
        for rank, profile in enumerate(imbalanced_profiles(plan, ratios=ratios))
        for model in plan.study.crossed
        for name in remedies_of(plan, model, whole=rank < plan.effort.imbalance.whole)
    ]
    return [spec for runs in cells for spec in runs]


def plain(plan: Plan) -> list[RunSpec]:
    """Return the runs of plain training of the crossed models under each imbalanced profile."""
    return [
        spec for profile in imbalanced_profiles(plan) for name in plan.study.crossed for spec in cell(plan, name, profile=profile)
    ]


def baselines(plan: Plan) -> list[RunSpec]:
    """Return the runs of the baselines that a recommendation must beat, with plain training under the first profile.

    The baselines are the study's classical models that are not candidates themselves.
    """
    names = [name for name in plan.study.models if is_classical(name) and name not in plan.study.crossed]
    return [spec for name in names for profile in plan.study.profiles[:1] for spec in cell(plan, name, profile=profile)]


def without_groups(plan: Plan) -> Choice:
    """Return the dataset with its groups ignored."""
    return plan.study.dataset.model_copy(update={"options": plan.study.dataset.options | {"grouped": False}})


def ungrouped(plan: Plan) -> list[RunSpec]:
    """Return the runs of plain training under the first profile on splits that ignore the groups of the images.

    Empty if the images have no groups or the dataset has a test set.
    """
    if not (plan.is_redrawn and data.has_groups(plan.study.dataset)):
        return []
    return [spec.with_(dataset=without_groups(plan)) for spec in plain(plan) if spec.profile == plan.study.profiles[0]]


def loss_to_imbalance(plan: Plan) -> list[RunSpec]:
    """Return the runs of traditional and modern models under each imbalanced profile and on as many balanced images."""
    return [spec for profile in imbalanced_profiles(plan) for spec in _with_balanced(plan, profile)]


def _with_balanced(plan: Plan, profile: ProfileSpec) -> list[RunSpec]:
    names = [name for family in TRADITIONAL for name in (TRADITIONAL[family], DECIDING[family])]
    pair = (profile, as_many_balanced(plan, profile))
    return [spec for one in pair for name in names for spec in cell(plan, name, profile=one)]


def as_many_balanced(plan: Plan, profile: ProfileSpec) -> ProfileSpec:
    """Return the balanced profile with as many images as an imbalanced profile."""
    return ProfileSpec(size=data.profile_size(plan.study.dataset, profile))


def curve_profiles(plan: Plan) -> list[ProfileSpec]:
    """Return the profiles for the curves of score against ratio, of the kind of the first profile, the smallest ratio first."""
    kinds = [profile.name for profile in plan.study.profiles[:1] if profile.name in ("exponential", "step")]
    return [profile_of_kind(kind, ratio) for kind in kinds for ratio in sorted(plan.effort.imbalance.ratios)]


def curves(plan: Plan) -> list[RunSpec]:
    """Return the runs of the crossed models with the remedies of the curves, at every ratio."""
    return [
        spec
        for profile in curve_profiles(plan)
        for model in plan.study.crossed
        for name in curve_remedies(plan, model)
        for spec in cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
    ]


def curve_remedies(plan: Plan, model: str) -> list[str]:
    """Return plain training (`none`) and the remedies of the curves that the model supports."""
    return [name for name in dict.fromkeys(("none", *plan.effort.imbalance.curves)) if name in followed_remedies(model)]


def scale_profiles(plan: Plan) -> list[ProfileSpec]:
    """Return exponential profiles with one ratio and several training set sizes, the smallest first.

    Empty if the effort names no sizes.
    """
    ratio = plan.study.scale_ratio
    smaller = [ProfileSpec(name="exponential", ratio=ratio, largest=size) for size in sorted(plan.effort.claims.sizes)]
    return [*smaller, ProfileSpec(name="exponential", ratio=ratio)] if smaller else []


def at_scale(plan: Plan) -> list[RunSpec]:
    """Return the runs of traditional and modern models at each size of `scale_profiles`, imbalanced and balanced."""
    return [spec for profile in scale_profiles(plan) for spec in _with_balanced(plan, profile)]


def spread(plan: Plan) -> list[RunSpec]:
    """Return the runs that separate the sources of variance, with plain training under the first profile.

    Each run is repeated with each of the four seeds changed alone, and with a restart: another initialization and batch order. A
    restart is also a member of the seed ensemble and is trained only once.
    """
    cells = [cell(plan, name, profile=profile) for profile in plan.study.profiles[:1] for name in plan.effort.variance.moved]
    moves = [*((stream,) for stream in SEED_STREAMS), RESTARTED]
    return [one for runs in cells for spec in runs for one in (spec, *(spec.moved(*streams) for streams in moves))]


def diagnostics(plan: Plan) -> list[RunSpec]:
    """Return runs that are scored on the test images during training. Nothing may be selected by these scores.

    They use plain training, on balanced data and under the first profile.
    """
    profiles = [ProfileSpec(), *plan.study.profiles[:1]]
    return [
        spec.with_(kind="diagnostic")
        for name in plan.effort.variance.diagnosed
        for profile in profiles
        for spec in cell(plan, name, profile=profile)
    ]
