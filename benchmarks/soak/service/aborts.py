"""Clients that vanish at every stage of a request and must leave nothing behind."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import descriptor_kept
from benchmarks.soak.service.harness import Server, send_alone
from benchmarks.soak.service.samples import field, infer_request, read_request, request

AT_ONCE = 20
SETTLED = 10.0  # seconds in which everything of them has to be gone
GAUGES = ("held_bytes", "waiting", "idle_connections")
HEAD = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def aborts(trial: Trial) -> Outcome:
    """Let clients vanish after connecting, in or after a head, in a body or chunk, or waiting.

    Some vanish while they are answered.
    """
    count = trial.choose(3_000, 300)
    stages = list(_stages(read_request()))
    with Server(trial) as server:
        asyncio.run(_vanish(server, stages, len(stages) * 5))  # loads what the first of a kind does
        asyncio.run(_left_behind(server, None))
        descriptors = server.descriptors()
        asyncio.run(_vanish(server, stages, count))
        left = asyncio.run(_left_behind(server, descriptors))
        status = asyncio.run(send_alone(server, read_request())).status

    failures = [f"left behind: {number:+g} {what}" for what, number in left.items() if number]
    result = "; ".join(failures) or "nothing left behind"
    if status != 200:
        failures.append("afterwards, a good picture is not read")

    return Outcome(f"{count:,} clients, {len(stages)} stages", result, failures)


def _stages(good: bytes) -> Iterator[tuple[bytes, float]]:
    """Yield what is sent before a client vanishes, and the most seconds until it does."""
    large = np.random.default_rng(0).bytes(300_000)
    yield b"", 0.01
    yield good[:20], 0.01
    yield HEAD + b"Content-Length: 100000\r\n\r\n", 0.01
    yield HEAD + b"Content-Length: 1000000\r\n\r\n" + large, 0.05
    yield CHUNKED + b"4\r\nabcd\r\n", 0.01
    yield CHUNKED + b"40000\r\n" + large[:1000], 0.01
    yield good[:-1], 0.01
    yield good, 0.0
    yield good, 0.03
    yield good * 5, 0.02
    yield infer_request(np.stack([field()] * 200)), 0.05
    yield request("GET", "/openapi.json") * 20, 0.01


async def _vanish(server: Server, stages: list[tuple[bytes, float]], count: int) -> None:
    chance = random.Random(1)
    plan = iter([(*stages[i % len(stages)], chance.random(), i % 3) for i in range(count)])

    async def some() -> None:
        for sent, seconds, share, manner in plan:
            await _one(server, sent, seconds * share, manner)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def _one(server: Server, sent: bytes, seconds: float, manner: int) -> None:
    """Send, wait, vanish. manner: 0 closes, 1 resets, 2 closes only its own direction first."""
    connection = socket.socket()
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(connection, (server.host, server.port))
        await asyncio.wait_for(loop.sock_sendall(connection, sent), 5)
        await asyncio.sleep(seconds)
        if manner == 1:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif manner == 2:
            connection.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0.002)
    except OSError:  # the service was quicker
        pass
    finally:
        connection.close()


async def _left_behind(server: Server, before: int | None) -> dict[str, float]:
    """Return what is left of the clients, as soon as nothing is or SETTLED seconds are over.

    before: the number of descriptors that were open before, where that is known.
    """
    until = time.monotonic() + SETTLED
    while True:
        left = {name: await server.metric(name) for name in GAUGES}
        await asyncio.sleep(0.2)
        if before is not None:
            left["descriptors"] = server.descriptors() - before

        if not any(left.values()) or time.monotonic() > until:
            return left


CHECKS = (
    Check(
        aborts,
        "no bytes held, no request waiting, descriptors as before, pictures read",
        descriptor_kept,
    ),
)
