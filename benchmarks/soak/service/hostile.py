"""Thousands of spoilt requests, each made from a good one by a seeded mutator.

Mutant number n is the same in every run with the same versions of Pillow and Python:
`hostile.mutant(n)` shows what failed.
"""

import asyncio
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image

from benchmarks.common import encoded
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.mutations import BLIND_CHANGES, change_blindly
from benchmarks.soak.service.faults import unforeseen_bytes
from benchmarks.soak.service.harness import (
    Answer,
    Client,
    Server,
    percentile,
    send_alone,
)
from benchmarks.soak.service.samples import (
    FORM,
    INFER,
    JSON,
    READ,
    digits,
    field,
    form,
    read_request,
    request,
    tensor,
)

SEED = 2
CLIENTS = 4  # at once: fewer than may wait, so that nothing is refused for being too much
SLOWEST = 1.0  # seconds
STILL_WAITING = 0.5  # seconds without an answer, after which a spoilt head may count as unfinished
TIMES = (1, 1, 1, 2, 4, 16)  # changes to one body
GIVES_AWAY = re.compile(
    rb'Traceback|File "|\.py\b|site-packages|/(usr|home|root|work|tmp|opt|proc)/|\bat 0x[0-9a-f]{6}'
)
TOKENS = [*rb'1e999 NaN -1 256 0.5 "a" null true [] {} [[[[ "\ud800"'.split(), b"9" * 400, b"\xff"]
METHODS = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "LOCK", "PROPFIND"]
PATHS = [
    "/",
    "/v1",
    "/metrics",
    "/v2/models/%00/infer",
    "/page/%ff",
    "/v1/read/..",
    "//v1//read",
    "*",
]
QUERIES = [
    "single=true",
    "explain=true",
    "single=1",
    "single",
    "&&&",
    "%",
    "single=true&single=false",
    "a=%00",
    "ÿ",
]


@dataclass(frozen=True)
class Request:
    """A request before and after it is spoilt.

    whole: whether its head is as it should be, so that an answer has to come.
    """

    method: str
    path: str
    kind: str
    body: bytes
    sent: bytes = b""
    whole: bool = True


@cache
def originals() -> list[Request]:
    """Return good requests of every kind."""
    grey = Image.fromarray(digits())
    clear = Image.fromarray(np.dstack([np.zeros((*digits().shape, 3), np.uint8), 255 - digits()]))
    small = Image.fromarray(255 - field())
    frames = [small.rotate(90), small]
    turned = Image.Exif()
    turned[0x0112] = 6
    pictures = [
        encoded(grey),
        encoded(small),
        encoded(clear),
        encoded(grey.convert("P")),
        encoded(grey, exif=turned),
        encoded(grey, "JPEG"),
        encoded(grey.convert("RGB"), "JPEG", progressive=True, exif=turned),
        encoded(grey, "GIF"),
        encoded(small, "GIF", save_all=True, append_images=frames),
        encoded(grey, "WEBP"),
        encoded(clear, "WEBP", lossless=True),
        encoded(grey, "BMP"),
        encoded(small.convert("1"), "BMP"),
        encoded(small, "TIFF", compression="tiff_lzw"),
        encoded(small, "PPM"),
    ]
    images = np.stack([field()] * 2)
    forms = [
        form(('name="note"', b"hello"), ('name="file"; filename="a.png"', encoded(small))),
        form(('name="file"', encoded(grey, "JPEG"))),
    ]
    arrays = [
        tensor(images),
        tensor(images, data=images.tolist()) | {"id": "1"},
        tensor(images[:1]),
    ]
    return [
        *(Request("POST", READ, "image/png", body) for body in pictures),
        *(Request("POST", READ, FORM, body) for body in forms),
        Request("POST", "/v1/inside", "application/octet-stream", field().tobytes()),
        *(Request("POST", INFER, JSON, json.dumps(body).encode()) for body in arrays),
    ]


def mutant(number: int) -> Request:
    """Return spoilt request number n of an endless row."""
    chance = random.Random(f"{SEED}-{number}")
    spoilt = chance.choice(originals())
    if chance.random() < 0.9:
        changes = BODY_CHANGES + [_put_token] * 4 * (spoilt.kind == JSON)
        body = change_blindly(chance, spoilt.body, changes, TIMES)
        spoilt = replace(spoilt, body=body)

    if chance.random() < 0.15:
        kinds = {original.kind for original in originals()}
        others = [*sorted(kinds), "", "text/plain", FORM[:-4], ";;;"]
        spoilt = replace(spoilt, kind=chance.choice(others))

    if chance.random() < 0.1:
        spoilt = _ask_otherwise(chance, spoilt)

    return _with_bytes(chance, spoilt)


def _graft(chance: random.Random, data: bytearray, place: int) -> None:
    """Replace the end by that of another body."""
    other = chance.choice(originals()).body
    data[place:] = other[chance.randrange(len(other)) :]


def _put_token(chance: random.Random, data: bytearray, _: int) -> None:
    """Put another value into JSON."""
    values = list(re.finditer(rb'"[^"]*"|-?\d+|[\[\]{}:,]', data[:2000]))
    if values:
        value = chance.choice(values)
        data[value.start() : value.end()] = chance.choice(TOKENS)


