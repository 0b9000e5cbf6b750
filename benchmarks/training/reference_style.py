"""Training as tutorials write it against ours: the same networks, batch sizes and images, images per second, in one run.

The reference is the usual program: a PIL image a sample, Resize, ToTensor and Normalize, a Dataset behind a DataLoader with its
default settings, .to(device), zero_grad, loss.item() every step. torchvision is not needed: its three transforms are written
out here, operation by operation as it does them. Rounds alternate, because a shared machine drifts and only ratios last.
Imports, building, loading, a first round of each side and evaluation are not timed. Leave the machine alone meanwhile: where
others compete for its cores, two threads that wait for each other are ten times slower than one.

    python -m benchmarks.training.reference_style --networks lenet --rounds 5 --write docs/benchmarks.md
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from inkdigits.core.files import write_whole
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.models import count_parameters
from inkdigits.training.recipe import load_recipe

LIMIT = 15.0  # seconds of one side in one round; a slow machine then does fewer steps
DIGITS = 55_000  # that a whole training sees in every epoch
HEADING = "## Training: tutorial style against ours"
Transform = Callable[[Image.Image], Tensor]
Side = Callable[
    [str, Split, torch.device], float
]  # a network's name, images, device -> images per second


def to_tensor(image: Image.Image) -> Tensor:
    """(28, 28) uint8 picture -> (1, 28, 28) float32 in [0, 1], as torchvision's ToTensor."""
    pixels = torch.from_numpy(np.array(image, np.uint8, copy=True))
    return (
        pixels.view(image.size[1], image.size[0], 1)
        .permute((2, 0, 1))
        .contiguous()
        .to(torch.float32)
        .div(255)
    )


def normalise(mean: float, deviation: float) -> Transform:
    """ToTensor, then what torchvision's Normalize does to each sample."""

    def transform(image: Image.Image) -> Tensor:
        tensor = to_tensor(image).clone()
        means = torch.as_tensor((mean,), dtype=tensor.dtype, device=tensor.device).view(-1, 1, 1)
        deviations = torch.as_tensor((deviation,), dtype=tensor.dtype, device=tensor.device).view(
            -1, 1, 1
        )
        return tensor.sub_(means).div_(deviations)

    return transform


def resize(side: int, transform: Transform) -> Transform:
    """What torchvision's Resize does to a PIL image, and then the rest."""
    return lambda image: transform(image.resize((side, side), Image.Resampling.BILINEAR))


class Samples(TorchDataset[tuple[Tensor, int]]):
    """One (1, 28, 28) image and its label at a time, through PIL, as torchvision's MNIST hands them out."""

    def __init__(self, split: Split, transform: Transform) -> None:
        self.data, self.targets = (
            torch.tensor(split.images),
            torch.tensor(split.labels.astype(np.int64)),
        )
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = self.data[index], int(self.targets[index])
        return self.transform(Image.fromarray(image.numpy())), target

    def __len__(self) -> int:
        return len(self.data)


def lenet() -> nn.Module:
    """60,074 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
            nn.LogSoftmax(1),
        ),
    )


def two_conv() -> nn.Module:
    """421,642 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def dropout() -> nn.Module:
    """582,026 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
    )


def sgd() -> nn.Module:
    """656,080 parameters, for digits of 32x32 pixels."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1250, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


def batchnorm() -> nn.Module:
    """17,706 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(800, 10)),
    )


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """As all but one of the sources have it."""
    return torch.optim.Adam(model.parameters(), lr=0.001)


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


@dataclass(frozen=True)
class Reference:
    """How the source trains one recipe's network."""

    build: Callable[[], nn.Module]
    batch: int
    transform: Transform
    optimiser: Callable[[nn.Module], torch.optim.Optimizer] = adam


REFERENCES = {
    "lenet": Reference(lenet, 10, to_tensor),
    "two-conv": Reference(two_conv, 64, normalise(0.1307, 0.3081)),
    "dropout": Reference(dropout, 128, normalise(0.1307, 0.3081)),
    "sgd": Reference(sgd, 64, resize(32, normalise(0.1307, 0.3081)), momentum),
    "batchnorm": Reference(batchnorm, 128, to_tensor),
}


def train_reference(name: str, split: Split, device: torch.device) -> float:
    """One epoch over the split, or LIMIT seconds of it, the tutorials' way. Returns images per second."""
    reference = REFERENCES[name]
    loader = DataLoader(
        Samples(split, reference.transform), batch_size=reference.batch, shuffle=True
    )
    model = reference.build().to(device)
    criterion = nn.CrossEntropyLoss()
    optimiser = reference.optimiser(model)
    running_loss, seen = 0.0, 0
    start = time.perf_counter()
    model.train()
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimiser.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimiser.step()
        running_loss += loss.item()
        seen += len(labels)
        if time.perf_counter() - start > LIMIT:
            break
    return seen / (time.perf_counter() - start)


