"""From a user's images to a dataset: every fault is reported, images are decoded once, and only the content matters."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image
from sample_folders import CLASSES, fill, paths_of, pixels, save

from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.data import datasets, folders
from imagestudy.data.datasets import TEST, TRAIN, VALIDATION
from imagestudy.data.folders import decode, decoded_cache, recall, scan, scanning
from imagestudy.data.folders.scan_report import digest_of

SHARED = paths.ROOT.parent / "shared" / "data"
TILES = SHARED / "magnetic-tile.zip"


def settle(path: Path, **options: object) -> Choice:
    return datasets.settle(Choice(name="folder", options={"path": str(path), "side": 16, **options}))


def load(path: Path, **options: object) -> datasets.Dataset:
    return datasets.load(settle(path, **options))


def reasons(found: folders.Scan) -> dict[str, str]:
    return {one.path: one.reason for one in found.quarantined}


@contextmanager
def not_the_superuser(place: Path) -> Iterator[None]:
    """Run the block as a user without superuser rights who owns everything in `place`: the current user, or the user nobody."""
    if os.geteuid():
        yield
        return
    nobody = 65_534
    for one in (place, *place.rglob("*")):
        os.chown(one, nobody, nobody)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


class TestTheDataset:
    def test_images_are_those_of_the_files(self, tmp_path: Path) -> None:
        dataset = load(fill(tmp_path / "pets"))
        assert dataset.images.shape == (8, 16, 16, 3)
        assert dataset.classes == CLASSES
        assert dataset.files == tuple(f"{label}/{n}.png" for label in CLASSES for n in range(4))
        np.testing.assert_array_equal(dataset.labels, [0] * 4 + [1] * 4)
        assert (dataset.part, dataset.groups, dataset.flips, dataset.held_out) == (None, None, (), None)
        for image, file in zip(dataset.images, dataset.files, strict=True):
            np.testing.assert_array_equal(image, decode(tmp_path / "pets" / file, side=16, fit="pad", colours="rgb"))

    def test_images_are_mapped_and_read_only_once_loaded(self, tmp_path: Path) -> None:
        images = load(fill(tmp_path / "pets")).images
        assert isinstance(images, np.memmap)
        assert images.mode == "c"
        assert not images.flags.writeable

    @pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
    @pytest.mark.parametrize("colours", ["grey", "rgb"])
    @pytest.mark.parametrize("side", [8, 33])
    def test_settings_are_those_of_decode(self, tmp_path: Path, fit: str, colours: str, side: int) -> None:
        folder = fill(tmp_path / "pets")
        images = load(folder, fit=fit, colours=colours, side=side).images
        np.testing.assert_array_equal(images[5], decode(folder / "dog" / "1.png", side=side, fit=fit, colours=colours))

    def test_parts_and_groups_are_numbers(self, tmp_path: Path) -> None:
        for part, label in (("train", "t"), ("val", "v"), ("test", "s")):
            fill(tmp_path / "pets" / part, number=3, prefix=label)
        dataset = load(tmp_path / "pets", group=r"(cat|dog)/[01]")
        by_folder = {"train": TRAIN, "val": VALIDATION, "test": TEST}
        assert dataset.part is not None
        assert dataset.part.dtype == np.int8
        assert dataset.part.tolist() == [by_folder[file.split("/")[0]] for file in dataset.files]
        assert dataset.groups is not None
        assert dataset.groups.tolist() == [0, 0, 1, 2, 2, 3, 0, 0, 4, 2, 2, 5, 0, 0, 6, 2, 2, 7]

    def test_the_recorded_options_need_no_path(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        kept = settle(folder, group="cat", colours="auto")
        assert kept.options == {"content": scan(folder, group="cat").content, "side": 16, "fit": "pad", "colours": "rgb"}
        assert kept.version == 1
        (tmp_path / "pets").rename(tmp_path / "gone")
        assert len(datasets.load(kept).images) == 8
        assert datasets.settle(kept) == kept

    def test_a_path_can_be_loaded_without_settling_it_first(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        np.testing.assert_array_equal(folders.load_folder(path=str(folder), side=16).images, load(folder).images)

    def test_relative_paths_start_in_the_working_folder_then_in_the_data_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        in_data = scan(fill(paths.data_folder() / "pets", prefix="data")).content
        assert settle(Path("pets")).options["content"] == in_data
        assert settle(Path("pets")).options["content"] != settle(fill(tmp_path / "pets")).options["content"]

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_grey_images_are_kept_in_one_channel(self, tmp_path: Path, mode: str) -> None:
        for file in fill(tmp_path / "pets").rglob("*.png"):
            Image.open(file).convert("L").convert(mode).save(file)
        (tmp_path / "pets" / "cat" / "0.broken.png").write_bytes(b"no")
        kept = settle(tmp_path / "pets")
        assert kept.options["colours"] == "grey"
        assert datasets.load(kept).images.shape == (8, 16, 16, 1)
        np.testing.assert_array_equal(datasets.load(kept).images, load(tmp_path / "pets", colours="grey").images)

    def test_one_colored_pixel_makes_the_dataset_rgb(self, tmp_path: Path) -> None:
        for file in fill(tmp_path / "pets").rglob("*.png"):
            Image.open(file).convert("L").convert("RGB").save(file)
        given = pixels("x", height=16, width=16).copy()
        given[...] = given[..., :1]
        given[3, 3, 0] ^= 128
        Image.fromarray(given).save(tmp_path / "pets" / "cat" / "one.png")
        assert settle(tmp_path / "pets").options["colours"] == "rgb"

    def test_the_folder_dataset_is_not_listed_and_can_be_settled(self) -> None:
        facts = dict(datasets.sources.entry("folder").facts)
        assert callable(facts.pop("settle"))
        assert facts == {"title": "a folder of images", "license": "the owner's", "citation": "", "listed": False}

    @pytest.mark.parametrize(
        "wrong", [{"side": 7}, {"side": 513}, {"fit": "squeeze"}, {"colours": "sepia"}, {"burst": -1}, {"sides": 8}]
    )
    def test_options_out_of_range_are_refused(self, tmp_path: Path, wrong: dict) -> None:
        with pytest.raises(InputError, match="dataset 'folder'"):
            settle(fill(tmp_path / "pets"), **wrong)


class TestContent:
    def test_decoding_again_gives_the_same_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder, images = fill(tmp_path / "pets"), []
        for name in ("one", "two"):
            monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path / name))
            kept = settle(folder)
            files = next((tmp_path / name / "cache").glob(f"{kept.options['content']}-*"))
            images.append({file.name: file.read_bytes() for file in files.iterdir()})
        assert images[0] == images[1]
        assert {"images.npy", "labels.npy", "dataset.json", "scan.json"} == set(images[0])

    def test_the_number_of_workers_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fill(tmp_path / "pets", number=20)
        (folder / "cat" / "broken.png").write_bytes(b"no")
        monkeypatch.setattr(scanning, "LARGEST_CHUNK", 3)
        found = []
        for workers in (1, 2):
            monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path / f"data{workers}"))
            kept = folders.settle_folder(path=str(folder), side=16, workers=workers)
            found.append((kept, folders.load_folder(**kept).images.tobytes(), recall(kept["content"])))
        assert found[0] == found[1]
        assert scan(folder, workers=2) == found[0][2]

    def test_moving_the_folder_changes_nothing(self, tmp_path: Path) -> None:
        first = settle(fill(tmp_path / "pets"))
        (tmp_path / "deep").mkdir()
        moved = (tmp_path / "pets").rename(tmp_path / "deep" / "animals")
        assert settle(moved) == first
        assert recall(str(first.options["content"])).root == moved

    def test_one_pixel_changes_it(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        first = settle(folder)
        file = folder / "cat" / "0.png"
        image = np.array(Image.open(file))
        image[0, 0, 0] ^= 1
        Image.fromarray(image).save(file)
        second = settle(folder)
        assert second.options["content"] != first.options["content"]
        assert not np.array_equal(datasets.load(second).images[0], datasets.load(first).images[0])
        np.testing.assert_array_equal(datasets.load(second).images[1:], datasets.load(first).images[1:])

    def test_the_digest_depends_on_where_values_end(self) -> None:
        assert len({digest_of(values) for values in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [])}) == 5

    @pytest.mark.parametrize("change", ["name", "class", "part", "group", "less"])
    def test_any_change_of_images_or_labels_changes_the_content(self, tmp_path: Path, change: str) -> None:
        folder, options = fill(tmp_path / "pets"), {}
        first = scan(folder).content
        file = folder / "cat" / "0.png"
        if change == "group":
            options = {"group": "[01]"}
        elif change == "less":
            file.unlink()
        elif change == "part":
            fill(folder / "train"), fill(folder / "test", prefix="test")
            first, folder = scan(folder / "train").content, folder.rename(tmp_path / "split")
            (folder / "cat").rename(tmp_path / "cat"), (folder / "dog").rename(tmp_path / "dog")
        else:
            file.rename(folder / ("cat/9.png" if change == "name" else "dog/9.png"))
        assert scan(folder, **options).content != first

    def test_an_extra_broken_file_changes_the_record_but_not_the_content(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        first = settle(folder)
        (folder / "cat" / "broken.jpg").write_bytes(b"no")
        assert settle(folder) == first
        assert list(reasons(recall(str(first.options["content"])))) == ["cat/broken.jpg"]
        (folder / "cat" / "broken.jpg").unlink()
        assert settle(folder) == first
        assert recall(str(first.options["content"])).quarantined == ()

    def test_a_content_that_has_changed_since_is_refused(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        kept = settle(folder)
        assert settle(folder, content=kept.options["content"]) == kept
        (folder / "cat" / "0.png").unlink()
        with pytest.raises(InputError, match="its images have changed since"):
            settle(folder, content=kept.options["content"])

    @pytest.mark.parametrize("content", ["0" * 32, "*", "../x"])
    def test_a_content_that_is_not_there_is_refused(self, tmp_path: Path, content: str) -> None:
        settle(fill(tmp_path / "pets"))
        with pytest.raises(InputError, match="give the path of the folder to decode it again"):
            datasets.load(Choice(name="folder", options={"content": content}))
        with pytest.raises(InputError, match="no scan of content"):
            recall(content)


class TestTheCache:
    def test_files_are_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder, opened = fill(tmp_path / "pets"), []
        (folder / "cat" / "broken.jpg").write_bytes(b"no")
        open_file = scanning.open_file
        monkeypatch.setattr(scanning, "open_file", lambda file: opened.append(file) or open_file(file))
        first = settle(folder)
        assert len(opened) == len(set(opened)) == 9
        assert settle(folder) == first
        assert recall(str(first.options["content"])).images == scan(folder).images
        assert len(opened) == 9 + 9
        os.utime(folder / "cat" / "0.png", ns=(0, 0))
        assert settle(folder) == first
        assert len(opened) == 9 + 9 + 9

    def test_a_deleted_cache_is_made_again(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        first = settle(folder)
        (made,) = decoded_cache.cache_folder().glob(f"{first.options['content']}-*")
        made.rename(tmp_path / "gone")
        assert settle(folder) == first
        assert made.is_dir()

    def test_an_interrupted_call_leaves_nothing_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fill(tmp_path / "pets")

        def break_off(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(decoded_cache, "_write_facts", break_off)
            with pytest.raises(KeyboardInterrupt):
                settle(folder)
        assert [file for file in decoded_cache.cache_folder().rglob("*") if file.is_file()] == []
        assert len(load(folder).images) == 8

    def test_two_processes_that_settle_at_once_agree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder, kept, write_facts = fill(tmp_path / "pets"), [], decoded_cache._write_facts

        def while_another_finishes(fresh: Path, found: folders.Scan) -> None:
            write_facts(fresh, found)
            monkeypatch.setattr(decoded_cache, "_write_facts", write_facts)
            other = threading.Thread(target=lambda: kept.append(settle(folder)))
            other.start()
            other.join()

        monkeypatch.setattr(decoded_cache, "_write_facts", while_another_finishes)
        kept.append(settle(folder))
        assert kept[0] == kept[1]
        assert len(list(decoded_cache.cache_folder().glob(f"{kept[0].options['content']}-*"))) == 1
        assert list(decoded_cache.cache_folder().rglob(".making-*")) == []

    def test_a_full_disk_is_rejected_before_the_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = type("usage", (), {"free": 1000})
        monkeypatch.setattr(decoded_cache.shutil, "disk_usage", lambda _: usage)
        monkeypatch.setattr(decoded_cache, "inspect_all", lambda *_, **__: pytest.fail("work was done"))
        with pytest.raises(InputError, match=r"0.0 GB of free disk space; needed: .* GB; choose a smaller side"):
            settle(fill(tmp_path / "pets"))

    def test_the_cache_contains_only_plain_arrays_and_json(self, tmp_path: Path) -> None:
        kept = settle(fill(tmp_path / "pets"), group="[01]")
        for file in decoded_cache.cache_folder().glob(f"{kept.options['content']}-*/*"):
            if file.suffix == ".npy":
                assert np.load(file, allow_pickle=False).dtype != object
            else:
                json.loads(file.read_text(encoding="utf-8"))


class TestDuplicates:
    def copy(self, folder: Path, source: str, *targets: str) -> None:
        for target in targets:
            (folder / target).write_bytes((folder / source).read_bytes())

    def test_copies_in_a_class_are_kept_once(self, tmp_path: Path) -> None:
        folder = fill(tmp_path)
        self.copy(folder, "cat/1.png", "cat/7.png", "cat/0a.png")
        found = scan(folder)
        assert [path for path in paths_of(found.images) if path.startswith("cat")] == [
            f"cat/{n}.png" for n in ("0", "0a", "2", "3")
        ]
        (pair,) = found.duplicates
        assert (pair.paths, pair.kept) == (("cat/0a.png", "cat/1.png", "cat/7.png"), "cat/0a.png")
        assert (pair.crosses_classes, pair.crosses_parts) == (False, False)
        assert found.notes == {"exact copies of an image in the same class and part (one is kept)": 2}

    def test_copies_in_different_classes_are_all_left_out(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, ("cat", "dog", "eel"))
        self.copy(folder, "cat/1.png", "cat/7.png", "dog/7.png")
        found = scan(folder)
        assert reasons(found) == {
            "cat/1.png": "the same image is also in another class, 'dog': dog/7.png",
            "cat/7.png": "the same image is also in another class, 'dog': dog/7.png",
            "dog/7.png": "the same image is also in another class, 'cat': cat/1.png",
        }
        (pair,) = found.duplicates
        assert (pair.crosses_classes, pair.kept) == (True, "")
        assert not {"cat/1.png", "cat/7.png", "dog/7.png"} & set(paths_of(found.images))
        assert len(load(folder).images) == len(found.images) == 11

    def test_an_image_in_training_and_test_stays_in_the_test_part(self, tmp_path: Path) -> None:
        for part in ("train", "val", "test"):
            fill(tmp_path / part, prefix=part)
        self.copy(tmp_path, "test/cat/1.png", "test/cat/7.png", "train/cat/8.png", "train/cat/9.png", "val/cat/9.png")
        self.copy(tmp_path, "val/dog/1.png", "train/dog/9.png")
        found = scan(tmp_path)
        assert [pair.kept for pair in found.duplicates] == ["test/cat/1.png", "val/dog/1.png"]
        assert all(pair.crosses_parts for pair in found.duplicates)
        assert len(found.images) == 24
        assert found.quarantined == ()
        assert sorted(found.notes.values()) == [1, 4]

    def test_pixels_belong_to_their_names_when_images_are_left_out(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets", number=6)
        self.copy(folder, "cat/4.png", "cat/0a.png", "cat/9.png")
        self.copy(folder, "cat/2.png", "dog/2a.png")
        (folder / "cat" / "1.png").write_bytes(b"no")
        dataset = load(folder)
        assert len(dataset.files) == len(dataset.images) == 10
        for image, file in zip(dataset.images, dataset.files, strict=True):
            np.testing.assert_array_equal(image, decode(folder / file, side=16, fit="pad", colours="rgb"))


class TestBadInput:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        (tmp_path / "pets" / "cat").mkdir(parents=True)
        with pytest.raises(InputError, match="pets contains no images; needed: class folders"):
            scan(tmp_path / "pets")

    @pytest.mark.parametrize("name", ["nowhere", "", "a\0b"])
    def test_nothing_there(self, name: str) -> None:
        with pytest.raises(InputError, match=r"path: .* was given; nothing exists at"):
            settle(Path(name)) if name != "" else datasets.settle(Choice(name="folder"))

    def test_an_unsupported_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"neither a folder nor a file of a supported type; allowed: .zip, .tar"):
            scan(save(tmp_path / "a.png"))

    @pytest.mark.parametrize("layout", ["pets/cat", "cat", "train/cat", "."])
    def test_one_class(self, tmp_path: Path, layout: str) -> None:
        for n in range(4):
            save(tmp_path / "x" / layout / f"{n}.png")
        with pytest.raises(InputError, match=r"contains one class|contains no images"):
            scan(tmp_path / "x")

    def test_classes_that_are_too_small_are_all_named(self, tmp_path: Path) -> None:
        folder = fill(tmp_path)
        save(folder / "eel" / "0.png"), save(folder / "fox" / "0.png"), save(folder / "fox" / "1.png")
        (folder / "fox" / "2.png").write_bytes(b"")
        with pytest.raises(InputError) as error:
            scan(folder)
        assert "fewer than 3 usable images: 'eel' (1), 'fox' (2); needed: 3 or more" in str(error.value)
        assert "add images to these classes, or remove them" in str(error.value)
        assert "Files that cannot be used: 1; the first is 'fox/2.png': empty: zero bytes" in str(error.value)

    def test_broken_files_are_quarantined_with_their_reasons(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        (folder / "cat" / "text.jpg").write_text("hello")
        (folder / "cat" / "zero.png").write_bytes(b"")
        whole = save(folder / "dog" / "cut.jpg", height=200, width=200, quality=95)
        os.truncate(whole, whole.stat().st_size // 2)
        Image.new("1", (10_000, 10_000)).save(folder / "dog" / "huge.png")
        found = scan(folder)
        assert {path: reason.split(":")[0] for path, reason in reasons(found).items()} == {
            "cat/text.jpg": "not an image of a supported format",
            "cat/zero.png": "empty",
            "dog/cut.jpg": "damaged or cut off",
            "dog/huge.png": "10000×10000 pixels by its header; allowed",
        }
        assert {one.label for one in found.quarantined} == {"cat", "dog"}
        assert len(load(folder).images) == 8
        assert recall(found.content) == found

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder, open_file = fill(tmp_path), scanning.open_file

        def locked(file: Path) -> object:
            if file.name == "1.png" and file.parent.name == "cat":
                raise PermissionError(13, "Permission denied")
            return open_file(file)

        monkeypatch.setattr(scanning, "open_file", locked)
        assert reasons(scan(folder)) == {"cat/1.png": "no permission to read the file"}

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="only Unix has permissions that a test can take away")
    def test_no_permission_for_real(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with TemporaryDirectory() as place:
            folder = fill(Path(place) / "pets", ("cat", "dog", "eel"))
            monkeypatch.setenv("IMAGESTUDY_DATA", str(Path(place) / "data"))
            scan(folder)  # what is imported late
            (folder / "cat" / "1.png").chmod(0)
            save(folder / "dog" / "deep" / "x.png").parent.chmod(0)
            with not_the_superuser(Path(place)):
                found = reasons(scan(folder))
            (folder / "dog" / "deep").chmod(0o700)
        assert found == {
            "cat/1.png": "no permission to read the file",
            "dog/deep": "the folder cannot be opened: Permission denied",
        }

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="only Unix has permissions that a test can take away")
    def test_a_complete_cache_may_be_read_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with TemporaryDirectory() as place:
            folder = fill(Path(place) / "pets")
            monkeypatch.setenv("IMAGESTUDY_DATA", str(Path(place) / "data"))
            settled = settle(folder)
            made = [Path(place) / "data", *(Path(place) / "data").rglob("*")]
            for one in made:
                one.chmod(0o555 if one.is_dir() else 0o444)
            with not_the_superuser(Path(place)):
                assert settle(folder) == settled
                with pytest.raises(InputError, match="cannot be written"):
                    settle(folder, side=24)
            for one in made:
                one.chmod(0o700)

    def test_a_disk_error_quarantines_the_file_and_does_not_stop_the_scan(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, open_file = fill(tmp_path), scanning.open_file

        def failing(file: Path) -> object:
            if file.name == "1.png":
                raise OSError(5, "Input/output error")
            return open_file(file)

        monkeypatch.setattr(scanning, "open_file", failing)
        assert set(reasons(scan(folder)).values()) == {"cannot be read: Input/output error"}

    def test_links(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        save(tmp_path / "outside" / "x.png")
        (folder / "cat" / "circle").symlink_to(folder)
        (folder / "cat" / "self.png").symlink_to(folder / "cat" / "self.png")
        (folder / "cat" / "broken.png").symlink_to(folder / "nowhere.png")
        (folder / "cat" / "out.png").symlink_to(tmp_path / "outside" / "x.png")
        (folder / "outside").symlink_to(tmp_path / "outside")
        (folder / "cat" / "same.png").symlink_to("0.png")
        found = scan(folder)
        assert reasons(found) == {
            "cat/broken.png": "a broken or circular link",
            "cat/circle": "a folder, or a link to a folder, which is not followed; replace a link by the folder itself",
            "cat/out.png": "outside the folder; only files inside are read",
            "cat/self.png": "a broken or circular link",
            "outside": "outside the folder; only files inside are read",
        }
        assert [pair.paths for pair in found.duplicates] == [("cat/0.png", "cat/same.png")]
        assert len(found.images) == 8

    def test_a_link_may_lead_to_the_folder_itself(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        (tmp_path / "link").symlink_to(folder)
        assert scan(tmp_path / "link").content == scan(folder).content

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
    def test_a_named_pipe_does_not_block_the_scan(self, tmp_path: Path) -> None:
        os.mkfifo(fill(tmp_path) / "cat" / "pipe.png")
        assert reasons(scan(tmp_path)) == {"cat/pipe.png": "not a regular file"}

    def test_names_may_hold_anything(self, tmp_path: Path) -> None:
        names = [
            "a b",
            "'q' \"q\"",
            "<script>alert(1)",
            "new\nline",
            "猫",
            "é",
            "%s{0}",
            "-x",
            "a,b;c",
            "*?[x]",
        ]
        for name in names:
            for n in range(3):
                save(tmp_path / "pets" / name / f"{name} {n}.png")
        found = scan(tmp_path / "pets")
        assert set(found.classes) == set(names)
        assert found.quarantined == ()
        dataset = load(tmp_path / "pets")
        assert set(dataset.classes) == set(names)
        assert recall(found.content) == found

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names cannot be made")
    def test_names_that_are_not_unicode_are_quarantined(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        (folder / "cat" / os.fsdecode(b"\xff.png")).write_bytes((folder / "cat" / "0.png").read_bytes())
        assert reasons(scan(folder)) == {"cat/\\xff.png": "the file name is not valid Unicode; rename the file"}
        assert len(load(folder).images) == 8

    @pytest.mark.parametrize(("one", "other"), [("Cat", "cat"), ("cat ", "cat"), ("STRASSE", "straße"), ("e\u0301", "\u00e9")])
    def test_labels_that_are_too_similar(self, tmp_path: Path, one: str, other: str) -> None:
        folder = fill(tmp_path, (one, other, "dog"))
        if len(list(folder.iterdir())) < 3:
            pytest.skip("this file system does not tell these names apart")
        with pytest.raises(InputError) as error:
            scan(folder)
        assert f"differ only in case, blanks or encoding: {min(one, other)!r} and {max(one, other)!r}" in str(error.value)

    def test_labels_in_a_table_that_are_too_similar(self, tmp_path: Path) -> None:
        fill(tmp_path / "files")
        rows = [f"files/{label}/{n}.png,{label if n else label + ' '}" for label in CLASSES for n in range(4)]
        (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
        with pytest.raises(InputError, match="'cat' and 'cat ', 'dog' and 'dog '; give each class one name"):
            scan(tmp_path)

    def test_labels_in_two_parts_that_are_too_similar(self, tmp_path: Path) -> None:
        fill(tmp_path / "train"), fill(tmp_path / "test", ("cat", "Dog"), prefix="test")
        with pytest.raises(InputError, match="'Dog' and 'dog'"):
            scan(tmp_path)

    @pytest.mark.parametrize(
        ("lacking", "sentence"),
        [
            ("train", r"too few images in the training part: 'dog' \(0\); needed there: 2"),
            ("test", r"too few images in the test part: 'dog' \(0\); needed there: 1"),
        ],
    )
    def test_a_split_that_lacks_a_class(self, tmp_path: Path, lacking: str, sentence: str) -> None:
        for part in ("train", "test"):
            fill(tmp_path / part, ("cat",) if part == lacking else CLASSES, prefix=part)
        with pytest.raises(InputError, match=sentence):
            scan(tmp_path)

    def test_a_class_that_only_validates(self, tmp_path: Path) -> None:
        for part in ("train", "val", "test"):
            fill(tmp_path / part, CLASSES if part == "val" else ("cat", "eel"), prefix=part)
        with pytest.raises(InputError, match="training part: 'dog'"):
            scan(tmp_path)


GROWTH = """
import sys, threading, time
from pathlib import Path
from imagestudy.data import folders

