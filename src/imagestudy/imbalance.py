"""What imbalance costs and what its remedies give back: records → the tables and sentences about class imbalance.

Every gain is paired with plain training (the remedy `none`) of the same model under the same profile; the remedies tried under one
profile are declared together. What is chosen is chosen on validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy import compare, grids, metrics, runs, stats, tables
from imagestudy.compare import Effect, Judged
from imagestudy.data import sources, splits
from imagestudy.errors import InputError, require_known
from imagestudy.figures.style import FAMILY_TITLES
from imagestudy.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.models import models
from imagestudy.records import Records, labels_key
from imagestudy.remedies import posthoc, remedies, remedy
from imagestudy.runs.lineage import is_derived, parents
from imagestudy.specs import ProfileSpec, RunSpec
from imagestudy.store import Record
from imagestudy.versions import stamp

PLAIN, TUNED, FIXED_TAU, BEST_TAU = "none", "tuned", "logit_adjustment", "logit_adjustment_tuned"
MEMBERS = tuple(name for family in TRADITIONAL for name in (TRADITIONAL[family], DECIDING[family]))
"""The traditional and the modern member of each family that has both."""


# --- what is shown, and the runs behind it ------------------------------------------------------------------------------------


def profiles_of(plan: Plan, *, ratios: Sequence[Any]) -> list[ProfileSpec]:
    """The imbalanced profiles that are shown, the most important first; `ratios` replaces those of the study file.

    Raises:
        InputError: as `grids.imbalanced_profiles`; or the study has nothing to show.
    """
    profiles = grids.imbalanced_profiles(plan, ratios=ratios)
    if not profiles or not plan.study.crossed:
        lacking = "model under 'crossed'" if profiles else "exponential or step profile" if ratios else "imbalanced profile"
        raise InputError(f"study {plan.name!r} names no {lacking}; needed: one or more, to compare remedies for class imbalance")
    return profiles


def model_of(plan: Plan, given: str) -> str:
    """The model that is looked at closely; an empty name is the study's first crossed one."""
    return require_known(given, plan.study.crossed, what="model", where="parameter 'model'") if given else plan.study.crossed[0]


def remedy_of(plan: Plan, records: Records, profiles: Sequence[ProfileSpec], *, model: str, given: str) -> str:
    """The remedy that is looked at closely; an empty name is the one that does best on validation, `none` left aside."""
    allowed = [name for name in grids.remedies_of(plan, model, whole=_whole(plan, 0)) if name != PLAIN]
    if given:
        return require_known(given, allowed, what="remedy", where=f"parameter 'remedy' for model {model!r}")
    cells = {name: records.where(model=model, profile=profiles[0], remedy=name, kind="run") for name in allowed}
    return max((name for name in allowed if len(cells[name])), key=lambda name: _on_validation(cells[name]))


def grid(plan: Plan, profiles: Sequence[ProfileSpec], *, ratios: Sequence[Any]) -> list[RunSpec]:
    """All runs that are shown, the trials of tuning among them; under the first profile the post-hoc remedies in any case."""
    adjusted = [
        spec
        for model in plan.study.crossed
        for name in (FIXED_TAU, BEST_TAU)
        for spec in grids.cell(plan, model, profile=profiles[0], remedy=grids.remedy_of(plan, name))
    ]
    shown = [*grids.imbalance(plan, ratios=ratios), *adjusted, *_plain_runs(plan, profiles), *grids.loss_to_imbalance(plan)]
    return runs.with_parents(shown)


def _plain_runs(plan: Plan, profiles: Sequence[ProfileSpec]) -> list[RunSpec]:
    cells = [grids.cell(plan, name, profile=p) for pair in _pairs(plan, profiles) for p in pair for name in MEMBERS]
    return [spec for members in cells for spec in members]


def _pairs(plan: Plan, profiles: Sequence[ProfileSpec]) -> list[tuple[ProfileSpec, ProfileSpec]]:
    """Each profile with the balanced one of as many images; a natural profile has more than any balanced one can."""
    return [(profile, grids.as_many_balanced(plan, profile)) for profile in profiles if profile.name != "natural"]


def _whole(plan: Plan, rank: int) -> bool:
    return rank < plan.effort.whole


