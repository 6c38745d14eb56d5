"""What a study leaves behind: tables that follow from records, agreement that finds what is apart, a README part of its own."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest

from imagestudy import stats
from imagestudy.analysis import claims, comparisons
from imagestudy.analysis.claims import Finding
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.experiments import grids
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.store import RunStore
from imagestudy.experiments.versions import stamp
from imagestudy.report import publish, results
from imagestudy.report.findings import published_studies
from imagestudy.report.publish import readme_marks
from imagestudy.report.run_table import COLUMNS

BEGIN, END = readme_marks("digits")

LABELS = np.repeat(np.arange(10), 50).astype(np.int64)


@pytest.fixture(scope="module")
def plan():
    return grids.open_study("digits", "default")


@pytest.fixture
def records(plan):
    """Runs of every model, balanced and under the first profile, that name about nine in ten images rightly."""
    profile = grids.imbalanced_profiles(plan)[0]
    specs = [s for name in plan.study.models for kind in ({}, {"profile": profile}) for s in grids.cell(plan, name, **kind)]
    return Records(tuple(_record(stamp(spec)) for spec in specs), {labels_key(Choice(name="digits")): {"test": LABELS}})


def _record(spec) -> Record:
    wrong = np.random.default_rng([spec.seed, *spec.key().encode()]).random(len(LABELS)) < 0.1
    said = np.full((len(LABELS), 10), -9.0, dtype=np.float16)
    said[np.arange(len(LABELS)), (LABELS + wrong) % 10] = 0
    score = {"balanced_accuracy": float(1 - wrong.mean()), "accuracy": float(1 - wrong.mean())}
    return Record(spec, score, score, {"seconds": 1.0}, {}, {"test": said})


def tables(records, findings=()) -> dict[str, pd.DataFrame]:
    return results.tabulate(records, findings)


def test_each_cell_is_a_row_under_the_name_that_another_machine_gives_it(records):
    cells = tables(records)["cells"]
    assert len(cells) == len(records.cells()) == cells["cell"].nunique()
    np.testing.assert_allclose(cells["estimate"], comparisons.summarize(records)["estimate"], atol=1e-5)
    assert "seconds" not in cells


def _finding(records, verdict: str) -> Finding:
    a, b = (next(iter(records.where(model=name).cells().values())) for name in ("mlp", "resnet"))
    return Finding(
        "A2",
        "CNNs lead",
        verdict,
        "effect",
        (("resnet − mlp", comparisons.judge(comparisons.difference(b, a), margin=0.01, comparisons=1)),),
    )


def _put(folder, made: dict[str, pd.DataFrame]) -> None:
    (folder / "tables").mkdir(parents=True)
    for name, table in made.items():
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)


def test_agreement_names_exactly_the_cells_that_are_apart_and_the_verdicts_that_differ(records, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "published_results", lambda study: tmp_path / "published" / study)
    assert "No results of study digits are published" in results.say_agreement("digits")
    published = tables(records, [_finding(records, "supported")])
    _put(tmp_path / "published" / "digits", published)
    own = tables(records, [_finding(records, "undecided")])
    own["cells"].loc[own["cells"]["model"] == "mlp", ["estimate", "low", "high"]] = [0.2, 0.1, 0.3]
    _put(paths.study_results("digits"), own)
    first, *rest = results.say_agreement("digits").splitlines()
    total, apart = len(own["cells"]), int((own["cells"]["model"] == "mlp").sum())
    assert f"{total - apart} of {total} cells" in first
    assert "the verdict is the same for 0 of 1 claim" in first
    assert sum("mlp" in line and "0.200 [0.100, 0.300]" in line for line in rest) == apart
    assert rest[-1].strip() == "verdict on A2: undecided, published supported"


def test_equal_tables_agree_throughout(records, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "published_results", lambda study: tmp_path / "published" / study)
    made = tables(records, [_finding(records, "supported")])
    _put(tmp_path / "published" / "digits", made)
    _put(paths.study_results("digits"), made)
    said = results.say_agreement("digits")
    assert f"{len(made['cells'])} of {len(made['cells'])} cells" in said
    assert "the verdict is the same for 1 of 1 claim" in said
    assert len(said.splitlines()) == 1


def test_the_headline_holds_the_intervals_of_its_cells(plan, records):
    said = results.headline(plan, records)
    interval = comparisons.level_of(records.of(grids.cell(plan, "resnet"))).interval(limits=(0.0, 1.0))
    assert f"| resnet | {comparisons.say_share(interval)} |" in said
    assert isinstance(interval, stats.Interval)
    assert said.count("\n") == 1 + len(plan.study.models)


def test_the_headline_shows_longer_training_beside_the_budget_and_only_where_there_was_some(plan, records):
    assert "times the training" not in results.headline(plan, records)
    longer = grids.Plan(plan.study, plan.effort.model_copy(update={"longer": ("mlp",)}))
    trained = [_record(stamp(spec)) for spec in grids.longer(longer)]
    head, _, *rows = results.headline(longer, Records((*records, *trained), records.labels)).splitlines()
    place = head.split(" | ").index("balanced, 3 times the training")
    interval = comparisons.level_of(Records(tuple(trained), records.labels)).interval(limits=(0.0, 1.0))
    said = {row.split(" | ")[0].lstrip("| "): row.split(" | ")[place].strip() for row in rows}
    assert said["mlp"] == comparisons.say_share(interval)
    assert not any(share for name, share in said.items() if name != "mlp")


def test_only_the_part_between_the_marks_of_the_readme_is_renewed(plan, records, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(paths, "published_readme", lambda: readme)
    monkeypatch.setattr(paths, "readme_file", lambda: readme)
    monkeypatch.setattr(paths, "data_readme", lambda: readme)
    monkeypatch.setattr(publish, "say_findings", lambda: ["found"])
    monkeypatch.setattr(paths, "published_results", lambda study: tmp_path / study)
    (tmp_path / "digits").mkdir()
    made = json.dumps(publish._provenance(plan, 7, ["one", "another"]))
    (tmp_path / "digits" / "provenance.json").write_text(made, encoding="utf-8")
    publish.renew_pages(plan, records)
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"before\n{BEGIN}\n")
    assert once.endswith(f"{END}\nafter\n")
    assert "old" not in once
    assert results.headline(plan, records) in once
    assert f"7 runs on {os.cpu_count()} cores of one and another;" in once
    publish.renew_pages(plan, records)
    assert readme.read_text(encoding="utf-8") == once


def test_the_committed_pages_have_all_marks_once_and_the_findings_of_the_published_tables():
    page, readme = (file.read_text(encoding="utf-8") for file in (paths.published_readme(), paths.readme_file()))
    marks = [mark for study in published_studies() for mark in readme_marks(study)]
    assert all(page.count(mark) == 1 for mark in (*marks, *publish.COLUMN_MARKS))
    assert f"{publish.FINDINGS[0]}\n{publish.findings_part()}\n{publish.FINDINGS[1]}" in readme


def test_the_lines_on_the_page_of_results_read_them_without_this_package(monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    (lines,) = re.findall(r"```python\n(.*?)```", paths.published_readme().read_text(encoding="utf-8"), re.DOTALL)
    assert "imagestudy" not in lines
    found: dict = {}
    exec(lines, found)
    assert found["accuracy"] == pytest.approx(found["run"].test_accuracy, abs=1e-9)
    assert found["probabilities"].sum(axis=1) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("study", published_studies())
def test_every_published_run_is_a_row_with_documented_columns(study):
    folder = paths.published_results(study)
    table, status = pd.read_csv(folder / "runs.csv"), RunStore(folder / paths.STORE_NAME, read_only=True).status()
    assert set(table["run_id"]) == set(status)
    documented = {name for name in COLUMNS if not name.endswith("…")}
    assert {name for name in table if not name.startswith(("test_", "validation_"))} == documented
    with np.load(folder / "predictions.npz") as predictions:
        named = {name.partition(".")[0] for name in predictions.files}
    assert named <= set(table["run_id"]) | set(table["labels"])
    assert set(table["labels"]) <= named


def test_what_was_not_run_is_not_published(plan):
    with pytest.raises(InputError, match="missing in study 'digits'; create what is missing with `imagestudy run`"):
        publish.publish(plan, names=["01_preprocessing.ipynb"])


def test_a_store_that_is_too_large_leaves_the_published_one_as_it_is(plan, records, tmp_path, monkeypatch):
    store = RunStore(paths.store_file(plan.name))
    for record in records.records[:3]:
        store.write(record)
    specs = [record.spec for record in records.records[:3]]
    assert publish._copy_store(plan, specs[:1], tmp_path) == (tmp_path / paths.STORE_NAME).stat().st_size
    before = (tmp_path / paths.STORE_NAME).read_bytes()
    monkeypatch.setattr(publish, "MOST_STORE_BYTES", 1_000)
    assert publish._copy_store(plan, specs, tmp_path) > 1_000
    assert (tmp_path / paths.STORE_NAME).read_bytes() == before
    assert not list(tmp_path.glob(f".{paths.STORE_NAME}*"))


def test_a_processor_is_named_as_long_as_runs_of_it_are_published(plan, records, tmp_path):
    store, specs = RunStore(paths.store_file(plan.name)), [record.spec for record in records.records[:2]]
    for record in records.records[:2]:
        store.write(record)
    own = publish._processors(tmp_path, specs)
    assert len(own) == 1
    publish._copy_store(plan, specs[:1], tmp_path)
    (tmp_path / "provenance.json").write_text(json.dumps(publish._provenance(plan, 1, ["another"])), encoding="utf-8")
    assert publish._processors(tmp_path, specs) == ["another", *own]
    assert publish._processors(tmp_path, specs[1:]) == own


def test_a_finding_without_an_interval_keeps_its_row(records):
    rows = tables(records, [Finding("A13", "The listings", "contradicted", "layers")])["verdicts"]
    assert isinstance(rows, pd.DataFrame)
    assert rows["claim"].tolist() == ["A13"]
    assert claims.table([Finding("A13", "The listings", "contradicted", "layers")])["n"].tolist() == ["architecture alone"]
