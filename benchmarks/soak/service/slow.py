"""Hundreds of clients that are silent, drip, never read or hang up halfway, while others ask as ever.

Each kind of slow client starts anew as soon as the service has got rid of it, so that their number stays what it is.
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from dataclasses import field as made_by

from benchmarks.soak.service.harness import (
    Check,
    Client,
    Outcome,
    Serve,
    Server,
    percentile,
    request,
)
from benchmarks.soak.service.samples import INFER, READ, encoded, field, inference

SLOW = 500  # sockets
RATE = 100  # honest requests a second
SECONDS, SECONDS_QUICK = (15.0, 60.0, 15.0), (4.0, 24.0, 4.0)  # before them, with them, after them
LONGEST = 21.0  # seconds until the service has got rid of one; its own patience is 10, and as long again for one that asks on
TIMES = 2  # as long may the slowest hundredth of honest requests take
LEAST_P99 = 0.002  # seconds; below it, two measurements differ by more than that anyway
DRIP = 0.5  # seconds between two bytes
PAUSE = 5.0  # seconds between the beginnings of one and of the next in its place
ARRIVAL = 3.0  # seconds in which the slow ones come
ANSWERS = (
    8,
    30,
)  # of 8 kB each, that those who never read ask for; about twelve fill the buffers on the way

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Book:
    """What became of the slow ones.

    lives: seconds that each lasted, until the service or the end of the check ended it, by kind.
    held: ports of the connections that the service had open when it was last looked at; looked: how often that was.
    """

    lives: dict[str, list[float]] = made_by(default_factory=dict)
    held: set[int] = made_by(default_factory=set)
    looked: int = 0


def slow(serve: Serve, quick: bool) -> Outcome:
    """500 sockets that are silent, drip a head or a body, never read or hang up halfway, beside 100 requests a second."""
    with serve() as server:
        phases, book, most = asyncio.run(_measure(server, SECONDS_QUICK if quick else SECONDS))
    (before, with_them, after), failures = phases, Counter[str]()
    for _, failed in phases:
        failures += failed
    usual = percentile(before[0] + after[0], 0.99)
    p99 = percentile(with_them[0], 0.99)
    longest = {kind: max(values) for kind, values in sorted(book.lives.items())}
    wrong = [f"{number} honest requests: {what}" for what, number in failures.items()]
    if p99 > TIMES * max(usual, LEAST_P99):
        wrong.append(f"p99 {1000 * p99:.1f} ms instead of {1000 * usual:.1f} ms")
    wrong += [
        f"{kind}: the service kept one for {seconds:.0f} s"
        for kind, seconds in longest.items()
        if seconds > LONGEST
    ]
    honest = sum(len(seconds) + failed.total() for seconds, failed in phases)
    result = (
        f"{failures.total()} failures; p99 {1000 * p99:.1f} ms, without them {1000 * usual:.1f} ms"
    )
    wanted = f"0 failures, p99 at most {TIMES} x, no slow client kept longer than {LONGEST:g} s"
    kinds = "; ".join(
        f"{kind} {len(book.lives[kind]):,}, {seconds:.1f} s" for kind, seconds in longest.items()
    )
    details = f"Slow clients by kind, how many there were, how long the service kept one at most: {kinds}. {most} descriptors at the end."
    return Outcome(
        not wrong, f"{honest:,} requests, {SLOW} sockets", result, wanted, tuple(wrong), details
    )


Act = Callable[[Streams, Book], Awaitable[None]]
Phase = tuple[list[float], Counter[str]]  # seconds of what was answered; what went wrong, how often


async def _measure(
    server: Server, seconds: tuple[float, float, float]
) -> tuple[list[Phase], Book, int]:
    before = await _ask_steadily(server, seconds[0])
    book = Book()
    kinds = list(KINDS.items())
    slow_ones = [
        asyncio.create_task(_be_slow(server, *kinds[i % len(kinds)], i, book)) for i in range(SLOW)
    ]
    looking = asyncio.create_task(_look(server, book))
    await asyncio.sleep(ARRIVAL + 1)
    with_them = await _ask_steadily(server, seconds[1])
    descriptors = server.descriptors()
    for task in (*slow_ones, looking):
        task.cancel()
    await asyncio.gather(*slow_ones, looking, return_exceptions=True)
    await asyncio.sleep(1)
    return [before, with_them, await _ask_steadily(server, seconds[2])], book, descriptors


async def _ask_steadily(server: Server, seconds: float) -> Phase:
    """Four arrays and a picture of 28x28 in turn, at fixed times, half of them over connections that stay open, half over new ones.

    Seconds count from when a request was due.
    """
    picture = request("POST", READ, encoded(255 - field()), "image/png")
    array = request("POST", INFER, inference(field()[None]), "application/json")
    taken: list[float] = []
    failed = Counter[str]()
    kept: list[Client] = []
    begun = time.perf_counter()

    async def one(number: int) -> None:
        due = begun + number / RATE
        stays = number % 4 < 2
        client = kept.pop() if stays and kept else Client(server)
        try:
            answer = await client.send(picture if number % 5 == 0 else array)
        except OSError as error:
            failed[type(error).__name__] += 1
            return
        if answer.status == 200:
            taken.append(time.perf_counter() - due)
        else:
            failed[f"status {answer.status}"] += 1
        if stays:
            kept.append(client)
        else:
            client.abort()

    tasks = []
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    for client in kept:
        client.abort()
    return taken, failed


# ---- the slow ones


async def _be_slow(server: Server, kind: str, act: Act, number: int, book: Book) -> None:
    """One after the other, until cancelled."""
    await asyncio.sleep(number * ARRIVAL / SLOW)
    while True:
        streams = await _connected(server)
        begun = time.perf_counter()
        try:
            with contextlib.suppress(OSError):
                await act(streams, book)
        finally:
            book.lives.setdefault(kind, []).append(time.perf_counter() - begun)
            streams[1].transport.abort()
        await asyncio.sleep(max(DRIP, PAUSE - (time.perf_counter() - begun)))


async def _connected(server: Server) -> Streams:
    """With a small window and small segments, so that little of an answer fits into the buffers on the way."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    await asyncio.get_running_loop().sock_connect(connection, (server.host, server.port))
    return await asyncio.open_connection(sock=connection)


