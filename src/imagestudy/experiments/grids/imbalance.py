"""Models × remedies × imbalanced profiles: whole, thinned, over ratios, over sizes, over seeds, and with the groups forgotten."""

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
"""The streams that move together where somebody trains again on the same images, as with "another seed" is mostly meant."""


def imbalance(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[RunSpec]:
    """Models × remedies × imbalanced profiles: whole in the first profiles of the effort, thinned in the others."""
    cells = [
        cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
        for rank, profile in enumerate(imbalanced_profiles(plan, ratios=ratios))
        for model in plan.study.crossed
        for name in remedies_of(plan, model, whole=rank < plan.effort.imbalance.whole)
    ]
    return [spec for runs in cells for spec in runs]


def plain(plan: Plan) -> list[RunSpec]:
    """Plain training of the crossed models under each imbalanced profile."""
    return [
        spec for profile in imbalanced_profiles(plan) for name in plan.study.crossed for spec in cell(plan, name, profile=profile)
    ]


def baselines(plan: Plan) -> list[RunSpec]:
    """What a choice must beat: the study's classical models that are no candidates themselves, plain, under the first profile."""
    names = [name for name in plan.study.models if is_classical(name) and name not in plan.study.crossed]
    return [spec for name in names for profile in plan.study.profiles[:1] for spec in cell(plan, name, profile=profile)]


def without_groups(plan: Plan) -> Choice:
    """The dataset with its groups forgotten."""
    return plan.study.dataset.model_copy(update={"options": plan.study.dataset.options | {"grouped": False}})


def ungrouped(plan: Plan) -> list[RunSpec]:
    """Plain training under the first profile on splits that are drawn image by image; nothing where the images have no groups."""
    if not (plan.is_redrawn and data.has_groups(plan.study.dataset)):
        return []
    return [spec.with_(dataset=without_groups(plan)) for spec in plain(plan) if spec.profile == plan.study.profiles[0]]


def loss_to_imbalance(plan: Plan) -> list[RunSpec]:
    """Traditional and modern members under each imbalanced profile, and under a balanced one of as many images."""
    return [spec for profile in imbalanced_profiles(plan) for spec in _lost_under(plan, profile)]


def _lost_under(plan: Plan, profile: ProfileSpec) -> list[RunSpec]:
    names = [name for family in TRADITIONAL for name in (TRADITIONAL[family], DECIDING[family])]
    pair = (profile, as_many_balanced(plan, profile))
    return [spec for one in pair for name in names for spec in cell(plan, name, profile=one)]


def as_many_balanced(plan: Plan, profile: ProfileSpec) -> ProfileSpec:
    """The balanced profile of as many images as an imbalanced one has."""
    return ProfileSpec(size=data.profile_size(plan.study.dataset, profile))


def curve_profiles(plan: Plan) -> list[ProfileSpec]:
    """The profiles of the curves of score against ratio: of the kind of the first profile, the smallest ratio first."""
    kinds = [profile.name for profile in plan.study.profiles[:1] if profile.name in ("exponential", "step")]
    return [profile_of_kind(kind, ratio) for kind in kinds for ratio in sorted(plan.effort.imbalance.ratios)]


def curves(plan: Plan) -> list[RunSpec]:
    """The crossed models with the remedies of the curves, at every ratio."""
    return [
        spec
        for profile in curve_profiles(plan)
        for model in plan.study.crossed
        for name in curve_remedies(plan, model)
        for spec in cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
    ]


def curve_remedies(plan: Plan, model: str) -> list[str]:
    """`none` and the remedies of the curves that the model can follow."""
    return [name for name in dict.fromkeys(("none", *plan.effort.imbalance.curves)) if name in followed_remedies(model)]


def scale_profiles(plan: Plan) -> list[ProfileSpec]:
    """Exponential profiles of one ratio in training sets of several sizes, the smallest first; none where no sizes are named."""
    ratio = plan.study.scale_ratio
    smaller = [ProfileSpec(name="exponential", ratio=ratio, largest=size) for size in sorted(plan.effort.claims.sizes)]
    return [*smaller, ProfileSpec(name="exponential", ratio=ratio)] if smaller else []


def at_scale(plan: Plan) -> list[RunSpec]:
    """Traditional and modern members at each of these sizes, imbalanced and balanced."""
    return [spec for profile in scale_profiles(plan) for spec in _lost_under(plan, profile)]


def spread(plan: Plan) -> list[RunSpec]:
    """Plain training under the first profile: as it is, with each of the four seeds moved alone, and restarted.

    A restart is a member of the seed ensemble too, and not trained twice.
    """
    cells = [cell(plan, name, profile=profile) for profile in plan.study.profiles[:1] for name in plan.effort.variance.moved]
    moves = [*((stream,) for stream in SEED_STREAMS), RESTARTED]
    return [one for runs in cells for spec in runs for one in (spec, *(spec.moved(*streams) for streams in moves))]


def diagnostics(plan: Plan) -> list[RunSpec]:
    """Plain training, balanced and under the first profile, with looks at the test images; nothing may be chosen by these."""
    profiles = [ProfileSpec(), *plan.study.profiles[:1]]
    return [
        spec.with_(kind="diagnostic")
        for name in plan.effort.variance.diagnosed
        for profile in profiles
        for spec in cell(plan, name, profile=profile)
    ]
