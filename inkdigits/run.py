"""One training run, from a recipe and a dataset to a folder that can be read with, measured, and trained further.

The folder afterwards: model.safetensors and config.json (checkpoint.py), model.onnx (export.py), metrics.jsonl (a line an epoch, then
the final figures) and report.html (report.py). The test split is read once, whole, when the weights are final.
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from inkdigits.checkpoint import load_checkpoint, save_checkpoint
from inkdigits.data import Dataset, Split, load_dataset
from inkdigits.errors import BadModel
from inkdigits.evaluation import evaluate_probabilities
from inkdigits.export import export_onnx
from inkdigits.files import new_folder, write_whole
from inkdigits.models import Standardised, count_parameters
from inkdigits.recipe import Recipe, load_recipe
from inkdigits.recogniser import shipped_folder
from inkdigits.report import write_report
from inkdigits.training import Epoch, Progress, choose_device, fit, fit_temperature, measure, predict_logits, seeded_network

DIGITS_TO_KEEP = 6  # decimals of figures in files: more would be noise


@dataclass(frozen=True)
class Final:
    """What a run reached. Accuracies and F1 are fractions, all of the finished network without dropout.

    train_seconds: from data in memory to trained weights, without the validation after each epoch. test_loss: mean cross-entropy
    in nats, before confidence is calibrated, as the recipes' sources measure it.
    """

    recipe: str
    seed: int
    epochs: int
    train_seconds: float
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    test_loss: float
    test_f1_macro: float
    parameters: int
    device: str


Record = Progress | Epoch | Final


def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    data: str | Path = "mnist",
    seed: int = 0,
    device: str = "auto",
    init: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
) -> Final:
    """Train a recipe and leave the run in the new folder `out`: `inkdigits train`.

    recipe: a shipped name, a .toml file, or a Recipe. data: a dataset's name or path. init: a model to start from instead of fresh
    weights. settings: keys of the recipe to change, such as {"epochs": 3}. Raises InkdigitsError with a sentence for the user.
    """
    dataset = load_dataset(data, data_dir=data_dir)
    final = None
    for record in run(load_recipe(recipe, settings), Path(out), dataset, seed=seed, device=device, init=init):
        final = record
    assert isinstance(final, Final), "a run ends with its final figures"
    return final


def run(
    recipe: Recipe, out: Path, dataset: Dataset, *, seed: int = 0, device: str = "auto", init: str | Path | None = None
) -> Iterator[Record]:
    """Train and yield what happens: Progress, an Epoch after every pass, and at last the Final.

    Ctrl-C ends the training early: the last whole epoch's network is kept, finished as any other, yielded, and KeyboardInterrupt
    raised after that; before the first epoch is whole nothing is kept. Raises InkdigitsError; then no folder is left behind
    that was not there before.
    """
    started = time.perf_counter()
    network = seeded_network(recipe, seed)
    seconds = time.perf_counter() - started
    if init is not None:
        start_from(network, recipe, init)
    choose_device(device)
    folder = new_folder(out)
    epochs: list[Epoch] = []
    kept: dict[str, torch.Tensor] = {}
    interrupted = False
    try:
        for record in fit(network, recipe, dataset.train, dataset.validation, seed=seed, device=device):
            if isinstance(record, Epoch):
                epochs.append(record)
                kept = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
                write_metrics(folder, epochs)
            yield record
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) or not epochs:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        interrupted = True
    network.load_state_dict(kept)
    where = str(next(network.parameters()).device)
    final = finish(folder, network, recipe, dataset, epochs, seed=seed, seconds=seconds, device=where)
    yield final
    if interrupted:
        raise KeyboardInterrupt


def start_from(network: Standardised, recipe: Recipe, init: str | Path) -> None:
    """Give the network the weights of another model: a run folder or a shipped name. Raises BadModel where they do not fit."""
    folder = shipped_folder(str(init)) or Path(init)
    if folder.suffix == ".onnx":
        raise BadModel(
            f"{folder} can be read with, not trained; wanted is a shipped model or a folder made by `inkdigits train`"
        )
    other = load_checkpoint(folder)
    if (other.recipe.network, dict(other.recipe.options)) != (recipe.network, dict(recipe.options)):
        raise BadModel(f"{init} has network {other.recipe.network!r}, the recipe {recipe.name!r} has {recipe.network!r}")
    network.load_state_dict(other.network.state_dict())


def finish(
    folder: Path,
    network: Standardised,
    recipe: Recipe,
    dataset: Dataset,
    epochs: list[Epoch],
    *,
    seed: int,
    seconds: float,
    device: str,
) -> Final:
    """Calibrate on the validation digits, measure on the test digits, and write what a run folder holds. Returns the figures."""
    temperature = fit_temperature(network, dataset.validation)
    logits = predict_logits(network, dataset.test)
    probabilities = torch.softmax(logits / temperature, dim=1).numpy()
    evaluation = evaluate_probabilities(probabilities, dataset.test.labels, model=str(folder), data=dataset.name, split="test")
    final = Final(
        recipe=recipe.name,
        seed=seed,
        epochs=len(epochs),
        train_seconds=seconds + sum(epoch.seconds for epoch in epochs),
        train_accuracy=measure(network, dataset.train)[1],
        validation_accuracy=epochs[-1].validation_accuracy,
        test_accuracy=evaluation.accuracy,
        test_loss=F.cross_entropy(logits, torch.from_numpy(dataset.test.labels).long()).item(),
        test_f1_macro=evaluation.f1_macro,
        parameters=count_parameters(network),
        device=device,
    )
    facts = {
        "seed": seed,
        "data": {"name": dataset.name, "train": len(dataset.train), "validation": len(dataset.validation)},
        "classes": list(dataset.classes),
        "temperature": temperature,
        "final": to_record(final),
    }
    config = save_checkpoint(folder, network, recipe, facts)
    described = {"recipe": recipe.name, "data": dataset.name, "seed": seed, "inkdigits": config["versions"]["inkdigits"]}
    export_onnx(network, folder / "model.onnx", dataset.validation.images, temperature=temperature, facts=described)
    write_metrics(folder, epochs, final)
    history = [to_record(epoch) for epoch in epochs]
    test: Split = dataset.test
    write_report(
        folder / "report.html",
        evaluation=evaluation,
        probabilities=probabilities,
        images=test.images,
        labels=test.labels,
        history=history,
        config=config,
    )
    return final


def write_metrics(folder: Path, epochs: list[Epoch], final: Final | None = None) -> None:
    """metrics.jsonl, whole: a line an epoch, and the final figures once there are some."""
    records = [*epochs, *([final] if final else [])]
    write_whole(folder / "metrics.jsonl", "".join(json.dumps(to_record(record)) + "\n" for record in records))


def to_record(record: Epoch | Final) -> dict[str, Any]:
    """The object that `train --json` prints for it."""
    values = {
        name: round(value, DIGITS_TO_KEEP) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(record).items()
    }
    return {"final": True, **values} if isinstance(record, Final) else values
