"""Time to accuracy on two cores: the `fast-` recipes against what else trains on MNIST.

The clock is warm: it runs from uint8 digits in memory to the trained network. Imports, the
framework's start, loading, evaluation and what a framework compiles once are not in it; compiling
has a column of its own. Everyone learns from the same 55,000 digits, in a process of its own;
rounds alternate between them. Settings are the source's own, or were chosen on validation digits;
the test digits are read once a training, at its end.

Accuracy needs many seeds and no quiet machine, time needs a quiet machine and few rounds: of our
recipes, accuracy is that of the runs that `inkdigits reproduce` has finished in runs/reproduce. Of
others, and without such runs, it is that of the rounds.

    inkdigits reproduce fast-99.0 fast-99.3 --seeds 30
    python -m benchmarks.training.ladder --write docs/benchmarks.md
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import (
    command_line,
    in_words,
    machine,
    publish,
    tell,
    turns,
    use_processors,
)
from benchmarks.training.ladder_figures import (
    Row,
    figure,
    ratios,
    short,
    time_table,
)
from benchmarks.training.ladder_workers import Contender, Worker
from inkdigits.core.digits import CONFIG_FILE
from inkdigits.runs.results import finished_runs, write_evidence
from inkdigits.training.recipe import load_recipe, shipped_recipes

QUICK = 1000  # digits
THREADS = 2  # and processors
RUNS = Path("runs/reproduce")  # of our recipes
FAST_TORCH = ("tuomaso, as it is", "tuomaso, channels last", "tuomaso, bfloat16")
OTHERS = (
    *(Contender(name, "train_mnist_fast", name.removeprefix("tuomaso, ")) for name in FAST_TORCH),
    Contender("tuomaso in JAX", "in_jax", "", ("jax", "optax")),
    Contender("MLP, scikit-learn", "in_sklearn", ""),
)
PAIRS = (
    ("fast-99.0", FAST_TORCH),
    ("fast-99.0", ("tuomaso in JAX",)),
)
INTRODUCTION = """## Training: time to accuracy

From uint8 digits in memory to the trained network, on the same digits (MNIST's 55,000 unless said
otherwise), everyone in a process of its own, rounds in turn. Imports, start, loading and
evaluation are not timed; compiling is in a column of its own. `tuomaso` is the last step of
github.com/tuomaso/train_mnist_fast; its clock starts with digits that are normalised and shuffled
already. The mark is the accuracy in a recipe's name. Measured by
`benchmarks/training/ladder.py`, """


# ---- what is measured


def reproduced(contender: Contender) -> dict[str, list[float]]:
    """Return the accuracies of the finished runs of a recipe of ours, by split."""
    if not contender.is_ours:
        return {}

    runs = finished_runs(load_recipe(contender.option), RUNS)
    finals = [json.loads((run / CONFIG_FILE).read_text())["final"] for run in runs]
    splits = ("validation", "test")
    return {split: [final[f"{split}_accuracy"] for final in finals] for split in splits}


def measure_time(rows: Sequence[Row], rounds: int, digits: int | None) -> None:
    """Run rounds of everyone in turn."""
    workers = [(row, Worker(row.contender, digits, THREADS)) for row in rows]
    # Everyone is warm when the clock starts: round 0 counts, too.
    for number, (row, worker) in turns(workers, rounds - 1):
        outcome = worker.train(1000 + number)
        row.rounds.append(outcome)
        tell(f"round {number + 1} of {rounds}: {row.contender.name} {short(outcome.seconds)} s")

    for _, worker in workers:
        worker.stop()


# ---- what is told


def evidence(row: Row, facts: dict[str, str]) -> dict[str, Any]:
    """Return what a recipe's [measured] table holds."""
    found: dict[str, Any] = {}
    for split in ("validation", "test"):
        accuracies = row.accuracies(split)
        found["runs"] = len(accuracies.values)
        found[f"{split}_accuracy_mean"] = round(accuracies.mean, 6)
        if accuracies.deviation is not None:
            found[f"{split}_accuracy_sd"] = round(accuracies.deviation, 6)

    found["train_seconds_median"] = round(row.median, 2)
    found["machine"] = f"{facts['processor']}, {facts['threads']} threads"
    return found | {"torch": facts["torch"], "date": facts["date"]}


def section(parts: dict[str, list[str]], facts: dict[str, str]) -> str:
    """Return all that was measured, as a section of docs/benchmarks.md."""
    picture = "![test accuracy against seconds of training](images/ladder.png)"
    lines = [f"{INTRODUCTION}{in_words(facts)}.", "", picture, ""]
    for title, text in parts.items():
        lines += [f"### {title}", ""] if title else []
        lines += [*text, ""]

    return "\n".join(lines)


def contenders() -> list[Contender]:
    """List who takes part: our recipes of the ladder, then others."""
    own = [name for name in shipped_recipes() if name.startswith("fast-")]
    return [*(Contender(name, "ours", name) for name in own), *OTHERS]


def left_out(every: Sequence[Contender]) -> list[str]:
    """Return a line for each contender that needs what is not installed."""
    return [
        f"- {each.name}: left out, as it needs {' and '.join(each.missing)}, not here "
        "(make bench installs the packages)"
        for each in every
        if each.missing
    ]


def main() -> None:
    """Measure, print, and write where asked."""
    quick = f"{QUICK:,} digits, one round: does it work?"
    options = command_line(__doc__, rounds=5, quick=quick).parse_args()
    use_processors(THREADS)
    every = contenders()
    rows = [Row(each, reproduced(each)) for each in every if not each.missing]
    digits = None
    rounds = options.rounds
    if options.quick:
        digits = QUICK
        rounds = 1

    measure_time(rows, rounds, digits)
    parts = {
        "": time_table(rows),
        "Times as fast": ratios(rows, PAIRS),
    }
    if problems := left_out(every):
        parts["Not measured"] = problems

    facts = machine("torch", "numpy", threads=THREADS, device="cpu")
    publish(section(parts, facts), options.write, {"ladder": figure(rows)})
    if options.write and not options.quick:
        own = [row for row in rows if row.contender.is_ours]
        write_evidence({row.contender.name: evidence(row, facts) for row in own})


if __name__ == "__main__":
    main()
