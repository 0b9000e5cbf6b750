"""Bad inputs by name, each with its one answer; and bombs, which must cost no more than their refusal."""

import asyncio
import statistics
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.soak.service.bad_inputs import BadInput, bad_inputs
from benchmarks.soak.service.harness import (
    Answer,
    Check,
    Client,
    Outcome,
    Serve,
    Server,
    ask,
    request,
)
from benchmarks.soak.service.promises import bmp, gif, jpeg, passes, png, tiff, webp, zeros
from benchmarks.soak.service.samples import (
    FORM,
    INFER,
    READ,
    digits,
    encoded,
    field,
    form,
    inference,
)

LEAST = 80  # named inputs
BOMB_SECONDS, BOMB_BYTES = 0.005, 8 << 20


def named(serve: Serve, quick: bool) -> Outcome:  # noqa: ARG001 (takes a second)
    """Every named bad input over a connection of its own, the status, code and message compared word for word."""
    inputs = bad_inputs()
    with serve() as server:
        answers = asyncio.run(_answers(server, inputs))
    wrong = [
        f"{bad.name}: {answer}"
        for bad, answer in zip(inputs, answers, strict=True)
        if not _is_right(bad, answer)
    ]
    passed = not wrong and len({bad.name for bad in inputs}) >= LEAST
    result = f"{len(inputs) - len(wrong)} as promised"
    return Outcome(
        passed,
        f"{len(inputs)} inputs",
        result,
        f"all, at least {LEAST}",
        tuple(wrong),
        _table(inputs),
    )


async def _answers(server: Server, inputs: list[BadInput]) -> list[Answer | OSError]:
    answers: list[Answer | OSError] = []
    for bad in inputs:
        try:
            async with Client(server) as client:
                answers.append(await client.send(bad.sent))
        except OSError as error:
            answers.append(error)
    return answers


def _is_right(bad: BadInput, answer: Answer | OSError) -> bool:
    return isinstance(answer, Answer) and bad.refusal.matches(answer.status, answer.body)


