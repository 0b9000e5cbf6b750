"""Ask for what is dear although it is well formed: it is bounded, and costs others nothing.

    python -m benchmarks.soak.dear                          # a quarter of an hour
    python -m benchmarks.soak.dear search --seconds 3600    # look longer for the dearest page
    python -m benchmarks.soak.dear --write docs/reliability.md

Each check runs twice, once with a fault planted. Files and pages are read in processes of their
own, whose CPU time and memory are measured; the service has one processor to itself.
"""

import asyncio
import ctypes
import json
import os
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import encoded, spread, table
from benchmarks.soak.dear_files import dear_files
from benchmarks.soak.dear_pages import Marks
from benchmarks.soak.frame import Check, Outcome, Suite, Trial, child, main, shared
from benchmarks.soak.frame import ending as ending_of
from benchmarks.soak.service.faults import any_pieces, loose_json, one_queue, pages_twelve_times
from benchmarks.soak.service.harness import PROCESSORS, Server, send_alone
from benchmarks.soak.service.lifecycle import WANTED_EXIT
from benchmarks.soak.service.load import Load, closed_loop, open_loop, picture_request, run
from benchmarks.soak.service.samples import INFER, JSON, READ, field, request, tensor
from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.picture_limits import refuse_large
from inkdigits.service.server import give_memory_back

MOST_SECONDS = 1.0  # of CPU, of a picture
MOST_BYTES = 150_000_000
MOST_TIMES = 12  # as long as a plain page of the same size
PATIENCE = 10  # seconds of CPU after which a process is ended

JSON_SECONDS = 0.2  # of CPU, of a megabyte
JSON_BYTES = 50_000_000
HEALTH = 0.05  # seconds until /healthz answers meanwhile
MEGABYTE = 1_000_000

RATE = 100  # digits a second beside pages
BESIDE_P99 = 0.1  # seconds

WAITING_PAGES = 8
WAITING_LOOKS = 30  # inside the network


@dataclass(frozen=True)
class Cost:
    """What reading something took: seconds of CPU, and bytes of memory at its peak."""

    seconds: float
    memory: int

    def row(self, name: str, size: int) -> list[str]:
        """Return the cells of a table."""
        return [name, f"{size:,}", f"{self.seconds:.2f}", f"{self.memory / 1e6:.0f}"]

    @property
    def is_bounded(self) -> bool:
        """Tell whether it is within the bounds."""
        return self.seconds <= MOST_SECONDS and self.memory <= MOST_BYTES


def cost_of(work: Callable[[], object], trial: Trial) -> Cost:
    """Do the work in a process of its own, with the fault planted."""
    figures = (shared_number(), shared_number())

    def measured() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        trial.plant()
        Path("/proc/self/clear_refs").write_text("5")
        before = _memory("VmRSS")
        begun = time.process_time()
        work()
        figures[0].value = round(1e6 * (time.process_time() - begun))
        figures[1].value = _memory("VmHWM") - before

    if ending_of(child(measured)):
        return Cost(float(PATIENCE), 0)
    return Cost(figures[0].value / 1e6, figures[1].value)


def shared_number() -> ctypes.c_int64:
    """Return a number that a child can change."""
    return shared(ctypes.c_int64)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


# ---- files


def files(trial: Trial) -> Outcome:
    """Open files whose pieces are few bytes, up to 32 MB, as the service and the command do.

    Each is refused, or read as quickly; how long that takes is measured.
    """
    rows = []
    failures = []
    costs = []
    builders = dear_files(trial.choose(4_000_000, 2_000_000))
    for name in trial.choose(list(builders), ["JPEG of padding", "GIF of comments"]):
        data = builders[name]()
        cost = cost_of(partial(_refused, data), trial)
        costs.append(cost)
        rows.append(cost.row(name, len(data)))
        if not cost.is_bounded:
            failures.append(" | ".join(rows[-1]))

    slowest = max(cost.seconds for cost in costs)
    largest = max(cost.memory for cost in costs) / 1e6
    result = f"{len(costs) - len(failures)} so; at most {slowest:.2f} s, {largest:.0f} MB"
    shown = table(("file", "bytes", "s of CPU", "MB"), rows)
    return Outcome(f"{len(costs)} files", result, failures, "\n".join(shown))


def _refused(data: bytes) -> None:
    try:
        open_picture(data)
    except BadPicture:
        return


# ---- arrays


