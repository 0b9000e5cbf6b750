"""Time to accuracy on two cores: the `fast-` recipes against what else trains on MNIST.

The clock is warm: it runs from uint8 digits in memory to the trained network. Imports, the
framework's start, loading, evaluation and what a framework compiles once are not in it; compiling
has a column of its own. Everyone learns from the same 55,000 digits, in a process of its own;
rounds alternate between them. Settings are the source's own, or were chosen on validation digits;
the test digits are read once a training, at its end.

Accuracy needs many seeds and no quiet machine, time needs a quiet machine and few rounds: two
phases, and what the first has found is kept in runs/ladder.json, so that it can be stopped and gone
on with.

    python -m benchmarks.training.ladder --write docs/benchmarks.md
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import (
    command_line,
    in_words,
    machine,
    publish,
    spread,
    table,
    tell,
    turns,
    use_processors,
)
from benchmarks.reading.peak import SIDE, gemm_peak
from benchmarks.training.ladder_figures import (
    Row,
    figure,
    percent,
    ratios,
    seeds_table,
    short,
    time_table,
)
from benchmarks.training.ladder_profile import operations, profile_table, shares
from benchmarks.training.ladder_workers import Contender, Outcome, start
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.runs.results import write_evidence
from inkdigits.training.recipe import load_recipe, shipped_recipes

PHASES = ("accuracy", "timing", "cold", "profile")
SEEDS = {"fast-99.0": 30, "fast-99.3": 30, "fast-99.5": 10, "fast-99.7": 5}
QUICK = 1000  # digits
THREADS = 2  # and processors
KEPT = Path("runs/ladder.json")  # finished seeds
FAST_TORCH = ("tuomaso, as it is", "tuomaso, channels last", "tuomaso, bfloat16")
TUTORIALS = ("lenet", "batchnorm")
OTHERS = (
    *(
        Contender(name, "train_mnist_fast", name.removeprefix("tuomaso, "), seeds=10)
        for name in FAST_TORCH
    ),
    Contender("tuomaso in JAX", "in_jax", "NHWC", ("jax", "optax"), seeds=5),
    Contender("tuomaso in tinygrad", "in_tinygrad", "", ("tinygrad", "clang"), seeds=1, rounds=3),
    Contender("Keras convnet on JAX", "in_keras", "", ("keras", "jax"), seeds=1, rounds=3),
    Contender("MLP, scikit-learn", "in_sklearn", "MLP", ("sklearn",), seeds=3, rounds=5),
    Contender("SVC, scikit-learn", "in_sklearn", "SVC", ("sklearn",), seeds=1, rounds=3),
    *(
        Contender(
            f"{name}, tutorial style",
            "reference",
            name,
            published=load_recipe(name).published["test_accuracy"],
        )
        for name in TUTORIALS
    ),
)
PAIRS = (
    ("fast-99.0", FAST_TORCH),
    ("fast-99.0", ("tuomaso in JAX",)),
    ("fast-99.0", ("lenet, tutorial style",)),
    ("fast-99.3", ("batchnorm, tutorial style",)),
)
COLD = {  # what is waited for, and what is there then
    "model.safetensors": "the model is measured and saved",
    "model.onnx": "and exported to ONNX",
    "": "and the report is written",
}
INTRODUCTION = """## Training: time to accuracy

From uint8 digits in memory to the trained network, on the same digits (MNIST's 55,000 unless said
otherwise), everyone in a process of its own, rounds in turn. Imports, start, loading and evaluation
are not timed; compiling is in a column of its own. Where a part was timed, it is multiplied.
`tuomaso` is the last step of github.com/tuomaso/train_mnist_fast; its clock starts with digits that
are normalised and shuffled already. Measured by `benchmarks/training/ladder.py`, """


# ---- accuracy


def identity(contender: Contender, digits: int | None) -> str:
    """Return the name of a result in the file.

    Another recipe, another torch or another number of digits make another one.
    """
    facts: list[object] = [contender.module, contender.option, digits, torch.__version__]
    if contender.is_ours:
        facts.append(load_recipe(contender.option).what_it_trains)

    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{contender.name} {digest[:12]}"


class Results:
    """Outcomes of finished seeds, in a JSON file that is whole at any moment.

    Without a path they are in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept: dict[str, dict[str, dict[str, Any]]] = {}
        if path and path.is_file():
            self.kept = json.loads(path.read_text())

    def of(self, key: str) -> dict[str, Outcome]:
        """Return the outcomes of a contender by seed."""
        return {seed: Outcome(**fields) for seed, fields in self.kept.get(key, {}).items()}

    def add(self, key: str, seed: int, outcome: Outcome) -> None:
        """Add an outcome, and write the file."""
        self.kept.setdefault(key, {})[str(seed)] = asdict(outcome)
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(self.kept, indent=1))


