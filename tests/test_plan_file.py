"""A plan that is there already: its name is nobody else's, its first line says for what it was made, its path can be renewed."""

from pathlib import Path

import pytest
import yaml

from imagestudy.analysis.recommendation import scan_summary
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.experiments import grids
from imagestudy.experiments import study as studies
from imagestudy.experiments.planning import study_file


@pytest.mark.parametrize(("budget", "seconds"), [("90s", 90), ("30m", 1_800), ("1.5h", 5_400)])
def test_a_budget_is_a_number_with_a_unit(budget, seconds):
    assert study_file.seconds_of(budget) == seconds


@pytest.mark.parametrize("budget", ["30", "m", "0m", "-5m", "30 days", ""])
def test_any_other_budget_is_refused(budget):
    with pytest.raises(InputError, match="allowed: a number with s, m or h"):
        study_file.seconds_of(budget)


def test_a_name_follows_from_the_path_and_is_none_of_the_project_s_own():
    assert study_file.name_of(Path("/somewhere/my <photos>.tar.gz")) == "my_photos"
    for study in [*(file.stem for file in paths.studies_folder().glob("*.yaml")), "published", "DIGITS"]:
        assert study_file.name_of(Path(f"/somewhere/{study}")) == f"{study}_images"
        with pytest.raises(InputError, match="give another --name"):
            study_file.choose_name(Path("/somewhere/photos"), name=study)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("# Planned for abc in 40m.", ""),
        ("# Planned for abc in 2400s.", ""),
        ("# Planned for abc in 0.5h.", "a budget of 0.5h, not 40m;"),
        ("# Planned for xyz in 40m.", "and it was planned for other images; give"),
        ("# Planned for xyz in 1h.", "it was planned for other images and it was planned for a budget of 1h, not 40m;"),
        ("name: mine", "its first line does not say what it was planned for"),
        ("", "its first line does not say what it was planned for"),
    ],
)
def test_a_plan_for_something_else_is_refused_with_what_it_was_for(head, said, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(f"{head}\nname: abc", encoding="utf-8")
    if not said:
        study_file.require_same(file, content="abc", budget="40m")
        return
    with pytest.raises(InputError) as caught:
        study_file.require_same(file, content="abc", budget="40m")
    assert said in str(caught.value)


def test_what_is_written_at_the_head_is_read_again(tmp_path):
    (tmp_path / "study.yaml").write_text(study_file.head_of("abc", " 1.5 h "), encoding="utf-8")
    study_file.require_same(tmp_path / "study.yaml", content="abc", budget="90m")


@pytest.mark.parametrize(
    "text",
    [
        "dataset:\n  name: folder\n  options:\n    path: /old  # here\n    side: 32\nmargin: 0.02\n",
        "dataset: {name: folder, options: {path: /old, side: 32}}\nmargin: 0.02\n",
        "dataset:\n  name: folder\n  options:\n    path: '/old place that\n      goes on'\n    side: 32\nmargin: 0.02\n",
    ],
)
@pytest.mark.parametrize(
    "place", ["/new", "/new: {with}, #all 'kinds' \"of\" \\ signs", "/" + "long words " * 20 + "end", "/фото/写真"]
)
def test_a_path_is_renewed_and_nothing_else(text, place, tmp_path):
    file, before = tmp_path / "study.yaml", yaml.safe_load(text)
    file.write_text(text, encoding="utf-8")
    study_file.renew_path(file, Path(place))
    before["dataset"]["options"]["path"] = place
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == before
    assert ("# here" in text) == ("# here" in file.read_text(encoding="utf-8"))
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("text", ["", "dataset: digits", "dataset: {options: [path]}", "dataset: [", "path: /old"])
def test_what_names_no_path_stays_as_it_is(text, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    study_file.renew_path(file, Path("/new"))
    assert file.read_text(encoding="utf-8") == text


def test_a_plan_that_was_turned_to_a_known_set_sets_nothing_aside():
    said = scan_summary.say_images(grids.open_study("digits", "smoke"))
    assert (
        said
        == "The images: 1,797 of 10 classes (0, 1, 2, 3, 4, 5, 6, 7, …). The largest class is 1.1 times the size of the smallest."
    )


def test_a_planned_study_is_found_by_its_name_and_never_hides_one_of_the_project() -> None:
    for name in ("pets", "digits"):
        file = paths.study_results(name) / "study.yaml"
        file.parent.mkdir(parents=True)
        file.write_text("name: x", encoding="utf-8")
    assert studies.study_file("pets") == paths.study_results("pets") / "study.yaml"
    assert studies.study_file("digits") == paths.studies_folder() / "digits.yaml"
    with pytest.raises(InputError, match=r"unknown study 'pet' .*; allowed: .*pets.*; did you mean 'pets'\?"):
        studies.study_file("pet")