def arrays(trial: Trial) -> Outcome:
    """Send a megabyte of JSON of each kind, and ask for /healthz meanwhile.

    CPU time and the memory at its peak are the service's.
    """
    with Server(trial) as server:
        asyncio.run(send_alone(server, _infer(b"[]")))
        costs = {name: _json_cost(server, body) for name, body in _documents()}

    failures = [
        f"{name}: {cost.seconds:.2f} s, {cost.memory / 1e6:.0f} MB, /healthz {1e3 * health:.0f} ms"
        for name, (cost, health) in costs.items()
        if cost.seconds > JSON_SECONDS or cost.memory > JSON_BYTES or health > HEALTH
    ]
    slowest = max(cost.seconds for cost, _ in costs.values())
    largest = max(cost.memory for cost, _ in costs.values()) / 1e6
    waited = 1e3 * max(health for _, health in costs.values())
    result = f"at most {slowest:.2f} s, {largest:.0f} MB; /healthz within {waited:.0f} ms"
    return Outcome(f"{len(costs)} kinds", result, failures)


def _documents() -> Iterator[tuple[str, bytes]]:
    """Yield a megabyte of each kind of JSON."""
    units = ["0", "255", '"a"', '"ab"', "[]", "[0]", "{}", '{"":0}', "1.5", "[[[0]]]"]
    units += ["9" * 4299, "[" * 40 + "]" * 40, '"\\u1234"', "-1", "true"]
    for unit in units:
        values = ",".join([unit] * (MEGABYTE // (len(unit) + 1)))
        yield f"data of {unit[:9]}", _document(f"[{values}]")
        yield f"else of {unit[:9]}", f'{{"else":[{values}]}}'.encode()

    wide = "a" * (MEGABYTE * 9 // 10)
    yield "a wide string among numbers", _document(f'["{wide}"{",0" * (MEGABYTE // 20)}]')
    yield "brackets", b"[" * MEGABYTE
    images = np.zeros((MEGABYTE // 3 // 784, 28, 28), np.uint8)
    yield "black images", _document(str(images.tolist()).replace(" ", ""), len(images))


def _document(data: str, count: int = 1) -> bytes:
    asked = json.dumps(tensor(field()[None], shape=[count, 28, 28], data="DATA"))
    return asked.replace('"DATA"', data).encode()


def _infer(body: bytes) -> bytes:
    return request("POST", INFER, body, JSON)


def _json_cost(server: Server, body: bytes) -> tuple[Cost, float]:
    """Return what a body cost the service, and how long /healthz took at the most meanwhile."""
    server.forget_peak()
    memory = server.rss()
    seconds = server.cpu()
    health = asyncio.run(_health_meanwhile(server, _infer(body)))
    return Cost(server.cpu() - seconds, server.peak() - memory), health


async def _health_meanwhile(server: Server, sent: bytes) -> float:
    asking = asyncio.ensure_future(send_alone(server, sent))
    taken = []
    while not asking.done():
        taken.append((await send_alone(server, request("GET", "/healthz"))).seconds)
        await asyncio.sleep(0.005)

    await asking
    return max(taken)


# ---- others beside it


def beside(trial: Trial) -> Outcome:
    """Send a hundred digits a second beside two dear pages, looks inside and a locked file.

    The pages, 50 clients of /v1/inside and 8 of /v1/feedback ask again as soon as they are
    answered. Then 60 pages at once, and /readyz has to say so.
    """
    seconds = trial.choose(20.0, 4.0)
    page = _dear_page()
    inside = _look_inside()
    digit = picture_request().partition(b"\r\n\r\n")[2]
    correction = request("POST", "/v1/feedback?label=7", digit, "image/png")
    file = trial.folder / "corrections"
    failures: list[str] = []
    shown = []
    with Server(trial, "--collect", file) as server:
        for name, sent, clients in (
            ("two dear pages", page, 2),
            ("50 looks inside", inside, 50),
            ("8 corrections, the file locked", correction, 8),
        ):
            with sqlite3.connect(file, isolation_level=None) as database:
                if sent is correction:
                    database.execute("BEGIN EXCLUSIVE")
                load = run(_digits_beside(server.port, sent, clients, seconds))
            database.close()
            p99 = load.latency(0.99)
            shown.append(f"{name}: p99 {1e3 * p99:.0f} ms")
            failures += _wrong_beside(name, load, p99)

        refused, unready = run(_full(server.port, page, seconds))
        shown.append(f"{refused} pages refused, {unready} x not ready")
        if refused and not unready:
            failures.append("/readyz says ready while pages are refused")

    return Outcome(f"{round(3 * RATE * seconds):,} digits", "; ".join(shown), failures)


def _wrong_beside(name: str, load: Load, p99: float) -> Iterator[str]:
    if others := load.statuses.total() - load.statuses[200] + load.failures.total():
        yield f"{name}: {others} digits were not read"
    if p99 > BESIDE_P99:
        yield f"{name}: p99 {1e3 * p99:.0f} ms"


async def _digits_beside(port: int, sent: bytes, clients: int, seconds: float) -> Load:
    digits_read, _ = await asyncio.gather(
        open_loop(port, picture_request(), RATE, seconds), closed_loop(port, sent, seconds, clients)
    )
    return digits_read


async def _full(port: int, page: bytes, seconds: float) -> tuple[int, int]:
    """Return how many pages were refused, and how often /readyz was not ready meanwhile."""
    asked = request("GET", "/readyz")
    ready, pages = await asyncio.gather(
        open_loop(port, asked, RATE, seconds), closed_loop(port, page, seconds, 60)
    )
    return pages.statuses[503], ready.statuses[503]


# ---- stopping meanwhile


def exits(trial: Trial) -> Outcome:
    """Send SIGTERM while 8 dear pages and 30 looks inside are waiting."""
    seconds = []
    failures: list[str] = []
    for _ in range(trial.choose(5, 1)):
        with Server(trial) as server:
            seconds.append(asyncio.run(_exit_beside_dear(server)))
            status = server.process.poll()

        if seconds[-1] > WANTED_EXIT or status != 0:
            failures.append(f"exit status {status} after {seconds[-1]:.1f} s")

    return Outcome(f"{len(seconds)} stops", f"{spread(seconds, '.1f')} s", failures)


async def _exit_beside_dear(server: Server) -> float:
    """Return the seconds from SIGTERM to the exit."""
    waiting = [_dear_page()] * WAITING_PAGES + [_look_inside()] * WAITING_LOOKS
    asked = [asyncio.ensure_future(send_alone(server, sent)) for sent in waiting]
    await asyncio.sleep(0.5)  # until they have arrived
    seconds = await server.stop(2 * WANTED_EXIT)
    for one in asked:
        one.cancel()

    await asyncio.gather(*asked, return_exceptions=True)
    return seconds


# ---- the search


def search(trial: Trial) -> Outcome:
    """Look for the dearest page: change what is drawn, and go on from the dearest so far.

    Found pages are read as the service reads them, in a process of their own.
    """
    give_memory_back()
    recogniser = Recogniser(threads=1)
    recogniser.read(np.full((64, 64), 200, np.uint8))
    chance = random.Random(7)
    until = time.monotonic() + trial.choose(trial.seconds, 20.0)

    def cost(marks: Marks) -> tuple[Cost, int]:
        data = encoded(marks.draw())
        return cost_of(lambda: recogniser.read(open_picture(data, refuse_large)), trial), len(data)

    plain, _ = cost(Marks())
    dearest = Marks()
    worst, size = plain, 0
    tried = 1
    while time.monotonic() < until:
        marks = dearest.changed(chance)
        if chance.random() < 0.3:
            marks = Marks().changed(chance).changed(chance).changed(chance)

        found, length = cost(marks)
        tried += 1
        if found.seconds > worst.seconds:
            dearest, worst, size = marks, found, length

    times = worst.seconds / max(plain.seconds, 1e-3)
    told = f"{worst.seconds:.2f} s, {worst.memory / 1e6:.0f} MB, {size:,} bytes"
    result = f"{told}, {times:.1f} times a plain page: {dearest}"
    bounded = worst.is_bounded and times <= MOST_TIMES
    return Outcome(f"{tried:,} pages", result, [] if bounded else [result])


def _dear_page() -> bytes:
    """Return a request to read a page of a thousand digits."""
    return request("POST", READ, encoded(Marks(kind="digits", step=48).draw()), "image/png")


def _look_inside() -> bytes:
    """Return a request to look inside the network."""
    return request("POST", "/v1/inside", field().tobytes(), "application/octet-stream")


CHECKS = (
    Check(files, f"each within {MOST_SECONDS:g} s of CPU and {MOST_BYTES // 10**6} MB", any_pieces),
    Check(
        arrays,
        f"within {JSON_SECONDS:g} s of CPU, {JSON_BYTES // 10**6} MB; /healthz within "
        f"{1e3 * HEALTH:g} ms",
        loose_json,
    ),
    Check(exits, f"exit status 0 within {WANTED_EXIT:g} s", pages_twelve_times),
    Check(beside, f"all digits read, p99 <= {1e3 * BESIDE_P99:g} ms; /readyz is true", one_queue),
    Check(
        search,
        f"at most {MOST_SECONDS:g} s of CPU, {MOST_BYTES // 10**6} MB, and {MOST_TIMES} times a "
        "plain page",
        pages_twelve_times,
    ),
)
SUITE = Suite(
    "Dear",
    "Well formed, and dear. Files and pages in processes of their own, the rest on one processor.",
    CHECKS,
    ["pillow", "numpy", "onnxruntime", "msgspec"],
)

if __name__ == "__main__":
    os.sched_setaffinity(0, PROCESSORS[-1:])
    sys.exit(main(SUITE, __doc__))
