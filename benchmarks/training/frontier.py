"""What there is to beat: the shipped recipes by size and by seconds, from their measured figures.

    python -m benchmarks.training.frontier                            print the tables
    python -m benchmarks.training.frontier --write docs/challenge.md  put them into the page

Nothing is trained: `inkdigits reproduce --write` has measured the recipes.
"""

from benchmarks.common import command_line, publish, table
from inkdigits.evaluation.plots.compared import frontier, unbeaten
from inkdigits.runs.challenge import SECONDS, SIZE, shipped_contenders
from inkdigits.training.recipe import load_recipe

PAGE_IMAGES = {SIZE: "challenge-size", SECONDS: "challenge-seconds"}


def section() -> str:
    """Return the frontiers by both costs as Markdown."""
    lines = ["## What there is to beat"]
    for cost, image in PAGE_IMAGES.items():
        best = unbeaten(shipped_contenders(cost))
        recipes = [load_recipe(each.name) for each in best]
        rows = [
            (
                f"`{each.name}`",
                f"{each.cost:,.0f}" if cost == SIZE else f"{each.cost:,.1f}",
                f"{each.accuracy:.2%} ± {100 * (each.sd or 0):.2f}",
                recipe.measured["runs"],
                f"{recipe.measured['machine']}, {recipe.measured['date']}",
            )
            for each, recipe in zip(best, recipes, strict=True)
        ]
        head = ("recipe", cost, "test accuracy", "runs", "machine, date")
        lines += ["", f"![test accuracy against {cost}](images/{image}.png)", ""]
        lines += table(head, rows)

    lines += ["", "Written by `python -m benchmarks.training.frontier --write docs/challenge.md`."]
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or write them and the plots."""
    options = command_line(__doc__).parse_args()
    figures = {
        image: frontier(shipped_contenders(cost), cost) for cost, image in PAGE_IMAGES.items()
    }
    publish(section(), options.write, figures)


if __name__ == "__main__":
    main()
