"""The run store: one SQLite file with two tables. A run is never half written, and reading does not change the file.

A run is *claimed* before it is trained, so that two processes never train the same run. Its record and arrays are written in one
transaction. The claim of a process that has died is free again.
"""

import io
import json
import os
import socket
import sqlite3
import threading
import time
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex

import numpy as np

from imagestudy.core.files import replacing
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.codec import CODE, LEVELS, expand, expand_text, pack, squeeze_text, unpack
from imagestudy.experiments.records import Failure, Record, Records, labels_key

PREDICTIONS = "predictions.npz"
PARTS = ("test", "validation")
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


def _read_spec(packed: bytes | str) -> RunSpec:
    return RunSpec.model_validate_json(expand_text(packed))


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
    """A run store in one file, which is created by the first write.

    Args:
        file: the path of the store.
        read_only: whether every attempt to write raises an error.
    """

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        self.file = file.absolute()
        self.read_only = read_only
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Open a connection that cannot write."""
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True, timeout=60, isolation_level=None)) as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Open a connection to the store, which is created if it does not exist.

        Raises:
            PermissionError: the store was opened for reading only.
        """
        if self.read_only:
            raise PermissionError(f"{self.file} was opened for reading only")
        if not self.file.exists():
            self._create()
        with closing(sqlite3.connect(self.file, timeout=60, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            yield connection

    def _create(self) -> None:
        """Create an empty store in one step, so that no reader sees it without its tables; an existing one stays."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_name(f".{self.file.name}.{token_hex(8)}")
        try:
            with closing(sqlite3.connect(fresh)) as connection:
                # With SQLite's usual pages of 4 KiB, every small array takes a whole page.
                connection.execute("PRAGMA page_size = 16384")
                connection.executescript(_SCHEMA)
            try:
                os.link(fresh, self.file)
            except FileExistsError:
                return
            except OSError:
                # Some file systems have no hard links. A rename is as atomic, but can replace a store that was created meanwhile.
                if not self.file.exists():
                    fresh.rename(self.file)
        finally:
            fresh.unlink(missing_ok=True)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._write() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def status(self) -> dict[str, str]:
        """Return run id → status (claimed, done or failed) for all runs in the store."""
        if not self.file.exists():
            return {}
        with self._read() as connection:
            return dict(connection.execute("SELECT run_id, status FROM runs"))

    def claim(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """Claim the runs that are not in the store or were claimed by a process that has died, and return them."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT run_id, status, owner, beat FROM runs WHERE status = 'claimed'").fetchall()
            dead = [run_id for run_id, _, owner, beat in rows if not _owner_lives(owner, beat)]
            connection.executemany("DELETE FROM runs WHERE run_id = ?", [(run_id,) for run_id in dead])
            known = {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}
            mine = [spec for spec in specs if spec.run_id not in known]
            connection.executemany(
                "INSERT INTO runs (run_id, spec, status, owner, beat) VALUES (?, ?, 'claimed', ?, ?)",
                [(spec.run_id, squeeze_text(spec.key()), self.owner, time.time()) for spec in mine],
            )
        return mine

    @contextmanager
    def keeping_claims(self) -> Iterator[None]:
        """Keep this process's claims alive inside the block, and release the unfinished ones at its end."""
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
        """Write a finished or failed run in one transaction."""
        run_id, spec = outcome.spec.run_id, squeeze_text(outcome.spec.key())
        with self._transaction() as connection:
            if isinstance(outcome, Failure):
                self._put(connection, run_id, spec, "failed", None, outcome.reason)
                return
            record = {k: getattr(outcome, k) for k in ("scores", "validation", "cost", "facts")}
            self._put(connection, run_id, spec, "done", squeeze_text(json.dumps(record, separators=(",", ":"))), None)
            self._put_arrays(connection, run_id, outcome.arrays)

    def write_arrays(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays that many runs share, such as the labels of the test images."""
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
        rows = [(key, name, *pack(array)) for name, array in arrays.items()]
        connection.executemany("INSERT OR REPLACE INTO arrays (key, name, dtype, shape, bytes) VALUES (?, ?, ?, ?, ?)", rows)

    def load(self, run_ids: Iterable[str]) -> dict[str, Record]:
        """Return run id → record for the finished runs among the given ones, with their arrays."""
        if not self.file.exists():
            return {}
        wanted = (json.dumps(list(run_ids)),)
        among = "IN (SELECT value FROM json_each(?))"
        with self._read() as connection:
            rows = connection.execute(
                f"SELECT run_id, spec, record FROM runs WHERE status = 'done' AND run_id {among}", wanted
            ).fetchall()
            arrays: dict[str, dict[str, np.ndarray]] = {}
            for key, name, *packed in connection.execute(
                f"SELECT key, name, dtype, shape, bytes FROM arrays WHERE key {among}", wanted
            ):
                arrays.setdefault(key, {})[name] = unpack(*packed)
        for key, name, array in self._published(run_id for run_id, _, _ in rows):
            arrays.setdefault(key, {}).setdefault(name, array)
        return {
            run_id: Record(spec=_read_spec(spec), arrays=arrays.get(run_id, {}), **json.loads(expand_text(record)))
            for run_id, spec, record in rows
        }

    def _published(self, run_ids: Iterable[str]) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield run id, part and log-probabilities of these runs from the predictions file beside a published store."""
        file = self.file.with_name(PREDICTIONS)
        if not file.is_file():
            return
        with np.load(file) as members:
            there = set(members.files)
            for run_id in run_ids:
                for part in PARTS:
                    if (member := f"{run_id}.{part}") in there:
                        yield run_id, part, LEVELS[members[member]]

    def read(self, run_ids: Iterable[str]) -> Records:
        """Return the records of the finished runs among the given ones, in the given order, with the labels of their images."""
        loaded = self.load(run_ids := list(run_ids))
        records = tuple(loaded[run_id] for run_id in run_ids if run_id in loaded)
        keys = {labels_key(record.spec.dataset, record.spec.split) for record in records}
        return Records(records, {key: self.load_arrays(key) for key in sorted(keys)})

    def load_arrays(self, key: str) -> dict[str, np.ndarray]:
        """Return arrays that many runs share; empty if there are none under this key."""
        if not self.file.exists():
            return {}
        with self._read() as connection:
            rows = connection.execute("SELECT name, dtype, shape, bytes FROM arrays WHERE key = ?", (key,)).fetchall()
        return {name: unpack(*packed) for name, *packed in rows}

    def failures(self) -> dict[str, Failure]:
        """Return run id → failure for all failed runs."""
        if not self.file.exists():
            return {}
        with self._read() as connection:
            rows = connection.execute("SELECT run_id, spec, reason FROM runs WHERE status = 'failed'").fetchall()
        return {run_id: Failure(_read_spec(spec), reason) for run_id, spec, reason in rows}

    def forget(self, run_ids: Iterable[str]) -> None:
        """Remove runs and their arrays, so that they are trained again when they are needed."""
        with self._transaction() as connection:
            rows = [(run_id,) for run_id in run_ids]
            connection.executemany("DELETE FROM runs WHERE run_id = ?", rows)
            connection.executemany("DELETE FROM arrays WHERE key = ?", rows)

    def copy_to(self, target: Path, run_ids: Iterable[str], arrays: Mapping[str, Collection[str]] | None = None) -> None:
        """Copy runs and arrays into a compact new store, and predictions into the file `predictions.npz` beside it.

        Both files replace older ones. The predictions can be read without this package: `RUN.test` and `RUN.validation` contain
        128 √p of every image and class, rounded, as `uint8`.

        Args:
            target: the file of the new store.
            run_ids: the runs to copy.
            arrays: run id or shared key → names of the arrays to copy. None copies all arrays of the runs and all shared arrays.
        """
        wanted = set(run_ids)
        with (
            replacing(target) as fresh,
            replacing(target.with_name(PREDICTIONS)) as beside,
            self._read() as connection,
            closing(sqlite3.connect(fresh)) as copy,
            zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as predictions,
        ):
            copy.execute("PRAGMA page_size = 65536")
            copy.executescript(_SCHEMA)
            for run_id, spec, status, record, reason in connection.execute(
                "SELECT run_id, spec, status, record, reason FROM runs ORDER BY run_id"
            ):
                if run_id in wanted:
                    packed = None if record is None else squeeze_text(expand_text(record))
                    self._put(copy, run_id, squeeze_text(expand_text(spec)), status, packed, reason)
            own = {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}
            listed = connection.execute("SELECT key, name FROM arrays").fetchall()
            if arrays is None:
                arrays = dict.fromkeys(wanted, PARTS)
                for key, name in listed:
                    if key in wanted or key not in own:
                        arrays[key] = (*arrays.get(key, ()), name)
            kept = {key: set(names) for key, names in arrays.items()}
            for key, name, *packed in connection.execute("SELECT key, name, dtype, shape, bytes FROM arrays ORDER BY key, name"):
                if name not in kept.get(key, ()):
                    continue
                kept[key].discard(name)
                if packed[0] == CODE and name in PARTS:
                    _add_member(predictions, f"{key}.{name}", expand(packed[2], np.dtype(np.uint8)).reshape(json.loads(packed[1])))
                else:
                    copy.execute("INSERT INTO arrays VALUES (?, ?, ?, ?, ?)", (key, name, *packed))
            for key, name, array in self._published(sorted(wanted & set(kept))):
                if name in kept[key]:
                    _add_member(predictions, f"{key}.{name}", np.searchsorted(LEVELS, array).astype(np.uint8))
            copy.commit()
            copy.execute("VACUUM")


def add_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Add arrays to an npz file that has none of these names. The file is replaced atomically."""
    with replacing(file) as fresh:
        fresh.write_bytes(file.read_bytes())
        with zipfile.ZipFile(fresh, "a") as members:
            for name, array in arrays.items():
                _add_member(members, name, array)


def _add_member(file: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Add an array to an npz file. The bytes do not depend on the date."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(member, content.getvalue(), compresslevel=9)
