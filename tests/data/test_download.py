"""Downloads: the right bytes under the right name, or nothing and a reason for each mirror."""

import gzip
import hashlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.soak.mirrors import (
    CONTENT,
    FAULTS,
    GOOD,
    LIMIT,
    PACKED,
    RIGHT,
    SLOW_FAULTS,
    Mirror,
    serving,
)
from inkdigits.core.errors import CannotWrite, DownloadFailed, MissingExtra
from inkdigits.data import download
from inkdigits.data.download import fetch, is_https


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


def bring(server: str, mirrors: list[str], path: Path, **options: object) -> Path:
    """Fetch CONTENT from faulty mirrors on this machine, which is trusted instead of https."""
    Mirror.asked.clear()
    settings: dict[str, object] = {"sha256": RIGHT, "of_unpacked": True, "limit": LIMIT, **options}
    return fetch(
        [server + mirror for mirror in mirrors],
        path,
        trusts=lambda url: url.startswith(server),
        **settings,
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("mirror", GOOD)
def test_a_good_mirror_delivers(server: str, tmp_path: Path, mirror: str) -> None:
    path = bring(server, [mirror], tmp_path / "deeper" / "file.gz")
    content = path.read_bytes()
    assert (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content) == CONTENT
    assert list(path.parent.iterdir()) == [path]


HASH = "SHA-256 is not the published one"
REASONS = {
    **{name: f"answered {name}" for name in FAULTS if name.isdecimal()},
    **dict.fromkeys(
        ("no_content", "partial", "cut", "short_length", "no_number", "html", "empty", "flipped"),
        HASH,
    ),
    **dict.fromkeys(("broken", "packed_twice", "padded", "bomb", "bz2_bomb"), HASH),
    **dict.fromkeys(
        ("garbage", "other_protocol", "cut_chunk", "bad_chunk", "huge_length", "closed", "nowhere"),
        "failed: ",
    ),
    **dict.fromkeys(
        ("drip", "drip_head", "drip_chunk", "continue"), "less than 5,000 bytes a second"
    ),
    **dict.fromkeys(("silent", "hang"), "timed out"),
    **dict.fromkeys(("to_file", "no_address", "loop", "chain"), "answered 302"),
    **dict.fromkeys(("reset", "reset_later"), "failed: Connection reset"),
    "long_head": "failed: got more than 65536 bytes",
    "many_heads": "failed: got more than 100 headers",
    "large": "announced 100,001 bytes, more than the 100,000",
    "flood": "more than the 100,000 bytes",
    "truncated": r"stopped after 100 of \d+ bytes",
    "elsewhere": r"redirected to http://localhost:\d+/good, which is not https",
}


@pytest.mark.slow  # some faults are that nothing comes for two seconds
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_mirror_is_named_and_the_next_one_asked(
    server: str, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "file.gz"
    timeout = 0.5 if fault in SLOW_FAULTS else 10.0
    with pytest.raises(
        DownloadFailed, match=f"no mirror delivered file.gz: {server}{fault} .*{REASONS[fault]}"
    ) as caught:
        bring(server, [fault], path, timeout=timeout)
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    assert bring(server, [fault, "good"], path, timeout=timeout).read_bytes() == PACKED
    assert list(tmp_path.iterdir()) == [path]


def test_the_error_lists_every_mirror_with_its_reason(server: str, tmp_path: Path) -> None:
    with pytest.raises(
        DownloadFailed, match=r"/404 answered 404 Not Found; .*/html sent something else"
    ):
        bring(server, ["404", "html"], tmp_path / "file.gz")
    with pytest.raises(DownloadFailed, match="there is none"):
        bring(server, [], tmp_path / "file.gz")


def test_a_server_that_is_not_there_is_a_reason_too(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"failed: .*refused"):
        bring("http://127.0.0.1:9/", ["good"], tmp_path / "file.gz")


def test_nothing_but_https_is_asked_unless_told_otherwise(server: str, tmp_path: Path) -> None:
    Mirror.asked.clear()
    for url in (
        server + "good",
        server.upper() + "good",
        "file:///etc/hostname",
        "ftp://127.0.0.1/x",
    ):
        with pytest.raises(DownloadFailed, match="is not https"):
            fetch([url], tmp_path / "file.gz", sha256=RIGHT, of_unpacked=True, limit=LIMIT)
    assert not Mirror.asked
    assert is_https("https://a/b")
    assert not is_https("http://a/b")


def test_a_redirection_from_https_to_http_is_refused() -> None:
    opener = download.opener(is_https)
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


def test_the_hash_of_the_packed_file_is_checked_where_only_that_is_known(
    server: str, tmp_path: Path
) -> None:
    packed_hash = hashlib.sha256(PACKED).hexdigest()
    path = bring(
        server, ["unpacked", "good"], tmp_path / "file.gz", sha256=packed_hash, of_unpacked=False
    )
    assert path.read_bytes() == PACKED


def test_a_cached_file_that_cannot_be_read_is_fetched_again(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "file.gz", download.unpacking.sha256
    path.write_bytes(PACKED)
    opened: list[Path] = []

    def failing(path: Path, **options: object) -> str:
        opened.append(path)
        if len(opened) == 1:
            raise OSError(5, "Input/output error")
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(download.unpacking, "sha256", failing)
    bring(server, ["good"], path)
    assert Mirror.asked["good"] == 1
    assert path.read_bytes() == PACKED


def test_the_remains_of_a_killed_process_are_deleted(server: str, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from inkdigits.data.download import fetch\n"
        "fetch([sys.argv[1] + 'steady'], Path(sys.argv[2]), sha256=sys.argv[3],\n"
        "      of_unpacked=True, limit=100_000,\n"
        "      trusts=lambda _: True, progress=lambda *_: os.kill(os.getpid(), 9))"
    )
    path = tmp_path / "file.gz"
    assert (
        subprocess.run([sys.executable, "-c", program, server, str(path), RIGHT]).returncode == -9
    )
    assert any(name.suffix == ".part" for name in tmp_path.iterdir()), (
        "the kill was to leave something behind"
    )
    bring(server, ["good"], path)
    assert list(tmp_path.iterdir()) == [path]


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
        options = {
            "sha256": RIGHT,
            "of_unpacked": True,
            "limit": LIMIT,
            "trusts": lambda url: url.startswith(server),
        }
        paths = list(
            pool.map(lambda _: fetch([server + "slow"], tmp_path / "file.gz", **options), range(8))
        )
    assert Mirror.asked["slow"] == 1
    assert {path.read_bytes() for path in paths} == {PACKED}
    assert list(tmp_path.iterdir()) == paths[:1]


def test_four_processes_make_one_download(server: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from inkdigits.data.download import fetch\n"
        "fetch([sys.argv[1] + 'slow'], Path(sys.argv[2]), sha256=sys.argv[3],\n"
        "      of_unpacked=True, limit=100_000,\n"
        "      trusts=lambda url: url.startswith('http://127.0.0.1:'))"
    )
    Mirror.asked.clear()
    command = [sys.executable, "-c", program, server, str(tmp_path / "file.gz"), RIGHT]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert Mirror.asked["slow"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz"]


def test_a_place_that_cannot_be_written_to_is_named(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_without_filelock_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtra, match=r"pip install 'inkdigits\[train\]'"):
        fetch([], tmp_path / "file.gz", sha256=RIGHT, of_unpacked=True, limit=LIMIT)
