"""Successive halving over models × remedies: which candidates deserve the whole budget, asked anew in every run.

In each run all candidates are trained with a small part of the budget; the better third, by balanced accuracy on validation, goes
on with three times as much, until the finalists are trained with the whole (Jamieson & Talwalkar 2016, with η = 3). A run chooses
by its own validation images, and never by its test images; so no image judges a choice that it helped to make.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, RunSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records
from imagestudy.experiments.stages import Bound, Stages, meet
from imagestudy.experiments.store import RunStore
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
    return [plan.training.images_seen // ETA**left for left in range(plan.effort.recommendation.rungs, 0, -1)]


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
class Climb:
    """How far the trials of one run are recorded.

    Args:
        specs: rung → candidate → trial, the last rung perhaps not recorded yet.
        scores: rung → candidate → score on validation, of the rungs that are recorded.
        left: who goes on from the last recorded rung, the best first.
    """

    specs: tuple[dict[Candidate, RunSpec], ...]
    scores: tuple[dict[Candidate, float], ...]
    left: tuple[Candidate, ...]

    @property
    def is_done(self) -> bool:
        """Whether every rung is recorded."""
        return len(self.specs) == len(self.scores)


def climb(plan: Plan, store: RunStore, number: int) -> Climb:
    """The trials of one run, rung by rung, as far as the store tells who goes on.

    Raises:
        InputError: no candidate is left, since all of its trainings failed.
    """
    left, specs, scores = tuple(candidates(plan)), [], []
    for rung, images_seen in enumerate(budgets(plan)):
        specs.append({one: trial(runs_of(plan, one)[number], images_seen) for one in left})
        found = _scores(plan, specs[-1], store)
        if found is None:
            break
        scores.append(found)
        left = tuple(_go_on(plan, found, rung))
    return Climb(tuple(specs), tuple(scores), left)


def _scores(plan: Plan, specs: dict[Candidate, RunSpec], store: RunStore) -> dict[Candidate, float] | None:
    """Candidate → balanced accuracy on validation, without those whose training failed; None if one is not recorded yet."""
    if runner.missing(specs.values(), study=plan.name):
        return None
    stamped = {one: runner.stamp(spec).run_id for one, spec in specs.items()}
    found = store.load(stamped.values())
    scores = {one: found[run_id].validation[SCORE] for one, run_id in stamped.items() if run_id in found}
    if not scores:
        number = next(iter(specs.values())).seed
        raise InputError(f"every training of run {number} of study {plan.name!r} failed; `imagestudy runs failed` says why")
    return scores


def ask(plan: Plan, store: RunStore) -> list[RunSpec]:
    """The trials, and once all rungs are recorded the finals, that are needed by what the store holds."""
    climbs = [climb(plan, store, number) for number in range(plan.effort.runs)]
    asked = [spec for one in climbs for rung in one.specs for spec in rung.values()]
    return [*asked, *_finals(plan, _finalists(plan, climbs))] if all(one.is_done for one in climbs) else asked


def bound(plan: Plan, store: RunStore) -> list[Bound]:
    """What `ask` may still add, run by run: the candidates that go on at most, whoever they are."""
    climbs = [climb(plan, store, number) for number in range(plan.effort.runs)]
    if all(one.is_done for one in climbs):
        return []
    everyone, most = candidates(plan), 2 * plan.effort.recommendation.finalists
    plain = list(dict.fromkeys(Candidate(one.model, PLAIN) for one in everyone))
    bounds = []
    for number, one in enumerate(climbs):
        whole = {candidate: runs_of(plan, candidate)[number] for candidate in dict.fromkeys((*everyone, *plain))}
        for rung, images_seen in list(enumerate(budgets(plan)))[len(one.specs) :]:
            bounds.append(Bound(tuple(trial(whole[c], images_seen) for c in everyone), _most_after(plan, rung - 1)))
        bounds.append(Bound(tuple(whole[c] for c in everyone if c not in plain), most))
        bounds.append(Bound(tuple(whole[c] for c in plain), most))
    return bounds


def select(plan: Plan, *, workers: int | None = None) -> Selection:
    """Train rung by rung what the store lacks; a second call only loads.

    Raises:
        InputError: as `candidates` and `climb`.
    """
    wanted = meet(STAGES, plan, workers=workers)
    store = RunStore(paths.store_file(plan.name))
    climbs = [climb(plan, store, number) for number in range(plan.effort.runs)]
    finalists = _finalists(plan, climbs)
    records = runner.obtain(_finals(plan, finalists), study=plan.name, workers=workers)
    rows = [
        row for rung in range(len(budgets(plan))) for number, one in enumerate(climbs) for row in _rows(plan, one, number, rung)
    ]
    return Selection(plan, pd.DataFrame(rows, columns=COLUMNS), finalists, _panel(plan, finalists), records, tuple(wanted))


def _finalists(plan: Plan, climbs: Sequence[Climb]) -> dict[int, tuple[Candidate, ...]]:
    return {number: one.left[: plan.effort.recommendation.finalists] for number, one in enumerate(climbs)}


def _rows(plan: Plan, one: Climb, number: int, rung: int) -> list[dict[str, object]]:
    kept = _go_on(plan, one.scores[rung], rung)
    head = {"run": number, "rung": rung, "images_seen": budgets(plan)[rung]}
    return [
        head | {"model": c.model, "remedy": c.remedy, "score": score, "kept": c in kept} for c, score in one.scores[rung].items()
    ]


def _most_after(plan: Plan, rung: int) -> int:
    """How many candidates go on to the next rung at most; fewer where trainings failed."""
    number = len(candidates(plan))
    return kept_after(
        rung, rungs=plan.effort.recommendation.rungs, candidates=number, finalists=plan.effort.recommendation.finalists
    )


def _go_on(plan: Plan, scores: dict[Candidate, float], rung: int) -> list[Candidate]:
    """Who goes on to the next rung, the best first."""
    return sorted(scores, key=lambda one: (-scores[one], one))[: _most_after(plan, rung)]


def _panel(plan: Plan, finalists: dict[int, tuple[Candidate, ...]]) -> tuple[Candidate, ...]:
    """The most frequent finalists; among equally frequent ones those that stood higher."""
    often = Counter(one for ranked in finalists.values() for one in ranked)
    place = {one: sum(ranked.index(one) for ranked in finalists.values() if one in ranked) / often[one] for one in often}
    return tuple(sorted(often, key=lambda one: (-often[one], place[one], one))[: plan.effort.recommendation.finalists])


def _finals(plan: Plan, finalists: dict[int, tuple[Candidate, ...]]) -> list[RunSpec]:
    """The runs with the whole budget: finalists in their own run, the panel in all, each with plain training beside it."""
    wanted = [(number, one) for number, ranked in finalists.items() for one in (*ranked, *_panel(plan, finalists))]
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
    steps.append(f"the best {min(number, plan.effort.recommendation.finalists)} with {plan.training.images_seen:,}")
    how = "a third goes on each time, chosen on validation" if len(steps) > 2 else "chosen on validation"
    return f"In each of {plan.effort.runs} runs: {', then '.join(steps)}; {how}."


STAGES = Stages(ask, bound, possible, say_schedule)
"""Successive halving as needs that follow from records."""
