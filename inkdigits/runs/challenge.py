"""A recipe of one's own among the shipped ones: accuracy for its size, and for its seconds.

The rules: MNIST, whose test digits are by other people than its training digits; three seeds or
more, of which the mean counts; the test digits are read once a run, when it is finished. Teachers
may teach, but their time is in no figure, so a recipe with teachers has a place by size only.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole
from inkdigits.evaluation.plots.compared import Contender, frontier
from inkdigits.runs.reproduction import ReproductionRecord, reproduce
from inkdigits.training.models import count_parameters, recipe_network
from inkdigits.training.recipe import Recipe, load_recipe, shipped_recipes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = "mnist"
FEWEST_SEEDS = 3  # fewer have no spread that says anything
RESULT_FILE = "challenge.json"
SIZE = "parameters"
SECONDS = "seconds of training"
DOTS = 160  # an inch of the plots


@dataclass(frozen=True)
class Standing:
    """Where a recipe stands by one cost.

    Attributes:
        cost: SIZE or SECONDS.
        mine: the recipe.
        others: the shipped ones.
    """

    cost: str
    mine: Contender
    others: tuple[Contender, ...]

    @property
    def better(self) -> tuple[Contender, ...]:
        """The shipped recipes that cost no more and are at least as accurate."""
        return tuple(
            each
            for each in self.others
            if each.cost <= self.mine.cost and each.accuracy >= self.mine.accuracy
        )

    @property
    def everybody(self) -> tuple[Contender, ...]:
        """The shipped recipes, and this one in place of one with the same name."""
        rest = (each for each in self.others if each.name != self.mine.name)
        return (*rest, self.mine)

    def to_record(self) -> dict[str, Any]:
        """Return what is written into challenge.json."""
        return {
            "cost": self.cost,
            "value": self.mine.cost,
            "accuracy": self.mine.accuracy,
            "sd": self.mine.sd,
            "unbeaten": not self.better,
            "beaten_by": [each.name for each in self.better],
        }


def challenge(
    name: str, seeds: int, out: Path, *, data_dir: Path | None = None
) -> Generator[ReproductionRecord, None, None]:
    """Train a recipe with several seeds, unless these runs are finished already.

    Args:
        name: a .toml file, or a shipped recipe.
        seeds: runs, with seeds 0 to seeds - 1.
        out: the folder for the runs.
        data_dir: the folder with the datasets; None for the default one.

    Yields:
        What `reproduce` yields.

    Raises:
        BadValue: the recipe or the number of seeds is against the rules.
    """
    recipe = load_recipe(name)
    if recipe.data != DATA:
        raise BadValue(f"the challenge is on {DATA}, and {recipe.name} learns from {recipe.data}")
    if seeds < FEWEST_SEEDS:
        raise BadValue(f"the challenge takes {FEWEST_SEEDS} seeds or more, not {seeds}")

    yield from reproduce([name], seeds, out, data_dir=data_dir)


def shipped_contenders(cost: str) -> tuple[Contender, ...]:
    """Return the shipped recipes for MNIST with what they reached.

    Args:
        cost: SIZE or SECONDS.
    """
    recipes = [load_recipe(name) for name in shipped_recipes()]
    return tuple(
        _contender(recipe, cost)
        for recipe in recipes
        if recipe.data == DATA and recipe.measured and _has_place(recipe, cost)
    )


def standings(recipe: Recipe) -> list[Standing]:
    """Return where a recipe stands by size, and by seconds unless it has teachers.

    Args:
        recipe: with what its runs reached in `measured`.
    """
    costs = [cost for cost in (SIZE, SECONDS) if _has_place(recipe, cost)]
    return [Standing(cost, _contender(recipe, cost), shipped_contenders(cost)) for cost in costs]


def _has_place(recipe: Recipe, cost: str) -> bool:
    return cost == SIZE or not recipe.teacher


def _contender(recipe: Recipe, cost: str) -> Contender:
    """Return a measured recipe as a contender by one cost."""
    if cost == SIZE:
        value = float(count_parameters(recipe_network(recipe)))
    else:
        value = recipe.measured["train_seconds_median"]

    accuracy = recipe.measured["test_accuracy_mean"]
    return Contender(recipe.name, value, accuracy, recipe.measured.get("test_accuracy_sd"))


# ---- what is left behind


def write_challenge(standing: Sequence[Standing], recipe: Recipe, out: Path) -> dict[str, Any]:
    """Write challenge.json and a plot for each cost into a folder.

    Args:
        standing: of the recipe.
        recipe: with what its runs reached in `measured`.
        out: the folder of the runs.

    Returns:
        What challenge.json holds.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    record = {
        "recipe": recipe.name,
        "runs": recipe.measured["runs"],
        "machine": recipe.measured["machine"],
        "date": recipe.measured["date"],
        "standings": [each.to_record() for each in standing],
    }
    write_whole(out / RESULT_FILE, json.dumps(record, indent=2) + "\n")
    for each in standing:
        save_plot(frontier(each.everybody, each.cost), out / plot_name(each.cost))

    return record


def plot_name(cost: str) -> str:
    """Return the file name of the plot by a cost."""
    return f"challenge-{cost.split()[0]}.png"


def save_plot(figure: "Figure", path: Path) -> None:
    """Write a plot as PNG, whole or not at all."""
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=DOTS))


def describe_standing(standing: Standing) -> str:
    """Say in a line where a recipe stands."""
    mine = standing.mine
    cost = f"{mine.cost:,.0f}" if standing.cost == SIZE else f"{mine.cost:,.1f}"
    sd = f" ± {100 * mine.sd:.2f}" if mine.sd is not None else ""
    reached = f"{mine.name}: {mine.accuracy:.2%}{sd} with {cost} {standing.cost}"
    if not standing.better:
        return f"{reached}: unbeaten"

    best = max(standing.better, key=lambda each: each.accuracy)
    return f"{reached}: beaten by {best.name}, {best.accuracy:.2%} with {best.cost:,.0f}"