BODY_CHANGES = [*BLIND_CHANGES, _graft]


def _ask_otherwise(chance: random.Random, spoilt: Request) -> Request:
    """Change the path, the method or the query."""
    what = chance.randrange(3)
    if what == 0:
        return replace(spoilt, path=chance.choice([READ, INFER, *PATHS, "/" + "x" * 3000]))
    if what == 1:
        return replace(spoilt, method=chance.choice(METHODS))

    query = chance.choice([*QUERIES, "x" * 3000])
    return replace(spoilt, path=f"{spoilt.path}?{query}")


def _with_bytes(chance: random.Random, spoilt: Request) -> Request:
    """Add what is sent: mostly of the right length, at times in chunks or with a spoilt head."""
    draw = chance.random()
    sent = request(spoilt.method, spoilt.path, spoilt.body, spoilt.kind)
    if draw < 0.1:
        coding = ["Transfer-Encoding: chunked"]
        head = request(spoilt.method, spoilt.path, None, spoilt.kind, coding)
        sizes = itertools.cycle([chance.randrange(1, 700) for _ in range(3)])
        chunks = (b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(spoilt.body, sizes))
        sent = head + b"".join(chunks) + b"0\r\n\r\n"

    if draw < 0.95:
        return replace(spoilt, sent=sent)

    head, end, body = sent.partition(b"\r\n\r\n")
    head = change_blindly(chance, head, BODY_CHANGES, TIMES)
    return replace(spoilt, sent=head + end + body, whole=False)


def _parts(body: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    while body:
        size = next(sizes)
        yield body[:size]
        body = body[size:]


# ---- what comes back


def hostile(trial: Trial) -> Outcome:
    """Flip bits, cut, repeat, and spoil lengths, types, paths and heads, four requests at a time.

    They are pictures, forms, JSON and arrays.
    """
    count = trial.choose(20_000, 1_000)
    good = read_request()
    with Server(trial) as server:
        before = asyncio.run(send_alone(server, good))
        statuses, seconds, failures = asyncio.run(_send_all(server, count))
        if not server.alive:
            failures.append(f"it is dead: {server.stderr[-300:]}")
        elif asyncio.run(send_alone(server, good)).body != before.body:
            failures.append("afterwards, a good picture is read differently")

        if "Traceback" in server.stderr:
            failures.append(f"a traceback in its log: {server.stderr[-300:]}")

    faults = sum(number for status, number in statuses.items() if status >= 500)
    slowest = max(seconds, default=0)
    times = f"slowest {slowest:.2f} s, p99 {1000 * percentile(seconds, 0.99):.0f} ms"
    result = f"{faults} x 5xx, {len(failures)} failures, {times}"
    details = f"Statuses of `hostile`: {counted(statuses, 'more awaited')}."
    return Outcome(f"{count:,} requests", result, failures, details)


def counted(statuses: Counter[int], without: str) -> str:
    """Return how often each status came. without: the name of status 0, which is none."""
    return ", ".join(
        f"{number:,} x {status or without}" for status, number in sorted(statuses.items())
    )


async def _send_all(server: Server, count: int) -> tuple[Counter[int], list[float], list[str]]:
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    failures: list[str] = []
    numbers = iter(range(count))

    async def send_some() -> None:
        client = Client(server)
        for number in numbers:
            spoilt = mutant(number)
            try:
                answer = await client.send(spoilt.sent, 30.0 if spoilt.whole else STILL_WAITING)
            except OSError as error:
                if spoilt.whole or isinstance(error, ConnectionRefusedError):
                    failures.append(f"mutant {number}: {type(error).__name__} {error}")

                statuses[0] += 1
                continue

            statuses[answer.status] += 1
            seconds.append(answer.seconds)
            if wrong := _wrong_with(answer):
                told = f"{answer.status} {answer.body[:200]!r}, {answer.seconds:.2f} s"
                failures.append(f"mutant {number}: {wrong}: {told}")

            if not spoilt.whole and client.kept:
                client.abort()  # what is left of it would be taken for the next request

    await asyncio.gather(*(send_some() for _ in range(CLIENTS)))
    return statuses, seconds, failures


def _wrong_with(answer: Answer) -> str | None:
    if answer.status >= 500:
        return "a fault of the service"
    if answer.seconds > SLOWEST:
        return "too slow"
    if answer.status >= 400 and answer.body and not _is_error(answer.body):
        return "an error of another shape"
    if answer.headers.get("content-type") == JSON and GIVES_AWAY.search(answer.body):
        return "gives away what it is made of"
    return None


def _is_error(body: bytes) -> bool:
    try:
        error = json.loads(body)["error"]
        values = map(type, error.values())
        return sorted(error) == ["code", "message"] and set(values) == {str}
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


CHECKS = (
    Check(
        hostile,
        f"0 x 5xx, 0 crashes, every answer within {SLOWEST:g} s and without a trace of where it "
        "was made",
        unforeseen_bytes,
    ),
)
