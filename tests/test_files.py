"""Files are written atomically, and a folder that is not writable is refused before there is anything to write."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagestudy.core import files
from imagestudy.core.errors import InputError


def test_put_creates_the_folder_and_a_failed_write_keeps_the_old_file(tmp_path):
    file = tmp_path / "a" / "b.txt"
    files.put(file, "one")
    with pytest.raises(UnicodeEncodeError):
        files.put(file, "two \ud800")
    assert file.read_text(encoding="utf-8") == "one"
    files.put(file, "three")
    assert file.read_text(encoding="utf-8") == "three"
    assert not list(tmp_path.rglob("*two*"))


def test_replacing_leaves_no_temporary_file_whether_it_succeeds_or_fails(tmp_path):
    file = tmp_path / "a.bin"

    def fail() -> None:
        with files.replacing(file) as fresh:
            fresh.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())
    files.put(file, b"whole")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.bin", b"whole")]
    with pytest.raises(InputError, match=r"b\.txt cannot be written: "):
        files.put(file / "b.txt", "below a file")
    assert file.read_bytes() == b"whole"


def test_with_several_writers_at_once_every_read_file_is_complete(tmp_path):
    file, contents = tmp_path / "one.bin", [bytes([letter]) * 500_000 for letter in b"abcd"]
    files.put(file, contents[0])

    def write(content: bytes) -> bool:
        files.put(file, content)
        return file.read_bytes() in contents

    with ThreadPoolExecutor(4) as writers:
        assert all(writers.map(write, contents * 20))
    assert [one.name for one in tmp_path.iterdir()] == ["one.bin"]


def test_a_folder_that_can_be_made_is_not_made(tmp_path):
    files.require_writable(tmp_path / "a" / "b", variable="THERE")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_or_no_permission_is_a_sentence_that_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(
            InputError, match=r"^\S+ cannot be written to \(\S+/file is not a folder\); .* THERE to use another folder$"
        ):
            files.require_writable(folder, variable="THERE")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="no permission to write in"):
        files.require_writable(tmp_path / "a", variable="THERE")

    def deny(place: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(Path, "exists", deny)
    with pytest.raises(InputError, match=r"Permission denied.*THERE to use another folder$"):
        files.require_writable(tmp_path / "a", variable="THERE")
