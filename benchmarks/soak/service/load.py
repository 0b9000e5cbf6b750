"""Requests over kept connections: at times fixed beforehand, or each as soon as one is answered.

In open loop a latency counts from the moment when its request was due, even if it could not be
sent then: a server that stands still makes everyone wait who came meanwhile. Protocols are raw and
bytes are made beforehand, so that one core loads the other.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from benchmarks.common import encoded, spread
from benchmarks.soak.service.harness import percentile
from benchmarks.soak.service.samples import digits, read_request
from inkdigits.reading.page.single import single

try:
    import uvloop
except ImportError:  # Windows; asyncio's own loop is half as fast
    uvloop = None  # type: ignore[assignment]

PATIENCE = 15.0  # seconds after the last request; what is not answered then will never be
ESTABLISHED = 1  # of TCP_INFO: the other side has not closed

Result = TypeVar("Result")


@dataclass
class Load:
    """What became of the requests.

    Attributes:
        seconds: how long it lasted.
        answers: when each request was due, in seconds from the beginning, its latency, its status.
        failures: requests without a whole answer by kind: refused (no server listened), closed
            (the server had closed the connection before it was sent), lost (sent whole to an open
            connection, or its answer was cut off), silent (nothing within PATIENCE).
        without_retry_after: 503s without that header.
        late: seconds by which the generator itself missed a due time.
    """

    seconds: float
    answers: list[tuple[float, float, int]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    without_retry_after: int = 0
    late: list[float] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """Count the answers of each status."""
        return Counter(status for _, _, status in self.answers)

    @property
    def rate(self) -> float:
        """Return the requests answered with 200 before the end, per second."""
        ends = [due + taken for due, taken, status in self.answers if status == 200]
        return sum(end <= self.seconds for end in ends) / self.seconds

    def latency(self, share: float, status: int = 200) -> float:
        """Return a quantile of the latencies in seconds, infinite where none was answered."""
        taken = [taken for _, taken, found in self.answers if found == status]
        return percentile(taken, share) if taken else float("inf")

    def between(self, begin: float, end: float) -> "Load":
        """Return the requests that were due in this span."""
        answers = [
            (due - begin, taken, status)
            for due, taken, status in self.answers
            if begin <= due < end
        ]
        return Load(end - begin, answers, self.failures, self.without_retry_after, self.late)


@cache
def picture_request() -> bytes:
    """Return a request to read a digit as MNIST has it, as a PNG."""
    return read_request(encoded(single(digits("7"))))


class _Connection(asyncio.Protocol):
    """One kept connection with at most one request on its way."""

    def __init__(self, run: "_Run") -> None:
        self.run = run
        self.due: float | None = None
        self.open = False  # to the server, when the last request had been sent
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.socket = transport.get_extra_info("socket")

    def send(self, due: float) -> None:
        self.due = due
        self.transport.write(self.run.request)
        if self.run.careful:  # loopback has delivered it by now, or has had it refused
            self.open = (
                self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
            )

    def data_received(self, data: bytes) -> None:
        data = self.received + data if self.received else data
        head = data.find(b"\r\n\r\n")
        length = data.find(b"content-length: ", 0, head)
        if head < 0 or len(data) < head + 4 + int(data[length + 16 : data.index(b"\r", length)]):
            self.received = data
            return
        self.received = b""
        self.run.answered(self, data, head)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.run.lost(self)


class _Run:
    """The connections of a load, and the book of what came back."""

    careful = finished = False

    def __init__(self, port: int, request: bytes, seconds: float) -> None:
        self.port, self.request, self.load = port, request, Load(seconds)
        self.alive: set[_Connection] = set()
        self.on_its_way = 0

    async def connect(self, connections: int) -> None:
        for _ in range(connections):
            connection = await self._connected()
            self.alive.add(connection)

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port))[1]

    def send(self, connection: _Connection, due: float) -> None:
        self.on_its_way += 1
        connection.send(due)

    def answered(self, connection: _Connection, data: bytes, head: int) -> None:
        now = time.perf_counter()
        assert connection.due is not None
        status = int(data[9:12])
        self.load.answers.append((connection.due - self.begun, now - connection.due, status))
        if status == 503 and data.find(b"retry-after: ", 0, head) < 0:
            self.load.without_retry_after += 1
        connection.due = None
        self.on_its_way -= 1
        if data.find(b"connection: close", 0, head) < 0:
            self.free(connection, now)

    def lost(self, connection: _Connection) -> None:
        if self.finished:
            return
        self.alive.discard(connection)
        if connection.due is not None:
            self.on_its_way -= 1
            was_open = connection.open or connection.received or not self.careful
            self.load.failures["lost" if was_open else "closed"] += 1

    def free(self, connection: _Connection, now: float) -> None:
        raise NotImplementedError

    def start(self) -> None:
        self.begun = time.perf_counter()

    async def finish(self) -> Load:
        """Wait for what is still on its way, and close."""
        until = time.perf_counter() + PATIENCE
        while self.on_its_way and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self.load.failures["silent"] += self.on_its_way
        self.finished = True
        for connection in self.alive:
            connection.transport.abort()
        self.load.failures += Counter()  # drops zeros
        return self.load


class _Closed(_Run):
    """Every connection asks again as soon as it is answered."""

    def free(self, connection: _Connection, now: float) -> None:
        if now < self.begun + self.load.seconds:
            self.send(connection, now)


class _Open(_Run):
    """Requests at fixed times, over the connection that has been free for longest.

    Where none is free, the request waits.
    """

    def __init__(
        self,
        port: int,
        request: bytes,
        seconds: float,
        dues: Iterator[float],
        careful: bool,
        stop: asyncio.Event | None,
    ) -> None:
        super().__init__(port, request, seconds)
        self.dues, self.careful, self.stop = dues, careful, stop
        self.idle: deque[_Connection] = deque()
        self.waiting: deque[float] = deque()
        self.reconnecting: set[asyncio.Task[None]] = set()
        self.gone = False  # no server listens any more

    def start(self) -> None:
        super().start()
        self.idle.extend(self.alive)

    async def arrive(self) -> None:
        """Send each request when it is due, and wait until none waits for a connection."""
        for due in itertools.takewhile(lambda due: due < self.load.seconds, self.dues):
            early = due - (time.perf_counter() - self.begun)
            if early > 0:
                await asyncio.sleep(early)
            if self.stop and self.stop.is_set():
                self.load.seconds = due
                break
            self.load.late.append(time.perf_counter() - self.begun - due)
            if self.idle:
                self.send(self.idle.popleft(), self.begun + due)
            elif self.gone:
                self.load.failures["refused"] += 1
            else:
                self.waiting.append(self.begun + due)
        while self.waiting and not self.gone:
            await asyncio.sleep(0.01)

    def free(self, connection: _Connection, now: float) -> None:  # noqa: ARG002
        if self.waiting:
            self.send(connection, self.waiting.popleft())
        else:
            self.idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        super().lost(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if not (self.gone or self.finished):
            task = asyncio.ensure_future(self.reconnect())
            self.reconnecting.add(task)
            task.add_done_callback(self.reconnecting.discard)

    async def reconnect(self) -> None:
        try:
            connection = await self._connected()
        except OSError:
            self.gone = True
            self.load.failures["refused"] += len(self.waiting)
            self.waiting.clear()
            return
        self.alive.add(connection)
        self.free(connection, time.perf_counter())


async def closed_loop(port: int, request: bytes, seconds: float, connections: int) -> Load:
    """Send as many requests as clients can that each wait for their answer."""
    run = _Closed(port, request, seconds)
    await run.connect(connections)
    run.start()
    for connection in list(run.alive):
        run.send(connection, run.begun)
    await asyncio.sleep(seconds)
    return await run.finish()


async def open_loop(
    port: int,
    request: bytes,
    rate: float | Callable[[float], float],
    seconds: float,
    connections: int = 128,
    seed: int = 0,
    careful: bool = False,
    stop: asyncio.Event | None = None,
) -> Load:
    """Send requests at random times.

    Args:
        port: of the server, on this machine.
        request: its bytes.
        rate: requests per second, or a function that returns them at a second.
        seconds: how long.
        connections: that are kept open.
        seed: of the times.
        careful: tell requests that were sent to an open connection from those that came too late;
            needs asyncio's own loop, which sends at once.
        stop: ends it early.
    """
    dues = arrivals(rate if callable(rate) else lambda _: rate, seed)
    run = _Open(port, request, seconds, dues, careful, stop)
    await run.connect(connections)
    run.start()
    await run.arrive()
    return await run.finish()


def arrivals(rate: Callable[[float], float], seed: int) -> Iterator[float]:
    """Yield the seconds at which independent clients come: a Poisson process."""
    rng, now = random.Random(seed), 0.0
    while True:
        now += rng.expovariate(rate(now))
        yield now


def run(work: Coroutine[Any, Any, Result], careful: bool = False) -> Result:
    """Run a coroutine on the fastest loop; careful: on asyncio's own."""
    return asyncio.run(work) if careful or uvloop is None else uvloop.run(work)


def answers(port: int, request: bytes) -> bool:
    """Tell whether the request is answered with 200."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), PATIENCE) as connection,
    ):
        connection.sendall(request)
        return connection.recv(1 << 16)[9:12] == b"200"
    return False


def wait_until(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait for a condition, looking every 5 ms. Raises TimeoutError."""
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"nothing within {patience:g} s")
        time.sleep(0.005)


# ---- what is said of it


def quantile(loads: Iterable[Load], share: float, status: int = 200) -> str:
    """Return a quantile of the latencies in ms, with its spread over the rounds."""
    return spread((load.latency(share, status) for load in loads), ".1f", 1e-3)


def unlike(load: Load, *statuses: int) -> list[str]:
    """Return in words what came back beside these statuses."""
    others = {status: count for status, count in load.statuses.items() if status not in statuses}
    return [f"{count} x {what}" for what, count in (*others.items(), *load.failures.items())]
