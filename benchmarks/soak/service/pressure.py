"""How much the service takes, what becomes of the rest, and what other services take.

Everything asks the same: to read one 28x28 PNG. Others serve the same network.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks.common import on_processors, spread, table, turns
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import endless_queue, slow_reading
from benchmarks.soak.service.harness import PROCESSORS, Server
from benchmarks.soak.service.load import (
    Load,
    answers,
    closed_loop,
    open_loop,
    picture_request,
    quantile,
    run,
    unlike,
    wait_until,
)
from benchmarks.soak.service.samples import FORM, form, request

WANTED_RATE = 1500  # requests/s
WANTED_P99 = 25  # ms
LIGHT = 500  # requests/s in open loop
WANTED_LIGHT_P99 = 6  # ms
WANTED_ACCEPTED_P99 = 60  # ms, at twice the sustained rate
WANTED_GOODPUT = 0.8
CALM = 300  # requests/s before and after
GENERATOR_RATE = 3000  # requests/s that the generator has to manage beyond doubt
CLIENTS = (8, 16, 24, 32)  # at once, of which the best number is looked for; 40 may wait
BARE = """
import asyncio
class Bare(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", %d)
    await server.serve_forever()
asyncio.run(main())
"""


class Loads(list[Load]):
    """The loads of several rounds, and what the tables say of them."""

    def rates(self) -> list[float]:
        """Return the answers a second of each round."""
        return [load.rate for load in self]

    def p99(self) -> float:
        """Return the median of the rounds' 99th percentiles of latency, in ms."""
        return 1e3 * statistics.median(load.latency(0.99) for load in self)

    def cells(self, status: int = 200) -> list[str]:
        """Return the 50th and 99th percentile of latency, in ms."""
        return [quantile(self, share, status) for share in (0.5, 0.99)]

    def row(self) -> list[str]:
        """Return the rate and the percentiles."""
        return [spread(self.rates()), *self.cells()]

    def answered(self) -> int:
        """Count the requests that were answered."""
        return sum(len(load.answers) for load in self)


# ---- how much


def best_clients(port: int) -> int:
    """Return the number of waiting clients with the most answers that are quick enough."""
    rates = {}
    for clients in CLIENTS:
        load = run(closed_loop(port, picture_request(), 1.0, clients))
        if 1e3 * load.latency(0.99) < 0.8 * WANTED_P99:
            rates[clients] = load.rate

    return max(rates, key=rates.__getitem__, default=CLIENTS[0])


def generator_rate() -> float:
    """Return the requests a second that the generator manages against an idle server."""
    port = free_port()
    with started("-c", BARE % port):
        wait_until(partial(answers, port, b"GET / HTTP/1.1\r\n\r\n"))
        return run(closed_loop(port, picture_request(), 1.0, 16)).rate


def throughput(trial: Trial) -> Outcome:
    """Count the most answers per second, of several numbers of waiting clients.

    And the latency at 500 requests/s in open loop.
    """
    rounds, seconds = trial.choose((5, 4.0), (3, 1.5))
    full = Loads()
    light = Loads()
    bare = generator_rate()
    with Server(trial) as server:
        clients = best_clients(server.port)
        for number in range(rounds):
            full.append(run(closed_loop(server.port, picture_request(), seconds, clients)))
            calm = open_loop(server.port, picture_request(), LIGHT, seconds, seed=number)
            light.append(run(calm))

    failures = [wrong for load in (*full, *light) for wrong in unlike(load, 200)]
    if statistics.median(full.rates()) < WANTED_RATE:
        failures.append(f"{statistics.median(full.rates()):,.0f} requests/s")

    if full.p99() > WANTED_P99:
        failures.append(f"p99 {full.p99():.1f} ms at full rate")

    if light.p99() > WANTED_LIGHT_P99:
        failures.append(f"p99 {light.p99():.1f} ms at {LIGHT}/s")

    if bare < max(GENERATOR_RATE, 2 * max(full.rates())):
        failures.append(f"the generator manages only {bare:,.0f} requests/s, too few to judge")

    late = statistics.median(sorted(load.late)[int(0.99 * len(load.late))] for load in light)
    rows = [
        (f"{clients} clients that wait (closed loop)", *full.row()),
        (f"{LIGHT} requests/s (open loop)", *light.row()),
    ]
    details = [
        *table(("load", "requests/s", "p50 ms", "p99 ms"), rows),
        "",
        f"{rounds} rounds of {seconds:g} s of each in turn. The generator alone manages "
        f"{bare:,.0f} requests/s; its own delays in open",
        f"loop, which are counted as the service's, are below {1e3 * late:.1f} ms in 99 % of all "
        "cases.",
    ]
    result = (
        f"{spread(full.rates())} requests/s, p99 {full.cells()[1]} ms; "
        f"p99 {light.cells()[1]} ms at {LIGHT}/s"
    )
    return Outcome(f"{full.answered() + light.answered():,}", result, failures, "\n".join(details))


# ---- too much


def overload(trial: Trial) -> Outcome:
    """Send twice as many requests as it can answer, in open loop, and then few again."""
    rounds, seconds = trial.choose((3, 10.0), (1, 4.0))
    calms = Loads()
    storms = Loads()
    afters = Loads()
    shares = []
    failures: list[str] = []
    with Server(trial) as server:
        clients = best_clients(server.port)
        for number in range(rounds):
            sustained = run(closed_loop(server.port, picture_request(), 2.0, clients)).rate
            calm = open_loop(server.port, picture_request(), CALM, 2.0, seed=number)
            calms.append(run(calm))
            rate = _double(sustained, seconds)
            load = run(open_loop(server.port, picture_request(), rate, seconds + 2, 400, number))
            storms.append(load.between(0, seconds))
            afters.append(load.between(seconds + 1, seconds + 2))
            shares.append(storms[-1].rate / sustained)
            failures += _wrong_with_storm(storms[-1], shares[-1])
            failures += _wrong_afterwards(calms[-1], afters[-1])

    sent = spread(len(load.answers) / seconds for load in storms)
    refused = spread(load.statuses[503] / seconds for load in storms)
    rows = [
        ("twice the sustained rate", sent, "", ""),
        ("of them answered", *storms.row()),
        ("of them refused with 503", refused, *storms.cells(503)),
        (f"{CALM} requests/s before", *calms.row()),
        (f"{CALM} requests/s in the second second after", *afters.row()),
    ]
    details = [
        *table(("", "requests/s", "p50 ms", "p99 ms"), rows),
        "",
        f"{rounds} rounds of {seconds:g} s, through up to 400 connections, of which each carries "
        "one request at a time.",
    ]
    answered = f"{spread(shares, '.0%')} answered, p99 {storms.cells()[1]} ms"
    result = f"{answered}; then p99 {afters.cells()[1]} ms"
    return Outcome(f"{storms.answered():,}", result, failures, "\n".join(details))


def _wrong_with_storm(storm: Load, goodput: float) -> Iterator[str]:
    """Yield what was wrong at twice the sustained rate. goodput: the answered share of that."""
    yield from unlike(storm, 200, 503)
    if storm.without_retry_after:
        yield f"{storm.without_retry_after} x 503 without Retry-After"

    p99 = 1e3 * storm.latency(0.99)
    if p99 > WANTED_ACCEPTED_P99:
        yield f"p99 of the accepted {p99:.0f} ms"

    if goodput < WANTED_GOODPUT:
        yield f"{goodput:.0%} of the sustained rate answered"


def _wrong_afterwards(calm: Load, after: Load) -> Iterator[str]:
    """Yield what was wrong a second later, compared with before."""
    yield from (f"{wrong} a second later" for wrong in unlike(after, 200))
    before = 1e3 * calm.latency(0.99)
    p99 = 1e3 * after.latency(0.99)
    if p99 > max(2 * before, WANTED_LIGHT_P99):
        yield f"p99 {p99:.1f} ms a second later, {before:.1f} before"


def _double(sustained: float, seconds: float) -> Callable[[float], float]:
    """Return the requests per second at each moment."""
    return lambda second: 2 * sustained if second < seconds else CALM


# ---- others


OURS = "ours"
WAITING = 16  # clients
OTHERS = {
    "fastapi": "FastAPI + torch, as tutorials do it",
    "litserve": "LitServe",
    "litserve-batches": "LitServe, batches of 16",
}


def opponents(trial: Trial) -> Outcome:
    """Compare with a plain FastAPI route with torch, and with LitServe, on the same weights.

    LitServe serves alone and in batches; all in turn.
    """
    if importlib.util.find_spec("litserve") is None:
        raise RuntimeError("the others are not installed: pip install -e '.[soak]'")

    rounds, seconds = trial.choose((5, 3.0), (2, 1.5))
    full, twice = _loads_in_turn(trial, rounds, seconds)
    rates = {name: statistics.median(loads.rates()) for name, loads in full.items()}
    ranked = sorted(rates, key=rates.__getitem__, reverse=True)
    rows = [
        (OTHERS.get(name, name), *full[name].row(), *twice[name].row(), _refused(twice[name]))
        for name in ranked
    ]
    told = [f"{OTHERS.get(name, name)} {rate:,.0f}/s" for name, rate in rates.items()]
    better = [f"{OTHERS[name]} answers more" for name in ranked[: ranked.index(OURS)]]
    head = ("requests/s", "p50 ms", "p99 ms")
    details = [
        f"{WAITING} waiting clients, then twice the rate that they got, in open loop; {rounds} "
        f"rounds of {seconds:g} s.",
        "All on one processor and in turn, the others stopped meanwhile.",
        "",
        *table(("service", *head, "at 2x: answered/s", *head[1:], "refused"), rows),
    ]
    return Outcome(f"{rounds} rounds", "; ".join(told), better, "\n".join(details))


def _loads_in_turn(
    trial: Trial, rounds: int, seconds: float
) -> tuple[dict[str, Loads], dict[str, Loads]]:
    """Return each service's loads with waiting clients, and at twice the rate that these got."""
    requests = _predictions()
    full = {name: Loads() for name in requests}
    twice = {name: Loads() for name in requests}
    ports = {name: free_port() for name in OTHERS}
    others: dict[str, subprocess.Popen[bytes]] = {}
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            command = "-m", "benchmarks.soak.service.opponents", name, "--port", str(port)
            others[name] = stack.enter_context(started(*command))
            wait_until(partial(answers, port, requests[name]))
            os.killpg(others[name].pid, signal.SIGSTOP)

        ports[OURS] = stack.enter_context(Server(trial)).port
        for number, name in turns(list(requests), rounds):
            sent = ports[name], requests[name]
            with awake(others.get(name)):
                run(closed_loop(*sent, 0.3, WAITING))
                if number:
                    full[name].append(run(closed_loop(*sent, seconds, WAITING)))
                    storm = open_loop(*sent, 2 * full[name][-1].rate, seconds, 400, number)
                    twice[name].append(run(storm))

    return full, twice


def _predictions() -> dict[str, bytes]:
    """Return the request to read a digit of each service."""
    picture = picture_request().partition(b"\r\n\r\n")[2]
    as_form = form(('name="file"; filename="a.png"', picture))
    requests = dict.fromkeys(OTHERS, request("POST", "/predict", as_form, FORM))
    requests["fastapi"] = request("POST", "/predict", picture, "image/png")
    return requests | {OURS: picture_request()}


def _refused(loads: Sequence[Load]) -> str:
    """Return the share of the requests that were refused or failed."""
    failed = [load.failures.total() for load in loads]
    refused = [load.statuses[503] for load in loads]
    count = sum(len(load.answers) for load in loads) + sum(failed)
    return f"{(sum(refused) + sum(failed)) / count:.0%}"


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run our Python and all its children on the first processor, and kill them at the end."""
    null = subprocess.DEVNULL
    with on_processors(PROCESSORS[:1]):
        process = subprocess.Popen(
            [sys.executable, *arguments], start_new_session=True, stdout=null, stderr=null
        )

    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def awake(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Let a process run; it is stopped otherwise, as some ask for work all the time."""
    if process is None:
        yield
        return

    os.killpg(process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGSTOP)


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


CHECKS = (
    Check(
        throughput,
        f">= {WANTED_RATE:,} requests/s with p99 <= {WANTED_P99} ms; p99 <= {WANTED_LIGHT_P99} ms "
        f"at {LIGHT}/s",
        slow_reading,
    ),
    Check(
        overload,
        f"goodput >= {WANTED_GOODPUT:.0%}, p99 <= {WANTED_ACCEPTED_P99} ms, others 503 with "
        "Retry-After; normal after 1 s",
        endless_queue,
    ),
    Check(opponents, "more requests/s than the others", slow_reading),
)
