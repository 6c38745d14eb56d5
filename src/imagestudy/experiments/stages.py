"""Runs that are not known before other runs are recorded, such as the later rungs of successive halving."""

from collections.abc import Callable
from dataclasses import dataclass

from imagestudy.core import paths
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.store import RunStore


@dataclass(frozen=True)
class Bound:
    """An upper bound: at most `most` of these runs will be needed. Scores that are not recorded yet decide which."""

    among: tuple[RunSpec, ...]
    most: int


@dataclass(frozen=True)
class Stages:
    """A part of a study that needs different runs depending on the records.

    Args:
        ask: plan and store → the runs that are known to be needed so far. Nothing more is needed when all of them are recorded and
            another call adds none.
        bound: plan and store → upper bounds of what later stages need.
        possible: plan → every run that may be needed.
        describe: plan → a short description of the stages.
    """

    ask: Callable[[Plan, RunStore], list[RunSpec]]
    bound: Callable[[Plan, RunStore], list[Bound]]
    possible: Callable[[Plan], list[RunSpec]]
    describe: Callable[[Plan], str]


def meet(stages: Stages, plan: Plan, *, workers: int | None = None) -> list[RunSpec]:
    """Train what the store lacks, stage by stage, and return all runs that were needed."""
    store = RunStore(paths.store_file(plan.name))
    while runner.missing(asked := stages.ask(plan, store), study=plan.name):
        runner.obtain(asked, study=plan.name, workers=workers)
    return asked
