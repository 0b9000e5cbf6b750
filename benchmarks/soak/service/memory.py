"""A long run of everything that clients do, as fast as it goes. Memory and descriptors stay what they are after the first tenth."""

import asyncio
import json
import random
import time
from collections import Counter

import numpy as np
from PIL import Image

from benchmarks.soak.service.harness import Check, Client, Outcome, Serve, Server, request
from benchmarks.soak.service.hostile import mutant, originals
from benchmarks.soak.service.samples import (
    FORM,
    INFER,
    READ,
    digits,
    encoded,
    field,
    form,
    inference,
    tensor,
)

REQUESTS, REQUESTS_QUICK = 300_000, 5_000
CLIENTS = 8
WARM_UP = 0.1  # of the requests, before memory is looked at
GROWTH = 15 << 20  # bytes
LONGEST = 480.0  # seconds; what has not been sent by then will not be
SAMPLES = 10  # of memory, in the run
Planned = list[tuple[float, list[bytes]]]


def memory(serve: Serve, quick: bool) -> Outcome:
    """Pictures of several sizes, arrays, forms, pages, spoilt requests and vanishing clients, eight at a time without a pause."""
    wanted_count = REQUESTS_QUICK if quick else REQUESTS
    with serve() as server:
        asyncio.run(_send_each(server))
        asyncio.run(_send(server, 0, int(WARM_UP * wanted_count), LONGEST))
        rss, descriptors = _settled(server)
        count, statuses, samples = asyncio.run(
            _send(server, int(WARM_UP * wanted_count), wanted_count, LONGEST)
        )
        grown, more = (
            after - before
            for after, before in zip(_settled(server), (rss, descriptors), strict=True)
        )
    failures = [f"{number:,} x {status}" for status, number in statuses.items() if status >= 500]
    if grown > GROWTH:
        failures.append(f"{grown / 2**20:.1f} MiB more than after the first tenth")
    if more:
        failures.append(f"{more:+} descriptors")
    result = f"{grown / 2**20:+.1f} MiB, {more:+} descriptors"
    wanted = f"at most {GROWTH >> 20} MiB after the first tenth, descriptors constant"
    in_between = ", ".join(f"{sample / 2**20:.0f}" for sample in (rss, *samples))
    told = ", ".join(
        f"{number:,} x {status or 'vanished'}" for status, number in sorted(statuses.items())
    )
    details = f"MiB of `memory` after a tenth of the requests and ten times from there: {in_between}. Statuses: {told}."
    return Outcome(not failures, f"{count:,} requests", result, wanted, tuple(failures), details)


def _settled(server: Server) -> tuple[int, int]:
    """Memory and descriptors when nobody is there."""
    time.sleep(1)
    return server.rss(), server.descriptors()


def _plan() -> Planned:
    """What is sent how often, in parts of all requests."""
    images = np.stack([field()] * 64)
    sheet = np.pad(digits("0123456789", 40.0), ((200, 300), (50, 60)), constant_values=255)
    colour = Image.fromarray(digits("61850")).convert("RGB")
    pictures = [
        encoded(255 - field()),
        encoded(digits()),
        encoded(digits(), "GIF"),
        encoded(colour, "JPEG"),
        encoded(colour, "WEBP"),
    ]
    reads = [request("POST", READ, body, "image/png") for body in pictures]
    reads.append(request("POST", READ, form(('name="file"; filename="a.png"', pictures[0])), FORM))
    reads.append(request("POST", f"{READ}?explain=true", pictures[1], "image/png"))
    arrays = [
        inference(field()[None]),
        inference(images[:3]),
        json.dumps(tensor(images[:1]) | {"id": "a"}).encode(),
    ]
    pages = (
        "/",
        "/page/page.js",
        "/page/page.css",
        "/healthz",
        "/readyz",
        "/metrics",
        "/v2",
        "/v2/models/default",
        "/nothing",
    )
    return [
        (0.10, reads),
        (0.001, [request("POST", READ, encoded(sheet), "image/png")]),
        (
            0.001,
            [request("POST", READ, encoded(np.full((2000, 3000), 255, np.uint8)), "image/png")],
        ),
        (0.30, [request("POST", INFER, body, "application/json") for body in arrays]),
        (0.003, [request("POST", INFER, inference(images), "application/json")]),
        (0.45, [request("GET", page) for page in pages]),
        (0.005, [request("GET", "/openapi.json")]),
        (0.001, [request("POST", "/v1/inside", field().tobytes(), "application/octet-stream")]),
    ]


SPOILT, VANISHING = 0.1, 0.03  # of the requests; the rest is planned


async def _send_each(server: Server) -> None:
    """Everything good, from every client: what is rare would else come for the first time long after the warm-up."""
    everything = [sent for _, requests in _plan() for sent in requests]
    everything += [request(good.method, good.path, good.body, good.kind) for good in originals()]

    async def each() -> None:
        async with Client(server) as client:
            for sent in everything:
                await client.send(sent)

    await asyncio.gather(*(each() for _ in range(CLIENTS)))


async def _send(
    server: Server, begin: int, end: int, longest: float
) -> tuple[int, Counter[int], list[int]]:
    """How many were sent, the statuses of the answers, and memory in between."""
    statuses: Counter[int] = Counter()
    samples: list[int] = []
    plan, until, numbers = _plan(), time.monotonic() + longest, iter(range(begin, end))
    shares, bodies = [share for share, _ in plan], [requests for _, requests in plan]

    async def some(rng: random.Random) -> None:
        async with Client(server) as client:
            for number in numbers:
                if (number - begin) % ((end - begin) // SAMPLES) == 0:
                    samples.append(server.rss())
                draw = rng.random()
                sent = (
                    mutant(number).sent
                    if draw < SPOILT
                    else rng.choice(rng.choices(bodies, shares)[0])
                )
                statuses[await _one(client, sent, draw, rng)] += 1
                if time.monotonic() > until:
                    return

    await asyncio.gather(*(some(random.Random(f"{begin}-{i}")) for i in range(CLIENTS)))
    return statuses.total(), statuses, samples


async def _one(client: Client, sent: bytes, draw: float, rng: random.Random) -> int:
    """The status; 0 where the client vanished, or the service waits for more of a spoilt request."""
    if SPOILT <= draw < SPOILT + VANISHING:
        if not client.kept:
            await client.connect()
        client.writer.write(sent[: rng.randrange(len(sent) + 1)])
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


CHECKS = {"memory": Check(memory, "leak")}
