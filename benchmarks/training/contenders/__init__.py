"""Training programs, ours and others', each behind one function: `prepare(train, option)`.

It gives a function that trains with a seed. A module is loaded in a process of its own, so that no
framework's threads are in another's way. What the warm clock leaves out is done by `prepare`:
imports, the framework's start, bringing the digits into the form that the program takes them in,
and compiling.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (N, 28, 28), paper 0 to ink 255
Said = NDArray[np.integer]  # (N,), the digits that a network reads

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's pixels, as most programs write them


@dataclass(frozen=True)
class Trained:
    """One training.

    Attributes:
        seconds: of the whole training, on the warm clock.
        read: reads digits.
        compiling: seconds that the first training takes besides.
    """

    seconds: float
    read: Callable[[Pixels], Said]
    compiling: float = 0.0


Training = Callable[[int], Trained]  # takes a seed


def normalised(images: Pixels) -> NDArray[np.float32]:
    """Turn (N, 28, 28) uint8 into float32 of mean 0 and deviation 1, about."""
    return ((images.astype(np.float32) / 255 - MEAN) / DEVIATION).astype(np.float32)
