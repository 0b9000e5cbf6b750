"""Hundreds of clients that are silent, drip, never read or hang up halfway, while others ask.

Each kind of slow client starts anew as soon as the service has got rid of it, so that their number
stays what it is.
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from dataclasses import field as made_by

from benchmarks.common import encoded
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import no_deadline
from benchmarks.soak.service.harness import Client, Server, percentile
from benchmarks.soak.service.samples import field, infer_request, read_request, request

SLOW = 500  # sockets
RATE = 100  # honest requests a second
# Seconds until the service is rid of one: its patience, 10, and again if it asks on, and until that
# is seen.
LONGEST = 22.0
TIMES = 2  # as long may the slowest hundredth of honest requests take
LEAST_P99 = 0.002  # seconds; below it, two measurements differ by more than that anyway
DRIP = 0.5  # seconds between two bytes
PAUSE = 5.0  # seconds between the beginnings of one and of the next in its place
ARRIVAL = 3.0  # seconds in which the slow ones come
ANSWERS = range(8, 30)  # of 8 kB each, that are never read; about twelve fill the buffers
BODY = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


@dataclass
class Book:
    """What became of the slow clients.

    Attributes:
        lives: seconds that each lasted, until the service or the check ended it, by kind.
        held: ports of the connections that the service had open when it was last looked at.
        looked: how often that was.
    """

    lives: dict[str, list[float]] = made_by(default_factory=lambda: defaultdict(list))
    held: set[int] = made_by(default_factory=set)
    looked: int = 0


@dataclass
class Phase:
    """Some seconds of honest requests: seconds of each answer, and how often what went wrong."""

    seconds: list[float] = made_by(default_factory=list)
    failed: Counter[str] = made_by(default_factory=Counter)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Act = Callable[[Streams, Book], Awaitable[None]]


def slow(trial: Trial) -> Outcome:
    """Open 500 sockets that are silent, drip a head or a body, never read or hang up halfway.

    Beside them come 100 honest requests a second.
    """
    book = Book()
    outside, within = trial.choose((15.0, 60.0), (4.0, 24.0))
    with Server(trial) as server:
        before, meanwhile, after, most = asyncio.run(_measure(server, outside, within, book))

    usual = 1000 * percentile(before.seconds + after.seconds, 0.99)
    p99 = 1000 * percentile(meanwhile.seconds, 0.99)
    failures = before.failed + meanwhile.failed + after.failed
    longest = {kind: max(values) for kind, values in sorted(book.lives.items())}
    wrong = [f"{number} honest requests: {what}" for what, number in failures.items()]
    if p99 > TIMES * max(usual, 1000 * LEAST_P99):
        wrong.append(f"p99 {p99:.1f} ms instead of {usual:.1f} ms")

    for kind, seconds in longest.items():
        if seconds > LONGEST:
            wrong.append(f"{kind}: the service kept one for {seconds:.0f} s")

    honest = sum(len(phase.seconds) for phase in (before, meanwhile, after)) + failures.total()
    result = f"{failures.total()} failures; p99 {p99:.1f} ms, without them {usual:.1f} ms"
    kinds = "; ".join(
        f"{kind} {len(book.lives[kind]):,}, {seconds:.1f} s" for kind, seconds in longest.items()
    )
    details = (
        "Slow clients by kind, how many there were, how long the service kept one at most: "
        f"{kinds}. {most} descriptors at the end."
    )
    return Outcome(f"{honest:,} requests, {SLOW} sockets", result, wrong, details)


async def _measure(
    server: Server, outside: float, within: float, book: Book
) -> tuple[Phase, Phase, Phase, int]:
    """Ask before, with and after the slow clients; return that and the most descriptors."""
    before = await _ask_steadily(server, outside)
    kinds = list(KINDS.items())
    tasks = [
        asyncio.create_task(_be_slow(server, *kinds[i % len(kinds)], i, book)) for i in range(SLOW)
    ]
    tasks.append(asyncio.create_task(_look(server, book)))
    await asyncio.sleep(ARRIVAL + 1)
    meanwhile = await _ask_steadily(server, within)
    descriptors = server.descriptors()
    for task in tasks:
        task.cancel()

    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(1)
    return before, meanwhile, await _ask_steadily(server, outside), descriptors


async def _ask_steadily(server: Server, seconds: float) -> Phase:
    """Send four arrays and a picture of 28x28 in turn, at fixed times.

    Half of them go over connections that stay open, half over new ones. Seconds count from when a
    request was due.
    """
    picture = read_request(encoded(255 - field()))
    array = infer_request(field()[None])
    phase = Phase()
    kept: list[Client] = []
    begun = time.perf_counter()

    async def one(number: int, due: float) -> None:
        stays = number % 4 < 2
        client = kept.pop() if stays and kept else Client(server)
        try:
            answer = await client.send(picture if number % 5 == 0 else array)
        except OSError as error:
            phase.failed[type(error).__name__] += 1
            return

        if answer.status == 200:
            phase.seconds.append(time.perf_counter() - due)
        else:
            phase.failed[f"status {answer.status}"] += 1

        if stays:
            kept.append(client)
        else:
            client.abort()

    tasks = []
    for number in range(int(seconds * RATE)):
        due = begun + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, due)))

    await asyncio.gather(*tasks)
    for client in kept:
        client.abort()

    return phase


# ---- the slow ones


async def _be_slow(server: Server, kind: str, act: Act, number: int, book: Book) -> None:
    """Be one slow client after the other, until cancelled."""
    await asyncio.sleep(number * ARRIVAL / SLOW)
    while True:
        streams = await _connected(server)
        begun = time.perf_counter()
        try:
            with contextlib.suppress(OSError):
                await act(streams, book)
        finally:
            book.lives[kind].append(time.perf_counter() - begun)
            streams[1].transport.abort()

        await asyncio.sleep(max(DRIP, PAUSE - (time.perf_counter() - begun)))


async def _connected(server: Server) -> Streams:
    """Connect with a small window and segments, so that buffers hold little of an answer."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    await asyncio.get_running_loop().sock_connect(connection, (server.host, server.port))
    return await asyncio.open_connection(sock=connection)


