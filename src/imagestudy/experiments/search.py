"""Successive halving over models × remedies: which candidates deserve the whole budget, asked anew in every run.

In each run all candidates are trained with a small part of the budget; the better third, by balanced accuracy on validation, goes
on with three times as much, until the finalists are trained with the whole (Jamieson & Talwalkar 2016, with η = 3). A run chooses
by its own validation images, and never by its test images; so no image judges a choice that it helped to make.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, RunSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records
from imagestudy.remedies import remedy

ETA = 3
PLAIN = "none"
SCORE = "balanced_accuracy"
COLUMNS = ["run", "rung", "images_seen", "model", "remedy", "score", "kept"]


@dataclass(frozen=True, order=True)
class Candidate:
    """A model with a remedy."""

    model: str
    remedy: str


@dataclass(frozen=True)
class Selection:
    """What every run chose, and the records behind it.

    Args:
        plan: the study at its effort.
        trials: one row a candidate, run and rung: `run`, `rung`, `images_seen`, `model`, `remedy`, `score` (on validation), `kept`.
        finalists: number of a run → its finalists, the best of the last rung first.
        panel: the candidates that were finalists most often; trained with the whole budget in every run, so that they are paired.
        records: of the finalists, the panel, and plain training of their models.
        wanted: all runs that were asked for, trials among them.
    """

    plan: Plan
    trials: pd.DataFrame
    finalists: dict[int, tuple[Candidate, ...]]
    panel: tuple[Candidate, ...]
    records: Records
    wanted: tuple[RunSpec, ...]


def candidates(plan: Plan) -> list[Candidate]:
    """The crossed models with each remedy that is one training or follows from one.

    Raises:
        InputError: the study names no model to be crossed, or no profile.
    """
    if not plan.study.crossed or not plan.study.profiles:
        raise InputError(f"study {plan.name!r} names no model under 'crossed' or no profile; needed: one or more, to choose among")
    return [
        Candidate(model, name)
        for model in plan.study.crossed
        for name in grids.remedies_of(plan, model, whole=True)
        if remedy(Choice(name=name)).members == 1 and not remedy(Choice(name=name)).trials
    ]


def runs_of(plan: Plan, candidate: Candidate) -> list[RunSpec]:
    """The paired runs of a candidate under the study's first profile, with the whole budget."""
    return grids.cell(plan, candidate.model, profile=plan.study.profiles[0], remedy=grids.remedy_of(plan, candidate.remedy))


