"""Write the results of a study: tables, figures, the first page of the report, and a comparison with the published results."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from imagestudy import figures, inference
from imagestudy.analysis import catalog, claims, comparisons, imbalance, recommendation
from imagestudy.analysis.accuracy import ranking
from imagestudy.analysis.claims import Finding
from imagestudy.analysis.recommendation import Answer, scan_summary
from imagestudy.core import files, paths
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import LONGER, Plan
from imagestudy.experiments.records import Records
from imagestudy.remedies import remedies


def tabulate(records: Records, findings: Sequence[Finding], answer: Answer | None = None) -> dict[str, pd.DataFrame]:
    """Return the tables of a study by name: the cells with intervals, the comparisons of each verdict, the panel and the trials.

    The name of a cell is a hash of its spec without seed and split, so equal names mean equal cells.
    """
    every = {record.spec.run_id: record for record in (*records, *(answer.selection.records if answer else ()))}
    labels = records.labels | (answer.selection.records.labels if answer else {})
    scored = Records(tuple(record for record in every.values() if record.scores and not record.spec.is_moved), labels)
    cells, grouped = comparisons.summarize(scored).drop(columns="seconds"), scored.cells()
    cells.insert(0, "cell", list(grouped))
    cells.insert(list(cells).index("runs"), "images_seen", [cell.records[0].spec.training.images_seen for cell in grouped.values()])
    tables = {"cells": cells, "verdicts": pd.DataFrame(_verdict_rows(findings)) if findings else None}
    if answer is not None:
        tables |= {"answer": _answer_row(answer), "panel": answer.panel.drop(columns="seconds"), "trials": answer.selection.trials}
    return {name: table.round(5) for name, table in tables.items() if table is not None}


def _answer_row(answer: Answer) -> pd.DataFrame:
    """Return the recommendation as one row: the score of repeating the selection in every run, and its gain over plain training."""
    plain, gain = comparisons.level_of(answer.plain).interval(limits=(0.0, 1.0)), answer.gain.interval
    bounds = {
        f"{name}{end}": getattr(interval, end)
        for name, interval in (("", answer.level), ("plain_", plain), ("gain_", gain))
        for end in ("estimate", "low", "high")
    }
    head = {"model": answer.best.model, "remedy": remedies.entry(answer.best.remedy).facts["title"], "runs": answer.level.runs}
    return pd.DataFrame([head | bounds | {"verdict": answer.gain.verdict, "good_enough": not answer.shortcomings}])


def _verdict_rows(findings: Sequence[Finding]) -> list[dict[str, object]]:
    rows = []
    for finding in findings:
        head: dict[str, object] = {"claim": finding.claim, "says": finding.says, "claim verdict": finding.verdict}
        rows += [head | {"comparison": name} | comparisons.as_row(judged) for name, judged in finding.judged] or [head]
    return rows


def write(plan: Plan, folder: Path) -> str:
    """Write the tables and figures of a study to a folder, and return the Markdown of the report's first page."""
    records = runner.obtain(catalog.needs(plan), study=plan.name)
    findings, answer = decide(plan, records), answer_of(plan)
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, table in tabulate(records, findings, answer).items():
        files.put(folder / "tables" / f"{name}.csv", table.to_csv(index=False))
    for name, figure in _drawn(plan, records, findings, answer).items():
        figure.savefig(folder / "figures" / f"{name}.png", metadata={"Software": None})
    return _front(plan, records, findings, answer)


def answer_of(plan: Plan) -> Answer | None:
    """Return the recommendation, or None if the study does not ask for one."""
    return recommendation.recommend(plan) if "recommendation" in catalog.asked(plan) else None


def decide(plan: Plan, records: Records) -> list[Finding]:
    """Return the findings that the study's notebooks show: all of them, those about accuracy, or none."""
    shown = catalog.asked(plan)
    if "verdicts" in shown:
        return claims.decide(plan, records)
    on_accuracy = ranking.decidable(plan) if "accuracy" in shown else []
    return [finding for claim in on_accuracy for finding in claims.CLAIMS[claim](plan, records)]


def keep_model(plan: Plan) -> str:
    """Train the first run of the recommended candidate again, save its model, and return the folder of the model."""
    answer = recommendation.recommend(plan)
    (record,) = recommendation.first_run(answer)
    scores = record.scores | {"balanced accuracy of such a choice": comparisons.say_share(answer.level)}
    made = {"study": plan.name, "dataset": plan.study.dataset.canonical()}
    return str(inference.save(record.spec, paths.study_results(plan.name) / "model", scores=scores, provenance=made))


def _drawn(plan: Plan, records: Records, findings: Sequence[Finding], answer: Answer | None) -> dict[str, figures.Picture]:
    shown, drawn = catalog.asked(plan), {}
    if "accuracy" in shown:
        accuracy = records.of(grids.accuracy(plan))
        ranked, near = comparisons.summarize(accuracy, score="accuracy"), comparisons.near_best(accuracy, score="accuracy")
        drawn["accuracy"] = figures.draw_intervals(ranked, bold=near, score="accuracy")
    if "class_imbalance" in shown:
        crossed = imbalance.Shown(plan, grids.imbalanced_profiles(plan)[:1], records)
        drawn["gains"] = figures.draw_gains(imbalance.mark_best(imbalance.gains(crossed), crossed))
    if findings:
        drawn["verdicts"] = figures.draw_verdicts(findings, margin=plan.study.margin)
    if answer is not None:
        start = ranking.axis_start(answer.panel)
        drawn["panel"] = figures.draw_intervals(answer.panel, bold=answer.panel["near"], label="candidate", start=start)
    return drawn