def _table(inputs: list[BadInput]) -> str:
    lines = ["| bad input | status | code | message |", "|---|---|---|---|"]
    for bad in inputs:
        refusal = bad.refusal
        lines.append(
            f"| {bad.name} | {refusal.status} | `{refusal.code}` | {refusal.message.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines)


# ---- bombs


@dataclass(frozen=True)
class Bomb:
    """A small body that promises a large one. kind: its content type."""

    name: str
    body: bytes
    kind: str = "image/png"
    path: str = READ


def bombs(serve: Serve, quick: bool) -> Outcome:
    """Pictures, forms and JSON that promise far more than they hold, five times each; time to the refusal, memory at its peak."""
    with serve() as server:
        costs = asyncio.run(_costs(server, list(_bombs(quick))))
    lines = ["| bomb | bytes | status | ms | MiB |", "|---|---|---|---|---|"]
    failures = []
    for bomb, answer, seconds, growth in costs:
        status = answer.status if isinstance(answer, Answer) else type(answer).__name__
        line = f"| {bomb.name} | {len(bomb.body):,} | {status} | {1000 * seconds:.1f} | {growth / 2**20:.1f} |"
        lines.append(line)
        refused = isinstance(answer, Answer) and 400 <= answer.status < 500
        if not refused or seconds > BOMB_SECONDS or growth > BOMB_BYTES:
            failures.append(line)
    slowest, largest = max(cost[2] for cost in costs), max(cost[3] for cost in costs)
    result = f"{len(costs) - len(failures)} refused so; at most {1000 * slowest:.1f} ms, {largest / 2**20:.1f} MiB"
    wanted = f"all refused within {1000 * BOMB_SECONDS:g} ms and {BOMB_BYTES >> 20} MiB"
    return Outcome(
        not failures, f"{len(costs)} bombs", result, wanted, tuple(failures), "\n".join(lines)
    )


async def _costs(
    server: Server, made: list[Bomb]
) -> list[tuple[Bomb, Answer | OSError, float, int]]:
    """Of each bomb the median of its seconds and the most memory that it took."""
    for kind in (
        "PNG",
        "GIF",
        "WEBP",
        "BMP",
        "TIFF",
        "JPEG",
    ):  # what is loaded with the first picture of a kind is no bomb's doing
        await ask(server, "POST", READ, encoded(digits(), kind), "image/png")
    await ask(server, "POST", READ, form(('name="file"', encoded(digits()))), FORM)
    await ask(server, "POST", INFER, inference(field()[None]), "application/json")
    costs = []
    for bomb in made:
        sent, seconds, growth = request("POST", bomb.path, bomb.body, bomb.kind), [], 0
        answer: Answer | OSError = OSError()
        for _ in range(5):
            server.forget_peak()
            before = server.rss()
            try:
                answer = await _one(server, sent)
            except OSError as error:
                answer = error
            seconds.append(answer.seconds if isinstance(answer, Answer) else float("inf"))
            growth = max(growth, server.peak() - before)
        costs.append((bomb, answer, statistics.median(seconds), growth))
    return costs


async def _one(server: Server, sent: bytes) -> Answer:
    async with Client(server) as client:
        return await client.send(sent)


def _bombs(quick: bool) -> Iterator[Bomb]:
    side = 9_000 if quick else 30_000
    yield Bomb(f"PNG, {side} x {side} zeros", png(side, side, 0, zeros(side * (side + 1))))
    yield Bomb("PNG, 65535 x 65535 with transparency", png(65535, 65535, 6))
    yield Bomb(
        "PNG, a text of 256 MiB packed", png(28, 28, 0, b"", (b"zTXt", b"a\0\0" + zeros(1 << 28)))
    )
    yield Bomb(
        "PNG, a colour profile of 256 MiB packed",
        png(28, 28, 0, b"", (b"iCCP", b"a\0\0" + zeros(1 << 28))),
    )
    yield Bomb(
        "animated PNG, 20000 x 20000",
        png(20_000, 20_000, 0, b"", (b"acTL", struct.pack(">II", 1 << 30, 0))),
    )
    yield Bomb("GIF, 65535 x 65535", gif(65535, 65535, 1), "image/gif")
    yield Bomb("animated GIF, 10000 x 10000, 1,000 frames", gif(10_000, 10_000, 1000), "image/gif")
    yield Bomb("BMP, 2147483647 x 2147483647", bmp(2**31 - 1, 2**31 - 1), "image/bmp")
    yield Bomb("WebP, 16384 x 16384", webp(16384, 16384), "image/webp")
    yield Bomb("animated WebP, 16384 x 16384", webp(16384, 16384, 2), "image/webp")
    yield Bomb("TIFF, 65535 x 65535", tiff(65535, 65535), "image/tiff")
    yield Bomb("JPEG, 65500 x 65500", jpeg(65500, 65500), "image/jpeg")
    yield Bomb("progressive JPEG, 8000 x 8000", jpeg(8000, 8000, progressive=True), "image/jpeg")
    yield Bomb(
        "progressive JPEG, 8000 x 8000, 1,000 passes",
        passes(8000, 20 if quick else 1000),
        "image/jpeg",
    )
    yield Bomb("form of 10,000 parts", form(*((f'name="f{i}"', b"x") for i in range(10_000))), FORM)
    yield Bomb("form, a part of 100,000 headers", b"--edge\r\n" + b"A: x\r\n" * 100_000, FORM)
    yield Bomb("JSON, 1,000,000 brackets", b"[" * 1_000_000, "application/json", INFER)
    yield Bomb("JSON, a number of 1,000,000 digits", b"1" * 1_000_000, "application/json", INFER)


CHECKS = {"named": Check(named, "path_in_answers"), "bombs": Check(bombs, "limits_after_decoding")}
