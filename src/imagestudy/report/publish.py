"""Publish a study: copy its store, executed notebooks, tables and figures, and update its part of the README."""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat

from imagestudy import data
from imagestudy.analysis import catalog, comparisons, recommendation
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.files import put, replacing
from imagestudy.core.specs import PreprocessingSpec, ProfileSpec, RunSpec
from imagestudy.data import folders
from imagestudy.experiments import grids, runner
from imagestudy.experiments.dependencies import is_derived, parents
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records, labels_key
from imagestudy.experiments.store import PREDICTIONS, RunStore, add_arrays
from imagestudy.report.clean_outputs import leave_out_pictures
from imagestudy.report.findings import say_findings
from imagestudy.report.listings import document_datasets
from imagestudy.report.results import answer_of, headline
from imagestudy.report.run_table import COLUMNS, label_names, tabulate_runs

MOST_STORE_BYTES = 10_000_000
PACKAGES = ("torch", "scikit-learn", "numpy", "imagestudy")


def publish(plan: Plan, *, names: Sequence[str]) -> str:
    """Copy the results of a study to the published folder, update its part of the README, and return a summary.

    The copy contains the store, the executed notebooks, the tables and the figures. A store of more than 10 MB is not copied.

    Args:
        plan: the study at the effort to publish. All its runs must be recorded.
        names: the file names of the notebooks.

    Raises:
        InputError: runs or notebooks are missing.
    """
    target, own = paths.published_results(plan.name), paths.study_results(plan.name)
    wanted = runner.with_parents(everything(plan))
    store = RunStore(paths.store_file(plan.name))
    done = {run_id for run_id, status in store.status().items() if status != "claimed"}
    lacking = [spec for spec in wanted if spec.run_id not in done] + [
        name for name in names if not (own / "notebooks" / name).is_file()
    ]
    if lacking:
        number = "1 run or notebook is" if len(lacking) == 1 else f"{len(lacking)} runs or notebooks are"
        raise InputError(f"{number} missing in study {plan.name!r}; create what is missing with `imagestudy run`")
    processors = _processors(target, wanted)
    size = _copy_store(plan, wanted, target)
    (target / "notebooks").mkdir(parents=True, exist_ok=True)
    for name in names:
        _put_notebook(own / "notebooks" / name, target / "notebooks" / name, pictures=data.allows_pictures(plan.study.dataset))
    for part in ("tables", "figures"):
        shutil.copytree(own / part, target / part, dirs_exist_ok=True)
    _put_run_table(target, wanted)
    put(target / "provenance.json", json.dumps(_provenance(plan, len(wanted), processors), indent=2) + "\n")
    renew_pages(plan, runner.obtain(catalog.needs(plan), study=plan.name))
    kept = f"with {size / 1e6:.1f} MB of records" if size <= MOST_STORE_BYTES else f"without their {size / 1e6:.0f} MB of records"
    return f"Published {_count(len(wanted), 'run')} under {target}, {kept}."


def _put_notebook(source: Path, target: Path, *, pictures: bool) -> None:
    """Copy an executed notebook, without the images of the dataset unless `pictures` is true."""
    notebook = nbformat.read(source, as_version=4)
    if not pictures:
        leave_out_pictures(notebook)
    with replacing(target) as partial:
        nbformat.write(notebook, partial)


def everything(plan: Plan) -> list[RunSpec]:
    """Return all runs that the study's results use: those of its questions, and those that its recommendation compared."""
    answer = answer_of(plan)
    return [*catalog.needs(plan), *(answer.selection.wanted if answer else ())]


def _published_arrays(plan: Plan, specs: Sequence[RunSpec]) -> dict[str, tuple[str, ...]]:
    """Return run id or labels key → names of the arrays to publish: log-probabilities if the report uses them, else `missed`.

    The report uses the log-probabilities of plain training, on balanced data and under the study's profiles, and of every remedy
    under the first profile. The others are left out to keep the published store small.
    """
    kept: dict[str, tuple[str, ...]] = {labels_key(spec.dataset, spec.split): ("validation", "test") for spec in specs}
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
    short = spec.training.images_seen == plan.training.images_seen
    return as_it_is and short and spec.kind == "run" and spec.profile in profiles and (not spec.is_moved or member)


