"""The shipped recipes over several seeds: published beside measured figures, as a table that anyone can make again.

Runs whatever is not finished yet, one after another, into `DIR/RECIPE-seedN`; stop it and start it again as you like: it goes on
where it was. Start it several times to have several processes share the work.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import BadValue
from inkdigits.core.files import alone, write_whole
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.runs.artifacts import RunRecord, run_name
from inkdigits.runs.job import TrainingJob
from inkdigits.runs.run import LOCKED, empty, is_finished, is_stopped, locked_run
from inkdigits.training.recipe import SHIPPED, Recipe, load_recipe, shipped_recipes

REFERENCE_SYSTEMS = ("lenet", "two-conv", "dropout", "sgd", "batchnorm")
COMMAND = "inkdigits reproduce RECIPE... --seeds N --write"
RESULTS = Path("docs/results.md")
README = Path("README.md")
README_MARKS = ("<!-- results -->", "<!-- /results -->")  # what lies between them is written here
README_RECIPES = (  # docs/results.md has all of them
    *("lenet", "dropout", "fast-99.0", "fast-99.5"),
    *("nano", "tiny", "robust", "best"),
)

Follow = Callable[[Iterable[RunRecord], int, str], Iterable[object]]

# column -> (key of the final record and of `published`, with _mean and _sd of `measured`, how it is printed)
FIGURES = {
    "train accuracy": ("train_accuracy", "{:.2%}"),
    "validation accuracy": ("validation_accuracy", "{:.2%}"),
    "test accuracy": ("test_accuracy", "{:.2%}"),
    "test loss": ("test_loss", "{:.4f}"),
    "test F1": ("test_f1_macro", "{:.4f}"),
}


@dataclass(frozen=True)
class Result:
    """All runs of one recipe: the config.json of each, in the order of their seeds."""

    recipe: Recipe
    configs: tuple[dict[str, Any], ...]

    def values(self, key: str) -> list[float]:
        """One figure of every run."""
        return [config["final"][key] for config in self.configs]

    def measured(self) -> dict[str, Any]:
        """What a recipe's [measured] table holds."""
        table: dict[str, Any] = {"runs": len(self.configs)}
        for key, _ in FIGURES.values():
            values = self.values(key)
            table[f"{key}_mean"] = round(mean(values), 6)
            if len(values) > 1:
                table[f"{key}_sd"] = round(stdev(values), 6)
        table["train_seconds_median"] = round(
            median(self.values("train_seconds")), 1
        )  # one run may meet a busy machine
        last = self.configs[-1]
        return table | {
            "machine": last["machine"],
            "torch": last["versions"]["torch"],
            "date": last["date"][:10],
        }


def reproduce(
    recipes: Sequence[str],
    seeds: int,
    out: Path,
    *,
    data_dir: Path | None = None,
    write: bool = False,
    follow: Follow | None = None,
) -> str:
    """Train every recipe with seeds 0 to seeds - 1, unless that run is finished already, and return the results as Markdown.

    follow: passes a run's records on and shows them, given its epochs and its title; None shows nothing.
    recipes: shipped names; none means the five reference systems. write: also put what these runs reached into the recipes, and the
    figures of all recipes into docs/results.md and README.md, for which it has to run in a checkout of the project.
    """
    if seeds < 1:
        raise BadValue(f"{seeds} seeds make no runs; 1 or more do, and 3 give an error bar")
    if write and not RESULTS.parent.is_dir():
        raise BadValue(
            f"--write puts its table into {RESULTS}, and there is no folder {RESULTS.parent} here"
        )
    loaded = [load_recipe(name) for name in recipes or REFERENCE_SYSTEMS]
    datasets = {
        name: load_dataset(name, data_dir=data_dir) for name in {recipe.data for recipe in loaded}
    }
    jobs = [job for recipe in loaded for seed in range(seeds) for job in _jobs(recipe, seed)]
    for wait in (False, True):  # what nobody else is at, then what they have not finished
        for recipe, seed in jobs:
            if wait or recipe.members == 1:
                _ensure(recipe, seed, out, datasets[recipe.data], wait=wait, follow=follow)
    measured = [replace(recipe, measured=_collect(recipe, out).measured()) for recipe in loaded]
    if write:
        write_evidence(
            {
                recipe.name: recipe.measured
                for recipe in measured
                if recipe.name in shipped_recipes()
            }
        )
    return as_markdown(measured)


