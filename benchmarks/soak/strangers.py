"""What a stranger hands over ends in a sentence: model files, run folders, files of corrections.

    python -m benchmarks.soak.strangers                                # half an hour
    python -m benchmarks.soak.strangers models --quick                 # some of them
    python -m benchmarks.soak.strangers --write docs/reliability.md    # between markers

Each input is given to the command in a process of its own, whose time and memory are measured, in
a folder beside one that nothing may touch. Then the same in short with a fault planted, which has
to be noticed. Exit status 1 where either is not so. Needs onnx.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.common import ROOT, SAMPLE, table, tell
from benchmarks.soak.frame import Check, Fault, Outcome, Suite, Trial, child, main
from benchmarks.soak.frame import ending as ending_of
from benchmarks.soak.stranger_corrections import CORRECTIONS
from benchmarks.soak.stranger_corrections import HARMLESS as HARMLESS_CORRECTIONS
from benchmarks.soak.stranger_corrections import STRANGE_NAMES as NAMES_OF_CORRECTIONS
from benchmarks.soak.stranger_faults import (
    any_correction,
    any_model,
    any_state,
    followed_links,
)
from benchmarks.soak.stranger_files import Make
from benchmarks.soak.stranger_models import HARMLESS as HARMLESS_MODELS
from benchmarks.soak.stranger_models import MODELS
from benchmarks.soak.stranger_models import STRANGE_NAMES as NAMES_OF_MODELS
from benchmarks.soak.stranger_runs import RUNS, Materials, make_materials

SECONDS = 10  # of a processor, which is what it takes on a machine that does nothing else
PATIENCE = 300  # seconds until a process that waits for something is ended
MEMORY = 500_000_000  # bytes, of the largest of its processes; where the work is done nevertheless,
WORKING = 700_000_000  # as training and exporting a good folder take 560 MB
LONGEST = 2000  # characters of a sentence
MOST_LINES = 6  # where the work is done nevertheless: warnings and progress
AT_ONCE = 4  # commands; their seconds are of a processor
REFUSED = 2
TOO_LONG = -signal.SIGKILL
SHORT = 300  # characters of what was said, in the list of failures


@dataclass(frozen=True)
class Attempt:
    """A command that gets something from a stranger.

    Attributes:
        name: what it gets.
        make: makes that, at the path that it gets.
        arguments: of the command.
        path: what is made, relative to the folder in which the command runs.
        is_harmless: whether the command should do its work nevertheless, with at most a warning.
    """

    name: str
    make: Make
    arguments: tuple[str, ...]
    path: str
    is_harmless: bool = False


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: exit status, or the negative number of the signal it died of.
        said: what is on standard error.
        seconds: of a processor.
        memory: bytes of the largest of its processes.
        left: whether a process of its was still running.
    """

    status: int
    said: str
    seconds: float
    memory: int
    left: bool


# ---- running a command

# Starts a command, and tells its exit status, seconds of a processor and KiB. It is small itself,
# because what a process holds when it starts a command counts as the command's.
LAUNCHER = f"""
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, ({3 * SECONDS}, {3 * SECONDS}))
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def run(arguments: Iterable[str], folder: Path, fault: Fault | None) -> Ended:
    """Run `inkdigits` in a folder, with a fault planted if there is one."""
    command = [str(Path(sys.executable).with_name("inkdigits"))]
    if fault:
        command = [sys.executable, "-m", "benchmarks.soak.stranger_faults", fault.__name__]

    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    said = folder.parent / "said"
    with said.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LAUNCHER, *command, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=written,
            start_new_session=True,
        )
        figures = _wait(process)

    left = _end_group(process.pid)
    status, seconds, memory = map(float, figures.split()) if figures else (TOO_LONG, PATIENCE, 0)
    text = said.read_bytes().decode(errors="replace")
    return Ended(round(status), text, seconds, round(memory) << 10, left)


def _wait(process: "subprocess.Popen[bytes]") -> bytes:
    """Wait for a process; return what it says, or nothing if it takes too long and is ended."""
    try:
        return process.communicate(timeout=PATIENCE)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def _end_group(group: int) -> bool:
    """End what a process has left behind; tell whether there was anything."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False

    return True


