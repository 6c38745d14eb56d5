"""The table of datasets shows every listed dataset, needs no download, and agrees with `data/README.md`."""

import time

import pytest

from imagestudy import data
from imagestudy.core import download, paths
from imagestudy.core.specs import Choice
from imagestudy.data import datasets, splits
from imagestudy.data.public import mnist
from imagestudy.report import listings

LISTED = tuple(name for name in datasets.sources.names() if datasets.sources.entry(name).facts.get("listed", True))
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in (paths.ROOT / "data" / "README.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `") and (cells := [cell.strip() for cell in line.strip("|").split("|")])
}
"""Name of a dataset in data/README.md → the other cells of its row: images, source, license, checksum, split rule."""


def row(name: str) -> dict[str, object]:
    (found,) = [row for row in data.list_datasets() if row["name"] == name]
    return found


@pytest.fixture
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if the network is used. The data folder is empty, as in every test."""
    monkeypatch.setattr(download, "urlopen", lambda *_, **__: pytest.fail("the network was asked"))


@pytest.mark.usefixtures("nothing_at_hand")
class TestListing:
    def test_it_has_a_row_for_every_listed_set(self) -> None:
        assert tuple(row["name"] for row in data.list_datasets()) == LISTED
        assert {"digits", "probe", "fashion_mnist", "cifar100", "olivetti"} < set(LISTED)

    def test_what_cannot_be_named_beforehand_is_not_listed(self) -> None:
        assert set(datasets.sources.names()) - set(LISTED) == set(datasets.sources.names(listed=False))

    @pytest.mark.parametrize("name", ["digits", "probe"])
    def test_what_is_built_in_is_measured(self, name: str) -> None:
        dataset, said = datasets.load(Choice(name=name)), row(name)
        assert said["images"] == len(dataset.images)
        assert said["size"] == "×".join(map(str, dataset.images.shape[1:]))
        assert said["classes"] == len(dataset.classes)
        assert said["ratio"] == round(splits.describe(dataset.labels, dataset.classes).ratio, 2)
        assert said["on disk"] == "built in"

    def test_a_set_is_on_disk_once_all_its_files_are(self) -> None:
        folder = mnist.KMNIST.place()
        folder.mkdir(parents=True)
        for file in mnist.FILES:
            assert row("kmnist")["on disk"] == "no"
            (folder / file).write_bytes(b"")
        assert row("kmnist")["on disk"] == "yes"
        assert row("mnist")["on disk"] == "no"


@pytest.mark.usefixtures("nothing_at_hand")
class TestTable:
    def test_it_fits_100_columns_and_says_where_things_go(self) -> None:
        *table, empty, place = listings.say_datasets().splitlines()
        assert max(map(len, table)) <= 100
        assert empty == ""
        assert str(paths.data_folder()) in place
        assert "IMAGESTUDY_DATA" in place

    def test_a_line_has_the_facts_of_its_set(self) -> None:
        line = next(line for line in listings.say_datasets().splitlines() if line.startswith("svhn "))
        assert line.split("  ")[0] == "svhn"
        assert all(fact in line for fact in ("house numbers in photographs ", " 99289 32×32×3 ", " 3.03 non-commercial ", " no"))

    def test_every_column_starts_at_one_place(self) -> None:
        head, *lines = listings.say_datasets().splitlines()[:-2]
        place = head.index("license")
        assert all(line[place - 1] == " " and line[place] != " " for line in lines)

    def test_it_takes_less_than_two_seconds_of_work(self) -> None:
        start = time.process_time()
        listings.say_datasets()
        assert time.process_time() - start < 2


class TestReadme:
    def test_it_has_a_row_a_set(self) -> None:
        assert set(ROWS) == set(LISTED)

    @pytest.mark.parametrize("name", LISTED)
    def test_a_row_says_what_the_registry_says(self, name: str) -> None:
        said, (images, source, license_, *_) = row(name), ROWS[name]
        height, width, channels = str(said["size"]).split("×")
        color = "grayscale" if channels == "1" else "color"
        assert images == f"{said['images']:,} {color}, {height}×{width}, {said['classes']} classes"
        assert license_.startswith(str(said["license"])) or name == "probe"
        first_author = datasets.sources.entry(name).facts["citation"].replace(" ", ",").split(",")[0]
        assert first_author in source or name == "probe"