def _jobs(recipe: Recipe, seed: int) -> list[tuple[Recipe, int]]:
    """A run, after those of its members where it has some."""
    members = (
        [(recipe.member, each) for each in recipe.member_seeds(seed)] if recipe.members > 1 else []
    )
    return [*members, (recipe, seed)]


def _ensure(
    recipe: Recipe,
    seed: int,
    out: Path,
    dataset: Dataset,
    *,
    wait: bool,
    follow: Follow | None = None,
) -> None:
    """Make a run, or go on with it, unless it is finished, or another process is at it and we do not wait."""
    folder, job = (
        out / run_name(recipe, seed),
        TrainingJob(recipe, dataset, seed, members_in=out, resume=True),
    )
    with alone(folder / LOCKED, wait) as ours:
        if ours and not is_finished(folder, recipe, seed):
            if not is_stopped(folder, job):
                empty(folder)
            with closing(locked_run(job, folder)) as records:
                title = f"{recipe.name}, seed {seed}"
                shown = follow(records, recipe.total_epochs, title) if follow else records
                for _ in shown:
                    pass


def finished_runs(recipe: Recipe, out: Path) -> list[Path]:
    """The folders of the finished runs with seeds 0, 1 and so on, as far as they go."""
    folders = enumerate(out / run_name(recipe, seed) for seed in count())
    return [
        folder
        for _, folder in takewhile(lambda place: is_finished(place[1], recipe, place[0]), folders)
    ]


def _collect(recipe: Recipe, out: Path) -> Result:
    return Result(
        recipe,
        tuple(json.loads((run / CONFIG_FILE).read_text()) for run in finished_runs(recipe, out)),
    )


def as_markdown(recipes: Sequence[Recipe]) -> str:
    """The page docs/results.md. recipes: with figures in `measured`; those that one lacks are a dash."""
    lines = [
        "# What the recipes reach",
        "",
        "Published figures beside ours, as mean ± standard deviation over seeds. Trained on 55,000 of MNIST's training digits; the",
        "other 5,000 are the validation split, and the 10,000 test digits were read once a run, when its weights were final. The",
        "train accuracy is the finished network's, without dropout; time is training alone, without that of a recipe's teachers:",
        "the median, on a machine that other work shared.",
        "",
        "| recipe | epochs | runs | " + " | ".join(FIGURES) + " | time |",
        "|---|---|---|" + "---|" * len(FIGURES) + "---|",
    ]
    for recipe in recipes:
        cells = [f"`{recipe.name}`", recipe.total_epochs, recipe.measured["runs"]]
        cells += [*(_cell(recipe, key, form) for key, form in FIGURES.values()), _seconds(recipe)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "## Against the source", ""]
    lines += [
        _verdict(recipe, key, form)
        for recipe in recipes
        for key, form in FIGURES.values()
        if _is_to_compare(recipe, key)
    ]
    lines += [
        "",
        f"Measured on {_where(recipes)}.",
        f"Made by `{COMMAND}`, N as in the column runs; `fast-...` by `benchmarks/training/ladder.py`.",
        "",
    ]
    return "\n".join(lines)


