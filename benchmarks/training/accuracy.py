"""What the networks of our own reach, over all their seeds: accuracy, loss, doubt, ensembles, corruptions, other hands.

    inkdigits reproduce best tiny nano robust --seeds 10        # makes the runs, or whatever of them is missing
    python -m benchmarks.training.accuracy runs/reproduce --write docs/accuracy.md

Reads every run's model.onnx; nothing is trained and nothing is chosen here. An ensemble is the mean of probabilities, as the recipe
`ensemble` combines them. A recipe without runs in DIR keeps the lines that the page has of it.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import combinations
from math import comb
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

from benchmarks.training.reference_style import write_section
from inkdigits.core.errors import BadData
from inkdigits.core.files import write_whole
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import evaluate_probabilities, percent
from inkdigits.evaluation.robustness import evaluate_corrupted
from inkdigits.evaluation.significance import mean_interval
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.checkpoint import machine, versions
from inkdigits.runs.reproduction import finished_runs
from inkdigits.training.models import count_multiplications, count_parameters, recipe_network
from inkdigits.training.recipe import load_recipe

OURS = ("best", "residual", "tiny", "nano", "robust")
TOGETHER = ("best", "residual")  # whose mean over several networks is measured
OTHER_SETS = {
    "optdigits": "all",
    "usps": "test",
    "qmnist": "test50k",
    "emnist-digits": "test",
}  # name -> split
CORRUPTED_RUNS = {"robust": 5}  # that read MNIST-C, where it is more than one
MOST_SUBSETS = 200  # of an ensemble's members, where there are more
Said = Sequence[np.ndarray]  # of each run, probabilities (N, 10)

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

All choices were made on the validation split ([log.md](log.md)); the 10,000 test digits were read once a run, when its weights were
final. Figures are mean ± standard deviation over runs that differ in nothing but their seed. One standard error of the test set
itself is 0.045 points at 99.8 %. `inkdigits train RECIPE --seed N` makes one run, `inkdigits reproduce RECIPE... --seeds 10` all
of them; the latter can be stopped, started again, and started several times at once."""
TEST_DIGITS = f"""Of the test labels {len(MISLABELLED)} lost a vote of people (Northcutt et al. 2021); without them 9,985 digits
are left. NLL in nats, of the probabilities that a model gives out. AURC: area under the risk-coverage curve, were the least sure
answers refused first. AUROC: the chance that a right answer is surer than a wrong one. Training: median seconds an epoch, on one
thread, without that of a recipe's teachers."""
ENSEMBLES = "Subsets share runs, so their standard deviation says too little of chance; disjoint repeats share none."
CORRUPTED = """No network learned from a corruption. All are turned, slanted, zoomed and shifted while they learn, which is what
four of the fifteen do; `robust` also sees its digits through random filters and noise, with pieces of other digits about."""
OTHERS = f"""Learned from MNIST alone. Of {", ".join(OTHER_SETS)} those are here that were at hand. optdigits
(Alpaydin & Kaynak 1998) has 8x8 pixels, which the loader enlarges."""


def mean_sd(values: Sequence[float], form: str) -> str:
    """Mean ± standard deviation, the latter where there are several."""
    spread = f" ± {format(stdev(values), form)}" if len(values) > 1 else ""
    return format(fmean(values), form) + spread


def points(values: Iterable[float]) -> list[float]:
    """Fractions as per cent."""
    return [100 * value for value in values]


