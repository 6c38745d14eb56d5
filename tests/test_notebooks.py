import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbval.plugin import get_sanitize_patterns
from notebook_laws import CHECKED, faults_of
from notebook_validation import RULES, checked_cells, slow_down, validate
from sample_notebooks import PARAMETERS, code, prose, write, write_cells

from imagestudy import report
from imagestudy.analysis import catalog
from imagestudy.core import paths
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.store import RunStore

QUESTIONS = {question: catalog.notebook_of(question) for question in catalog.questions.names()}
RECOMMENDATION = QUESTIONS["recommendation"]
NOTEBOOKS = [file for file in QUESTIONS.values() if file != RECOMMENDATION]
"""Those of the digits study."""
STUDY = "digits"
WHOLE_S = 1800


# --- the numbered notebooks ---------------------------------------------------------------------------------------------------


def test_the_notebooks_are_those_of_the_design() -> None:
    assert sorted(paths.notebooks_folder().glob("*.ipynb")) == sorted(QUESTIONS.values())


@pytest.mark.parametrize("file", QUESTIONS.values(), ids=QUESTIONS)
def test_notebook_keeps_the_laws(file: Path) -> None:
    assert faults_of(file) == []


@dataclass(frozen=True)
class Executed:
    """Executed notebooks, and the store with the runs of all of them."""

    notebooks: Path
    store: RunStore


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """All notebooks, each executed with effort `smoke` and nothing but the runs that its own question declares.

    The runs of all questions are trained once. Each notebook is then given a store with its own share of them, and may not train.
    """
    base = tmp_path_factory.mktemp("smoke")
    plan = grids.open_study(STUDY, "smoke")
    catalog.train(plan)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda question: execute_alone(question, plan, base), catalog.asked(plan)))
    return Executed(base / "notebooks", RunStore(paths.store_file(STUDY)))


def execute_alone(question: str, plan: Plan, base: Path) -> None:
    """Execute one notebook of the digits study on a store with the runs that its question declares and no others."""
    own = base / question
    declared = [spec.run_id for spec in runner.with_parents(catalog.needs(plan, [question]))]
    RunStore(paths.store_file(STUDY)).copy_to(own / STUDY / paths.STORE_NAME, declared)
    parameters: dict[str, bool | int | float | str | list] = {"study": STUDY, "effort": "smoke"}
    environment = {"IMAGESTUDY_RESULTS": str(own), "IMAGESTUDY_TRAIN": "never"}
    given = {"output": base / "notebooks", "parameters": parameters, "timeout_s": WHOLE_S, "environment": environment}
    report.execute([QUESTIONS[question]], **given)  # type: ignore[arg-type]


@pytest.mark.timeout(2 * WHOLE_S)
def test_each_notebook_needs_no_run_but_those_that_its_question_declares(smoke: Executed) -> None:
    assert {file.name for file in smoke.notebooks.glob("*.ipynb")} == {file.name for file in NOTEBOOKS}


def test_runs_that_are_trained_again_from_nothing_are_the_same_bit_for_bit(smoke: Executed) -> None:
    """One run of each model, in other processes and in another order than before."""
    plan = grids.open_study(STUDY, "smoke")
    chosen = list({spec.model.label: spec for spec in grids.accuracy(plan)}.values())[::-1]
    again = runner.obtain(chosen, study=STUDY, workers=2)
    before = smoke.store.load(record.spec.run_id for record in again)
    assert len(again) == len(before) > 9
    for record in again:
        old = before[record.spec.run_id]
        assert (record.scores, record.validation, record.facts) == (old.scores, old.validation, old.facts)
        assert {name: array.tobytes() for name, array in record.arrays.items()} == {
            name: array.tobytes() for name, array in old.arrays.items()
        }


RECOMMENDING = """\
dataset: digits
questions: [recommendation]
models: [majority, mlp]
profiles: [{name: exponential, ratio: 20}]
crossed: [mlp, svm]
remedies: [none, balanced_sampler, logit_adjustment]
training: {images_seen: 1_920}
efforts: {smoke: {runs: 2, rungs: 1, finalists: 2}, default: {runs: 2}, full: {runs: 2}}
"""


@pytest.mark.timeout(WHOLE_S)
def test_the_recommendation_is_the_same_on_a_machine_of_another_speed(tmp_path: Path) -> None:
    (tmp_path / "recommending.yaml").write_text(RECOMMENDING, encoding="utf-8")
    parameters: dict[str, bool | int | float | str | list] = {"study": str(tmp_path / "recommending.yaml"), "effort": "smoke"}
    environment = {"IMAGESTUDY_RESULTS": str(tmp_path / "results")}
    report.execute([RECOMMENDATION], output=tmp_path / "out", parameters=parameters, timeout_s=WHOLE_S, environment=environment)
    slow_down(RunStore(tmp_path / "results" / "recommending" / paths.STORE_NAME))
    found = validate(tmp_path / "out", results=tmp_path / "results", train="never")
    assert not found.failed, found.said
    assert checked_cells(tmp_path / "out") <= found.passed


