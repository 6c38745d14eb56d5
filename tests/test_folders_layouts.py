"""Class folders, parts, wrapping folders, tables and archives are recognized; groups come from expressions, bursts or columns."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from sample_folders import CLASSES, fill, paths_of, save

from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.data import folders
from imagestudy.data.datasets import TEST, TRAIN, VALIDATION
from imagestudy.data.folders import archives, scan
from imagestudy.data.folders.validation import natural_key


def zipped(folder: Path, file: Path, *, inside: str = "") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for member in sorted(folder.rglob("*")):
            if member.is_file():
                archive.write(member, f"{inside}{member.relative_to(folder).as_posix()}")
    return file


def parts_of(found: folders.Scan) -> dict[str, int | None]:
    return {image.path: image.part for image in found.images}


def reasons_of(found: folders.Scan) -> dict[str, str]:
    return {one.path: one.reason for one in found.quarantined}


class TestFolders:
    def test_class_folders(self, tmp_path: Path) -> None:
        found = scan(fill(tmp_path / "pets"))
        assert found.title == "pets"
        assert found.root == tmp_path / "pets"
        assert found.classes == CLASSES
        assert paths_of(found.images) == [f"{label}/{n}.png" for label in CLASSES for n in range(4)]
        assert {image.part for image in found.images} == {None}
        first = found.images[0]
        assert (first.label, first.group, first.format, first.mode, first.width, first.height) == ("cat", "", "PNG", "RGB", 10, 12)
        assert first.bytes == (tmp_path / "pets/cat/0.png").stat().st_size
        assert (found.quarantined, found.duplicates, found.notes) == ((), (), {})

    def test_folders_below_a_class_belong_to_it(self, tmp_path: Path) -> None:
        fill(tmp_path)
        save(tmp_path / "cat" / "old" / "grey" / "x.png")
        assert "cat/old/grey/x.png" in [image.path for image in scan(tmp_path).images if image.label == "cat"]

    def test_classes_are_in_the_order_in_which_people_count(self, tmp_path: Path) -> None:
        assert scan(fill(tmp_path, ("10", "9", "b2", "B1"))).classes == ("9", "10", "B1", "b2")

    def test_natural_order(self) -> None:
        assert sorted(["a10", "a9", "A1", "10", "9", "²", "a"], key=natural_key) == ["9", "10", "a", "A1", "a9", "a10", "²"]

    @pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev", "eval", "evaluation"])
    @pytest.mark.parametrize("test", ["TEST", "testing"])
    def test_parts_above_class_folders(self, tmp_path: Path, validation: str, test: str) -> None:
        names = {"Train": TRAIN, validation: VALIDATION, test: TEST}
        for name in names:
            fill(tmp_path / name, prefix=name)
        found = scan(tmp_path)
        assert found.classes == CLASSES
        assert parts_of(found) == {f"{name}/{c}/{n}.png": part for name, part in names.items() for c in CLASSES for n in range(4)}

    def test_without_a_test_part_validation_is_the_test_part(self, tmp_path: Path) -> None:
        fill(tmp_path / "train"), fill(tmp_path / "val", prefix="val")
        found = scan(tmp_path)
        assert {image.part for image in found.images if image.path.startswith("val")} == {TEST}
        assert found.notes == {"images of the validation part (used as the test part, because there is none)": 8}

    def test_what_lies_beside_the_parts_is_quarantined(self, tmp_path: Path) -> None:
        fill(tmp_path / "train"), fill(tmp_path / "test", prefix="test")
        save(tmp_path / "docs" / "logo.png")
        assert [(one.path, one.reason) for one in scan(tmp_path).quarantined] == [("docs/logo.png", "not in a folder of the split")]

    def test_classes_may_be_called_test_and_val(self, tmp_path: Path) -> None:
        assert scan(fill(tmp_path, ("test", "val", "other"))).classes == ("other", "test", "val")

    def test_wrapping_folders_are_looked_through(self, tmp_path: Path) -> None:
        fill(tmp_path / "a" / "b" / "c")
        (tmp_path / "a" / "README.txt").write_text("hello")
        found = scan(tmp_path)
        assert (found.title, found.root, found.classes) == (tmp_path.name, tmp_path / "a" / "b" / "c", CLASSES)
        assert found.content == scan(tmp_path / "a" / "b" / "c").content

    def test_images_are_chosen_before_masks(self, tmp_path: Path) -> None:
        fill(tmp_path / "set" / "images"), fill(tmp_path / "set" / "masks", prefix="mask")
        found = scan(tmp_path)
        assert found.root == tmp_path / "set" / "images"
        assert len(found.images) == 8
        assert found.notes == {"images in folders next to 'images' (ignored: masks)": 8}

    @pytest.mark.parametrize("above", ["", "train"])
    def test_images_and_masks_are_no_classes(self, tmp_path: Path, above: str) -> None:
        for n in range(4):
            save(tmp_path / above / "images" / f"{n}.png"), save(tmp_path / above / "masks" / f"{n}.png")
        with pytest.raises(InputError, match="contains images and masks, which are not classes"):
            scan(tmp_path)

    def test_hidden_and_foreign_files_are_left_out_and_counted(self, tmp_path: Path) -> None:
        fill(tmp_path)
        hidden = (".hidden.png", "Thumbs.db", ".git/a.png", "__MACOSX/cat/._0.png", "cat/._0.png")
        for name in (*hidden, "cat/notes.txt", "dog/LICENSE"):
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_bytes(b"x")
        found = scan(tmp_path)
        assert len(found.images) == 8
        assert found.quarantined == ()
        assert found.notes == {
            "hidden files and folders (ignored)": 5,
            "files that are not images (.txt, ignored)": 1,
            "files that are not images (no suffix, ignored)": 1,
        }

    def test_images_in_no_class_folder_are_quarantined(self, tmp_path: Path) -> None:
        save(fill(tmp_path) / "stray.png")
        assert [(one.path, one.reason) for one in scan(tmp_path).quarantined] == [("stray.png", "not in a class folder")]

    def test_formats_that_are_not_read_are_quarantined(self, tmp_path: Path) -> None:
        (fill(tmp_path) / "cat" / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
        (one,) = scan(tmp_path).quarantined
        assert (one.path, one.label) == ("cat/a.HEIC", "cat")
        assert one.reason.startswith("not an image of a supported format")


class TestTables:
    def rows(self, folder: Path, *columns: str, separator: str = ",") -> str:
        fill(folder / "files")
        lines = [["path", "label", *columns]]
        for number, (label, n) in enumerate((label, n) for label in CLASSES for n in range(4)):
            values = {"split": ["train", "train", "Test", "valid"][n], "group": f"g{number // 3}"}
            lines.append([f"files/{label}/{n}.png", f"a {label}", *(values[column] for column in columns)])
        return "\n".join(separator.join(line) for line in lines) + "\n"

    @pytest.mark.parametrize("given", ["folder", "table"])
    def test_a_table_says_what_images_are(self, tmp_path: Path, given: str) -> None:
        (tmp_path / "labels.csv").write_text(self.rows(tmp_path))
        found = scan(tmp_path if given == "folder" else tmp_path / "labels.csv")
        assert found.classes == ("a cat", "a dog")
        assert found.root == tmp_path
        assert found.title == (tmp_path.name if given == "folder" else "labels")
        assert paths_of(found.images) == [f"files/{label}/{n}.png" for label in CLASSES for n in range(4)]

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("form", ["plain", "bom", "crlf", "backslashes", "padded"])
    def test_what_spreadsheets_write_is_read(self, tmp_path: Path, separator: str, form: str) -> None:
        text = self.rows(tmp_path, "split", "group", separator=separator)
        (tmp_path / "plain.csv").write_text(self.rows(tmp_path, "split", "group"))
        text = {
            "bom": "\ufeff" + text,
            "crlf": text.replace("\n", "\r\n"),
            "backslashes": text.replace("/", "\\"),
            "padded": text.replace(separator, f" {separator} ").replace("path", " Path").replace("\n", "\n\n"),
        }.get(form, text)
        (tmp_path / "other.csv").write_text(text, encoding="utf-8", newline="")
        assert scan(tmp_path / "other.csv").content == scan(tmp_path / "plain.csv").content

    def test_split_and_group_are_taken(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text(self.rows(tmp_path, "group", "split").replace("a dog", "a cat", 0))
        found = scan(tmp_path)
        assert [image.part for image in found.images] == [TRAIN, TRAIN, TEST, VALIDATION] * 2
        assert [image.group for image in found.images] == ["g0"] * 3 + ["g1"] * 3 + ["g2"] * 2

    def test_the_column_of_groups_wins(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text(self.rows(tmp_path, "group"))
        plain = scan(tmp_path).content
        assert scan(tmp_path, group="cat|dog").content == plain
        assert scan(tmp_path, burst=5).content == plain

    def test_a_quoted_path_may_hold_anything(self, tmp_path: Path) -> None:
        name = 'files/cat/a, "b"\n<script>.png'
        text = self.rows(tmp_path)
        save(tmp_path / name)
        (tmp_path / "labels.csv").write_text(text + '"' + name.replace('"', '""') + '",a cat\n')
        assert name in paths_of(scan(tmp_path).images)

    def test_missing_files_are_counted_and_the_first_named(self, tmp_path: Path) -> None:
        text = self.rows(tmp_path) + "".join(f"gone{n}.png,a cat\n" for n in range(5))
        (tmp_path / "labels.csv").write_text(text)
        found = scan(tmp_path)
        assert found.notes == {"files that are listed in the table but do not exist: 'gone0.png', 'gone1.png', 'gone2.png', …": 5}
        assert [one.path for one in found.quarantined] == [f"gone{n}.png" for n in range(5)]
        assert {one.reason for one in found.quarantined} == {"listed in the table, but does not exist"}

    def test_a_table_of_missing_files_alone_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("path,label\na.png,x\nb.png,y\n")
        with pytest.raises(InputError, match=r"files that do not exist: 2 \('a.png', 'b.png'\); paths are relative to"):
            scan(tmp_path)

    def test_paths_that_lead_out_and_repeated_rows_are_quarantined(self, tmp_path: Path) -> None:
        folder = tmp_path / "inner"
        save(tmp_path / "outside.png")
        text = self.rows(folder)
        last = text.splitlines()[-1]
        outside = f"../outside.png,a cat\n{tmp_path / 'outside.png'},a cat\n"
        (folder / "labels.csv").write_text(f"{text}{outside}files/./cat/../dog/3.png,a dog\n{last}\n,a cat\nfiles/cat\n")
        found = scan(folder)
        assert len(found.images) == 8
        assert sorted(one.reason for one in found.quarantined) == [
            "listed twice",
            "listed twice",
            "no label in the table",
            "no path in the table",
            "outside the folder; only files inside are read",
            "outside the folder; only files inside are read",
        ]

    def test_an_absolute_path_inside_is_the_same_file(self, tmp_path: Path) -> None:
        text = self.rows(tmp_path)
        (tmp_path / "labels.csv").write_text(text)
        plain = scan(tmp_path).content
        (tmp_path / "labels.csv").write_text(text.replace("files/", f"{tmp_path}/files/"))
        assert scan(tmp_path).content == plain

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("path,class\na.png,x\n", "no column 'label'; its first line is"),
            ("", "labels.csv is empty; needed: a first line with the columns path,label"),
            ("\n", r"no column 'path'; its first line is \[\]"),
            ("path,label\n", "no row below its first line"),
            ("path,label\n\n,\n", "no row below its first line"),
            ('path,label\n"a.png,x\n', "cannot be read as a CSV table"),
            ("path,label,split\nfiles/cat/0.png,x,later\n", r"unknown split 'later' in .*labels.csv, row 2; allowed: train"),
        ],
    )
    def test_a_table_that_cannot_be_read_is_refused(self, tmp_path: Path, text: str, sentence: str) -> None:
        fill(tmp_path / "files")
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(InputError, match=sentence):
            scan(tmp_path / "labels.csv")

    def test_a_table_in_another_encoding_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_bytes("path,label\nä.png,x\n".encode("latin-1"))
        with pytest.raises(InputError, match="cannot be read as a CSV table in UTF-8"):
            scan(tmp_path / "labels.csv")

    def test_two_tables_are_one_too_many(self, tmp_path: Path) -> None:
        for name in ("b.csv", "a.csv", "c.csv"):
            (tmp_path / name).write_text(self.rows(tmp_path))
        with pytest.raises(InputError, match=r"several tables of images: a.csv, b.csv, c.csv; give the path of one"):
            scan(tmp_path)

    def test_a_table_of_something_else_is_left_out(self, tmp_path: Path) -> None:
        fill(tmp_path / "set")
        (tmp_path / "weather.csv").write_text("day,rain\n1,2\n")
        found = scan(tmp_path)
        assert found.classes == CLASSES
        (tmp_path / "set" / "weather.csv").write_text("day,rain\n1,2\n")
        assert scan(tmp_path / "set").notes == {"tables without the columns path and label (ignored)": 1}

    def test_rows_without_a_split_among_others_are_quarantined(self, tmp_path: Path) -> None:
        text = self.rows(tmp_path, "split")
        save(tmp_path / "more.png")
        (tmp_path / "labels.csv").write_text(text + "more.png,a cat,\n")
        assert [one.reason for one in scan(tmp_path).quarantined] == ["no split in the table, although other rows have one"]


class TestGroups:
    def numbered(self, folder: Path, *numbers: int) -> Path:
        for label in CLASSES:
            for number in numbers:
                save(folder / label / f"exp2_{number + (label == 'dog')}_x.png")
        return folder

    def test_the_whole_match_or_what_is_caught_names_a_group(self, tmp_path: Path) -> None:
        folder = self.numbered(tmp_path, 10, 20, 30)
        assert [image.group for image in scan(folder, group="_[0-9]").images] == ["_1", "_2", "_3"] * 2
        assert [image.group for image in scan(folder, group="(.)at.*_([0-9])").images] == ["c|1", "c|2", "c|3", "", "", ""]

    def test_what_the_expression_misses_stands_for_itself_and_is_counted(self, tmp_path: Path) -> None:
        found = scan(self.numbered(tmp_path, 10, 20, 30), group="^cat")
        assert found.notes == {"images without a match of the group expression (each is its own group)": 3}

    def test_a_broken_expression_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"group: '\(' was given; allowed: a valid regular expression"):
            scan(self.numbered(tmp_path, 1, 2, 3), group="(")

    def test_expression_and_burst_exclude_each_other(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="allowed: only one of them"):
            scan(fill(tmp_path), group="x", burst=3)

    @pytest.mark.parametrize(("burst", "first"), [(1, {10, 20, 25}), (3, {10, 20, 25}), (4, {10, 20}), (9, {10})])
    def test_bursts_are_chains_over_the_whole_folder(self, tmp_path: Path, burst: int, first: set[int]) -> None:
        folder = self.numbered(tmp_path, 10, 20, 25)
        assert {image.group for image in scan(folder, burst=burst).images} == {f"from {n}" for n in first}

    def test_a_chain_may_be_longer_than_a_step(self, tmp_path: Path) -> None:
        assert {image.group for image in scan(self.numbered(tmp_path, 1, 3, 5, 7), burst=2).images} == {"from 1"}

    def test_a_name_without_a_number_stands_for_itself(self, tmp_path: Path) -> None:
        save(self.numbered(tmp_path, 1, 2, 3) / "cat" / "extra.png")
        assert {image.path: image.group for image in scan(tmp_path, burst=9).images}["cat/extra.png"] == ""

    def test_groups_on_two_sides_of_a_split_are_counted_and_stay(self, tmp_path: Path) -> None:
        fill(tmp_path / "train"), fill(tmp_path / "test", prefix="test")
        found = scan(tmp_path, group=r"[0-9]\.png")
        assert len(found.images) == 16
        assert found.notes == {"groups in more than one part of the official split (kept, because the owner chose the split)": 4}


class TestArchives:
    @pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.xz", "tar.bz2", "zip", "ZIP"])
    def test_an_archive_is_as_good_as_its_folder(self, tmp_path: Path, ending: str) -> None:
        folder, file = fill(tmp_path / "pets"), tmp_path / f"pets.{ending}"
        if ending.lower() == "zip":
            zipped(folder, file, inside="some/wrapping/")
        else:
            mode = {"tar": "w", "tgz": "w:gz"}.get(ending, f"w:{ending[4:]}")
            with tarfile.open(file, mode) as archive:
                archive.add(folder, "wrapping")
        found = scan(file)
        assert found.content == scan(folder).content
        assert found.title == "pets"
        assert found.root.is_relative_to(paths.data_folder() / "cache")

    def test_it_is_unpacked_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = zipped(fill(tmp_path / "pets"), tmp_path / "pets.zip")
        first = scan(file)
        monkeypatch.setattr(archives, "_unpack", lambda *_: pytest.fail("unpacked again"))
        assert scan(file) == first
        assert scan(file.rename(tmp_path / "moved.zip")).root == first.root

    def test_another_archive_of_the_same_name_is_not_taken_for_it(self, tmp_path: Path) -> None:
        first = scan(zipped(fill(tmp_path / "a"), tmp_path / "pets.zip")).content
        assert scan(zipped(fill(tmp_path / "b", prefix="other"), tmp_path / "pets.zip")).content != first

    def test_members_that_lead_out_are_refused_and_nothing_is_written_outside(self, tmp_path: Path) -> None:
        climbing = ("../../evil.png", "cat/../../../evil.png", "..\\..\\evil.png", "cat/../evil.png")
        absolute = (str(tmp_path / "evil.png"), "C:\\evil.png")
        file = zipped(fill(tmp_path / "pets"), tmp_path / "pets.zip")
        with zipfile.ZipFile(file, "a") as archive:
            for name in (*climbing, *absolute):
                archive.writestr(name, (tmp_path / "pets" / "cat" / "0.png").read_bytes())
        found = scan(file)
        assert len(found.images) == 8
        assert reasons_of(found) == {
            **dict.fromkeys(climbing, "a path that leads outside the archive"),
            **dict.fromkeys(absolute, "an absolute path inside the archive"),
        }
        assert [name for name in tmp_path.rglob("*") if "evil" in name.name] == []

    def test_links_and_devices_in_a_tar_are_refused(self, tmp_path: Path) -> None:
        secret = save(tmp_path / "secret.png")
        with tarfile.open(tmp_path / "pets.tar", "w") as archive:
            archive.add(fill(tmp_path / "pets"), "pets")
            for name, kind, target in (
                ("pets/cat/link.png", tarfile.SYMTYPE, str(secret)),
                ("pets/cat/hard.png", tarfile.LNKTYPE, "../../secret.png"),
                ("pets/cat/deep", tarfile.SYMTYPE, str(tmp_path)),
                ("pets/pipe.png", tarfile.FIFOTYPE, ""),
            ):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, target
                archive.addfile(member)
            inside = tarfile.TarInfo("pets/cat/deep/secret.png")
            inside.size = 3
            archive.addfile(inside, io.BytesIO(b"abc"))
        before = secret.read_bytes()
        found = scan(tmp_path / "pets.tar")
        assert len(found.images) == 8
        assert [one.reason for one in found.quarantined].count("a link or device inside the archive") == 4
        assert secret.read_bytes() == before
        assert not any(file.is_symlink() for file in found.root.rglob("*"))

    def test_a_link_in_a_zip_is_refused(self, tmp_path: Path) -> None:
        file = zipped(fill(tmp_path / "pets"), tmp_path / "pets.zip")
        member = zipfile.ZipInfo("cat/link.png")
        member.external_attr = 0o120777 << 16
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(member, "/etc/hostname")
        assert [one.reason for one in scan(file).quarantined] == ["a link or device inside the archive"]

    @pytest.mark.parametrize("kind", ["zip", "tar.gz"])
    def test_a_bomb_is_refused_and_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        monkeypatch.setattr(archives, "SPARE_BYTES", 100_000)
        (tmp_path / "pets" / "cat").mkdir(parents=True)
        (tmp_path / "pets" / "cat" / "a.bmp").write_bytes(bytes(5_000_000))
        file = tmp_path / f"pets.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(tmp_path / "pets" / "cat" / "a.bmp", "cat/a.bmp")
        else:
            with tarfile.open(file, "w:gz") as archive:
                archive.add(tmp_path / "pets", "pets")
        with pytest.raises(InputError, match=r"unpacks to more than .* GB.*unpack it yourself"):
            scan(file)
        assert list((paths.data_folder() / "cache" / "unpacked").iterdir()) == []

    def test_a_bomb_that_lies_about_its_size_is_stopped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "SPARE_BYTES", 100_000)
        monkeypatch.setattr(archives, "MOST_GROWTH", 0)
        monkeypatch.setattr(archives, "SAMPLE", 1 << 12)
        rest = io.BytesIO(bytes(5_000_000))
        monkeypatch.setattr(archives, "_members", lambda _: [archives.Member("cat/a.bmp", 10, rest.read)])
        with pytest.raises(InputError, match="unpacks to more than"):
            scan(zipped(fill(tmp_path / "pets"), tmp_path / "pets.zip"))
        assert rest.tell() < 120_000

    def test_a_member_with_a_false_checksum_is_quarantined(self, tmp_path: Path) -> None:
        file = zipped(fill(tmp_path / "pets"), tmp_path / "pets.zip")
        whole = (tmp_path / "pets" / "dog" / "0.png").read_bytes()
        data = file.read_bytes()
        file.write_bytes(data.replace(whole, whole[:-20] + bytes(20)))
        found = scan(file)
        assert [one.path for one in found.quarantined] == ["dog/0.png"]
        assert "Bad CRC-32" in found.quarantined[0].reason
        assert "dog/0.png" not in paths_of(found.images)

    @pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.xz"])
    def test_what_is_no_archive_or_cut_off_is_refused(self, tmp_path: Path, ending: str) -> None:
        (tmp_path / f"no.{ending}").write_bytes(b"nothing of the kind" * 99)
        with pytest.raises(InputError, match="cannot be unpacked"):
            scan(tmp_path / f"no.{ending}")
        if ending.startswith("tar"):
            with tarfile.open(tmp_path / f"cut.{ending}", "w" + ending[3:].replace(".", ":")) as archive:
                archive.add(fill(tmp_path / "pets"), "pets")
        else:
            zipped(fill(tmp_path / "pets"), tmp_path / "cut.zip")
        file = tmp_path / f"cut.{ending}"
        os.truncate(file, file.stat().st_size // 2)
        with pytest.raises(InputError, match="cannot be unpacked"):
            scan(file)
        assert list((paths.data_folder() / "cache" / "unpacked").iterdir()) == []

    def test_names_that_are_a_file_and_a_folder_are_quarantined(self, tmp_path: Path) -> None:
        file = zipped(fill(tmp_path / "pets"), tmp_path / "pets.zip")
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("cat/0.png/1.png", b"x")
            archive.writestr("n" * 300 + ".png", b"x")
        assert [one.reason.split(":")[0] for one in scan(file).quarantined] == [
            "a file or folder of this name already exists",
            "its name is not a valid file name here",
        ]

    def test_a_table_inside_an_archive_cannot_name_files_outside(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "pets")
        secret = save(tmp_path / "secret.png")
        rows = [f"{label}/{n}.png,{label}" for label in CLASSES for n in range(4)]
        (folder / "labels.csv").write_text("\n".join(["path,label", *rows, f"{secret},cat"]) + "\n")
        found = scan(zipped(folder, tmp_path / "pets.zip"))
        assert [one.reason for one in found.quarantined] == ["outside the folder; only files inside are read"]
