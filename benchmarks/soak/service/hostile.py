"""Thousands of requests with something wrong, each made from a good one by a seeded mutator, through a real socket.

Mutant number n is the same in every run with the same versions of Pillow and Python: `hostile.mutant(n)` shows what failed.
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

from benchmarks.soak.service.harness import (
    Answer,
    Check,
    Client,
    Outcome,
    Serve,
    Server,
    percentile,
    request,
)
from benchmarks.soak.service.samples import FORM, INFER, READ, digits, encoded, field, form, tensor

SEED = 2
REQUESTS, REQUESTS_QUICK = 20_000, 1_000
CLIENTS = 4  # at once: fewer than may wait, so that nothing is refused for being too much
SLOWEST = 1.0  # seconds
STILL_WAITING = 0.5  # seconds without an answer, after which a spoilt head may count as one that the service waits for the rest of
GIVES_AWAY = re.compile(
    rb'Traceback|File "|\.py\b|site-packages|/(usr|home|root|work|tmp|opt|proc)/|\bat 0x[0-9a-f]{6}'
)
LIKELY = (
    b"\0",
    b"\1",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\r\n",
    b"--edge",
)
TOKENS = (
    b"1e999",
    b"NaN",
    b"-1",
    b"256",
    b"0.5",
    b'"a"',
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"[[[[",
    b"9" * 400,
    b'"\\ud800"',
    b"\xff",
)


@dataclass(frozen=True)
class Mutant:
    """A spoilt request. whole: whether its head is as it should be, so that an answer has to come."""

    method: str
    path: str
    kind: str
    body: bytes
    sent: bytes = b""
    whole: bool = True


@cache
def originals() -> list[Mutant]:
    """Good requests of every kind."""
    grey = Image.fromarray(digits())
    clear = Image.fromarray(np.dstack([np.zeros((*digits().shape, 3), np.uint8), 255 - digits()]))
    small = Image.fromarray(255 - field())
    turned = Image.Exif()
    turned[0x0112] = 6
    pictures = {
        "image/png": [
            encoded(grey),
            encoded(small),
            encoded(clear),
            encoded(grey.convert("P")),
            encoded(grey, exif=turned),
        ],
        "image/jpeg": [
            encoded(grey, "JPEG"),
            encoded(grey.convert("RGB"), "JPEG", progressive=True, exif=turned),
        ],
        "image/gif": [
            encoded(grey, "GIF"),
            encoded(small, "GIF", save_all=True, append_images=[small.rotate(90), small]),
        ],
        "image/webp": [encoded(grey, "WEBP"), encoded(clear, "WEBP", lossless=True)],
        "image/bmp": [encoded(grey, "BMP"), encoded(small.convert("1"), "BMP")],
        "image/tiff": [encoded(small, "TIFF", compression="tiff_lzw")],
        "image/x-portable-anymap": [encoded(small, "PPM")],
    }
    reads = [
        Mutant("POST", READ, kind, body) for kind, bodies in pictures.items() for body in bodies
    ]
    forms = [form(('name="note"', b"hello"), ('name="file"; filename="a.png"', encoded(small)))]
    forms.append(form(('name="file"', encoded(grey, "JPEG"))))
    images = np.stack([field()] * 2)
    asked = [
        tensor(images),
        tensor(images, data=images.tolist()) | {"id": "1"},
        tensor(field()[None]),
    ]
    return [
        *reads,
        *(Mutant("POST", READ, FORM, body) for body in forms),
        Mutant("POST", "/v1/inside", "application/octet-stream", field().tobytes()),
        *(Mutant("POST", INFER, "application/json", json.dumps(body).encode()) for body in asked),
    ]


def mutant(number: int) -> Mutant:
    """Number n of the endless row."""
    rng = random.Random(f"{SEED}-{number}")
    spoilt = rng.choice(originals())
    if rng.random() < 0.9:
        spoilt = replace(
            spoilt, body=_spoil(spoilt.body, rng, tokens=spoilt.kind == "application/json")
        )
    if rng.random() < 0.15:
        spoilt = replace(
            spoilt,
            kind=rng.choice(
                [*{original.kind for original in originals()}, "", "text/plain", FORM[:-4], ";;;"]
            ),
        )
    if rng.random() < 0.1:
        spoilt = rng.choice((_other_path, _other_method, _other_query))(spoilt, rng)
    return _with_bytes(spoilt, rng)


def _spoil(body: bytes, rng: random.Random, tokens: bool) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        ways = [
            _flip,
            _overwrite,
            _number,
            _cut,
            _leave_out,
            _repeat,
            _swap,
            _graft,
            *([_token] * 4 if tokens else []),
        ]
        body = rng.choice(ways)(body or b"\0", rng)
    return body


def _flip(body: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(body))
    return body[:place] + bytes([body[place] ^ 1 << rng.randrange(8)]) + body[place + 1 :]


def _overwrite(body: bytes, rng: random.Random) -> bytes:
    place, new = rng.randrange(len(body)), rng.choice((*LIKELY, rng.randbytes(rng.randrange(1, 9))))
    return body[:place] + new + body[place + len(new) :]


def _number(body: bytes, rng: random.Random) -> bytes:
    """A length, a side or a count, which mostly lie near the beginning, becomes one that is a little or very wrong."""
    width, order = rng.choice((2, 4)), rng.choice(("little", "big"))
    place = rng.randrange(min(len(body), rng.choice((64, 1 << 20))))
    value = int.from_bytes(body[place : place + width], order)  # type: ignore[arg-type]
    value = rng.choice(
        (value + 1, value - 1, 2 * value, value << 8, value >> 8, 1 << rng.randrange(32))
    ) % (1 << 8 * width)
    return body[:place] + value.to_bytes(width, order) + body[place + width :]  # type: ignore[arg-type]


def _cut(body: bytes, rng: random.Random) -> bytes:
    return body[: rng.randrange(len(body))]


def _slice(body: bytes, rng: random.Random) -> tuple[int, int]:
    begin = rng.randrange(len(body))
    return begin, min(len(body), begin + rng.choice((1, 2, 4, 16, 64, 512)))


def _leave_out(body: bytes, rng: random.Random) -> bytes:
    begin, end = _slice(body, rng)
    return body[:begin] + body[end:]


def _repeat(body: bytes, rng: random.Random) -> bytes:
    begin, end = _slice(body, rng)
    return body[:end] + body[begin:end] * rng.choice((1, 1, 2, 50)) + body[end:]


def _swap(body: bytes, rng: random.Random) -> bytes:
    begin, end = _slice(body, rng)
    middle = (begin + end) // 2
    return body[:begin] + body[middle:end] + body[begin:middle] + body[end:]


def _graft(body: bytes, rng: random.Random) -> bytes:
    """The end of another body."""
    other = rng.choice(originals()).body
    return body[: rng.randrange(len(body))] + other[rng.randrange(len(other)) :]


def _token(body: bytes, rng: random.Random) -> bytes:
    """Another value in JSON."""
    values = list(re.finditer(rb'"[^"]*"|-?\d+|[\[\]{}:,]', body[:2000]))
    if not values:
        return _overwrite(body, rng)
    value = rng.choice(values)
    return body[: value.start()] + rng.choice(TOKENS) + body[value.end() :]


def _other_path(spoilt: Mutant, rng: random.Random) -> Mutant:
    paths = (
        READ,
        INFER,
        "/",
        "/v1",
        "/metrics",
        "/v2/models/%00/infer",
        "/page/%ff",
        "/v1/read/..",
        "//v1//read",
        "/" + "x" * 3000,
        "*",
    )
    return replace(spoilt, path=rng.choice(paths))


def _other_method(spoilt: Mutant, rng: random.Random) -> Mutant:
    return replace(
        spoilt,
        method=rng.choice(
            ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "LOCK", "PROPFIND")
        ),
    )


def _other_query(spoilt: Mutant, rng: random.Random) -> Mutant:
    queries = (
        "single=true",
        "explain=true",
        "single=1",
        "single",
        "&&&",
        "%",
        "single=true&single=false",
        "a=%00",
        "x" * 3000,
        "\xff",
    )
    return replace(spoilt, path=f"{spoilt.path}?{rng.choice(queries)}")


def _with_bytes(spoilt: Mutant, rng: random.Random) -> Mutant:
    """As it is sent: mostly with the right length, sometimes in chunks, and now and then with a spoilt head."""
    draw = rng.random()
    sent = request(spoilt.method, spoilt.path, spoilt.body, spoilt.kind)
    if draw < 0.1:
        head = request(
            spoilt.method, spoilt.path, None, spoilt.kind, ["Transfer-Encoding: chunked"]
        )
        sizes = itertools.cycle([rng.randrange(1, 700) for _ in range(3)])
        sent = (
            head
            + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(spoilt.body, sizes))
            + b"0\r\n\r\n"
        )
    if draw < 0.95:
        return replace(spoilt, sent=sent)
    head, _, body = sent.partition(b"\r\n\r\n")
    return replace(spoilt, sent=_spoil(head, rng, tokens=False) + b"\r\n\r\n" + body, whole=False)


def _parts(body: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    while body:
        size = next(sizes)
        yield body[:size]
        body = body[size:]


# ---- what comes back


def hostile(serve: Serve, quick: bool) -> Outcome:
    """Bit flips, cuts, repeats, wrong lengths, types, paths and heads in pictures, forms, JSON and arrays, four at a time."""
    count = REQUESTS_QUICK if quick else REQUESTS
    good = request("POST", READ, encoded(digits()), "image/png")
    with serve() as server:
        before = asyncio.run(_one(server, good))
        statuses, seconds, failures = asyncio.run(_send_all(server, count))
        if not server.alive:
            failures.append(f"it is dead: {server.stderr[-300:]}")
        elif asyncio.run(_one(server, good)).body != before.body:
            failures.append("afterwards, a good picture is read differently")
        if "Traceback" in server.stderr:
            failures.append(f"a traceback in its log: {server.stderr[-300:]}")
    told = ", ".join(
        f"{number:,} x {status or 'more awaited'}" for status, number in sorted(statuses.items())
    )
    faults = sum(number for status, number in statuses.items() if status >= 500)
    times = (
        f"slowest {max(seconds, default=0):.2f} s, p99 {1000 * percentile(seconds, 0.99):.0f} ms"
    )
    result = f"{faults} x 5xx, {len(failures)} failures, {times}"
    wanted = f"0 x 5xx, 0 crashes, every answer within {SLOWEST:g} s and without a trace of where it was made"
    return Outcome(
        not failures,
        f"{count:,} requests",
        result,
        wanted,
        tuple(failures),
        f"Statuses of `hostile`: {told}.",
    )


async def _one(server: Server, sent: bytes) -> Answer:
    async with Client(server) as client:
        return await client.send(sent)


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
                failures.append(
                    f"mutant {number}: {wrong}: {answer.status} {answer.body[:200]!r}, {answer.seconds:.2f} s"
                )
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
    if answer.headers.get("content-type") == "application/json" and GIVES_AWAY.search(answer.body):
        return "gives away what it is made of"
    return None


def _is_error(body: bytes) -> bool:
    try:
        error = json.loads(body)["error"]
        return sorted(error) == ["code", "message"] and all(
            isinstance(value, str) for value in error.values()
        )
    except (ValueError, KeyError, TypeError):
        return False


CHECKS = {"hostile": Check(hostile, "unforeseen_bytes")}
