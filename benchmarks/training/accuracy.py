"""What our own networks reach, over all seeds: accuracy, loss, ensembles, corruptions, other hands.

    inkdigits reproduce best tiny nano robust --seeds 10        # makes the runs that are missing
    python -m benchmarks.training.accuracy runs/reproduce --write docs/accuracy.md

Reads every run's model.onnx; nothing is trained and nothing is chosen here. An ensemble is the mean
of probabilities, as the recipe `ensemble` combines them. A recipe without runs in DIR keeps the
lines that the page has of it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

from benchmarks.common import command_line, table, write_section
from inkdigits.core.errors import BadData
from inkdigits.core.files import write_whole
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import evaluate_probabilities, percent
from inkdigits.evaluation.robustness import evaluate_corrupted
from inkdigits.evaluation.significance import mean_interval
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.checkpoint import machine, versions
from inkdigits.runs.results import finished_runs
from inkdigits.training.models import count_multiplications, count_parameters, recipe_network
from inkdigits.training.recipe import load_recipe

OURS = ("best", "residual", "tiny", "micro", "nano", "robust")
TOGETHER = ("best", "residual")  # whose mean over several networks is measured
OTHER_SETS = {
    "optdigits": "all",
    "usps": "test",
    "semeion": "all",
    "ardis": "test",
    "qmnist": "test50k",
    "emnist-digits": "test",
}
CORRUPTED_RUNS = {"robust": 5}  # that read MNIST-C, where it is more than one
MOST_SUBSETS = 200  # of an ensemble's members, where there are more
MADE_BY = "Made by `benchmarks/training/accuracy.py`."
Said = Sequence[np.ndarray]  # of each run, probabilities (N, 10)
Runs = Mapping[str, Sequence[Path]]  # finished ones, by recipe

COLUMNS = (
    "recipe",
    "parameters",
    "MACs",
    "runs",
    "accuracy, %",
    "95 % interval of the mean",
    "without wrong labels, %",
    "NLL",
    "ECE, %",
    "AURC, 1e-5",
    "AUROC",
    "training",
)
HEAD = """# How accurate, and how sure

All choices were made on the validation split ([log.md](log.md)); the 10,000 test digits were read
once a run, when its weights were final. Figures are mean ± standard deviation over runs that differ
in nothing but their seed. One standard error of the test set itself is 0.045 points at 99.8 %.
`inkdigits train RECIPE --seed N` makes one run, `inkdigits reproduce RECIPE... --seeds 10` all of
them; the latter can be stopped, started again, and started several times at once."""
TEST_DIGITS = f"""Of the test labels {len(MISLABELLED)} lost a vote of people (Northcutt et al.
2021); without them 9,985 digits are left. NLL in nats, of the probabilities that a model gives out.
AURC: area under the risk-coverage curve, were the least sure answers refused first. AUROC: the
chance that a right answer is surer than a wrong one. Training: median seconds an epoch, on one
thread, without that of a recipe's teachers."""
ENSEMBLES = """Subsets share runs, so their standard deviation says too little of chance; disjoint
repeats share none."""
CORRUPTED = """No network learned from a corruption. All are turned, slanted, zoomed and shifted
while they learn, which is what four of the fifteen do; `robust` also sees its digits through random
filters and noise, with pieces of other digits about."""
OTHERS = f"""Learned from MNIST alone. Of {", ".join(OTHER_SETS)} those are here that were at hand.
optdigits (Alpaydin & Kaynak 1998) has 8x8 pixels, which the loader enlarges."""


def mean_sd(values: Sequence[float], form: str, unit: float = 1.0) -> str:
    """Return mean ± standard deviation, the latter where there are several values."""
    scaled = [value / unit for value in values]
    spread = f" ± {stdev(scaled):{form}}" if len(scaled) > 1 else ""
    return f"{fmean(scaled):{form}}{spread}"


def in_percent(values: Iterable[float], form: str = ".3f") -> str:
    """Return mean ± standard deviation of fractions, in per cent."""
    return mean_sd(list(values), form, 0.01)


def accuracy_section(said: Mapping[str, Said], digits: Split, runs: Runs) -> list[str]:
    """Return a line a recipe."""
    rows = [_accuracy_row(name, answers, digits, runs[name]) for name, answers in said.items()]
    return table(COLUMNS, rows)


