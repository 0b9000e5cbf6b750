"""Clients that vanish at every stage of a request. Nothing of them may be left behind."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.soak.service.harness import Check, Outcome, Serve, Server, ask, request
from benchmarks.soak.service.samples import INFER, READ, digits, encoded, field, inference

CLIENTS, CLIENTS_QUICK = 3_000, 300
AT_ONCE = 20
SETTLED = 10.0  # seconds in which everything of them has to be gone
PROMISED = b"POST /v1/read HTTP/1.1\r\nHost: soak\r\nContent-Type: image/png\r\n"


def aborts(serve: Serve, quick: bool) -> Outcome:
    """Clients that vanish after connecting, in a head, after it, in a body, in a chunk, while waiting, and while answered."""
    count = CLIENTS_QUICK if quick else CLIENTS
    good = request("POST", READ, encoded(digits()), "image/png")
    with serve() as server:
        stages = list(_stages(good))
        asyncio.run(
            _vanish(server, stages, len(stages) * 5)
        )  # what is loaded with the first of a kind
        asyncio.run(_left_behind(server, None))
        descriptors = server.descriptors()
        asyncio.run(_vanish(server, stages, count))
        left = asyncio.run(_left_behind(server, descriptors))
        read = asyncio.run(ask(server, "POST", READ, encoded(digits()), "image/png")).status == 200
    failures = [f"left behind: {number:+g} {what}" for what, number in left.items() if number]
    failures += [] if read else ["afterwards, a good picture is not read"]
    result = "nothing left behind" if not any(left.values()) else "; ".join(failures)
    wanted = "no bytes held, nobody waiting, descriptors as before, pictures read"
    return Outcome(
        not failures, f"{count:,} clients, {len(stages)} stages", result, wanted, tuple(failures)
    )


def _stages(good: bytes) -> Iterator[tuple[bytes, float]]:
    """What is sent before the client vanishes, and after how many seconds it does at most."""
    large = np.random.default_rng(0).bytes(300_000)
    yield b"", 0.01
    yield good[:20], 0.01
    yield PROMISED + b"Content-Length: 100000\r\n\r\n", 0.01
    yield PROMISED + b"Content-Length: 1000000\r\n\r\n" + large, 0.05
    yield PROMISED + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", 0.01
    yield PROMISED + b"Transfer-Encoding: chunked\r\n\r\n40000\r\n" + large[:1000], 0.01
    yield good[:-1], 0.01
    yield good, 0.0
    yield good, 0.03
    yield good * 5, 0.02
    yield request("POST", INFER, inference(np.stack([field()] * 200)), "application/json"), 0.05
    yield request("GET", "/openapi.json") * 20, 0.01


async def _vanish(server: Server, stages: list[tuple[bytes, float]], count: int) -> None:
    rng = random.Random(1)
    plan = iter([(*stages[i % len(stages)], rng.random(), i % 3) for i in range(count)])

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
    except OSError:  # it was quicker
        pass
    finally:
        connection.close()


async def _left_behind(server: Server, before: int | None) -> dict[str, float]:
    """What is there still; where it is known how many there were before, the descriptors that have come on top."""
    until = time.monotonic() + SETTLED
    while True:
        left = {
            name: await server.metric(name)
            for name in ("held_bytes", "waiting", "idle_connections")
        }
        await asyncio.sleep(0.2)
        left["descriptors"] = 0 if before is None else server.descriptors() - before
        if not any(left.values()) or time.monotonic() > until:
            return left


CHECKS = {"aborts": Check(aborts, "descriptor_kept")}