def _copy_store(plan: Plan, specs: Sequence[RunSpec], target: Path) -> int:
    """Replace the published store by these runs, unless one of its two files is too large.

    Returns:
        The size of the larger file in bytes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copies = [Path(scratch) / name for name in (paths.STORE_NAME, PREDICTIONS)]
        RunStore(paths.store_file(plan.name)).copy_to(copies[0], [s.run_id for s in specs], _published_arrays(plan, specs))
        if (size := max(copy.stat().st_size for copy in copies)) <= MOST_STORE_BYTES:
            for copy in copies:
                with replacing(target / copy.name) as fresh:
                    shutil.copyfile(copy, fresh)
    return size


def _put_run_table(target: Path, specs: Sequence[RunSpec]) -> None:
    """Write `runs.csv` and add the labels to the predictions file, so that both can be read without this package."""
    store = RunStore(target / paths.STORE_NAME, read_only=True)
    records = store.load(spec.run_id for spec in specs)
    put(target / "runs.csv", tabulate_runs(list(records.values())).to_csv(index=False))
    names = label_names([record.spec for record in records.values()])
    labels = {f"{name}.{part}": array for key, name in names.items() for part, array in store.load_arrays(key).items()}
    add_arrays(target / PREDICTIONS, labels)


def _provenance(plan: Plan, number: int, processors: Sequence[str]) -> dict[str, object]:
    return {
        "study": plan.name,
        "runs": number,
        "paired runs a cell": plan.effort.runs,
        "date": date.today().isoformat(),
        "processors": list(processors),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processors(target: Path, specs: Sequence[RunSpec]) -> list[str]:
    """Return the processors that trained the runs, this machine's last.

    The earlier ones are those of the published store, if some of its runs are published again.
    """
    file, store = target / "provenance.json", target / paths.STORE_NAME
    if not (file.is_file() and store.is_file()):
        return [_processor()]
    again = RunStore(store, read_only=True).status().keys() & {spec.run_id for spec in specs}
    earlier = json.loads(file.read_text(encoding="utf-8"))["processors"] if again else []
    return list(dict.fromkeys([*earlier, _processor()]))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    named = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    return named[0] if named else platform.processor() or platform.machine()


def readme_marks(study: str) -> tuple[str, str]:
    """Return the lines of `results/published/README.md` between which a study's results stand."""
    return f"<!-- results of {study}: written by `imagestudy publish`, not by hand -->", f"<!-- end of the results of {study} -->"


FINDINGS = "<!-- findings: written by `imagestudy publish`, not by hand -->", "<!-- end of the findings -->"
COLUMN_MARKS = "<!-- columns of runs.csv: written by `imagestudy publish`, not by hand -->", "<!-- end of the columns -->"
DATASET_MARKS = "<!-- datasets: written by `imagestudy publish`, not by hand -->", "<!-- end of the datasets -->"


def renew_pages(plan: Plan, records: Records) -> None:
    """Write the study's part of the page about all results, the columns of `runs.csv`, the findings, and the table of data sets."""
    columns = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()]
    _renew(paths.published_readme(), readme_marks(plan.name), readme_part(plan, records))
    _renew(paths.published_readme(), COLUMN_MARKS, "\n".join(["", "| column | meaning |", "|---|---|", *columns, ""]))
    _renew(paths.readme_file(), FINDINGS, findings_part())
    renew_datasets()


def renew_datasets() -> None:
    """Write the table of `data/README.md`."""
    _renew(paths.data_readme(), DATASET_MARKS, datasets_part())


def datasets_part() -> str:
    """Return the table of data sets between blank lines."""
    return f"\n{document_datasets()}\n"


def _renew(file: Path, marks: tuple[str, str], part: str) -> None:
    """Write a part between its marks; a file without the marks stays as it is."""
    begin, end = marks
    before, found, rest = file.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    if found:
        put(file, f"{before}{begin}\n{part}\n{end}{after}")


def findings_part() -> str:
    """Return the findings as a Markdown list, and one figure below it."""
    picture = "![The verdicts on the article's claims, on handwritten digits](results/published/digits/figures/verdicts.png)"
    return "\n".join(["", *(f"* {finding}" for finding in say_findings()), "", picture, ""])


PICTURES = {
    "gains": "Gain of each remedy over plain training, by model",
    "panel": "Finalists of the recommendation, with plain training and baselines",
    "verdicts": "Verdicts on the article's claims",
}
"""Name of a figure in the README → its alternative text."""


def readme_part(plan: Plan, records: Records) -> str:
    """Return the part of the README about a published study: headline table, recommendation, figures, hardware and versions."""
    folder = paths.published_results(plan.name)
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {made[name]}" for name in PACKAGES[:3])
    place = f"{plan.name}/figures"
    drawn = [name for name in PICTURES if (folder / "figures" / f"{name}.png").is_file()]
    answer = answer_of(plan)
    title, content = data.title(plan.study.dataset), plan.study.dataset.options.get("content")
    title = f"{title}, {folders.recall(str(content)).title}" if content else title
    return "\n\n".join(
        [
            f"\n## {plan.name}",
            f"{title[0].upper()}{title[1:]}: balanced accuracy with 95 % confidence intervals, {_say_n(plan, records)}:",
            headline(plan, records),
            *([recommendation.say_answer(answer), recommendation.say_near(answer)] if answer else []),
            *(f"![{PICTURES[name]}]({place}/{name}.png)" for name in drawn),
            f"{_count(made['runs'], 'run')} on {_count(made['cores'], 'core')} of {' and '.join(made['processors'])}; "
            f"Python {made['python']}, {versions}; {made['date']}.",
            "",
        ]
    )


def _say_n(plan: Plan, records: Records) -> str:
    """Return the number of runs and test images of an interval of plain training, and what the interval covers."""
    shown = (records.of(grids.cell(plan, plan.study.crossed[0], profile=p)) for p in (ProfileSpec(), *plan.study.profiles))
    interval = comparisons.level_of(next(cell for cell in shown if len(cell))).interval()
    what = "new images of the same kind" if interval.redrawn else "retraining and new test images"
    return f"{comparisons.say_n(interval)} (the intervals cover {what})"


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number:,} {word}s"
