"""Find the runs that another run depends on: the parents of a derived run, and the trials of a tuned run."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagestudy.core.errors import InputError
from imagestudy.core.specs import MOVED_BY, TRIAL_SEED, Choice, RunSpec
from imagestudy.experiments.records import Record
from imagestudy.models import models
from imagestudy.remedies import Trial, remedies, remedy
from imagestudy.training import LEARNING_RATE


@dataclass(frozen=True)
class Task:
    """A run and the spec it is trained with. They differ only for a tuned run, which takes its settings from its best trial."""

    spec: RunSpec
    effective: RunSpec


def is_derived(spec: RunSpec) -> bool:
    """Return whether the run is computed from stored log-probabilities alone, without training."""
    chosen = remedy(spec.remedy)
    return chosen.posthoc is not None or chosen.members > 1


def parents(spec: RunSpec) -> tuple[RunSpec, ...]:
    """Return the runs that a run depends on.

    A post-hoc remedy depends on a run of plain training, an ensemble on several of them, and a tuned run on its trials. All other
    runs depend on nothing. The members of an ensemble train on the same images, with different initializations and batch orders.
    """
    plain, chosen = spec.with_(remedy=remedies.stamp(Choice(name="none"))), remedy(spec.remedy)
    if is_derived(spec):
        others = range(1, chosen.members)
        return (plain, *(plain.moved("init", "batches", by=number * MOVED_BY) for number in others))
    return _trials(plain, chosen.trials)


def _trials(plain: RunSpec, trials: Sequence[Trial]) -> tuple[RunSpec, ...]:
    """Return the trials of a cell. All its runs share them, and their seed is never reported.

    The trials of a network vary the learning rate and the weight decay. The trials of a classical model vary its own settings, and
    there are at most as many of them.
    """
    base = plain.with_(seed=TRIAL_SEED, kind="trial")
    facts = models.entry(plain.model.name).facts
    if not trials:
        return ()
    if facts["kind"] == "classical":
        settings = facts["trials"][: len(trials)]
        return tuple(base.with_(model=base.model.model_copy(update={"options": dict(options)})) for options in settings)
    rate = facts.get("learning_rate", LEARNING_RATE)
    recipes = [{"learning_rate": rate * trial.learning_rate_factor, "weight_decay": trial.weight_decay} for trial in trials]
    return tuple(base.with_(training=base.training.model_copy(update=recipe)) for recipe in recipes)


def task(spec: RunSpec, records: dict[str, Record]) -> Task:
    """Return the task of a run, given the records of its parents.

    A tuned run takes the settings of the trial with the highest balanced accuracy on the validation images.

    Raises:
        InputError: every trial failed.
    """
    if not remedy(spec.remedy).trials:
        return Task(spec, spec)
    trials = [records[trial.run_id] for trial in parents(spec) if trial.run_id in records]
    if not trials:
        raise InputError(f"all trials of {spec.model.name} under {spec.profile.label} failed, so no settings can be chosen")
    best = max(trials, key=lambda record: record.validation["balanced_accuracy"]).spec
    return Task(spec, spec.with_(model=best.model, training=best.training))
