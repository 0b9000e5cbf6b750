"""Learning-rate schedules.

The fraction of the training that is done comes in, from 0 to 1; a factor on the learning rate goes
out, from 0 to 1.
"""

import math
from collections.abc import Callable


def constant(_: float) -> float:
    """Return 1: the learning rate stays as it is."""
    return 1.0


def cosine(progress: float) -> float:
    """Follow half a cosine from 1 to 0.

    Source: Loshchilov & Hutter 2017, without restarts.
    """
    return (1 + math.cos(math.pi * progress)) / 2


def one_cycle(progress: float) -> float:
    """Increase in a line over the first fifth of the training, then decrease in a line to 0.

    Source: after Smith & Topin 2018.
    """
    return min(progress / 0.2, (1 - progress) / 0.8)


def step_decay(progress: float) -> float:
    """Drop to a tenth after half of the training, and to a hundredth after three quarters."""
    if progress < 0.5:
        return 1.0
    if progress < 0.75:
        return 0.1

    return 0.01


# the `schedule` of a recipe -> its function
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "step": step_decay,
}
