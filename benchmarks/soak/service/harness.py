"""The service in a process of its own, and a client that may send it any bytes.

The service has the first processor to itself, checks and load have the last one; where there is
only one, they share it. Memory and descriptors are read from /proc.
"""

import asyncio
import contextlib
import http.client
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import on_processors, processors
from benchmarks.soak.frame import Died, Trial
from benchmarks.soak.service.samples import request

PROCESSORS = processors() or [0]
START = 60.0  # seconds until the service has to be ready
PATIENCE = 30.0  # seconds until an answer has to be there


# ---- the service


class Server:
    """A running service with the fault of a trial planted, killed at the end in any case.

    `with Server(trial, "--model", "tiny") as server:` is ready when it is entered. Raises
    RuntimeError where it does not start.
    """

    host: str
    port: int
    folder: Path | None = None  # where Python looks for the package first; None for this one

    def __init__(self, trial: Trial, *arguments: object) -> None:
        start = ["inkdigits", "serve"]
        if trial.fault:
            start = ["benchmarks.soak.service.faults", trial.fault.__name__]

        self._command = [sys.executable, "-m", *start, "--port", "0", *map(str, arguments)]

    def __enter__(self) -> "Server":
        self._said = tempfile.TemporaryFile()
        with on_processors(PROCESSORS[:1]):
            self.process = subprocess.Popen(
                self._command, stdout=self._said, stderr=self._said, cwd=self.folder
            )

        try:
            self._await_readiness()
        except BaseException:
            self.__exit__()
            raise

        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

        self.process.wait()
        self._said.close()

    def _await_readiness(self) -> None:
        until = time.monotonic() + START
        while not self._is_ready():
            if not self.alive or time.monotonic() > until:
                raise RuntimeError(f"the service did not become ready: {self.stderr}")

            time.sleep(0.01)

    def _is_ready(self) -> bool:
        found = re.search(r"http://([^/\s]+):(\d+)/", self.stderr)
        if not found:
            return False

        self.host = found[1]
        self.port = int(found[2])
        client = http.client.HTTPConnection(self.host, self.port, timeout=START)
        with contextlib.closing(client):
            client.request("GET", "/readyz")
            return client.getresponse().status == 200

    @property
    def stderr(self) -> str:
        """Return what the service has said so far."""
        return os.pread(self._said.fileno(), 1 << 20, 0).decode(errors="replace")

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process.poll() is None

    def rss(self) -> int:
        """Return the bytes of memory that the service holds."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """Return the most bytes that it has held since `forget_peak`."""
        return self._memory("VmHWM")

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used so far."""
        fields = self._proc("stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    async def stop(self, patience: float) -> float:
        """Send SIGTERM, and return the seconds until the exit; not much more than `patience`."""
        begun = time.perf_counter()
        self.process.terminate()
        while self.alive and time.perf_counter() < begun + patience:
            await asyncio.sleep(0.005)

        return time.perf_counter() - begun

    def forget_peak(self) -> None:
        """Let `peak` begin anew."""
        self._proc("clear_refs").write_text("5")

    def descriptors(self) -> int:
        """Count the file descriptors that are open."""
        return sum(1 for _ in self._proc("fd").iterdir())

    def held(self) -> set[int]:
        """Return the ports of the clients whose connections the service has open.

        What it has closed may still be on its way to them.
        """
        # Two addresses, six more columns, and the inode, which is 0 once the service has closed it.
        row = rf"^ *\d+: \w+:{self.port:04X} \w+:(\w+) (?:\S+ +){{6}}[1-9]"
        table = self._proc("net/tcp").read_text()
        return {int(port, 16) for port in re.findall(row, table, re.MULTILINE)}

    async def metric(self, name: str) -> float:
        """Return a counter or gauge without `inkdigits_` in front; 0 where it was never counted."""
        text = (await send_alone(self, request("GET", "/metrics"))).body.decode()
        found = re.search(rf"^inkdigits_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def _memory(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", self._proc("status").read_text())
        if found is None:  # a dead process has nothing but its name
            raise Died(self.stderr[-300:])

        return int(found[1]) << 10

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.process.pid}/{name}")


# ---- a client


@dataclass(frozen=True)
class Answer:
    """What came back. seconds: from the first byte sent to the last one received."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Client:
    """One connection, which stays open from answer to answer and sends any bytes.

    Raises OSError: ConnectionError where it was closed on us, TimeoutError where nothing came.
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
        """Open the connection."""
        self.reader, self.writer = await asyncio.open_connection(
            self._server.host, self._server.port
        )
        self.kept = True

    def abort(self) -> None:
        """Close at once; what was on its way is thrown away."""
        self.writer.transport.abort()
        self.kept = False

    async def send(self, sent: bytes, patience: float = PATIENCE) -> Answer:
        """Send any bytes and return the answer, over a new connection if the last was closed."""
        if not self.kept:
            await self.connect()
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(patience):
                self.writer.write(sent)
                return await self.answer(begun)
        except BaseException:
            self.abort()
            raise

    async def answer(self, begun: float) -> Answer:
        """Receive the next answer. begun: since when to count, by time.perf_counter()."""
        status = 100
        while 100 <= status < 200:
            head = await self._received(self.reader.readuntil(b"\r\n\r\n"))
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            status = int(first.split(" ", 2)[1])
        fields = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in fields}
        self.kept = "close" not in headers.get("connection", "")
        length = headers.get("content-length")
        if status in (204, 304):
            receiving = self.reader.readexactly(0)
        elif length is None:
            receiving = self.reader.read()
        else:
            receiving = self.reader.readexactly(int(length))

        body = await self._received(receiving)
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


async def send_alone(server: Server, sent: bytes) -> Answer:
    """Send any bytes over a new connection."""
    async with Client(server) as client:
        return await client.send(sent)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the least value that at least this share do not exceed; NaN where there are none."""
    ordered = list(values)
    return float(np.quantile(ordered, share, method="inverted_cdf")) if ordered else math.nan