async def _is_silent(streams: Streams, _: Book) -> None:
    with contextlib.suppress(OSError):
        await streams[0].read()


async def _drips_head(streams: Streams, book: Book) -> None:
    await _drip(streams, b"GET / HTTP/1.1\r\nX: ", book)


async def _drips_body(streams: Streams, book: Book) -> None:
    await _drip(streams, BODY, book)


async def _drip(streams: Streams, first: bytes, book: Book) -> None:
    streams[1].write(first)
    closed = asyncio.ensure_future(_is_silent(streams, book))
    try:
        while not closed.done():
            await asyncio.wait([closed], timeout=DRIP)
            streams[1].write(b"x")
    finally:
        closed.cancel()


async def _never_reads(streams: Streams, book: Book) -> None:
    """Ask for about what the buffers hold, or more, and take none of it.

    Only the system's table shows when the service lets go.
    """
    streams[1].transport.pause_reading()  # type: ignore[attr-defined]
    port = streams[1].get_extra_info("sockname")[1]
    looked = book.looked
    streams[1].write(request("GET", "/page/page.css") * ANSWERS[port % len(ANSWERS)])
    while book.looked < looked + 2 or port in book.held:
        await asyncio.sleep(DRIP)


async def _look(server: Server, book: Book) -> None:
    while True:
        book.held = await asyncio.to_thread(server.held)
        book.looked += 1
        await asyncio.sleep(2 * DRIP)


async def _hangs_up_halfway(streams: Streams, book: Book) -> None:
    streams[1].write(BODY + b"half")
    streams[1].write_eof()
    await _is_silent(streams, book)


KINDS: dict[str, Act] = {
    "silent": _is_silent,
    "drips a head": _drips_head,
    "drips a body": _drips_body,
    "never reads": _never_reads,
    "hangs up halfway": _hangs_up_halfway,
}
CHECKS = (
    Check(
        slow,
        f"0 failures, p99 at most {TIMES} x, no slow client kept longer than {LONGEST:g} s",
        no_deadline,
    ),
)
