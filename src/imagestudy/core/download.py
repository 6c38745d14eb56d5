"""Download files with a progress bar, resume interrupted downloads, and verify checksums.

A download is written to `NAME.part`, which survives a killed process. It is renamed to `NAME` only after its checksum is verified.
If one address fails, the next one is tried. If several processes request the same file, one downloads it and the others wait.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock
from tqdm import tqdm

from imagestudy.core.errors import InputError
from imagestudy.core.files import put

ATTEMPTS = 5
"""The number of attempts at one address that answers but drops the connection or is busy."""
FIRST_WAIT_SECONDS = 1.0
"""The wait before the second attempt. It doubles before each further attempt."""
SILENCE_SECONDS = 30.0
"""The number of seconds without data after which a connection counts as dropped."""
CHUNK_BYTES = 1 << 16
REMEMBERED = ".checked.json"
BUSY = {408, 425, 429, 500, 502, 503, 504}
"""HTTP status codes after which the same address is tried again."""
PARTIAL, BEYOND_THE_END = 206, 416


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Args:
        name: the file name on disk.
        urls: addresses that serve identical copies of the file, tried in this order.
        digest: the expected checksum as `algorithm:hexadecimal`, with the algorithm as hashlib names it. A prefix of the
            hexadecimal digits is enough if only a prefix is published.
        size: the size in bytes, if known.
    """

    name: str
    urls: tuple[str, ...]
    digest: str
    size: int | None = None


class NotFetchedError(InputError):
    """The file could not be downloaded from any address. `reason` lists what happened at each address."""

    def __init__(self, remotes: Sequence[RemoteFile], folder: Path, reason: str) -> None:
        wanted = [f"  {remote.name} ({remote.digest}) from {' or '.join(remote.urls)}" for remote in remotes]
        self.reason = reason
        super().__init__(
            f"{remotes[0].name} could not be fetched: {reason}.\n"
            f"To add it by hand, put the following into {folder} (the environment variable IMAGESTUDY_DATA sets the data folder):\n"
            + "\n".join(wanted)
        )


class _DroppedError(Exception):
    """The connection dropped or the server was busy. The same address may be tried again."""


class _RefusedError(Exception):
    """This address does not provide the file. It is not tried again."""


@contextmanager
def hold(file: Path) -> Iterator[None]:
    """Lock a file so that no other process downloads or unpacks it.

    The lock is released when the block ends, or when the process ends, even if it is killed.

    Raises:
        InputError: if the folder of the file is not writable.
    """
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _unwritable(file.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"{folder} cannot be written to ({error.strerror or error}); "
        "set the environment variable IMAGESTUDY_DATA to use another folder"
    )


def fetch(remote: RemoteFile, folder: Path) -> Path:
    """Download a file into `folder` and return its path.

    The checksum of the returned file is verified. If the file is already there, nothing is downloaded and the folder may be
    read-only.

    Raises:
        InputError: if the file cannot be read or the folder is not writable.
        NotFetchedError: if no address provides the file. This is also an `InputError`. Its text says where to put the file by hand.
    """
    file = folder / remote.name
    try:
        if _is_right(file, remote):
            return file
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error})") from error
    with hold(file):
        if not _is_right(file, remote):
            try:
                _fetch_from_any(remote, file)
            except OSError as error:
                raise _unwritable(folder, error) from error
    return file


def _fetch_from_any(remote: RemoteFile, file: Path) -> None:
    part, faults = file.with_name(f"{file.name}.part"), []
    for url in remote.urls:
        try:
            _fetch_from(url, remote, part)
        except (_DroppedError, _RefusedError) as fault:
            faults.append(f"{urlsplit(url).netloc} {fault}")
        else:
            part.replace(file)
            _remember(file, remote)
            return
    if file.exists():
        faults.append(f"the existing {file.name} has a different checksum")
    raise NotFetchedError([remote], file.parent, "; ".join(faults))


def _fetch_from(url: str, remote: RemoteFile, part: Path) -> None:
    """Download `part` from one address and verify its checksum.

    If a resumed download has a different checksum, the whole file is downloaded once more.
    """
    for attempt in range(1, ATTEMPTS + 1):
        begun = part.exists()
        try:
            _receive(url, remote, part)
        except _DroppedError as fault:
            if attempt == ATTEMPTS:
                raise _DroppedError(f"{fault} ({ATTEMPTS} tries)") from fault
            time.sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
            continue
        if _digest(part, remote.digest).startswith(remote.digest):
            return
        part.unlink()
        if not begun:
            break
    raise _RefusedError("returned a file with a different checksum")


def _receive(url: str, remote: RemoteFile, part: Path) -> None:
    """Append the missing bytes to `part`, or rewrite it if the server returns only whole files."""
    have = part.stat().st_size if part.exists() else 0
    response = _open(url, have)
    if response is None:
        return
    with response:
        resumed = response.status == PARTIAL
        have = have if resumed else 0
        total = remote.size if response.length is None else have + response.length
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=remote.name, total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar,
        ):
            for chunk in _chunks(response):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise _DroppedError(f"dropped the connection after {part.stat().st_size:,} of {total:,} bytes")


def _open(url: str, have: int) -> HTTPResponse | None:
    """Request all bytes from position `have` on, and return the response, or None if there are none.

    An address that cannot be reached is not tried again.
    """
    headers = {"User-Agent": "imagestudy"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=SILENCE_SECONDS)
    except HTTPError as error:
        error.close()
        if have and error.code == BEYOND_THE_END:
            return None
        fault = f"answered {error.code} {error.reason}"
        raise (_DroppedError if error.code in BUSY else _RefusedError)(fault) from error
    except URLError as error:
        raise _RefusedError(f"could not be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise _DroppedError(f"did not answer ({error or type(error).__name__})") from error
    if response.status == PARTIAL and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        response.close()
        raise _RefusedError("returned a different byte range than requested")
    return response


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read1(CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _DroppedError(f"dropped the connection ({error or type(error).__name__})") from error


def _digest(file: Path, like: str) -> str:
    """The checksum of a file, computed with the algorithm of the digest `like`."""
    algorithm = like.partition(":")[0]
    with file.open("rb") as opened:
        return f"{algorithm}:{hashlib.file_digest(opened, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()}"


def _is_right(file: Path, remote: RemoteFile) -> bool:
    """Whether the file exists and has the expected checksum.

    The checksum is cached and computed again only if the size or modification time of the file changes.
    """
    if not file.is_file():
        return False
    if _remembered(file.parent).get(file.name) == _mark(file, remote):
        return True
    if not _digest(file, remote.digest).startswith(remote.digest):
        return False
    _remember(file, remote)
    return True


def _mark(file: Path, remote: RemoteFile) -> list[object]:
    found = file.stat()
    return [remote.digest, found.st_size, found.st_mtime_ns]


def _remembered(folder: Path) -> dict[str, list[object]]:
    try:
        known = json.loads((folder / REMEMBERED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(file: Path, remote: RemoteFile) -> None:
    """Record that the checksum of a file was verified.

    The record can be lost if two files are verified at the same time, or if the folder is read-only. The file is then checked
    again next time.
    """
    known = _remembered(file.parent) | {file.name: _mark(file, remote)}
    with suppress(InputError):
        put(file.with_name(REMEMBERED), json.dumps(known, indent=1))
