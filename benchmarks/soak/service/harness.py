"""What every check of the soak needs: the service in a process of its own, a client that may send any bytes, and an outcome.

The service has the first processor to itself, checks and load have the last one; where there is only one, they share it.
Memory and descriptors are read from /proc. Knows nothing of what is checked.
"""

import asyncio
import contextlib
import http.client
import importlib.metadata
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FAULTS = "benchmarks.soak.service.faults"
PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
START = 60.0  # seconds until the service has to be ready
PATIENCE = 30.0  # seconds until an answer has to be there
LIBRARIES = (
    "uvicorn",
    "httptools",
    "uvloop",
    "starlette",
    "python-multipart",
    "pillow",
    "numpy",
    "onnxruntime",
)
MARKERS = "<!-- {} -->\n", "<!-- /{} -->"


# ---- the service


class Dead(Exception):
    """The service has come to an end that it was not asked for."""


class Server:
    """A running service, killed at the end whatever happens. fault: start it with this one of `faults` planted.

    `with Server("--model", "tiny") as server:` is ready when it is entered. Raises RuntimeError where it does not start.
    """

    host: str
    port: int

    def __init__(
        self,
        *arguments: object,
        fault: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        start = ["-m", "inkdigits", "serve"] if fault is None else ["-m", FAULTS, fault]
        self._command = [sys.executable, *start, "--port", "0", *map(str, arguments)]
        self._environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> "Server":
        self._said = tempfile.TemporaryFile()
        with on_processors(PROCESSORS[:1]):
            self.process = subprocess.Popen(
                self._command, stdout=self._said, stderr=self._said, env=self._environment
            )
        try:
            self.host, port = self._until_said(r"http://([^/\s]+):(\d+)/")
            self.port = int(port)
            self._until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._said.close()

    def _until_said(self, wanted: str) -> tuple[str, ...]:
        until = time.monotonic() + START
        while not (found := re.search(wanted, self.stderr)):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the service did not start: {self.stderr}")
            time.sleep(0.01)
        return found.groups()

    def _until_ready(self) -> None:
        until = time.monotonic() + START
        while (status := self._readiness()) != 200:
            if time.monotonic() > until:
                raise RuntimeError(f"the service did not become ready: status {status}")
            time.sleep(0.01)

    def _readiness(self) -> int:
        client = http.client.HTTPConnection(self.host, self.port, timeout=START)
        with contextlib.closing(client):
            client.request("GET", "/readyz")
            return client.getresponse().status

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return os.pread(self._said.fileno(), 1 << 20, 0).decode(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def rss(self) -> int:
        """Bytes of memory that it holds."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """The most bytes that it has held since `forget_peak`."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 (only their number matters)

    def terminate(self, patience: float = 30.0) -> tuple[int, float]:
        """SIGTERM: its exit status, and the seconds that it took. Raises subprocess.TimeoutExpired."""
        begun = time.perf_counter()
        self.process.terminate()
        status = self.process.wait(patience)
        return status, time.perf_counter() - begun

    def held(self) -> set[int]:
        """The ports of the clients whose connections it has open; what it has closed may still be on its way to them."""
        rows = [
            line.split() for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
        ]
        return {
            int(row[2][9:], 16)
            for row in rows
            if int(row[1][9:], 16) == self.port and row[9] != "0"
        }

    async def metric(self, name: str) -> float:
        """The value of a counter or gauge, without `inkdigits_` in front; 0 where it was never counted."""
        text = (await ask(self, "GET", "/metrics")).body.decode()
        found = re.search(rf"^inkdigits_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def _memory(self, name: str) -> int:
        found = re.search(
            rf"^{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE
        )
        if found is None:  # of a dead process there is nothing but its name
            raise Dead(self.stderr[-300:])
        return int(found[1]) << 10


Serve = Callable[..., Server]  # Server, or Server with a fault planted


@contextlib.contextmanager
def on_processors(processors: Collection[int]) -> Iterator[None]:
    """What runs in here, and what is started here, has these processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# ---- a client


@dataclass(frozen=True)
class Answer:
    """What came back. seconds: from the first byte sent to the last one received."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Client:
    """One connection, which stays open from answer to answer. Sends whatever bytes it is given.

    Raises OSError (ConnectionError where it was closed on us, TimeoutError where nothing came).
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.kept = False  # whether the next request can go the same way

    async def __aenter__(self) -> "Client":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(
            self._server.host, self._server.port
        )
        self.kept = True

    def abort(self) -> None:
        """Gone at once: what was on its way is thrown away."""
        self.writer.transport.abort()
        self.kept = False

    async def send(self, sent: bytes, patience: float = PATIENCE) -> Answer:
        """Any bytes, and the answer to them. Connects again where the last answer closed the connection."""
        if not self.kept:
            await self.connect()
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(patience):
                self.writer.write(sent)
                return await self.answer(begun, to_head=sent.startswith(b"HEAD "))
        except BaseException:
            self.abort()
            raise

    async def answer(self, begun: float, to_head: bool = False) -> Answer:
        """The next answer. begun: since when to count, by time.perf_counter()."""
        status = 100
        while 100 <= status < 200:
            head = await self._received(self.reader.readuntil(b"\r\n\r\n"))
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            status = int(first.split(" ", 2)[1])
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        self.kept = "close" not in headers.get("connection", "")
        length = headers.get("content-length")
        if to_head or status in (204, 304):
            body = b""
        else:
            body = await self._received(
                self.reader.read() if length is None else self.reader.readexactly(int(length))
            )
        if not self.kept:
            self.writer.close()
        return Answer(status, headers, body, time.perf_counter() - begun)

    async def _received(self, receiving: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            return await receiving
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionResetError(
                "the connection was closed before the answer was whole"
            ) from error


def request(
    method: str, path: str, body: bytes | None = None, kind: str = "", headers: Iterable[str] = ()
) -> bytes:
    """The bytes of a request. kind: its content type; headers: whole lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: soak", *headers]
    if kind:
        lines.append(f"Content-Type: {kind}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (body or b"")


async def ask(
    server: Server, method: str, path: str, body: bytes | None = None, kind: str = ""
) -> Answer:
    """One request over a new connection."""
    async with Client(server) as client:
        return await client.send(request(method, path, body, kind))


# ---- what comes out


@dataclass(frozen=True)
class Outcome:
    """What a check found. n: how much was tried; result, wanted: as the table shows them; details: Markdown to go below it."""

    passed: bool
    n: str
    result: str
    wanted: str
    failures: tuple[str, ...] = ()
    details: str = ""


@dataclass(frozen=True)
class Check:
    """A check, and the planted fault that it must catch. run's first line of documentation says what is done.

    run: (serve, quick) -> Outcome; it starts its servers by `with serve(...) as server`.
    """

    run: Callable[[Serve, bool], Outcome]
    fault: str


def percentile(values: Iterable[float], share: float) -> float:
    """The least value that at least this share of them do not exceed. Not a number where there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def machine() -> str:
    """When, where and with what the figures were measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{date}, {processor}, {len(PROCESSORS)} cores, python {platform.python_version()}, {versions}"


def read_between(path: Path, name: str) -> str:
    """The text between the two markers of that name, nothing where there are none."""
    begin, end = (marker.format(name) for marker in MARKERS)
    return (
        (path.read_text() if path.is_file() else "")
        .partition(begin)[2]
        .partition(end)[0]
        .strip("\n")
    )


def write_between(path: Path, name: str, text: str) -> None:
    """Put a text between the two markers of that name; both are added at the end where there are none."""
    begin, end = (marker.format(name) for marker in MARKERS)
    before, found, rest = (path.read_text() if path.is_file() else "# Reliability\n").partition(
        begin
    )
    after = rest.partition(end)[2] if found else "\n"
    path.write_text(f"{before.rstrip(chr(10))}\n\n{begin}\n{text.strip(chr(10))}\n\n{end}{after}")
