"""Successive halving over models × remedies (Jamieson & Talwalkar 2016, with η = 3), repeated in every run.

In each run, all candidates are trained with a small part of the budget. The best third by balanced accuracy on validation continues
with three times the budget, until the finalists are trained with the whole budget. A run selects by its own validation images. Test
images never influence the choice. Of candidates with the same score, the simplest goes on, see `simplicity`.
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
from imagestudy.models import models
from imagestudy.remedies import remedies, remedy

ETA = 3
PLAIN = "none"
SCORE = "balanced_accuracy"
COLUMNS = ["run", "rung", "images_seen", "model", "remedy", "score", "kept"]


SIMPLE_MODELS = ("majority", "logistic", "knn", "hog_svm", "svm")
"""The simplest models, the simplest first."""
SIMPLE_CHANGES = ("nowhere", "posthoc", "loss", "head", "data", "tuning")
"""What a remedy changes (its fact `acts`), the simplest first."""


@dataclass(frozen=True)
class Candidate:
    """A model with a remedy."""

    model: str
    remedy: str


def simplicity(one: Candidate) -> tuple[bool, int, int, int, int]:
    """Return the sort key that puts simpler candidates first.

    Classical models come before networks, and pretrained networks last; networks come in the order in which they are listed
    (`imagestudy models`). For one model, plain training comes first, then remedies that change predictions, the loss, the head, and
    the data.
    """
    model, acts = models.entry(one.model).facts, remedies.entry(one.remedy).facts["acts"].split(" and ")
    classical = SIMPLE_MODELS.index(one.model) if one.model in SIMPLE_MODELS else len(SIMPLE_MODELS)
    changed = max(SIMPLE_CHANGES.index(what) for what in acts)
    return bool(model.get("pretrained")), classical, models.names().index(one.model), changed, remedies.names().index(one.remedy)


@dataclass(frozen=True)
class Selection:
    """The selection of every run, with its records.

    Args:
        plan: the study at its effort.
        trials: one row per candidate, run and rung: `run`, `rung`, `images_seen`, `model`, `remedy`, validation `score`, `kept`.
        finalists: number of a run → its finalists, the best of the last rung first.
        panel: the candidates that were finalists most often. Every run trains them with the whole budget, so they are paired.
        records: the records of the finalists, of the panel, and of plain training of their models.
        wanted: all runs that were needed, including trials.
    """

    plan: Plan
    trials: pd.DataFrame
    finalists: dict[int, tuple[Candidate, ...]]
    panel: tuple[Candidate, ...]
    records: Records
    wanted: tuple[RunSpec, ...]


def candidates(plan: Plan) -> list[Candidate]:
    """Return the crossed models with each remedy that is one training run or is computed from one.

    Raises:
        InputError: the study names no model under `crossed`, no profile, or no such remedy.
    """
    if not plan.study.crossed or not plan.study.profiles:
        raise InputError(f"study {plan.name!r} names no model under 'crossed' or no profile; needed: at least one of each")
    found = [
        Candidate(model, name)
        for model in plan.study.crossed
        for name in grids.remedies_of(plan, model, whole=True)
        if remedy(Choice(name=name)).members == 1 and not remedy(Choice(name=name)).trials
    ]
    if not found:
        raise InputError(
            f"study {plan.name!r} has no candidate: its models under 'crossed' support none of its remedies, or these take several "
            f"training runs; add {PLAIN!r} to 'remedies'"
        )
    return found


def runs_of(plan: Plan, candidate: Candidate) -> list[RunSpec]:
    """Return the paired runs of a candidate under the study's first profile, with the whole budget."""
    return grids.cell(plan, candidate.model, profile=plan.study.profiles[0], remedy=grids.remedy_of(plan, candidate.remedy))