# ---- what must stay


def lay_out(folder: Path) -> None:
    """Make the folder that nothing may touch: with names that strangers' inputs lead to."""
    precious = folder / "precious"
    (precious / "state").mkdir(parents=True)
    names = ["letter.txt", "000001", "model.safetensors", "config.json", "metrics.jsonl"]
    names += ["state/letter.txt", f"state/000001-{'0' * 64}.safetensors", "report.html"]
    for name in names:
        (precious / name).write_text(name)


def fingerprint(folder: Path) -> str:
    """Return a hash of all names, kinds, times and contents in a folder, but not its own times."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        changed = 0 if path.is_dir() else facts.st_mtime_ns
        digest.update(f"{path.relative_to(folder)} {facts.st_mode} {changed}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())

    return digest.hexdigest()


# ---- judging


def complaints(attempt: Attempt, ended: Ended) -> list[str]:
    """Say what is wrong with how a command ended."""
    found = []
    wanted = 0 if attempt.is_harmless else REFUSED
    if ended.status != wanted:
        found.append(f"exit status {ended.status}, not {wanted}")

    found += _badly_said(ended.said, 0 if attempt.is_harmless else 1)
    if ended.seconds > SECONDS:
        found.append(f"{ended.seconds:.1f} s")
    if ended.memory > (WORKING if attempt.is_harmless else MEMORY):
        found.append(f"{ended.memory / 1e6:.0f} MB")
    if ended.left:
        found.append("a process was left behind")

    return found


def _badly_said(said: str, wanted: int) -> list[str]:
    """Say what is wrong with what a command has said: `wanted` lines, or a few where that is 0."""
    found = []
    lines = said.splitlines()
    said_well = len(lines) == wanted if wanted else len(lines) <= MOST_LINES
    if not said_well or len(said) > LONGEST:
        found.append(f"{len(lines)} lines, {len(said):,} characters")
    if "Traceback" in said or not all(line.isprintable() for line in lines):
        found.append("a traceback, or control characters")

    return found


def examine(trial: Trial, attempt: Attempt, number: int) -> tuple[Ended, list[str]]:
    """Make one input, run the command, and say what is wrong with that."""
    base = trial.folder / str(number)
    work = base / "work"
    work.mkdir(parents=True)
    lay_out(base)
    try:
        # In a process of its own, so that what is made takes no memory here.
        if ending_of(child(partial(_make_in, work, attempt))):
            raise RuntimeError(f"{attempt.name} cannot be made")

        before = fingerprint(base / "precious")
        ended = run(attempt.arguments, work, trial.fault)
        found = complaints(attempt, ended)
        if fingerprint(base / "precious") != before:
            found.append("files of the user's were touched")
        if strange := {path.name for path in base.iterdir()} - {"work", "precious", "said"}:
            found.append(f"outside there is {strange!a}")
        if found and not trial.fault:
            tell(f"{attempt.name}: {', '.join(found)}; {ended.said!a:.600}")
    finally:
        shutil.rmtree(base, ignore_errors=True)

    return ended, found


def _make_in(folder: Path, attempt: Attempt) -> None:
    os.chdir(folder)
    attempt.make(folder / attempt.path)


def examine_all(attempts: Iterable[Attempt], trial: Trial) -> Outcome:
    """Run all commands, some at a time."""
    rows = []
    failures = []
    taken = []
    attempts = list(attempts)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        judged = list(pool.map(partial(examine, trial), attempts, range(len(attempts))))

    for attempt, (ended, found) in zip(attempts, judged, strict=True):
        taken.append(ended)
        sentence = ended.said.replace(f"{trial.folder}/", "").strip() or "it is used"
        rows.append((attempt.name, shown(sentence)))
        if found:
            said = ascii(ended.said[-SHORT:])
            failures.append(f"{attempt.name}: {', '.join(found)}; it said {said}")

    slowest = max(ended.seconds for ended in taken)
    refused = max((ended.memory for ended in taken if ended.status == REFUSED), default=0)
    used = max((ended.memory for ended in taken if ended.status != REFUSED), default=0)
    good = len(taken) - len(failures)
    memory = f"{refused / 1e6:.0f} MB where it is refused, {used / 1e6:.0f} MB where it is used"
    result = f"{good} so; at most {slowest:.1f} s of a processor, {memory}"
    details = "\n".join(table(("from a stranger", "what the command says"), rows))
    return Outcome(f"{len(taken)} inputs", result, failures, details)


def shown(sentence: str) -> str:
    """Return what was said as a cell of a table: not long, and without what Markdown would read."""
    text = sentence.removeprefix("inkdigits: ").replace("|", "/").replace("`", "'")
    short = text if len(text) <= SHORT else f"{text[:SHORT]}..."
    return f"`{ascii(short)[1:-1]}`"


# ---- the three kinds


def models(trial: Trial) -> Outcome:
    """Read a picture with model files of a stranger's: endless, huge, damaged, or no models."""
    few = ("a loop", "NaN", "a good model", "a pickle", "a FIFO")
    chosen = trial.choose(list(MODELS), few)
    return examine_all((_model_attempt(name) for name in chosen), trial)


