"""Training programs, ours and others', each behind one function: `prepare(train, option)`.

It gives a Trainer, which takes seeds. A module is loaded in a process of its own, so that no
framework's threads are in another's way. What the warm clock leaves out is done by `prepare`:
imports, the framework's start, bringing the digits into the form that the program takes them in,
and compiling.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (N, 28, 28), paper 0 to ink 255
Said = NDArray[np.integer]  # (N,), the digits that a network reads

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's pixels, as most programs write them


@dataclass(frozen=True)
class Trained:
    """One training, or the beginning of one.

    Attributes:
        seconds: of the whole training, on the warm clock, multiplied where a part was run.
        read: reads digits; None where only a part was run.
        part: the fraction that was run.
        note: how.
    """

    seconds: float
    read: Callable[[Pixels], Said] | None = None
    part: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class Trainer:
    """A program that is ready to train.

    Attributes:
        train: takes a seed, and whether the whole training is asked for.
        compiling: seconds that the first training takes besides.
    """

    train: Callable[[int, bool], Trained]
    compiling: float = 0.0


def normalised(images: Pixels) -> NDArray[np.float32]:
    """Turn (N, 28, 28) uint8 into float32 of mean 0 and deviation 1, about."""
    return ((images.astype(np.float32) / 255 - MEAN) / DEVIATION).astype(np.float32)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_cycle(step: int, steps: int, highest: float) -> float:
    """Return the learning rate of PyTorch's OneCycleLR by default.

    It goes up for 0.3 of the steps, from 1/25, then down, both along cosines. Source: Smith & Topin
    2018, with the shape that fast.ai gave it.
    """
    top = 0.3 * steps - 1
    if step <= top:
        begin, end, progress = highest / 25, highest, step / top
    else:
        begin, end, progress = highest, highest / 25 / 1e4, (step - top) / (steps - 1 - top)

    return float(end + (begin - end) * (1 + np.cos(np.pi * progress)) / 2)
