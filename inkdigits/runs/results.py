"""Finished runs in; their recipes' measured figures out, in Markdown tables and in the recipes.

`inkdigits reproduce` prints the page and writes it; `benchmarks/` measures with the same runs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from inkdigits.core.digits import CONFIG_FILE, DIGITS_TO_KEEP
from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole
from inkdigits.runs.artifacts import run_name
from inkdigits.runs.run_folder import is_finished
from inkdigits.training.recipe import SHIPPED, Recipe, load_recipe, shipped_recipes

COMMAND = "inkdigits reproduce RECIPE... --seeds N --write"
RESULTS = Path("docs/results.md")
README = Path("README.md")
README_MARKS = ("<!-- results -->", "<!-- /results -->")  # the table is written between them

# The README's table; docs/results.md has all recipes.
README_RECIPES = ("lenet", "dropout", "fast-99.0", "fast-99.5", "nano", "tiny", "robust", "best")

# Column -> the key of a run's final figures, of `published`, and with _mean and _sd of `measured`;
# and how the figure is printed.
FIGURES = {
    "train accuracy": ("train_accuracy", "{:.2%}"),
    "validation accuracy": ("validation_accuracy", "{:.2%}"),
    "test accuracy": ("test_accuracy", "{:.2%}"),
    "test loss": ("test_loss", "{:.4f}"),
    "test F1": ("test_f1_macro", "{:.4f}"),
}

INTRODUCTION = """\
# What the recipes reach

Published figures beside ours, as mean ± standard deviation over seeds. Trained on 55,000 of MNIST's
training digits; the other 5,000 are the validation split, and the 10,000 test digits were read once
a run, when its weights were final. The train accuracy is the finished network's, without dropout;
time is training alone, without that of a recipe's teachers: the median, on a machine that other
work shared.
"""


def finished_runs(recipe: Recipe, out: Path) -> list[Path]:
    """List the folders of the finished runs with seeds 0, 1 and so on, as far as they go."""
    found: list[Path] = []
    for seed in count():
        folder = out / run_name(recipe, seed)
        if not is_finished(folder, recipe, seed):
            break
        found.append(folder)

    return found


def measure_recipe(recipe: Recipe, out: Path) -> Recipe:
    """Return a recipe with what its finished runs in a folder reached as its [measured] table."""
    folders = finished_runs(recipe, out)
    return summarise_runs(
        recipe, [json.loads((each / CONFIG_FILE).read_text()) for each in folders]
    )


def summarise_runs(recipe: Recipe, configs: Sequence[Mapping[str, Any]]) -> Recipe:
    """Return a recipe whose [measured] table holds means and deviations over its runs.

    Args:
        recipe: of the runs.
        configs: the config.json of each run, at least one, in the order of their seeds.
    """
    table: dict[str, Any] = {"runs": len(configs)}
    for key, _ in FIGURES.values():
        values = [config["final"][key] for config in configs]
        table[f"{key}_mean"] = round(mean(values), DIGITS_TO_KEEP)
        if len(values) > 1:
            table[f"{key}_sd"] = round(stdev(values), DIGITS_TO_KEEP)

    # The median, as one run may meet a busy machine.
    seconds = median(config["final"]["train_seconds"] for config in configs)
    table["train_seconds_median"] = round(seconds, 1)
    last = configs[-1]
    table["machine"] = last["machine"]
    table["torch"] = last["versions"]["torch"]
    table["date"] = last["date"][:10]
    return replace(recipe, measured=table)


# ---- pages


def as_markdown(recipes: Sequence[Recipe]) -> str:
    """Return the page docs/results.md.

    Args:
        recipes: with figures in `measured`; a dash stands for one that is missing.
    """
    columns = ["epochs", "runs", *FIGURES, "time"]
    lines = [INTRODUCTION, *_head(columns)]
    for recipe in recipes:
        figures = [_cell(recipe, key, form) for key, form in FIGURES.values()]
        runs = recipe.measured["runs"]
        lines.append(_row(recipe, [recipe.total_epochs, runs, *figures, _seconds(recipe)]))

    lines += ["", "## Against the source", ""]
    for recipe in recipes:
        lines += [
            _verdict(recipe, key, form)
            for key, form in FIGURES.values()
            if key in recipe.published and f"{key}_mean" in recipe.measured
        ]

    lines += [
        "",
        f"Measured on {_where(recipes)}.",
        f"Made by `{COMMAND}`, N as in the column runs; "
        "`fast-...` by `benchmarks/training/ladder.py`.",
        "",
    ]
    return "\n".join(lines)


def as_short_table(recipes: Sequence[Recipe]) -> str:
    """Return the README's table: published and measured test accuracy, runs and time.

    Args:
        recipes: with figures in `measured`.
    """
    lines = _head(["what it teaches", "published", "measured", "runs", "time"])
    for recipe in recipes:
        theirs = recipe.published.get("test_accuracy")
        published = "-" if theirs is None else f"{theirs:.2%}"
        measured = _measured_cell(recipe, "test_accuracy", "{:.2%}")
        runs = recipe.measured["runs"]
        lines.append(_row(recipe, [recipe.summary, published, measured, runs, _seconds(recipe)]))

    note = f"Test accuracy, mean ± standard deviation over seeds; {_where(recipes)}."
    return "\n".join([*lines, "", note])


def _head(columns: Sequence[str]) -> list[str]:
    """Write the head of a Markdown table with a row a recipe."""
    return [f"| recipe | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]


def _row(recipe: Recipe, cells: Sequence[object]) -> str:
    """Write a recipe's row of a Markdown table."""
    return f"| `{recipe.name}` | {' | '.join(map(str, cells))} |"


