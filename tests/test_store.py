"""A run is in the store whole or not at all, belongs to one process at a time, and comes back as it was written."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from imagestudy.core.specs import Choice, ModelSpec, RunSpec
from imagestudy.experiments import codec
from imagestudy.experiments import store as store_module
from imagestudy.experiments.codec import pack, round_log_probabilities, unpack
from imagestudy.experiments.records import Failure, Record
from imagestudy.experiments.store import RunStore


def spec(seed: int = 0) -> RunSpec:
    return RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name="mlp"), seed=seed)


def record(seed: int = 0) -> Record:
    rng = np.random.default_rng(seed)
    arrays = {
        "test": round_log_probabilities(np.log(rng.dirichlet(np.ones(10), 50))),
        "curve": rng.random((20, 4)).astype(np.float32),
    }
    facts = {"counts": [3, 1], "tau": 0.5, "options": {"C": 1.0}}
    return Record(spec(seed), {"accuracy": 0.1 + seed}, {"accuracy": 1 / 3}, {"seconds": 0.25}, facts, arrays)


def same(one: Record, other: Record) -> bool:
    plain = all(getattr(one, k) == getattr(other, k) for k in ("spec", "scores", "validation", "cost", "facts"))
    arrays = one.arrays.keys() == other.arrays.keys() and all(
        a.dtype == other.arrays[k].dtype and np.array_equal(a, other.arrays[k]) for k, a in one.arrays.items()
    )
    return plain and arrays


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "deep" / "runs.sqlite")


def in_another_process(code: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run code that finds a store as `store`, runs by `spec(seed)`, and this file's `record`."""
    head = f"import os, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_store import *\n"
    head += "store = RunStore(Path(sys.argv[1]))\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class TestReadingAndWriting:
    def test_a_record_comes_back_as_it_was_written(self, store: RunStore) -> None:
        written = record()
        store.write(written)
        (loaded,) = store.load([written.spec.run_id]).values()
        assert same(loaded, written)
        assert store.status() == {written.spec.run_id: "done"}

    def test_only_what_is_asked_for_is_loaded(self, store: RunStore) -> None:
        for seed in range(3):
            store.write(record(seed))
        assert set(store.load([spec(1).run_id, "no such run"])) == {spec(1).run_id}
        assert store.load([]) == {}

    def test_another_write_replaces_the_first(self, store: RunStore) -> None:
        store.write(Failure(spec(), "no luck"))
        store.write(record())
        assert store.status() == {spec().run_id: "done"}
        assert store.failures() == {}

    def test_a_failure_is_recorded_with_its_reason(self, store: RunStore) -> None:
        store.write(Failure(spec(), "DivergedError: the loss was nan"))
        assert store.status() == {spec().run_id: "failed"}
        assert store.failures() == {spec().run_id: Failure(spec(), "DivergedError: the loss was nan")}
        assert store.load([spec().run_id]) == {}
        assert str(store.failures()[spec().run_id]) == f"{spec().run_id} {spec().key()}: DivergedError: the loss was nan"

    def test_a_forgotten_run_leaves_nothing_and_is_free_again(self, store: RunStore) -> None:
        for seed in range(2):
            store.write(record(seed))
        store.forget([spec(0).run_id])
        assert store.status() == {spec(1).run_id: "done"}
        assert store.load_arrays(spec(0).run_id) == {}
        assert store.load_arrays(spec(1).run_id).keys() == {"test", "curve"}
        assert store.claim([spec(0), spec(1)]) == [spec(0)]

    def test_shared_arrays_are_kept_under_their_key(self, store: RunStore) -> None:
        labels = np.arange(5)
        store.write_arrays("labels", {"test": labels, "validation": labels[:2]})
        assert {k: v.tolist() for k, v in store.load_arrays("labels").items()} == {"test": [0, 1, 2, 3, 4], "validation": [0, 1]}
        assert store.load_arrays("others") == {}

    def test_a_store_that_is_not_there_is_empty_and_stays_away(self, store: RunStore) -> None:
        assert (store.status(), store.load(["x"]), store.load_arrays("x"), store.failures()) == ({}, {}, {}, {})
        assert not store.file.parent.exists()


