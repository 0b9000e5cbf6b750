"""Time to accuracy on two cores: the recipes whose names begin with `fast-` against what else trains on MNIST.

The clock is warm: it runs from uint8 digits in memory to the trained network. Imports, the framework's start, loading, evaluation
and what a framework compiles once lie outside; compiling has a column of its own. Everyone learns from the same 55,000 digits, in a
process of its own; rounds alternate between them. Settings are the source's own, or were chosen on validation digits; the test
digits are read once a training, at its end.

Accuracy needs many seeds and no quiet machine, time needs a quiet machine and few rounds: two phases, and what the first has found
is kept in --results, so that it can be stopped and gone on with.

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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

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
from benchmarks.training.ladder_profile import operations, shares, table
from benchmarks.training.ladder_workers import Contender, Outcome, start, use_processors
from benchmarks.training.reference_style import machine, spread, write_section
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.runs.reproduction import write_evidence
from inkdigits.training.recipe import load_recipe, shipped_recipes

HEADING = "## Training: time to accuracy"
PHASES = ("accuracy", "timing", "cold", "profile")
SEEDS = {"fast-99.0": 30, "fast-99.3": 30, "fast-99.5": 10, "fast-99.7": 5}
QUICK = 1000  # digits
FAST_TORCH = ("tuomaso, as it is", "tuomaso, channels last", "tuomaso, bfloat16")
OTHERS = (
    Contender(FAST_TORCH[0], "train_mnist_fast", "as it is", seeds=10),
    Contender(FAST_TORCH[1], "train_mnist_fast", "channels last", seeds=10),
    Contender(FAST_TORCH[2], "train_mnist_fast", "bfloat16", seeds=10),
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
        for name in ("lenet", "batchnorm")
    ),
)
PAIRS = (
    ("fast-99.0", FAST_TORCH),
    ("fast-99.0", ("tuomaso in JAX",)),
    ("fast-99.0", ("lenet, tutorial style",)),
    ("fast-99.3", ("batchnorm, tutorial style",)),
)


def ours(recipes: Sequence[str]) -> list[Contender]:
    """recipes: names, or files of one's own."""
    names = {
        recipe: Path(recipe).stem if recipe.endswith(".toml") else recipe for recipe in recipes
    }
    return [
        Contender(name, "ours", recipe, seeds=SEEDS.get(name, 5)) for recipe, name in names.items()
    ]


def identity(contender: Contender, digits: int | None) -> str:
    """Of a result in the file: another recipe, another torch or another number of digits make another one."""
    facts: list[object] = [contender.module, contender.option, digits, torch.__version__]
    if contender.module == "ours":
        facts.append(load_recipe(contender.option).what_it_trains)
    return f"{contender.name} {hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]}"


