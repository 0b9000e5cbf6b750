"""Clients that do not wait for answers, or send bodies in chunks of one byte, while others ask.

python -m benchmarks.soak.service.neighbours FAULT --port 0     # the service with a fault planted
"""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from benchmarks.common import encoded
from benchmarks.soak.frame import Check, Outcome, Trial, put
from benchmarks.soak.service.harness import Client, Server, percentile
from benchmarks.soak.service.samples import field, read_request, request
from inkdigits.command import cli
from inkdigits.service import connections

CLIENTS = 4
TIMES = 3  # as long may the slowest hundredth of others' requests take
LEAST_P99 = 5.0  # ms; below it, two measurements on a busy machine differ by more than that anyway
MOST_MEMORY = 64 << 20  # bytes more, of which about 30 are those of reading
PAUSE = 0.005  # seconds between two requests of others
LONGEST = 15.0  # seconds of asking beside one kind of clients

CHUNKED = ("Content-Type: image/png", "Transfer-Encoding: chunked")
FIRST = {"chunks of one byte": request("POST", "/v1/read", headers=CHUNKED)}
REPEATED = {
    "requests without waiting": request("GET", "/healthz") * 1000,
    "large answers without waiting": request("GET", "/openapi.json") * 1000,
    "chunks of one byte": b"1\r\nx\r\n" * 10_000,
}


def all_at_once() -> None:
    """Parse all bytes as they arrive, as uvicorn does."""
    put(connections.Connection, "data_received", HttpToolsProtocol.data_received)


def neighbours(trial: Trial) -> Outcome:
    """Ask on one connection while four others pipeline requests, or send chunks of one byte.

    Half of what is asked is /healthz, half a 28x28 PNG.
    """
    rounds, count = trial.choose((5, 200), (2, 60))
    with Server(trial) if not trial.fault else _Faulty(trial) as server:
        asyncio.run(_ask(server, 20))
        before = server.rss()
        server.forget_peak()
        seconds = _asked_beside(server, rounds, count)
        grown = server.peak() - before

    p99 = {
        kind: [1000 * percentile(values, 0.99) for values in both] for kind, both in seconds.items()
    }
    usual = p99.pop("nobody")
    failures = _too_slow(p99, usual)
    if grown > MOST_MEMORY:
        failures.append(f"{grown / 2**20:.0f} MiB more")

    shown = "; ".join(f"{kind} {a:.1f} and {b:.1f} ms" for kind, (a, b) in p99.items())
    result = f"p99 {usual[0]:.1f} and {usual[1]:.1f} ms; {shown}; +{grown / 2**20:.0f} MiB"
    asked = sum(len(values) for both in seconds.values() for values in both)
    return Outcome(f"{asked:,} requests, {CLIENTS} clients", result, failures)


def _asked_beside(
    server: Server, rounds: int, count: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the seconds of /healthz and of pictures beside each kind of client, in turns."""
    seconds: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(rounds):
        for kind in ("nobody", *REPEATED):
            with beside(server, kind):
                found = asyncio.run(_ask(server, count))
            for kept, new in zip(seconds.setdefault(kind, ([], [])), found, strict=True):
                kept += new

    return seconds


def _too_slow(p99: dict[str, list[float]], usual: list[float]) -> list[str]:
    """Return a sentence for each kind of request that takes too long beside a kind of client.

    Args:
        p99: by the kind of client, milliseconds of /healthz and of a picture.
        usual: the same beside nobody.
    """
    return [
        f"{what} beside {kind}: p99 {now:.0f} ms instead of {then:.0f} ms"
        for kind, both in p99.items()
        for what, now, then in zip(("/healthz", "a picture"), both, usual, strict=True)
        if now > TIMES * max(then, LEAST_P99)
    ]


class _Faulty(Server):
    """The service with a fault of this module."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial)
        place = self._command.index("-m") + 1
        self._command[place] = "benchmarks.soak.service.neighbours"


async def _ask(server: Server, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds of some requests to /healthz and of as many pictures, one at a time."""
    picture = read_request(encoded(255 - field()))
    health = list[float]()
    pictures = list[float]()
    until = time.monotonic() + LONGEST
    async with Client(server) as client:
        while len(health) < count and time.monotonic() < until:
            health.append((await client.send(request("GET", "/healthz"))).seconds)
            pictures.append((await client.send(picture)).seconds)
            await asyncio.sleep(PAUSE)

    return health, pictures


@contextlib.contextmanager
def beside(server: Server, kind: str) -> Iterator[None]:
    """Have clients send without end during the block. kind: what they send, or "nobody"."""
    over = threading.Event()
    number = CLIENTS if kind in REPEATED else 0
    threads = [
        threading.Thread(target=_send, args=(server, kind, over), daemon=True)
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()

    time.sleep(0.5)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _send(server: Server, kind: str, over: threading.Event) -> None:
    """Send over one connection after the other, and take what is answered."""
    while not over.is_set():
        with (
            contextlib.suppress(OSError),
            socket.create_connection((server.host, server.port)) as connection,
        ):
            connection.settimeout(1.0)
            connection.sendall(FIRST.get(kind, b""))
            taking = threading.Thread(target=_take, args=(connection,), daemon=True)
            taking.start()
            while not over.is_set():
                connection.sendall(REPEATED[kind])


def _take(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(1 << 16):
            pass


CHECKS = (
    Check(
        neighbours,
        f"p99 at most {TIMES} x, at most {MOST_MEMORY >> 20} MiB",
        all_at_once,
    ),
)

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    globals()[name]()
    sys.exit(cli.main(["serve", *arguments]))
