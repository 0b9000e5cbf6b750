"""A training by several processes survives the death of any of them.

    python benchmarks/soak_torchrun.py                              # some ten minutes
    python benchmarks/soak_torchrun.py --quick
    python benchmarks/soak_torchrun.py --write docs/reliability.md  # what came out, between markers

`torchrun` starts two processes. Either is killed (-9) at a random moment, again and again; torchrun starts both again, and they go
on from the last state. The weights must become what they become without kills, bit for bit.
"""

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.soak.frame import Checks, Fault, Found, nothing, put, soak
from benchmarks.soak.training import DIGITS, INTERVAL, RECIPE, SEED, forgotten_generator, weights
from inkdigits.core.files import write_whole
from inkdigits.runs import run as run_module
from inkdigits.runs.artifacts import Final
from inkdigits.runs.resume import Interval, States
from inkdigits.runs.run import run

WORKER = "--worker"
LONGER = dataclasses.replace(RECIPE, epochs=60)  # 720 steps
LATEST = 4.0  # seconds of training before a kill
SPARE = 2  # restarts that torchrun allows beyond the kills
PATIENCE = 600.0  # seconds for one run, on a busy machine


def forgotten_restart() -> None:
    """Processes that are started again do not know it."""
    put(run_module, "restarts", lambda: 0)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (nothing, forgotten_restart, forgotten_generator)
}


def worker(fault: str, out: Path) -> None:
    """What torchrun starts."""
    FAULTS[fault]()
    put(run_module, "finish", _write_weights)
    for _ in run(LONGER, out, DIGITS, device="cpu", interval=Interval(steps=INTERVAL)):
        pass


def _write_weights(folder: Path, network: torch.nn.Module, *_: object) -> Final:
    """All of a finished run that is compared; the rest takes seconds, and figures are none of ours."""
    from safetensors.torch import save

    whole = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_whole(folder / "model.safetensors", save(whole))
    return Final("", 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, "")


def start(fault: Fault, out: Path, restarts: int) -> subprocess.Popen[bytes]:
    """A training by two processes."""
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    command = [
        *torchrun,
        "--max-restarts",
        str(restarts),
        __file__,
        WORKER,
        fault.__name__,
        str(out),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def workers(parent: int) -> list[int]:
    """The processes that torchrun has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    with contextlib.suppress(OSError):
        return [int(number) for number in children.read_text().split()]
    return []


def kills(n: int, folder: Path, plant: Fault) -> Found:
    """Either process killed (-9) at a random moment."""
    chance, killed, runs, different = random.Random(SEED), 0, 0, 0
    assert start(nothing, folder / "undisturbed", 0).wait(PATIENCE) == 0
    expected = weights(folder / "undisturbed")
    while killed < n:
        out, runs = folder / f"run{runs}", runs + 1
        process, begun = start(plant, out, n + SPARE), time.monotonic()
        while process.poll() is None and time.monotonic() - begun < PATIENCE:
            if killed < n and States(out) and (alive := workers(process.pid)):
                time.sleep(chance.uniform(0, LATEST))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(alive), signal.SIGKILL)
                    killed += 1
                wait_for_restart(process, alive)
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if process.wait() != 0:
            return Found(False, f"{killed} kills", f"a run ended with {process.returncode}")
        different += weights(out) != expected
        shutil.rmtree(out)
    return Found(
        different == 0, f"{killed} kills, {runs} runs", f"{different} runs with other bits"
    )


def wait_for_restart(process: subprocess.Popen[bytes], before: list[int]) -> None:
    """Until none of those that were there is."""
    while process.poll() is None and set(before) & set(workers(process.pid)):
        time.sleep(0.05)


# how much is tried, how much in short, and what has to be noticed
CHECKS: Checks = {kills: (20, 2, (forgotten_restart, forgotten_generator))}
TOLD = f"Two processes of `torchrun`, {LONGER.epochs} passes over {len(DIGITS.train)} digits, saved every {INTERVAL} steps."

if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        worker(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(
            soak(CHECKS, description=str(__doc__), title="Training by several processes", told=TOLD)
        )
