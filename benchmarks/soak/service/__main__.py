"""Does the service survive everything? Hostile, slow, vanishing and far too many clients, on this machine only.

    python -m benchmarks.soak.service                                # every check; about half an hour
    python -m benchmarks.soak.service named hostile --quick          # some of them, in short
    python -m benchmarks.soak.service --write docs/reliability.md    # what came out, between markers

Each check runs twice: against the service, where it must pass, and in short against one with a fault planted, where it must fail.
Exit status 1 where either is not so. The service has one processor to itself, the load another one.
"""

import argparse
import inspect
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.soak.service import (
    aborts,
    hostile,
    lifecycle,
    lossless,
    memory,
    named,
    pressure,
    schema,
    slow,
)
from benchmarks.soak.service.faults import FAULTS
from benchmarks.soak.service.harness import (
    PROCESSORS,
    Check,
    Dead,
    Outcome,
    Server,
    machine,
    read_between,
    write_between,
)

MODULES = (named, hostile, schema, lossless, pressure, lifecycle, slow, aborts, memory)
CHECKS: dict[str, Check] = {
    name: check for module in MODULES for name, check in module.CHECKS.items()
}
SHOWN = 5  # failures of a check
HEADER = "| check | what is done | n | result | wanted | planted fault, which was caught |\n|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Done:
    """A check that was run. caught: whether it failed where the fault was planted."""

    name: str
    outcome: Outcome
    caught: bool

    @property
    def passed(self) -> bool:
        return self.outcome.passed and self.caught


def main() -> int:
    """Check, print, and write where asked."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)}; all unless given"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small part of each: does everything run?"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the tables into this file, too"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.checks if name not in CHECKS]:
        parser.error(f"no check {unknown[0]!r}; checks are {', '.join(CHECKS)}")
    os.sched_setaffinity(0, PROCESSORS[-1:])
    done = []
    try:
        for name in options.checks or CHECKS:
            done.append(_run(name, options.quick))
            if options.write:
                _write(options.write, done[-1], options.quick)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0 if all(each.passed for each in done) else 1


def _run(name: str, quick: bool) -> Done:
    """Run it on the service as it is, and with the fault planted."""
    check, begun = CHECKS[name], time.perf_counter()
    outcome = _outcome(check, Server, quick)
    planted = _outcome(check, partial(Server, fault=check.fault), True)
    done = Done(name, outcome, not planted.passed and not planted.result.startswith(BROKEN))
    word, seconds = "passed" if done.passed else "FAILED", time.perf_counter() - begun
    print(
        f"{word}  {name}: {outcome.n}; {outcome.result}; wanted: {outcome.wanted} ({seconds:.0f} s)"
    )
    for failure in outcome.failures[:SHOWN]:
        print(f"        {failure[:400]}")
    if not done.caught:
        print(f"        went unnoticed: {_first_line(FAULTS[check.fault])} ({planted.result})")
    sys.stdout.flush()
    return done


BROKEN = "the check broke off"


def _outcome(check: Check, serve: Callable[..., Server], quick: bool) -> Outcome:
    """What it found; where it could not end, that is a failure, too, but not one that a planted fault is caught by."""
    try:
        return check.run(serve, quick)
    except Dead as error:
        return Outcome(False, "", f"the service died: {error}", "a service that lives")
    except Exception as error:
        return Outcome(False, "", f"{BROKEN}: {type(error).__name__}: {error}", "an end")


def _write(path: Path, done: Done, quick: bool) -> None:
    """Put the row in the place of the one before, and what belongs to it below."""
    rows = {
        line.split(" | ")[0]: line
        for line in read_between(path, "soak").splitlines()
        if line.startswith("| `")
    }
    outcome, check = done.outcome, CHECKS[done.name]
    fault = _first_line(FAULTS[check.fault]) + ("" if done.caught else " - NOT caught")
    result = ("" if outcome.passed else "**failed:** ") + outcome.result
    cells = [f"`{done.name}`", _first_line(check.run), outcome.n, result, outcome.wanted, fault]
    rows[f"| `{done.name}`"] = (
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    )
    table = HEADER + "\n".join(row for name in CHECKS if (row := rows.get(f"| `{name}`")))
    short = " In short (`--quick`): these are no results." if quick else ""
    write_between(path, "soak", f"{table}\n\nMeasured by `make soak`, {machine()}.{short}")
    write_between(
        path,
        f"soak {done.name}",
        f"### `{done.name}`\n\n{outcome.details}" if outcome.details else "",
    )


def _first_line(function: Callable[..., object]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0].removesuffix(".")


if __name__ == "__main__":
    sys.exit(main())
