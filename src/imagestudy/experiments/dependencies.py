"""Which runs a run is computed or chosen from."""

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
    """A run, and the spec with which it is really trained: the same, but for a tuned run, whose settings its trials chose."""

    spec: RunSpec
    effective: RunSpec


def is_derived(spec: RunSpec) -> bool:
    """Whether the run's remedy acts on stored log-probabilities alone."""
    chosen = remedy(spec.remedy)
    return chosen.posthoc is not None or chosen.members > 1


def parents(spec: RunSpec) -> tuple[RunSpec, ...]:
    """The runs of `none` behind a post-hoc remedy or an ensemble, the trials behind a tuned run, nothing behind any other.

    The members of an ensemble train on the same images, with other initialisations and batch orders.
    """
    plain, chosen = spec.with_(remedy=remedies.stamp(Choice(name="none"))), remedy(spec.remedy)
    if is_derived(spec):
        others = range(1, chosen.members)
        return (plain, *(plain.moved("init", "batches", by=number * MOVED_BY) for number in others))
    return _trials(plain, chosen.trials)


def _trials(plain: RunSpec, trials: Sequence[Trial]) -> tuple[RunSpec, ...]:
    """The trials of a cell, one set for all its runs, on a seed that is never reported.

    Learning rate × weight decay for a network, as many of its own settings for a classical model.
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
    """The task of a run, given the records of its parents; a tuned run takes the trial of highest balanced accuracy on validation.

    Raises:
        InputError: every trial failed.
    """
    if not remedy(spec.remedy).trials:
        return Task(spec, spec)
    trials = [records[trial.run_id] for trial in parents(spec) if trial.run_id in records]
    if not trials:
        raise InputError(f"all trials of {spec.model.name} under {spec.profile.label} failed; nothing to choose from")
    best = max(trials, key=lambda record: record.validation["balanced_accuracy"]).spec
    return Task(spec, spec.with_(model=best.model, training=best.training))
