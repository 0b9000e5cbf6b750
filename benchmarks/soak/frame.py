"""What the checks of `make soak` have in common: each must pass as things are, and fail in short where a fault is planted.

Takes checks, prints what they found, puts a table between markers. Knows nothing of what is checked.
"""

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from inkdigits.core.files import write_whole

SHOWN = 10  # failures of a check
WHOLE = 0  # the status of a process that did all its work


@dataclass(frozen=True)
class Found:
    """What a check found. n, figures: what the table shows. failures: what helps to mend it."""

    passed: bool
    n: str
    figures: str
    failures: tuple[str, ...] = ()


Fault = Callable[[], None]  # planted in a child, before it works
Check = Callable[[int, Path, Fault], Found]  # how much is tried, an empty folder, what is planted
Checks = dict[
    Check, tuple[int, int, tuple[Fault, ...]]
]  # how much is tried, how much in short, what has to be noticed


def nothing() -> None:
    """Leave it as it is."""


def put(owner: object, name: str, function: object) -> None:
    """In the place of what has that name; in children only."""
    setattr(owner, name, function)


def child(work: Callable[[], object]) -> int:
    """A process that does the work; its number. What it says is not heard. It ends with WHOLE, or the status that it returns."""
    if (number := os.fork()) == 0:
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
    """Its exit status, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def soak(checks: Checks, *, description: str, title: str, told: str) -> int:
    """Check, print, and write where asked: a command's exit status, 1 where a check failed or missed what was planted.

    title: names the section and its markers. told: how it was done, in a sentence below it.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [check.__name__ for check in checks]
    parser.add_argument(
        "checks", nargs="*", metavar="CHECK", help=f"of {', '.join(names)}; all unless given"
    )
    parser.add_argument("--quick", action="store_true", help="a small part of each")
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the table into this file, too"
    )
    options = parser.parse_args()
    if unknown := set(options.checks) - set(names):
        parser.error(f"no check {', '.join(unknown)}; checks are {', '.join(names)}")
    rows, passed, begun = [], True, time.monotonic()
    for check, (n, few, faults) in checks.items():
        if options.checks and check.__name__ not in options.checks:
            continue
        found = _tried(check, few if options.quick else n, nothing)
        missed = [fault for fault in faults if _tried(check, few, fault).passed]
        passed &= found.passed and not missed
        caught = "; ".join(_in_words(fault) for fault in faults if fault not in missed)
        result = ("" if found.passed else "**failed:** ") + found.figures
        rows.append(f"| {_in_words(check)} | {found.n} | {result} | {caught} |")
        print("passed" if found.passed else "FAILED", rows[-1], flush=True)
        print(
            *(f"    {failure}\n" for failure in found.failures[:SHOWN]), sep="", end="", flush=True
        )
        print(
            *(f"FAILED to notice: {_in_words(fault)}\n" for fault in missed),
            sep="",
            end="",
            flush=True,
        )
    if options.write:
        short = " In short (`--quick`): these are no results." if options.quick else ""
        write_between(
            options.write,
            title.lower(),
            _section(title, told, rows, time.monotonic() - begun) + short,
        )
    return 0 if passed else 1


def _tried(check: Check, n: int, fault: Fault) -> Found:
    """The check in a folder of its own, in memory where there is such a place."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        return check(n, Path(folder), fault)


def _in_words(function: Callable[..., object]) -> str:
    """The first paragraph of its documentation, as a cell of a table."""
    return " ".join(str(function.__doc__).partition("\n\n")[0].split()).rstrip(".")


def _section(title: str, told: str, rows: list[str], seconds: float) -> str:
    """What is written."""
    header = "| what is done | n | result | planted faults, which were caught |\n|---|---|---|---|"
    processor = re.search("model name\t: (.*)", Path("/proc/cpuinfo").read_text())
    machine = f"{processor[1] if processor else platform.machine()}, {os.cpu_count()} cores"
    libraries = [name for name in ("numpy", "torch") if name in sys.modules]
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    made = f"{datetime.now(UTC):%Y-%m-%d}, {machine}, python {platform.python_version()}, {versions}, {seconds / 60:.0f} minutes."
    by = f"Made by `python benchmarks/{Path(sys.argv[0]).name}`."
    return "\n".join([f"## {title}", "", told, "", header, *rows, "", made, by])


def write_between(path: Path, name: str, text: str) -> None:
    """Put a text between the markers of that name; they are added at the end where there are none."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = (path.read_text() if path.is_file() else "# Reliability\n").partition(
        begin
    )
    after = rest.partition(end)[2] if found else "\n"
    write_whole(path, f"{before.rstrip()}\n\n{begin}\n{text}\n\n{end}{after}")
