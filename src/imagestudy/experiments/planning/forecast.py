"""What a study still has to train, said once before anything is trained.

Which candidates go on in successive halving is not known beforehand, but how many is: there, number and time are bounds, with the
slowest going on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imagestudy.analysis import catalog
from imagestudy.core import paths
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import runner, search
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.executors.local import available_cores
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.store import RunStore


@dataclass(frozen=True)
class Outlook:
    """Trainings that the store lacks.

    Args:
        certain: of these, so many are asked for whatever the scores turn out to be.
        most: with those that successive halving may ask for besides.
        seconds: that they take on all cores, about; where `most` is above `certain`, at most.
    """

    certain: int
    most: int
    seconds: float


def look_ahead(plan: Plan, *, workers: int | None = None) -> Outlook:
    """How many trainings are missing and about how long they take; runs that are computed from others take no time.

    Raises:
        InputError: as `halving.ahead`.
    """
    asked, unsettled = search.ahead(plan) if "13_recommendation" in catalog.notebooks(plan) else ([], [])
    certain = _trainings(plan, [*catalog.everything(plan), *asked])
    known = {spec.run_id for spec in certain}
    open_ = [[spec for spec in _trainings(plan, one.among) if spec.run_id not in known] for one in unsettled]
    seconds = _price(plan, [*certain, *(spec for pool in open_ for spec in pool)])
    slowest = [
        sorted((seconds[spec.run_id] for spec in pool), reverse=True)[: one.most]
        for one, pool in zip(unsettled, open_, strict=True)
    ]
    total = sum(seconds[spec.run_id] for spec in certain) + sum(map(sum, slowest))
    return Outlook(len(certain), len(certain) + sum(map(len, slowest)), total / (workers or available_cores()))


def _trainings(plan: Plan, specs: Sequence[RunSpec]) -> list[RunSpec]:
    return [spec for spec in runner.missing(specs, study=plan.name) if not is_derived(spec)]


def _price(plan: Plan, specs: Sequence[RunSpec]) -> dict[str, float]:
    store = RunStore(paths.store_file(plan.name))
    return {spec.run_id: seconds for spec, seconds in zip(specs, runner.estimate_each(specs, store), strict=True)}


def say_outlook(plan: Plan, outlook: Outlook) -> str:
    """How many trainings are missing and about how long they take, in one sentence."""
    head, file, duration = f"Study {plan.name}:", paths.store_file(plan.name), runner.say_duration(outlook.seconds)
    if not outlook.most:
        return f"{head} nothing is missing, all trainings are recorded in {file}."
    if outlook.most > outlook.certain:
        return (
            f"{head} up to {outlook.most:,} trainings are missing in {file}, {outlook.certain:,} of them certain, the others "
            f"as successive halving goes; they take {duration} at most."
        )
    missing = "1 training is" if outlook.most == 1 else f"{outlook.most:,} trainings are"
    return f"{head} {missing} missing in {file}; to be done in {duration}."
