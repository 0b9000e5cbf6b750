"""Does a training survive everything? Kills, signals, a disk that refuses and bits that flip.

    python -m benchmarks.soak.training                                # about ten minutes
    python -m benchmarks.soak.training kills damage --quick           # some checks, in short
    python -m benchmarks.soak.training --write docs/reliability.md    # between markers

Each check runs twice: against the program as it is, where it must pass, and in short with a fault
planted, where it must fail. Exit status 1 where either is not so. Runs are real ones on real
digits; each is a process of its own, forked from one that has loaded torch and computed nothing.
"""

import contextlib
import dataclasses
import errno
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from ctypes import c_int64
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace

# The same bits need the same threads, and a thread would not survive a fork.
os.environ["OMP_NUM_THREADS"] = "1"

import torch

from benchmarks.soak.frame import (
    WHOLE,
    Check,
    Outcome,
    Suite,
    Trial,
    child,
    ending,
    main,
    outcome_of,
    put,
    shared,
)
from inkdigits.command import cli
from inkdigits.core.files import write_whole
from inkdigits.core.signals import uninterrupted
from inkdigits.data.datasets import load_dataset
from inkdigits.runs import artifacts, resume
from inkdigits.runs.resume import Interval, SavedStates
from inkdigits.runs.run import run
from inkdigits.training.loop import Training
from inkdigits.training.recipe import load_recipe
from inkdigits.training.state import TrainingState

SEED = 0
INTERVAL = 9  # steps from save to save
IN_TIME = 5.0  # seconds from SIGTERM to the end of the process
KILLED = -signal.SIGKILL
TERMINATED = 143
WHOLE_DIGITS = load_dataset("optdigits")
SPLITS = {name: WHOLE_DIGITS[name][:300] for name in ("train", "validation", "test")}
DIGITS = dataclasses.replace(WHOLE_DIGITS, splits=SPLITS)
# With it, everything that a state may hold: dropout, BatchNorm, an average of the weights,
# augmentation, a pass without it, and a learning rate that changes.
SETTINGS = {
    "epochs": 3,
    "batch": 25,
    "schedule": "one-cycle",
    "ema": 0.9,
    "rotation": 10.0,
    "elastic": 1.0,
    "erasing": 4.0,
    "clean_epochs": 1,
}
RECIPE = load_recipe("batchnorm", SETTINGS)
WRITING = {  # every call that writes
    Path: ("write_bytes", "open", "replace", "unlink", "mkdir"),
    os: ("fsync", "open"),
}
Act = Callable[[int, Callable[[], object]], object]


def train(out: Path, steps: c_int64 | None = None) -> None:
    """Make the run or go on with it. steps: gets the number of steps taken."""
    # Export and report take a second, and have no state.
    put(artifacts, "export_onnx", lambda _, path, *__, **___: write_whole(path, ""))
    put(artifacts, "write_report", lambda path, **_: write_whole(path, ""))
    check = Training._refuse_unless_finite

    def counted(training: Training, loss: torch.Tensor) -> None:
        check(training, loss)
        if steps is not None:
            steps.value = training.steps_done + 1

    put(Training, "_refuse_unless_finite", counted)
    for _ in run(RECIPE, out, DIGITS, device="cpu", resume=True, interval=Interval(steps=INTERVAL)):
        pass


def on_calls(act: Act) -> None:
    """Send every call that writes through `act`, with its number from 1, and what would do it."""
    calls = [0]

    def through(function: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **options: object) -> object:
            calls[0] += 1
            return act(calls[0], partial(function, *arguments, **options))

        return called

    for owner, names in WRITING.items():
        for name in names:
            put(owner, name, through(getattr(owner, name)))


def weights(out: Path) -> bytes:
    """Return what is compared."""
    return (out / "model.safetensors").read_bytes()


def undisturbed(folder: Path) -> bytes:
    """Return the weights of a run that is left in peace."""
    assert ending(child(partial(train, folder / "undisturbed"))) == WHOLE
    return weights(folder / "undisturbed")


def unusable(out: Path) -> int:
    """Count the states in a run's folder that are not what was saved."""
    count = 0
    for path in SavedStates(out)._paths():
        try:
            resume._read(path)
        except (ValueError, OSError):
            count += 1

    return count


