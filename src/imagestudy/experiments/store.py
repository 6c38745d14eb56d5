"""The run store: one SQLite file, two tables, and no half-written run in it at any moment.

A run is *claimed* before it is trained, so that two processes never train the same one, and appears with its record and
arrays in one transaction. A claim whose owner has died is free again.
"""

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from imagestudy.core.specs import RunSpec
from imagestudy.experiments.codec import _expand_text, _pack, _squeeze_text, _unpack
from imagestudy.experiments.records import Failure, Record, Records, labels_key

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

    def read(self, run_ids: Iterable[str]) -> Records:
        """The finished runs among the given ones, in the order of their names, with the labels that they were scored on."""
        loaded = self.load(run_ids := list(run_ids))
        records = tuple(loaded[run_id] for run_id in run_ids if run_id in loaded)
        keys = {labels_key(record.spec.dataset, record.spec.split) for record in records}
        return Records(records, {key: self.load_arrays(key) for key in sorted(keys)})

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