def row(cells: Iterable[object]) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def accuracy_section(
    said: Mapping[str, Said], digits: Split, runs: Mapping[str, Sequence[Path]]
) -> list[str]:
    """A line a recipe."""
    kept = np.delete(np.arange(len(digits)), MISLABELLED)
    lines = [row(COLUMNS), row(["---"] * len(COLUMNS))]
    for name, each_said in said.items():
        recipe = load_recipe(name)
        network = recipe_network(recipe)
        figures = [evaluate_probabilities(each, digits.labels) for each in each_said]
        values = [each.accuracy for each in figures]
        without = [
            evaluate_probabilities(each[kept], digits.labels[kept]).accuracy for each in each_said
        ]
        low_high = mean_interval(values) if len(values) > 1 else None
        seconds = [
            json.loads((run / "config.json").read_text())["final"]["train_seconds"]
            for run in runs[name]
        ]
        cells = [
            f"`{name}`",
            f"{count_parameters(network):,}",
            f"{count_multiplications(network) / 1e6:.1f} M",
            len(values),
            mean_sd(points(values), ".3f"),
            " to ".join(f"{100 * end:.3f}" for end in low_high) if low_high else "-",
            mean_sd(points(without), ".3f"),
            mean_sd([each.nll for each in figures], ".4f"),
            mean_sd(points(each.ece for each in figures), ".2f"),
            f"{1e5 * fmean(each.aurc for each in figures):.1f}",
            f"{fmean(each.auroc_errors or math.nan for each in figures):.4f}",
            f"{median(seconds) / recipe.epochs:.1f} s x {recipe.epochs}",
        ]
        lines.append(row(cells))
    return lines


def subsets(n: int, size: int, draw: np.random.Generator) -> list[tuple[int, ...]]:
    """Of n numbers: all, or as many as MOST_SUBSETS drawn without replacement within each."""
    if comb(n, size) <= MOST_SUBSETS:
        return list(combinations(range(n), size))
    return [tuple(draw.choice(n, size, replace=False).tolist()) for _ in range(MOST_SUBSETS)]


def ensemble_section(said: Said, digits: Split) -> list[str]:
    """Sizes 1 to all: over all subsets of the runs, and over those that share no run."""
    draw, n = np.random.default_rng(0), len(said)
    lines = [
        "| networks | subsets | accuracy, % | NLL | disjoint repeats | accuracy, % |",
        "|---|---|---|---|---|---|",
    ]

    def measure(group: Sequence[int]) -> tuple[float, float]:
        mean = np.mean([said[number] for number in group], axis=0)
        evaluation = evaluate_probabilities(mean, digits.labels)
        return evaluation.accuracy, evaluation.nll

    for size in sorted({size for size in (1, 2, 3, 5, 10, n) if 1 <= size <= n}):
        groups = subsets(n, size, draw)
        values = [measure(group) for group in groups]
        disjoint = [range(start, start + size) for start in range(0, n - size + 1, size)]
        apart = [measure(group)[0] for group in disjoint]
        cells = [
            size,
            len(groups),
            mean_sd(points(a for a, _ in values), ".3f"),
            mean_sd([nll for _, nll in values], ".4f"),
        ]
        cells += [len(disjoint), mean_sd(points(apart), ".3f")]
        lines.append(row(cells))
    return lines


def corruption_section(runs: Mapping[str, Sequence[Path]], data_dir: Path | None) -> list[str]:
    """MNIST-C, of a few runs of `robust` and, as it takes `best` minutes, one of the others."""
    lines = [
        "| recipe | runs | mean of 15, % | mean of the 11 that are no affine map, % | the worst three |",
        "|---|---|---|---|---|",
    ]
    for name, folders in runs.items():
        seen = [
            evaluate_corrupted(run, data_dir=data_dir)
            for run in folders[: CORRUPTED_RUNS.get(name, 1)]
        ]
        each = {
            corruption: fmean(one.corrupted[corruption].accuracy for one in seen)
            for corruption in seen[0].corrupted
        }
        worst = sorted(each, key=each.__getitem__)[:3]
        cells = [f"`{name}`", len(seen), mean_sd(points(one.accuracy for one in seen), ".2f")]
        cells += [mean_sd(points(one.accuracy_without_affine for one in seen), ".2f")]
        cells += [", ".join(f"{corruption} {percent(each[corruption])}" for corruption in worst)]
        lines.append(row(cells))
    return lines