# --- papermill's own command line ---------------------------------------------------------------------------------------------

SMALL_STUDY = """\
dataset: digits
models: [majority, mlp]
profiles: [{name: exponential, ratio: 5}]
crossed: [mlp]
remedies: [none, logit_adjustment]
training: {images_seen: 640}
efforts: {smoke: {runs: 2}, default: {runs: 2}, full: {runs: 2}}
"""


def papermill(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Papermill, started by hand in a folder, on the notebook about class imbalance."""
    notebook = catalog.notebook_of("class_imbalance")
    command = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb", "--no-progress-bar", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working folder far from the project, with a study file in a folder of its own."""
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "study.yaml").write_text(SMALL_STUDY, encoding="utf-8")
    return tmp_path


def test_papermill_runs_a_study_file_that_lies_where_the_caller_stands(elsewhere: Path) -> None:
    done = papermill(elsewhere, "-p", "study", "my/study.yaml", "-p", "effort", "smoke", "-y", "ratios: [20]")
    assert done.returncode == 0, done.stderr
    shown = (elsewhere / "out.ipynb").read_text(encoding="utf-8")
    assert "exponential 20" in shown
    assert (paths.study_results("study") / paths.STORE_NAME).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-p", "effort", "huge"), "unknown effort 'huge'"),
        (("-p", "study", "my/other.yaml"), "no study file 'my/other.yaml'"),
        (("-y", "ratios: [0.5]"), "ratio 0.5 was given in parameter 'ratios'; allowed: numbers of at least 1"),
        (("-p", "model", "vitt"), "unknown model 'vitt' in parameter 'model'"),
    ],
)
def test_papermill_fails_with_the_sentence_on_a_bad_value(elsewhere: Path, words: tuple[str, ...], said: str) -> None:
    done = papermill(elsewhere, "-p", "study", "my/study.yaml", *words)
    assert done.returncode != 0
    assert said in done.stderr
    assert not paths.study_results("study").exists()


# --- nbval: what it must catch ------------------------------------------------------------------------------------------------

SENTENCE = "resnet is higher than mlp: 0.985 [0.979, 0.991] against 0.965 [0.958, 0.972], n = 10, p = 0.002, 39,876 parameters"
CELLS = {
    "printed": f"print({SENTENCE!r})",
    "table": f"from IPython.display import HTML\nHTML('<table><tr><td>{SENTENCE}</td></tr></table>')",
    "sentence": f"from IPython.display import Markdown\nMarkdown({SENTENCE!r})",
}


def change_a_digit(file: Path) -> None:
    """Turn the last digit of one published interval into another, in every representation of the output."""
    text = file.read_text(encoding="utf-8")
    content = json.loads(text)
    for cell in content["cells"]:
        if CHECKED in cell["metadata"].get("tags", []):
            cell["outputs"] = json.loads(json.dumps(cell["outputs"]).replace("0.972", "0.973"))
    assert json.dumps(content) != json.dumps(json.loads(text))
    file.write_text(json.dumps(content), encoding="utf-8")


def test_nbval_passes_what_is_the_same_and_catches_one_digit_changed(tmp_path: Path) -> None:
    untagged = code("import time\nprint(time.time())\nimport os\nprint(os.environ['IMAGESTUDY_RESULTS'])")
    sources = [write(tmp_path / "in", name, untagged, code(source, CHECKED)) for name, source in CELLS.items()]
    executed = report.execute(sources, output=tmp_path / "out", parameters={}, timeout_s=120)
    for file in executed:
        shutil.copy(file, file.with_stem(f"tampered_{file.stem}"))
        change_a_digit(file.with_stem(f"tampered_{file.stem}"))
    found = validate(tmp_path / "out", results=tmp_path / "other")
    assert found.failed == {(f"tampered_{name}.ipynb", 2) for name in CELLS}
    assert (
        found.passed
        == {(f"{tampered}{name}.ipynb", i) for name in CELLS for tampered in ("", "tampered_") for i in range(3)} - found.failed
    )


def sanitize(text: str) -> str:
    for pattern, replacement in get_sanitize_patterns(RULES.read_text(encoding="utf-8")):
        text = re.sub(pattern, replacement, text)
    return text