def _accuracy_row(name: str, said: Said, digits: Split, runs: Sequence[Path]) -> list[object]:
    recipe = load_recipe(name)
    network = recipe_network(recipe)
    kept = digits[np.delete(np.arange(len(digits)), MISLABELLED)]
    figures = [evaluate_probabilities(each, digits.labels) for each in said]
    accuracies = [each.accuracy for each in figures]
    interval = "-"
    if len(figures) > 1:
        low, high = mean_interval(accuracies)
        interval = f"{100 * low:.3f} to {100 * high:.3f}"

    right = [_without(each, MISLABELLED).argmax(1) == kept.labels for each in said]
    seconds = median(map(_seconds, runs)) / recipe.epochs
    return [
        f"`{name}`",
        f"{count_parameters(network):,}",
        f"{count_multiplications(network) / 1e6:.1f} M",
        len(figures),
        in_percent(accuracies),
        interval,
        in_percent(map(np.mean, right)),
        mean_sd([each.nll for each in figures], ".4f"),
        in_percent((each.ece for each in figures), ".2f"),
        f"{1e5 * fmean(each.aurc for each in figures):.1f}",
        f"{fmean(each.auroc_errors or math.nan for each in figures):.4f}",
        f"{seconds:.1f} s x {recipe.epochs}",
    ]


