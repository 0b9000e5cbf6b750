"""What a run leaves behind: its records, its final figures, and the files in its folder.

A trained network and the history of its training come in. The network is calibrated and measured
on the test split, which is read once; the files go out.
"""

import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from inkdigits.core.digits import CLASSES, DIGITS_TO_KEEP
from inkdigits.core.errors import BadModel
from inkdigits.core.files import read_small, write_whole
from inkdigits.data.splits import Dataset, Split
from inkdigits.evaluation.measurement import Predictions, evaluate_predictions
from inkdigits.evaluation.report import write_report
from inkdigits.runs.checkpoint import save_checkpoint
from inkdigits.runs.export import export_onnx
from inkdigits.training.figures import Epoch, TrainingProgress
from inkdigits.training.models import count_parameters
from inkdigits.training.predictions import accuracy_on, fit_temperature, measure, predict_logits
from inkdigits.training.recipe import Recipe
from inkdigits.training.state import records

METRICS_FILE = "metrics.jsonl"
MAX_METRICS = 1 << 26  # bytes; an epoch takes some 200
ONNX_FILE = "model.onnx"
UNUSABLE_FILE = "unusable.csv"  # only of a run on pictures of which some were left out
MEMBERS_FOLDER = "members"  # of an ensemble: the runs of its members
LAST_FILE = "report.html"  # of a run: once it is there, all files are


@dataclass(frozen=True)
class FinalFigures:
    """What a run reached.

    Accuracies and F1 are fractions, measured on the finished network without dropout.

    Attributes:
        train_seconds: from data in memory to trained weights, without the validation after each
            epoch.
        test_loss: mean cross-entropy in nats, before the confidence is calibrated, as the recipes'
            sources measure it.
        mnist_before, mnist_after: accuracy on MNIST's test digits of the model that training
            started from and of the finished one; None if training started from fresh weights.
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
    mnist_before: float | None = None
    mnist_after: float | None = None


RunRecord = TrainingProgress | Epoch | FinalFigures


@dataclass(frozen=True)
class TrainingHistory:
    """How the weights were trained.

    Attributes:
        epochs: the records of all passes.
        seconds: see `FinalFigures.train_seconds`.
        mnist: MNIST's test digits, if training started from another model.
        mnist_before: the accuracy of that other model on them, a fraction.
    """

    epochs: list[Epoch]
    seconds: float
    mnist: Split | None = None
    mnist_before: float | None = None


def run_name(recipe: Recipe, seed: int) -> str:
    """Return the folder name for one run, e.g. `lenet-seed0`."""
    return f"{recipe.name}-seed{seed}"


def finish(
    folder: Path,
    network: nn.Module,
    recipe: Recipe,
    dataset: Dataset,
    history: TrainingHistory,
    seed: int,
) -> FinalFigures:
    """Finish a run: calibrate the network, measure it on the test split, and write the files.

    The temperature is fitted on the validation split.

    Args:
        folder: of the run; it exists.
        network: trained.
        recipe: what it was trained by.
        dataset: with the splits train, validation and test.
        history: of its training.
        seed: of the run.

    Returns:
        The final figures.

    Raises:
        CannotWrite: the disk refuses a file.
    """
    temperature = fit_temperature(network, dataset.validation)

    # The figures are about digits: an eleventh output, "not a digit", is left out.
    logits = predict_logits(network, dataset.test)[:, :CLASSES]
    labels = torch.from_numpy(dataset.test.labels).long()
    seen = Predictions(
        model=str(folder),
        data=dataset.name,
        split="test",
        classes=dataset.classes[:CLASSES],
        images=dataset.test.images,
        labels=dataset.test.labels,
        probabilities=torch.softmax(logits / temperature, dim=1).numpy(),
    )
    evaluation = evaluate_predictions(seen)
    final = FinalFigures(
        recipe=recipe.name,
        seed=seed,
        epochs=len(history.epochs),
        train_seconds=history.seconds,
        train_accuracy=measure(network, dataset.train)[1],
        validation_accuracy=measure(network, dataset.validation)[1],
        test_accuracy=evaluation.accuracy,
        test_loss=F.cross_entropy(logits, labels).item(),
        test_f1_macro=evaluation.f1_macro,
        parameters=count_parameters(network),
        device=str(next(network.parameters()).device),
        mnist_before=history.mnist_before,
        mnist_after=None if history.mnist is None else accuracy_on(network, history.mnist),
    )

    facts = {
        "seed": seed,
        "data": {
            "name": dataset.name,
            "train": len(dataset.train),
            "validation": len(dataset.validation),
        },
        "classes": list(dataset.classes),
        "temperature": temperature,
        "final": to_record(final),
    }
    config = save_checkpoint(folder, network, recipe, facts)

    export_onnx(
        network,
        folder / ONNX_FILE,
        dataset.validation.images,
        temperature=temperature,
        facts={
            "recipe": recipe.name,
            "data": dataset.name,
            "seed": seed,
            "inkdigits": config["versions"]["inkdigits"],
        },
    )

    write_metrics(folder, history.epochs, final)
    write_unusable(folder, dataset)

    write_report(
        folder / LAST_FILE,
        evaluation=evaluation,
        seen=seen,
        history=[to_record(epoch) for epoch in history.epochs],
        config=config,
    )

    return final


def write_metrics(folder: Path, epochs: list[Epoch], final: FinalFigures | None = None) -> None:
    """Write metrics.jsonl atomically: a line an epoch, then the final figures if there are any.

    Raises:
        CannotWrite: the disk refuses.
    """
    records: list[Epoch | FinalFigures] = [*epochs]
    if final:
        records.append(final)

    lines = [json.dumps(to_record(record)) + "\n" for record in records]
    write_whole(folder / METRICS_FILE, "".join(lines))


def write_unusable(folder: Path, dataset: Dataset) -> None:
    """Write the pictures that were left out, each with its reason, if there are any.

    Raises:
        CannotWrite: the disk refuses.
    """
    if not dataset.unusable:
        return

    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(("file", "reason"))
    rows.writerows((bad.path, bad.reason) for bad in dataset.unusable)
    write_whole(folder / UNUSABLE_FILE, file.getvalue())


def read_epochs(folder: Path) -> list[Epoch]:
    """Read the epochs of a run's metrics.jsonl, which may be a stranger's.

    Raises:
        BadModel: it is damaged.
    """
    path = folder / METRICS_FILE
    try:
        lines = read_small(path, MAX_METRICS).splitlines()
        found = [json.loads(line) for line in lines]
        epochs = [each for each in found if "final" not in each]
        return records(Epoch, {"epochs": epochs}, "epochs")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadModel(f"{path} is damaged: {error}") from error


def to_record(record: Epoch | FinalFigures) -> dict[str, Any]:
    """Return the object that `train --json` prints for a record."""
    values: dict[str, Any] = {"final": True} if isinstance(record, FinalFigures) else {}
    for name, value in dataclasses.asdict(record).items():
        if isinstance(value, float):
            values[name] = round(value, DIGITS_TO_KEEP)
        elif value is not None:
            values[name] = value

    return values
