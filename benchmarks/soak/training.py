"""Does a training survive everything? Kills, signals, a disk that refuses and bits that flip, against real runs on real digits.

    python -m benchmarks.soak.training                                # about ten minutes
    python -m benchmarks.soak.training kills damage --quick           # some of it, in short
    python -m benchmarks.soak.training --write docs/reliability.md    # what came out, between markers

Each check runs twice: against the program as it is, where it must pass, and in short with a fault planted, where it must fail.
Exit status 1 where either is not so. Every run is a process of its own, forked from one that has loaded torch and computed nothing.
"""

import contextlib
import dataclasses
import errno
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace

os.environ["OMP_NUM_THREADS"] = (
    "1"  # the same bits need the same threads, and a thread would not survive a fork
)

import torch

from benchmarks.soak.frame import WHOLE, Checks, Fault, Found, child, ending, put, soak
from inkdigits.command import cli
from inkdigits.core.files import write_whole
from inkdigits.core.signals import uninterrupted
from inkdigits.data.datasets import load_dataset
from inkdigits.runs import artifacts as outcome
from inkdigits.runs import resume
from inkdigits.runs.resume import Interval, State, States
from inkdigits.runs.run import run
from inkdigits.training.loop import Training
from inkdigits.training.recipe import load_recipe

SEED = 0
INTERVAL = 9  # steps from save to save
IN_TIME = 5.0  # seconds from SIGTERM to the end of the process
KILLED, TERMINATED = -signal.SIGKILL, 143
DIGITS = load_dataset("optdigits")
DIGITS = dataclasses.replace(
    DIGITS, splits={name: DIGITS[name][:300] for name in ("train", "validation", "test")}
)
# With it, all that a state holds: dropout, BatchNorm, an average, augmentation, a pass without it, a learning rate that changes.
AUGMENTATION = {"rotation": 10.0, "elastic": 1.0, "erasing": 4.0, "clean_epochs": 1}
RECIPE = load_recipe(
    "batchnorm", {"epochs": 3, "batch": 25, "schedule": "one-cycle", "ema": 0.9, **AUGMENTATION}
)


def train(out: Path, counter: mmap.mmap | None = None) -> None:
    """Make the run or go on with it. counter: gets the number of steps taken."""
    put(
        outcome, "export_onnx", lambda _, path, *__, **___: write_whole(path, "")
    )  # they take a second, and have no state
    put(outcome, "write_report", lambda path, **_: write_whole(path, ""))
    step = Training._take_step

    def counted(training: Training, ink: torch.Tensor, target: torch.Tensor) -> None:
        step(training, ink, target)
        if counter:
            struct.pack_into("q", counter, 0, training.done + 1)

    put(Training, "_take_step", counted)
    for _ in run(RECIPE, out, DIGITS, device="cpu", resume=True, interval=Interval(steps=INTERVAL)):
        pass


def on_calls(act: Callable[[int, Callable[[], object]], object]) -> None:
    """From now on, every call that writes goes through `act`, which gets its number, counted from 1, and what would do it."""
    calls = [0]

    def through(function: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **options: object) -> object:
            calls[0] += 1
            return act(calls[0], partial(function, *arguments, **options))

        return called

    for owner, names in (
        (Path, ("write_bytes", "open", "replace", "unlink", "mkdir")),
        (os, ("fsync", "open")),
    ):
        for name in names:
            put(owner, name, through(getattr(owner, name)))


def weights(out: Path) -> bytes:
    """What is compared."""
    return (out / "model.safetensors").read_bytes()


def undisturbed(folder: Path) -> bytes:
    """The weights of a run that nothing happens to."""
    assert ending(child(partial(train, folder / "undisturbed"))) == WHOLE
    return weights(folder / "undisturbed")


def unusable(out: Path) -> int:
    """How many states in a run's folder are not what was saved."""
    count = 0
    for path in States(out)._paths():
        try:
            resume._read(path)
        except (ValueError, OSError):
            count += 1
    return count