def measure_accuracy(
    rows: Sequence[Row], results: Results, digits: int | None, threads: int
) -> list[str]:
    """Train every seed that is not in the file yet; return who is left out."""
    problems: list[str] = []
    for row in rows:
        key = identity(row.contender, digits)
        finished = results.of(key)
        seeds = [seed for seed in range(row.contender.seeds) if str(seed) not in finished]
        workers, left_out = start([row.contender], digits, threads, False) if seeds else ([], [])
        problems += left_out
        for worker in workers:
            for seed in seeds:
                outcome = worker.train(seed, True)
                results.add(key, seed, outcome)
                told = f"{percent(outcome.test)} %, {short(outcome.seconds)} s"
                tell(f"{row.contender.name}, seed {seed}: {told}")

            worker.stop()

        every = results.of(key).items()
        row.runs = {seed: outcome for seed, outcome in every if int(seed) < row.contender.seeds}

    return problems


# ---- time


def measure_time(
    rows: Sequence[Row], rounds: int, digits: int | None, threads: int
) -> tuple[list[str], dict[str, list[float]]]:
    """Run rounds of everyone in turn, and matrix products.

    Returns:
        Who is left out, and operations a second of float32 and bfloat16.
    """
    workers, problems = start([row.contender for row in rows], digits, threads, digits is not None)
    by_name = {row.contender.name: row for row in rows}
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for number, worker in turns(workers, rounds - 1):  # everyone is warm: round 0 counts, too
        if worker is workers[0]:
            for kind, values in peaks.items():
                values.append(gemm_peak(getattr(torch, kind)))

        name = worker.contender.name
        if number < (worker.contender.rounds or rounds):
            outcome = worker.train(1000 + number, False)
            by_name[name].rounds.append(outcome)
            tell(f"round {number + 1} of {rounds}: {name} {short(outcome.seconds)} s")

    for worker in workers:
        worker.stop()

    return problems, peaks


def peak_table(rows: Sequence[Row], digits: int, peaks: dict[str, list[float]]) -> list[str]:
    """Return what share of the processor's best each recipe's arithmetic reaches."""
    best = [statistics.median(values) for values in peaks.values()]
    top = " and ".join(f"{spread(values, unit=1e9)} in {kind}" for kind, values in peaks.items())
    found = []
    for row in rows:
        if row.contender.is_ours and row.rounds:
            recipe = load_recipe(row.contender.option)
            count = operations(recipe)
            seen = digits * recipe.total_epochs
            rate = count * seen / row.median
            reached = [f"{100 * rate / value:.0f} %" for value in best]
            figures = f"{count / 1e6:.2f} million", f"{seen:,}", f"{rate / 1e9:,.0f}"
            found.append([f"`{row.contender.name}`", *figures, *reached])

    head = ["recipe", "operations a digit", "digits", "billions a second"]
    return [
        f"A product of two matrices of {SIDE}x{SIDE} in the same rounds: {top}, in billions of "
        "operations a second.",
        "",
        *table([*head, "of float32's peak", "of bfloat16's"], found),
    ]


def cold(recipe: str, rounds: int) -> list[str]:
    """Time a new process until the network is saved, until it is exported, and until its end."""
    taken: dict[str, list[float]] = {name: [] for name in COLD}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, seconds in _cold_once(recipe, Path(folder, "run")).items():
                taken[name].append(seconds)

    head = f"`inkdigits train {recipe} --out DIR`, a new process, until"
    rows = [(what, spread(taken[name], ".2f")) for name, what in COLD.items()]
    return table((head, f"s, median (range) of {rounds}"), rows)


def _cold_once(recipe: str, out: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "inkdigits", "train", recipe, "--out", str(out)]
    seen: dict[str, float] = {}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        for name in COLD:
            if name and name not in seen and (out / name).exists():
                seen[name] = time.perf_counter() - started

        time.sleep(0.005)

    seen[""] = time.perf_counter() - started
    if process.returncode or len(seen) < len(COLD):
        assert process.stderr is not None
        raise RuntimeError(process.stderr.read().decode())

    return seen


# ---- what is told


