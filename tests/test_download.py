"""Downloads: the right bytes under the right name, or nothing at all and a reason for each mirror."""

import gzip
import hashlib
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from inkdigits import download
from inkdigits.download import fetch, is_https
from inkdigits.errors import CannotWrite, DownloadFailed, MissingExtra

CONTENT = bytes(range(256)) * 200  # 51 KB
PACKED = gzip.compress(CONTENT)
RIGHT = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 100_000


class Mirror(BaseHTTPRequestHandler):
    """Serves /good and every fault that mirrors have."""

    asked: ClassVar[Counter[str]] = Counter()
    release = threading.Event()

    def do_GET(self) -> None:
        name = self.path.strip("/").split("?")[0]
        Mirror.asked[name] += 1
        answer = getattr(self, f"do_{name}", None)
        if name.isdecimal():
            self.send_error(int(name))
        elif answer:
            answer()
        else:
            self.answer(PACKED)

    def answer(self, body: bytes, length: int | None = None, kind: str = "application/gzip") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_html(self) -> None:
        self.answer(b"<!DOCTYPE html><title>Sign in</title>", kind="text/html")

    def do_empty(self) -> None:
        self.answer(b"")

    def do_unpacked(self) -> None:
        self.answer(CONTENT)

    def do_unannounced(self) -> None:
        self.answer(PACKED, -1)

    def do_flipped(self) -> None:
        self.answer(gzip.compress(CONTENT[:-1] + b"\0"))

    def do_bomb(self) -> None:
        self.answer(gzip.compress(bytes(100 * LIMIT)))

    def do_broken(self) -> None:
        self.answer(PACKED[:-20])

    def do_truncated(self) -> None:
        self.answer(PACKED[:100], len(PACKED))

    def do_large(self) -> None:
        self.answer(bytes(LIMIT + 1))

    def do_flood(self) -> None:
        with suppress(ConnectionError):
            self.answer(bytes(10 * LIMIT), -1)

    def do_slow(self) -> None:
        time.sleep(0.2)
        self.answer(PACKED)

    def do_hang(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        Mirror.release.wait(10)

    def do_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not Mirror.release.wait(0.05):
            try:
                self.wfile.write(b"\0")
            except ConnectionError:
                return

    def do_elsewhere(self) -> None:
        self.redirect("http://elsewhere.invalid/good")

    def do_moved(self) -> None:
        self.redirect("/good")

    def do_loop(self) -> None:
        self.redirect("/loop")

    def redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        Mirror.release.set()
        server.shutdown()


def bring(server: str, mirrors: list[str], path: Path, **options: object) -> Path:
    """Fetch CONTENT from faulty mirrors on this machine, which is trusted instead of https."""
    Mirror.asked.clear()
    settings: dict[str, object] = {"sha256": RIGHT, "of_unpacked": True, "limit": LIMIT, **options}
    return fetch([server + mirror for mirror in mirrors], path, trusts=lambda url: url.startswith(server), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("mirror", ["good", "unpacked", "unannounced", "moved"])
def test_a_good_mirror_delivers(server: str, tmp_path: Path, mirror: str) -> None:
    path = bring(server, [mirror], tmp_path / "deeper" / "file.gz")
    content = path.read_bytes()
    assert (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content) == CONTENT
    assert list(path.parent.iterdir()) == [path]


FAULTS = {
    "403": "answered 403",
    "404": "answered 404",
    "500": "answered 500",
    "html": "SHA-256 is not the published one",
    "empty": "SHA-256 is not the published one",
    "flipped": "SHA-256 is not the published one",
    "bomb": "SHA-256 is not the published one",
    "broken": "SHA-256 is not the published one",
    "truncated": r"stopped after 100 of \d+ bytes",
    "large": "announced 100,001 bytes, more than the 100,000",
    "flood": "more than the 100,000 bytes",
    "hang": "timed out",
    "drip": "less than 5,000 bytes a second",
    "elsewhere": "redirected to http://elsewhere.invalid/good, which is not https",
    "loop": "answered 302",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_mirror_is_named_and_the_next_one_asked(server: str, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "file.gz"
    timeout = 0.5 if fault in ("hang", "drip") else 10.0
    with pytest.raises(DownloadFailed, match=f"no mirror delivered file.gz: {server}{fault} .*{FAULTS[fault]}"):
        bring(server, [fault], path, timeout=timeout)
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    assert bring(server, [fault, "good"], path, timeout=timeout).read_bytes() == PACKED
    assert list(tmp_path.iterdir()) == [path]


def test_the_error_lists_every_mirror_with_its_reason(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"/404 answered 404 Not Found; .*/html sent something else"):
        bring(server, ["404", "html"], tmp_path / "file.gz")
    with pytest.raises(DownloadFailed, match="there is none"):
        bring(server, [], tmp_path / "file.gz")


def test_a_server_that_is_not_there_is_a_reason_too(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"failed: .*refused"):
        bring("http://127.0.0.1:9/", ["good"], tmp_path / "file.gz")


def test_nothing_but_https_is_asked_unless_told_otherwise(server: str, tmp_path: Path) -> None:
    Mirror.asked.clear()
    for url in (server + "good", server.upper() + "good", "file:///etc/hostname", "ftp://127.0.0.1/x"):
        with pytest.raises(DownloadFailed, match="is not https"):
            fetch([url], tmp_path / "file.gz", sha256=RIGHT, of_unpacked=True, limit=LIMIT)
    assert not Mirror.asked
    assert is_https("https://a/b")
    assert not is_https("http://a/b")


def test_a_redirection_from_https_to_http_is_refused() -> None:
    opener = download._opener(is_https)
    handler = next(h for h in opener.handlers if isinstance(h, urllib.request.HTTPRedirectHandler))
    request = urllib.request.Request("https://a/b")
    with pytest.raises(download._MirrorError, match="not https"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://a/b")  # type: ignore[arg-type]
    allowed = handler.redirect_request(request, None, 302, "Found", {}, "https://c/d")  # type: ignore[arg-type]
    assert allowed is not None
    assert allowed.full_url == "https://c/d"


def test_a_file_that_is_there_and_right_is_not_asked_for(server: str, tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(CONTENT, 1))  # packed differently, which does not matter
    before = path.read_bytes()
    assert before != PACKED
    bring(server, ["good"], path)
    assert not Mirror.asked
    assert path.read_bytes() == before


def test_a_damaged_file_is_replaced_only_by_a_right_one(server: str, tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(PACKED[:50])
    with pytest.raises(DownloadFailed):
        bring(server, ["404"], path)
    assert path.read_bytes() == PACKED[:50]
    assert bring(server, ["good"], path).read_bytes() == PACKED


def test_the_hash_of_the_packed_file_is_checked_where_only_that_is_known(server: str, tmp_path: Path) -> None:
    packed_hash = hashlib.sha256(PACKED).hexdigest()
    path = bring(server, ["unpacked", "good"], tmp_path / "file.gz", sha256=packed_hash, of_unpacked=False)
    assert path.read_bytes() == PACKED


def test_progress_counts_to_the_announced_length(server: str, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    bring(server, ["good"], tmp_path / "file.gz", progress=lambda *call: calls.append(call))
    assert calls[-1] == ("downloading file.gz", len(PACKED), len(PACKED))
    assert [call[1] for call in calls] == sorted(call[1] for call in calls)


def test_interrupting_leaves_nothing_behind(server: str, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(server, ["good"], tmp_path / "file.gz", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_eight_threads_make_one_download(server: str, tmp_path: Path) -> None:
    Mirror.asked.clear()
    with ThreadPoolExecutor(8) as pool:
        options = {"sha256": RIGHT, "of_unpacked": True, "limit": LIMIT, "trusts": lambda url: url.startswith(server)}
        paths = list(pool.map(lambda _: fetch([server + "slow"], tmp_path / "file.gz", **options), range(8)))
    assert Mirror.asked["slow"] == 1
    assert {path.read_bytes() for path in paths} == {PACKED}
    assert list(tmp_path.iterdir()) == paths[:1]


def test_four_processes_make_one_download(server: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from inkdigits.download import fetch\n"
        "fetch([sys.argv[1] + 'slow'], Path(sys.argv[2]), sha256=sys.argv[3], of_unpacked=True, limit=100_000,\n"
        "      trusts=lambda url: url.startswith('http://127.0.0.1:'))"
    )
    Mirror.asked.clear()
    command = [sys.executable, "-c", program, server, str(tmp_path / "file.gz"), RIGHT]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert Mirror.asked["slow"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz"]


def test_a_place_that_cannot_be_written_to_is_named(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(CannotWrite, match="blocked"):
        bring(server, ["good"], blocked / "file.gz")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(CannotWrite, match="No space left on device"):
        bring(server, ["good"], tmp_path / "file.gz")
    assert list(tmp_path.iterdir()) == [blocked]


def test_without_filelock_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtra, match=r"pip install 'inkdigits\[train\]'"):
        fetch([], tmp_path / "file.gz", sha256=RIGHT, of_unpacked=True, limit=LIMIT)