def as_short_table(recipes: Sequence[Recipe]) -> str:
    """The README's table: recipe, published and measured test accuracy, runs, time. recipes: with figures in `measured`."""
    lines = [
        "| recipe | what it teaches | published | measured | runs | time |",
        "|---|---|---|---|---|---|",
    ]
    for recipe in recipes:
        published = recipe.published.get("test_accuracy")
        cells = (
            f"`{recipe.name}`",
            recipe.summary,
            "-" if published is None else f"{published:.2%}",
            _measured_cell(recipe, "test_accuracy", "{:.2%}"),
            str(recipe.measured["runs"]),
            _seconds(recipe),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [*lines, "", f"Test accuracy, mean ± standard deviation over seeds; {_where(recipes)}."]
    )


def _where(recipes: Sequence[Recipe]) -> str:
    """The machine of most recipes, those of the others, and the last day of measuring."""
    machines: dict[str, list[str]] = {}
    for recipe in recipes:
        machines.setdefault("{machine}, torch {torch}".format_map(recipe.measured), []).append(
            f"`{recipe.name}`"
        )
    most, *others = sorted(machines, key=lambda machine: -len(machines[machine]))
    last = max(str(recipe.measured["date"]) for recipe in recipes)
    return "; ".join(
        [most, *(f"{', '.join(machines[machine])} on {machine}" for machine in others), last]
    )


def _seconds(recipe: Recipe) -> str:
    seconds = recipe.measured["train_seconds_median"]
    return f"{seconds:.{int(seconds < 10)}f} s"


def between_marks(page: str, text: str) -> str:
    """`page` with `text` between the marks, and nothing else changed. Raises BadValue where the marks are not there."""
    start, end = README_MARKS
    before, found, rest = page.partition(start)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise BadValue(f"{README} has no place for the results: wanted are {start} and {end}")
    return f"{before}{start}\n{text}\n{end}{after}"


def _measured_cell(recipe: Recipe, key: str, form: str) -> str:
    """'99.07% ± 0.16', or a dash; without a spread where one run was made."""
    ours = recipe.measured
    if f"{key}_mean" not in ours:
        return "-"
    said, sd = form.format(ours[f"{key}_mean"]), ours.get(f"{key}_sd")
    return (
        said
        if sd is None
        else f"{said} ± {sd * 100:.2f}"
        if form.endswith("%}")
        else f"{said} ± {sd:.4f}"
    )


def _cell(recipe: Recipe, key: str, form: str) -> str:
    published = recipe.published.get(key)
    return _measured_cell(recipe, key, form) + (
        f" (published {form.format(published)})" if published is not None else ""
    )


def _is_to_compare(recipe: Recipe, key: str) -> bool:
    return key in recipe.published and f"{key}_mean" in recipe.measured


def _verdict(recipe: Recipe, key: str, form: str) -> str:
    """One line: reached, within two standard deviations, or missed."""
    ours, published = recipe.measured[f"{key}_mean"], recipe.published[key]
    distance = (ours - published) * (
        -1 if key.endswith("loss") else 1
    )  # above 0 is better than published
    spread = recipe.measured.get(f"{key}_sd", 0.0)
    word = (
        "reached"
        if distance >= 0
        else "within two standard deviations"
        if -distance <= 2 * spread
        else "missed"
    )
    said = f"published {form.format(published)}, ours {form.format(ours)}"
    return f"- `{recipe.name}`, {key.replace('_', ' ')}: {said}: {word}."


def write_evidence(measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Put what was measured, by the recipe's name, into the recipes, and the figures of all recipes into both pages."""
    for name, table in measured.items():
        write_measured(SHIPPED / f"{name}.toml", table)
    recipes = [recipe for recipe in map(load_recipe, shipped_recipes()) if recipe.measured]
    write_whole(RESULTS, as_markdown(recipes))
    in_readme = [recipe for recipe in recipes if recipe.name in README_RECIPES]
    write_whole(README, between_marks(README.read_text(), as_short_table(in_readme)))


def write_measured(path: Path, table: Mapping[str, Any]) -> None:
    """Replace the [measured] table, which is the last thing in a recipe's file."""
    kept = path.read_text().partition("[measured]")[0].rstrip()
    rows = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items()
    )
    write_whole(path, f"{kept}\n\n[measured]\n{rows}")
