"""What a study leaves behind: tables, figures, the report's first page, and the published copy that others are held to."""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from imagestudy import claims, compare, data, figures, grids, imbalance, paths, runs
from imagestudy.claims import Finding
from imagestudy.errors import InputError
from imagestudy.grids import Plan
from imagestudy.records import Records, labels_key
from imagestudy.runs.lineage import is_derived, parents
from imagestudy.specs import PreprocessingSpec, ProfileSpec, RunSpec
from imagestudy.store import RunStore

README_BEGIN = "<!-- published results: written by `imagestudy publish`, not by hand -->"
README_END = "<!-- end of published results -->"
MOST_STORE_BYTES = 10_000_000
PACKAGES = ("torch", "scikit-learn", "numpy", "imagestudy")


@dataclass(frozen=True)
class Tables:
    """What is written as CSV: every cell with its interval, and every comparison behind a verdict."""

    cells: pd.DataFrame
    verdicts: pd.DataFrame


def tabulate(records: Records, findings: Sequence[Finding]) -> Tables:
    """The tables of a study; a cell's name is the hash of everything but its seed, so that equal names mean equal cells."""
    scored = Records(tuple(record for record in records if record.scores and not record.spec.is_moved), records.labels)
    cells = compare.summarize(scored).drop(columns="seconds")
    cells.insert(0, "cell", list(scored.cells()))
    return Tables(cells.round(5), pd.DataFrame(_verdict_rows(findings)).round(5))


def _verdict_rows(findings: Sequence[Finding]) -> list[dict[str, object]]:
    rows = []
    for finding in findings:
        head: dict[str, object] = {"claim": finding.claim, "says": finding.says, "claim verdict": finding.verdict}
        rows += [head | {"comparison": name} | compare.as_row(judged) for name, judged in finding.judged] or [head]
    return rows


def write(plan: Plan, folder: Path) -> str:
    """Write tables and figures of a study's recorded runs under a folder; return the Markdown of the report's first page."""
    records = runs.obtain(grids.everything(plan), study=plan.name)
    findings = claims.decide(plan, records)
    tables = tabulate(records, findings)
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in ("cells", "verdicts"):
        _put(folder / "tables" / f"{name}.csv", getattr(tables, name).to_csv(index=False))
    for name, figure in _drawn(plan, records, findings).items():
        figure.savefig(folder / "figures" / f"{name}.png", metadata={"Software": None})
    return _front(plan, records, findings)


def _put(file: Path, text: str) -> None:
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def _drawn(plan: Plan, records: Records, findings: Sequence[Finding]) -> dict[str, figures.Picture]:
    accuracy = records.of(grids.accuracy(plan))
    shown = imbalance.Shown(plan, grids.imbalanced_profiles(plan)[:1], records)
    return {
        "accuracy": figures.draw_intervals(
            compare.summarize(accuracy, score="accuracy"), bold=compare.near_best(accuracy, score="accuracy"), score="accuracy"
        ),
        "gains": figures.draw_gains(imbalance.mark_best(imbalance.gains(shown), shown)),
        "verdicts": figures.draw_verdicts(findings, margin=plan.study.margin),
    }


def _front(plan: Plan, records: Records, findings: Sequence[Finding]) -> str:
    counted = pd.Series([finding.verdict for finding in findings]).value_counts()
    verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
    return "\n\n".join(
        [
            f"This report shows {len(records)} recorded runs of the study *{plan.name}*: {plan.effort.runs} paired runs a cell, "
            f"{plan.training.images_seen:,} images seen by every network, a margin of {100 * plan.study.margin:g} points.",
            f"Of {len(findings)} findings on the article's claims: {verdicts}.",
            "\n".join(f"* **{finding.claim}** {finding.says}: **{finding.verdict}**" for finding in findings),
            "Balanced accuracy with its 95 % interval:",
            headline(plan, records),
        ]
    )


