"""Images that are too large for memory stay on disk, and training on them gives exactly the same result."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.data import arrays, datasets, prepared
from imagestudy.data.arrays import gather
from imagestudy.data.datasets import Dataset
from imagestudy.training import make_learner

LARGE = Choice(name="folder", options={"content": "large"})
FLIP = PreprocessingSpec(augment=(Choice(name="flip", options={"direction": "horizontal"}),))
LIMITED = """
import json, re, resource, sys
import test_data_gathering as own
from imagestudy.data import arrays

own.open_set(sys.argv[1])
arrays.MOST_IN_MEMORY = 2**20
own.train("perceptron", images_seen=64)  # what is loaded late
used = 1024 * int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1])
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[2]),) * 2)
own.train("perceptron", images_seen=640)
arrays.MOST_IN_MEMORY = 2**40
try:
    own.train("perceptron", images_seen=640)
except (MemoryError, RuntimeError) as error:
    print(json.dumps({"in memory": str(error).lower()}))
"""


def forget() -> None:
    prepared._kept.cache_clear()
    prepared._kept_on_disk.cache_clear()


def write_set(file: Path, *, images: int, side: int) -> Path:
    rng = np.random.default_rng(0)
    made = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(images, side, side, 3))
    for start in range(0, images, 1_000):
        made[start : start + 1_000] = rng.integers(0, 256, made[start : start + 1_000].shape, dtype=np.uint8)
    made.flush()
    return file


def open_set(file: Path | str) -> None:
    """Register the images as if they came from the cache of a folder, in three classes."""
    images = np.load(file, mmap_mode="c", allow_pickle=False)
    labels, classes = np.arange(len(images)) % 3, ("a", "b", "c")
    datasets._loaded[LARGE.key()] = Dataset(images, labels, classes, part=None, flips=("horizontal",))


def train(model: str, *, images_seen: int) -> tuple[int, bool, list[bytes]]:
    """Train, validate and test; return the size of the training images in bytes, whether they are on disk, and all results."""
    spec = RunSpec(
        dataset=LARGE,
        model=ModelSpec(name=model),
        profile=ProfileSpec(name="natural"),
        preprocessing=FLIP,
        remedy=Choice(name="mixup_drw"),
        training=TrainingSpec(images_seen=images_seen),
        split=0,
    )
    given = data.prepare(spec)
    watch = (given.validation.images, given.validation.labels)
    learner = make_learner(spec, classes=3, flips=given.flips, watch=watch, points=2)
    learner.fit(given.train.images, given.train.labels)
    predicted = learner.predict_log_proba(data.test_part(spec).images)
    weights = [value.numpy().tobytes() for value in learner.network.state_dict().values()]
    images = given.train.images
    return images.nbytes, isinstance(images, np.memmap), [*weights, predicted.tobytes(), learner.curve.tobytes()]


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_loaded", {})
    forget()
    open_set(write_set(tmp_path / "small.npy", images=300, side=16))
    yield
    forget()


def test_rows_on_disk_equal_rows_in_memory_and_leave_no_file_behind(monkeypatch, tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (3_000, 4, 5, 3), dtype=np.uint8)
    rows = np.random.default_rng(2).permutation(3_000)[:2_500]
    in_memory = gather(images, rows)
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", in_memory.nbytes - 1)
    on_disk = gather(images, rows)
    assert not isinstance(in_memory, np.memmap)
    assert isinstance(on_disk, np.memmap)
    np.testing.assert_array_equal(on_disk, in_memory)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", in_memory.nbytes)
    assert not isinstance(gather(images, rows), np.memmap)


def test_all_rows_in_order_are_not_copied():
    images = np.zeros((5, 2, 2, 1), dtype=np.uint8)
    assert gather(images, np.arange(5)) is images
    assert gather(images, np.arange(4)).base is not images
    assert gather(images, np.arange(5)[::-1]) is not images


def test_a_disk_that_cannot_be_written_to_is_an_input_error(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path))
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 1)
    with pytest.raises(InputError, match=r"cannot be written to.*IMAGESTUDY_DATA"):
        gather(np.zeros((5, 2, 2, 1), dtype=np.uint8), np.array([1]))


@pytest.mark.usefixtures("small_set")
@pytest.mark.parametrize(
    "given",
    [
        PreprocessingSpec(noise=Choice(name="gaussian")),
        PreprocessingSpec(noise=Choice(name="shot")),
        PreprocessingSpec(noise=Choice(name="impulse"), steps=(Choice(name="median"), Choice(name="total_variation"))),
        PreprocessingSpec(steps=(Choice(name="clahe"), Choice(name="non_local_means"))),
    ],
    ids=["gaussian", "shot", "impulse, filtered", "steps"],
)
def test_processing_in_blocks_equals_processing_at_once(monkeypatch, given):
    whole = prepared._processed(LARGE, given)
    forget()
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 1)
    monkeypatch.setattr(arrays, "BLOCK", 7)
    blocks = prepared._processed(LARGE, given)
    assert isinstance(blocks, np.memmap)
    np.testing.assert_array_equal(blocks, whole)
    assert not np.array_equal(whole, datasets.load(LARGE).images)


def test_the_majority_class_is_found_without_reading_images_that_exceed_the_memory(tmp_path):
    images = np.memmap(tmp_path / "sparse", dtype=np.uint8, mode="w+", shape=(2_000_000, 256, 256, 3))
    labels = np.arange(len(images)) % 3 // 2
    (tmp_path / "sparse").unlink()
    learner = make_learner(RunSpec(dataset=LARGE, model=ModelSpec(name="majority")), classes=2)
    said = learner.fit(images, labels).predict_proba(images[:2])
    np.testing.assert_allclose(said, [[2 / 3, 1 / 3]] * 2, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.usefixtures("small_set")
def test_keras_gives_exactly_the_same_result_from_disk(tmp_path):
    images, labels = datasets.load(LARGE).images, datasets.load(LARGE).labels
    mapped = np.memmap(tmp_path / "mapped", dtype=np.uint8, mode="w+", shape=images.shape)
    mapped[...] = images
    spec = RunSpec(dataset=LARGE, model=ModelSpec(name="keras_lenet"), training=TrainingSpec(images_seen=640))
    said = [make_learner(spec, classes=3, points=0).fit(one, labels).predict_proba(images) for one in (np.array(images), mapped)]
    np.testing.assert_array_equal(*said)


@pytest.mark.usefixtures("small_set")
@pytest.mark.parametrize("model", ["lenet", "mlp", "bilstm"])
def test_training_from_disk_gives_exactly_the_same_result(monkeypatch, model):
    _, mapped, learned = train(model, images_seen=640)
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 1)
    _, mapped_too, learned_too = train(model, images_seen=640)
    assert (mapped, mapped_too) == (False, True)
    assert learned == learned_too


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process has for itself, mapped files left out")
def test_a_dataset_larger_than_memory_can_be_used_only_from_disk(tmp_path):
    file, room = write_set(tmp_path / "large.npy", images=100_000, side=32), 240 * 2**20
    command = [sys.executable, "-c", LIMITED, str(file), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size > room
    assert "allocate" in json.loads(done.stdout)["in memory"]
