"""Compare a family's deciding member with its ablations, with the traditional member and with the other families."""

from typing import Any

import pandas as pd

from imagestudy import stats
from imagestudy.analysis import claims, comparisons
from imagestudy.analysis.claims import Finding
from imagestudy.analysis.families.structure import size_of
from imagestudy.experiments import grids
from imagestudy.experiments.grids import ABLATIONS, DECIDING, Plan
from imagestudy.experiments.records import Records

SCORE = "accuracy"

PARTS = {
    "normalise=False": "no batch norm",
    "dropout=0.0": "no dropout",
    "shortcut=False": "no shortcuts",
    "bidirectional=False": "one direction",
    "pool=last": "only the last state",
    "positions=False": "no positions",
    "depth=1": "one layer",
}
"""Option of an ablation → the words that describe the remaining model after "with"."""

CLAIMS = {"cnn": "A3", "rnn": "A4", "ann": "A5"}
"""Family → number of the claim that its modern member is more accurate than the traditional one."""


def ablation(plan: Plan, records: Records, family: str) -> pd.DataFrame:
    """Compare ablations of the family's deciding member with the whole network, by accuracy.

    Each ablation removes one part. Its width is adjusted so that the number of parameters stays about the same. An ablation without
    a finished run is left out.

    Returns:
        The columns of `comparisons.against`, where `model` is the subject of a sentence, plus `part` and `parameters`.
    """
    name = DECIDING[family]
    specs = [grids.model_spec(plan, name, **options) for options in ABLATIONS[name]]
    whole = records.of(grids.cell(plan, name))
    without = records.of(spec for options in ABLATIONS[name] for spec in grids.cell(plan, name, options=options))
    frame = comparisons.against(without, whole, margin=plan.study.margin, comparisons=len(specs), score=SCORE)
    parts = frame["model"].map({spec.label: _say_part(options) for spec, options in zip(specs, ABLATIONS[name], strict=True)})
    counts = frame["model"].map({spec.label: size_of(plan, spec) for spec in specs})
    return frame.assign(model=f"{name} with " + parts, part=parts, parameters=counts)


def _say_part(options: dict[str, Any]) -> str:
    said = [f"{name}={value}" for name, value in options.items()]
    return ", ".join(PARTS.get(one, one) for one in said)


def say_parts(frame: pd.DataFrame, model: str) -> str:
    """Summarize the verdicts of `ablation` in one sentence."""
    said = [
        f"with {part}, it {comparisons.VERBS[verdict]} the whole network"
        for part, verdict in zip(frame["part"], frame["verdict"], strict=True)
    ]
    return f"Ablations of {model}, in {SCORE}: {'; '.join(said)}."


def against_others(plan: Plan, records: Records, family: str) -> pd.DataFrame:
    """Compare the deciding members of the other families with that of this family, by accuracy; see `comparisons.against`."""
    others = [name for name in DECIDING.values() if name != DECIDING[family]]
    theirs = records.of(spec for name in others for spec in grids.cell(plan, name))
    ours = records.of(grids.cell(plan, DECIDING[family]))
    return comparisons.against(theirs, ours, margin=plan.study.margin, comparisons=len(others), score=SCORE)


def say_differences(frame: pd.DataFrame, baseline: str) -> list[str]:
    """Describe each row of `comparisons.against` in one sentence. Its verb follows from the verdict."""
    return [_say_difference(row, baseline) for row in frame.to_dict("records")]


def _say_difference(row: dict, baseline: str) -> str:
    level = stats.corrected_level(row["comparisons"])
    interval = stats.Interval(row["difference"], row["low"], row["high"], level, row["runs"], row["images"])
    needed = f"; {row['needed']} would decide it" if row["needed"] else ""
    said = f"{comparisons.say_points(interval)}, {comparisons.say_n(interval)}"
    return f"{row['model']} {comparisons.VERBS[row['verdict']]} {baseline} in {SCORE}: {said}{needed}."


def say_rank(frame: pd.DataFrame, baseline: str) -> str:
    """Summarize all verdicts of `comparisons.against` in one sentence."""
    said = [
        f"{name} {comparisons.VERBS[verdict]} {baseline}" for name, verdict in zip(frame["model"], frame["verdict"], strict=True)
    ]
    return f"In {SCORE}, {', '.join(said)}."


def say_level(cell: Records, model: str) -> str:
    """State the accuracy of a model with its interval in one sentence."""
    interval = comparisons.level_of(cell, score=SCORE).interval(limits=(0.0, 1.0))
    return f"{model} has an {SCORE} of {comparisons.say_share(interval)}, {comparisons.say_n(interval)}."


def modern_finding(plan: Plan, records: Records, family: str) -> Finding:
    """Return the finding on the claim that the modern member of a family is more accurate than the traditional one."""
    return next(finding for finding in claims.modern_is_more_accurate(plan, records) if finding.claim == CLAIMS[family])


def say_finding(finding: Finding) -> str:
    """State the claim, its verdict, what would decide it if it is undecided, and what was measured."""
    said = [f"{name}: {comparisons.say_points(j.interval)}" for name, j in finding.judged] or [finding.effect]
    basis = (
        f"Measured with {comparisons.say_n(finding.judged[0][1].interval)}" if finding.judged else "Decided by architecture alone"
    )
    return f"{say_short(finding)} {basis}: {'; '.join(said)}."


def say_short(finding: Finding) -> str:
    """State the claim, its verdict, and what would decide it if it is undecided."""
    needed = [comparisons.say_needed(j.needed) for _, j in finding.judged if finding.verdict == j.verdict == "undecided"]
    enough = f"; {' and '.join(dict.fromkeys(filter(None, needed)))} would decide it" if any(needed) else ""
    return f"{finding.claim} (“{finding.says}”) is {finding.verdict}{enough}."


def by_distance(plan: Plan, records: Records) -> pd.DataFrame:
    """Summarize accuracy on the long-range probe, with the column `distance`. The table is empty if the study has no probe."""
    if plan.study.probe is None:
        return pd.DataFrame()
    runs = [(d, records.of(grids.probe_cell(plan, name, d))) for d in plan.effort.families.distances for name in DECIDING.values()]
    frames = [comparisons.summarize(cell, score=SCORE).assign(distance=d) for d, cell in runs if len(cell)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
