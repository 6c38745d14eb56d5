"""Runs that are known only once others are recorded, such as the later rungs of successive halving."""

from collections.abc import Callable
from dataclasses import dataclass

from imagestudy.core import paths
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.store import RunStore


@dataclass(frozen=True)
class Bound:
    """Runs of which at most `most` will be needed; scores that are not recorded yet decide which."""

    among: tuple[RunSpec, ...]
    most: int


@dataclass(frozen=True)
class Stages:
    """Needs that follow from records.

    Args:
        ask: plan and store → the runs that are known to be needed by what the store holds. When all of them are recorded and
            asking again adds none, the needs are met.
        bound: plan and store → upper bounds of what later stages need.
        possible: plan → every run that may ever be asked for.
        describe: plan → one sentence about the stages.
    """

    ask: Callable[[Plan, RunStore], list[RunSpec]]
    bound: Callable[[Plan, RunStore], list[Bound]]
    possible: Callable[[Plan], list[RunSpec]]
    describe: Callable[[Plan], str]


def meet(stages: Stages, plan: Plan, *, workers: int | None = None) -> list[RunSpec]:
    """Train stage by stage what the store lacks; return all runs that were needed."""
    store = RunStore(paths.store_file(plan.name))
    while runner.missing(asked := stages.ask(plan, store), study=plan.name):
        runner.obtain(asked, study=plan.name, workers=workers)
    return asked
