"""What a second process brings: training by two processes of one thread each beside one process of one and of two threads.

    python benchmarks/distributed.py --write docs/scale.md

Rounds in turn, a process group each, over the same digits; the steps of a pass are timed, not the start of the processes. Beyond
two, arithmetic: what is divided, what is not, and what the sum of the gradients takes over a network.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.soak.frame import write_between
from benchmarks.training.reference_style import machine
from inkdigits.data.datasets import load_dataset
from inkdigits.training.augmentation import Augmentation, augment
from inkdigits.training.models import count_parameters, recipe_network
from inkdigits.training.predictions import to_ink
from inkdigits.training.recipe import Recipe, load_recipe

RECIPES = ("two-conv", "tiny", "best")
DIGITS = 10_000
WAYS = {
    "1 process, 1 thread": (1, 1),
    "1 process, 2 threads": (1, 2),
    "2 processes, 1 thread each": (2, 1),
}
BATCH = 128  # the same for all, so that shares have a size
BANDWIDTH, LATENCY = 1.25e9, 50e-6  # bytes and seconds: 10 Gbit/s between machines, and a message
SIZES = (2, 4, 8, 16, 32)
BEYOND = f"""Beyond two, by arithmetic from the step of one process. The augmentation is not divided: every process does it for the
whole batch, so that all draw the same numbers. The sums of gradients, and of the statistics of each batch normalisation, run along
a ring of {BANDWIDTH * 8 / 1e9:.0f} Gbit/s and {LATENCY * 1e6:.0f} us a message. Efficiency, with {BATCH} digits a step for all:"""


def images_per_second(recipe: str, digits: Path, processes: int, threads: int) -> float:
    """Of the one pass of a run."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    with tempfile.TemporaryDirectory() as folder:
        train = [
            "-m",
            "inkdigits",
            "train",
            recipe,
            "--data",
            str(digits),
            "--out",
            f"{folder}/run",
            "--json",
            "--device",
            "cpu",
        ]
        settings = [
            "--epochs",
            "1",
            "--set",
            f"batch={BATCH}",
            "--set",
            "clean_epochs=0",
            "--set",
            "teacher=[]",
        ]
        command = [sys.executable, *(torchrun if processes > 1 else []), *train, *settings]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout.splitlines()[0])["images_per_second"])


def augmentation_seconds(recipe: Recipe, rounds: int) -> float:
    """A batch's, on one thread: every process does it for the whole batch, so that all draw the same numbers."""
    torch.set_num_threads(1)
    amount = Augmentation(**{name: getattr(recipe, name) for name in vars(Augmentation())})
    ink, generator = (
        to_ink(torch.zeros(BATCH, 28, 28, dtype=torch.uint8)),
        torch.Generator().manual_seed(0),
    )
    taken = []
    for _ in range(10 * rounds):
        begun = time.perf_counter()
        augment(ink, amount, generator)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def estimate(step: float, undivided: float, gradients: int, norms: int, size: int) -> float:
    """The share of `size` times one process's speed that is left. norms: of batches, whose statistics go there and back as well.

    Sums run along a ring: 2 (p - 1) messages, each of 1/p of what is summed.
    """
    messages = 2 * (size - 1)
    sums = messages * (LATENCY * (1 + 2 * norms) + gradients / size / BANDWIDTH)
    return step / size / (undivided + (step - undivided) / size + sums)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="of each way (default: 5)"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the tables into this file, too"
    )
    options = parser.parse_args()
    train = load_dataset("mnist").train
    measured, beyond = [], []
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits.npz"
        np.savez(digits, images=train.images[:DIGITS], labels=train.labels[:DIGITS])
        for name in RECIPES:
            speeds: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(options.rounds):
                for way, (processes, threads) in WAYS.items():
                    speeds[way].append(images_per_second(name, digits, processes, threads))
            measured.append(_measured_row(name, speeds))
            print(measured[-1], flush=True)
            recipe = load_recipe(name)
            step, undivided = (
                BATCH / statistics.median(speeds["1 process, 1 thread"]),
                augmentation_seconds(recipe, options.rounds),
            )
            network = recipe_network(recipe)
            gradients, norms = (
                4 * count_parameters(network),
                sum(isinstance(part, nn.BatchNorm2d) for part in network.modules()),
            )
            left = " | ".join(
                f"{estimate(step, undivided, gradients, norms, size):.0%}" for size in SIZES
            )
            beyond.append(
                f"| `{name}` | {1e3 * step:.0f} ms | {1e3 * undivided:.1f} ms | {gradients:,} | {norms} | {left} |"
            )
    text = _text(measured, beyond, options.rounds)
    print(text)
    if options.write:
        write_between(options.write, "processes", text)


def _measured_row(name: str, speeds: dict[str, list[float]]) -> str:
    cells = [
        f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"
        for values in speeds.values()
    ]
    alone, threads, processes = speeds.values()
    against = [
        statistics.median(b / a for a, b in zip(other, processes, strict=True))
        for other in (threads, alone)
    ]
    return f"| `{name}` | {' | '.join(cells)} | {against[0]:.2f} | {against[1] / 2:.0%} |"


def _text(measured: list[str], beyond: list[str], rounds: int) -> str:
    facts = ", ".join(map(": ".join, machine(torch.device("cpu")).items()))
    return "\n".join(
        [
            f"Images a second, {BATCH} a step, median (least to most) of {rounds} rounds in turn. Measured by "
            f"`benchmarks/distributed.py`, {facts}.",
            "",
            f"| recipe | {' | '.join(WAYS)} | two processes : two threads | efficiency |",
            f"|---|{'---|' * len(WAYS)}---|---|",
            *measured,
            "",
            BEYOND,
            "",
            f"| recipe | step | of it augmentation | bytes of gradients | batch norms | {' | '.join(map(str, SIZES))} processes |",
            f"|---|---|---|---|---|{'---|' * len(SIZES)}",
            *beyond,
        ]
    )


if __name__ == "__main__":
    main()
