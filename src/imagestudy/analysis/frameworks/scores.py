"""Compare the scores of the twins after training, and decide the claim that both frameworks perform equally well."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from imagestudy import figures, stats
from imagestudy.analysis import claims, families
from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.claims import Finding
from imagestudy.core.specs import Choice, ProfileSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.figures import Picture
from imagestudy.figures.style import PLAIN_TRAINING, draw_sentence
from imagestudy.figures.tables import NOT_RECORDED
from imagestudy.remedies import remedies as registered

BALANCED = "accuracy"
"""The score on balanced training data, which decides the claim. On imbalanced data, the score is balanced accuracy."""
CLAIM, SAYS = "A14", "The same CNN performs equally well in PyTorch and TensorFlow"
COLUMNS = ["model", "training", "remedy", "label", "group", "score", "torch", "keras", "torch_tail", "keras_tail"]
JUDGED = ["difference", "low", "high", "verdict", "runs", "images", "comparisons", "p", "P(A > B)", "needed"]


def pairs(plan: Plan, records: Records, **fields: ProfileSpec | Choice) -> Iterator[tuple[str, Records, Records]]:
    """Yield the name in PyTorch, its runs, and the runs of its Keras twin, for each pair with recorded runs."""
    for name, twin in grids.TWINS.items():
        cells = [records.of(grids.twin_cell(plan, one, **fields)) for one in (name, twin)]
        if all(map(len, cells)):
            yield name, *compare.paired(*cells)


def compare_twins(plan: Plan, records: Records, *, remedies: Sequence[str]) -> pd.DataFrame:
    """Compare the scores of each pair of twins, Keras − PyTorch.

    The first rows are on balanced data, one per pair. They are followed by one row per pair and remedy under the first imbalanced
    profile. The two groups are corrected separately for multiple comparisons.

    Returns:
        The columns of `comparisons.as_row`; `model`, `training` and `remedy`; the mean scores (`torch`, `keras`) and the mean
        recall of the rare classes (`torch_tail`, `keras_tail`); `label`, `group` and `score` for a figure. Empty if no runs are
        recorded.
    """
    groups = [[(ProfileSpec(), "none")]]
    groups += [[(profile, name) for name in ("none", *remedies)] for profile in grids.imbalanced_profiles(plan)[:1]]
    rows = []
    for number, cells in enumerate(groups):
        score = BALANCED if number == 0 else compare.HEADLINE
        found = [
            (profile, remedy, *pair)
            for profile, remedy in cells
            for pair in pairs(plan, records, profile=profile, remedy=grids.remedy_of(plan, remedy))
        ]
        rows += [_row(plan, *one, score=score, comparisons=len(found)) for one in found]
    return pd.DataFrame(rows, columns=[*COLUMNS, *JUDGED])


def _row(
    plan: Plan, profile: ProfileSpec, remedy: str, name: str, torch: Records, keras: Records, *, score: str, comparisons: int
) -> dict[str, object]:
    judged = compare.judge(compare.difference(keras, torch, score=score), margin=plan.study.margin, comparisons=comparisons)
    title = registered.entry(remedy).facts["title"]
    means = {side: _mean(cell, score) for side, cell in (("torch", torch), ("keras", keras))}
    tails = {f"{side}_tail": _mean(cell, "tail") for side, cell in (("torch", torch), ("keras", keras))}
    label = f"{name}, {PLAIN_TRAINING.get(title, title)}" if score != BALANCED else name
    said = {"model": name, "training": profile.label, "remedy": title, "label": label}
    group = {"group": f"{profile.label}, {score.replace('_', ' ')}", "score": score}
    return said | group | means | tails | compare.as_row(judged)


def _mean(cell: Records, score: str) -> float:
    return float(np.mean([record.scores.get(score, np.nan) for record in cell]))


def draw_twins(plan: Plan, frame: pd.DataFrame) -> Picture:
    """Draw the differences with their intervals and verdicts, balanced data above imbalanced data."""
    if frame.empty:
        return draw_sentence(NOT_RECORDED)
    return figures.draw_differences(
        frame, margin=plan.study.margin, label="label", group="group", score="Keras", baseline="PyTorch"
    )


def say_twins(frame: pd.DataFrame) -> str:
    """Count the verdicts, with the levels of the intervals and the sample size."""
    if frame.empty:
        return ""
    said = []
    for group, part in frame.groupby("group", sort=False):
        counted = ", ".join(f"{n} {verdict}" for verdict, n in part["verdict"].value_counts(sort=False).items())
        level = 100 * stats.corrected_level(int(part["comparisons"].iloc[0]))
        said.append(f"{group}: {counted} ({level:.3g} % intervals)")
    return f"Keras − PyTorch, {say_paired(frame)}. Verdicts by training data and score: {'; '.join(said)}."


def say_paired(frame: pd.DataFrame) -> str:
    """State the sample size of a table of paired comparisons, as `n = 10 paired runs × 500 test images`."""
    runs, images = (int(frame[name].max()) for name in ("runs", "images"))
    return f"n = {runs:,} paired {'run' if runs == 1 else 'runs'} × {images:,} test {'image' if images == 1 else 'images'}"


def find_equality(plan: Plan, records: Records, numbers: pd.DataFrame) -> list[Finding]:
    """Decide A14: do both frameworks perform equally well?

    The claim is supported if equal weights give equal numbers and every pair is equivalent. It is contradicted if the numbers
    differ, or if a pair is higher or lower. Otherwise it is undecided. "Equivalent" supports the claim, so it is not a verdict of
    its own here.

    Args:
        plan: the study at its effort.
        records: the runs of the twins.
        numbers: the table of `compare_numbers`. If it is empty, the runs alone decide.
    """
    found = list(pairs(plan, records))
    judged = [
        (
            f"{grids.TWINS[name]} − {name}, {BALANCED}",
            compare.judge(compare.difference(keras, torch, score=BALANCED), margin=plan.study.margin, comparisons=len(found)),
        )
        for name, torch, keras in found
    ]
    if not judged:
        return []
    verdict = _all_equal([one.verdict for _, one in judged], alike=bool(numbers["within"].all()))
    return [Finding(CLAIM, SAYS, verdict, f"Keras − PyTorch, {BALANCED}", tuple(judged))]


def _all_equal(decisions: Sequence[stats.Verdict], *, alike: bool) -> claims.Verdict:
    if not alike or {"higher", "lower"} & set(decisions):
        return "contradicted"
    return "undecided" if "undecided" in decisions else "supported"


def say_equality(findings: Sequence[Finding], *, short: bool = False) -> str:
    """Describe the finding in words, or say that the claim is not decided."""
    say = families.say_short if short else families.say_finding
    return " ".join(say(finding) for finding in findings) or f"{CLAIM}, “{SAYS}”, is not decided: its runs are not recorded."
