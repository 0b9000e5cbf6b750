"""The network and recipe of train_mnist_fast in tinygrad, its step compiled by TinyJit.

Needs clang, which tinygrad calls. The last batch is left out, as a jitted step takes one size only.
Where only the time is asked for, a part of the epoch is run.
"""

import time
from functools import partial
from typing import Any

import numpy as np
from tinygrad import Context, Tensor, TinyJit, nn
from tinygrad.nn.optim import Adam
from tinygrad.nn.state import get_parameters, get_state_dict

from benchmarks.training.contenders import (
    Pixels,
    Said,
    Trained,
    Trainer,
    normalised,
    one_cycle,
    timed,
)
from benchmarks.training.contenders.train_mnist_fast import BATCH, BETAS, HIGHEST
from inkdigits.data.datasets import Split

PART = 10.0  # seconds after which it is left, unless the whole is wanted


class Net:
    """As in train_mnist_fast."""

    def __init__(self) -> None:
        self.conv1, self.conv2 = nn.Conv2d(1, 24, 5), nn.Conv2d(24, 32, 3)
        self.full1, self.full2 = nn.Linear(800, 256), nn.Linear(256, 10)

    def __call__(self, ink: Any) -> Any:
        """ink: normalised float (N, 1, 28, 28). Returns logits (N, 10)."""
        x = self.conv1(ink).max_pool2d().relu()
        x = self.conv2(x).max_pool2d().relu()
        return self.full2(self.full1(x.flatten(1)).relu())


def prepare(train: Split, option: str) -> Trainer:
    """Compile the step. option: not used."""
    del option
    steps = max(1, len(train) // BATCH)
    network = Net()
    fresh = {name: weights.numpy() for name, weights in get_state_dict(network).items()}
    optimiser = Adam(get_parameters(network), lr=HIGHEST, b1=BETAS[0], b2=BETAS[1])

    def plain_step(x: Tensor, y: Tensor) -> Tensor:
        with Context(TRAINING=1):
            optimiser.zero_grad()
            loss = network(x).sparse_categorical_crossentropy(y).backward()
            optimiser.step()
            return loss.realize()

    step = TinyJit(plain_step)

    ink, labels = normalised(train.images)[:, None], train.labels.astype(np.int32)

    def take(number: int, order: Said) -> None:
        picks = order[number * BATCH : (number + 1) * BATCH]
        optimiser.lr.assign(
            Tensor([np.float32(one_cycle(number, steps, HIGHEST))], dtype=optimiser.lr.dtype)
        ).realize()
        step(Tensor(ink[picks]).realize(), Tensor(labels[picks]).realize()).numpy()

    first = np.arange(BATCH) % len(train)
    compiling = sum(
        timed(partial(take, 0, first)) for _ in range(3)
    )  # run, recorded, and run as recorded

    def run(seed: int, whole: bool) -> Trained:
        order = np.random.default_rng(seed).permutation(len(labels))
        begin_anew(network, optimiser, fresh, seed)
        started = time.perf_counter()
        taken = 0
        while taken < steps and (whole or time.perf_counter() - started < PART):
            take(taken, order)
            taken += 1
        seconds = (time.perf_counter() - started) * steps / taken
        return Trained(
            seconds,
            (lambda images: read(network, images)) if taken == steps else None,
            taken / steps,
        )

    return Trainer(run, compiling)


def begin_anew(network: Net, optimiser: Any, shapes: dict[str, Any], seed: int) -> None:
    """Put fresh weights where the compiled step expects them, and let the optimiser forget.

    They are drawn as tinygrad draws them.
    """
    generator = np.random.default_rng(seed)
    for name, weights in get_state_dict(network).items():
        inputs = shapes[name.rpartition(".")[0] + ".weight"][0].size
        drawn = generator.uniform(-(inputs**-0.5), inputs**-0.5, shapes[name].shape).astype(
            np.float32
        )
        weights.assign(Tensor(drawn)).realize()
    for moment in (*optimiser.m, *optimiser.v):
        moment.assign(Tensor.zeros(*moment.shape)).realize()
    for power in (optimiser.b1_t, optimiser.b2_t):
        power.assign(Tensor.ones(*power.shape)).realize()


def read(network: Net, images: Pixels) -> Said:
    """Read 1,000 digits at a time, to compile once."""
    batches = normalised(images)[:, None].reshape(-1, min(1000, len(images)), 1, 28, 28)
    return np.concatenate([network(Tensor(batch)).argmax(1).numpy() for batch in batches])
