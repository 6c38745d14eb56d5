"""The run store: one SQLite file, two tables, and no half-written run in it at any moment.

A run is *claimed* before it is trained, so that two processes never train the same one, and appears with its record and
arrays in one transaction. A claim whose owner has died is free again.
"""

import json
import lzma
import os
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float16

from imagestudy.specs import RunSpec

STALE_SECONDS = 60.0
BEAT_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, spec BLOB NOT NULL, status TEXT NOT NULL CHECK (status IN ('claimed', 'done', 'failed')),
    owner TEXT, beat REAL, record BLOB, reason TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrays (
    key TEXT NOT NULL, name TEXT NOT NULL, dtype TEXT NOT NULL, shape TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (key, name))
    WITHOUT ROWID;
"""
_PHRASES = (
    b'{"dataset":{"name":"digits"},"draw":10,"init":10,"kind":"trial","model":{"name":"resnet","params":40000},"order":10,"profile":'
    b'{"name":"exponential","ratio":50.0},"remedy":{"name":"balanced_sampler","version":2},"seed":1,"training":{"version":2}}'
    b'{"scores":{"balanced_accuracy":0.9,"accuracy":0.9,"macro_f1":0.9,"g_mean":0.9,"worst_class":0.8,"head":0.99,"middle":0.9,'
    b'"tail":0.8,"average_precision_rare":0.9,"ece":0.0,"brier":0.1,"nll":0.2},"validation":{"balanced_accuracy":0.9,"accuracy":0.9,'
    b'"macro_f1":0.9,"nll":0.3},"cost":{"seconds":1.0,"images_seen":40000},"facts":{"counts":[95,61,39,25,16,10,6,4,2,1],'
    b'"train_accuracy":1.0,"temperature":1.0}}'
)
"""What specs and records mostly consist of: with it as the preset dictionary of zlib a record takes a fifth of its length."""


@dataclass(frozen=True)
class Record:
    """What is kept of one finished run.

    Args:
        spec: what was run.
        scores: score name → value on the test images; empty for a trial.
        validation: the same on the validation images.
        cost: seconds, images seen, parameters, and what else was measured.
        facts: class counts of the training set, what was chosen, accuracy on the training images.
        arrays: `test` and `validation` log-probabilities (float16), the training `curve`, and `missed`: by how many classes,
            counted round, the decision on each test image is off, 0 where it is right. A derived run stores the last alone.
    """

    spec: RunSpec
    scores: dict[str, float]
    validation: dict[str, float]
    cost: dict[str, float]
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A run that did not finish, and why."""

    spec: RunSpec
    reason: str

    def __str__(self) -> str:
        return f"{self.spec.run_id} {self.spec.key()}: {self.reason}"


ROOT_STEPS = 128
FLOOR = 0.25
LEVELS = (2 * np.log(np.concatenate(([FLOOR], np.arange(1, ROOT_STEPS + 1))) / ROOT_STEPS)).astype(np.float16)
"""The log-probabilities that are stored: √p in steps of 1/128, the lowest at a quarter of a step."""
CODE = "level"


def round_log_probabilities(log_probabilities: Float[np.ndarray, "n class"]) -> Float16[np.ndarray, "n class"]:
    """Log-probabilities as they are stored: the nearest of 129 levels that are equally far apart in √p.

    √p is the scale on which a probability is equally sure everywhere (it stabilises the variance of a share; distances on it are
    Hellinger's): p moves by at most √p/128 and a bit, by 0.008 near 1 and 0.0003 near 0.001, and values end at −12.5. The most
    likely class stays the only most likely one: what would tie with it goes one level down. Rounding again changes nothing.
    All recorded scores are computed from these values, so that they follow from the store.
    """
    level = np.rint(ROOT_STEPS * np.exp(np.minimum(log_probabilities, 0.0).astype(np.float64) / 2)).astype(np.int64)
    rows, best = np.arange(len(level)), log_probabilities.argmax(axis=1)
    top = np.maximum(level[rows, best], 1)
    level = np.minimum(level, top[:, None] - 1)
    level[rows, best] = top
    return LEVELS[level]


