"""What must not be noticed by who asks meanwhile: stopping, and a new model; and how soon there is an answer after a start."""

import asyncio
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.soak.service.harness import Check, Outcome, Serve, Server, ask
from benchmarks.soak.service.load import (
    Load,
    answers,
    open_loop,
    p,
    picture,
    post,
    run,
    spread,
    unlike,
    wait_until,
)
from benchmarks.soak.service.samples import READ
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.recogniser import Recogniser

STOP_RATE, WANTED_EXIT = 300, 10.0  # requests/s, seconds
RELOAD_RATE, RELOAD_PATIENCE = 200, 10.0
WANTED_START = 1.5  # seconds


# ---- stopping


def stopping(serve: Serve, quick: bool) -> Outcome:
    """SIGTERM at a random moment while 300 requests/s come over kept connections."""
    rng, exits, failures, sent = random.Random(0), [], [], 0
    for number in range(5 if quick else 50):
        moment = rng.uniform(0.2, 0.7)
        with serve() as server:
            load, seconds = run(stopped(server, moment, number), careful=True)
            status = server.process.poll()
        sent += len(load.answers) + load.failures.total()
        exits.append(seconds)
        accepted_but = [
            f"{load.failures[kind]} {kind}" for kind in ("lost", "silent") if load.failures[kind]
        ]
        failures += [f"stop {number}: {wrong}" for wrong in (*accepted_but, *unlike_answers(load))]
        if status != 0 or seconds > WANTED_EXIT:
            failures.append(f"stop {number}: exit status {status} after {seconds:.1f} s")
    details = f"From SIGTERM to the exit: {spread(exits, '.2f')} s. Requests that came after the connection was closed do not count."
    lost = sum("lost" in failure or "silent" in failure for failure in failures)
    result = f"{lost} stops with lost requests, exit within {max(exits):.2f} s"
    wanted = f"0 accepted requests lost, exit status 0 within {WANTED_EXIT:g} s"
    return Outcome(
        not failures,
        f"{len(exits)} stops, {sent:,} requests",
        result,
        wanted,
        tuple(failures),
        details,
    )


def unlike_answers(load: Load) -> list[str]:
    """What was answered other than 200."""
    return [f"{count} x {status}" for status, count in load.statuses.items() if status != 200]


async def stopped(server: Server, moment: float, seed: int) -> tuple[Load, float]:
    """The load, and the seconds from SIGTERM to the exit."""

    async def stop() -> float:
        await asyncio.sleep(moment)
        begun = time.perf_counter()
        server.process.terminate()
        while server.alive and time.perf_counter() < begun + 2 * WANTED_EXIT:
            await asyncio.sleep(0.005)
        return time.perf_counter() - begun

    load = open_loop(server.port, post(picture()), STOP_RATE, moment + 0.6, 16, seed, careful=True)
    found, seconds = await asyncio.gather(load, stop())
    return found, seconds


# ---- new models


def nonsense(model: bytes) -> bytes:
    """The same network with other weights: a model in every respect, but it cannot read."""
    network = onnx.load_model_from_string(model)
    rng = np.random.default_rng(0)
    for weights in network.graph.initializer:
        array = onnx.numpy_helper.to_array(weights)
        if array.dtype == np.float32 and array.ndim > 1:
            other = rng.normal(0, 0.1, array.shape).astype(np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(other, weights.name))
    return network.SerializeToString()


def other_shape(model: bytes) -> bytes:
    """A network for images of 32x32."""
    del model
    helper = onnx.helper
    inputs = helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", 32, 32])
    outputs = helper.make_tensor_value_info("probabilities", onnx.TensorProto.UINT8, ["n", 32, 32])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["probabilities"])], "other", [inputs], [outputs]
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()


