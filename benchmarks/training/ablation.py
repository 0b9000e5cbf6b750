"""What each technique is worth: a plain network, and one change after another, over several seeds.

    python -m benchmarks.training.ablation --write docs/ablation.json

It can be stopped and started again: finished runs stay. The trainings are short, so that all of
them together take less than an hour on one core; gains in long trainings differ. Figures are on
10,000 digits that no run learned from: the validation split, and a stratified 5,000 of the training
digits. The test digits are not read. Each rung keeps what the rungs before it brought, unless it
says otherwise.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.common import command_line, tell
from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.data.splits import stratified
from inkdigits.evaluation.metrics import evaluate_probabilities
from inkdigits.runs.checkpoint import load_checkpoint, machine, save_checkpoint, versions
from inkdigits.training.distillation import Teacher
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.models import count_parameters, recipe_network
from inkdigits.training.predictions import predict_logits
from inkdigits.training.recipe import Recipe, from_table, load_recipe

RUNS = Path("runs/ablation")
START = "lenet"  # the shipped recipe that the settings are laid over
EXTRA = 5_000  # training digits that are held out beside the validation split
LONG = 2  # times the epochs, in the rung that trains longer


@dataclass(frozen=True)
class Rung:
    """One change.

    Attributes:
        name: of the rung.
        what: changes, in words.
        settings: as `--set` takes them.
        after: the rung that it is added to and compared with, the last unless named.
        teacher: the rung whose networks, all seeds together, are imitated.
        ensemble: nothing is trained, the networks of `after` vote.
    """

    name: str
    what: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    after: str = ""
    teacher: str = ""
    ensemble: bool = False


EPOCHS = 3
PLAIN = {"batch": 64, "learning_rate": 0.001, "schedule": "constant", "epochs": EPOCHS}
LADDER = (
    Rung("plain", "LeNet, Adam at a constant rate", PLAIN),
    Rung(
        "schedule",
        "the rate rises, then falls to zero",
        {"schedule": "one-cycle", "learning_rate": 0.003},
    ),
    Rung(
        "wider",
        "ten times the parameters",
        {"network": "dropout", "options": {"dropout": 0.0}, "batch": 128},
    ),
    Rung(
        "affine",
        "digits turned, slanted, zoomed, shifted",
        {"rotation": 10, "shear": 5, "zoom": 0.1, "shift": 2},
    ),
    Rung("elastic", "and bent", {"elastic": 0.8}),
    Rung("erasing", "a square of each digit blotted out", {"erasing": 6}, "elastic"),
    Rung("average", "weights averaged over 100 steps", {"ema": 0.99}, "elastic"),
    Rung("clean", "the last pass over digits as they are", {"clean_epochs": 1}, "elastic"),
    Rung("ensemble", "the mean of the networks' probabilities", after="elastic", ensemble=True),
    Rung("longer", f"{LONG} times the passes", {"epochs": LONG * EPOCHS}, "elastic"),
    Rung("longer-ensemble", "the mean of their probabilities", ensemble=True),
    Rung(
        "taught",
        "LeNet imitates the ensemble",
        {"teacher_weight": 0.5, "teacher_temperature": 2},
        "schedule",
        teacher="elastic",
    ),
)


def before(rung: Rung) -> str:
    """Return the rung that this one is added to; none of the first."""
    place = LADDER.index(rung)
    return rung.after or (LADDER[place - 1].name if place else "")


def recipe_of(name: str) -> Recipe:
    """Return all settings up to a rung, over the recipe at which the ladder starts."""
    rung = next(each for each in LADDER if each.name == name)
    below = recipe_of(before(rung)) if before(rung) else load_recipe(START)
    recipe = load_recipe(below, rung.settings)
    return dataclasses.replace(recipe, name=rung.name, summary=rung.what, source="", measured={})


def digits() -> tuple[Split, Split]:
    """Return what is learned from, 50,000 digits, and what is held out, 10,000."""
    mnist = load_dataset("mnist")
    extra = stratified(mnist.train.labels, EXTRA)
    parts = mnist.validation, mnist.train[extra]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return mnist.train[~extra], Split(images, labels)


def is_finished(folder: Path, recipe: Recipe) -> bool:
    """Tell whether that run is there, made by the recipe as it is now.

    Its config is the last file that a run writes.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return False

    made_by = from_table(json.loads(path.read_text())["recipe"])
    return made_by.what_it_trains == recipe.what_it_trains


