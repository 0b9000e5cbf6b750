"""From the shell's return key to the answer: `import inkdigits`, `inkdigits read`, a fast training.

Every round starts each command once in a new process and an empty folder, after a round that is not
counted; a bare `python -c pass` shows what of it is Python's own.

    python -m benchmarks.reading.startup --write docs/benchmarks.md
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial

from benchmarks.common import SAMPLE, command_line, in_turn, in_words, machine, publish, table

# Compiled modules are kept, as they are where a package is installed; round 0 makes them.
ENVIRONMENT = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
COMMANDS = {
    "`python -c pass`": ["-c", "pass"],
    "`import inkdigits`": ["-c", "import inkdigits, sys; assert 'torch' not in sys.modules"],
    "`inkdigits read sample.jpg`": ["-m", "inkdigits", "read", str(SAMPLE)],
    "`import torch`, for comparison": ["-c", "import torch"],
    "`inkdigits train fast-99.0`": ["-m", "inkdigits", "train", "fast-99.0", "--out", "run"],
}


def seconds(arguments: list[str]) -> float:
    """Time one process from start to end."""
    command = [sys.executable, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder, env=ENVIRONMENT)
        return time.perf_counter() - started


def main() -> None:
    """Measure, print, and write where asked."""
    options = command_line(__doc__, rounds=9).parse_args()
    sides = {name: partial(seconds, arguments) for name, arguments in COMMANDS.items()}
    taken = in_turn(sides, options.rounds)
    rows = [
        [name, *(f"{value:.2f} s" for value in (statistics.median(each), min(each), max(each)))]
        for name, each in taken.items()
    ]
    lines = [
        "## From the shell to the answer",
        "",
        f"{options.rounds} rounds in turn, each command a new process. Training ends with the "
        "report. Measured by "
        f"`benchmarks/reading/startup.py`, {in_words(machine('torch', 'numpy'))}.",
        "",
        *table(("command", "median", "fastest", "slowest"), rows),
    ]
    publish("\n".join(lines) + "\n", options.write)


if __name__ == "__main__":
    main()
