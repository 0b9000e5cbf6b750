"""Put trained networks into the package: of each recipe the run with the least validation loss.

    python -m benchmarks.training.ship runs/reproduce best tiny nano

Copies model.onnx, model.safetensors and config.json to inkdigits/reading/weights/RECIPE, and makes
int8.onnx of all that gain by it. Of `teachers` it makes a file in eight bits of each network of the
first run. The test digits have no say.
"""

import argparse
import json
import shutil
from pathlib import Path

from inkdigits.reading.model_files import INT8_FILE, WEIGHTS
from inkdigits.runs.artifacts import run_name
from inkdigits.runs.export import export_run
from inkdigits.runs.results import finished_runs
from inkdigits.training.recipe import load_recipe

FILES = ("model.onnx", "model.safetensors", "config.json")
QUANTISED = ("default", "best", "fast-99.3", "tiny")  # `nano` gains nothing
LARGEST = 8_000_000  # bytes, of all shipped models together


def validation_loss(run: Path) -> float:
    """Return the validation loss after a run's last epoch."""
    *_, last, _ = (run / "metrics.jsonl").read_text().splitlines()
    return float(json.loads(last)["validation_loss"])


def ship(name: str, runs: Path) -> None:
    """Copy a recipe's best run, and make its files in eight bits."""
    recipe = load_recipe(name)
    place = WEIGHTS / name
    place.mkdir(exist_ok=True)
    if recipe.members > 1:
        for number, seed in enumerate(recipe.member_seeds(0)):
            quantise(runs / run_name(recipe.member, seed), place / f"{number}.onnx")

        return

    chosen = min(finished_runs(recipe, runs), key=validation_loss)
    print(f"{name}: {chosen.name}, validation loss {validation_loss(chosen):.4f}")
    for file in FILES:
        shutil.copyfile(chosen / file, place / file)

    if name in QUANTISED:
        quantise(place, place / INT8_FILE)


def quantise(model: Path, path: Path) -> None:
    """Make a file in eight bits, and say how it reads."""
    made = export_run(model, path, int8=True)
    compared = f"{made.compared:,} digits of {made.compared_on}"
    print(f"{model} in eight bits: {made.read_otherwise} of {compared} read otherwise")


def main() -> None:
    """Copy, and say what is shipped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    text = "the folder that `inkdigits reproduce` fills"
    parser.add_argument("runs", type=Path, metavar="DIR", help=text)
    text = "shipped recipes with finished runs there"
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=text)
    options = parser.parse_args()
    for name in options.recipes:
        if not finished_runs(load_recipe(name), options.runs):
            parser.error(f"{options.runs} has no finished run of {name!r}; `inkdigits reproduce`")

        ship(name, options.runs)

    total = sum(path.stat().st_size for path in WEIGHTS.glob("*/*"))
    print(f"all models together: {total:,} bytes, {LARGEST:,} at most")
    if total > LARGEST:
        parser.exit(1)


if __name__ == "__main__":
    main()
