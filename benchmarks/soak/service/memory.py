"""A long run of everything that clients do, in which memory and descriptors must not grow."""

import asyncio
import random
import time
from collections import Counter

import numpy as np
from PIL import Image

from benchmarks.common import encoded
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import leak
from benchmarks.soak.service.harness import Client, Server
from benchmarks.soak.service.hostile import counted, mutant, originals
from benchmarks.soak.service.samples import (
    FORM,
    digits,
    field,
    form,
    infer_request,
    read_request,
    request,
)

CLIENTS = 8
WARM_UP = 0.1  # of the requests, before memory is looked at
GROWTH = 15 << 20  # bytes
LONGEST = 480.0  # seconds; what has not been sent by then will not be
SAMPLES = 10  # of memory, in the run
SPOILT = 0.1  # of the requests
VANISHING = 0.03
PAGES = "/ /page/page.js /page/page.css /healthz /readyz /metrics /v2 /v2/models/default /nothing"


def memory(trial: Trial) -> Outcome:
    """Send pictures, arrays, forms, pages and spoilt requests, and vanish, eight clients at a time.

    Requests come without a pause, pictures in several sizes.
    """
    most = trial.choose(300_000, 5_000)
    warm = int(WARM_UP * most)
    with Server(trial) as server:
        asyncio.run(_send_each(server))
        asyncio.run(_send(server, range(warm)))
        before = _settled(server)
        statuses, samples = asyncio.run(_send(server, range(warm, most)))
        after = _settled(server)

    grown = (after[0] - before[0]) / 2**20
    more = after[1] - before[1]
    failures = [f"{number:,} x {status}" for status, number in statuses.items() if status >= 500]
    if grown > GROWTH / 2**20:
        failures.append(f"{grown:.1f} MiB more than after the first tenth")

    if more:
        failures.append(f"{more:+} descriptors")

    result = f"{grown:+.1f} MiB, {more:+} descriptors"
    held = ", ".join(f"{sample / 2**20:.0f}" for sample in (before[0], *samples))
    details = (
        f"MiB of `memory` after a tenth of the requests and ten times from there: {held}. "
        f"Statuses: {counted(statuses, 'vanished')}."
    )
    return Outcome(f"{statuses.total():,} requests", result, failures, details)


def _settled(server: Server) -> tuple[int, int]:
    """Return memory and descriptors when all clients are gone."""
    time.sleep(1)
    return server.rss(), server.descriptors()


def _plan() -> list[tuple[float, list[bytes]]]:
    """Return what is sent how often, in parts of all requests."""
    images = np.stack([field()] * 64)
    sheet = np.pad(digits("0123456789", 40.0), ((200, 300), (50, 60)), constant_values=255)
    blank = np.full((2000, 3000), 255, np.uint8)
    colour = Image.fromarray(digits("61850")).convert("RGB")
    small = encoded(255 - field())
    reads = [
        read_request(small),
        read_request(),
        read_request(encoded(digits(), "GIF")),
        read_request(encoded(colour, "JPEG")),
        read_request(encoded(colour, "WEBP")),
        read_request(form(('name="file"; filename="a.png"', small)), FORM),
        request("POST", "/v1/read?explain=true", encoded(digits()), "image/png"),
    ]
    arrays = [
        infer_request(images[:1]),
        infer_request(images[:3]),
        infer_request(images[:1], id="a"),
    ]
    inside = request("POST", "/v1/inside", field().tobytes(), "application/octet-stream")
    return [
        (0.10, reads),
        (0.001, [read_request(encoded(sheet))]),
        (0.001, [read_request(encoded(blank))]),
        (0.30, arrays),
        (0.003, [infer_request(images)]),
        (0.45, [request("GET", page) for page in PAGES.split()]),
        (0.005, [request("GET", "/openapi.json")]),
        (0.001, [inside]),
    ]


async def _send_each(server: Server) -> None:
    """Send everything good from every client, lest what is rare comes first after the warm-up."""
    everything = [sent for _, requests in _plan() for sent in requests]
    everything += [request(good.method, good.path, good.body, good.kind) for good in originals()]

    async def each() -> None:
        async with Client(server) as client:
            for sent in everything:
                await client.send(sent)

    await asyncio.gather(*(each() for _ in range(CLIENTS)))


async def _send(server: Server, span: range) -> tuple[Counter[int], list[int]]:
    """Send requests with these numbers; return the statuses, and memory in between."""
    statuses: Counter[int] = Counter()
    samples: list[int] = []
    until = time.monotonic() + LONGEST
    numbers = iter(span)
    shares, bodies = zip(*_plan(), strict=True)

    async def some(chance: random.Random) -> None:
        async with Client(server) as client:
            for number in numbers:
                if (number - span.start) % (len(span) // SAMPLES) == 0:
                    samples.append(server.rss())

                draw = chance.random()
                planned = chance.choice(chance.choices(bodies, shares)[0])
                sent = mutant(number).sent if draw < SPOILT else planned
                statuses[await _one(client, sent, draw, chance)] += 1
                if time.monotonic() > until:
                    return

    await asyncio.gather(*(some(random.Random(f"{span.start}-{i}")) for i in range(CLIENTS)))
    return statuses, samples


async def _one(client: Client, sent: bytes, draw: float, chance: random.Random) -> int:
    """Return the status; 0 for a client that vanished and for an unfinished spoilt request."""
    if SPOILT <= draw < SPOILT + VANISHING:
        if not client.kept:
            await client.connect()

        client.writer.write(sent[: chance.randrange(len(sent) + 1)])
        await asyncio.sleep(0)
        client.abort()
        return 0

    try:
        status = (await client.send(sent, 0.5 if draw < SPOILT else 30.0)).status
    except OSError:
        return 0

    if draw < SPOILT:
        client.abort()

    return status


CHECKS = (
    Check(
        memory,
        f"at most {GROWTH >> 20} MiB after the first tenth, descriptors constant",
        leak,
    ),
)
