"""What a study still has to train, said once before anything is trained.

Which candidates go on in successive halving is not known beforehand, but how many is: there, number and time are bounds, with the
slowest going on.
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
    """Trainings that the store lacks.

    Args:
        certain: of these, so many are asked for whatever the scores turn out to be.
        most: with those that successive halving may ask for besides.
        seconds: that they take on all cores, about; where `most` is above `certain`, at most.
    """

    certain: int
    most: int
    seconds: float


def look_ahead(plan: Plan, specs: Sequence[RunSpec], bounds: Sequence[Bound] = (), *, workers: int | None = None) -> Forecast:
    """How many trainings are missing and about how long they take; runs that are computed from others take no time.

    Args:
        plan: whose store it is.
        specs: the runs that are needed whatever the scores are.
        bounds: what later stages may need.
        workers: processes; as many as there are cores by default.
    """
    certain = _trainings(plan, specs)
    known = {spec.run_id for spec in certain}
    open_ = [[spec for spec in _trainings(plan, one.among) if spec.run_id not in known] for one in bounds]
    seconds = _price(plan, [*certain, *(spec for pool in open_ for spec in pool)])
    slowest = [
        sorted((seconds[spec.run_id] for spec in pool), reverse=True)[: one.most] for one, pool in zip(bounds, open_, strict=True)
    ]
    total = sum(seconds[spec.run_id] for spec in certain) + sum(map(sum, slowest))
    return Forecast(len(certain), len(certain) + sum(map(len, slowest)), total / (workers or available_cores()))


def _trainings(plan: Plan, specs: Sequence[RunSpec]) -> list[RunSpec]:
    return [spec for spec in runner.missing(specs, study=plan.name) if not is_derived(spec)]


def _price(plan: Plan, specs: Sequence[RunSpec]) -> dict[str, float]:
    store = RunStore(paths.store_file(plan.name))
    return {spec.run_id: seconds for spec, seconds in zip(specs, runner.estimate_each(specs, store), strict=True)}


def say_forecast(plan: Plan, forecast: Forecast) -> str:
    """How many trainings are missing and about how long they take, in one sentence."""
    head, file, duration = f"Study {plan.name}:", paths.store_file(plan.name), runner.say_duration(forecast.seconds)
    if not forecast.most:
        return f"{head} nothing is missing, all trainings are recorded in {file}."
    if forecast.most > forecast.certain:
        return (
            f"{head} up to {forecast.most:,} trainings are missing in {file}, {forecast.certain:,} of them certain, the others "
            f"as successive halving goes; they take {duration} at most."
        )
    missing = "1 training is" if forecast.most == 1 else f"{forecast.most:,} trainings are"
    return f"{head} {missing} missing in {file}; to be done in {duration}."
