"""Files from elsewhere: fetched with progress, resumed where a download was cut off, and checked before they have their name.

A download grows under the name with `.part` at its end, also over a kill and a restart; its checksum is right before it is renamed.
Where one address fails, the next one is tried. Several processes may ask for the same file: one fetches, the others wait.
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
"""Tries of one address while it answers but breaks off."""
FIRST_WAIT_SECONDS = 1.0
"""Before the second try; twice as long before each further one."""
SILENCE_SECONDS = 30.0
"""Without a byte, and a connection counts as dropped."""
CHUNK_BYTES = 1 << 16
REMEMBERED = ".checked.json"
BUSY = {408, 425, 429, 500, 502, 503, 504}
"""HTTP answers after which the same address may be asked again."""
PARTIAL, BEYOND_THE_END = 206, 416


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    Args:
        name: that it has on disk.
        urls: addresses of the same bytes, tried in this order.
        digest: `algorithm:hexadecimal`, the algorithm by hashlib's name; the first digits will do where no more are published.
        size: in bytes, if known.
    """

    name: str
    urls: tuple[str, ...]
    digest: str
    size: int | None = None


class NotFetchedError(InputError):
    """No address gave the file. `reason` says what came of each of them."""

    def __init__(self, remotes: Sequence[RemoteFile], folder: Path, reason: str) -> None:
        wanted = [f"  {remote.name} ({remote.digest}) from {' or '.join(remote.urls)}" for remote in remotes]
        self.reason = reason
        super().__init__(
            f"{remotes[0].name} could not be fetched: {reason}.\n"
            f"To fetch it elsewhere, put into {folder} (the environment variable IMAGESTUDY_DATA moves the data folder):\n"
            + "\n".join(wanted)
        )


class _DroppedError(Exception):
    """A connection broke off, or the server was busy: the same address may be tried again."""


class _RefusedError(Exception):
    """An address does not give this file."""


@contextmanager
def hold(file: Path) -> Iterator[None]:
    """Keep other processes from fetching or unpacking the same file; a process that ends, however it ends, lets go.

    Raises:
        InputError: the file's folder cannot be written to.
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
        f"{folder} cannot be written to ({error.strerror or error}); the environment variable IMAGESTUDY_DATA moves it"
    )


def fetch(remote: RemoteFile, folder: Path) -> Path:
    """The file in `folder`, with the right checksum; if it is there already nothing is fetched, and the folder may be read only.

    Raises:
        InputError: the file cannot be read, or the folder not be written to.
        NotFetchedError: no address gives the file, which is an `InputError` too; it says where to put the file by hand.
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
        faults.append(f"the {file.name} that is there has another checksum")
    raise NotFetchedError([remote], file.parent, "; ".join(faults))


def _fetch_from(url: str, remote: RemoteFile, part: Path) -> None:
    """Complete `part` from one address, with the right checksum; what was put together from pieces gets a second chance in one."""
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
    raise _RefusedError("gives a file with another checksum")


def _receive(url: str, remote: RemoteFile, part: Path) -> None:
    """Append to `part` what it lacks, or write it anew where the server gives only whole files."""
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
        raise _DroppedError(f"broke off after {part.stat().st_size:,} of {total:,} bytes")


def _open(url: str, have: int) -> HTTPResponse | None:
    """Ask for all bytes from the given one on; None if there are none. An address that cannot be reached is not asked twice."""
    headers = {"User-Agent": "imagestudy"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=SILENCE_SECONDS)
    except HTTPError as error:
        error.close()
        if have and error.code == BEYOND_THE_END:
            return None
        fault = f"answers {error.code} {error.reason}"
        raise (_DroppedError if error.code in BUSY else _RefusedError)(fault) from error
    except URLError as error:
        raise _RefusedError(f"cannot be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise _DroppedError(f"does not answer ({error or type(error).__name__})") from error
    if response.status == PARTIAL and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        response.close()
        raise _RefusedError("gives other bytes than those that were asked for")
    return response


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read1(CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _DroppedError(f"broke off ({error or type(error).__name__})") from error


def _digest(file: Path, like: str) -> str:
    """The checksum of a file by the algorithm of another one."""
    algorithm = like.partition(":")[0]
    with file.open("rb") as opened:
        return f"{algorithm}:{hashlib.file_digest(opened, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()}"


def _is_right(file: Path, remote: RemoteFile) -> bool:
    """Whether the file is there with its checksum, which is computed once for a size and time of change and then remembered."""
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
    """Two files checked at the same moment may lose one note, and a folder may be read only: then it is checked once more."""
    known = _remembered(file.parent) | {file.name: _mark(file, remote)}
    with suppress(InputError):
        put(file.with_name(REMEMBERED), json.dumps(known, indent=1))