class Results:
    """Outcomes of finished seeds, in a JSON file that is whole at any moment; without a path in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept: dict[str, dict[str, dict[str, Any]]] = (
            json.loads(path.read_text()) if path and path.is_file() else {}
        )

    def of(self, key: str) -> dict[str, Outcome]:
        """By seed."""
        return {seed: Outcome(**fields) for seed, fields in self.kept.get(key, {}).items()}

    def add(self, key: str, seed: int, outcome: Outcome) -> None:
        """And write the file."""
        self.kept.setdefault(key, {})[str(seed)] = asdict(outcome)
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(self.kept, indent=1))


def measure_accuracy(
    rows: Sequence[Row], results: Results, digits: int | None, threads: int
) -> list[str]:
    """Train every seed that is not in the file yet, one contender after the other. Returns who is left out."""
    problems: list[str] = []
    for row in rows:
        key = identity(row.contender, digits)
        seeds = [seed for seed in range(row.contender.seeds) if str(seed) not in results.of(key)]
        workers, left_out = start([row.contender], digits, threads, False) if seeds else ([], [])
        problems += left_out
        for worker in workers:
            for seed in seeds:
                outcome = worker.train(seed, True)
                results.add(key, seed, outcome)
                print(
                    f"{row.contender.name}, seed {seed}: {percent(outcome.test)} %, {short(outcome.seconds)} s",
                    file=sys.stderr,
                )
            worker.stop()
        row.runs = {
            seed: outcome
            for seed, outcome in results.of(key).items()
            if int(seed) < row.contender.seeds
        }
    return problems


def measure_time(
    rows: Sequence[Row], rounds: int, digits: int | None, threads: int
) -> tuple[list[str], dict[str, list[float]]]:
    """Rounds of everyone in turn, every second one backwards, and matrix products. Returns who is left out, and operations/s."""
    workers, problems = start([row.contender for row in rows], digits, threads, digits is not None)
    by_name = {row.contender.name: row for row in rows}
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for number in range(rounds):
        for kind, values in peaks.items():
            values.append(gemm_peak(getattr(torch, kind)))
        for worker in workers if number % 2 == 0 else workers[::-1]:
            if number < (worker.contender.rounds or rounds):
                outcome = worker.train(1000 + number, False)
                by_name[worker.contender.name].rounds.append(outcome)
                print(
                    f"round {number + 1} of {rounds}: {worker.contender.name} {short(outcome.seconds)} s",
                    file=sys.stderr,
                )
    for worker in workers:
        worker.stop()
    return problems, peaks


def peak_table(rows: Sequence[Row], digits: int, peaks: dict[str, list[float]]) -> list[str]:
    """What share of the processor's best each recipe's arithmetic reaches."""
    best = {kind: statistics.median(values) for kind, values in peaks.items()}
    top = " and ".join(
        f"{spread([value / 1e9 for value in values], ',.0f')} in {kind}"
        for kind, values in peaks.items()
    )
    lines = [
        f"A product of two matrices of {SIDE}x{SIDE} in the same rounds: {top}, in billions of operations a second.",
        "",
    ]
    head = (
        "recipe",
        "operations a digit",
        "digits",
        "billions a second",
        "of float32's peak",
        "of bfloat16's",
    )
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        if row.contender.module == "ours" and row.rounds:
            recipe = load_recipe(row.contender.option)
            count, seen = operations(recipe), digits * recipe.total_epochs
            rate = count * seen / statistics.median(row.seconds)
            cells = [
                f"`{row.contender.name}`",
                f"{count / 1e6:.2f} million",
                f"{seen:,}",
                f"{rate / 1e9:,.0f}",
            ]
            lines.append(
                "| "
                + " | ".join([*cells, *(f"{100 * rate / value:.0f} %" for value in best.values())])
                + " |"
            )
    return lines


def cold(recipe: str, rounds: int) -> list[str]:
    """From the start of the process: until the trained network is saved, until it is exported, and until the process ends."""
    taken: dict[str, list[float]] = {"model.safetensors": [], "model.onnx": [], "": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "inkdigits", "train", recipe, "--out", f"{folder}/run"]
            started, seen = time.perf_counter(), dict[str, float]()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            while process.poll() is None:
                for name in taken:
                    if name and name not in seen and Path(folder, "run", name).exists():
                        seen[name] = time.perf_counter() - started
                time.sleep(0.005)
            seen[""] = time.perf_counter() - started
            if process.returncode or len(seen) < len(taken):
                assert process.stderr is not None
                raise RuntimeError(process.stderr.read().decode())
        for name, seconds in seen.items():
            taken[name].append(seconds)
    words = ("the model is measured and saved", "and exported to ONNX", "and the report is written")
    head = f"`inkdigits train {recipe} --out DIR`, a new process, until"
    lines = [f"| {head} | s, median (range) of {rounds} |", "|---|---|"]
    return lines + [
        f"| {what} | {spread(values, '.2f')} |"
        for what, values in zip(words, taken.values(), strict=True)
    ]


def is_shipped(row: Row) -> bool:
    """Whether it is a recipe of the package."""
    return row.contender.option in shipped_recipes()


def evidence(row: Row, facts: dict[str, str]) -> dict[str, Any]:
    """What a recipe's [measured] table holds. The time is that of the rounds, else of the seeds."""
    table: dict[str, Any] = {}
    for split in ("validation", "test"):
        accuracies = row.accuracies(split)
        assert accuracies is not None, "a recipe of ours is trained whole"
        table |= {
            "runs": len(accuracies.values),
            f"{split}_accuracy_mean": round(accuracies.mean, 6),
        }
        if accuracies.deviation is not None:
            table[f"{split}_accuracy_sd"] = round(accuracies.deviation, 6)
    seconds = row.seconds or [outcome.seconds for outcome in row.runs.values()]
    table["train_seconds_median"] = round(statistics.median(seconds), 2)
    where = f"{facts['processor']}, {facts['threads']} threads"
    return table | {"machine": where, "torch": facts["torch"], "date": facts["date"]}