class TestArrays:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_])
    @pytest.mark.parametrize("shape", [(0,), (0, 4), (), (1,), (7, 3), (2, 3, 5)])
    def test_packing_and_unpacking_change_nothing(self, dtype: type, shape: tuple[int, ...]) -> None:
        array = np.asarray(np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
        back = unpack(*pack(array))
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back, array)

    def test_an_array_in_another_memory_order_is_packed_by_value(self) -> None:
        array = np.arange(12.0).reshape(3, 4)
        np.testing.assert_array_equal(unpack(*pack(array.T)), array.T)
        np.testing.assert_array_equal(unpack(*pack(array[::2, ::-1])), array[::2, ::-1])

    def test_an_array_of_objects_is_never_written(self, store: RunStore) -> None:
        with pytest.raises(TypeError, match="Python objects"):
            store.write_arrays("bad", {"objects": np.array([{}, None], dtype=object)})
        assert store.load_arrays("bad") == {}

    def test_an_array_of_objects_is_never_read(self, store: RunStore) -> None:
        store.write_arrays("good", {"numbers": np.arange(2)})
        with closing(sqlite3.connect(store.file)) as connection:
            connection.execute("UPDATE arrays SET dtype = '|O'")
            connection.commit()
        with pytest.raises((TypeError, ValueError)):
            store.load_arrays("good")


def draw_said() -> np.ndarray:
    """Log-probabilities of ten classes, from nearly certain to nearly even."""
    rng = np.random.default_rng(0)
    return np.log(np.concatenate([rng.dirichlet(np.full(10, share), 2_000) for share in (0.01, 0.1, 1.0, 10.0)]) + 1e-300)


class TestRounding:
    SAID = draw_said()

    def test_the_root_of_a_probability_moves_by_at_most_half_a_step(self) -> None:
        moved = np.abs(np.exp(round_log_probabilities(self.SAID).astype(np.float64) / 2) - np.exp(self.SAID / 2))
        best = np.eye(10, dtype=bool)[self.SAID.argmax(axis=1)]
        assert moved[best].max() <= 0.5 / 128 + 2e-4
        untied = np.sort(self.SAID, axis=1)[:, -2] < np.log((np.exp(self.SAID.max(axis=1) / 2) - 1 / 128).clip(1e-9)) * 2
        assert untied.mean() > 0.9
        assert moved[untied].max() <= 0.5 / 128 + 2e-4
        assert moved.max() <= 1.5 / 128 + 2e-4

    def test_values_end_at_a_quarter_of_a_step_and_at_0(self) -> None:
        ends = round_log_probabilities(np.array([[-np.inf, -1e9, -14.0, 1e-12]]))
        assert ends.dtype == np.float16
        lowest = np.float16(2 * np.log(0.25 / 128))
        assert ends.tolist() == [[lowest, lowest, lowest, 0.0]]

    def test_order_is_kept_and_the_best_has_no_equal(self) -> None:
        order = np.argsort(self.SAID, axis=1)
        rounded = np.take_along_axis(round_log_probabilities(self.SAID), order, axis=1).astype(np.float64)
        steps = np.diff(rounded, axis=1)
        assert (steps >= 0).all()
        assert (steps[:, -1] > 0).all()

    def test_two_that_are_nearly_equal_do_not_change_places(self) -> None:
        nearly = np.log(np.array([[0.4999, 0.5001], [0.5001, 0.4999]]))
        assert round_log_probabilities(nearly).argmax(axis=1).tolist() == [1, 0]

    def test_rounding_again_changes_nothing(self) -> None:
        once = round_log_probabilities(self.SAID)
        np.testing.assert_array_equal(round_log_probabilities(once.astype(np.float64)), once)

    def test_a_rounded_log_probability_takes_less_than_a_byte(self) -> None:
        kind, _, packed = pack(round_log_probabilities(self.SAID))
        assert kind == "level"
        assert len(packed) < self.SAID.size


