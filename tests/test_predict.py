"""Predictions of image files: they do not depend on the location of a file or on the other files."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from imagestudy import data, inference
from imagestudy.cli import app
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.inference import predict as predicting
from imagestudy.inference.predict import Summary, predict, regroup

NUMBER = 60
SPEC = RunSpec(
    dataset=Choice(name="digits"),
    model=ModelSpec(name="article"),
    training=TrainingSpec(images_seen=2_560),
    profile=ProfileSpec(name="exponential", ratio=20.0),
    remedy=Choice(name="logit_adjustment"),
)
STRANGE = tuple(
    f"{name}.png" for name in ("a,b", 'say "hi"', "two\nlines", "back\rward", "=1+1", "картина 猫", "<script>", " lead", "'")
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference.save(SPEC, tmp_path_factory.mktemp("saved") / "model", scores={}, provenance={})


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return data.test_part(SPEC).images[:NUMBER]


def write_image(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0]).save(file, format="PNG")


@pytest.fixture
def folder(digits: np.ndarray, tmp_path: Path) -> Path:
    """A folder with the digits, named by number, at three depths."""
    for number, image in enumerate(digits):
        write_image(tmp_path / "images" / ("", "left", "left/deep")[number % 3] / f"{number:03}.png", image)
    return tmp_path / "images"


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def numbers(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([[float(value) for value in list(row.values())[3:]] for row in rows])


def test_files_give_the_same_predictions_as_arrays(model: Path, folder: Path, digits: np.ndarray, tmp_path: Path) -> None:
    summary = predict(model, folder, tmp_path / "out.csv")
    rows, opened = read(tmp_path / "out.csv"), inference.load(model)
    assert list(rows[0]) == ["path", "predicted", "confidence", *opened.classes]
    assert [row["path"] for row in rows] == sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png"))
    proba = opened.predict_proba(digits[[int(Path(row["path"]).stem) for row in rows]])
    np.testing.assert_allclose(numbers(rows), proba, rtol=1e-5)
    assert [row["predicted"] for row in rows] == [opened.classes[best] for best in proba.argmax(axis=1)]
    np.testing.assert_allclose([float(row["confidence"]) for row in rows], proba.max(axis=1), rtol=1e-5)
    assert len({row["predicted"] for row in rows}) > 3
    assert (summary.images, summary.unreadable, summary.left_out) == (NUMBER, 0, 0)
    assert read(tmp_path / "out-unreadable.csv") == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images", "out-unreadable.csv", "out.csv"]


@pytest.mark.parametrize("batch", [1, 7, 4_096])
def test_the_size_of_a_batch_changes_nothing_but_rounding(batch: int, model: Path, folder: Path, tmp_path: Path) -> None:
    predict(model, folder, tmp_path / "out.csv")
    predict(model, folder, tmp_path / "other.csv", batch=batch)
    rows, others = read(tmp_path / "out.csv"), read(tmp_path / "other.csv")
    assert [(row["path"], row["predicted"]) for row in rows] == [(row["path"], row["predicted"]) for row in others]
    np.testing.assert_allclose(numbers(rows), numbers(others), rtol=1e-4, atol=1e-6)


def test_workers_and_chunks_change_nothing(model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "0.png").write_bytes(b"")
    predict(model, folder, tmp_path / "out.csv")
    monkeypatch.setattr(predicting, "LARGEST_CHUNK", 7)
    predict(model, folder, tmp_path / "other.csv", workers=2)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert read(tmp_path / "other-unreadable.csv") == [{"path": "0.png", "reason": "empty: zero bytes"}]


def test_unusual_names_are_written_unchanged(model: Path, digits: np.ndarray, tmp_path: Path) -> None:
    for name, image in zip(STRANGE, digits, strict=False):
        write_image(tmp_path / "images" / name, image)
        (tmp_path / "images" / f"broken {name}").write_text("no image")
    predict(model, tmp_path / "images", tmp_path / "out.csv")
    assert {row["path"] for row in read(tmp_path / "out.csv")} == set(STRANGE)
    assert {row["path"] for row in read(tmp_path / "out-unreadable.csv")} == {f"broken {name}" for name in STRANGE}


def test_unreadable_files_are_listed_with_a_reason(model: Path, folder: Path, digits: np.ndarray, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.tile(digits[0][..., 0], (40, 40))).save(stream, format="PNG")
    (folder / "cut.png").write_bytes(stream.getvalue()[:-200])
    (folder / "text.jpg").write_text("hello")
    (folder / "left" / "empty.png").write_bytes(b"")
    (folder / "leads nowhere.png").symlink_to(folder / "not there.png")
    (folder / "notes.txt").write_text("left out")
    summary = predict(model, folder, tmp_path / "out.csv")
    reasons = {row["path"]: row["reason"] for row in read(tmp_path / "out-unreadable.csv")}
    assert reasons.keys() == {"cut.png", "text.jpg", "left/empty.png", "leads nowhere.png"}
    assert reasons["text.jpg"].startswith("not an image of a supported format")
    assert reasons["cut.png"].startswith("damaged or cut off")
    assert (summary.images, summary.unreadable, summary.left_out) == (NUMBER, 4, 1)
    assert len(read(tmp_path / "out.csv")) == NUMBER


def test_an_archive_a_folder_and_a_single_image_give_the_same_predictions(model: Path, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
        archive.write(file, "../outside.png")
    predict(model, folder, tmp_path / "out.csv")
    summary = predict(model, tmp_path / "images.zip", tmp_path / "zip.csv")
    assert (tmp_path / "zip.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    assert summary.unreadable == 1
    (refused,) = read(tmp_path / "zip-unreadable.csv")
    assert refused == {"path": "../outside.png", "reason": "a path that leads outside the archive"}
    assert predict(model, folder / "000.png", tmp_path / "one.csv").images == 1
    (row,) = read(tmp_path / "one.csv")
    (same,) = [given for given in read(tmp_path / "out.csv") if given["path"] == "000.png"]
    assert row["predicted"] == same["predicted"]
    np.testing.assert_allclose(numbers([row]), numbers([same]), rtol=1e-4, atol=1e-6)


def test_an_interrupted_prediction_leaves_no_new_file(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = "path,predicted,confidence,one,two\nearlier\n"
    (tmp_path / "out.csv").write_text(earlier)
    asked = inference.SavedModel.predict_proba
    batches = iter(range(100))

    def stop(self: inference.SavedModel, images: np.ndarray) -> np.ndarray:
        if next(batches) == 2:
            raise KeyboardInterrupt
        return asked(self, images)

    monkeypatch.setattr(inference.SavedModel, "predict_proba", stop)
    with pytest.raises(KeyboardInterrupt):
        predict(model, folder, tmp_path / "out.csv", batch=10)
    assert (tmp_path / "out.csv").read_text() == earlier
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images", "out.csv"]


def test_batches_have_one_size_for_any_chunks_and_read_no_more_chunks_than_needed() -> None:
    sizes, taken = [3, 0, 5, 1, 8, 2, 2], []

    def chunks() -> Iterator[tuple[list[str], np.ndarray]]:
        for size in sizes:
            first = sum(taken)
            taken.append(size)
            rows = np.arange(first, first + size, dtype=np.uint8)
            yield [str(row) for row in rows], np.broadcast_to(rows[:, None, None, None], (size, 8, 8, 1)).copy()

    seen: list[str] = []
    for names, squares in regroup(chunks(), 4):
        assert len(names) == (4 if len(seen) < 20 else 1)
        assert [str(value) for value in squares[:, 0, 0, 0]] == names
        assert sum(taken[:-1]) < len(seen) + 4
        seen += names
    assert seen == [str(row) for row in range(sum(sizes))]


def test_a_class_with_the_name_of_a_column_gets_a_prefix() -> None:
    assert predicting._columns(("cat", "path", "confidence")) == ["cat", "class path", "class confidence"]


def test_the_summary_is_one_sentence() -> None:
    said = str(Summary(1_200, 3, 0, 2.0, Path("out.csv"), Path("out-unreadable.csv")))
    assert said == (
        "1,200 images predicted in 2.0 s (600 images per second), written to out.csv; "
        "3 unreadable files, listed in out-unreadable.csv."
    )


def test_earlier_outputs_are_replaced_completely(model: Path, folder: Path, tmp_path: Path) -> None:
    for name in ("z.png", "left/a.png", "a.png"):
        (folder / name).write_bytes(b"")
    predict(model, folder, tmp_path / "out.csv", workers=1)
    assert [row["path"] for row in read(tmp_path / "out-unreadable.csv")] == ["a.png", "left/a.png", "z.png"]
    (folder / "y.png").symlink_to(tmp_path)
    assert predict(model, folder, tmp_path / "out.csv").unreadable == 4
    assert [row["path"] for row in read(tmp_path / "out-unreadable.csv")] == ["a.png", "left/a.png", "y.png", "z.png"]
    assert predict(model, folder / "000.png", tmp_path / "out.csv").unreadable == 0
    assert [row["path"] for row in read(tmp_path / "out.csv")] == ["000.png"]
    assert read(tmp_path / "out-unreadable.csv") == []


class TestRefused:
    @pytest.mark.parametrize("name", ["out.csv", "out-unreadable.csv"])
    @pytest.mark.parametrize(
        "content", [b"path,label\na.png,cat\n", b"path,predicted,confidence\n", b"\xff\xfe", b"path,reason,more\n", b"\n\npath"]
    )
    def test_another_table_is_never_overwritten(self, content: bytes, name: str, model: Path, folder: Path, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            InputError, match=rf"{name} already exists and is not a table of .*; give another name for the output$"
        ) as error:
            predict(model, folder, tmp_path / "out.csv")
        assert "\n" not in str(error.value)
        assert (tmp_path / name).read_bytes() == content
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["images", name])

    def test_an_empty_file_may_be_overwritten(self, model: Path, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "out.csv").touch()
        assert predict(model, folder, tmp_path / "out.csv").images == NUMBER

    @pytest.mark.parametrize("form", ["folder", "archive"])
    def test_a_folder_without_a_readable_image(self, form: str, model: Path, tmp_path: Path) -> None:
        given = tmp_path / "broken"
        given.mkdir()
        for name in ("b.png", "a.png"):
            (given / name).write_text("no image")
        if form == "archive":
            with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
                for file in given.iterdir():
                    archive.write(file, file.name)
            given = tmp_path / "broken.zip"
        with pytest.raises(InputError) as error:
            predict(model, given, tmp_path / "out.csv")
        assert f"no image in {str(given)!r} could be predicted: 2 files could not be read, listed in " in str(error.value)
        assert "out-unreadable.csv; the first is 'a.png': not an image of a supported format" in str(error.value)
        assert [row["path"] for row in read(tmp_path / "out-unreadable.csv")] == ["a.png", "b.png"]
        assert not (tmp_path / "out.csv").exists()

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("cut.png", "cut.png' could not be predicted: not an image of a supported format"),
            ("cut.HEIC", "cut.HEIC' could not be predicted: not an image of a supported format"),
            ("labels.csv", "labels.csv' is not an image, folder or archive: not an image of a supported format"),
            ("notes", "notes' is not an image, folder or archive: not an image of a supported format"),
        ],
    )
    def test_a_file_that_is_not_an_image(self, name: str, said: str, model: Path, tmp_path: Path) -> None:
        (tmp_path / name).write_text("path,label\n")
        with pytest.raises(InputError, match=said):
            predict(model, tmp_path / name, tmp_path / "out.csv")
        assert [file.name for file in tmp_path.iterdir()] == [name]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("images", "is a folder; give the name of a file that ends in .csv"),
            ("images/000.png", "does not end in .csv; give the name of a file that does"),
            ("nowhere/out.csv", "folder '.*nowhere' does not exist"),
        ],
    )
    def test_an_output_that_cannot_be_written(self, name: str, said: str, model: Path, folder: Path, tmp_path: Path) -> None:
        before = (folder / "000.png").read_bytes()
        with pytest.raises(InputError, match=said):
            predict(model, folder, tmp_path / name)
        assert (folder / "000.png").read_bytes() == before

    @pytest.mark.parametrize("batch", [0, -1, 4_097])
    def test_a_batch_out_of_bounds(self, batch: int, model: Path, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=rf"^batch {batch} was given; allowed are 1 to 4096$"):
            predict(model, folder, tmp_path / "out.csv", batch=batch)

    def test_missing_images(self, model: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"nothing' does not exist; give an image, a folder or an archive$"):
            predict(model, tmp_path / "nothing", tmp_path / "out.csv")
        (tmp_path / "empty" / "deep").mkdir(parents=True)
        (tmp_path / "empty" / "notes.txt").write_text("")
        with pytest.raises(InputError, match=r"empty' contains no images; images are recognized by their suffix"):
            predict(model, tmp_path / "empty", tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()


class TestCommands:
    def call(self, *words: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.split())

    def test_predict_writes_a_table_and_reports_its_speed(self, model: Path, folder: Path, tmp_path: Path) -> None:
        code, said = self.call("predict", model, folder, "-o", tmp_path / "out.csv", "--batch", 16)
        assert code == 0
        assert f"{NUMBER} images predicted in" in said
        assert "images per second)" in said
        assert len(read(tmp_path / "out.csv")) == NUMBER

    def test_predicting_nothing_exits_with_two(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "cut.png").write_bytes(b"")
        code, said = self.call("predict", model, tmp_path / "cut.png", "-o", tmp_path / "out.csv")
        assert code == 2
        assert said.endswith("cut.png' could not be predicted: empty: zero bytes")

    def test_onnx_writes_a_file_and_prints_its_path(self, model: Path, tmp_path: Path) -> None:
        assert self.call("onnx", model, "-o", tmp_path / "m.onnx") == (0, str(tmp_path / "m.onnx"))
        assert (tmp_path / "m.onnx").stat().st_size > 1_000

    @pytest.mark.parametrize("command", ["predict", "onnx"])
    def test_an_error_exits_with_two_and_one_sentence(self, command: str, folder: Path, tmp_path: Path) -> None:
        images, output = ([folder], "out.csv") if command == "predict" else ([], "m.onnx")
        code, said = self.call(command, tmp_path, *images, "-o", tmp_path / output)
        assert code == 2
        assert "imagestudy: no model in" in said
        assert "model.json is missing" in said
        assert not (tmp_path / output).exists()
