"""Which runs stand behind each notebook. The only place that knows a notebook's name."""

from collections.abc import Callable
from functools import partial

from imagestudy.core.errors import require_known
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.grids.accuracy import accuracy, all_members, costs, longer, recipes
from imagestudy.experiments.grids.families import inside, preprocessing, probe
from imagestudy.experiments.grids.frameworks import frameworks
from imagestudy.experiments.grids.imbalance import (
    at_scale,
    baselines,
    curves,
    diagnostics,
    imbalance,
    loss_to_imbalance,
    plain,
    spread,
    ungrouped,
)

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
    """The notebooks of a study: those that it names, in its order, or all.

    Raises:
        InputError: it names one that is not there.
    """
    where = f"study {plan.name!r}"
    return [require_known(name, NEEDED, what="notebook", where=where) for name in plan.study.notebooks or NEEDED]


def everything(plan: Plan) -> list[RunSpec]:
    """All runs that the study's notebooks need at its effort, each once."""
    parts = [grid(plan) for name in notebooks(plan) for grid in NEEDED[name]]
    return list({spec.run_id: spec for part in parts for spec in part}.values())
