"""Training as tutorials write it against ours: the same networks, batches and images, in one run.

The reference is the usual program: a PIL image a sample, Resize, ToTensor and Normalize, a Dataset
behind a DataLoader with its default settings, zero_grad, loss.item() every step. torchvision is not
needed: its three transforms are written out here, operation by operation as it does them. Rounds
alternate, because a shared machine drifts and only ratios last. Imports, building, loading, a first
round of each side and evaluation are not timed. Leave the machine alone meanwhile: where others
compete for its cores, two threads that wait for each other are ten times slower than one.

    python -m benchmarks.training.reference_style --networks lenet --write docs/benchmarks.md
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.common import (
    command_line,
    in_turn,
    in_words,
    machine,
    publish,
    ratios,
    spread,
    table,
    tell,
)
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.recipe import load_recipe

LIMIT = 15.0  # seconds of one side in one round; a slow machine then does fewer steps
DIGITS = 55_000  # that a whole training sees in every epoch
COLUMNS = (
    "network",
    "batch",
    "tutorial style",
    "ours",
    "ratio",
    "epochs",
    "tutorial's training",
    "our training",
)
Transform = Callable[[Image.Image], Tensor]


def to_tensor(image: Image.Image) -> Tensor:
    """Turn a uint8 picture (28, 28) into float32 (1, 28, 28) in [0, 1], as ToTensor does."""
    pixels = torch.from_numpy(np.array(image, np.uint8, copy=True))
    channels = pixels.view(image.size[1], image.size[0], 1).permute((2, 0, 1)).contiguous()
    return channels.to(torch.float32).div(255)


def normalise(mean: float, deviation: float) -> Transform:
    """Apply ToTensor, then what torchvision's Normalize does to each sample."""

    def transform(image: Image.Image) -> Tensor:
        tensor = to_tensor(image).clone()
        dtype = tensor.dtype
        means = torch.as_tensor((mean,), dtype=dtype, device=tensor.device).view(-1, 1, 1)
        deviations = torch.as_tensor((deviation,), dtype=dtype, device=tensor.device)
        deviations = deviations.view(-1, 1, 1)
        return tensor.sub_(means).div_(deviations)

    return transform


def resize(side: int, transform: Transform) -> Transform:
    """Apply what torchvision's Resize does to a PIL image, and then the rest."""
    return lambda image: transform(image.resize((side, side), Image.Resampling.BILINEAR))


class Samples(TorchDataset[tuple[Tensor, int]]):
    """One (1, 28, 28) image and its label at a time, through PIL, as torchvision's MNIST."""

    def __init__(self, split: Split, transform: Transform) -> None:
        self.data = torch.tensor(split.images)
        self.targets = torch.tensor(split.labels.astype(np.int64))
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.data[index].numpy())
        return self.transform(image), int(self.targets[index])

    def __len__(self) -> int:
        return len(self.data)


def lenet() -> nn.Module:
    """Build 60,074 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        *(nn.Linear(84, 10), nn.LogSoftmax(1)),
    )


def two_conv() -> nn.Module:
    """Build 421,642 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def dropout() -> nn.Module:
    """Build 582,026 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
    )


def sgd() -> nn.Module:
    """Build 656,080 parameters, for digits of 32x32 pixels."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1250, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


def batchnorm() -> nn.Module:
    """Build 17,706 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(800, 10)),
    )


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimiser that all but one of the sources have."""
    return torch.optim.Adam(model.parameters(), lr=0.001)


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    """Make stochastic gradient descent with momentum."""
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


def train_reference(name: str, split: Split) -> float:
    """Train one epoch, or LIMIT seconds of it, the tutorials' way; return images per second."""
    reference = REFERENCES[name]
    samples = Samples(split, reference.transform)
    loader = DataLoader(samples, batch_size=reference.batch, shuffle=True)
    device = torch.device("cpu")
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


def train_ours(name: str, split: Split) -> float:
    """Train one epoch, or LIMIT seconds of it, with our loop; return images per second.

    Evaluation is not counted.
    """
    recipe = load_recipe(name, {"epochs": 1})
    network = seeded_network(recipe, 0)
    start = time.perf_counter()
    for record in fit(network, recipe, split, split[:1000], device="cpu"):
        if isinstance(record, Epoch) or time.perf_counter() - start > LIMIT:
            break

    return record.images_per_second


def measure(name: str, split: Split, rounds: int) -> list[object]:
    """Run rounds of both sides in turn.

    Returns:
        The cells of a table: medians, with the lowest and highest round.
    """
    sides = {"reference": train_reference, "ours": train_ours}
    both = {side: partial(train, name, split) for side, train in sides.items()}
    rates = in_turn(both, rounds)
    epochs = load_recipe(name).epochs
    whole = [f"{epochs * DIGITS / statistics.median(each):,.0f} s" for each in rates.values()]
    ratio = spread(ratios(rates["ours"], rates["reference"]), ".1f")
    tell(f"{name}: ours {ratio} times as fast")
    cells = map(spread, rates.values())
    return [f"`{name}`", REFERENCES[name].batch, *cells, ratio, epochs, *whole]


def section(rows: list[list[object]], rounds: int, images: int) -> str:
    """Return the results as a section of docs/benchmarks.md."""
    facts = machine("torch", "numpy", threads=torch.get_num_threads(), device="cpu")
    return "\n".join(
        [
            "## Training: tutorial style against ours",
            "",
            "Images per second, median of the rounds (lowest-highest). Measured by "
            "`benchmarks/training/reference_style.py`,",
            f"{rounds} rounds of {images:,} images a side ({LIMIT:.0f} s at most), "
            "in turn; a whole",
            f"training is reckoned from them, for {DIGITS:,} images an epoch. {in_words(facts)}.",
            "",
            *table(COLUMNS, rows),
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = command_line(__doc__, rounds=5)
    parser.add_argument("--networks", nargs="+", choices=REFERENCES, default=list(REFERENCES))
    parser.add_argument("--images", type=int, default=20_000, help="MNIST training images a round")
    options = parser.parse_args()
    split = load_dataset("mnist").train[: options.images]
    rows = [measure(name, split, options.rounds) for name in options.networks]
    publish(section(rows, options.rounds, len(split)), options.write)


if __name__ == "__main__":
    main()