def headline(plan: Plan, records: Records) -> str:
    """The models on balanced training data and under the first imbalanced profile, as a Markdown table with intervals."""
    profile = grids.imbalanced_profiles(plan)[0]
    rows = []
    for name in plan.study.models:
        balanced = records.of(grids.cell(plan, name))
        imbalanced = records.of(grids.cell(plan, name, profile=profile))
        rows.append((name, _share(balanced), _share(imbalanced)))
    said = [f"| {name} | {balanced} | {imbalanced} |" for name, balanced, imbalanced in rows if balanced]
    return "\n".join([f"| model | balanced | {profile.label}, no remedy |", "|---|---|---|", *said])


def _share(cell: Records) -> str:
    return compare.say_share(compare.level_of(cell).interval(limits=(0.0, 1.0))) if len(cell) else ""


def say_agreement(study: str) -> str:
    """How far this machine's tables agree with the published ones: overlapping intervals, equal verdicts, and what is apart."""
    own, published = (folder / "tables" for folder in (paths.study_results(study), paths.published_results(study)))
    if not (published / "cells.csv").is_file():
        return f"Nothing is published of study {study} to hold these numbers to."
    cells = _both(own / "cells.csv", published / "cells.csv", on=["cell"])
    apart = cells[(cells["low"] > cells["high_published"]) | (cells["high"] < cells["low_published"])]
    verdicts = _both(own / "verdicts.csv", published / "verdicts.csv", on=["claim", "comparison"]).drop_duplicates("claim")
    same = verdicts["claim verdict"] == verdicts["claim verdict_published"]
    lines = [
        f"Held to the published results: {len(cells) - len(apart)} of {len(cells)} cells have overlapping 95 % intervals, "
        f"{int(same.sum())} of {len(verdicts)} verdicts are the same."
    ]
    lines += [f"  apart: {_name_cell(row)}" for row in apart.to_dict("records")]
    lines += [
        f"  verdict on {r['claim']}: {r['claim verdict']}, published {r['claim verdict_published']}"
        for r in verdicts[~same].to_dict("records")
    ]
    return "\n".join(lines)


def _both(own: Path, published: Path, *, on: list[str]) -> pd.DataFrame:
    return pd.read_csv(own).merge(pd.read_csv(published), on=on, suffixes=("", "_published"))


def _name_cell(row: dict) -> str:
    own, theirs = (f"{row[f'estimate{s}']:.3f} [{row[f'low{s}']:.3f}, {row[f'high{s}']:.3f}]" for s in ("", "_published"))
    return f"{row['model']}, {row['profile']}, {row['remedy']}, {row['noise']}, {row['preprocessing']}: {own}, published {theirs}"


def publish(plan: Plan, *, names: Sequence[str]) -> str:
    """Copy a study's store, executed notebooks, tables and figures to the published folder, and renew the README's part.

    Args:
        plan: the study at the effort that is published; all its runs are recorded.
        names: of the notebooks' files.

    Raises:
        InputError: runs or notebooks are missing, or the store would exceed 10 MB.
    """
    target, own = paths.published_results(plan.name), paths.study_results(plan.name)
    wanted = runs.with_parents(grids.everything(plan))
    store = RunStore(paths.store_file(plan.name))
    done = {run_id for run_id, status in store.status().items() if status != "claimed"}
    lacking = [spec for spec in wanted if spec.run_id not in done] + [
        name for name in names if not (own / "notebooks" / name).is_file()
    ]
    if lacking:
        raise InputError(f"{len(lacking)} runs or notebooks of study {plan.name!r} are missing; `imagestudy run` makes them")
    size = _copy_store(plan, wanted, target)
    for part, files in (("notebooks", names), ("tables", ("cells.csv", "verdicts.csv"))):
        (target / part).mkdir(parents=True, exist_ok=True)
        for name in files:
            shutil.copyfile(own / part / name, target / part / name)
    shutil.copytree(own / "figures", target / "figures", dirs_exist_ok=True)
    _put(target / "provenance.json", json.dumps(_provenance(plan, len(wanted)), indent=2) + "\n")
    renew_readme(plan, runs.obtain(grids.everything(plan), study=plan.name))
    return f"Published {len(wanted)} runs under {target}, {size / 1e6:.1f} MB of records."