async def _is_silent(streams: Streams, _: Book) -> None:
    await _until_closed(streams)


async def _until_closed(streams: Streams) -> None:
    with contextlib.suppress(OSError):
        await streams[0].read()


async def _drips_head(streams: Streams, _: Book) -> None:
    await _drip(streams, b"GET / HTTP/1.1\r\nX: ")


async def _drips_body(streams: Streams, _: Book) -> None:
    await _drip(streams, b"POST /v1/read HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n")


async def _drip(streams: Streams, first: bytes) -> None:
    streams[1].write(first)
    closed = asyncio.create_task(_until_closed(streams))
    try:
        while not closed.done():
            await asyncio.wait([closed], timeout=DRIP)
            streams[1].write(b"x")
    finally:
        closed.cancel()


async def _never_reads(streams: Streams, book: Book) -> None:
    """Asks for about what the buffers hold, or more, and takes none of it; only the system's table shows when it is let go."""
    streams[1].transport.pause_reading()  # type: ignore[attr-defined]
    port, looked = streams[1].get_extra_info("sockname")[1], book.looked
    streams[1].write(
        request("GET", "/page/page.css") * (ANSWERS[0] + port % (ANSWERS[1] - ANSWERS[0]))
    )
    while book.looked < looked + 2 or port in book.held:
        await asyncio.sleep(DRIP)


async def _look(server: Server, book: Book) -> None:
    while True:
        book.held = server.held()
        book.looked += 1
        await asyncio.sleep(2 * DRIP)


async def _hangs_up_halfway(streams: Streams, _: Book) -> None:
    streams[1].write(b"POST /v1/read HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nhalf")
    streams[1].write_eof()
    await _until_closed(streams)


KINDS: dict[str, Act] = {
    "silent": _is_silent,
    "drips a head": _drips_head,
    "drips a body": _drips_body,
    "never reads": _never_reads,
    "hangs up halfway": _hangs_up_halfway,
}
CHECKS = {"slow": Check(slow, "no_deadline")}
