"""Bad inputs by name, each with its one answer; and bombs, which must be cheap to refuse."""

import asyncio
import statistics
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.common import encoded, table, table_row
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.bad_inputs import BadInput, bad_inputs
from benchmarks.soak.service.faults import limits_after_decoding, path_in_answers
from benchmarks.soak.service.harness import Answer, Server, send_alone
from benchmarks.soak.service.promises import bmp, gif, jpeg, passes, png, tiff, webp, zeros
from benchmarks.soak.service.samples import (
    FORM,
    INFER,
    JSON,
    READ,
    digits,
    field,
    form,
    infer_request,
    read_request,
    request,
)

LEAST = 80  # named inputs
BOMB_SECONDS = 0.005
BOMB_BYTES = 8 << 20
KINDS = ("PNG", "GIF", "WEBP", "BMP", "TIFF", "JPEG")


def named(trial: Trial) -> Outcome:
    """Send every named bad input over a connection of its own; compare the answers word for word.

    Status, code and message are compared.
    """
    inputs = bad_inputs()
    with Server(trial) as server:
        answers = asyncio.run(_answers(server, inputs))

    wrong = [
        f"{bad.name}: {answer}"
        for bad, answer in zip(inputs, answers, strict=True)
        if isinstance(answer, OSError) or not bad.refusal.matches(answer.status, answer.body)
    ]
    result = f"{len(inputs) - len(wrong)} as promised"
    if len({bad.name for bad in inputs}) < LEAST:
        wrong.append(f"fewer than {LEAST} inputs")

    rows = (
        (bad.name, bad.refusal.status, f"`{bad.refusal.code}`", bad.refusal.message)
        for bad in inputs
    )
    shown = table(("bad input", "status", "code", "message"), rows)
    return Outcome(f"{len(inputs)} inputs", result, wrong, "\n".join(shown))


async def _answers(server: Server, inputs: list[BadInput]) -> list[Answer | OSError]:
    return [await _answer(server, bad.sent) for bad in inputs]


async def _answer(server: Server, sent: bytes) -> Answer | OSError:
    try:
        return await send_alone(server, sent)
    except OSError as error:
        return error


# ---- bombs


@dataclass(frozen=True)
class Bomb:
    """A small body that promises a large one. kind: its content type."""

    name: str
    body: bytes
    kind: str = "image/png"
    path: str = READ


def bombs(trial: Trial) -> Outcome:
    """Send pictures, forms and JSON that promise far more than they hold, five times each.

    The time to the refusal and the memory at its peak are measured.
    """
    rows = []
    failures = []
    with Server(trial) as server:
        made = list(_bombs(trial.choose(30_000, 9_000), trial.choose(1000, 20)))
        costs = asyncio.run(_costs(server, made))

    for bomb, (status, seconds, growth) in zip(made, costs, strict=True):
        mebibytes = f"{growth / 2**20:.1f}"
        rows.append((bomb.name, f"{len(bomb.body):,}", status, f"{1000 * seconds:.1f}", mebibytes))
        is_cheap = seconds <= BOMB_SECONDS and growth <= BOMB_BYTES
        if not 400 <= status < 500 or not is_cheap:
            failures.append(table_row(rows[-1]))

    _, slowest, largest = map(max, zip(*costs, strict=True))
    refused = f"{len(costs) - len(failures)} refused so"
    result = f"{refused}; at most {1000 * slowest:.1f} ms, {largest / 2**20:.1f} MiB"
    shown = table(("bomb", "bytes", "status", "ms", "MiB"), rows)
    return Outcome(f"{len(costs)} bombs", result, failures, "\n".join(shown))


async def _costs(server: Server, made: list[Bomb]) -> list[tuple[int, float, int]]:
    """Return each bomb's status, the median of its seconds, and the most bytes that it took."""
    for kind in KINDS:  # what is loaded with the first picture of a kind is not the bomb's doing
        await send_alone(server, read_request(encoded(digits(), kind)))

    await send_alone(server, read_request(form(('name="file"', encoded(digits()))), FORM))
    await send_alone(server, infer_request(field()[None]))
    return [await _cost(server, bomb) for bomb in made]


async def _cost(server: Server, bomb: Bomb) -> tuple[int, float, int]:
    sent = request("POST", bomb.path, bomb.body, bomb.kind)
    statuses = []
    seconds = []
    growths = []
    for _ in range(5):
        server.forget_peak()
        before = server.rss()
        answer = await _answer(server, sent)
        statuses.append(answer.status if isinstance(answer, Answer) else 0)
        seconds.append(answer.seconds if isinstance(answer, Answer) else float("inf"))
        growths.append(server.peak() - before)

    return statuses[-1], statistics.median(seconds), max(growths)


def _bombs(side: int, scans: int) -> Iterator[Bomb]:
    text = b"zTXt", b"a\0\0" + zeros(1 << 28)
    profile = b"iCCP", b"a\0\0" + zeros(1 << 28)
    animation = b"acTL", struct.pack(">II", 1 << 30, 0)
    parts = form(*((f'name="f{i}"', b"x") for i in range(10_000)))
    yield Bomb(f"PNG, {side} x {side} zeros", png(side, side, 0, zeros(side * (side + 1))))
    yield Bomb("PNG, 65535 x 65535 with transparency", png(65535, 65535, 6))
    yield Bomb("PNG, a text of 256 MiB packed", png(28, 28, 0, b"", text))
    yield Bomb("PNG, a colour profile of 256 MiB packed", png(28, 28, 0, b"", profile))
    yield Bomb("animated PNG, 20000 x 20000", png(20_000, 20_000, 0, b"", animation))
    yield Bomb("GIF, 65535 x 65535", gif(65535, 65535, 1))
    yield Bomb("animated GIF, 10000 x 10000, 1,000 frames", gif(10_000, 10_000, 1000))
    yield Bomb("BMP, 2147483647 x 2147483647", bmp(2**31 - 1, 2**31 - 1))
    yield Bomb("WebP, 16384 x 16384", webp(16384, 16384))
    yield Bomb("animated WebP, 16384 x 16384", webp(16384, 16384, 2))
    yield Bomb("TIFF, 65535 x 65535", tiff(65535, 65535))
    yield Bomb("JPEG, 65500 x 65500", jpeg(65500, 65500))
    yield Bomb("progressive JPEG, 8000 x 8000", jpeg(8000, 8000, progressive=True))
    yield Bomb("progressive JPEG, 8000 x 8000, 1,000 passes", passes(8000, scans))
    yield Bomb("form of 10,000 parts", parts, FORM)
    yield Bomb("form, a part of 100,000 headers", b"--edge\r\n" + b"A: x\r\n" * 100_000, FORM)
    yield Bomb("JSON, 1,000,000 brackets", b"[" * 1_000_000, JSON, INFER)
    yield Bomb("JSON, a number of 1,000,000 digits", b"1" * 1_000_000, JSON, INFER)


CHECKS = (
    Check(named, f"all, at least {LEAST}", path_in_answers),
    Check(
        bombs,
        f"all refused within {1000 * BOMB_SECONDS:g} ms and {BOMB_BYTES >> 20} MiB",
        limits_after_decoding,
    ),
)