def steps_saved(out: Path) -> int:
    """The step after which the newest good state was saved."""
    state = States(out).load()
    return (
        len(state.facts["epochs"]) * -(-len(DIGITS.train) // RECIPE.batch)
        + int(state.facts["step"])
        if state
        else 0
    )


def is_finished(out: Path) -> bool:
    """Whether there is nothing left to be lost."""
    return (out / outcome.LAST_FILE).is_file()


# ---- the checks


def kills(n: int, folder: Path, plant: Fault) -> Found:
    """Killed (-9) at a random moment, every other time within a call that writes, and started again until it is whole."""
    chance, expected, counter = random.Random(SEED), undisturbed(folder), mmap.mmap(-1, 8)
    killed = runs = different = damaged = lost = 0

    def work(out: Path, aimed: int) -> None:
        plant()
        on_calls(lambda call, do: os.kill(os.getpid(), signal.SIGKILL) if call == aimed else do())
        train(out, counter)

    while killed < n:
        out, status = folder / f"run{runs}", KILLED
        struct.pack_into("q", counter, 0, 0)
        while status == KILLED:
            aimed = chance.randint(1, 40) if killed % 2 and killed < n else 0
            number = child(partial(work, out, aimed))
            if not aimed and killed < n:
                time.sleep(chance.uniform(0.02, 0.7))
                os.kill(number, signal.SIGKILL)
            if (status := ending(number)) == KILLED:
                killed += 1
                damaged += unusable(out)
                if not is_finished(out):
                    lost = max(lost, struct.unpack_from("q", counter)[0] - steps_saved(out))
        if status != WHOLE:
            return Found(False, f"{killed} kills", f"a run ended with {status}")
        runs += 1
        different += weights(out) != expected
        shutil.rmtree(out)
    figures = (
        f"{different} of {runs} runs with other bits, {damaged} unusable states, at most {lost} steps lost, of {INTERVAL} "
        "from save to save"
    )
    return Found(
        different == damaged == 0 and lost <= INTERVAL, f"{killed} kills, {runs} runs", figures
    )


def refusals(n: int, folder: Path, plant: Fault) -> Found:
    """Each call of a run that writes refused in turn (ENOSPC from then on, EIO once and after the act); then gone on with."""
    expected, counter = undisturbed(folder), mmap.mmap(-1, 8)

    def counted() -> None:
        def act(number: int, do: Callable[[], object]) -> object:
            struct.pack_into("q", counter, 0, number)
            return do()

        on_calls(act)
        train(folder / "counted")

    def refused(out: Path, call: int, error: int) -> None:
        def act(number: int, do: Callable[[], object]) -> object:
            if number < call or (error == errno.EIO and number > call):
                return do()
            if error == errno.EIO:
                do()
            raise OSError(error, os.strerror(error))

        plant()
        on_calls(act)
        train(out)

    assert ending(child(counted)) == WHOLE
    (calls,) = struct.unpack_from("q", counter)
    tried = different = lost = 0
    for call in range(1, calls + 1, max(1, 2 * calls // n)):
        for error in (errno.ENOSPC, errno.EIO):
            out, tried = folder / f"run{tried}", tried + 1
            ending(child(partial(refused, out, call, error)))
            two_were_saved = call > calls // 3
            lost += two_were_saved and not is_finished(out) and steps_saved(out) == 0
            different += ending(child(partial(train, out))) != WHOLE or weights(out) != expected
            shutil.rmtree(out)
    figures = f"{lost} last good states lost, {different} runs that did not end with the same bits"
    return Found(different == lost == 0, f"{tried}, of {calls} calls", figures)


def damage(n: int, folder: Path, plant: Fault) -> Found:
    """A bit of the newest state flipped, or its end cut off, anywhere."""
    chance, noticed = random.Random(SEED), mmap.mmap(-1, 8)

    def work() -> None:
        plant()
        states, count = States(folder), 0
        states.folder.mkdir(parents=True)
        for number in (1, 2):
            states.save(State({"weights": torch.full((50_000,), 0.5)}, {"number": number}))
        newest = max(states.folder.iterdir())
        content = newest.read_bytes()
        for number in range(n):
            place = chance.randrange(len(content) if number % 4 else 300)  # the header is small
            hurt = bytearray(content[:place] if number % 2 else content)
            if number % 2 == 0:
                hurt[place] ^= 1 << chance.randrange(8)
            newest.write_bytes(hurt)
            with contextlib.suppress(Exception):  # whatever is no digest's doing
                found = states.load()
                count += found is not None and found.facts["number"] == 1
        struct.pack_into("q", noticed, 0, count)

    assert ending(child(work)) == WHOLE
    (count,) = struct.unpack_from("q", noticed)
    return Found(count == n, str(n), f"{count} noticed, and the state before used")


def terminations(n: int, folder: Path, plant: Fault) -> Found:
    """SIGTERM at a random moment to `inkdigits train best` on optdigits, gone on with by `--resume`."""
    chance, out, seconds, other, damaged = random.Random(SEED), folder / "run", list[float](), 0, 0

    def work() -> int:
        plant()
        return cli.main(
            ["train", "best", "--data", "optdigits", "--epochs", "3", "--out", str(out), "--resume"]
        )

    while len(seconds) < n:
        number = child(work)
        time.sleep(chance.uniform(0.1, 2.5))
        begun = time.monotonic()
        os.kill(number, signal.SIGTERM)
        status, waited = ending(number), time.monotonic() - begun
        if status == WHOLE:
            shutil.rmtree(out)
            if waited < 1:  # it was finished when the signal came
                continue
        seconds.append(waited)
        other += status != TERMINATED
        damaged += unusable(out)
    late = sum(each > IN_TIME for each in seconds)
    figures = (
        f"{late} later than {IN_TIME:.0f} s (median {median(seconds):.2f} s, longest {max(seconds):.2f} s), {other} with another "
        f"status than {TERMINATED}, {damaged} unusable states"
    )
    return Found(late == other == damaged == 0, str(n), figures)


# ---- what is planted


def no_temporary_file() -> None:
    """States are written under their own names."""

    def write(path: Path, content: bytes) -> None:
        for begin in range(0, len(content), 1 << 14):
            with path.open("ab") as file:
                file.write(content[begin : begin + (1 << 14)])

    put(resume, "write_whole", write)


def forgotten_generator() -> None:
    """States forget the augmentation's generator."""
    everything = Training._randomness

    def without(training: Training) -> dict[str, object]:
        return {
            name: each
            for name, each in everything(training).items()
            if not name.startswith("drawing")
        }

    put(Training, "_randomness", without)


def old_ones_first() -> None:
    """Old states are deleted before the new one is written."""
    save = States.save

    def careless(states: States, state: State) -> None:
        for path in states._paths():
            os.unlink(path)  # noqa: PTH108 (the other one may be refused)
        save(states, state)

    put(States, "save", careless)


def unchecked_digest() -> None:
    """The SHA-256 is not compared."""
    same = SimpleNamespace(hexdigest=lambda: "0" * 64)
    put(resume, "hashlib", SimpleNamespace(sha256=lambda _: same))


def deaf() -> None:
    """SIGTERM waits for the end of the run."""
    uninterrupted.depth = 1


# how much is tried, how much in short, and what has to be noticed
CHECKS: Checks = {
    kills: (200, 32, (no_temporary_file, forgotten_generator)),
    refusals: (10**6, 16, (old_ones_first,)),
    damage: (500, 50, (unchecked_digest,)),
    terminations: (100, 2, (deaf,)),
}
TOLD = f"`{RECIPE.name}` with all that a state holds, {len(DIGITS.train)} digits, saved every {INTERVAL} steps, a process a run."

if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(soak(CHECKS, description=str(__doc__), title="Training", told=TOLD))