def steps_saved(out: Path) -> int:
    """Return the step after which the newest good state was saved, 0 without one."""
    state = SavedStates(out).load()
    if not state:
        return 0

    steps = -(-len(DIGITS.train) // RECIPE.batch)
    return len(state.facts["epochs"]) * steps + int(state.facts["step"])


def is_finished(out: Path) -> bool:
    """Tell whether nothing is left to be lost."""
    return (out / artifacts.LAST_FILE).is_file()


# ---- the checks


def disturbed(start: Callable[[int], int], chance: random.Random, is_aimed: bool) -> int:
    """Start a run and kill it (-9), within a call that writes or at a random moment.

    Args:
        start: starts a run that kills itself within the call with this number; 0 is none.
        chance: draws the call or the moment.
        is_aimed: at a call.

    Returns:
        The status that the run ended with.
    """
    number = start(chance.randint(1, 40) if is_aimed else 0)
    if not is_aimed:
        time.sleep(chance.uniform(0.02, 0.7))
        os.kill(number, signal.SIGKILL)

    return ending(number)


def kills(trial: Trial) -> Outcome:
    """Kill a run (-9) at a random moment, and start it again until it is whole.

    Every other time it is killed within a call that writes.
    """
    n = trial.choose(200, 32)
    chance = random.Random(SEED)
    expected = undisturbed(trial.folder)
    steps = shared(c_int64)
    killed = runs = different = damaged = lost = 0

    def work(out: Path, aimed: int) -> None:
        trial.plant()
        on_calls(lambda call, do: os.kill(os.getpid(), signal.SIGKILL) if call == aimed else do())
        train(out, steps)

    while killed < n:
        out = trial.folder / f"run{runs}"
        start = partial(_start, work, out)
        status = KILLED
        steps.value = 0
        while status == KILLED:
            is_aimed = killed % 2 == 1
            status = disturbed(start, chance, is_aimed) if killed < n else ending(start(0))
            if status == KILLED:
                killed += 1
                damaged += unusable(out)
                if not is_finished(out):
                    lost = max(lost, steps.value - steps_saved(out))

        if status != WHOLE:
            told = f"a run ended with {status}"
            return Outcome(f"{killed} kills", told, [told])

        runs += 1
        different += weights(out) != expected
        shutil.rmtree(out)

    faults = {"runs with other bits": different, "unusable states": damaged}
    told = f"at most {lost} steps lost, of {INTERVAL} from save to save"
    failures = [told] if lost > INTERVAL else []
    return outcome_of(f"{killed} kills, {runs} runs", faults, f", {told}", failures)


def _start(work: Callable[[Path, int], None], out: Path, aimed: int) -> int:
    return child(partial(work, out, aimed))


def refusals(trial: Trial) -> Outcome:
    """Refuse each call of a run that writes in turn, and go on with the run.

    ENOSPC comes from then on, EIO once and after the act.
    """
    n = trial.choose(10**6, 16)
    expected = undisturbed(trial.folder)
    calls = shared(c_int64)
    tried = different = lost = 0

    def counted() -> None:
        def act(number: int, do: Callable[[], object]) -> object:
            calls.value = number
            return do()

        on_calls(act)
        train(trial.folder / "counted")

    def refused(out: Path, call: int, error: int) -> None:
        def act(number: int, do: Callable[[], object]) -> object:
            if number < call or (error == errno.EIO and number > call):
                return do()

            if error == errno.EIO:
                do()

            raise OSError(error, os.strerror(error))

        trial.plant()
        on_calls(act)
        train(out)

    assert ending(child(counted)) == WHOLE
    count = calls.value
    for call in range(1, count + 1, max(1, 2 * count // n)):
        for error in (errno.ENOSPC, errno.EIO):
            out = trial.folder / f"run{tried}"
            tried += 1
            ending(child(partial(refused, out, call, error)))
            two_were_saved = call > count // 3
            lost += two_were_saved and not is_finished(out) and steps_saved(out) == 0
            different += ending(child(partial(train, out))) != WHOLE or weights(out) != expected
            shutil.rmtree(out)

    faults = {"last good states lost": lost, "runs that did not end with the same bits": different}
    return outcome_of(f"{tried}, of {count} calls", faults)


def damage(trial: Trial) -> Outcome:
    """Flip a bit of the newest state, or cut its end off, anywhere."""
    n = trial.choose(500, 50)
    chance = random.Random(SEED)
    noticed = shared(c_int64)

    def work() -> None:
        trial.plant()
        states = SavedStates(trial.folder)
        states.folder.mkdir(parents=True)
        for number in (1, 2):
            tensors = {"weights": torch.full((50_000,), 0.5)}
            states.save(TrainingState(tensors, {"number": number}))

        newest = max(states.folder.iterdir())
        content = newest.read_bytes()
        count = 0
        for number in range(n):
            place = chance.randrange(len(content) if number % 4 else 300)  # the header is small
            hurt = bytearray(content[:place] if number % 2 else content)
            if number % 2 == 0:
                hurt[place] ^= 1 << chance.randrange(8)

            newest.write_bytes(hurt)
            with contextlib.suppress(Exception):  # counts as not noticed by the digest
                found = states.load()
                count += found is not None and found.facts["number"] == 1

        noticed.value = count

    assert ending(child(work)) == WHOLE
    also = f"; {noticed.value} noticed, and the state before used"
    return outcome_of(str(n), {"not noticed": n - noticed.value}, also)


def terminations(trial: Trial) -> Outcome:
    """Send SIGTERM at a random moment to `inkdigits train best`, and go on with `--resume`."""
    n = trial.choose(100, 2)
    chance = random.Random(SEED)
    out = trial.folder / "run"
    command = f"train best --data optdigits --epochs 3 --resume --out {out}".split()
    seconds: list[float] = []
    other = damaged = 0

    def work() -> int:
        trial.plant()
        return cli.main(command)

    while len(seconds) < n:
        number = child(work)
        time.sleep(chance.uniform(0.1, 2.5))
        begun = time.monotonic()
        os.kill(number, signal.SIGTERM)
        status = ending(number)
        waited = time.monotonic() - begun
        if status == WHOLE:
            shutil.rmtree(out)
            if waited < 1:  # it was finished when the signal came
                continue

        seconds.append(waited)
        other += status != TERMINATED
        damaged += unusable(out)

    faults = {
        f"later than {IN_TIME:.0f} s": sum(each > IN_TIME for each in seconds),
        f"with another status than {TERMINATED}": other,
        "unusable states": damaged,
    }
    also = f"; median {median(seconds):.2f} s, longest {max(seconds):.2f} s"
    return outcome_of(str(n), faults, also)


# ---- what is planted


def no_temporary_file() -> None:
    """Write states under their own names."""

    def write(path: Path, content: bytes) -> None:
        for begin in range(0, len(content), 1 << 14):
            with path.open("ab") as file:
                file.write(content[begin : begin + (1 << 14)])

    put(resume, "write_whole", write)


def forgotten_generator() -> None:
    """Forget the augmentation's generator in states."""
    everything = Training._random_states

    def without(training: Training) -> dict[str, torch.Tensor]:
        found = everything(training)
        return {name: found[name] for name in found if not name.startswith("drawing")}

    put(Training, "_random_states", without)


def old_ones_first() -> None:
    """Delete old states before the new one is written."""
    save = SavedStates.save

    def careless(states: SavedStates, state: TrainingState) -> None:
        for path in states._paths():
            os.unlink(path)  # noqa: PTH108 (the other one may be refused)

        save(states, state)

    put(SavedStates, "save", careless)


def unchecked_digest() -> None:
    """Do not compare the SHA-256."""
    same = SimpleNamespace(hexdigest=lambda: "0" * 64)
    put(resume, "hashlib", SimpleNamespace(sha256=lambda _: same))


def deaf() -> None:
    """Let SIGTERM wait for the end of the run."""
    uninterrupted.depth = 1


SUITE = Suite(
    "Training",
    f"`{RECIPE.name}` with all that a state holds, {len(DIGITS.train)} digits, saved every "
    f"{INTERVAL} steps, a process a run.",
    (
        Check(
            kills,
            "the same bits, no unusable state, at most one interval lost",
            no_temporary_file,
            forgotten_generator,
        ),
        Check(refusals, "the same bits, and always a good state", old_ones_first),
        Check(damage, "all noticed", unchecked_digest),
        Check(terminations, f"exit status {TERMINATED} in time, no unusable state", deaf),
    ),
    ("numpy", "torch"),
)

if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(SUITE, __doc__))
