"""Put trained networks into the package: of each recipe's finished runs the one with the least validation loss.

    python -m benchmarks.training.ship runs/reproduce best tiny nano

Copies model.onnx, model.safetensors and config.json to inkdigits/weights/RECIPE, and makes int8.onnx of all that gain by it. Of
`teachers` it makes a file in eight bits of each network of the first run. The test digits have no say.
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
    """After its last epoch."""
    *_, last, _ = (run / "metrics.jsonl").read_text().splitlines()
    return float(json.loads(last)["validation_loss"])


def main() -> None:
    """Copy, and say what is shipped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", type=Path, metavar="DIR", help="the folder that `inkdigits reproduce` fills"
    )
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="shipped recipes with finished runs there"
    )
    options = parser.parse_args()
    to_quantise: list[tuple[str | Path, Path]] = []
    for name in options.recipes:
        recipe = load_recipe(name)
        runs = finished_runs(recipe, options.runs)
        if not runs:
            parser.error(
                f"{options.runs} holds no finished run of {name!r}; `inkdigits reproduce {name}` makes them"
            )
        (WEIGHTS / name).mkdir(exist_ok=True)
        if recipe.members > 1:
            members = [
                options.runs / run_name(recipe.member, seed) for seed in recipe.member_seeds(0)
            ]
            to_quantise += [
                (member, WEIGHTS / name / f"{number}.onnx") for number, member in enumerate(members)
            ]
            continue
        chosen = min(runs, key=validation_loss)
        for file in FILES:
            shutil.copyfile(chosen / file, WEIGHTS / name / file)
        print(
            f"{name}: {chosen.name}, validation loss {validation_loss(chosen):.4f}, the least of {len(runs)}"
        )
        to_quantise += [(name, WEIGHTS / name / INT8_FILE)] if name in QUANTISED else []
    for model, path in to_quantise:
        made = export_run(model, path, int8=True)
        print(
            f"{model} in eight bits: {made.read_otherwise} of {made.compared:,} digits of {made.compared_on} read otherwise"
        )
    total = sum(path.stat().st_size for path in WEIGHTS.glob("*/*"))
    print(f"all models together: {total:,} bytes, {LARGEST:,} at most")
    if total > LARGEST:
        parser.exit(1)


if __name__ == "__main__":
    main()