def _published_arrays(plan: Plan, specs: Sequence[RunSpec]) -> dict[str, tuple[str, ...]]:
    """What is published of each run: predictions where the report looks at probabilities, elsewhere what was missed.

    Probabilities are looked at in plain training, balanced and under the study's profiles, and in every remedy under the first one.
    Nothing in the report reads the rest, and a published store has to stay small.
    """
    kept: dict[str, tuple[str, ...]] = {labels_key(spec.dataset): ("validation", "test") for spec in specs}
    closely = {spec.run_id for spec in specs if _is_looked_at(plan, spec)}
    for spec in specs:
        if spec.run_id in closely:
            kept[spec.run_id] = ("test", "validation", "curve") if spec.remedy.name == "none" else ("test", "validation")
        elif spec.kind == "diagnostic":
            kept[spec.run_id] = ("curve",)
        elif not (is_derived(spec) and all(parent.run_id in closely for parent in parents(spec))):
            kept[spec.run_id] = ("missed",)
    return kept


def _is_looked_at(plan: Plan, spec: RunSpec) -> bool:
    plain = spec.remedy.name == "none"
    profiles = [ProfileSpec(), *grids.imbalanced_profiles(plan)] if plain else grids.imbalanced_profiles(plan)[:1]
    member = spec.is_moved and spec.init == spec.batches and spec.profile in grids.imbalanced_profiles(plan)[:1]
    as_it_is = spec.preprocessing == PreprocessingSpec() and spec.dataset == plan.study.dataset and not is_derived(spec)
    return as_it_is and spec.kind == "run" and spec.profile in profiles and (not spec.is_moved or member)


def _copy_store(plan: Plan, specs: Sequence[RunSpec], target: Path) -> int:
    """Put the runs in place of an older published store, unless they are too much for it; return the bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / paths.STORE_NAME
        RunStore(paths.store_file(plan.name)).copy_to(copy, [spec.run_id for spec in specs], _published_arrays(plan, specs))
        if (size := copy.stat().st_size) > MOST_STORE_BYTES:
            raise InputError(f"the store to publish has {size:,} bytes; allowed: {MOST_STORE_BYTES:,}")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy, target / f".{paths.STORE_NAME}.new")
    (target / f".{paths.STORE_NAME}.new").replace(target / paths.STORE_NAME)
    return size


def _provenance(plan: Plan, number: int) -> dict[str, object]:
    return {
        "study": plan.name,
        "runs": number,
        "paired runs a cell": plan.effort.runs,
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    named = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    return named[0] if named else platform.processor() or platform.machine()


def renew_readme(plan: Plan, records: Records) -> None:
    """Write the headline table, two figures, hardware, versions and n between the README's marks."""
    file = paths.readme_file()
    before, _, rest = file.read_text(encoding="utf-8").partition(README_BEGIN)
    _, _, after = rest.partition(README_END)
    _put(file, f"{before}{README_BEGIN}\n{readme_part(plan, records)}\n{README_END}{after}")


def readme_part(plan: Plan, records: Records) -> str:
    """The README's part about a published study, from its records and its provenance."""
    folder = paths.published_results(plan.name)
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    test_images = len(records.of(grids.accuracy(plan)).test_labels())
    versions = ", ".join(f"{name} {made[name]}" for name in PACKAGES[:3])
    place = f"results/published/{plan.name}/figures"
    return "\n\n".join(
        [
            "",
            f"Balanced accuracy with its 95 % interval over {made['paired runs a cell']} paired runs × {test_images} test images "
            "(another training and another test set):",
            headline(plan, records),
            f"![What each remedy gains over plain training, by model]({place}/gains.png)",
            f"![The verdicts on the article's claims]({place}/verdicts.png)",
            f"{made['runs']:,} runs on {made['cores']} cores of {made['processor']}; Python {made['python']}, {versions}; "
            f"{made['date']}. Dataset: {data.title(plan.study.dataset)}.",
            "",
        ]
    )


def say_datasets() -> str:
    """One line a data set: name, images, size, classes, imbalance of the training pool, licence."""
    return pd.DataFrame(data.catalogue()).to_string(index=False)
