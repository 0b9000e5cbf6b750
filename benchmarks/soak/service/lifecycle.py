"""Stopping and a new model, which clients must not notice; and the time from start to answer."""

import asyncio
import random
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.common import spread
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import no_drain, slow_start, untested_models
from benchmarks.soak.service.harness import Server, send_alone
from benchmarks.soak.service.load import (
    Load,
    answers,
    open_loop,
    picture_request,
    quantile,
    run,
    unlike,
    wait_until,
)
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.recogniser import Recogniser

STOP_RATE = 300  # requests/s
WANTED_EXIT = 10.0  # seconds
RELOAD_RATE = 200
RELOAD_PATIENCE = 10.0
WANTED_START = 1.5  # seconds


# ---- stopping


def stopping(trial: Trial) -> Outcome:
    """Send SIGTERM at a random moment while 300 requests/s come over kept connections."""
    chance = random.Random(0)
    exits = []
    failures = []
    lost = 0
    sent = 0
    for number in range(trial.choose(50, 5)):
        moment = chance.uniform(0.2, 0.7)
        with Server(trial) as server:
            load, seconds = run(_stopped(server, moment, number), careful=True)
            status = server.process.poll()

        sent += len(load.answers) + load.failures.total()
        exits.append(seconds)
        wrong = [
            f"{load.failures[kind]} {kind}" for kind in ("lost", "silent") if load.failures[kind]
        ]
        lost += len(wrong)
        wrong += [f"{count} x {code}" for code, count in load.statuses.items() if code != 200]
        if status != 0 or seconds > WANTED_EXIT:
            wrong.append(f"exit status {status} after {seconds:.1f} s")

        failures += [f"stop {number}: {each}" for each in wrong]

    details = (
        f"From SIGTERM to the exit: {spread(exits, '.2f')} s. Requests that came after the "
        "connection was closed do not count."
    )
    result = f"{lost} stops with lost requests, exit within {max(exits):.2f} s"
    return Outcome(f"{len(exits)} stops, {sent:,} requests", result, failures, details)


async def _stopped(server: Server, moment: float, seed: int) -> tuple[Load, float]:
    """Return the load, and the seconds from SIGTERM to the exit."""

    async def stop() -> float:
        await asyncio.sleep(moment)
        return await server.stop(2 * WANTED_EXIT)

    load = open_loop(
        server.port, picture_request(), STOP_RATE, moment + 0.6, 16, seed, careful=True
    )
    found, seconds = await asyncio.gather(load, stop())
    return found, seconds


# ---- new models


def _nonsense(model: bytes) -> bytes:
    """Return the same network with other weights: a model in every respect that cannot read."""
    network = onnx.load_model_from_string(model)
    rng = np.random.default_rng(0)
    for weights in network.graph.initializer:
        array = onnx.numpy_helper.to_array(weights)
        if array.dtype == np.float32 and array.ndim > 1:
            other = rng.normal(0, 0.1, array.shape).astype(np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(other, weights.name))

    return network.SerializeToString()


def _other_shape() -> bytes:
    """Return a network for images of 32x32."""
    helper = onnx.helper
    inputs, outputs = (
        helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, ["n", 32, 32])
        for name in ("images", "probabilities")
    )
    node = helper.make_node("Identity", ["images"], ["probabilities"])
    graph = helper.make_graph([node], "other", [inputs], [outputs])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