def _pack(array: np.ndarray) -> tuple[str, str, bytes]:
    """Type, shape and compressed bytes. Rounded log-probabilities take one byte each, the number of their level."""
    if array.dtype.hasobject:
        raise TypeError("an array of Python objects cannot be stored")
    shape = json.dumps(array.shape)
    if array.dtype == np.float16:
        level = np.minimum(np.searchsorted(LEVELS, array), ROOT_STEPS)
        if np.array_equal(LEVELS[level], array):
            return CODE, shape, _squeeze(level.astype(np.uint8))
    return array.dtype.str, shape, _squeeze(array)


def _unpack(dtype: str, shape: str, packed: bytes) -> np.ndarray:
    if dtype == CODE:
        return LEVELS[_expand(packed, np.dtype(np.uint8)).reshape(json.loads(shape))]
    return _expand(packed, np.dtype(dtype)).reshape(json.loads(shape))


def _squeeze_text(text: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_PHRASES)
    return packer.compress(text.encode()) + packer.flush()


def _expand_text(packed: bytes | str) -> str:
    """What was packed; stores of earlier versions hold plain text."""
    if isinstance(packed, str):
        return packed
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=_PHRASES).decompress(packed).decode()


_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 2**20, "lc": 0, "lp": 0, "pb": 0}]
"""Raw LZMA that looks for no context: the bytes are independent samples of a few levels."""