def others_section(runs: Mapping[str, Sequence[Path]], data_dir: Path | None) -> list[str]:
    """Digits of other collections, which no network here has learned from."""
    sets = {}
    for name, split in OTHER_SETS.items():
        with suppress(BadData):  # it is not at hand
            sets[name] = load_dataset(name, data_dir=data_dir, download=False)[split]
    lines = [
        f"| recipe | runs | {' | '.join(f'{name}, n {len(digits):,}' for name, digits in sets.items())} |"
    ]
    lines += ["|---|---|" + "---|" * len(sets)]
    for name, folders in runs.items():
        models = [Recogniser(run) for run in folders]
        found = [
            mean_sd(
                points(
                    np.mean(model.classify(digits.images).argmax(1) == digits.labels)
                    for model in models
                ),
                ".2f",
            )
            for digits in sets.values()
        ]
        lines.append(
            f"| `{name}` | {len(models)} | " + " | ".join(f"{value} %" for value in found) + " |"
        )
    return lines


def measured_section(runs: Mapping[str, Sequence[Path]]) -> list[str]:
    """When, where and with what each recipe was measured."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [row(("recipe", "date", "machine", "versions")), row(["---"] * 4)]
    return lines + [
        row((f"`{name}`", f"{datetime.now(UTC):%Y-%m-%d}", machine(), made)) for name in runs
    ]


def with_former(table: Sequence[str], former: Sequence[str]) -> list[str]:
    """A table with the lines that its former edition has of recipes that it lacks, in the order of OURS.

    former: lines of the section that it replaces, of which nothing is kept where its columns are others. A table without lines of
    its own becomes the former one, whatever that names.
    """
    if table[0] not in former:
        return list(table)
    if len(table) == 2:
        return [line for line in former if line.startswith("|")]
    lines: list[str] = []
    for name in OURS:
        begin = f"| `{name}` |"
        new = [line for line in table if line.startswith(begin)]
        lines += new or [line for line in former if line.startswith(begin)]
    return [*table[:2], *lines] if lines else list(table)


def former_section(page: str, title: str) -> list[str]:
    """The lines of a section, without its heading; none where the page has no such section."""
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()


def card_section(name: str, tables: Iterable[Sequence[str]]) -> str:
    """The lines of one recipe out of all tables, for its model card; tables without it are left out."""
    rows = [
        (table[:2], [line for line in table if line.startswith(f"| `{name}` ")]) for table in tables
    ]
    body = "\n\n".join("\n".join([*head, *found]) for head, found in rows if found)
    explained = "All columns are explained in [accuracy.md](../accuracy.md)."
    return f"## Figures\n\n{body}\n\nMade by `benchmarks/training/accuracy.py`. {explained}\n"


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", type=Path, metavar="DIR", help="the folder that `inkdigits reproduce` fills"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where datasets lie")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE.md",
        help="write the page here, and into the model cards beside it",
    )
    options = parser.parse_args()
    digits = load_dataset("mnist", data_dir=options.data_dir)["test"]
    runs = {
        name: found for name in OURS if (found := finished_runs(load_recipe(name), options.runs))
    }
    if not runs:
        parser.error(
            f"{options.runs} holds no finished run of {', '.join(OURS)}; `inkdigits reproduce` makes them"
        )
    said = {
        name: [Recogniser(run).classify(digits.images) for run in found]
        for name, found in runs.items()
    }
    sections = {
        "MNIST's test digits": (accuracy_section(said, digits, runs), TEST_DIGITS),
        **{
            f"Ensembles of `{name}`": (ensemble_section(said.get(name, ()), digits), ENSEMBLES)
            for name in TOGETHER
        },
        "MNIST-C: fifteen corruptions of the test digits": (
            corruption_section(runs, options.data_dir),
            CORRUPTED,
        ),
        "Other hands": (others_section(runs, options.data_dir), OTHERS),
        "Measured": (measured_section(runs), "Made by `benchmarks/training/accuracy.py`."),
    }
    former = options.write.read_text() if options.write and options.write.is_file() else ""
    tables = {
        title: with_former(table, former_section(former, title))
        for title, (table, _) in sections.items()
    }
    parts = (
        f"## {title}\n\n{chr(10).join(tables[title])}\n\n{note}\n"
        for title, (_, note) in sections.items()
    )
    text = "\n".join((f"{HEAD}\n", *parts))
    print(text)
    if options.write:
        write_whole(options.write, text)
        for name in runs:
            if (card := options.write.parent / "models" / f"{name}.md").is_file():
                write_section(card, card_section(name, tables.values()))


if __name__ == "__main__":
    main()