BAD: dict[str, Callable[[bytes], bytes | None]] = {
    "other weights": _nonsense,
    "cut short": lambda model: model[: len(model) // 2],
    "deleted": lambda _: None,
    "random bytes": lambda model: random.Random(0).randbytes(len(model)),
    "other shape": lambda _: _other_shape(),
    "empty": lambda _: b"",
}


@dataclass
class Reloads:
    """What came of replacing the model's file: seconds to each decision, and what was wrong."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def reloads(trial: Trial) -> Outcome:
    """Replace the model's file, sometimes by a bad one, while 200 requests/s come."""
    every, count = trial.choose((5, 50), (2, 6))
    file = trial.folder / "model.onnx"
    shutil.copy(resolve_model("default"), file)
    found = Reloads()
    with Server(trial, "--model", file) as server:
        load = run(_replaced(server, file, every, count, found))

    failed = sum(load.statuses.values()) - load.statuses[200] + load.failures.total()
    failures = found.failures + unlike(load, 200)
    details = (
        f"From the file to the decision: {spread(found.waits, '.1f')} s. p99 meanwhile "
        f"{quantile([load], 0.99)} ms. Bad files: {', '.join(BAD)}."
    )
    result = f"{len(load.answers):,} requests, {failed:,} failed, {len(failures)} complaints"
    bad = len(range(1, count, every))
    return Outcome(f"{count} replacements, {bad} of them bad", result, failures, details)


async def _replaced(server: Server, file: Path, every: int, count: int, found: Reloads) -> Load:
    """Replace the file again and again, and judge each decision; return the load meanwhile."""
    models = [resolve_model(name) for name in ("tiny", "default")]
    good = [(model.read_bytes(), _reading(model)) for model in models]
    expected = good[1][1]
    done = asyncio.Event()
    load = open_loop(server.port, picture_request(), RELOAD_RATE, 1e9, 32, stop=done)
    task = asyncio.create_task(load)
    bad = iter([*BAD.items()] * count)
    try:
        for number in range(count):
            place = f"file {number}"
            content, reading = good[number // 2 % 2]
            new: bytes | None = content
            is_bad = number % every == 1
            if is_bad:
                kind, make = next(bad)
                place = f"{place}, {kind}"
                new = make(content)
            else:
                expected = reading

            said = server.stderr
            decided = "refused" if is_bad else "loaded"
            found.waits.append(await _decided(server, file, new, decided, number % 3 == 2))
            if found.waits[-1] > RELOAD_PATIENCE:
                found.failures.append(f"{place}: not {decided} within {RELOAD_PATIENCE:g} s")

            if is_bad and server.stderr.removeprefix(said).count("\n") != 1:
                found.failures.append(f"{place}: refused without a sentence")

            answer = await send_alone(server, picture_request())
            if answer.body != expected:
                found.failures.append(f"{place}: not the answer of the model that should be used")
    finally:
        done.set()
        found_load = await task

    return found_load


async def _decided(
    server: Server, file: Path, new: bytes | None, decided: str, in_place: bool
) -> float:
    """Replace the file, and return the seconds until the service has decided on it."""
    metric = f'reloads_total{{result="{decided}"}}'
    before = await server.metric(metric)
    begun = time.perf_counter()
    _put(file, new, in_place)
    while await server.metric(metric) == before:
        if time.perf_counter() > begun + RELOAD_PATIENCE:
            break

        await asyncio.sleep(0.05)

    return time.perf_counter() - begun


def _reading(model: Path) -> bytes:
    """Return what the service answers with this model."""
    picture = picture_request().partition(b"\r\n\r\n")[2]
    return Recogniser(model, threads=1).read(picture).to_json().encode()


def _put(file: Path, content: bytes | None, in_place: bool) -> None:
    """Replace a file at a stroke, write over it, or delete it."""
    if content is None:
        file.unlink()
    elif in_place:
        file.write_bytes(content)
    else:
        new = file.with_name("new")
        new.write_bytes(content)
        new.replace(file)


# ---- starting


def start(trial: Trial) -> Outcome:
    """Start the process and wait for the first digit that is read."""
    taken = []
    for _ in range(trial.choose(10, 6)):
        begun = time.perf_counter()
        with Server(trial) as server:
            wait_until(partial(answers, server.port, picture_request()))
            taken.append(time.perf_counter() - begun)

    taken = taken[1:]  # the first one brings the files into memory
    middle = statistics.median(taken)
    failures = [f"{middle:.2f} s"] if middle > WANTED_START else []
    return Outcome(f"{len(taken)} starts", f"{spread(taken, '.2f')} s", failures)


CHECKS = (
    Check(
        stopping,
        f"0 accepted requests lost, exit status 0 within {WANTED_EXIT:g} s",
        no_drain,
    ),
    Check(
        reloads,
        "0 failed requests, every bad file refused with a sentence, every good one used",
        untested_models,
    ),
    Check(start, f"median <= {WANTED_START:g} s", slow_start),
)