def run(
    recipe: Recipe,
    seed: int,
    folder: Path,
    train: Split,
    held_out: Split,
    teachers: Sequence[Teacher],
) -> None:
    """Train one network, and keep its weights and figures of the digits held out."""
    network = seeded_network(recipe, seed)
    records = fit(network, recipe, train, held_out, seed=seed, teachers=teachers)
    epochs = [dataclasses.asdict(record) for record in records if isinstance(record, Epoch)]
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder, network, recipe, {"seed": seed, "epochs": epochs})


def probabilities(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a network says of uint8 digits (N, 28, 28): float32 (N, 10)."""
    labels = np.zeros(len(images), np.uint8)  # not used
    return torch.softmax(predict_logits(network, Split(images, labels)), dim=1).numpy()


def teacher_of(folders: Sequence[Path]) -> Teacher:
    """Return the networks in these folders, as one that the loop can ask."""
    networks = [load_checkpoint(folder).network.eval() for folder in folders]
    return lambda images: np.mean([probabilities(each, images) for each in networks], axis=0)


def answers(folder: Path, held_out: Split) -> NDArray[np.float32]:
    """Return what a finished run says about the digits held out, (N, 10)."""
    return probabilities(load_checkpoint(folder).network.eval(), held_out.images)


def folders_of(name: str, seeds: int) -> list[Path]:
    """Return the folders of a rung's runs, in the order of their seeds."""
    return [RUNS / f"{name}-seed{seed}" for seed in range(seeds)]


def train_all(seeds: int, train: Split, held_out: Split) -> Iterator[str]:
    """Train what is not finished yet, rung by rung; yield the name of each run when it is done."""
    for rung in (each for each in LADDER if not each.ensemble):
        recipe = recipe_of(rung.name)
        teachers = [teacher_of(folders_of(rung.teacher, seeds))] if rung.teacher else []
        for seed, folder in enumerate(folders_of(rung.name, seeds)):
            if not is_finished(folder, recipe):
                run(recipe, seed, folder, train, held_out, teachers)
                yield folder.name


def result(rung: Rung, seeds: int, held_out: Split) -> dict[str, Any]:
    """Return one rung as JSON: what it changes, and each run's figures."""
    name = before(rung) if rung.ensemble else rung.name
    recipe = recipe_of(name)
    folders = folders_of(name, seeds)
    said = [answers(folder, held_out) for folder in folders]
    size = count_parameters(recipe_network(recipe))
    measured = [
        _one_run(folder, each, held_out) for folder, each in zip(folders, said, strict=True)
    ]
    if rung.ensemble:
        size *= seeds
        measured = [{"seeds": seeds} | figures(said, held_out)]

    return {
        "name": rung.name,
        "what": rung.what,
        "teacher": rung.teacher,
        "ensemble": rung.ensemble,
        "after": before(rung),
        "settings": dict(rung.settings),
        "parameters": size,
        "runs": measured,
    }


def _one_run(folder: Path, said: NDArray[np.float32], held_out: Split) -> dict[str, Any]:
    config = json.loads((folder / CONFIG_FILE).read_text())
    epochs = config["epochs"]
    return {
        "seed": config["seed"],
        "seconds": round(sum(epoch["seconds"] for epoch in epochs), 1),
        "epochs": [round(epoch["validation_accuracy"], 4) for epoch in epochs],
        **figures([said], held_out),
    }


def figures(said: Sequence[NDArray[np.float32]], held_out: Split) -> dict[str, Any]:
    """Return accuracy and loss of what one or several networks said together."""
    evaluation = evaluate_probabilities(np.mean(said, axis=0), held_out.labels)
    return {"accuracy": evaluation.accuracy, "loss": round(evaluation.nll, 5)}


def main() -> None:
    """Train, measure, and write where asked."""
    parser = command_line(__doc__, write="put the figures into this JSON file")
    text = "runs of each rung (default: 3)"
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help=text)
    options = parser.parse_args()
    train, held_out = digits()
    for name in train_all(options.seeds, train, held_out):
        tell(f"{datetime.now(UTC):%H:%M:%S} {name}")

    rungs = [result(rung, options.seeds, held_out) for rung in LADDER]
    for rung in rungs:
        told = [f"{100 * run['accuracy']:.2f} % {run['loss']:.4f}" for run in rung["runs"]]
        print(f"{rung['name']:<16}", *told)

    facts = {
        "start": START,
        "learned_from": len(train),
        "held_out": len(held_out),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": versions(),
        "rungs": rungs,
    }
    if options.write:
        write_whole(options.write, json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