def train_ours(name: str, split: Split, device: torch.device, full_precision: bool) -> float:
    """One epoch over the split, or LIMIT seconds of it, with our loop. Returns images per second, evaluation not counted."""
    recipe = load_recipe(name, {"epochs": 1})
    network = seeded_network(recipe, 0)
    assert recipe.batch == REFERENCES[name].batch
    assert count_parameters(network) == count_parameters(REFERENCES[name].build())
    computes_bfloat16 = "inkdigits.training.device.computes_bfloat16"
    precision = patch(computes_bfloat16, return_value=False) if full_precision else nullcontext()
    with precision:
        start = time.perf_counter()
        for record in fit(network, recipe, split, split[:1000], device=device.type):
            if isinstance(record, Epoch) or time.perf_counter() - start > LIMIT:
                break

    return record.images_per_second


@dataclass(frozen=True)
class Result:
    """Images per second of each round, and what follows from them."""

    network: str
    batch: int
    images: int
    reference: list[float]
    ours: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours over the reference, round by round."""
        return [ours / reference for ours, reference in zip(self.ours, self.reference, strict=True)]

    def row(self) -> str:
        """The result as a line of a table: medians, with the lowest and highest round."""
        cells = [
            f"`{self.network}`",
            str(self.batch),
            *(spread(rates, ",.0f") for rates in (self.reference, self.ours)),
        ]
        epochs = load_recipe(self.network).epochs
        whole = [
            f"{epochs * DIGITS / statistics.median(rates):,.0f} s"
            for rates in (self.reference, self.ours)
        ]
        return "| " + " | ".join([*cells, spread(self.ratios, ".1f"), str(epochs), *whole]) + " |"

    def record(self) -> dict[str, object]:
        """The result for JSON, with the medians."""
        medians = {"reference": self.reference, "ours": self.ours, "ratio": self.ratios}
        return asdict(self) | {
            "median": {name: statistics.median(values) for name, values in medians.items()}
        }


def spread(values: list[float], style: str) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):{style}} ({min(values):{style}}-{max(values):{style}})"


def measure(
    name: str, split: Split, rounds: int, device: torch.device, full_precision: bool
) -> Result:
    """`rounds` rounds of both sides in turn, after one that is not counted; who goes first alternates."""
    sides: dict[str, Side] = {
        "reference": train_reference,
        "ours": partial(train_ours, full_precision=full_precision),
    }
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        images = split[: max(1000, len(split) // 10)] if number == 0 else split
        for side in sorted(sides, reverse=number % 2 == 1):
            rate = sides[side](name, images, device)
            print(
                f"{name}, round {number} of {rounds}: {side} {rate:,.0f} images/s", file=sys.stderr
            )
            if number:
                rates[side].append(rate)
    return Result(name, REFERENCES[name].batch, len(split), **rates)


def machine(device: torch.device) -> dict[str, str]:
    """Where and with what the figures were measured."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": str(cores),
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def section(results: list[Result], facts: dict[str, str]) -> str:
    """The results as a section of docs/benchmarks.md."""
    return "\n".join(
        [
            HEADING,
            "",
            "Images per second, median of the rounds (lowest-highest). Measured by `benchmarks/training/reference_style.py`,",
            f"{len(results[0].ours)} rounds of {results[0].images:,} images a side ({LIMIT:.0f} s at most), in turn; a whole",
            f"training is reckoned from them, for {DIGITS:,} images an epoch. "
            + ", ".join(map(": ".join, facts.items()))
            + ".",
            "",
            "| network | batch | tutorial style | ours | ratio | epochs | tutorial's training | our training |",
            "|---|---|---|---|---|---|---|---|",
            *(result.row() for result in results),
            "",
        ]
    )


def write_section(path: Path, text: str) -> None:
    """Put a section in the place of the one with the same heading, or at the end."""
    heading = text.splitlines()[0]
    before, _, after = (path.read_text() if path.is_file() else "# Benchmarks\n\n").partition(
        heading + "\n"
    )
    _, following, rest = after.partition("\n## ")
    write_whole(path, before.rstrip() + "\n\n" + text + (following + rest if following else ""))


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=REFERENCES, default=list(REFERENCES))
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each side")
    parser.add_argument("--images", type=int, default=20_000, help="MNIST training images a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--full-precision",
        action="store_true",
        help="float32 on our side, too, where it would take bfloat16",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the table into this file, too"
    )
    options = parser.parse_args()
    device = torch.device(options.device)
    split = load_dataset("mnist").train[: options.images]
    facts = machine(device) | {
        "our precision": "float32" if options.full_precision else "as the recipe says"
    }
    results = [
        measure(name, split, options.rounds, device, options.full_precision)
        for name in options.networks
    ]
    if options.json:
        print(json.dumps({"machine": facts, "results": [result.record() for result in results]}))
    else:
        print(section(results, facts))
    if options.write:
        write_section(options.write, section(results, facts))


if __name__ == "__main__":
    main()