def _front(plan: Plan, records: Records, findings: Sequence[Finding], answer: Answer | None) -> str:
    number = len({record.spec.run_id for record in (*records, *(answer.selection.records if answer else ()))})
    paragraphs = [
        f"This report shows {_count(number, 'recorded run')} of the study *{plan.name}*, with "
        f"{_count(plan.effort.runs, 'paired run')} per cell. Every network saw {_count(plan.training.images_seen, 'image')} in "
        f"training. Differences within ±{100 * plan.study.margin:g} percentage points count as equivalent."
    ]
    if answer is not None:
        where = catalog.notebook_of("recommendation").stem
        images = f"{recommendation.say_data(plan)} {scan_summary.say_set_aside(plan, where=where)}".rstrip()
        paragraphs = [recommendation.say_answer(answer), recommendation.say_near(answer), images, *paragraphs]
    if findings:
        counted = pd.Series([finding.verdict for finding in findings]).value_counts()
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
        paragraphs += [f"The report has {_count(len(findings), 'finding')} on the article's claims: {verdicts}."]
        paragraphs += ["\n".join(f"* **{finding.claim}** {finding.says}: **{finding.verdict}**" for finding in findings)]
    return "\n\n".join([*paragraphs, "Balanced accuracy with 95 % confidence intervals:", headline(plan, records)])


def _count(number: int, words: str) -> str:
    return f"1 {words}" if number == 1 else f"{number:,} {words}s"


def headline(plan: Plan, records: Records) -> str:
    """Return a Markdown table with the intervals of every model under plain training, on balanced data and under the profiles."""
    names = dict.fromkeys((*plan.study.models, *plan.study.crossed))
    longer = grids.longer(plan)
    columns = {
        "balanced": {name: grids.cell(plan, name) for name in names},
        f"balanced, {LONGER} times the training": {name: [spec for spec in longer if spec.model.name == name] for name in names},
    } | {
        f"{profile.label}, plain training": {name: grids.cell(plan, name, profile=profile) for name in names}
        for profile in grids.imbalanced_profiles(plan)[:2]
    }
    texts = {title: [_share(records.of(cells[name])) for name in names] for title, cells in columns.items()}
    shown = {title: column for title, column in texts.items() if any(column)}
    rows = [[name, *row] for name, *row in zip(names, *shown.values(), strict=True) if any(row)]
    lines = [["model", *shown], ["---"] * (1 + len(shown)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(cell: Records) -> str:
    return comparisons.say_share(comparisons.level_of(cell).interval(limits=(0.0, 1.0))) if len(cell) else ""


def say_agreement(study: str) -> str:
    """Compare the tables of this machine with the published ones, in words: overlapping intervals, equal verdicts, differences."""
    own, published = (folder / "tables" for folder in (paths.study_results(study), paths.published_results(study)))
    if not (published / "cells.csv").is_file():
        return f"No results of study {study} are published, so there is nothing to compare with."
    cells = _both(own / "cells.csv", published / "cells.csv", on=["cell"])
    apart = cells[(cells["low"] > cells["high_published"]) | (cells["high"] < cells["low_published"])]
    overlapping = f"the 95 % intervals overlap in {len(cells) - len(apart)} of {_count(len(cells), 'cell')}"
    summary = f"Compared with the published results, {overlapping}"
    lines = [f"  no overlap: {_name_cell(row)}" for row in apart.to_dict("records")]
    if (own / "verdicts.csv").is_file() and (published / "verdicts.csv").is_file():
        verdicts = _both(own / "verdicts.csv", published / "verdicts.csv", on=["claim", "comparison"]).drop_duplicates("claim")
        same = verdicts["claim verdict"] == verdicts["claim verdict_published"]
        summary += f", and the verdict is the same for {int(same.sum())} of {_count(len(verdicts), 'claim')}"
        lines += [
            f"  verdict on {r['claim']}: {r['claim verdict']}, published {r['claim verdict_published']}"
            for r in verdicts[~same].to_dict("records")
        ]
    return "\n".join([f"{summary}.", *lines])


def _both(own: Path, published: Path, *, on: list[str]) -> pd.DataFrame:
    return pd.read_csv(own).merge(pd.read_csv(published), on=on, suffixes=("", "_published"))


def _name_cell(row: dict) -> str:
    own, theirs = (f"{row[f'estimate{s}']:.3f} [{row[f'low{s}']:.3f}, {row[f'high{s}']:.3f}]" for s in ("", "_published"))
    how = "plain training" if row["remedy"] == "none" else row["remedy"]
    return f"{row['model']}, {row['profile']}, {how}, {row['noise']}, {row['preprocessing']}: {own}, published {theirs}"