def anonymous():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) // 1024

def watch():
    while not done.is_set():
        seen.append(anonymous())
        time.sleep(0.005)

seen, done = [], threading.Event()
before = anonymous()
watcher = threading.Thread(target=watch)
watcher.start()
kept = folders.settle_folder(path=sys.argv[1], side=512, workers=1)
done.set()
watcher.join()
assert folders.load_folder(**kept).images.nbytes > 40e6
print(max(seen) - before)
"""


class TestMemory:
    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
    def test_it_does_not_grow_with_the_folder(self, tmp_path: Path) -> None:
        """The files have over 300 MB, before and after decoding; only one chunk and one whole image are in memory at once."""
        for n in range(60):
            file = tmp_path / "pets" / CLASSES[n % 2] / f"{n}.bmp"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.frombytes("RGB", (1500, 1200), bytes([n]) * 5_399_999 + os.urandom(1)).save(file)
        run = subprocess.run([sys.executable, "-c", GROWTH, str(tmp_path / "pets")], capture_output=True, text=True, check=True)
        assert int(run.stdout.split()[-1]) < 60


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> tuple[datasets.Dataset, folders.Scan]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGESTUDY_DATA", str(tmp_path_factory.mktemp("tiles")))
        kept = settle(TILES, burst=200)
        return datasets.load(kept), recall(str(kept.options["content"]))


@pytest.mark.skipif(not TILES.exists(), reason="the magnetic tiles are not on this machine")
class TestMagneticTiles:
    def test_images_and_classes_are_those_of_the_set(self, tiles: tuple[datasets.Dataset, folders.Scan]) -> None:
        dataset, found = tiles
        counts = dict(zip(dataset.classes, np.bincount(dataset.labels).tolist(), strict=True))
        assert counts == {"blowhole": 115, "break": 85, "crack": 57, "fray": 32, "free": 952, "uneven": 103}
        assert dataset.images.shape == (1344, 16, 16, 1)
        assert (found.title, found.quarantined, found.duplicates) == ("magnetic-tile", (), ())
        assert found.notes == {"images in folders next to 'images' (ignored: masks)": 1344}

    def test_shots_of_one_tile_are_groups(self, tiles: tuple[datasets.Dataset, folders.Scan]) -> None:
        groups = tiles[0].groups
        assert groups is not None
        assert len(np.unique(groups)) == groups.max() + 1 == 202