BAD: dict[str, Callable[[bytes], bytes | None]] = {
    "other weights": nonsense,
    "cut short": lambda model: model[: len(model) // 2],
    "deleted": lambda _: None,
    "random bytes": lambda model: random.Random(0).randbytes(len(model)),
    "other shape": other_shape,
    "empty": lambda _: b"",
}


def reloads(serve: Serve, quick: bool) -> Outcome:
    """The model's file replaced, sometimes by a bad one, while 200 requests/s come."""
    every, count = (2, 6) if quick else (5, 50)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        shutil.copy(resolve_model("default"), file)
        with serve("--model", file) as server:
            load, waits, failures = run(replaced(server, file, every, count))
    failed = sum(load.statuses.values()) - load.statuses[200] + load.failures.total()
    failures += unlike(load, 200)
    bad = len(range(1, count, every))
    details = f"From the file to the decision: {spread(waits, '.1f')} s. p99 meanwhile {p([load], 0.99)} ms. Bad files: {', '.join(BAD)}."
    result = f"{len(load.answers):,} requests, {failed:,} failed, {len(failures)} complaints"
    wanted = "0 failed requests, every bad file refused with a sentence, every good one used"
    number = f"{count} replacements, {bad} of them bad"
    return Outcome(not failures, number, result, wanted, tuple(failures), details)


async def replaced(
    server: Server, file: Path, every: int, count: int
) -> tuple[Load, list[float], list[str]]:
    """The load, seconds until each file was decided on, and what was wrong."""
    done, waits, failures = asyncio.Event(), [], []
    good = [
        (content := resolve_model(name).read_bytes(), said_by(content))
        for name in ("tiny", "default")
    ]
    task = asyncio.create_task(
        open_loop(server.port, post(picture()), RELOAD_RATE, 1e9, 32, stop=done)
    )
    expected, bad = good[1][1], iter([*BAD.items()] * count)
    try:
        for number in range(count):
            kind, make = next(bad) if number % every == 1 else ("good", None)
            content, says = good[number // 2 % 2]
            new = make(content) if make else content
            expected = expected if make else says
            result = "refused" if make else "loaded"
            before, said = await server.metric(f'reloads_total{{result="{result}"}}'), server.stderr
            begun = time.perf_counter()
            put(file, new, in_place=number % 3 == 2)
            while await server.metric(f'reloads_total{{result="{result}"}}') == before:
                if time.perf_counter() > begun + RELOAD_PATIENCE:
                    failures.append(
                        f"file {number}, {kind}: not {result} within {RELOAD_PATIENCE:g} s"
                    )
                    break
                await asyncio.sleep(0.05)
            waits.append(time.perf_counter() - begun)
            if make and server.stderr.removeprefix(said).count("\n") != 1:
                failures.append(f"file {number}, {kind}: refused without a sentence")
            if (await ask(server, "POST", READ, picture(), "image/png")).body != expected:
                failures.append(
                    f"file {number}, {kind}: not the answer of the model that should be used"
                )
    finally:
        done.set()
        load = await task
    return load, waits, failures


def said_by(model: bytes) -> bytes:
    """What the service answers with this model."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(model)
        return Recogniser(file, threads=1).read(picture()).to_json().encode()


def put(file: Path, content: bytes | None, in_place: bool) -> None:
    """Replace it at a stroke, write over it, or delete it."""
    if content is None:
        file.unlink()
    elif in_place:
        file.write_bytes(content)
    else:
        new = file.with_name("new")
        new.write_bytes(content)
        new.replace(file)


# ---- starting


def start(serve: Serve, quick: bool) -> Outcome:
    """From the start of the process to the first digit that is read."""
    taken = []
    for _ in range(6 if quick else 10):
        begun = time.perf_counter()
        with serve() as server:
            wait_until(partial(answers, server.port, post(picture())))
            taken.append(time.perf_counter() - begun)
    taken = taken[1:]  # the first one brings the files into memory
    failures = (
        () if statistics.median(taken) <= WANTED_START else (f"{statistics.median(taken):.2f} s",)
    )
    return Outcome(
        not failures,
        f"{len(taken)} starts",
        f"{spread(taken, '.2f')} s",
        f"median <= {WANTED_START:g} s",
        failures,
    )


CHECKS = {
    "stopping": Check(stopping, "no_drain"),
    "reloads": Check(reloads, "untested_models"),
    "start": Check(start, "slow_start"),
}