def section(parts: dict[str, list[str]], facts: dict[str, str], image: bool) -> str:
    """All that was measured, as a section of docs/benchmarks.md."""
    lines = [
        HEADING,
        "",
        "From uint8 digits in memory to the trained network, on the same digits (MNIST's 55,000 unless said otherwise), everyone",
        "in a process of its own, rounds in turn. Imports, start, loading and evaluation are not timed; compiling is in a column",
        "of its own. Where a part was timed, it is multiplied. `tuomaso` is the last step of github.com/tuomaso/train_mnist_fast;",
        "its clock starts with digits that are normalised and shuffled already. Measured by `benchmarks/training/ladder.py`, "
        + ", ".join(map(": ".join, facts.items()))
        + ".",
        "",
    ]
    lines += (
        ["![test accuracy against seconds of training](images/ladder.png)", ""] if image else []
    )
    for title, text in parts.items():
        if text:
            lines += [*([f"### {title}", ""] if title else []), *text, ""]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """What the command was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shipped = [name for name in shipped_recipes() if name.startswith("fast-")]
    names = [contender.name for contender in OTHERS]
    parser.add_argument(
        "--recipes",
        nargs="*",
        default=shipped,
        help="ours, names or .toml files (default: all fast-*)",
    )
    parser.add_argument(
        "--against",
        nargs="*",
        default=names,
        choices=names,
        metavar="NAME",
        help=f"of: {'; '.join(names)}",
    )
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="timed rounds (default: 5)"
    )
    parser.add_argument(
        "--seeds",
        nargs="*",
        default=[],
        metavar="NAME=N",
        help="seeds whose accuracy is measured, by contender",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("runs/ladder.json"),
        metavar="FILE",
        help="keeps finished seeds",
    )
    parser.add_argument(
        "--threads", type=int, default=2, metavar="N", help="processors that are used (default: 2)"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK:,} digits, one seed, one round: does it work?"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of tables"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE.md",
        help="put the section into this file, and the figure beside it",
    )
    return parser.parse_args()


def everyone(options: argparse.Namespace) -> list[Row]:
    """Who takes part, with as many seeds as asked."""
    wanted = dict(pair.rpartition("=")[::2] for pair in options.seeds)
    every = [*ours(options.recipes), *(each for each in OTHERS if each.name in options.against)]
    unknown = wanted.keys() - {each.name for each in every}
    if unknown:
        sys.exit(
            f"--seeds: nobody is called {', '.join(sorted(unknown))}; there are {', '.join(each.name for each in every)}"
        )
    seeds = {
        each.name: int(
            wanted.get(each.name, each.module == "ours" if options.quick else each.seeds)
        )
        for each in every
    }
    return [Row(Contender(**asdict(each) | {"seeds": seeds[each.name]})) for each in every]


def main() -> None:
    """Measure, print, and write where asked."""
    options = arguments()
    use_processors(options.threads)
    rows, digits = everyone(options), QUICK if options.quick else None
    rounds = 1 if options.quick else options.rounds
    train = load_dataset("mnist").train[:digits]
    results = Results(None if options.quick else options.results)
    parts: dict[str, list[str]] = {}
    # Even where no accuracy is to be measured, what the file holds is shown.
    measured = [row for row in rows if row.contender.seeds] if "accuracy" in options.phases else []
    problems = measure_accuracy(measured, results, digits, options.threads)
    for row in rows:
        row.runs = row.runs or results.of(identity(row.contender, digits))
    peaks: dict[str, list[float]] = {}
    if "timing" in options.phases:
        left_out, peaks = measure_time(rows, rounds, digits, options.threads)
        problems = sorted({*problems, *left_out})
        parts[""] = time_table(rows)
        parts["Times as fast"] = ratios(rows, PAIRS)
    parts["Accuracy, seed by seed"] = seeds_table(rows)
    own = [row.contender for row in rows if row.contender.module == "ours"]
    if peaks and own:
        parts["Share of the processor's peak"] = peak_table(rows, len(train), peaks)
    if "profile" in options.phases and own:
        parts["Where the time goes"] = table(
            {each.name: shares(load_recipe(each.option), train) for each in own}
        )
    if "cold" in options.phases and own:
        parts["From the shell to the saved model"] = cold(own[0].option, rounds)
    parts["Not measured"] = [f"- {problem}" for problem in problems]
    facts = machine(torch.device("cpu")) | {"threads": str(options.threads)}
    image = figure(rows) if "timing" in options.phases else None
    text = section(parts, facts, image is not None)
    if options.json:
        found = {
            "rows": [asdict(row) for row in rows],
            "operations_a_second": peaks,
            "problems": problems,
        }
        print(json.dumps({"machine": facts} | found))
    else:
        print(text)
    if options.write:
        write_section(options.write, text)
        write_evidence(
            {
                row.contender.name: evidence(row, facts)
                for row in rows
                if row.accuracies("test") and is_shipped(row)
            }
        )
        if image:
            (options.write.parent / "images").mkdir(exist_ok=True)
            image.savefig(options.write.parent / "images" / "ladder.png", dpi=160)


if __name__ == "__main__":
    main()
