"""Tell how much validation digits flatter whose writers wrote training digits, too.

    python -m benchmarks.training.splits --write docs/how-it-works/data.md

Each network is trained once and asked about two sets of digits that it has not seen: others of the
same people, and those of people who wrote none of its training digits. The test digits are
not read.
"""

from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np

from benchmarks.common import command_line, in_words, machine, publish, table, tell
from inkdigits.data.datasets import load_dataset
from inkdigits.data.splits import Split, concatenated, stratified
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.predictions import accuracy_on
from inkdigits.training.recipe import load_recipe

RECIPES = ("lenet", "fast-99.0", "fast-99.3")
VALIDATION = 5_000


def main() -> None:
    """Train, ask, print, and write where asked."""
    parser = command_line(__doc__, rounds=5, quick="two seeds of two recipes")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, metavar="R")
    options = parser.parse_args()
    names = options.recipes[:2] if options.quick else options.recipes
    seeds = range(2 if options.quick else options.rounds)

    train, known, strangers = digits()
    rows = []
    for name in names:
        errors = [errors_of(name, seed, train, known, strangers) for seed in seeds]
        rows.append(row(name, errors))
        tell(" | ".join(rows[-1]))

    publish(section(rows, len(seeds), train, known, strangers), options.write)


def digits() -> tuple[Split, Split, Split]:
    """Return what is learned from, digits of the same people, and those of other people."""
    by_writers = load_dataset("mnist-writers")
    rest = by_writers.train
    chosen = stratified(rest.labels, VALIDATION)
    return rest[~chosen], rest[chosen], by_writers.validation


def errors_of(
    name: str, seed: int, train: Split, known: Split, strangers: Split
) -> tuple[float, float]:
    """Train one network; return what it misreads of known people and of strangers, percent."""
    recipe = load_recipe(name)
    network = seeded_network(recipe, seed)
    for record in fit(network, recipe, train, concatenated([known, strangers]), seed=seed):
        if isinstance(record, Epoch):
            tell(f"{name}, seed {seed}, epoch {record.epoch}")

    asked = (known, strangers)
    of_known, of_strangers = (100 * (1 - accuracy_on(network, split)) for split in asked)
    return of_known, of_strangers


def row(name: str, errors: Sequence[tuple[float, float]]) -> list[str]:
    """Return a line of the table."""
    cells = [f"{fmean(each):.2f} ± {stdev(each):.2f}" for each in zip(*errors, strict=True)]
    of_known, of_strangers = np.mean(errors, axis=0)
    return [f"`{name}`", *cells, f"{of_strangers / of_known:.2f}"]


def section(
    rows: Sequence[Sequence[str]], runs: int, train: Split, known: Split, strangers: Split
) -> str:
    """Return the section of the page."""
    head = ("recipe", "digits of known people, %", "digits of strangers, %", "times as many")
    facts = in_words(machine("torch"))
    return "\n".join(
        [
            "## Validation digits of people one knows",
            "",
            "Misread, mean and standard deviation of "
            f"{runs} runs each. All learned from the same {len(train):,} digits of MNIST; then "
            f"{len(known):,} others of the same people were asked for, and {len(strangers):,} of "
            "people who wrote none of these, which is what the dataset `mnist-writers` has for "
            "validation. Nothing was chosen by either, and the test digits were not read. Part of "
            "the difference may be that these people write less plainly than others.",
            "",
            *table(head, rows),
            "",
            f"Made by `benchmarks/training/splits.py`; {facts}.",
        ]
    )


if __name__ == "__main__":
    main()
