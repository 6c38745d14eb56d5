import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from sample_notebooks import code, prose, shown, write, write_cells

from imagestudy import report
from imagestudy.core import paths, text
from imagestudy.core.errors import InputError
from imagestudy.report.clean_outputs import INJECTED, quieten

EVIL = '<script>alert(1)</script> & "x" *y* [z](w) $q$'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "notebooks {braces}"


def test_parameters_are_those_that_papermill_reads(folder: Path) -> None:
    expected = {"study": "str", "effort": "str", "ratios": "list[int]", "share": "float"}
    assert report.parameters_of(write(folder, "one")) == expected


def test_unknown_parameter_is_refused_with_given_allowed_and_place(folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"unknown parameter 'efort' in one\.ipynb; allowed: effort, ratios, share, study; did you mean"
    ):
        report.check_parameters([write(folder, "one")], {"efort": "smoke"})


def test_a_parameter_that_one_of_the_notebooks_has_is_allowed(folder: Path) -> None:
    other = write_cells(folder, "other", [prose("# Other"), code("depth: int = 3  # layers\n", "parameters")])
    report.check_parameters([write(folder, "one"), other], {"effort": "smoke", "depth": 2})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ratios": 10}, r"parameter 'ratios' is 10; one\.ipynb allows: list\[int\]"),
        ({"ratios": ["a"]}, r"allows: list\[int\]"),
        ({"effort": 3}, r"parameter 'effort' is 3; one\.ipynb allows: str"),
        ({"share": "half"}, r"allows: float"),
        ({"ratios": [Path("x")]}, r"allowed: text, a number, true or false, or a list of these"),
    ],
)
def test_values_of_another_type_are_refused(folder: Path, given: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        report.check_parameters([write(folder, "one")], given)


def test_refused_parameters_write_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        report.execute([write(folder, "one")], output=tmp_path / "out", parameters={"x": 1}, timeout_s=60)
    assert not (tmp_path / "out").exists()


def test_a_missing_notebook_and_one_that_would_be_replaced_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no notebook 'none\.ipynb' in "):
        report.execute([tmp_path / "none.ipynb"], output=tmp_path / "out", parameters={}, timeout_s=60)
    with pytest.raises(InputError, match="would replace it"):
        report.execute([write(folder, "one")], output=folder, parameters={}, timeout_s=60)
    twice = [write(folder, "one"), write(tmp_path / "b", "one")]
    with pytest.raises(InputError, match="2 notebooks are named"):
        report.execute(twice, output=tmp_path / "out", parameters={}, timeout_s=60)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three notebooks run side by side, in a working folder that is neither theirs nor the output's."""
    base = tmp_path_factory.mktemp("executed {run}")
    everything = write(
        base / "in",
        "everything",
        code("import os\nimport sys\nfrom pathlib import Path\n\nfrom IPython.display import HTML, Image\n"),
        code("print(effort, ratios, share, sorted(os.environ['GIVEN']))\nprint(Path('here').read_text())"),
        code("print('  50%|#####     | 5/10 [00:01<00:01]', file=sys.stderr)"),
        code("print(Path.cwd(), Path.home(), os.environ['IMAGESTUDY_RESULTS'] + '/digits', sys.executable, __file__ if 0 else '')"),
        code("def fail():\n    raise ValueError\nprint(fail.__code__.co_filename)"),
        code("HTML(f'<p>{Path.cwd()}/x</p>')"),
    )
    others = [write(base / "in", name, code("print(effort)")) for name in ("second", "third")]
    (base / "working").mkdir()
    (base / "working" / "here").write_text("found in the caller's folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base / "working")
        return report.execute(
            [everything, *others],
            output=base / "out",
            parameters={"effort": "smoke", "ratios": [np.int64(20), 50]},
            timeout_s=120,
            environment={"GIVEN": "ba", "IMAGESTUDY_RESULTS": str(base / "moved")},
        )


def test_executed_notebooks_carry_parameters_environment_and_the_callers_folder(executed: list[Path]) -> None:
    assert [file.name for file in executed] == ["everything.ipynb", "second.ipynb", "third.ipynb"]
    assert "smoke [20, 50] 0.5 ['a', 'b']\nfound in the caller's folder" in shown(executed[0])
    assert shown(executed[1]).strip() == shown(executed[2]).strip() == "smoke"


def test_executed_notebooks_hold_nothing_of_the_machine(executed: list[Path]) -> None:
    for file in executed:
        notebook = nbformat.read(file, as_version=4)
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
        assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
        text = file.read_text()
        for telltale in (str(Path.home()), sys.prefix, "/tmp", str(file.parent.parent), "duration", "start_time", "ipykernel_"):
            assert telltale not in text
    assert "5/10" not in shown(executed[0])
    assert re.search(r"^\. ~ results/digits PYTHON/bin/python\S* *$", shown(executed[0]), re.MULTILINE)


def test_no_file_but_the_notebooks_is_left(executed: list[Path]) -> None:
    assert sorted(file.name for file in executed[0].parent.iterdir()) == ["everything.ipynb", "second.ipynb", "third.ipynb"]


def test_the_kernel_does_not_warn_of_its_transport(executed: list[Path]) -> None:
    outputs = [output for cell in nbformat.read(executed[1], as_version=4).cells for output in cell.get("outputs", [])]
    assert [output.get("name") for output in outputs] == ["stdout"]


def test_executing_again_gives_the_same_file(executed: list[Path], tmp_path: Path) -> None:
    source = executed[1].parent.parent / "in" / "second.ipynb"
    [again] = report.execute([source], output=tmp_path, parameters={"effort": "smoke", "ratios": [20, 50]}, timeout_s=60)
    assert again.read_bytes() == executed[1].read_bytes()


def test_a_failing_notebook_is_kept_beside_and_stops_no_other(folder: Path, tmp_path: Path) -> None:
    bad = write(folder, "bad", code("print('before')"), code("1 / 0"), code("print('behind')"))
    good = write(folder, "good", code("print('fine')"))
    with pytest.raises(
        report.NotebookError, match=r"bad\.ipynb, cell \[\d\]: ZeroDivisionError: division by zero; saved as .*bad\.failed\.ipynb"
    ):
        report.execute([bad, good], output=tmp_path / "out", parameters={}, timeout_s=60)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["bad.failed.ipynb", "good.ipynb"]
    assert "before" in shown(tmp_path / "out" / "bad.failed.ipynb")


def test_a_value_that_a_notebook_refuses_is_an_input_error(folder: Path, tmp_path: Path) -> None:
    cell = code("from imagestudy.core.errors import require_known\nrequire_known(effort, ('smoke',), what='effort')")
    with pytest.raises(InputError, match=r"^unknown effort 'big'; allowed: smoke \(notebook one\.ipynb\)$"):
        report.execute([write(folder, "one", cell)], output=tmp_path / "out", parameters={"effort": "big"}, timeout_s=60)
    assert not (tmp_path / "out").exists()


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{process}/stat").read_text().split()[2] == "Z"


def test_a_notebook_that_hangs_is_stopped_with_its_kernel(folder: Path, tmp_path: Path) -> None:
    cell = code(f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\ntime.sleep(600)")
    start = time.monotonic()
    with pytest.raises(report.NotebookError, match=r"hang\.ipynb took longer than 15 s and was stopped"):
        report.execute([write(folder, "hang", cell)], output=tmp_path / "out", parameters={}, timeout_s=15)
    assert time.monotonic() - start < 45
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["hang.failed.ipynb"]
    assert _is_gone(int((tmp_path / "pid").read_text()))


def _kernel_that_dies(folder: Path, *, times: int) -> dict[str, str]:
    """Environment in which the kernel `python3` dies at once, the first `times` it is started."""
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    starts = folder / "starts"
    starter = folder / "starter.py"
    starter.write_text(
        f"import os, sys\nwith open({str(starts)!r}, 'a') as file: file.write('x')\n"
        f"if os.path.getsize({str(starts)!r}) <= {times}: sys.exit(1)\n"
        f"os.execv(sys.executable, [sys.executable, '-m', 'ipykernel_launcher', *sys.argv[1:]])\n"
    )
    argv = [sys.executable, str(starter), "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    return {"JUPYTER_PATH": str(folder)}


@pytest.mark.parametrize(("times", "starts"), [(1, 2), (2, 2)])
def test_a_kernel_that_never_started_is_tried_once_more(folder: Path, tmp_path: Path, times: int, starts: int) -> None:
    environment = _kernel_that_dies(tmp_path / "jupyter", times=times)
    notebook, output = write(folder, "one", code("print('done')")), tmp_path / "out"
    if times < 2:
        [file] = report.execute([notebook], output=output, parameters={}, timeout_s=60, environment=environment)
        assert "done" in shown(file)
    else:
        with pytest.raises(report.NotebookError, match=r"one\.ipynb: no kernel started"):
            report.execute([notebook], output=output, parameters={}, timeout_s=60, environment=environment)
        assert not output.exists()
    assert len((tmp_path / "jupyter" / "starts").read_text()) == starts


def test_quieten_cuts_whole_folders_only() -> None:
    cell = code("")
    cell.outputs = [nbformat.v4.new_output("stream", text="/home/me/x /home/mean /a/home/me file:///home/me")]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    quieten(notebook, folders={"/home/me": "~"})
    assert cell.outputs[0].text == "~/x /home/mean /a/home/me file:///home/me"


def test_escape_leaves_no_markup() -> None:
    assert text.escape("cat") == "cat"
    assert text.escape("a <b> *c*\n# d") == r"a &lt;b&gt; \*c\* \# d"


@pytest.fixture(scope="module")
def site(executed: list[Path]) -> Path:
    table = "| model | verdict | score |\n|---|---|---:|\n| mlp | supported | 0.8 |\n"
    shown = {"class": ["<i>x</i>"], "verdict": ["undecided"], "n": [10]}
    cells = [
        prose(f"# Tables\n\nSum: $x_1 + \\tau$\n\n$$\\sum_c n_c$$\n\n{table}"),
        code("import pandas as pd\nfrom IPython.display import Markdown\nimport matplotlib.pyplot as plt"),
        code(f"from imagestudy.figures.tables import show\nshow(pd.DataFrame({shown}))"),
        code("Markdown('**higher** by 0.1')"),
        code("figure, axes = plt.subplots(figsize=(2, 1))\nplt.close(figure)\nfigure"),
        code("import sys\nprint('a warning', file=sys.stderr)"),
    ]
    base = executed[0].parent.parent
    [tables] = report.execute([write_cells(base / "in", "tables", cells)], output=base / "more", parameters={}, timeout_s=120)
    output = base / "results" / "report"
    output.mkdir(parents=True)
    (output / "stale.html").write_text("of an older site")
    front = f"A name: {text.escape(EVIL)}\n\n## How to read it\n\nSlowly."
    assert (
        report.build_site(study="digits", title=EVIL, notebooks=[*executed, tables], front=front, output=output)
        == output / "index.html"
    )
    return output


def test_site_replaces_the_older_one_whole(site: Path) -> None:
    assert not (site / "stale.html").exists()
    assert [file.name for file in site.parent.iterdir()] == ["report"]
    assert {"index.html", "everything.html", "tables.html", "search.html"} <= {file.name for file in site.iterdir()}


def test_site_needs_no_network(site: Path) -> None:
    loaded = re.compile(r"""(?:<script[^>]*\bsrc|<link[^>]*\bhref|<img[^>]*\bsrc|<iframe[^>]*\bsrc)\s*=\s*["']([^"']*)""")
    for page in site.glob("*.html"):
        addresses = loaded.findall(page.read_text())
        assert addresses
        for address in addresses:
            assert not re.match(r"(https?:)?//", address)
            assert (site / address.split("?")[0].split("#")[0]).exists()


def test_site_shows_names_letter_by_letter(site: Path) -> None:
    for page in site.glob("*.html"):
        assert "<script>alert" not in page.read_text()
    first = (site / "index.html").read_text()
    assert first.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp;") >= 3
    assert "*y* [z](w) $q$" in first


def test_site_has_one_search_bar_and_links_to_every_notebook(site: Path) -> None:
    first = (site / "index.html").read_text()
    assert len(re.findall(r'class="[^"]*search-button-field', first)) == 1
    for name in ("everything", "second", "third", "tables"):
        assert f'href="{name}.html"' in first


def test_site_folds_parameters_and_imports_and_nothing_else(site: Path) -> None:
    page = (site / "everything.html").read_text()
    for label in ("Parameters", "Parameters as set for this page", "Imports"):
        assert page.count(f'<p class="collapsed admonition-title">{label}</p>') == 1
    assert page.count("<details") == 3


def test_site_shows_formulas_tables_figures_and_marks_verdicts(site: Path) -> None:
    page = (site / "tables.html").read_text()
    assert r"\sum_c n_c" in page
    assert "_static/mathjax/" in page
    assert re.search(r'<td [^>]*class="verdict undecided">undecided</td>', page)
    assert re.search(r'<td class="[^"]*verdict supported[^"]*"><p>supported</p></td>', page)
    assert re.search(r'<td [^>]*class="number">10</td>', page)
    assert re.search(r'<td class="[^"]*number[^"]*"><p>0.8</p></td>', page)
    assert "&lt;i&gt;x&lt;/i&gt;" in page
    assert "<strong>higher</strong>" in page
    assert "_images/" in page
    assert "a warning" in page


def test_every_page_of_a_quick_check_says_so_on_top_and_no_other_page_does(tmp_path: Path, folder: Path, site: Path) -> None:
    for name in ("index", "everything", "tables"):
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        assert page.index("Its numbers and verdicts mean nothing.") < page.index("<h1>")
    longer = code('effort = "default"')
    longer.metadata.tags = [INJECTED]
    notebook = write_cells(folder, "longer", [prose("# Longer"), longer])
    report.build_site(study="digits", title="Digits", notebooks=[notebook], front="", output=tmp_path / "report")
    assert not [file for file in (tmp_path / "report").glob("*.html") if "mean nothing" in file.read_text(encoding="utf-8")]


def test_a_site_with_a_fault_is_refused_and_the_older_one_stays(tmp_path: Path, folder: Path) -> None:
    output = tmp_path / "report"
    output.mkdir()
    (output / "index.html").write_text("older")
    untitled = write_cells(folder, "untitled", [prose("No title here, and a link to [nowhere](nowhere.md).")])
    with pytest.raises(report.SiteError, match="untitled"):
        report.build_site(study="digits", title="Digits", notebooks=[untitled], front="", output=output)
    assert (output / "index.html").read_text() == "older"
    assert [file.name for file in tmp_path.glob("*report*")] == ["report"]
    with pytest.raises(InputError, match=r"no executed notebook 'x\.ipynb'"):
        report.build_site(study="digits", title="Digits", notebooks=[tmp_path / "x.ipynb"], front="", output=output)


@pytest.mark.parametrize(
    "write_there",
    [
        lambda folder: (folder / "x").write_text("x"),
        lambda folder: (folder / "x").mkdir(),
        lambda folder: os.rename(__file__, folder / "x"),
        lambda folder: os.open(folder / "x", os.O_CREAT | os.O_WRONLY),
    ],
)
@pytest.mark.parametrize("name", ["data", "results", "notebooks"])
def test_the_guard_of_the_tests_holds(write_there: Callable[[Path], object], name: str) -> None:
    with pytest.raises(PermissionError, match="a test must not write to"):
        write_there(paths.ROOT / name)
    assert not (paths.ROOT / name / "x").exists()


def test_children_inherit_the_moved_folders(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from imagestudy.core import paths; print(paths.data_folder(), paths.results_folder())"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(tmp_path / "data"), str(tmp_path / "results")]
