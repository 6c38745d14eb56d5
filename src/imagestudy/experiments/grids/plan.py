"""A study file, read and checked; and which runs each notebook of it needs."""

from collections.abc import Callable
from functools import partial

from imagestudy import data
from imagestudy.errors import require_known
from imagestudy.grids.accuracy import accuracy, all_members, costs, longer, recipes
from imagestudy.grids.cells import Plan, is_classical, members, model_spec, require_images
from imagestudy.grids.families import inside, preprocessing, probe
from imagestudy.grids.imbalanced import (
    at_scale,
    baselines,
    curve_profiles,
    curves,
    diagnostics,
    imbalance,
    loss_to_imbalance,
    plain,
    scale_profiles,
    spread,
    ungrouped,
)
from imagestudy.grids.twins import frameworks
from imagestudy.models import check_size, models
from imagestudy.remedies import remedies
from imagestudy.specs import RunSpec, load_study

NEEDED: dict[str, tuple[Callable[[Plan], list[RunSpec]], ...]] = {
    "01_preprocessing": (preprocessing,),
    "02_ann": (partial(inside, family="ann"),),
    "03_cnn": (partial(inside, family="cnn"),),
    "04_rnn": (partial(inside, family="rnn"),),
    "05_transformer": (partial(inside, family="transformer"),),
    "06_frameworks": (frameworks,),
    "07_accuracy": (accuracy, recipes, longer, costs),
    "08_class_imbalance": (imbalance, loss_to_imbalance, curves, costs),
    "12_verdicts": (all_members, loss_to_imbalance, at_scale, preprocessing, probe),
    "13_recommendation": (baselines, plain, ungrouped, costs),
    "14_deployment": (imbalance,),
    "15_spread": (imbalance, spread, diagnostics),
}
"""Notebook → the grids behind it. What 13_recommendation chooses among is trained step by step, see `halving`."""


def notebooks(plan: Plan) -> list[str]:
    """The notebooks of a study: those that it names, in its order, or all."""
    return list(plan.study.notebooks or NEEDED)


def everything(plan: Plan) -> list[RunSpec]:
    """All runs that the study's notebooks need at its effort, each once."""
    parts = [grid(plan) for name in notebooks(plan) for grid in NEEDED[name]]
    return list({spec.run_id: spec for part in parts for spec in part}.values())


def open_study(study: str, effort: str) -> Plan:
    """Read a study file and check every name in it.

    Raises:
        InputError: as `specs.load_study`; an effort, model, remedy or dataset not known; a profile that leaves a class empty.
    """
    loaded = load_study(study)
    where = f"study {study!r}"
    loaded = loaded.model_copy(update={"dataset": data.sources.settle(loaded.dataset, where=where)})
    for name in loaded.notebooks:
        require_known(name, NEEDED, what="notebook", where=where)
    for name in (*loaded.models, *loaded.crossed):
        models.entry(name, where=where)
    for name in loaded.learning_rates:
        networks = [other for other in models.names() if not is_classical(other)]
        require_known(name, networks, what="network with a learning rate of its own", where=where)
    for name in (*loaded.remedies, *(r for e in loaded.efforts.values() for r in (*e.thinned, *e.curves))):
        remedies.entry(name, where=where)
    plan = Plan(loaded, loaded.effort(effort))
    for one in loaded.efforts.values():
        for name in (*one.spread, *one.priced, *one.diagnosed):
            models.entry(name, where=where)
        for name in one.diagnosed:
            require_known(name, models.names(kind="neural"), what="model that is trained in steps", where=where)
        for name in one.longer:
            networks = [other for other in loaded.models if not is_classical(other)]
            require_known(name, networks, what="network of the study to train longer", where=where)
    for profile in (*loaded.profiles, *curve_profiles(plan), *scale_profiles(plan)):
        require_images(loaded, profile, where=where)
    for name in members(plan):
        check_size(model_spec(plan, name), shape=data.image_shape(loaded.dataset), classes=data.class_count(loaded.dataset))
    return plan
