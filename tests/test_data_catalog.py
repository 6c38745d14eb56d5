"""The table of datasets shows every listed dataset, needs no download, and agrees with `data/README.md`."""

import time
from dataclasses import replace

import pytest

from imagestudy import data
from imagestudy.core import download, paths
from imagestudy.core.registry import Origin
from imagestudy.core.specs import Choice
from imagestudy.data import datasets, splits
from imagestudy.data.public import mnist
from imagestudy.report import listings, publish

LISTED = tuple(name for name in datasets.sources.names() if datasets.sources.entry(name).facts.get("listed", True))
RENEW = "renew it: .venv/bin/python -c 'from imagestudy.report import publish; publish.renew_datasets()'"


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


def document(name: str) -> dict[str, str]:
    (found,) = [row for row in data.document_datasets() if row["dataset"] == f"`{name}`"]
    return found


@pytest.mark.usefixtures("nothing_at_hand")
class TestReadme:
    def test_its_table_is_made_from_the_facts(self) -> None:
        begin, end = publish.DATASET_MARKS
        written = paths.data_readme().read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
        assert written == f"\n{publish.datasets_part()}\n", RENEW
        assert written.count("\n| `") == len(LISTED)

    def test_built_in_sets_state_all_facts(self) -> None:
        assert all(all(row.values()) for row in data.document_datasets())

    def test_a_row_has_the_facts_of_its_set_and_the_numbers_of_its_split(self) -> None:
        assert document("svhn") == {
            "dataset": "`svhn`",
            "images": "99,289 color, 32×32, 10 classes",
            "source": f"the authors' page; {datasets.sources.entry('svhn').facts['citation']}",
            "license": "non-commercial",
            "checksum": "MD5 of 2 files, from torchvision",
            "split rule": "official: 73,257 training + 26,032 test; 5,000 training images for validation, balanced; "
            "without the 531,131 easier images",
            "pictures may be published": "no",
        }
        assert document("digits")["split rule"].startswith("fixed: 500 test and 297 validation images, both balanced; 1,000 images")
        assert document("probe")["split rule"] == "4,000 training, 500 validation and 1,000 test images"

    def test_pictures_are_published_under_open_licenses_only(self) -> None:
        allowed = {
            row["dataset"].strip("`"): row["license"]
            for row in data.document_datasets()
            if row["pictures may be published"] == "yes"
        }
        assert set(allowed.values()) <= {"MIT", "CC BY 4.0", "CC BY-SA 3.0", "CC BY-SA 4.0"}
        assert "fashion_mnist" in allowed
        assert {"olivetti", "cifar10", "cifar100"}.isdisjoint(allowed)

    def test_a_set_without_these_facts_has_empty_cells_and_a_plug_in_no_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(datasets.sources, "_entries", dict(datasets.sources._entries))
        register = datasets.sources.register("plain", title="digits again, 8×8 gray", license="CC0", citation="this file")
        register(lambda: datasets.load(Choice(name="digits")))
        found = document("plain")
        assert (found["source"], found["checksum"], found["split rule"]) == ("this file", "", "")
        assert found["pictures may be published"] == "no"
        entry = datasets.sources.entry("plain")
        monkeypatch.setitem(datasets.sources._entries, "plain", replace(entry, origin=Origin("mine.py", "0")))
        assert row("plain")["license"] == "CC0"
        assert "plain" not in listings.document_datasets()
