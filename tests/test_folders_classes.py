"""No class disappears silently: a class without usable images is an error with a reason, and so are folders like a split."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from sample_folders import CLASSES, fill, save

from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.data import cache as making
from imagestudy.data import datasets, folders
from imagestudy.data.folders import decoded_cache, file_tree, recall, scan


def say_refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        scan(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def close(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a folder impossible to open, even for the superuser."""
    scandir = os.scandir

    def refuse(path: str | os.PathLike[str]) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    patch.setattr(file_tree.os, "scandir", refuse)


def table(folder: Path, *more: str, header: str = "path,label") -> Path:
    fill(folder)
    rows = [f"{label}/{n}.png,{label}" for label in CLASSES for n in range(4)]
    (folder / "labels.csv").write_text("\n".join([header, *rows, *more]) + "\n", encoding="utf-8")
    return folder


class TestClassesWithoutImages:
    @pytest.mark.parametrize("above", ["", "train"])
    def test_a_folder_that_cannot_be_opened(self, above: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for part in ("train", "test") if above else ("",):
            fill(tmp_path / part, prefix=part)
        fill(tmp_path / above, ("owl",))
        close(monkeypatch, tmp_path / above / "owl")
        said = say_refusal(tmp_path)
        assert "classes with fewer than 3 usable images: 'owl' (0) ('owl': the folder cannot be opened: Permission denied)" in said

    @pytest.mark.parametrize("above", ["", "wrapping", "images"])
    @pytest.mark.parametrize("name", ["", "deep/deeper/", "a.mp4", "notes.txt", ".hidden.png", "table.csv"])
    def test_a_folder_without_images(self, name: str, above: str, tmp_path: Path) -> None:
        fill(tmp_path / above), fill(tmp_path / "masks", ("cat",)) if above == "images" else None
        file = tmp_path / above / "yak" / name
        (file if name.endswith("/") or not name else file.parent).mkdir(parents=True)
        if name and not name.endswith("/"):
            file.write_bytes(b"x")
        said = say_refusal(tmp_path)
        reason = "no file in its folder has the suffix of an image format"
        assert f"fewer than 3 usable images: 'yak' (0) ('yak': {reason}); needed: 3" in said

    def test_one_of_two_classes(self, tmp_path: Path) -> None:
        (fill(tmp_path, ("cat",)) / "yak").mkdir()
        assert "fewer than 3 usable images: 'yak' (0)" in say_refusal(tmp_path)

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    @pytest.mark.parametrize("content", ["nothing", "links"])
    def test_a_folder_in_an_archive(self, content: str, kind: str, tmp_path: Path) -> None:
        """Folders are archive members of their own. A link is not unpacked, but the class of its folder is still known."""
        folder, file = fill(tmp_path / "pets"), tmp_path / f"pets.{kind}"
        if kind == "tar":
            (folder / "yak").mkdir()
            (folder / "yak" / "0.png").symlink_to("nowhere.png") if content == "links" else None
            with tarfile.open(file, "w") as archive:
                archive.add(folder, "pets")
        else:
            with zipfile.ZipFile(file, "w") as zipped:
                for image in sorted(folder.rglob("*.png")):
                    zipped.write(image, f"pets/{image.relative_to(folder)}")
                member = zipfile.ZipInfo("pets/yak/" + ("0.png" if content == "links" else ""))
                member.external_attr = (0o120777 if content == "links" else 0o040755) << 16
                zipped.writestr(member, "nowhere.png" if content == "links" else "")
        reason = "'yak/0.png': a link or device inside the archive" if content == "links" else "no file in its folder has"
        assert f"fewer than 3 usable images: 'yak' (0) ('yak': {reason}" in say_refusal(file)

    def test_a_folder_of_links_to_outside(self, tmp_path: Path) -> None:
        fill(tmp_path / "pets")
        (tmp_path / "pets" / "yak").mkdir()
        (tmp_path / "pets" / "yak" / "0.png").symlink_to(save(tmp_path / "outside.png"))
        assert "'yak' (0) ('yak': 'yak/0.png': outside the folder" in say_refusal(tmp_path / "pets")

    def test_hidden_folders_mask_folders_and_folders_next_to_the_parts_are_not_classes(self, tmp_path: Path) -> None:
        for name in (".git", "__MACOSX", "masks", "Annotations"):
            (fill(tmp_path / "flat") / name).mkdir()
        found = scan(tmp_path / "flat")
        assert found.classes == CLASSES
        assert found.notes == {
            "hidden files and folders (ignored)": 2,
            "folders without images that are not classes by their names (ignored: Annotations, masks)": 2,
        }
        fill(tmp_path / "split" / "train"), fill(tmp_path / "split" / "test", prefix="test")
        (tmp_path / "split" / "docs" / "yak").mkdir(parents=True)
        assert scan(tmp_path / "split").classes == CLASSES

    def test_a_class_can_have_an_empty_folder_in_another_part(self, tmp_path: Path) -> None:
        fill(tmp_path / "train"), fill(tmp_path / "test", prefix="test")
        for label in CLASSES:
            (tmp_path / "val" / label).mkdir(parents=True)
        assert scan(tmp_path).classes == CLASSES

    @pytest.mark.parametrize("closed", ["val", "test"])
    def test_a_part_that_cannot_be_opened(self, closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for part in ("train", "val", "test"):
            fill(tmp_path / part, prefix=part)
        close(monkeypatch, tmp_path / closed)
        assert f"{tmp_path / closed} is a part of the split, but the folder cannot be opened" in say_refusal(tmp_path)

    def test_one_part_next_to_a_part_that_cannot_be_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path / "train"), fill(tmp_path / "test", prefix="test")
        close(monkeypatch, tmp_path / "test")
        assert "'test': the folder cannot be opened" in say_refusal(tmp_path)

    def test_empty_folders_next_to_the_folder_with_all_images_are_noted(self, tmp_path: Path) -> None:
        fill(tmp_path / "train")
        (tmp_path / "test").mkdir()
        assert scan(tmp_path).notes == {"folders without images next to 'train' (ignored: test)": 1}

    def test_a_folder_that_cannot_be_opened_itself(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        close(monkeypatch, fill(tmp_path / "pets"))
        assert "pets contains no images; needed: class folders" in (said := say_refusal(tmp_path / "pets"))
        assert "the folder cannot be opened: Permission denied" in said

    def test_a_class_of_a_table_whose_files_are_all_missing(self, tmp_path: Path) -> None:
        said = say_refusal(table(tmp_path, "gone0.png,yak", "gone1.png,yak"))
        reason = "rows that cannot be used: 2; the first is 'gone0.png': listed in the table, but does not exist"
        assert f"'yak' (0) ('yak': {reason})" in said

    def test_the_cache_does_not_hide_a_new_empty_class(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        choice = Choice(name="folder", options={"path": str(folder), "side": 16})
        datasets.settle(choice)
        (folder / "yak").mkdir()
        with pytest.raises(InputError, match=r"'yak' \(0\)"):
            datasets.settle(choice)


class TestTables:
    @pytest.mark.parametrize("again", ["cat/0.png", "./dog/../cat/0.png"])
    def test_a_file_with_two_labels_is_left_out(self, again: str, tmp_path: Path) -> None:
        found = scan(table(tmp_path, f"{again},dog", "cat/1.png,cat"))
        assert "cat/0.png" not in [image.path for image in found.images]
        assert len(found.images) == 7
        assert sorted((one.path, one.label, one.reason) for one in found.quarantined) == [
            ("cat/0.png", "cat", "the same image is also in another class, 'dog': cat/0.png"),
            ("cat/0.png", "dog", "the same image is also in another class, 'cat': cat/0.png"),
            ("cat/1.png", "cat", "listed twice"),
        ]
        (pair,) = found.duplicates
        assert (pair.labels, pair.crosses_classes, pair.kept) == (("cat", "dog"), True, "")
        kept = datasets.settle(Choice(name="folder", options={"path": str(tmp_path), "side": 16}))
        assert len(datasets.load(kept).images) == 7

    def test_labels_that_differ_only_in_case_are_refused(self, tmp_path: Path) -> None:
        for n in range(4, 8):
            save(tmp_path / f"{n}.png")
        said = say_refusal(table(tmp_path, *(f"{n}.png,Cat" for n in range(4, 8))))
        assert "labels that differ only in case, blanks or encoding: 'Cat' and 'cat'; give each class one name" in said


class TestDeepFolders:
    def test_a_split_with_unknown_part_names_is_rejected(self, tmp_path: Path) -> None:
        for part in ("train", "holdout"):
            fill(tmp_path / part, prefix=part)
        said = say_refusal(tmp_path)
        assert "the folders 'holdout', 'train' all contain the same folders, 'cat', 'dog', like parts of a split" in said
        assert "allowed names of parts: train or training; val, valid," in said

    def test_parts_below_classes_are_refused(self, tmp_path: Path) -> None:
        for label in CLASSES:
            fill(tmp_path / label, ("train", "test"), prefix=label)
        assert "'cat', 'dog' all contain the same folders, 'test', 'train'" in say_refusal(tmp_path)

    def test_the_same_subfolders_in_every_class_are_noted_if_no_name_is_that_of_a_part(self, tmp_path: Path) -> None:
        for label in CLASSES:
            fill(tmp_path / label, ("2023", "2024"), prefix=label)
        found = scan(tmp_path)
        assert found.classes == CLASSES
        assert [note.endswith("'cat' contains '2023', '2024'; 'dog' contains '2023', '2024'") for note in found.notes] == [True]

    def test_other_folders_below_classes_are_noted(self, tmp_path: Path) -> None:
        fill(tmp_path / "animals", ("cat", "owl")), fill(tmp_path / "plants", ("oak",))
        found = scan(tmp_path)
        assert found.classes == ("animals", "plants")
        assert found.notes == {
            "images in subfolders of the top-level folders, which are the classes: 'animals' contains 'cat', 'owl'; "
            "'plants' contains 'oak'": 12
        }

    @pytest.mark.parametrize("stray", ["cat/0.png", "one folder in each"])
    def test_subfolders_in_some_classes_or_one_in_each_give_no_note(self, stray: str, tmp_path: Path) -> None:
        for label in CLASSES:
            fill(tmp_path / label, ("left", "right") if "/" in stray else ("left",), prefix=label)
        save(tmp_path / stray) if "/" in stray else None
        assert (scan(tmp_path).classes, scan(tmp_path).notes) == (CLASSES, {})


class TestArchives:
    def pack(self, tmp_path: Path, *names: str) -> Path:
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            for number, name in enumerate(names):
                archive.write(save(tmp_path / f"{number}.png"), name) if name.endswith(".png") else archive.writestr(name, "x")
        return tmp_path / "pets.zip"

    def test_an_error_names_the_archive_and_its_rejected_members(self, tmp_path: Path) -> None:
        file = self.pack(tmp_path, "../a.png", "notes.txt")
        said = say_refusal(file)
        assert said.startswith(f"{file} contains no images; needed: class folders")
        assert said.endswith("used: 1; the first is '../a.png': a path that leads outside the archive")

    @pytest.mark.parametrize(
        ("names", "start"),
        [
            (("cat/0.png", "dog/0.png"), "{}: classes with fewer than 3 usable images"),
            (("deep/cat/0.png", "deep/dog/0.png"), "{}/deep: classes with fewer than 3 usable images"),
            (("images/0.png", "masks/0.png"), "{} contains images and masks"),
            (("test/cat/0.png", "test/dog/0.png", "b/cat/0.png", "b/dog/0.png"), "{}: the folders 'b', 'test'"),
        ],
    )
    def test_every_error_names_the_archive(self, names: tuple[str, ...], start: str, tmp_path: Path) -> None:
        file = self.pack(tmp_path, *names)
        said = say_refusal(file)
        assert said.startswith(start.format(file))
        assert str(paths.data_folder()) not in said

    @pytest.mark.parametrize(
        ("tables", "sentence"),
        [
            ({"a.csv": "path,label\n"}, "{}/a.csv has no row"),
            (
                {"a.csv": "path,label\nx.png,x\n"},
                "{}/a.csv lists no file that can be used; files that do not exist: 1 ('x.png'); paths are relative to {}",
            ),
            ({"a.csv": "path,label\n0.png,x\n"}, "{} contains one class, 'x'"),
            ({"a.csv": "path,label,split\n0.png,x,?\n"}, "unknown split '?' in {}/a.csv, row 2"),
            ({"a.csv": "path,label\n", "b.csv": "path,label\n"}, "{} contains several tables of images: a.csv, b.csv"),
        ],
    )
    def test_every_error_of_a_table_names_its_archive(self, tables: dict[str, str], sentence: str, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            archive.write(save(tmp_path / "0.png"), "0.png")
            for name, text in tables.items():
                archive.writestr(name, text)
        said = say_refusal(tmp_path / "pets.zip")
        assert sentence.replace("{}", str(tmp_path / "pets.zip")) in said
        assert str(paths.data_folder()) not in said

    @pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
    def test_a_file_that_is_not_an_archive_gives_a_one_sentence_error(self, ending: str, tmp_path: Path) -> None:
        (tmp_path / f"no.{ending}").write_bytes(b"nothing of the kind" * 99)
        said = say_refusal(tmp_path / f"no.{ending}")
        assert "cannot be unpacked: " in said
        assert "method" not in said

    def test_folders_outside_the_archive_are_neither_created_nor_listed(self, tmp_path: Path) -> None:
        file = self.pack(tmp_path, *(f"{label}/{n}.png" for label in CLASSES for n in range(3)))
        for number, image in enumerate(sorted(tmp_path.glob("*.png"))):
            save(image, name=str(number))
        with zipfile.ZipFile(file, "a") as archive:
            for name in ("../evil/", "/evil/", "cat/0.png/", "cat/"):
                archive.writestr(name, "")
        found = scan(file)
        assert (found.classes, found.quarantined) == (CLASSES, ())
        assert [name for name in tmp_path.rglob("*") if "evil" in name.name] == []

    def test_no_permission_to_read_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file, open_file = self.pack(tmp_path, "cat/0.png"), Path.open

        def locked(path: Path, *args: object, **options: object) -> object:
            if path == file:
                raise PermissionError(13, "Permission denied", str(path))
            return open_file(path, *args, **options)

        monkeypatch.setattr(Path, "open", locked)
        assert f"{file} cannot be unpacked: [Errno 13] Permission denied" in say_refusal(file)

    def test_members_of_a_tar_with_a_table_are_refused_too(self, tmp_path: Path) -> None:
        folder = table(tmp_path / "pets")
        with tarfile.open(tmp_path / "pets.tar", "w") as archive:
            archive.add(folder, "pets")
            archive.add(folder / "cat" / "0.png", "../0.png")
        assert [one.path for one in scan(tmp_path / "pets.tar").quarantined] == ["../0.png"]


class TestTheDataFolder:
    @pytest.mark.parametrize("kind", ["folder", "archive"])
    @pytest.mark.parametrize("fault", ["a file", "below a file", "no permission", "no new files"])
    def test_a_data_folder_that_cannot_be_written_to_is_named(
        self, fault: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = fill(tmp_path / "pets")
        if kind == "archive":
            with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
                for file in sorted(given.rglob("*.png")):
                    archive.write(file, file.relative_to(given))
            given = tmp_path / "pets.zip"
        (tmp_path / "plain").write_text("")
        data = tmp_path / {"a file": "plain", "below a file": "plain/data"}.get(fault, "data")
        monkeypatch.setenv("IMAGESTUDY_DATA", str(data))

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        if fault == "no permission":
            monkeypatch.setattr(Path, "mkdir", refuse)
        elif fault == "no new files":
            monkeypatch.setattr(making.tempfile, "mkdtemp", refuse)
            monkeypatch.setattr(decoded_cache, "TemporaryDirectory", refuse)
        with pytest.raises(
            InputError, match=r"cannot be written to \(.*set the environment variable IMAGESTUDY_DATA to use another data folder"
        ) as error:
            folders.settle_folder(path=str(given), side=16)
        assert str(error.value).startswith(f"{data}/cache cannot be written to")

    def test_a_disk_that_fills_up_during_the_work_is_reported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(decoded_cache, "_write_facts", fail)
        with pytest.raises(InputError, match=r"cache cannot be written to \(No space left on device\); .*IMAGESTUDY_DATA"):
            folders.settle_folder(path=str(fill(tmp_path / "pets")), side=16)


def test_formats_are_counted_with_the_most_frequent_first(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pets")
    for label in CLASSES:
        for n in range(5):
            save(folder / label / f"{n}.jpg")
    save(folder / "cat" / "a.gif").rename(folder / "cat" / "named wrongly.png")
    found = scan(folder)
    assert list(found.formats.items()) == [("JPEG", 10), ("PNG", 8), ("GIF", 1)]
    kept = folders.settle_folder(path=str(folder), side=16)
    assert recall(kept["content"]).formats == found.formats


def test_a_missing_path_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        folders.find(str(tmp_path / "nowhere"))
    assert str(error.value).endswith(f"nothing exists at {tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match=f" or {paths.data_folder()}/nowhere$"):
        folders.find("nowhere")
