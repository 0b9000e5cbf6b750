"""The runs behind the page of reference systems: each recipe as it is, and with one thing changed.

Finished runs are kept, in `runs/reproduce` those of the recipes as they are, which `inkdigits
reproduce` makes as well, and in `runs/reference` the changed ones. Started twice, two processes
share the work.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import InkdigitsError
from inkdigits.core.files import write_whole
from inkdigits.data.splits import Dataset
from inkdigits.runs.artifacts import read_epochs
from inkdigits.runs.reproduction import REFERENCE_SYSTEMS, PlannedRun, train_run
from inkdigits.training.figures import Epoch
from inkdigits.training.recipe import Recipe, load_recipe, parse_settings

UNCHANGED = Path("runs/reproduce")
CHANGED = Path("runs/reference")

# What the page suggests to change, as `--set` takes it.
CHANGES: dict[str, tuple[str, ...]] = {
    "lenet": ("schedule=constant",),
    "two-conv": ("epochs=3",),
    "dropout": ("options.dropout=0",),
    "sgd": ("learning_rate=0.2", "learning_rate=0.0002"),
    "batchnorm": ("epochs=10",),
}


@dataclass(frozen=True)
class Trained:
    """What one run did.

    Attributes:
        epochs: a record each.
        final: the figures of the finished network.
        made: when, where and with which torch.
        stopped: why it stopped early; the others are empty then.
    """

    epochs: list[Epoch] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


def recipe_of(system: str, change: str = "") -> Recipe:
    """Return the recipe of a system, changed as `--set` would, and named after its change."""
    recipe = load_recipe(system)
    if not change:
        return recipe

    changed = load_recipe(recipe, parse_settings([change]))
    return dataclasses.replace(changed, name=f"{system} {change}".replace(" ", "-"), measured={})


def planned(system: str, change: str, seed: int) -> PlannedRun:
    """Return a run and the folder that it is made in."""
    return PlannedRun(recipe_of(system, change), seed, CHANGED if change else UNCHANGED)


def all_runs(seeds: int, systems: Sequence[str] = REFERENCE_SYSTEMS) -> list[tuple[str, str, int]]:
    """List (system, change, seed): a seed of everything, then the next."""
    return [
        (system, change, seed)
        for seed in range(seeds)
        for system in systems
        for change in ("", *CHANGES[system])
    ]


def train_all(runs: Sequence[tuple[str, str, int]], mnist: Dataset) -> Iterator[str]:
    """Make the runs that are not finished; yield the title of each one when it is done.

    First those that no other process is at, then what others have left.
    """
    for wait in (False, True):
        for each in runs:
            run = planned(*each)
            if run.is_finished or _stop_of(run):
                continue
            try:
                for _ in train_run(run, mnist, wait=wait):
                    pass
            except InkdigitsError as error:  # the loss is not finite, which is a result, too
                _note_stop(run, str(error))

            if run.is_finished or _stop_of(run):
                yield run.title


def load_run(system: str, change: str, seed: int) -> Trained | None:
    """Return what a run did; None if it is not done."""
    run = planned(system, change, seed)
    if not run.is_finished:
        stopped = _stop_of(run)
        return Trained(stopped=stopped) if stopped else None

    config = json.loads((run.folder / CONFIG_FILE).read_text())
    made = {
        "date": config["date"][:10],
        "machine": config["machine"],
        "torch": config["versions"]["torch"],
    }
    return Trained(read_epochs(run.folder), config["final"], made)


def _note(run: PlannedRun) -> Path:
    return run.folder.with_name(f"{run.folder.name}.stopped.json")


def _note_stop(run: PlannedRun, reason: str) -> None:
    """Remember that a run stopped, and by which recipe it was made."""
    text = json.dumps({"recipe": run.recipe.what_it_trains, "reason": reason}, indent=1)
    write_whole(_note(run), text + "\n")


def _stop_of(run: PlannedRun) -> str:
    """Return why this run stopped early; empty if it did not, or was of another recipe."""
    if not _note(run).is_file():
        return ""

    note = json.loads(_note(run).read_text())
    return str(note["reason"]) if note["recipe"] == run.recipe.what_it_trains else ""
