"""How much the service takes, what becomes of the rest, and what others take that serve the same network.

Everything asks the same: to read one 28x28 PNG, sent as a raw body.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.soak.service.harness import PROCESSORS, Check, Outcome, Serve, on_processors
from benchmarks.soak.service.load import (
    Load,
    answers,
    closed_loop,
    open_loop,
    p,
    picture,
    post,
    run,
    spread,
    unlike,
    wait_until,
)
from benchmarks.soak.service.samples import FORM, form

WANTED_RATE, WANTED_P99 = 1500, 0.025  # requests/s, seconds
LIGHT, WANTED_LIGHT_P99 = 500, 0.006  # requests/s in open loop
WANTED_ACCEPTED_P99, WANTED_GOODPUT = 0.060, 0.8  # at twice the sustained rate
CALM = 300  # requests/s before and after
GENERATOR_RATE = 3000  # requests/s that the generator has to manage beyond doubt
CLIENTS = (8, 16, 24, 32)  # at once, of which the best number is looked for; 40 may wait
BARE = """
import asyncio
class Bare(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", %d)
    await server.serve_forever()
asyncio.run(main())
"""

# ---- how much


def best_clients(port: int) -> int:
    """The number of waiting clients with the most answers, as long as they are quick."""
    rates = {}
    for clients in CLIENTS:
        load = run(closed_loop(port, post(picture()), 1.0, clients))
        if load.latency(0.99) < 0.8 * WANTED_P99:
            rates[clients] = load.rate
    return max(rates, key=lambda clients: rates[clients], default=CLIENTS[0])


def generator_rate() -> float:
    """Requests per second that the generator itself manages, against a server that answers anything with two bytes."""
    port = free_port()
    with started([sys.executable, "-c", BARE % port]):
        wait_until(partial(answers, port, b"GET / HTTP/1.1\r\n\r\n"))
        return run(closed_loop(port, post(picture()), 1.0, 16)).rate


def throughput(serve: Serve, quick: bool) -> Outcome:
    """Most answers per second, of several numbers of waiting clients, and the latency at 500 requests/s in open loop."""
    rounds, seconds = (3, 1.5) if quick else (5, 4.0)
    full, light = [], []
    bare = generator_rate()
    with serve() as server:
        clients = best_clients(server.port)
        for number in range(rounds):
            full.append(run(closed_loop(server.port, post(picture()), seconds, clients)))
            light.append(run(open_loop(server.port, post(picture()), LIGHT, seconds, seed=number)))
    rates, p99s, light_p99s = (
        [o.rate for o in full],
        [o.latency(0.99) for o in full],
        [o.latency(0.99) for o in light],
    )
    failures = [wrong for load in (*full, *light) for wrong in unlike(load, 200)]
    if statistics.median(rates) < WANTED_RATE:
        failures.append(f"{statistics.median(rates):,.0f} requests/s")
    if statistics.median(p99s) > WANTED_P99:
        failures.append(f"p99 {1e3 * statistics.median(p99s):.1f} ms at full rate")
    if statistics.median(light_p99s) > WANTED_LIGHT_P99:
        failures.append(f"p99 {1e3 * statistics.median(light_p99s):.1f} ms at {LIGHT}/s")
    if bare < max(GENERATOR_RATE, 2 * max(rates)):
        failures.append(f"the generator manages only {bare:,.0f} requests/s, too few to judge")
    late = statistics.median(sorted(load.late)[int(0.99 * len(load.late))] for load in light)
    details = f"""\
| load | requests/s | p50 ms | p99 ms |
|---|---|---|---|
| {clients} clients that wait (closed loop) | {spread(rates)} | {p(full, 0.5)} | {p(full, 0.99)} |
| {LIGHT} requests/s (open loop) | {spread(load.rate for load in light)} | {p(light, 0.5)} | {p(light, 0.99)} |

{rounds} rounds of {seconds:g} s of each in turn. The generator alone manages {bare:,.0f} requests/s; its own delays in open
loop, which are counted as the service's, are below {1e3 * late:.1f} ms in 99 % of all cases."""
    result = (
        f"{spread(rates)} requests/s, p99 {p(full, 0.99)} ms; p99 {p(light, 0.99)} ms at {LIGHT}/s"
    )
    wanted = f">= {WANTED_RATE:,} requests/s with p99 <= {1e3 * WANTED_P99:g} ms; p99 <= {1e3 * WANTED_LIGHT_P99:g} ms at {LIGHT}/s"
    return Outcome(
        not failures,
        f"{sum(len(load.answers) for load in (*full, *light)):,}",
        result,
        wanted,
        tuple(failures),
        details,
    )


# ---- too much


def overload(serve: Serve, quick: bool) -> Outcome:
    """Twice as many requests as it can answer, in open loop, and then few again."""
    rounds, seconds = (1, 4.0) if quick else (3, 10.0)
    failures, storms, calms, afters, shares = [], [], [], [], []
    with serve() as server:
        clients = best_clients(server.port)
        for number in range(rounds):
            sustained = run(closed_loop(server.port, post(picture()), 2.0, clients)).rate
            calms.append(run(open_loop(server.port, post(picture()), CALM, 2.0, seed=number)))
            load = run(
                open_loop(
                    server.port,
                    post(picture()),
                    double(sustained, seconds),
                    seconds + 2,
                    400,
                    number,
                )
            )
            storm, after = load.between(0, seconds), load.between(seconds + 1, seconds + 2)
            storms.append(storm)
            afters.append(after)
            shares.append(storm.rate / sustained)
            failures += [
                *unlike(storm, 200, 503),
                *(f"{wrong} a second later" for wrong in unlike(after, 200)),
            ]
            if storm.without_retry_after:
                failures.append(f"{storm.without_retry_after} x 503 without Retry-After")
            if storm.latency(0.99) > WANTED_ACCEPTED_P99:
                failures.append(f"p99 of the accepted {1e3 * storm.latency(0.99):.0f} ms")
            if storm.rate < WANTED_GOODPUT * sustained:
                failures.append(f"{storm.rate / sustained:.0%} of the sustained rate answered")
            if after.latency(0.99) > max(2 * calms[-1].latency(0.99), WANTED_LIGHT_P99):
                failures.append(
                    f"p99 {1e3 * after.latency(0.99):.1f} ms a second later, {1e3 * calms[-1].latency(0.99):.1f} before"
                )
    refused = spread(load.statuses[503] / seconds for load in storms)
    details = f"""\
| | requests/s | p50 ms | p99 ms |
|---|---|---|---|
| twice the sustained rate | {spread(len(load.answers) / seconds for load in storms)} | | |
| of them answered | {spread(load.rate for load in storms)} | {p(storms, 0.5)} | {p(storms, 0.99)} |
| of them refused with 503 | {refused} | {p(storms, 0.5, 503)} | {p(storms, 0.99, 503)} |
| {CALM} requests/s before | {spread(load.rate for load in calms)} | {p(calms, 0.5)} | {p(calms, 0.99)} |
| {CALM} requests/s in the second second after | {spread(load.rate for load in afters)} | {p(afters, 0.5)} | {p(afters, 0.99)} |

{rounds} rounds of {seconds:g} s, through up to 400 connections, of which each carries one request at a time."""
    result = (
        f"{spread(shares, '.0%')} answered, p99 {p(storms, 0.99)} ms; then p99 {p(afters, 0.99)} ms"
    )
    wanted = f"goodput >= {WANTED_GOODPUT:.0%}, p99 <= {1e3 * WANTED_ACCEPTED_P99:g} ms, others 503 with Retry-After; normal after 1 s"
    return Outcome(
        not failures,
        f"{sum(len(load.answers) for load in storms):,}",
        result,
        wanted,
        tuple(failures),
        details,
    )


def double(sustained: float, seconds: float) -> Callable[[float], float]:
    """Requests per second at each moment."""
    return lambda second: 2 * sustained if second < seconds else CALM


# ---- others


def opponents(serve: Serve, quick: bool) -> Outcome:
    """The same picture and weights behind a plain FastAPI route with torch, and on LitServe, alone and in batches; in turn."""
    rounds, seconds, clients = (2, 1.5, 16) if quick else (5, 3.0, 16)
    names = {
        "fastapi": "FastAPI + torch, as tutorials do it",
        "litserve": "LitServe",
        "litserve-batches": "LitServe, batches of 16",
    }
    requests = dict.fromkeys(
        names, post(form(('name="file"; filename="a.png"', picture())), "/predict", FORM)
    )
    requests |= {"fastapi": post(picture(), "/predict"), "inkdigits": post(picture())}
    full: dict[str, list[Load]] = {name: [] for name in requests}
    double: dict[str, list[Load]] = {name: [] for name in requests}
    if importlib.util.find_spec("litserve") is None:
        raise RuntimeError("the others are not installed: pip install -e '.[soak]'")
    with contextlib.ExitStack() as stack:
        ports = {name: free_port() for name in names}
        others = {
            name: stack.enter_context(started(opponent(name, port))) for name, port in ports.items()
        }
        for name, port in ports.items():
            wait_until(partial(answers, port, requests[name]))
            os.killpg(others[name].pid, signal.SIGSTOP)
        server = stack.enter_context(serve())
        for number in range(rounds):
            for name in sorted(requests, reverse=number % 2 == 1):
                port = ports.get(name, server.port)
                with awake(others.get(name)):
                    run(closed_loop(port, requests[name], 0.3, clients))
                    full[name].append(run(closed_loop(port, requests[name], seconds, clients)))
                    rate = 2 * full[name][-1].rate
                    double[name].append(
                        run(open_loop(port, requests[name], rate, seconds, 400, number))
                    )
    rates = {name: statistics.median(load.rate for load in loads) for name, loads in full.items()}
    rows = [
        row(names.get(name, "ours"), full[name], double[name])
        for name in sorted(requests, key=lambda name: -rates[name])
    ]
    better = sorted(name for name in names if rates[name] >= rates["inkdigits"])
    failures = tuple(
        f"{names[name]} answers more: {rates[name]:,.0f} requests/s" for name in better
    )
    details = "\n".join(
        [
            f"{clients} waiting clients, then twice the rate that they got, in open loop; {rounds} rounds of {seconds:g} s.",
            "All on one processor and in turn, the others stopped meanwhile.",
            "",
            "| service | requests/s | p50 ms | p99 ms | at 2x: answered/s | p50 ms | p99 ms | refused |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    result = "; ".join(f"{names.get(name, 'ours')} {rate:,.0f}/s" for name, rate in rates.items())
    return Outcome(
        not failures,
        f"{rounds} rounds",
        result,
        "more requests/s than the others",
        failures,
        details,
    )


def row(name: str, full: list[Load], double: list[Load]) -> str:
    """A line of the table: as many as clients that wait get answered, and at twice that."""
    failed = sum(load.statuses[503] + load.failures.total() for load in double) / sum(
        map(requests_of, double)
    )
    cells = [spread(load.rate for load in full), p(full, 0.5), p(full, 0.99)]
    cells += [
        spread(load.rate for load in double),
        p(double, 0.5),
        p(double, 0.99),
        f"{failed:.0%}",
    ]
    return " | ".join([f"| {name}", *cells]) + " |"


def requests_of(load: Load) -> int:
    """How many there were."""
    return len(load.answers) + load.failures.total()


def opponent(name: str, port: int) -> list[str]:
    """The command that starts it."""
    return [
        sys.executable,
        "-m",
        "benchmarks.soak.service.opponents",
        name,
        "--port",
        str(port),
    ]


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with all its children on the first processor, killed with them at the end."""
    with on_processors(PROCESSORS[:1]):
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def awake(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """In here it runs; it is stopped otherwise, for some ask for work all the time."""
    if process is None:
        yield
        return
    os.killpg(process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGSTOP)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


CHECKS = {
    "throughput": Check(throughput, "slow_reading"),
    "overload": Check(overload, "endless_queue"),
    "opponents": Check(opponents, "slow_reading"),
}
