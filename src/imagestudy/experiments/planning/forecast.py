"""Forecast what a study still has to train, before training starts.

In successive halving, the number of candidates that continue is known in advance, but not which ones. There, the forecast gives
upper bounds and assumes that the slowest candidates continue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imagestudy.core import paths
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import runner
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.executors.local import available_cores
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.stages import Bound
from imagestudy.experiments.store import RunStore


@dataclass(frozen=True)
class Forecast:
    """The training runs that the store lacks.

    Args:
        certain: the number of training runs that are needed whatever the scores are.
        most: the number including those that successive halving may need.
        seconds: the approximate duration on all cores; an upper bound if `most` is above `certain`.
    """

    certain: int
    most: int
    seconds: float


def look_ahead(plan: Plan, specs: Sequence[RunSpec], bounds: Sequence[Bound] = (), *, workers: int | None = None) -> Forecast:
    """Return how many training runs are missing and about how long they take. Derived runs take no time.

    Args:
        plan: the study that the store belongs to.
        specs: the runs that are needed whatever the scores are.
        bounds: upper bounds of what later stages need.
        workers: the number of processes. Default: one per core.
    """
    certain = _trainings(plan, specs)
    known = {spec.run_id for spec in certain}
    open_ = [[spec for spec in _trainings(plan, one.among) if spec.run_id not in known] for one in bounds]
    seconds = _seconds_by_run(plan, [*certain, *(spec for pool in open_ for spec in pool)])
    slowest = [
        sorted((seconds[spec.run_id] for spec in pool), reverse=True)[: one.most] for one, pool in zip(bounds, open_, strict=True)
    ]
    total = sum(seconds[spec.run_id] for spec in certain) + sum(map(sum, slowest))
    return Forecast(len(certain), len(certain) + sum(map(len, slowest)), total / (workers or available_cores()))


def _trainings(plan: Plan, specs: Sequence[RunSpec]) -> list[RunSpec]:
    return [spec for spec in runner.missing(specs, study=plan.name) if not is_derived(spec)]


def _seconds_by_run(plan: Plan, specs: Sequence[RunSpec]) -> dict[str, float]:
    store = RunStore(paths.store_file(plan.name))
    return {spec.run_id: seconds for spec, seconds in zip(specs, runner.estimate_each(specs, store), strict=True)}


def say_forecast(plan: Plan, forecast: Forecast) -> str:
    """Return a forecast in words: how many training runs are missing and about how long they take."""
    head, file, duration = f"Study {plan.name}:", paths.store_file(plan.name), runner.say_duration(forecast.seconds)
    if not forecast.most:
        return f"{head} nothing is missing; all training runs are recorded in {file}."
    missing = "1 training run is" if forecast.most == 1 else f"{forecast.most:,} training runs are"
    if forecast.most > forecast.certain:
        are = "is" if forecast.certain == 1 else "are"
        return (
            f"{head} up to {missing} missing in {file}. {forecast.certain:,} of them {are} certain; the rest depends on the scores "
            f"in successive halving. Training takes {duration} at most."
        )
    return f"{head} {missing} missing in {file}. Training takes {duration}."