def _on_validation(cell: Records) -> float:
    return float(np.mean([record.validation[compare.HEADLINE] for record in cell]))


def counts(plan: Plan, profiles: Sequence[ProfileSpec]) -> dict[str, Int64[np.ndarray, " rank"]]:
    """Label of a profile → training images of each class, the largest first."""
    dataset = sources.load(plan.study.dataset)
    available = splits.count(dataset.labels[splits.split(dataset).train], len(dataset.classes))
    return {profile.label: splits.profile_counts(profile, available) for profile in profiles}


# --- what is lost, and what is gained -----------------------------------------------------------------------------------------


def losses(plan: Plan, records: Records, profiles: Sequence[ProfileSpec]) -> pd.DataFrame:
    """Plain training under each profile against a balanced set of as many images: one row a member and profile.

    Returns:
        Columns of `compare.against`; the members under one profile are declared together.
    """
    frames = []
    for profile, balanced in _pairs(plan, profiles):
        for name in MEMBERS:
            ours, theirs = (records.of(grids.cell(plan, name, profile=p)) for p in (profile, balanced))
            if len(ours) and len(theirs):
                frames.append(compare.against(ours, theirs, margin=plan.study.margin, comparisons=len(MEMBERS)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def gains(plan: Plan, records: Records, profiles: Sequence[ProfileSpec]) -> pd.DataFrame:
    """Every remedy that was run against `none`: one row a profile, model and remedy, a model's missing remedies left out.

    Returns:
        Columns of `compare.against`; the remedies of a profile are declared together, as many for every model.
    """
    frames = []
    for rank, profile in enumerate(profiles):
        declared = _declared(plan, rank)
        for model in plan.study.crossed:
            cells = cells_of(plan, records, profiles, rank=rank, model=model)
            plain = cells.pop(PLAIN, None)
            frames += [
                compare.against(cell, plain, margin=plan.study.margin, comparisons=declared)
                for cell in cells.values()
                if plain is not None
            ]
    return pd.concat(frames, ignore_index=True)


def _declared(plan: Plan, rank: int) -> int:
    """How many remedies are set against `none` under a profile."""
    tried = {name for model in plan.study.crossed for name in grids.remedies_of(plan, model, whole=_whole(plan, rank))}
    return max(1, len(tried - {PLAIN}))


def cells_of(plan: Plan, records: Records, profiles: Sequence[ProfileSpec], *, rank: int, model: str) -> dict[str, Records]:
    """Remedy → its runs on one model under the profile of this rank, in the order of the study; a cell without runs is left out."""
    names = grids.remedies_of(plan, model, whole=_whole(plan, rank))
    cells = {name: records.where(model=model, profile=profiles[rank], remedy=name, kind="run") for name in names}
    return {name: cell for name, cell in cells.items() if len(cell)}


def joined(cells: dict[str, Records]) -> Records:
    """All runs of some cells."""
    return Records(tuple(r for cell in cells.values() for r in cell), {k: v for cell in cells.values() for k, v in cell.labels.items()})


def spread_out(frame: pd.DataFrame) -> pd.DataFrame:
    """The gains of one profile with a column a model: points, interval, verdict; a dash where a model cannot follow the remedy."""
    names, titles = (list(dict.fromkeys(frame[column])) for column in ("model", "remedy"))
    said = {(row["remedy"], row["model"]): f"{tables.fold_points(row)} {row['verdict']}" for _, row in frame.iterrows()}
    return pd.DataFrame([{"remedy": t} | {name: said.get((t, name), tables.MISSING) for name in names} for t in titles])


# --- who gains: groups of classes and single classes --------------------------------------------------------------------------


def group_effect(ours: Records, baseline: Records, group: str) -> Effect:
    """The recall of a group of classes, "head" or "tail", minus that of the baseline; which classes these are changes with the run."""
    ours, baseline = compare.paired(ours, baseline)
    labels = baseline.test_labels()
    shares = np.stack([_share(record, labels, group) for record in baseline])
    values = (ours.correct() - baseline.correct()) * shares
    return Effect(values, compare.weights_of(labels), labels, unit=float(shares.max()))


def _share(record: Record, labels: Int64[np.ndarray, " image"], group: str) -> Float[np.ndarray, " image"]:
    """K over the group's number of classes for its images, else 0: times the weights of balanced accuracy it gives the group's recall."""
    class_counts = np.array(record.facts["counts"], dtype=np.int64)
    members = metrics.groups(class_counts)[group]
    return np.isin(labels, members) * (len(class_counts) / len(members))


def judge_groups(plan: Plan, ours: Records, baseline: Records) -> dict[str, Judged]:
    """`head` and `tail` → the judged change of recall, both declared together."""
    effects = {group: group_effect(ours, baseline, group) for group in ("head", "tail")}
    return {group: compare.judge(effect, margin=plan.study.margin, comparisons=2) for group, effect in effects.items()}


def recall_by_count(records: Records) -> pd.DataFrame:
    """One row a run and class: remedy, seed, class, its training images (`count`) and its recall."""
    labels = records.test_labels()
    rows = []
    for record, correct in zip(records, records.correct(), strict=True):
        title = remedies.entry(record.spec.remedy.name).facts["title"]
        for label, count in enumerate(record.facts["counts"]):
            recall = float(correct[labels == label].mean())
            rows.append({"remedy": title, "seed": record.spec.seed, "class": label, "count": count, "recall": recall})
    return pd.DataFrame(rows)


def say_rarity(frame: pd.DataFrame) -> str:
    """For each remedy the mean recall of the rarest and of the most frequent classes."""
    rarest, most = int(frame["count"].min()), int(frame["count"].max())
    mean = frame.groupby(["remedy", "count"])["recall"].mean()
    said = [f"{mean[title, rarest]:.2f} and {mean[title, most]:.2f} with {title}" for title in dict.fromkeys(frame["remedy"])]
    images = "image" if rarest == 1 else "images"
    return f"Mean recall of classes with {rarest} training {images}, and with {most}: {'; '.join(said)}."


# --- what it costs ------------------------------------------------------------------------------------------------------------


def trainings(plan: Plan, name: str, model: str) -> int:
    """How often a model is trained for one run under a remedy: once, and once more for each trial of tuning."""
    (spec, *_) = grids.cell(plan, model, remedy=grids.remedy_of(plan, name))
    return 1 if is_derived(stamp(spec)) else 1 + len(parents(stamp(spec)))


def costs(plan: Plan, records: Records, cells: dict[str, Records]) -> pd.DataFrame:
    """One row a remedy of one model: trainings, what they add up to in seconds (of training alone), and where the remedy acts."""
    rows = []
    for name, cell in cells.items():
        spec = cell.records[0].spec
        trials = records.of(() if is_derived(spec) else parents(spec))
        seconds = float(np.mean([r.cost["seconds"] for r in cell])) + sum(r.cost["seconds"] for r in trials)
        facts = remedies.entry(name).facts
        times = trainings(plan, name, spec.model.name)
        rows.append({"remedy": facts["title"], "acts on": ACTS[facts["acts"]], "trainings": times, "seconds": seconds})
    return pd.DataFrame(rows)


ACTS = {"nowhere": "–", "data": "what it sees", "loss": "what it pays", "posthoc": "what it says", "tuning": "its recipe"}


def tuned(plan: Plan, records: Records, profile: ProfileSpec) -> pd.DataFrame:
    """"Just tune the plain baseline": one row a model with the gain, the number of trainings and what validation chose."""
    frames = []
    for model in plan.study.crossed:
        ours, plain = (records.where(model=model, profile=profile, remedy=name, kind="run") for name in (TUNED, PLAIN))
        if len(ours) and len(plain):
            row = compare.against(ours, plain, margin=plan.study.margin, comparisons=len(plan.study.crossed))
            frames.append(row.assign(trainings=trainings(plan, TUNED, model), chosen=_settings(ours.records[0])))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _settings(record: Record) -> str:
    """What a tuned run was trained with, where it is not the recipe's own."""
    own = record.facts.get("options", {}) | {k: record.facts[k] for k in ("learning_rate", "weight_decay") if k in record.facts}
    return ", ".join(f"{key.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in own.items())


def taus(plan: Plan, records: Records, profile: ProfileSpec) -> pd.DataFrame:
    """One row a model: the strengths that validation chose run by run, and what they gain over the fixed strength of 1."""
    frames = []
    for model in plan.study.crossed:
        ours, fixed = (records.where(model=model, profile=profile, remedy=name, kind="run") for name in (BEST_TAU, FIXED_TAU))
        if len(ours) and len(fixed):
            row = compare.against(ours, fixed, margin=plan.study.margin, comparisons=len(plan.study.crossed))
            strengths = [record.facts["tau"] for record in ours]
            frames.append(row.assign(chosen=" ".join(f"{tau:.2f}" for tau in strengths), median=float(np.median(strengths))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


# --- what follows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Best:
    """What to do about imbalance with one model.

    Args:
        model: its name.
        remedy: best on validation, mean over runs; it may be `none`.
        judged: its gain over `none` on the test images; None if it is `none`.
        alike: other remedies that cannot be told from it on the test images.
        higher: those that are higher than it there.
        trainings: what it costs.
    """

    model: str
    remedy: str
    judged: Judged | None
    alike: tuple[str, ...]
    higher: tuple[str, ...]
    trainings: int


def best(plan: Plan, records: Records, profiles: Sequence[ProfileSpec]) -> list[Best]:
    """One entry a model, under the first profile; the gains of all models are declared together."""
    found = []
    for model in plan.study.crossed:
        cells = cells_of(plan, records, profiles, rank=0, model=model)
        if PLAIN not in cells:
            continue
        chosen = max(cells, key=lambda name: _on_validation(cells[name]))
        judged = None if chosen == PLAIN else _judge(plan, cells[chosen], cells[PLAIN], comparisons=len(plan.study.crossed))
        others = {name: _judge(plan, cells[name], cells[chosen], comparisons=len(cells) - 1) for name in cells if name != chosen}
        alike = tuple(name for name, other in others.items() if other.verdict in ("equivalent", "undecided"))
        higher = tuple(name for name, other in others.items() if other.verdict == "higher")
        found.append(Best(model, chosen, judged, alike, higher, trainings(plan, chosen, model)))
    return found


def _judge(plan: Plan, ours: Records, theirs: Records, *, comparisons: int) -> Judged:
    return compare.judge(compare.difference(ours, theirs), margin=plan.study.margin, comparisons=max(1, comparisons))


def say_best(found: Sequence[Best]) -> str:
    """One paragraph a family: the remedy, its gain with interval and verdict, its cost, and what cannot be told from it."""
    return "\n\n".join(_say_best(one) for one in found)


def _say_best(one: Best) -> str:
    title = remedies.entry(one.remedy).facts["title"]
    times = "one training" if one.trainings == 1 else f"{one.trainings} trainings"
    said = [f"**{FAMILY_TITLES[models.entry(one.model).facts['family']]} (`{one.model}`).** Validation chooses {title}, at {times}."]
    if one.judged is not None:
        said.append(_capital(compare.say(one.judged, title, PLAIN)))
    said.append(f"Not to be told from it on the test images: {_titles(one.alike)}.")
    said += [f"Higher than it there: {_titles(one.higher)}."] * bool(one.higher)
    return " ".join(said)


def _titles(names: Sequence[str]) -> str:
    return "; ".join(remedies.entry(name).facts["title"] for name in names) or "no other"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def say_groups(judged: dict[str, Judged], *, title: str) -> str:
    """What a remedy does to the recall of the frequent and of the rare classes, in two sentences."""
    said = [compare.say(one, title, PLAIN, of=f"recall of the {group} classes") for group, one in judged.items()]
    return " ".join(map(_capital, said))


def say_verdicts(frame: pd.DataFrame, *, of: str) -> str:
    """`Of 30 gains over none, 12 are higher, 2 lower, 16 undecided.`"""
    if frame.empty:
        return f"There are no {of}."
    number = frame["verdict"].value_counts()
    said = [f"{number[verdict]} {verdict}" for verdict in ("higher", "lower", "equivalent", "undecided") if verdict in number]
    words = said[0].split(" ", 1)
    first = f"{words[0]} {'is' if words[0] == '1' else 'are'} {words[1]}"
    return f"Of {len(frame)} {of}, {', '.join([first, *said[1:]])}."