def _cell(recipe: Recipe, key: str, form: str) -> str:
    """Write a measured figure, with the published one if there is one."""
    measured = _measured_cell(recipe, key, form)
    if key not in recipe.published:
        return measured
    return f"{measured} (published {form.format(recipe.published[key])})"


def _measured_cell(recipe: Recipe, key: str, form: str) -> str:
    """Write a measured figure such as "99.07% ± 0.16"; without a deviation of a single run."""
    figure = recipe.measured.get(f"{key}_mean")
    if figure is None:
        return "-"

    sd = recipe.measured.get(f"{key}_sd")
    if sd is None:
        return form.format(figure)
    deviation = f"{100 * sd:.2f}" if form.endswith("%}") else f"{sd:.4f}"
    return f"{form.format(figure)} ± {deviation}"


def _seconds(recipe: Recipe) -> str:
    """Write the time of a run, with a decimal below ten seconds."""
    seconds = recipe.measured["train_seconds_median"]
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _verdict(recipe: Recipe, key: str, form: str) -> str:
    """Say whether a published figure was reached."""
    measured = recipe.measured[f"{key}_mean"]
    published = recipe.published[key]
    missing = measured - published if key.endswith("loss") else published - measured

    verdict = "missed"
    if missing <= 0:
        verdict = "reached"
    elif missing <= 2 * recipe.measured.get(f"{key}_sd", 0.0):
        verdict = "within two standard deviations"

    figures = f"published {form.format(published)}, ours {form.format(measured)}"
    return f"- `{recipe.name}`, {key.replace('_', ' ')}: {figures}: {verdict}."


def _where(recipes: Sequence[Recipe]) -> str:
    """Name the machine of most recipes, those of the others, and the last day of measuring."""
    machines: dict[str, list[str]] = {}
    for recipe in recipes:
        machine = "{machine}, torch {torch}".format_map(recipe.measured)
        machines.setdefault(machine, []).append(f"`{recipe.name}`")

    most, *others = sorted(machines, key=lambda machine: -len(machines[machine]))
    elsewhere = [f"{', '.join(machines[machine])} on {machine}" for machine in others]
    last = max(str(recipe.measured["date"]) for recipe in recipes)
    return "; ".join([most, *elsewhere, last])


# ---- evidence


def check_checkout() -> None:
    """Refuse to write evidence outside a checkout of the project.

    Raises:
        BadValue: there is no folder for the page here.
    """
    if not RESULTS.parent.is_dir():
        raise BadValue(
            f"--write puts its table into {RESULTS}, and there is no folder {RESULTS.parent} here"
        )


def write_evidence(measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Write measured figures into the recipes, and the figures of all recipes into both pages.

    Args:
        measured: the [measured] table of recipes, by their name. Those not shipped are left out.
    """
    shipped = shipped_recipes()
    for name in measured.keys() & set(shipped):
        write_measured(SHIPPED / f"{name}.toml", measured[name])

    recipes = [recipe for recipe in map(load_recipe, shipped) if recipe.measured]
    write_whole(RESULTS, as_markdown(recipes))
    in_readme = [recipe for recipe in recipes if recipe.name in README_RECIPES]
    write_whole(README, between_marks(README.read_text(), as_short_table(in_readme)))


def write_measured(path: Path, table: Mapping[str, Any]) -> None:
    """Replace the [measured] table, which is the last one in a recipe's file."""
    kept = path.read_text().partition("[measured]")[0].rstrip()
    rows = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items()
    )
    write_whole(path, f"{kept}\n\n[measured]\n{rows}")


def between_marks(page: str, text: str) -> str:
    """Replace what is between the marks of a page.

    Raises:
        BadValue: a mark is missing.
    """
    start, end = README_MARKS
    before, found_start, rest = page.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise BadValue(f"{README} has no place for the results: expected {start} and {end}")

    return f"{before}{start}\n{text}\n{end}{after}"