def budgets(plan: Plan) -> list[int]:
    """Return the images seen in each rung before the whole budget, the smallest first."""
    return [plan.training.images_seen // ETA**left for left in range(plan.effort.recommendation.rungs, 0, -1)]


def kept_after(rung: int, *, rungs: int, candidates: int, finalists: int) -> int:
    """Return how many candidates continue after a rung: a third, but at least `finalists`; after the last rung, `finalists`."""
    survivors = max(finalists, -(-candidates // ETA ** (rung + 1)))
    return min(candidates, finalists if rung == rungs - 1 else survivors)


def trial(spec: RunSpec, images_seen: int) -> RunSpec:
    """Return a candidate's run as a trial: the same training images, but a part of the budget."""
    return spec.with_(kind="trial", training=spec.training.model_copy(update={"images_seen": images_seen}))


def possible(plan: Plan) -> list[RunSpec]:
    """Return all runs that `select` may need, whatever the scores are."""
    whole = [spec for one in candidates(plan) for spec in runs_of(plan, one)]
    return [*whole, *(trial(spec, images_seen) for spec in whole for images_seen in budgets(plan))]


@dataclass(frozen=True)
class Climb:
    """The rungs of one run that are known so far.

    Args:
        specs: rung → candidate → trial. The last rung may not be recorded yet.
        scores: rung → candidate → score on validation, for the recorded rungs.
        left: the candidates that continue after the last recorded rung, the best first.
    """

    specs: tuple[dict[Candidate, RunSpec], ...]
    scores: tuple[dict[Candidate, float], ...]
    left: tuple[Candidate, ...]

    @property
    def is_done(self) -> bool:
        """Whether every rung is recorded."""
        return len(self.specs) == len(self.scores)


def climb(plan: Plan, store: RunStore, number: int) -> Climb:
    """Return the rungs of one run that are known from the store.

    Raises:
        InputError: all trials of a rung failed, so no candidate is left.
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
    """Return candidate → balanced accuracy on validation, without failed candidates; None if a trial is not recorded yet."""
    if runner.missing(specs.values(), study=plan.name):
        return None
    stamped = {one: runner.stamp(spec).run_id for one, spec in specs.items()}
    found = store.load(stamped.values())
    scores = {one: found[run_id].validation[SCORE] for one, run_id in stamped.items() if run_id in found}
    if not scores:
        number = next(iter(specs.values())).seed
        raise InputError(f"all trials of run {number} of study {plan.name!r} failed; `imagestudy runs failed` shows the reasons")
    return scores


def ask(plan: Plan, store: RunStore) -> list[RunSpec]:
    """Return the runs that are known to be needed: the trials and, once all rungs are recorded, the runs with the whole budget."""
    climbs = [climb(plan, store, number) for number in range(plan.effort.runs)]
    asked = [spec for one in climbs for rung in one.specs for spec in rung.values()]
    return [*asked, *_finals(plan, _finalists(plan, climbs))] if all(one.is_done for one in climbs) else asked


def bound(plan: Plan, store: RunStore) -> list[Bound]:
    """Return upper bounds of what `ask` may still add: for each run and rung, the maximum number of candidates that continue."""
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
    """Return the selection of every run. Runs that the store lacks are trained, rung by rung.

    Raises:
        InputError: see `candidates` and `climb`.
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
    """Return the maximum number of candidates that continue to the next rung. Fewer continue if trials failed."""
    number = len(candidates(plan))
    return kept_after(
        rung, rungs=plan.effort.recommendation.rungs, candidates=number, finalists=plan.effort.recommendation.finalists
    )


def _go_on(plan: Plan, scores: dict[Candidate, float], rung: int) -> list[Candidate]:
    """Return the candidates that continue to the next rung, the best first, and the simplest of equal ones."""
    return sorted(scores, key=lambda one: (-scores[one], simplicity(one)))[: _most_after(plan, rung)]


def _panel(plan: Plan, finalists: dict[int, tuple[Candidate, ...]]) -> tuple[Candidate, ...]:
    """Return the most frequent finalists. Among equally frequent ones, a better mean rank comes first, then the simpler one."""
    often = Counter(one for ranked in finalists.values() for one in ranked)
    place = {one: sum(ranked.index(one) for ranked in finalists.values() if one in ranked) / often[one] for one in often}
    return tuple(sorted(often, key=lambda one: (-often[one], place[one], simplicity(one)))[: plan.effort.recommendation.finalists])


def _finals(plan: Plan, finalists: dict[int, tuple[Candidate, ...]]) -> list[RunSpec]:
    """Return the runs with the whole budget: finalists in their own run, the panel in all runs, and their plain training."""
    wanted = [(number, one) for number, ranked in finalists.items() for one in (*ranked, *_panel(plan, finalists))]
    beside = [(number, Candidate(one.model, PLAIN)) for number, one in wanted]
    return [runs_of(plan, one)[number] for number, one in dict.fromkeys((*wanted, *beside))]


def chosen(selection: Selection) -> list[Record]:
    """Return for every run the record of the finalist that is best on validation with the whole budget; of equals, the simplest."""
    by_run: dict[int, list[Record]] = {}
    for record in selection.records:
        if candidate_of(record) in selection.finalists[record.spec.seed]:
            by_run.setdefault(record.spec.seed, []).append(record)
    return [min(by_run[number], key=lambda r: (-r.validation[SCORE], simplicity(candidate_of(r)))) for number in sorted(by_run)]


def candidate_of(record: Record) -> Candidate:
    """Return the candidate of which a record is a run."""
    return Candidate(record.spec.model.name, record.spec.remedy.name)


def say_schedule(plan: Plan) -> str:
    """Return the schedule in words: how many candidates are trained with how many images, and how many continue."""
    number = len(candidates(plan))
    steps = []
    for rung, images_seen in enumerate(budgets(plan)):
        steps.append(f"{number} {'candidate' if number == 1 else 'candidates'} with {images_seen:,} images seen")
        number = _most_after(plan, rung)
    best = min(number, plan.effort.recommendation.finalists)
    steps.append(f"the best {best} with {plan.training.images_seen:,} images seen")
    how = "A third continues each time, chosen on validation" if len(steps) > 2 else "They are chosen on validation"
    where = "In 1 run" if plan.effort.runs == 1 else f"In each of {plan.effort.runs} runs"
    return f"{where}, successive halving trains {', then '.join(steps)}. {how}."


STAGES = Stages(ask, bound, possible, say_schedule)
"""Successive halving as stages: the records decide which runs are needed next."""