def evidence(row: Row, facts: dict[str, str]) -> dict[str, Any]:
    """Return what a recipe's [measured] table holds.

    The time is that of the rounds, else of the seeds.
    """
    found: dict[str, Any] = {}
    for split in ("validation", "test"):
        accuracies = row.accuracies(split)
        assert accuracies is not None, "a recipe of ours is trained whole"
        found["runs"] = len(accuracies.values)
        found[f"{split}_accuracy_mean"] = round(accuracies.mean, 6)
        if accuracies.deviation is not None:
            found[f"{split}_accuracy_sd"] = round(accuracies.deviation, 6)

    seconds = row.seconds or [outcome.seconds for outcome in row.runs.values()]
    found["train_seconds_median"] = round(statistics.median(seconds), 2)
    found["machine"] = f"{facts['processor']}, {facts['threads']} threads"
    return found | {"torch": facts["torch"], "date": facts["date"]}


def section(parts: dict[str, list[str]], facts: dict[str, str]) -> str:
    """Return all that was measured, as a section of docs/benchmarks.md."""
    lines = [f"{INTRODUCTION}{in_words(facts)}.", ""]
    if parts.get(""):
        lines += ["![test accuracy against seconds of training](images/ladder.png)", ""]

    for title, text in parts.items():
        if text:
            lines += [f"### {title}", ""] if title else []
            lines += [*text, ""]

    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    quick = f"{QUICK:,} digits, one seed, one round: does it work?"
    parser = command_line(__doc__, rounds=5, quick=quick)
    shipped = [name for name in shipped_recipes() if name.startswith("fast-")]
    names = [contender.name for contender in OTHERS]
    text = "ours, names or .toml files (default: all fast-*)"
    parser.add_argument("--recipes", nargs="*", default=shipped, help=text)
    text = f"of: {'; '.join(names)}"
    parser.add_argument(
        "--against", nargs="*", default=names, choices=names, metavar="NAME", help=text
    )
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    return parser.parse_args()


def everyone(options: argparse.Namespace) -> list[Row]:
    """Return who takes part, with as many seeds as needed."""
    every = []
    for recipe in options.recipes:
        name = Path(recipe).stem if recipe.endswith(".toml") else recipe
        every.append(Contender(name, "ours", recipe, seeds=SEEDS.get(name, 5)))

    every += [each for each in OTHERS if each.name in options.against]
    if options.quick:
        every = [replace(each, seeds=int(each.is_ours)) for each in every]

    return [Row(each) for each in every]


def train_seeds(options: argparse.Namespace, rows: Sequence[Row], digits: int | None) -> list[str]:
    """Measure accuracy where that is asked for, and show what the file holds in any case.

    Returns:
        Who is left out.
    """
    results = Results(None if options.quick else KEPT)
    problems: list[str] = []
    if "accuracy" in options.phases:
        measured = [row for row in rows if row.contender.seeds]
        problems = measure_accuracy(measured, results, digits, THREADS)

    for row in rows:
        row.runs = row.runs or results.of(identity(row.contender, digits))

    return problems


def measure_rest(
    options: argparse.Namespace, rows: Sequence[Row], digits: int | None
) -> tuple[list[str], dict[str, list[str]]]:
    """Measure time, profile and cold start, as asked; return who is left out, and the tables."""
    train = load_dataset("mnist").train[:digits]
    own = [row.contender for row in rows if row.contender.is_ours]
    phases = set(options.phases if own else ()) | ({"timing"} & set(options.phases))
    parts: dict[str, list[str]] = {}
    problems: list[str] = []
    if "timing" in phases:
        problems, peaks = measure_time(rows, options.rounds, digits, THREADS)
        parts[""] = time_table(rows)
        parts["Times as fast"] = ratios(rows, PAIRS)

    parts["Accuracy, seed by seed"] = seeds_table(rows)
    if "timing" in phases:
        parts["Share of the processor's peak"] = peak_table(rows, len(train), peaks)

    if "profile" in phases:
        profiles = {each.name: shares(load_recipe(each.option), train) for each in own}
        parts["Where the time goes"] = profile_table(profiles)

    if "cold" in phases:
        parts["From the shell to the saved model"] = cold(own[0].option, options.rounds)

    return problems, parts


def main() -> None:
    """Measure, print, and write where asked."""
    options = arguments()
    use_processors(THREADS)
    rows = everyone(options)
    digits = None
    if options.quick:
        digits = QUICK
        options.rounds = 1

    problems = train_seeds(options, rows, digits)
    left_out, parts = measure_rest(options, rows, digits)
    parts["Not measured"] = [f"- {problem}" for problem in sorted({*problems, *left_out})]
    facts = machine("torch", "numpy", threads=THREADS, device="cpu")
    figures = {"ladder": figure(rows)} if "" in parts else {}
    publish(section(parts, facts), options.write, figures)
    if options.write:
        measured = [row for row in rows if row.accuracies("test")]
        shipped = [row for row in measured if row.contender.option in shipped_recipes()]
        write_evidence({row.contender.name: evidence(row, facts) for row in shipped})


if __name__ == "__main__":
    main()
