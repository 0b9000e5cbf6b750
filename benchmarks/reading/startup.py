"""From the shell's return key to the answer: `import inkdigits`, and `inkdigits read` of one picture, each in a new process.

Every round starts each command once, after one that is not counted; a bare `python -c pass` shows what of it is Python's own.

    python -m benchmarks.reading.startup --write docs/benchmarks.md
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.training.reference_style import machine, write_section

PICTURE = Path(__file__).parents[2] / "tests" / "assets" / "sample.jpg"
# Compiled modules are kept, as they are wherever a package is installed; the round that is not counted makes them.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
COMMANDS = {
    "`python -c pass`": ["-c", "pass"],
    "`import inkdigits`": ["-c", "import inkdigits, sys; assert 'torch' not in sys.modules"],
    "`inkdigits read sample.jpg`": ["-m", "inkdigits", "read", str(PICTURE)],
    "`import torch`, for comparison": ["-c", "import torch"],
}


def seconds(arguments: list[str]) -> float:
    """One process from start to end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - started


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of each command, a value a round, the rounds interleaved."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            value = seconds(arguments)
            if round_:
                taken[name].append(value)
    return taken


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=9,
        metavar="N",
        help="after one that is not counted (default: 9)",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the table into this file, too"
    )
    options = parser.parse_args()
    lines = ["| command | median | fastest | slowest |", "|---|---|---|---|"]
    for name, values in measure(options.rounds).items():
        lines.append(
            f"| {name} | {statistics.median(values):.2f} s | {min(values):.2f} s | {max(values):.2f} s |"
        )
    table = "\n".join(lines)
    print(table)
    if options.write:
        facts = ", ".join(map(": ".join, machine(torch.device("cpu")).items()))
        made = f"{options.rounds} rounds in turn, each command a new process. Measured by `benchmarks/reading/startup.py`, {facts}."
        write_section(options.write, f"## From the shell to the answer\n\n{made}\n\n{table}\n")


if __name__ == "__main__":
    main()