class TestWholeOrNotAtAll:
    def test_a_process_that_dies_in_the_middle_of_a_write_leaves_nothing(self, store: RunStore) -> None:
        store.write(record(1))
        died = in_another_process(
            "store._put_arrays = lambda *_: os._exit(7)\nassert store.claim([spec(0)])\nstore.write(record(0))", store.file
        )
        assert died.returncode == 7, died.stderr
        assert store.status() == {spec(0).run_id: "claimed", spec(1).run_id: "done"}
        assert store.load([spec(0).run_id]) == {}
        assert store.load_arrays(spec(0).run_id) == {}
        assert store.claim([spec(0)]) == [spec(0)]

    def test_an_error_in_the_middle_of_a_write_leaves_nothing(self, store: RunStore) -> None:
        broken = record(0)
        broken.arrays["zz"] = np.array([object()])
        with pytest.raises(TypeError, match="Python objects"):
            store.write(broken)
        assert store.status() == {}
        assert store.load_arrays(spec(0).run_id) == {}

    def test_a_record_that_is_no_plain_data_is_refused_whole(self, store: RunStore) -> None:
        with pytest.raises(TypeError):
            store.write(Record(spec(), {"accuracy": object()}, {}, {}, {}))  # type: ignore[dict-item]
        assert store.status() == {}