def test_no_digit_of_a_published_number_is_cut() -> None:
    for place, character in enumerate(SENTENCE):
        if character.isdigit():
            tampered = SENTENCE[:place] + str((int(character) + 1) % 10) + SENTENCE[place + 1 :]
            assert sanitize(tampered) != sanitize(SENTENCE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<object at 0x7f2ab3c4d5e0>", "<object at 0x7fe0012f4a30>"),
        ("0.81200000000000005", "0.81200000000000017"),
        ("1.234567891e-05", "1.234567899e-05"),
    ],
)
def test_each_rule_cuts_what_it_is_for(one: str, other: str) -> None:
    assert sanitize(one) == sanitize(other)
    assert (
        len(get_sanitize_patterns(RULES.read_text(encoding="utf-8"))) == RULES.read_text(encoding="utf-8").count("\nregex: ") == 2
    )


# --- the laws themselves ------------------------------------------------------------------------------------------------------


def good_cells() -> list[NotebookNode]:
    parts = [cell for i in range(7) for cell in (prose("We expect the score to rise with size. " * 6), code(f"x{i} = {i}"))]
    return [prose("# 2 · What does it see?"), code(PARAMETERS, "parameters"), *parts, code("print(x0)", CHECKED)]


def test_a_good_notebook_has_no_fault(tmp_path: Path) -> None:
    assert faults_of(write_cells(tmp_path, "good", good_cells())) == []


def _set(index: int, source: str) -> Callable[[list[NotebookNode]], object]:
    return lambda cells: cells[index].update(source=source)


def _parameters(line: str) -> Callable[[list[NotebookNode]], object]:
    return lambda cells: cells[1].update(source=f"{PARAMETERS}{line}\n")


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda cells: cells[3].outputs.append(nbformat.v4.new_output("stream", text="x")), "outputs are not stripped"),
        (lambda cells: cells[3].update(execution_count=1), "execution counts are not stripped"),
        (lambda cells: cells[3].metadata.update(collapsed=True), "a cell has metadata besides tags"),
        (_set(0, "# 2 · It sees"), "asks a question"),
        (_set(0, "What does it see?"), "has a title"),
        (lambda cells: cells.insert(1, prose("A word.")), "the second cell is not the one tagged parameters"),
        (lambda cells: cells[3].metadata.update(tags=["parameters"]), "the second cell is not the one tagged parameters"),
        (lambda cells: cells.__delitem__(slice(2, 6)), "7 code cells"),
        (_set(2, "word " * 2000), "words of prose"),
        (lambda cells: cells.append(prose("So it is.")), "the last cell is no conclusion"),
        (lambda cells: cells[-1].metadata.clear(), "the last cell is no conclusion"),
        (_parameters("depth: int = 3"), "no annotated literal with a comment"),
        (_parameters("depth = 3  # layers"), "no annotated literal with a comment"),
        (_parameters("depth: int = 1 + 2  # layers"), "no annotated literal with a comment"),
        (_parameters("depth: int | None = None  # layers"), "no annotated literal with a comment"),
        (_parameters("depth: int = 3  # layers = blocks"), "papermill reads"),
        (_parameters("depth: int = 'three'  # layers"), "parameter 'depth' is 'three'"),
        (lambda cells: cells[1].update(source='study: str = "digits"  # a name\n'), "1 parameters"),
        (_set(3, "\n".join(["x = 1"] * 16)), "has 16 lines"),
        (_set(3, ""), "has 0 lines"),
        (_set(3, "def f():\n    pass"), "has a def"),
        (_set(3, "class C:\n    pass"), "has a class"),
        (_set(3, "for model in []:\n    pass"), "has a for"),
        (_set(3, "while False:\n    pass"), "has a while"),
        (_set(3, "from numpy import *"), "imports *"),
        (_set(3, "%matplotlib inline"), "is not plain Python"),
        (_set(3, "figures.show_errors(x1)"), "draws images of the dataset without the tag"),
        (lambda cells: cells[3].metadata.update(tags=["pictures"]), "has the tag and draws none"),
    ],
)
def test_each_law_finds_its_breach(tmp_path: Path, spoil: Callable[[list[NotebookNode]], object], fault: str) -> None:
    cells = good_cells()
    spoil(cells)
    assert any(fault in found for found in faults_of(write_cells(tmp_path, "spoilt", cells)))


def test_metadata_of_a_notebook_is_held_too(tmp_path: Path) -> None:
    file = write_cells(tmp_path, "spoilt", good_cells())
    notebook = nbformat.read(file, as_version=4)
    notebook.metadata = {
        "kernelspec": {"name": "other", "display_name": "x"},
        "language_info": {"name": "python", "version": "3"},
        "x": 1,
    }
    nbformat.write(notebook, file)
    assert len(faults_of(file)) == 3
