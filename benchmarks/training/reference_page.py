"""Draw, train and measure the five reference systems, and what one change does to each.

    python -m benchmarks.training.reference_page --write docs

Each recipe is trained as it is, and once more with the change that the page suggests; validation
digits tell what came of it. Finished runs stay in `runs/`, so it can be stopped and started again,
and started twice to share the work. Published figures and ours are those of docs/results.md.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.common import table, tell, write_between
from benchmarks.training.reference_drawings import draw_learning, draw_network, in_words, layers_of
from benchmarks.training.reference_runs import (
    CHANGES,
    Trained,
    all_runs,
    load_run,
    recipe_of,
    train_all,
)
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.runs.reproduction import REFERENCE_SYSTEMS

RESULTS = Path("docs/results.md")
PAGE = "reference-systems.md"
AS_IT_IS = "as it is"
PUBLISHED = re.compile(r"(?P<ours>.+?) \(published (?P<theirs>.+)\)")


def main() -> None:
    """Train what is missing, then draw and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument(
        "--no-training", action="store_true", help="use the runs that are finished, as they are"
    )
    parser.add_argument("--write", type=Path, metavar="DOCS", help="the folder with the page")
    options = parser.parse_args()

    if not options.no_training:
        for title in train_all(all_runs(options.seeds), load_dataset("mnist")):
            tell(f"{datetime.now(UTC):%H:%M:%S} {title}")

    for system in REFERENCE_SYSTEMS:
        runs = {
            change: [
                run for seed in range(options.seeds) if (run := load_run(system, change, seed))
            ]
            for change in ("", *CHANGES[system])
        }
        publish(system, runs, options.write)


def publish(system: str, runs: dict[str, list[Trained]], docs: Path | None) -> None:
    """Print a system's part of the page; put it there, and its two drawings beside it."""
    text = section(system, runs, RESULTS.read_text())
    print(text)
    if docs is None:
        return

    images = docs / "images"
    write_whole(images / f"reference-{system}.svg", draw_network(recipe_of(system)))
    if runs[""]:
        curves = {change: [run.epochs for run in found] for change, found in runs.items()}
        drawn = draw_learning(curves.pop(""), curves)
        write_whole(images / f"reference-{system}-learning.svg", drawn)

    write_between(docs / PAGE, f"measured: {system}", text)


def section(system: str, runs: dict[str, list[Trained]], results: str) -> str:
    """Return a system's part of the page, in Markdown.

    Args:
        system: the name of its recipe.
        runs: of the recipe as it is, under "", and of each change; as long as there is none of the
            recipe as it is, nothing is said about learning.
        results: the text of docs/results.md.
    """
    drawn = [f"![{in_words(layers_of(recipe_of(system)))}](images/reference-{system}.svg)", ""]
    measured = []
    if runs[""]:
        drawn += [f"![{_curves_in_words(runs)}](images/reference-{system}-learning.svg)", ""]
        head = ["settings", "runs", "validation accuracy", "validation loss", "training accuracy"]
        measured = [*table(head, changed_rows(runs)), "", _made_by(runs)]

    lines = [
        *('<div class="beside" markdown>', "", *drawn, "</div>", ""),
        *table(["", "published", "ours"], published_and_ours(system, results)),
        "",
        *measured,
    ]
    return "\n".join(lines)


def published_and_ours(system: str, results: str) -> list[list[str]]:
    """Take a system's figures from docs/results.md: what it is, published, ours."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in results.splitlines()
        if line.startswith("| ")
    ]
    head = rows[0]
    row = next(row for row in rows if row[0].strip("`") == system)
    found = []
    for name, cell in zip(head, row, strict=True):
        both = PUBLISHED.fullmatch(cell)
        if both:
            found.append([name, both["theirs"], both["ours"]])
        elif name in ("validation accuracy", "test accuracy"):
            found.append([name, "-", cell])

    return found


def changed_rows(runs: dict[str, list[Trained]]) -> list[list[str]]:
    """Return a row of each setting that was run: how many runs, and what they reached."""
    rows = []
    for change, found in runs.items():
        if not found:
            continue

        name = f"`--set {change}`" if change else AS_IT_IS
        finished = [run for run in found if not run.stopped]
        if not finished:
            rows.append([name, str(len(found)), f"stopped: {found[0].stopped}", "-", "-"])
            continue

        rows.append(
            [
                name,
                str(len(finished)),
                _percent([run.final["validation_accuracy"] for run in finished]),
                _spread([run.epochs[-1].validation_loss for run in finished], "{:.4f}".format),
                _percent([run.final["train_accuracy"] for run in finished]),
            ]
        )
    return rows


def _percent(values: Sequence[float]) -> str:
    return _spread([100 * value for value in values], "{:.2f}".format, "%")


def _spread(values: Sequence[float], form: Callable[[float], str], unit: str = "") -> str:
    """Return mean ± standard deviation; a dash of nothing, no deviation of a single value."""
    if not values:
        return "-"

    mean = f"{form(fmean(values))}{unit}"
    return f"{mean} ± {form(stdev(values))}" if len(values) > 1 else mean


def _curves_in_words(runs: dict[str, list[Trained]]) -> str:
    """Say what the curves show, for people who do not see them."""
    said = []
    for change, found in runs.items():
        name = change or AS_IT_IS
        finished = [run for run in found if not run.stopped]
        if not finished:
            if found:
                said.append(f"{name}: stopped early")
            continue

        first, last = (
            _percent([run.epochs[place].validation_accuracy for run in finished]).split(" ±")[0]
            for place in (0, -1)
        )
        epochs = len(finished[0].epochs)
        said.append(f"{name}: from {first} after one epoch to {last} after {epochs}")

    return "Validation accuracy and loss of each epoch; " + "; ".join(said)


def _made_by(runs: dict[str, list[Trained]]) -> str:
    """Say when, where and with what the runs were made."""
    made = [run.made for found in runs.values() for run in found if not run.stopped]
    days = sorted({each["date"] for each in made})
    period = " to ".join(sorted({days[0], days[-1]}))
    machines = sorted({f"{each['machine']}, torch {each['torch']}" for each in made})
    return (
        "The first table is from [Results](results.md). In the second, figures are of MNIST's "
        "5,000 validation digits or all training digits, once a run has ended; with several runs, "
        f"mean ± standard deviation. {'; '.join(machines)}; {period}. "
        "Made by `python -m benchmarks.training.reference_page --write docs`."
    )


if __name__ == "__main__":
    main()
