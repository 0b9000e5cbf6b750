"""Run folders of a stranger: links in place of folders, other tensors, facts of other kinds.

Each is a good folder that is changed in one way, and a command that is given it.
"""

import json
import math
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.soak.stranger_files import ESCAPES, NO_FILES, Make, in_place_of, linked
from benchmarks.soak.stranger_states import (
    HARMLESS,
    HUGE,
    PRECIOUS,
    STATES,
    Tensors,
    in_doubles,
    reshaped,
    spoilt,
)
from inkdigits.core.digits import CONFIG_FILE
from inkdigits.data.datasets import load_dataset
from inkdigits.reading.model_files import WEIGHTS
from inkdigits.runs.artifacts import LAST_FILE, METRICS_FILE
from inkdigits.runs.checkpoint import WEIGHTS_FILE
from inkdigits.runs.page_reader.weights import LOOK_WEIGHTS
from inkdigits.runs.run import run
from inkdigits.training.recipe import load_recipe

DATA = "digits.npz"  # beside it
SPACE = 'recipe = "nano"\ntrials = 2\nseeds = 1\n[space]\nlearning_rate = [0.01, 0.02]\n'
STEPS = 3  # that the run took that was stopped


@dataclass(frozen=True)
class Materials:
    """What the folders are made of.

    Attributes:
        folder: with a run that has finished, one that was stopped, and digits to train on.
    """

    folder: Path

    @property
    def finished(self) -> Path:
        """The finished run."""
        return self.folder / "finished"

    @property
    def stopped(self) -> Path:
        """The stopped run, with one saved state."""
        return self.folder / "stopped"

    @property
    def data(self) -> Path:
        """The digits."""
        return self.folder / DATA


def make_materials(materials: Materials) -> None:
    """Make a finished run and a stopped one: of noise, as nothing depends on what they learn."""
    materials.folder.mkdir()
    load_dataset("mnist", download=False)  # else PAGE would end before it looks at its folder

    chance = np.random.default_rng(0)
    images = chance.integers(0, 256, (300, 28, 28), np.uint8)
    np.savez(materials.data, x_train=images, y_train=np.arange(len(images)) % 10)

    shutil.copytree(WEIGHTS / "nano", materials.finished)
    (materials.finished / LAST_FILE).touch()

    running = run(
        load_recipe("nano", {"epochs": 2}),
        materials.stopped,
        load_dataset(materials.data),
        device="cpu",
    )
    for _ in range(STEPS):
        next(running)
    running.close()


@dataclass(frozen=True)
class RunCase:
    """A folder, and the command that gets it.

    Attributes:
        make: makes the folder at a path, from materials.
        arguments: of the command; the folder is `run`.
        is_harmless: whether the command should do its work nevertheless.
    """

    make: Callable[[Materials, Path], object]
    arguments: tuple[str, ...]
    is_harmless: bool = False


# ---- the commands

TRAIN = ("train", "nano", "--data", DATA, "--device", "cpu", "--json")
RESUME = (*TRAIN, "--epochs", "2", "--out", "run", "--resume")
INIT = (*TRAIN, "--epochs", "1", "--out", "new", "--init", "run")
EXPORT = ("export", "run", "-o", "new.onnx")
EVALUATE = ("evaluate", "run", "--data", DATA, "--split", "train", "--json")
COMPARE = ("compare", "run", "other", "--data", DATA)
SWEEP = ("sweep", "space.toml", "--data", DATA, "--out", "run", "--json")
PAGE = ("train", "page", "--out", "new", "--init", "run", "--json")


# ---- folders


def _finished(change: Make, materials: Materials, path: Path) -> None:
    """Make a finished run, changed, and another one beside it."""
    shutil.copytree(materials.finished, path)
    shutil.copytree(materials.finished, path.with_name("other"))
    shutil.copy(materials.data, path.parent)
    change(path)


def _stopped(change: Make, materials: Materials, path: Path) -> None:
    """Make a stopped run, changed."""
    shutil.copytree(materials.stopped, path)
    shutil.copy(materials.data, path.parent)
    change(path)


def _searched(change: Make, materials: Materials, path: Path) -> None:
    """Make the folder of a search, in which nothing has been tried yet, changed."""
    path.mkdir()
    shutil.copy(materials.data, path.parent)
    path.with_name("space.toml").write_text(SPACE)
    change(path)


def _page(change: Make, _: Materials, path: Path) -> None:
    """Make a run of the page reader, changed."""
    shutil.copytree(WEIGHTS / "page", path)
    change(path)


def finished(change: Make, arguments: tuple[str, ...], is_harmless: bool = False) -> RunCase:
    """Return a finished run that is changed."""
    return RunCase(partial(_finished, change), arguments, is_harmless)


def stopped(change: Make, is_harmless: bool = False) -> RunCase:
    """Return a stopped run that is changed, and gone on with."""
    return RunCase(partial(_stopped, change), RESUME, is_harmless)


def searched(change: Make) -> RunCase:
    """Return the folder of a search that is changed, and gone on with."""
    return RunCase(partial(_searched, change), SWEEP)


# ---- config.json


def config(changes: Callable[[dict[str, Any]], object]) -> Make:
    """Return what changes config.json."""

    def change(folder: Path) -> None:
        found = json.loads((folder / CONFIG_FILE).read_text())
        changes(found)
        (folder / CONFIG_FILE).write_text(json.dumps(found))

    return change


def recipe_with(**values: object) -> Make:
    """Return what changes the recipe in config.json."""
    return config(lambda found: found["recipe"].update(values))