def budgets(plan: Plan) -> list[int]:
    """Images seen in each rung before the whole budget, the smallest first."""
    return [plan.training.images_seen // ETA**left for left in range(plan.effort.rungs, 0, -1)]


def kept_after(rung: int, *, rungs: int, candidates: int, finalists: int) -> int:
    """How many candidates go on: a third, but never fewer than the finalists; after the last rung, those."""
    survivors = max(finalists, -(-candidates // ETA ** (rung + 1)))
    return min(candidates, finalists if rung == rungs - 1 else survivors)


def trial(spec: RunSpec, images_seen: int) -> RunSpec:
    """A candidate's run as a trial on the same training images, with a part of the budget."""
    return spec.with_(kind="trial", training=spec.training.model_copy(update={"images_seen": images_seen}))


def possible(plan: Plan) -> list[RunSpec]:
    """All runs that `select` may ask for, whatever the scores turn out to be."""
    whole = [spec for one in candidates(plan) for spec in runs_of(plan, one)]
    return [*whole, *(trial(spec, images_seen) for spec in whole for images_seen in budgets(plan))]


@dataclass(frozen=True)
class Unsettled:
    """Runs of which `select` will ask for so many at most; scores that are not there yet decide for which."""

    among: tuple[RunSpec, ...]
    most: int


def ahead(plan: Plan) -> tuple[list[RunSpec], list[Unsettled]]:
    """What `select` asks for: the runs that are certain by what the store holds, and those that scores still to come decide.

    Raises:
        InputError: as `select`.
    """
    asked: list[RunSpec] = []
    unsettled: list[Unsettled] = []
    finalists: dict[int, tuple[Candidate, ...]] = {}
    for number in range(plan.effort.runs):
        trials, ranked = _climb(plan, number)
        asked += [spec for rung in trials for spec in rung]
        if ranked is None:
            unsettled += _beyond(plan, number, len(trials))
        else:
            finalists[number] = ranked
    if len(finalists) == plan.effort.runs:
        return [*asked, *_finals(plan, finalists, _panel(finalists, number=plan.effort.finalists))], []
    return asked, unsettled + [one for number in range(plan.effort.runs) for one in _unsettled_finals(plan, number)]


def _climb(plan: Plan, number: int) -> tuple[list[list[RunSpec]], tuple[Candidate, ...] | None]:
    """The trials of one run, rung by rung, as far as the store tells who goes on, and its finalists if it tells that."""
    left, climbed = candidates(plan), []
    for rung, images_seen in enumerate(budgets(plan)):
        specs = {(number, one): trial(runs_of(plan, one)[number], images_seen) for one in left}
        climbed.append(list(specs.values()))
        if runner.missing(specs.values(), study=plan.name):
            return climbed, None
        left = _go_on(plan, _score(plan, specs, workers=1)[number], rung)
    return climbed, tuple(left[: plan.effort.finalists])


def _beyond(plan: Plan, number: int, first: int) -> list[Unsettled]:
    """The trials of one run from a rung on."""
    every = [runs_of(plan, one)[number] for one in candidates(plan)]
    later = [(rung, seen) for rung, seen in enumerate(budgets(plan)) if rung >= first]
    return [Unsettled(tuple(trial(spec, seen) for spec in every), _most_after(plan, rung - 1)) for rung, seen in later]


def _unsettled_finals(plan: Plan, number: int) -> list[Unsettled]:
    """One run's own finalists and the panel, which may be others, and plain training of their models."""
    everyone, most = candidates(plan), 2 * plan.effort.finalists
    beside = dict.fromkeys(Candidate(one.model, PLAIN) for one in everyone)
    apart = [one for one in everyone if one not in beside]
    return [Unsettled(tuple(runs_of(plan, one)[number] for one in group), most) for group in (apart, beside)]


def select(plan: Plan, *, workers: int | None = None) -> Selection:
    """Train rung by rung what the store lacks; a second call only loads.

    Raises:
        InputError: as `candidates`; or a run has no candidate left, since all of its trainings failed.
    """
    everyone = candidates(plan)
    remaining = {number: list(everyone) for number in range(plan.effort.runs)}
    rows: list[dict[str, object]] = []
    asked: list[RunSpec] = []
    for rung, images_seen in enumerate(budgets(plan)):
        specs = {(n, one): trial(runs_of(plan, one)[n], images_seen) for n, left in remaining.items() for one in left}
        scores = _score(plan, specs, workers=workers)
        remaining = {number: _go_on(plan, found, rung) for number, found in scores.items()}
        rows += _rows(scores, remaining, rung=rung, images_seen=images_seen)
        asked += specs.values()
    finalists = {number: tuple(ranked[: plan.effort.finalists]) for number, ranked in remaining.items()}
    panel = _panel(finalists, number=plan.effort.finalists)
    finals = _finals(plan, finalists, panel)
    records = runner.obtain(finals, study=plan.name, workers=workers)
    return Selection(plan, pd.DataFrame(rows, columns=COLUMNS), finalists, panel, records, (*asked, *finals))


def _most_after(plan: Plan, rung: int) -> int:
    """How many candidates go on to the next rung at most; fewer where trainings failed."""
    number = len(candidates(plan))
    return kept_after(rung, rungs=plan.effort.rungs, candidates=number, finalists=plan.effort.finalists)


def _go_on(plan: Plan, scores: dict[Candidate, float], rung: int) -> list[Candidate]:
    """Who goes on to the next rung, the best first."""
    return sorted(scores, key=lambda one: (-scores[one], one))[: _most_after(plan, rung)]


def _score(plan: Plan, specs: dict[tuple[int, Candidate], RunSpec], *, workers: int | None) -> dict[int, dict[Candidate, float]]:
    """Run → candidate → balanced accuracy on the run's validation images; a training that failed has none."""
    found = runner.obtain(specs.values(), study=plan.name, workers=workers)
    by_id = {record.spec.run_id: record.validation[SCORE] for record in found}
    scores: dict[int, dict[Candidate, float]] = {number: {} for number, _ in specs}
    for (number, one), spec in specs.items():
        if (run_id := runner.stamp(spec).run_id) in by_id:
            scores[number][one] = by_id[run_id]
    if empty := [number for number, one in scores.items() if not one]:
        raise InputError(f"every training of run {empty[0]} of study {plan.name!r} failed; `imagestudy runs failed` says why")
    return scores


def _rows(
    scores: dict[int, dict[Candidate, float]], remaining: dict[int, list[Candidate]], *, rung: int, images_seen: int
) -> list[dict[str, object]]:
    return [
        {"run": number, "rung": rung, "images_seen": images_seen, "model": one.model, "remedy": one.remedy, "score": score}
        | {"kept": one in remaining[number]}
        for number, found in scores.items()
        for one, score in found.items()
    ]


def _panel(finalists: dict[int, tuple[Candidate, ...]], *, number: int) -> tuple[Candidate, ...]:
    """The most frequent finalists; among equally frequent ones those that stood higher."""
    often = Counter(one for ranked in finalists.values() for one in ranked)
    place = {one: sum(ranked.index(one) for ranked in finalists.values() if one in ranked) / often[one] for one in often}
    return tuple(sorted(often, key=lambda one: (-often[one], place[one], one))[:number])


def _finals(plan: Plan, finalists: dict[int, tuple[Candidate, ...]], panel: Sequence[Candidate]) -> list[RunSpec]:
    """The runs with the whole budget: finalists in their own run, the panel in all, each with plain training beside it."""
    wanted = [(number, one) for number, ranked in finalists.items() for one in (*ranked, *panel)]
    beside = [(number, Candidate(one.model, PLAIN)) for number, one in wanted]
    return [runs_of(plan, one)[number] for number, one in dict.fromkeys((*wanted, *beside))]


def chosen(selection: Selection) -> list[Record]:
    """In every run the finalist that is best on validation with the whole budget."""
    by_run: dict[int, list[Record]] = {}
    for record in selection.records:
        if Candidate(record.spec.model.name, record.spec.remedy.name) in selection.finalists[record.spec.seed]:
            by_run.setdefault(record.spec.seed, []).append(record)
    return [max(by_run[number], key=lambda record: record.validation[SCORE]) for number in sorted(by_run)]


def say_schedule(plan: Plan) -> str:
    """How many trainings of which length, and how many go on, in one sentence."""
    number = len(candidates(plan))
    steps = []
    for rung, images_seen in enumerate(budgets(plan)):
        steps.append(f"{number} with {images_seen:,} images seen")
        number = _most_after(plan, rung)
    steps.append(f"the best {min(number, plan.effort.finalists)} with {plan.training.images_seen:,}")
    how = "a third goes on each time, chosen on validation" if len(steps) > 2 else "chosen on validation"
    return f"In each of {plan.effort.runs} runs: {', then '.join(steps)}; {how}."
