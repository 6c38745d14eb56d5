"""Downloads resume, are verified before they get their name, fall back to mirrors and happen only once, against a local server."""

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from imagestudy.core import download
from imagestudy.core.download import NotFetchedError, RemoteFile, fetch
from imagestudy.core.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@dataclass
class Behavior:
    """What the server does at one path. `cuts` lists after how many bytes each answer breaks off, in order."""

    content: bytes = CONTENT
    ranges: bool = True
    says_length: bool = True
    cuts: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    pause_s: float = 0.0
    offset: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        log = self.server.log[self.path]
        request = len(log)
        log.append(0)
        behavior = self.server.paths.get(self.path)
        if behavior is None or behavior.failures:
            self.send_error(behavior.failures.pop(0) if behavior else 404)
            return
        start = self.head(behavior)
        if start is None:
            return
        stop = start + behavior.cuts.pop(0) if behavior.cuts else len(behavior.content)
        for place in range(start, min(stop, len(behavior.content)), 10_000):
            time.sleep(behavior.pause_s)
            piece = behavior.content[place : min(place + 10_000, stop)]
            log[request] += len(piece)
            try:
                self.wfile.write(piece)
            except OSError:
                return

    def head(self, behavior: Behavior) -> int | None:
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and behavior.ranges else 0
        if start and start >= len(behavior.content):
            self.send_error(416)
            return None
        self.send_response(206 if asked and behavior.ranges else 200)
        if asked and behavior.ranges:
            self.send_header(
                "Content-Range", f"bytes {start + behavior.offset}-{len(behavior.content) - 1}/{len(behavior.content)}"
            )
        if behavior.says_length:
            self.send_header("Content-Length", str(len(behavior.content) - start))
        self.end_headers()
        return start

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths: dict[str, Behavior] = {}
        self.log: dict[str, list[int]] = defaultdict(list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def offers(self, path: str = "/file", **behavior: object) -> RemoteFile:
        self.paths[path] = Behavior(**behavior)
        return RemoteFile("file.bin", (self.url(path),), MD5)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A local server. Its `log` has the number of bytes sent for each request."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "FIRST_WAIT_SECONDS", 0.01)
    with Server() as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def both(one: RemoteFile, other: RemoteFile) -> RemoteFile:
    return RemoteFile(one.name, one.urls + other.urls, one.digest)


def left_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


class TestFetching:
    @pytest.mark.parametrize("digest", [MD5, SHA256])
    @pytest.mark.parametrize("says_length", [True, False])
    def test_a_file_arrives_whole_under_its_name_alone(
        self, server: Server, tmp_path: Path, digest: str, says_length: bool
    ) -> None:
        offered = server.offers(says_length=says_length)
        file = fetch(RemoteFile("file.bin", offered.urls, digest), tmp_path / "new" / "folder")
        assert file == tmp_path / "new" / "folder" / "file.bin"
        assert file.read_bytes() == CONTENT
        assert left_in(file.parent) == {"file.bin"}

    @pytest.mark.parametrize("digest", [MD5[:12], SHA256[:15]])
    def test_the_first_digits_of_a_checksum_are_enough(self, server: Server, tmp_path: Path, digest: str) -> None:
        offered = server.offers()
        right = RemoteFile("file.bin", offered.urls, digest)
        assert fetch(right, tmp_path).read_bytes() == CONTENT
        wrong = RemoteFile("file.bin", offered.urls, digest[:-1] + ("0" if digest[-1] != "0" else "1"))
        with pytest.raises(NotFetchedError, match="different checksum"):
            fetch(wrong, tmp_path)

    def test_it_is_fetched_once_and_its_checksum_computed_once(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offered = server.offers()
        fetch(offered, tmp_path)
        monkeypatch.setattr(download, "_digest", lambda *_: pytest.fail("hashed again"))
        fetch(offered, tmp_path)
        assert server.log["/file"] == [len(CONTENT)]

    def test_a_file_put_there_by_hand_is_checked_once_and_kept(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file.bin").write_bytes(CONTENT)
        fetch(server.offers(), tmp_path)
        monkeypatch.setattr(download, "_digest", lambda *_: pytest.fail("hashed again"))
        assert fetch(server.offers(), tmp_path).read_bytes() == CONTENT
        assert not server.log

    def test_a_wrong_file_that_is_there_is_replaced(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file.bin").write_bytes(b"something else")
        assert fetch(server.offers(), tmp_path).read_bytes() == CONTENT

    def test_a_change_after_the_check_is_noticed(self, server: Server, tmp_path: Path) -> None:
        file = fetch(server.offers(), tmp_path)
        file.write_bytes(CONTENT[:-1] + b"!")
        os.utime(file, ns=(0, 12345))
        assert fetch(server.offers(), tmp_path).read_bytes() == CONTENT
        assert len(server.log["/file"]) == 2

    @pytest.mark.parametrize("note", ["", "{", "[1, 2]", '{"file.bin": [1]}'])
    def test_a_damaged_note_of_what_was_checked_does_no_harm(self, server: Server, tmp_path: Path, note: str) -> None:
        fetch(server.offers(), tmp_path)
        (tmp_path / download.REMEMBERED).write_text(note)
        fetch(server.offers(), tmp_path)
        assert len(server.log["/file"]) == 1
        assert json.loads((tmp_path / download.REMEMBERED).read_text())["file.bin"][0] == MD5

    def test_what_is_there_is_found_in_a_folder_that_cannot_be_written_to(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file.bin").write_bytes(CONTENT)

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        for changing in ("mkdir", "touch", "write_bytes", "write_text", "replace"):
            monkeypatch.setattr(Path, changing, refuse)
        monkeypatch.setattr(download.FileLock, "acquire", refuse)
        assert fetch(server.offers(), tmp_path) == tmp_path / "file.bin"
        assert not server.log

    def test_an_unreadable_file_is_an_input_error(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        (tmp_path / "file.bin").write_bytes(CONTENT)
        monkeypatch.setattr(download, "_digest", refuse)
        with pytest.raises(InputError, match=r"file\.bin cannot be read \(Permission denied\)"):
            fetch(server.offers(), tmp_path)


class TestProgress:
    @pytest.fixture
    def bars(self, monkeypatch: pytest.MonkeyPatch) -> list[tqdm]:
        """All progress bars that were shown, written to a hidden terminal."""
        shown: list[tqdm] = []

        class Bar(tqdm):
            def __init__(self, *given: object, **options: object) -> None:
                super().__init__(*given, **options | {"disable": False, "file": io.StringIO()})
                shown.append(self)

        monkeypatch.setattr(download, "tqdm", Bar)
        return shown

    def test_a_bar_goes_from_nothing_to_all_bytes(self, server: Server, tmp_path: Path, bars: list[tqdm]) -> None:
        fetch(server.offers(), tmp_path)
        assert [(bar.initial, bar.n, bar.total, bar.desc) for bar in bars] == [(0, 300_000, 300_000, "file.bin")]

    def test_after_a_drop_a_bar_starts_where_the_last_one_stopped(self, server: Server, tmp_path: Path, bars: list[tqdm]) -> None:
        fetch(server.offers(cuts=[100_000]), tmp_path)
        assert [(bar.initial, bar.n, bar.total) for bar in bars] == [(0, 100_000, 300_000), (100_000, 300_000, 300_000)]

    def test_a_server_that_says_no_length_is_measured_by_the_known_size(
        self, server: Server, tmp_path: Path, bars: list[tqdm]
    ) -> None:
        fetch(replace(server.offers(says_length=False), size=len(CONTENT)), tmp_path)
        assert [(bar.n, bar.total) for bar in bars] == [(300_000, 300_000)]

    def test_what_is_there_shows_none(self, server: Server, tmp_path: Path, bars: list[tqdm]) -> None:
        (tmp_path / "file.bin").write_bytes(CONTENT)
        fetch(server.offers(), tmp_path)
        assert not bars


class TestResuming:
    def test_a_dropped_connection_goes_on_where_it_was(self, server: Server, tmp_path: Path) -> None:
        file = fetch(server.offers(cuts=[100_000, 50_000]), tmp_path)
        assert file.read_bytes() == CONTENT
        assert server.log["/file"] == [100_000, 50_000, 150_000]

    def test_a_server_without_ranges_starts_again_cleanly(self, server: Server, tmp_path: Path) -> None:
        file = fetch(server.offers(ranges=False, cuts=[100_000]), tmp_path)
        assert file.read_bytes() == CONTENT
        assert server.log["/file"] == [100_000, 300_000]

    def test_what_an_earlier_process_left_is_used(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file.bin.part").write_bytes(CONTENT[:250_000])
        assert fetch(server.offers(), tmp_path).read_bytes() == CONTENT
        assert server.log["/file"] == [50_000]

    def test_a_part_that_is_whole_already_is_only_checked(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file.bin.part").write_bytes(CONTENT)
        assert fetch(server.offers(), tmp_path).read_bytes() == CONTENT
        assert sum(server.log["/file"]) == 0

    @pytest.mark.parametrize("left", [b"?" * 250_000, b"?" * 400_000])
    def test_a_part_of_something_else_costs_one_clean_start(self, server: Server, tmp_path: Path, left: bytes) -> None:
        (tmp_path / "file.bin.part").write_bytes(left)
        assert fetch(server.offers(), tmp_path).read_bytes() == CONTENT
        assert server.log["/file"][-1] == len(CONTENT)

    def test_without_a_length_a_cut_is_found_by_the_known_size(self, server: Server, tmp_path: Path) -> None:
        offered = server.offers(says_length=False, cuts=[120_000])
        file = fetch(RemoteFile("file.bin", offered.urls, MD5, size=len(CONTENT)), tmp_path)
        assert file.read_bytes() == CONTENT
        assert server.log["/file"] == [120_000, 180_000]

    def test_other_bytes_than_asked_for_are_not_put_together(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
        with pytest.raises(NotFetchedError, match="a different byte range than requested"):
            fetch(server.offers(offset=7), tmp_path)

    def test_a_killed_download_resumes(self, server: Server, tmp_path: Path) -> None:
        offered = server.offers(pause_s=0.05)
        call = f"download.fetch(download.{offered!r}, Path({str(tmp_path)!r}))"
        code = f"from pathlib import Path; from imagestudy.core import download; {call}"
        process = subprocess.Popen([sys.executable, "-c", code])
        part = tmp_path / "file.bin.part"
        while not (part.exists() and part.stat().st_size > 50_000):
            time.sleep(0.01)
            assert process.poll() is None
        process.kill()
        process.wait()
        assert not (tmp_path / "file.bin").exists()
        kept = part.stat().st_size
        server.paths["/file"].pause_s = 0.0
        assert fetch(offered, tmp_path).read_bytes() == CONTENT
        assert server.log["/file"][-1] == len(CONTENT) - kept


class TestFailing:
    def test_wrong_bytes_fall_to_the_mirror(self, server: Server, tmp_path: Path) -> None:
        wrong, right = server.offers("/wrong", content=b"wrong" * 1000), server.offers("/right")
        assert fetch(both(wrong, right), tmp_path).read_bytes() == CONTENT
        assert server.log["/wrong"] == [5000]
        assert server.log["/right"] == [len(CONTENT)]

    @pytest.mark.parametrize("failures", [[404], [403], [503] * download.ATTEMPTS])
    def test_an_address_that_does_not_give_it_falls_to_the_mirror(
        self, server: Server, tmp_path: Path, failures: list[int]
    ) -> None:
        broken, right = server.offers("/broken", failures=list(failures)), server.offers("/right")
        assert fetch(both(broken, right), tmp_path).read_bytes() == CONTENT
        assert len(server.log["/broken"]) == len(failures)

    def test_a_busy_server_is_asked_again(self, server: Server, tmp_path: Path) -> None:
        assert fetch(server.offers(failures=[503, 429]), tmp_path).read_bytes() == CONTENT
        assert server.log["/file"] == [0, 0, len(CONTENT)]

    def test_waits_grow(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(download.time, "sleep", lambda seconds: waits.append(seconds) if seconds else None)
        with pytest.raises(NotFetchedError, match=r"503 .*\(5 tries\)"):
            fetch(server.offers(failures=[503] * 9), tmp_path)
        assert waits == [0.01, 0.02, 0.04, 0.08]

    def test_silence_is_a_dropped_connection(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "SILENCE_SECONDS", 0.1)
        silent, right = server.offers("/silent", pause_s=0.3), server.offers("/right")
        assert fetch(both(silent, right), tmp_path).read_bytes() == CONTENT
        assert len(server.log["/silent"]) == download.ATTEMPTS

    def test_a_slow_server_is_waited_for(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "SILENCE_SECONDS", 0.5)
        assert fetch(server.offers(pause_s=0.03), tmp_path).read_bytes() == CONTENT
        assert server.log["/file"] == [len(CONTENT)]

    def test_without_a_network_the_error_says_which_file_to_put_where(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download.time, "sleep", lambda _: pytest.fail("an address that is not there is not waited for"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/set.zip"
            with pytest.raises(InputError) as caught:
                fetch(RemoteFile("set.zip", (url,), MD5), tmp_path)
        said = str(caught.value)
        assert all(word in said for word in ("set.zip could not be fetched", url, MD5, str(tmp_path), "IMAGESTUDY_DATA"))

    def test_wrong_bytes_everywhere_leave_nothing(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file.bin").write_bytes(b"not this")
        with pytest.raises(NotFetchedError, match=r"the existing file\.bin has a different checksum"):
            fetch(server.offers(content=b"wrong"), tmp_path)
        assert left_in(tmp_path) == {"file.bin"}

    def test_a_folder_that_cannot_be_created_is_an_input_error(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(InputError, match=r"cannot be written to .*IMAGESTUDY_DATA"):
            fetch(server.offers(), tmp_path / "file" / "folder")

    def test_a_full_disk_is_an_input_error(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fill(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(download, "_remember", fill)
        with pytest.raises(InputError, match="No space left on device"):
            fetch(server.offers(), tmp_path)


class TestTogether:
    def test_many_who_want_the_same_file_fetch_it_once(self, server: Server, tmp_path: Path) -> None:
        offered = server.offers(pause_s=0.005)
        with ThreadPoolExecutor(4) as pool:
            files = list(pool.map(lambda _: fetch(offered, tmp_path).read_bytes(), range(4)))
        assert files == [CONTENT] * 4
        assert server.log["/file"] == [len(CONTENT)]
