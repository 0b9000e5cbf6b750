"""Connections: one request at a time, however many are sent, and heads that are refused."""

import contextlib
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import (
    PICTURE,
    Answer,
    Server,
    running,
    serving,
    serving_hastily,
    wait_until,
)

pytestmark = pytest.mark.slow  # services are started

HOST = b"Host: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
HEAD = b"POST /v1/read HTTP/1.1\r\n" + HOST


def told(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\n" + trailer + b"\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--model", "nano") as server:
        yield server


def answers(connection: socket.socket, count: int) -> list[Answer]:
    """Receive some answers, each of which has a length, from one connection."""
    file = connection.makefile("rb")
    received = []
    for _ in range(count):
        status = int(file.readline().split()[1])
        lines = iter(file.readline, b"\r\n")
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in lines)
        received.append(Answer(status, headers, file.read(int(headers["content-length"]))))

    return received


# ---- one request at a time


@pytest.mark.parametrize("seed", range(6))
def test_requests_are_found_wherever_the_bytes_are_cut(server: Server, seed: int) -> None:
    tiny = PICTURE[:300]  # no picture any more
    requests = [
        (HEALTH, 200),
        (told(PICTURE), 200),
        (b"\r\n" + HEALTH, 200),
        (chunked(PICTURE, 100), 200),
        (chunked(tiny, 1, b"X: 1\r\nY: 2\r\n"), 422),
        (told(b"\r\n\r\n"), 415),
        (chunked(b"\r\n\r\n" * 20, 7), 415),
        (told(b""), 400),
        (HEALTH, 200),
    ]
    rng = random.Random(seed)
    rng.shuffle(requests)
    sent = b"".join(request for request, _ in requests)
    cuts = sorted(rng.sample(range(1, len(sent)), 40))
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            connection.sendall(sent[start:end])

        statuses = [answer.status for answer in answers(connection, len(requests))]

    assert statuses == [status for _, status in requests]


def test_what_is_sent_behind_a_request_waits_until_it_is_answered(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving_hastily(log) as hasty, hasty.connect(told(b"sleep05") * 4) as connection:
        wait_until(lambda: log.read_bytes() == b"sleep05;")
        assert "waiting 0\n" in hasty.metrics()  # the other three are not even queued
        assert [answer.status for answer in answers(connection, 4)] == [200] * 4
        assert log.read_bytes() == b"sleep05;" * 4


def test_no_more_is_read_from_a_client_that_does_not_wait(tmp_path: Path) -> None:
    log = tmp_path / "log"
    held = "inkdigits_held_bytes 7\n"
    with serving_hastily(log) as hasty, hasty.connect(told(b"sleep15")) as connection:
        wait_until(lambda: held in hasty.metrics())
        connection.setblocking(False)
        assert sent_until_blocked(connection) < 16 << 20  # which the system's own buffers hold


def sent_until_blocked(connection: socket.socket) -> int:
    """Send requests for as long as the other side takes them. Return the number of bytes."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 64 << 20:
            sent += connection.send(HEALTH * 100)

    return sent


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_refusals_that_nobody_takes_do_not_pile_up(server: Server) -> None:
    refused = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
    before = memory(server)
    with server.connect() as connection, contextlib.suppress(ConnectionError):
        for _ in range(1000):
            connection.sendall(refused * 100)  # 25 MB of answers, until the client is given up

    assert memory(server) - before < 8 << 20
    assert server.get("/healthz").status == 200


def memory(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) << 10


def test_a_body_in_chunks_of_one_byte_is_read(server: Server) -> None:
    assert server.raw(chunked(PICTURE, 1)).json["text"] == "27"


# ---- heads that are refused


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 501, "not_a_proxy"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "unknown_coding"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415, "unknown_coding"),
        (
            HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
            501,
            "no_upgrade",
        ),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 100 + b"\r\n", 431, "head_too_large"),
        (b"GET http:/// HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
    ],
)
def test_a_head_that_is_not_for_this_service_is_refused(
    server: Server, sent: bytes, status: int, code: str
) -> None:
    assert server.raw(sent).error[:2] == (status, code)


def test_an_unknown_coding_leaves_the_connection_open(server: Server) -> None:
    sent = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    with server.connect(sent + HEALTH) as connection:
        assert [answer.status for answer in answers(connection, 2)] == [415, 200]


def test_an_upgrade_is_passed_over(server: Server) -> None:
    upgrade = b"GET /healthz HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + HOST + b"\r\n"
    with server.connect(upgrade + HEALTH) as connection:
        assert [answer.status for answer in answers(connection, 2)] == [200, 200]


# ---- open files

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))
from inkdigits.command import cli
sys.exit(cli.main(["serve", "--port", "0", "--model", "nano"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_silent_clients_give_way_also_where_few_files_may_be_open() -> None:
    with running("-c", LIMITED % (90, 90)) as server, contextlib.ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(server.connect())
            assert server.get("/healthz").status == 200

        idle = re.search(r"idle_connections (\d+)\n", server.metrics())
        assert idle
        assert int(idle[1]) <= 26


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_limit_below_what_a_service_needs_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED % (70, 70)], capture_output=True, text=True
    )
    expected = "70 files may be open, and a service needs 80; see ulimit -n"
    assert (done.returncode, done.stderr) == (2, f"inkdigits: {expected}\n")