def _model_attempt(name: str) -> Attempt:
    path = NAMES_OF_MODELS.get(name, "folder" if name.endswith("in a folder") else "model.onnx")
    arguments = ("read", "--model", path, str(SAMPLE))
    return Attempt(name, MODELS[name], arguments, path, name in HARMLESS_MODELS)


def corrections(trial: Trial) -> Outcome:
    """Export files of corrections of a stranger's: labels that are paths, rows without end."""
    few = ("a label that is a path", "a label of 7.0", "our own file", "a FIFO", "text")
    chosen = trial.choose(list(CORRECTIONS), few)
    return examine_all((_correction_attempt(name) for name in chosen), trial)


def _correction_attempt(name: str) -> Attempt:
    path = NAMES_OF_CORRECTIONS.get(name, "corrections.sqlite")
    arguments = ("data", "export-feedback", path, "exported")
    return Attempt(name, CORRECTIONS[name], arguments, path, name in HARMLESS_CORRECTIONS)


def runs(trial: Trial) -> Outcome:
    """Go on with, start from, export, compare and search in run folders of a stranger's."""
    materials = Materials(trial.folder / "materials")
    if ending_of(child(partial(make_materials, materials))):
        raise RuntimeError("no run to change could be made; is MNIST there?")

    few = ("a link as state", "a state with a tensor of another shape", "a FIFO as config.json")
    chosen = trial.choose(list(RUNS), few)
    return examine_all((_run_attempt(name, materials) for name in chosen), trial)


def _run_attempt(name: str, materials: Materials) -> Attempt:
    case = RUNS[name]
    attempt = Attempt(name, partial(case.make, materials), case.arguments, "run")
    return replace(attempt, is_harmless=case.is_harmless)


EXPECTED = (
    f"one sentence each, within {SECONDS} s of a processor and {MEMORY // 10**6} MB "
    f"({WORKING // 10**6} MB where it is used nevertheless); no traceback, no control characters, "
    "no file outside touched"
)
CHECKS: list[Check] = [
    Check(models, EXPECTED, any_model),
    Check(runs, EXPECTED, any_state, followed_links),
    Check(corrections, EXPECTED, any_correction),
]
SUITE = Suite(
    "Strangers",
    "Each input is made anew, and given to the command in a process of its own. The memory is that "
    "of the largest of its processes.",
    CHECKS,
    ["torch", "onnxruntime", "numpy"],
)

if __name__ == "__main__":
    sys.exit(main(SUITE, __doc__))
