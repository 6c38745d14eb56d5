"""The section on the data names duplicates and contradicting labels, with escaped file names."""

from pathlib import Path

import pytest
from sample_folders import fill, save

from imagestudy.analysis import recommendation
from imagestudy.analysis.recommendation.scan_summary import MOST_LISTED, list_scan
from imagestudy.data import folders
from imagestudy.experiments import grids

STUDY = """\
dataset: {name: folder, options: {path: PATH, side: 8}}
questions: [recommendation]
models: [majority]
profiles: [{name: natural}]
crossed: [mlp]
training: {images_seen: 640}
efforts: {smoke: {runs: 2}, default: {runs: 2}, full: {runs: 2}}
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two parts with two classes, and copies within a class, across parts and across classes, one with a script in its name."""
    folder = tmp_path / "photos"
    for part in ("train", "test"):
        fill(folder / part, number=6, prefix=part)
    for source, target in (
        ("train/cat/0.png", "train/cat/again.png"),
        ("test/dog/1.png", "train/dog/leak.png"),
        ("train/cat/2.png", "train/dog/<script>alert(1)*.png"),
    ):
        (folder / target).write_bytes((folder / source).read_bytes())
    return folder


def page(photos: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "photos.yaml").write_text(STUDY.replace("PATH", str(photos)), encoding="utf-8")
    return recommendation.say_scan(grids.open_study(str(tmp_path / "photos.yaml"), "smoke")).splitlines()


def test_planted_duplicates_are_counted_by_kind_and_named_with_what_became_of_them(photos, tmp_path):
    lines = page(photos, tmp_path)
    head = lines.index(
        "* 3 images occur more than once, with identical bytes: 1 under contradicting classes, 1 in more than one part of the "
        "split, 1 within one class."
    )
    contradiction, leak, copy = lines[head + 1 : head + 4]
    assert contradiction.startswith("    * train/cat/2.png = train/dog/")
    assert contradiction.endswith("labeled as cat and dog; none of them is used.")
    assert leak == "    * test/dog/1.png = train/dog/leak.png: only test/dog/1.png is used."
    assert copy == "    * train/cat/0.png = train/cat/again.png: only train/cat/0.png is used."
    assert "* 2 files were set aside:" in lines
    assert sum("is also in another class" in line for line in lines) == 2


def test_names_are_shown_letter_by_letter(photos, tmp_path):
    said = "\n".join(page(photos, tmp_path))
    assert "<script>" not in said
    assert said.count("&lt;script&gt;") == 3
    assert "*.png" not in said.replace(r"\*.png", "")


def test_without_duplicates_it_says_that_there_are_none(tmp_path):
    lines = page(fill(tmp_path / "plain", number=6), tmp_path)
    assert "* No two of them have the same bytes." in lines
    assert "* 0 files were set aside; every file could be read and has one label." in lines


def test_the_first_are_named_and_the_others_counted(tmp_path):
    folder = fill(tmp_path / "many", number=3)
    for number in range(MOST_LISTED + 2):
        for copy in "ab":
            save(folder / "cat" / f"twin{number}{copy}.png", name=f"twin{number}")
    said = list_scan(folders.scan(folder), side=8).splitlines()
    assert sum(line.endswith("is used.") for line in said) == MOST_LISTED
    assert "    * and 2 more, listed in the cache's scan.json." in said


@pytest.mark.parametrize(
    ("side", "said"),
    [
        (12, []),
        (
            13,
            [
                "* 6 of them are smaller than 13×13 pixels and were enlarged to this size. "
                "The option `side` in the study file sets it."
            ],
        ),
    ],
)
def test_images_with_less_to_show_than_the_pixels_they_are_given_are_counted(tmp_path, side, said):
    folder = fill(tmp_path / "plain", number=3)
    assert [line for line in list_scan(folders.scan(folder), side=side).splitlines() if "enlarged" in line] == said
