"""What a family's parts are worth, and how its deciding member stands against the traditional one and the other families."""

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
    "pool=last": "the last state alone",
    "positions=False": "no positions",
    "depth=1": "one layer",
}
"""What an option leaves of a model, in words that follow "with"."""

CLAIMS = {"cnn": "A3", "rnn": "A4", "ann": "A5"}
"""Family → the claim that its modern member is more accurate than the traditional one."""


def ablation(plan: Plan, records: Records, family: str) -> pd.DataFrame:
    """The family's deciding member with one part at a time taken away, against the whole: `compare.against` in accuracy.

    The width is set anew each time, so that all have about the same number of parameters. Cells whose runs all failed are left out.

    Returns:
        Columns as in `compare.against`, `model` being the sentence's subject, and `part` and `parameters`.
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
    """The verdicts of `ablation` in one sentence: what a model with a part less is, against the whole."""
    said = [
        f"with {part} it {comparisons.VERBS[verdict]} the whole"
        for part, verdict in zip(frame["part"], frame["verdict"], strict=True)
    ]
    return f"The parts of {model}, in {SCORE}: {'; '.join(said)}."


def against_others(plan: Plan, records: Records, family: str) -> pd.DataFrame:
    """The deciding members of the other families against this family's: `compare.against` in accuracy."""
    others = [name for name in DECIDING.values() if name != DECIDING[family]]
    theirs = records.of(spec for name in others for spec in grids.cell(plan, name))
    ours = records.of(grids.cell(plan, DECIDING[family]))
    return comparisons.against(theirs, ours, margin=plan.study.margin, comparisons=len(others), score=SCORE)


def say_differences(frame: pd.DataFrame, baseline: str) -> list[str]:
    """One sentence a row of `compare.against`, its verb from the verdict."""
    return [_say_difference(row, baseline) for row in frame.to_dict("records")]


def _say_difference(row: dict, baseline: str) -> str:
    level = stats.corrected_level(row["comparisons"])
    interval = stats.Interval(row["difference"], row["low"], row["high"], level, row["runs"], row["images"])
    needed = f"; {row['needed']} would decide it" if row["needed"] else ""
    said = f"{comparisons.say_points(interval)}, {comparisons.say_n(interval)}"
    return f"{row['model']} {comparisons.VERBS[row['verdict']]} {baseline} in {SCORE}: {said}{needed}."


def say_rank(frame: pd.DataFrame, baseline: str) -> str:
    """All verdicts of `compare.against` in one sentence."""
    said = [
        f"{name} {comparisons.VERBS[verdict]} {baseline}" for name, verdict in zip(frame["model"], frame["verdict"], strict=True)
    ]
    return f"In {SCORE}, {', '.join(said)}."


def say_level(cell: Records, model: str) -> str:
    """A model's accuracy with its interval."""
    interval = comparisons.level_of(cell, score=SCORE).interval(limits=(0.0, 1.0))
    return f"{model} has an {SCORE} of {comparisons.say_share(interval)}, {comparisons.say_n(interval)}."


def modern_finding(plan: Plan, records: Records, family: str) -> Finding:
    """The finding on the claim that the family's modern member is more accurate than its traditional one."""
    return next(finding for finding in claims.modern_is_more_accurate(plan, records) if finding.claim == CLAIMS[family])


def say_finding(finding: Finding) -> str:
    """Claim, verdict, what was measured, and what would decide it."""
    said = [f"{name}: {comparisons.say_points(j.interval)}" for name, j in finding.judged] or [finding.effect]
    rests_on = comparisons.say_n(finding.judged[0][1].interval) if finding.judged else "structure alone"
    return f"{say_short(finding)} Measured, {rests_on}: {'; '.join(said)}."


def say_short(finding: Finding) -> str:
    """Claim and verdict, and what would decide it."""
    needed = [comparisons.say_needed(j.needed) for _, j in finding.judged if finding.verdict == j.verdict == "undecided"]
    enough = f"; {' and '.join(dict.fromkeys(filter(None, needed)))} would decide it" if any(needed) else ""
    return f"{finding.claim}, “{finding.says}”, is {finding.verdict}{enough}."


def by_distance(plan: Plan, records: Records) -> pd.DataFrame:
    """`compare.summarize` of the long-range probe in accuracy, with a column `distance`; empty if the study has no probe."""
    if plan.study.probe is None:
        return pd.DataFrame()
    runs = [(d, records.of(grids.probe_cell(plan, name, d))) for d in plan.effort.distances for name in DECIDING.values()]
    frames = [comparisons.summarize(cell, score=SCORE).assign(distance=d) for d, cell in runs if len(cell)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