def _squeeze(array: np.ndarray) -> bytes:
    planes = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8).reshape(-1, array.dtype.itemsize).T
    return lzma.compress(planes.tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def _expand(packed: bytes, dtype: np.dtype) -> np.ndarray:
    planes = np.frombuffer(lzma.decompress(packed, format=lzma.FORMAT_RAW, filters=_FILTERS), np.uint8)
    return np.frombuffer(planes.reshape(dtype.itemsize, -1).T.tobytes(), dtype)


def _read_spec(packed: bytes) -> RunSpec:
    return RunSpec.model_validate_json(_expand_text(packed))


def _owner_lives(owner: str, beat: float) -> bool:
    host, _, process = owner.partition(":")
    if time.time() - beat > STALE_SECONDS:
        return False
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class RunStore:
    """The store in one file; made when it is first written to.

    Args:
        file: where the store is.
        read_only: raise on every attempt to write.
    """

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        self.file = file
        self.read_only = read_only
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.read_only:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        target = f"{self.file.as_uri()}?mode={'ro' if self.read_only else 'rwc'}"
        with closing(sqlite3.connect(target, uri=True, timeout=60, isolation_level=None)) as connection:
            if not self.read_only:
                # Of a new store; in SQLite's usual pages of 4 KiB every small array takes a whole one.
                connection.execute("PRAGMA page_size = 16384")
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.executescript(_SCHEMA)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def status(self) -> dict[str, str]:
        """Run id → claimed, done or failed, of all runs in the store."""
        if not self.file.exists():
            return {}
        with self._open() as connection:
            return dict(connection.execute("SELECT run_id, status FROM runs"))

    def claim(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """Claim those runs that are not in the store or whose claimant has died; return them, now this process's own."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT run_id, status, owner, beat FROM runs WHERE status = 'claimed'").fetchall()
            dead = [run_id for run_id, _, owner, beat in rows if not _owner_lives(owner, beat)]
            connection.executemany("DELETE FROM runs WHERE run_id = ?", [(run_id,) for run_id in dead])
            known = {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}
            mine = [spec for spec in specs if spec.run_id not in known]
            connection.executemany(
                "INSERT INTO runs (run_id, spec, status, owner, beat) VALUES (?, ?, 'claimed', ?, ?)",
                [(spec.run_id, _squeeze_text(spec.key()), self.owner, time.time()) for spec in mine],
            )
        return mine

    @contextmanager
    def keeping_claims(self) -> Iterator[None]:
        """Keep this process's claims alive inside the block, and release what it leaves unfinished."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(BEAT_SECONDS):
                with self._transaction() as connection:
                    connection.execute("UPDATE runs SET beat = ? WHERE owner = ? AND status = 'claimed'", (time.time(), self.owner))

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            with self._transaction() as connection:
                connection.execute("DELETE FROM runs WHERE owner = ? AND status = 'claimed'", (self.owner,))

    def write(self, outcome: Record | Failure) -> None:
        """Write a finished or failed run whole, in one transaction."""
        run_id, spec = outcome.spec.run_id, _squeeze_text(outcome.spec.key())
        with self._transaction() as connection:
            if isinstance(outcome, Failure):
                self._put(connection, run_id, spec, "failed", None, outcome.reason)
                return
            record = {k: getattr(outcome, k) for k in ("scores", "validation", "cost", "facts")}
            self._put(connection, run_id, spec, "done", _squeeze_text(json.dumps(record, separators=(",", ":"))), None)
            self._put_arrays(connection, run_id, outcome.arrays)

    def write_arrays(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep arrays that many runs share, such as the labels of the test images."""
        with self._transaction() as connection:
            self._put_arrays(connection, key, arrays)

    @staticmethod
    def _put(
        connection: sqlite3.Connection, run_id: str, spec: bytes, status: str, record: bytes | None, reason: str | None
    ) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO runs (run_id, spec, status, record, reason) VALUES (?, ?, ?, ?, ?)",
            (run_id, spec, status, record, reason),
        )

    @staticmethod
    def _put_arrays(connection: sqlite3.Connection, key: str, arrays: dict[str, np.ndarray]) -> None:
        rows = [(key, name, *_pack(array)) for name, array in arrays.items()]
        connection.executemany("INSERT OR REPLACE INTO arrays (key, name, dtype, shape, bytes) VALUES (?, ?, ?, ?, ?)", rows)

    def load(self, run_ids: Iterable[str]) -> dict[str, Record]:
        """The finished runs among the given ones, with their arrays."""
        if not self.file.exists():
            return {}
        wanted = (json.dumps(list(run_ids)),)
        among = "IN (SELECT value FROM json_each(?))"
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT run_id, spec, record FROM runs WHERE status = 'done' AND run_id {among}", wanted
            ).fetchall()
            arrays: dict[str, dict[str, np.ndarray]] = {}
            for key, name, *packed in connection.execute(
                f"SELECT key, name, dtype, shape, bytes FROM arrays WHERE key {among}", wanted
            ):
                arrays.setdefault(key, {})[name] = _unpack(*packed)
        return {
            run_id: Record(spec=_read_spec(spec), arrays=arrays.get(run_id, {}), **json.loads(_expand_text(record)))
            for run_id, spec, record in rows
        }

    def load_arrays(self, key: str) -> dict[str, np.ndarray]:
        """Arrays that many runs share; empty if there are none under this key."""
        if not self.file.exists():
            return {}
        with self._open() as connection:
            rows = connection.execute("SELECT name, dtype, shape, bytes FROM arrays WHERE key = ?", (key,)).fetchall()
        return {name: _unpack(*packed) for name, *packed in rows}

    def failures(self) -> dict[str, Failure]:
        """Run id → failure, of all failed runs."""
        if not self.file.exists():
            return {}
        with self._open() as connection:
            rows = connection.execute("SELECT run_id, spec, reason FROM runs WHERE status = 'failed'").fetchall()
        return {run_id: Failure(_read_spec(spec), reason) for run_id, spec, reason in rows}

    def forget(self, run_ids: Iterable[str]) -> None:
        """Remove runs and their arrays, so that they are trained anew when next asked for."""
        with self._transaction() as connection:
            rows = [(run_id,) for run_id in run_ids]
            connection.executemany("DELETE FROM runs WHERE run_id = ?", rows)
            connection.executemany("DELETE FROM arrays WHERE key = ?", rows)

    def copy_to(self, target: Path, run_ids: Iterable[str], arrays: Mapping[str, Collection[str]]) -> None:
        """Copy runs and arrays into a compact new store, in place of an older one.

        Args:
            target: file of the new store.
            run_ids: the runs.
            arrays: names of the arrays that are copied, by run id or shared key.
        """
        wanted = set(run_ids)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with self._open() as connection, closing(sqlite3.connect(fresh)) as copy:
            copy.execute("PRAGMA page_size = 65536")
            copy.executescript(_SCHEMA)
            for row in connection.execute("SELECT run_id, spec, status, record, reason FROM runs ORDER BY run_id"):
                if row[0] in wanted:
                    copy.execute("INSERT INTO runs (run_id, spec, status, record, reason) VALUES (?, ?, ?, ?, ?)", row)
            for row in connection.execute("SELECT key, name, dtype, shape, bytes FROM arrays ORDER BY key, name"):
                if row[1] in arrays.get(row[0], ()):
                    copy.execute("INSERT INTO arrays VALUES (?, ?, ?, ?, ?)", row)
            copy.commit()
            copy.execute("VACUUM")
        fresh.replace(target)