def _without(said: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    return np.delete(said, rows, axis=0)


def _seconds(run: Path) -> float:
    config = json.loads((run / "config.json").read_text())
    return float(config["final"]["train_seconds"])


def subsets(n: int, size: int, draw: np.random.Generator) -> list[tuple[int, ...]]:
    """Return all subsets of n numbers, or MOST_SUBSETS of them.

    These are drawn without replacement within each.
    """
    if math.comb(n, size) <= MOST_SUBSETS:
        return list(combinations(range(n), size))

    return [tuple(draw.choice(n, size, replace=False).tolist()) for _ in range(MOST_SUBSETS)]


def ensemble_section(said: Said, digits: Split) -> list[str]:
    """Return sizes 1 to all: over all subsets of the runs, and over those that share no run."""
    draw = np.random.default_rng(0)
    n = len(said)

    def measure(group: Sequence[int]) -> tuple[float, float]:
        mean = np.mean([said[number] for number in group], axis=0)
        evaluation = evaluate_probabilities(mean, digits.labels)
        return evaluation.accuracy, evaluation.nll

    rows = []
    for size in sorted({size for size in (1, 2, 3, 5, 10, n) if 1 <= size <= n}):
        found = [measure(group) for group in subsets(n, size, draw)]
        accuracies, losses = zip(*found, strict=True)
        starts = range(0, n - size + 1, size)
        apart = [measure(range(start, start + size))[0] for start in starts]
        figures = in_percent(accuracies), mean_sd(losses, ".4f")
        rows.append((size, len(found), *figures, len(apart), in_percent(apart)))

    head = ("networks", "subsets", "accuracy, %", "NLL", "disjoint repeats", "accuracy, %")
    return table(head, rows)


def corruption_section(runs: Runs) -> list[str]:
    """Return MNIST-C, of a few runs of `robust` and, as it takes minutes, of one of the others."""
    rows = []
    for name, folders in runs.items():
        some = folders[: CORRUPTED_RUNS.get(name, 1)]
        seen = [evaluate_corrupted(run) for run in some]
        each = {
            corruption: fmean(one.corrupted[corruption].accuracy for one in seen)
            for corruption in seen[0].corrupted
        }
        worst = sorted(each, key=each.__getitem__)[:3]
        rows.append(
            (
                f"`{name}`",
                len(seen),
                in_percent((one.accuracy for one in seen), ".2f"),
                in_percent((one.accuracy_without_affine for one in seen), ".2f"),
                ", ".join(f"{corruption} {percent(each[corruption])}" for corruption in worst),
            )
        )

    columns = ("recipe", "runs", "mean of 15, %", "mean of the 11 that are no affine map, %")
    return table([*columns, "the worst three"], rows)


def others_section(runs: Runs) -> list[str]:
    """Return digits of other collections, from which no network here has learned."""
    sets = {}
    for name, split in OTHER_SETS.items():
        with suppress(BadData):  # it is not at hand
            sets[name] = load_dataset(name, download=False)[split]

    rows = []
    for name, folders in runs.items():
        models = [Recogniser(run) for run in folders]
        found = []
        for digits in sets.values():
            read = [model.classify(digits.images).argmax(1) for model in models]
            found.append(
                f"{in_percent((np.mean(each == digits.labels) for each in read), '.2f')} %"
            )

        rows.append((f"`{name}`", len(models), *found))

    head = [f"{name}, n {len(digits):,}" for name, digits in sets.items()]
    return table(["recipe", "runs", *head], rows)


def measured_section(runs: Runs) -> list[str]:
    """Return when, where and with what each recipe was measured."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = [(f"`{name}`", date, machine(), made) for name in runs]
    return table(("recipe", "date", "machine", "versions"), rows)


def with_former(lines: Sequence[str], former: Sequence[str]) -> list[str]:
    """Add the lines that a table's former edition has of recipes that it lacks, in OURS' order.

    Args:
        lines: of the table.
        former: lines of the section that it replaces, of which nothing is kept where its columns
            are others. A table without lines of its own becomes the former one.
    """
    if lines[0] not in former:
        return list(lines)

    if len(lines) == 2:
        return [line for line in former if line.startswith("|")]

    rows: list[str] = []
    for name in OURS:
        new = lines_of(name, lines)
        rows += new or lines_of(name, former)

    return [*lines[:2], *rows] if rows else list(lines)


def lines_of(name: str, lines: Iterable[str]) -> list[str]:
    """Return the lines of one recipe."""
    return [line for line in lines if line.startswith(f"| `{name}` ")]


def former_section(page: str, title: str) -> list[str]:
    """Return the lines of a section without its heading; none without such a section."""
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()


def card_section(name: str, tables: Iterable[Sequence[str]]) -> str:
    """Return the lines of one recipe out of all tables, for its model card."""
    found = [(lines[:2], lines_of(name, lines)) for lines in tables]
    body = "\n\n".join("\n".join([*head, *rows]) for head, rows in found if rows)
    explained = "All columns are explained in [accuracy.md](../accuracy.md)."
    return f"## Figures\n\n{body}\n\n{MADE_BY} {explained}\n"


def measure(runs: Runs, digits: Split) -> dict[str, tuple[list[str], str]]:
    """Return a table and a note for each section of the page."""
    said = {name: [Recogniser(run).classify(digits.images) for run in runs[name]] for name in runs}
    sections = {"MNIST's test digits": (accuracy_section(said, digits, runs), TEST_DIGITS)}
    for name in TOGETHER:
        lines = ensemble_section(said.get(name, ()), digits)
        sections[f"Ensembles of `{name}`"] = lines, ENSEMBLES

    lines = corruption_section(runs)
    sections["MNIST-C: fifteen corruptions of the test digits"] = lines, CORRUPTED
    sections["Other hands"] = others_section(runs), OTHERS
    sections["Measured"] = measured_section(runs), MADE_BY
    return sections


def main() -> None:
    """Measure, print, and write where asked."""
    text = "write the page here, and into the model cards beside it"
    parser = command_line(__doc__, write=text)
    text = "the folder that `inkdigits reproduce` fills"
    parser.add_argument("runs", type=Path, metavar="DIR", help=text)
    options = parser.parse_args()
    digits = load_dataset("mnist")["test"]
    every = {name: finished_runs(load_recipe(name), options.runs) for name in OURS}
    runs = {name: found for name, found in every.items() if found}
    if not runs:
        names = ", ".join(OURS)
        parser.error(f"{options.runs} has no run of {names}; `inkdigits reproduce` makes them")

    former = ""
    if options.write and options.write.is_file():
        former = options.write.read_text()

    parts = [f"{HEAD}\n"]
    tables = []
    for title, (lines, note) in measure(runs, digits).items():
        tables.append(with_former(lines, former_section(former, title)))
        parts.append("\n".join([f"## {title}", "", *tables[-1], "", note, ""]))

    page = "\n".join(parts)
    print(page)
    if options.write:
        write_whole(options.write, page)
        for name in runs:
            card = options.write.parent / "models" / f"{name}.md"
            if card.is_file():
                write_section(card, card_section(name, tables))


if __name__ == "__main__":
    main()
