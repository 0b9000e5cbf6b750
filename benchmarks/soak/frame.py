"""The frame of `make soak`: each check must pass as things are, and fail where a fault is planted.

A suite of checks comes in; what they found is printed, and goes between the markers of a page. A
check that does not notice its planted fault proves nothing, so that counts as a failure, too.
"""

import argparse
import ctypes
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from benchmarks.common import (
    command_line,
    in_words,
    machine,
    read_between,
    table,
    table_row,
    write_between,
)

SHOWN = 10  # failures of a check
SEARCH = 600.0  # seconds
WHOLE = 0  # the exit status of a process that did all its work
BROKEN = "the check broke off"
Data = TypeVar("Data", bound=ctypes.Structure | ctypes.c_int64)

Fault = Callable[[], None]  # changes the program before it works; its docstring says what is wrong


class Died(Exception):
    """What is tried ended without being asked to."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        n: how much was tried.
        result: what the table shows.
        failures: what helps to mend it; the check has passed where there is none.
        details: Markdown below the table.
    """

    n: str
    result: str
    failures: Sequence[str] = ()
    details: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether nothing failed."""
        return not self.failures


def outcome_of(
    n: str, faults: Mapping[str, int], also: str = "", failures: Sequence[str] = ()
) -> Outcome:
    """Return an outcome that fails where one of the counted faults occurred.

    Args:
        n: how much was tried.
        faults: how often each kind of fault occurred, by its name.
        also: what the result says beside that.
        failures: what helps to mend it, before the counts.
    """
    counts = [f"{count:,} {name}" for name, count in faults.items()]
    occurred = [f"{count:,} {name}" for name, count in faults.items() if count]
    return Outcome(n, ", ".join(counts) + also, [*failures, *occurred])


@dataclass(frozen=True)
class Trial:
    """One run of a check.

    Attributes:
        quick: whether a small part is enough.
        folder: an empty folder, in memory where the system has such a place.
        fault: what is planted.
        seconds: how long checks search that look for the worst.
    """

    quick: bool
    folder: Path
    fault: Fault | None = None
    seconds: float = SEARCH

    def choose(self, whole: Any, few: Any) -> Any:
        """Return `few` in a quick run, else `whole`."""
        return few if self.quick else whole

    def plant(self) -> None:
        """Plant the fault, in a process of its own."""
        if self.fault:
            self.fault()


class Check:
    """A check, what it is expected to find, and the planted faults that it must catch.

    The first paragraph of `run`'s docstring says in the table what is done.
    """

    def __init__(self, run: Callable[[Trial], Outcome], expected: str, *faults: Fault) -> None:
        self.run = run
        self.expected = expected
        self.faults = faults

    @property
    def name(self) -> str:
        """Return the name by which the check is asked for."""
        return self.run.__name__


@dataclass(frozen=True)
class Suite:
    """Checks that make a section of a page.

    Attributes:
        title: the heading; in small letters the name of the markers.
        told: how it was done, in a sentence.
        checks: in the order in which they run.
        packages: distributions whose versions belong to the figures.
    """

    title: str
    told: str
    checks: Sequence[Check]
    packages: Sequence[str]


def main(suite: Suite, documentation: str | None) -> int:
    """Run the checks that the command line names, print what they find, and write it where asked.

    Returns:
        The exit status: 1 where a check failed, or did not notice what was planted.
    """
    checks = {check.name: check for check in suite.checks}
    names = ", ".join(checks)
    parser = command_line(documentation, quick="a small part of each: does everything run?")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"{names}; all by default")
    parser.add_argument(
        "--seconds", type=float, default=SEARCH, help="how long to search (default: %(default)g)"
    )
    options = parser.parse_args()
    if unknown := set(options.checks) - set(checks):
        parser.error(f"no check {', '.join(unknown)}; checks are {names}")

    passed = True
    try:
        for name in options.checks or checks:
            passed &= _run(suite, checks[name], options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130

    return 0 if passed else 1


def _run(suite: Suite, check: Check, options: argparse.Namespace) -> bool:
    """Run a check on the program as it is, and in short with each fault planted."""
    begun = time.perf_counter()
    outcome = _outcome(check, options.quick, None, options.seconds)
    missed = [fault for fault in check.faults if not _is_caught(check, fault)]
    caught = "; ".join(described(fault) for fault in check.faults if fault not in missed)
    result = outcome.result if outcome.passed else f"**failed:** {outcome.result}"
    cells = [described(check.run), outcome.n, result, check.expected, caught]

    seconds = time.perf_counter() - begun
    word = "passed" if outcome.passed and not missed else "FAILED"
    print(word, table_row([f"`{check.name}`", *cells]), f"{seconds:.0f} s")
    for failure in outcome.failures[:SHOWN]:
        print(f"    {failure[:400]}")

    for fault in missed:
        print(f"    went unnoticed: {described(fault)}")

    sys.stdout.flush()
    if options.write:
        _write(options.write, suite, check, cells, outcome.details, options.quick)

    return outcome.passed and not missed


def _is_caught(check: Check, fault: Fault) -> bool:
    """Tell whether a check fails on a planted fault, and not because it broke off."""
    outcome = _outcome(check, True, fault)
    return not outcome.passed and not outcome.result.startswith(BROKEN)


def _outcome(check: Check, quick: bool, fault: Fault | None, seconds: float = SEARCH) -> Outcome:
    """Run a check in a folder of its own."""
    in_memory = Path("/dev/shm")
    parent = in_memory if in_memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        try:
            return check.run(Trial(quick, Path(folder), fault, seconds))
        except Died as error:
            return Outcome("", f"died: {error}", [str(error)])
        except Exception as error:
            told = f"{BROKEN}: {type(error).__name__}: {error}"
            return Outcome("", told, [told])


def _write(
    page: Path, suite: Suite, check: Check, cells: Sequence[str], details: str, quick: bool
) -> None:
    """Replace the check's row in the page, and what belongs to it below the table."""
    name = suite.title.lower()
    lines = read_between(page, name).splitlines()
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith("| `")}
    rows[f"| `{check.name}`"] = table_row([f"`{check.name}`", *cells])
    shown = [rows[key] for each in suite.checks if (key := f"| `{each.name}`") in rows]

    head = "check", "what is done", "n", "result", "expected", "planted faults, which were caught"
    short = " In short (`--quick`): these are no results." if quick else ""
    made = f"Measured by `make soak`, {in_words(machine(*suite.packages))}.{short}"
    text = [f"## {suite.title}", "", suite.told, "", *table(head, []), *shown, "", made]
    write_between(page, name, "\n".join(text))
    if details:
        write_between(page, f"{name} {check.name}", f"### `{check.name}`\n\n{details}")


def described(function: Callable[..., object]) -> str:
    """Return the first paragraph of a function's docstring, as a cell of a table."""
    return " ".join(str(function.__doc__).partition("\n\n")[0].split()).rstrip(".")


# ---- processes


def put(owner: object, name: str, function: object) -> None:
    """Replace what has that name, and must exist; in children only."""
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, function)


def child(work: Callable[[], object]) -> int:
    """Start a silent process that does the work.

    Returns:
        Its number. It ends with WHOLE, or with the status that `work` returns.
    """
    number = os.fork()
    if number == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.dup2(2, 1)
            done = work()
            status = done if isinstance(done, int) else WHOLE
        finally:
            os._exit(status)

    return number


def ending(number: int) -> int:
    """Wait for a child; return its exit status, or the negative number of the signal it died of."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def shared(kind: type[Data]) -> Data:
    """Make a ctypes object of zeros that this process shares with its children."""
    return cast("Data", kind.from_buffer(mmap.mmap(-1, ctypes.sizeof(kind))))
