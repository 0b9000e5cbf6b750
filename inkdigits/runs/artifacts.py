"""What a run leaves: the final figures, and the files of its folder.

Takes a trained network and what it took; calibrates it, reads the test split once, whole, and writes. Knows nothing of training.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from inkdigits.core.digits import CLASSES, DIGITS_TO_KEEP
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import Dataset, Split
from inkdigits.evaluation.metrics import evaluate_probabilities
from inkdigits.evaluation.report import write_report
from inkdigits.runs.checkpoint import save_checkpoint
from inkdigits.runs.export import export_onnx
from inkdigits.training.loop import Epoch
from inkdigits.training.models import count_parameters
from inkdigits.training.predictions import accuracy_on, fit_temperature, measure, predict_logits
from inkdigits.training.recipe import Recipe

METRICS_FILE = "metrics.jsonl"
LAST_FILE = "report.html"  # of a run: where it is, all are


@dataclass(frozen=True)
class Final:
    """What a run reached. Accuracies and F1 are fractions, all of the finished network without dropout.

    train_seconds: from data in memory to trained weights, without the validation after each epoch. test_loss: mean cross-entropy
    in nats, before confidence is calibrated, as the recipes' sources measure it. mnist_before, mnist_after: accuracy on MNIST's
    test digits of the model that training began with and of the finished one; None where it began from nothing.
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


@dataclass(frozen=True)
class Work:
    """What the weights took: the passes, and the seconds of `Final.train_seconds`.

    mnist, mnist_before: where training began from a model, MNIST's test digits, and the share of them that it read right.
    """

    epochs: list[Epoch]
    seconds: float
    mnist: Split | None = None
    mnist_before: float | None = None


def finish(
    folder: Path, network: nn.Module, recipe: Recipe, dataset: Dataset, work: Work, seed: int
) -> Final:
    """Calibrate on the validation digits, measure on the test digits, and write what a run folder holds. Returns the figures."""
    temperature = fit_temperature(network, dataset.validation)
    logits = predict_logits(network, dataset.test)[
        :, :CLASSES
    ]  # that it is no digit is nothing the figures ask
    probabilities = torch.softmax(logits / temperature, dim=1).numpy()
    evaluation = evaluate_probabilities(
        probabilities, dataset.test.labels, model=str(folder), data=dataset.name, split="test"
    )
    final = Final(
        recipe=recipe.name,
        seed=seed,
        epochs=len(work.epochs),
        train_seconds=work.seconds,
        train_accuracy=measure(network, dataset.train)[1],
        validation_accuracy=measure(network, dataset.validation)[1],
        test_accuracy=evaluation.accuracy,
        test_loss=F.cross_entropy(logits, torch.from_numpy(dataset.test.labels).long()).item(),
        test_f1_macro=evaluation.f1_macro,
        parameters=count_parameters(network),
        device=str(next(network.parameters()).device),
        mnist_before=work.mnist_before,
        mnist_after=None if work.mnist is None else accuracy_on(network, work.mnist),
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
    described = {
        "recipe": recipe.name,
        "data": dataset.name,
        "seed": seed,
        "inkdigits": config["versions"]["inkdigits"],
    }
    export_onnx(
        network,
        folder / "model.onnx",
        dataset.validation.images,
        temperature=temperature,
        facts=described,
    )
    write_metrics(folder, work.epochs, final)
    write_report(
        folder / LAST_FILE,
        evaluation=evaluation,
        probabilities=probabilities,
        images=dataset.test.images,
        labels=dataset.test.labels,
        history=[to_record(epoch) for epoch in work.epochs],
        config=config | {"classes": dataset.classes[:CLASSES]},
    )
    return final


def write_metrics(folder: Path, epochs: list[Epoch], final: Final | None = None) -> None:
    """metrics.jsonl, whole: a line an epoch, and the final figures once there are some."""
    records: list[Epoch | Final] = [*epochs, *([final] if final else [])]
    write_whole(
        folder / METRICS_FILE, "".join(json.dumps(to_record(record)) + "\n" for record in records)
    )


def to_record(record: Epoch | Final) -> dict[str, Any]:
    """The object that `train --json` prints for it."""
    values = {
        name: round(value, DIGITS_TO_KEEP) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(record).items()
        if value is not None
    }
    return {"final": True, **values} if isinstance(record, Final) else values