def with_values(**values: object) -> Make:
    """Return what changes config.json itself."""
    return config(lambda found: found.update(values))


def text_as(name: str, text: str) -> Make:
    """Return what writes a text into a file of the folder."""
    return lambda folder: (folder / name).write_text(text)


# ---- weights


def weights(change: Callable[[Tensors], object], name: str = WEIGHTS_FILE) -> Make:
    """Return what changes the weights of a run."""

    def changed(folder: Path) -> None:
        tensors = load_file(folder / name)
        change(tensors)
        save_file(tensors, folder / name)

    return changed


def promised_header(folder: Path, name: str = WEIGHTS_FILE) -> None:
    """Write weights whose header is said to have a terabyte."""
    (folder / name).write_bytes((1 << 40).to_bytes(8, "little") + b'{"a":' * 100)


# ---- searches


def other_database(folder: Path) -> None:
    """Make the database of another program."""
    with closing(sqlite3.connect(folder / "sweep.db")) as database, database:
        database.execute("CREATE TABLE studies (a)")
        database.execute("INSERT INTO studies VALUES (?)", [ESCAPES])


FINISHED: Mapping[str, RunCase] = {
    **{
        f"{name} as config.json": finished(in_place_of(CONFIG_FILE, make), EXPORT)
        for name, make in NO_FILES.items()
    },
    **{
        f"{name} as model.safetensors": finished(in_place_of(WEIGHTS_FILE, make), EXPORT)
        for name, make in NO_FILES.items()
    },
    "a FIFO as metrics.jsonl": finished(in_place_of(METRICS_FILE, os.mkfifo), COMPARE, True),
    "a link as model.onnx": finished(linked("model.onnx", f"{PRECIOUS}/letter.txt"), EVALUATE),
    "a config that is a list": finished(text_as(CONFIG_FILE, "[]"), INIT),
    "a config nested deeply": finished(text_as(CONFIG_FILE, "[" * 500_000), INIT),
    "a config of a number of a megabyte": finished(text_as(CONFIG_FILE, "9" * 1_000_000), INIT),
    "a config without a recipe": finished(config(lambda found: found.pop("recipe")), EXPORT),
    "a recipe that is text": finished(with_values(recipe=ESCAPES), EXPORT),
    "a network of escapes": finished(recipe_with(network=ESCAPES), EXPORT),
    "a network that is a path": finished(recipe_with(network=f"{PRECIOUS}/letter.txt"), EXPORT),
    "8,000 channels": finished(recipe_with(options={"channels": 8000}), EXPORT),
    "channels that are text": finished(recipe_with(options={"channels": "12"}), EXPORT),
    "-1 channels": finished(recipe_with(options={"channels": -1}), EXPORT),
    "an option of escapes": finished(recipe_with(options={ESCAPES: 1}), EXPORT),
    "100 members": finished(recipe_with(members=100), EXPORT),
    "pictures of 1,024 pixels": finished(recipe_with(size=1024), EXPORT),
    "a deviation of 0": finished(recipe_with(sd=0), EXPORT),
    "a temperature of -1": finished(with_values(temperature=-1), EXPORT),
    "a temperature of NaN": finished(with_values(temperature=math.nan), EXPORT),
    "a temperature that is text": finished(with_values(temperature=ESCAPES), EXPORT),
    "a temperature of 10**30": finished(with_values(temperature=HUGE), EXPORT),
    "no final figures": finished(config(lambda found: found.pop("final")), RESUME),
    "final figures that are a list": finished(with_values(final=[]), RESUME),
    "final figures of escapes": finished(with_values(final={ESCAPES: 1}), RESUME),
    "a seed that is an object": finished(with_values(seed={ESCAPES: ESCAPES}), RESUME),
    "a terabyte of weights": finished(promised_header, INIT),
    "weights of another shape": finished(weights(reshaped), INIT),
    "weights in doubles": finished(weights(in_doubles), INIT, True),
    "weights with NaN": finished(weights(spoilt), INIT),
    "infinite weights": finished(weights(partial(spoilt, value=math.inf)), EXPORT),
    "weights with a name of escapes": finished(
        weights(lambda tensors: tensors.update({ESCAPES: torch.zeros(1)})), INIT
    ),
}

PAGES: Mapping[str, RunCase] = {
    f"{name} as look.safetensors": RunCase(partial(_page, in_place_of(LOOK_WEIGHTS, make)), PAGE)
    for name, make in NO_FILES.items()
} | {
    "page weights of another shape": RunCase(partial(_page, weights(reshaped, LOOK_WEIGHTS)), PAGE),
    "page weights with NaN": RunCase(partial(_page, weights(spoilt, LOOK_WEIGHTS)), PAGE),
}

SEARCHES: Mapping[str, RunCase] = {
    **{
        f"{name} as sweep.db": searched(in_place_of("sweep.db", make))
        for name, make in NO_FILES.items()
        if name != "nothing"
    },
    "a sweep.db of another program": searched(other_database),
    "a sweep.db of text": searched(text_as("sweep.db", ESCAPES * 1000)),
    "a link as sweep.db-journal": searched(linked("sweep.db-journal", f"{PRECIOUS}/letter.txt")),
    "a link as trial-1": searched(linked("trial-1", PRECIOUS)),
}

STOPPED = {name: stopped(make, name in HARMLESS) for name, make in STATES.items()}
RUNS: Mapping[str, RunCase] = {**STOPPED, **FINISHED, **PAGES, **SEARCHES}