class TestClaims:
    def test_a_claim_is_given_once(self, store: RunStore) -> None:
        assert store.claim([spec(0), spec(1)]) == [spec(0), spec(1)]
        assert store.claim([spec(0), spec(1), spec(2)]) == [spec(2)]

    def test_done_and_failed_runs_are_not_claimed(self, store: RunStore) -> None:
        store.write(record(0))
        store.write(Failure(spec(1), "no luck"))
        assert store.claim([spec(0), spec(1), spec(2)]) == [spec(2)]

    def test_two_living_processes_never_hold_the_same_run(self, store: RunStore) -> None:
        code = "print(*sorted(s.seed for s in store.claim([spec(i) for i in range(5)]))); sys.stdout.flush(); sys.stdin.read()"
        head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_store import *\n"
        command = [sys.executable, "-c", head + "store = RunStore(Path(sys.argv[1]))\n" + code, str(store.file)]
        others = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        try:
            held = [other.stdout.readline().split() for other in others]  # type: ignore[union-attr]
            assert sorted(seed for seeds in held for seed in seeds) == ["0", "1", "2", "3", "4"]
            assert store.claim([spec(i) for i in range(6)]) == [spec(5)]
        finally:
            for other in others:
                other.communicate()
        assert len(store.claim([spec(i) for i in range(5)])) == 5

    def test_the_claim_of_a_dead_process_is_free_at_once(self, store: RunStore) -> None:
        died = in_another_process("store.claim([spec(0)]); os._exit(7)", store.file)
        assert died.returncode == 7, died.stderr
        assert store.status() == {spec(0).run_id: "claimed"}
        assert store.claim([spec(0)]) == [spec(0)]

    def test_a_claim_from_another_machine_is_free_once_its_heart_has_stopped(self, store: RunStore) -> None:
        store.owner = "elsewhere:1"
        assert store.claim([spec(0)]) == [spec(0)]
        here = RunStore(store.file)
        assert here.claim([spec(0)]) == []
        with closing(sqlite3.connect(store.file)) as connection:
            connection.execute("UPDATE runs SET beat = beat - ?", (store_module.STALE_SECONDS + 1,))
            connection.commit()
        assert here.claim([spec(0)]) == [spec(0)]

    def test_the_heart_beats_while_claims_are_kept(self, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def beat() -> float:
            with closing(sqlite3.connect(store.file)) as connection:
                return connection.execute("SELECT beat FROM runs").fetchone()[0]

        monkeypatch.setattr(store_module, "BEAT_SECONDS", 0.02)
        with store.keeping_claims():
            store.claim([spec(0)])
            first, patience = beat(), time.monotonic() + 10
            while beat() == first:
                assert time.monotonic() < patience
                time.sleep(0.02)

    def test_what_is_left_unfinished_is_released(self, store: RunStore) -> None:
        def be_interrupted() -> None:
            with store.keeping_claims():
                store.claim([spec(0), spec(1)])
                store.write(record(0))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            be_interrupted()
        assert store.status() == {spec(0).run_id: "done"}

    def test_the_claims_of_others_are_not_released(self, store: RunStore) -> None:
        other = RunStore(store.file)
        other.owner = "elsewhere:1"
        other.claim([spec(0)])
        with store.keeping_claims():
            store.claim([spec(1)])
        assert store.status() == {spec(0).run_id: "claimed"}


KEPT = {spec(0).run_id: tuple(record(0).arrays), spec(1).run_id: ("test",), "labels": ("test",)}


class TestCopy:
    @pytest.fixture
    def copied(self, store: RunStore, tmp_path: Path) -> RunStore:
        for seed in range(4):
            store.write(record(seed))
        store.write(Failure(spec(8), "no luck"))
        store.claim([spec(9)])
        store.write_arrays("labels", {"test": np.arange(3)})
        store.write_arrays("other labels", {"test": np.arange(3)})
        target = tmp_path / "published" / "runs.sqlite"
        store.copy_to(target, [spec(seed).run_id for seed in (0, 1, 8)], KEPT)
        return RunStore(target, read_only=True)

    def test_the_copy_holds_what_was_asked_for_and_nothing_else(self, copied: RunStore) -> None:
        assert copied.status() == {spec(0).run_id: "done", spec(1).run_id: "done", spec(8).run_id: "failed"}
        loaded = copied.load([spec(seed).run_id for seed in range(4)])
        assert loaded.keys() == {spec(0).run_id, spec(1).run_id}
        assert same(loaded[spec(0).run_id], record(0))
        assert loaded[spec(1).run_id].scores == record(1).scores
        assert loaded[spec(1).run_id].arrays.keys() == {"test"}
        assert copied.load_arrays("labels").keys() == {"test"}
        assert copied.load_arrays("other labels") == {}
        assert copied.load_arrays(spec(2).run_id) == {}

    def test_reading_changes_no_byte_of_a_copy_and_leaves_no_file_beside_it(self, copied: RunStore) -> None:
        before = {file.name: file.read_bytes() for file in copied.file.parent.iterdir()}
        assert set(before) == {"runs.sqlite", "predictions.npz"}
        for reader in (copied, RunStore(copied.file)):
            reader.read(reader.status())
            reader.failures()
            reader.load_arrays("labels")
        assert {file.name: file.read_bytes() for file in copied.file.parent.iterdir()} == before
        with closing(sqlite3.connect(f"{copied.file.as_uri()}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def test_the_copy_is_the_same_bytes_each_time(self, store: RunStore, copied: RunStore, tmp_path: Path) -> None:
        again = tmp_path / "again.sqlite"
        store.copy_to(again, [spec(seed).run_id for seed in (8, 1, 0)], KEPT)
        assert again.read_bytes() == copied.file.read_bytes()

    def test_a_new_copy_takes_the_place_of_an_older_one(self, store: RunStore, copied: RunStore) -> None:
        store.copy_to(copied.file, [spec(2).run_id], {})
        assert copied.status() == {spec(2).run_id: "done"}

    def test_a_read_only_store_refuses_every_write(self, copied: RunStore) -> None:
        before = copied.file.read_bytes()
        for write in (
            lambda: copied.write(record(5)),
            lambda: copied.write_arrays("x", {"y": np.arange(2)}),
            lambda: copied.claim([spec(5)]),
            lambda: copied.forget([spec(0).run_id]),
        ):
            with pytest.raises(PermissionError, match="for reading only"):
                write()
        assert copied.file.read_bytes() == before

    def test_predictions_are_read_in_numpy_and_come_back_bit_for_bit(self, store: RunStore, tmp_path: Path) -> None:
        rounded = {part: round_log_probabilities(draw_said()) for part in ("test", "validation")}
        store.write(Record(spec(), {}, {}, {}, {}, rounded | {"curve": np.arange(3.0)}))
        store.copy_to(target := tmp_path / "public" / "runs.sqlite", [spec().run_id])
        with np.load(target.with_name("predictions.npz")) as members:
            assert set(members.files) == {f"{spec().run_id}.test", f"{spec().run_id}.validation"}
            roots = members[f"{spec().run_id}.test"].astype(float) / 128
        np.testing.assert_allclose(roots, np.exp(rounded["test"].astype(float) / 2), atol=0.003)
        again = tmp_path / "again" / "runs.sqlite"
        RunStore(target).copy_to(again, [spec().run_id])
        for file in (target, again):
            (loaded,) = RunStore(file).read([spec().run_id])
            assert loaded.arrays.keys() == {"test", "validation", "curve"}
            assert all(np.array_equal(loaded.arrays[part], rounded[part]) for part in rounded)
        assert again.read_bytes() == target.read_bytes()
        assert again.with_name("predictions.npz").read_bytes() == target.with_name("predictions.npz").read_bytes()

    def test_predictions_with_python_objects_are_never_read(self, store: RunStore, tmp_path: Path) -> None:
        store.write(record())
        store.copy_to(target := tmp_path / "public" / "runs.sqlite", [spec().run_id], {})
        np.savez(target.with_name("predictions.npz"), **{f"{spec().run_id}.test": np.array([{}, None], dtype=object)})
        with pytest.raises(ValueError, match="allow_pickle"):
            RunStore(target).load([spec().run_id])


def test_stores_of_older_versions_are_read(store: RunStore) -> None:
    """They kept specs and records as plain text, and later as raw deflate with a dictionary."""
    for seed in range(2):
        store.write(record(seed))
    with closing(sqlite3.connect(store.file)) as connection:
        for seed, form in enumerate((str, squeeze_as_before)):
            run_id = spec(seed).run_id
            found = connection.execute("SELECT spec, record FROM runs WHERE run_id = ?", [run_id]).fetchone()
            old = [form(zlib.decompress(packed).decode()) for packed in found]
            connection.execute("UPDATE runs SET spec = ?, record = ? WHERE run_id = ?", [*old, run_id])
        connection.commit()
    loaded = store.load([spec(seed).run_id for seed in range(2)])
    assert all(same(loaded[spec(seed).run_id], record(seed)) for seed in range(2))


def squeeze_as_before(text: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=codec._OLD_PHRASES)
    return packer.compress(text.encode()) + packer.flush()


def test_specs_and_records_are_json_under_plain_zlib(store: RunStore) -> None:
    store.write(record())
    with closing(sqlite3.connect(store.file)) as connection:
        ((packed, kept),) = connection.execute("SELECT spec, record FROM runs").fetchall()
    assert zlib.decompress(packed).decode() == spec().key()
    assert json.loads(zlib.decompress(kept))["scores"] == record().scores


def test_a_reader_never_sees_a_store_without_its_tables(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = os.link
    seen: list[object] = []
    monkeypatch.setattr(os, "link", lambda *paths: (seen.append((store.file.exists(), store.status())), linked(*paths)))
    store.write(record())
    assert seen == [(False, {})]
    assert [file.name for file in store.file.parent.iterdir() if file.name.startswith(".")] == []
    other = RunStore(store.file)
    other._create()
    assert other.status() == {spec().run_id: "done"}


def test_a_store_is_created_on_a_file_system_without_hard_links(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store.write(record())
    store._create()
    assert store.status() == {spec().run_id: "done"}
    assert [file.name for file in store.file.parent.iterdir() if file.name.startswith(".")] == []


def test_a_relative_path_opens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    RunStore(Path("runs.sqlite")).write(record())
    assert RunStore(Path("runs.sqlite"), read_only=True).status() == {spec().run_id: "done"}


def test_no_pickle_is_allowed_in_the_module() -> None:
    text = Path(store_module.__file__).read_text(encoding="utf-8")
    assert text.count("pickle") == text.count("allow_pickle=False") == 1


def test_a_path_with_odd_characters_serves(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "100% sure? #1" / "runs.sqlite")
    store.write(record())
    assert store.file.is_file()
    assert len(store.load([spec().run_id])) == 1
