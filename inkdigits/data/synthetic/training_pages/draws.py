"""Draw from chance: whether something happens, which of several things, and sizes.

Every function takes the generator last, and takes as many draws from it as its name says: one.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.random import Generator

T = TypeVar("T")


def chance(share: float, rng: Generator) -> bool:
    """Tell whether something happens that happens in `share` of all cases, 0 to 1."""
    return rng.random() < share


def pick(shares: Mapping[T, float], rng: Generator) -> T:
    """Pick one of the keys.

    Args:
        shares: from what can be picked to how often it is, which add up to 1.
        rng: chance.

    Returns:
        A key.
    """
    values = list(shares)
    place = rng.choice(len(values), p=list(shares.values()))
    return values[place]


def log_uniform(low: float, high: float, rng: Generator) -> float:
    """Return a number from low to high whose logarithm is uniform."""
    logarithm = rng.uniform(np.log(low), np.log(high))
    return float(np.exp(logarithm))


def log_normal(median: float, deviation: float, rng: Generator) -> float:
    """Return a positive number, given the median and the deviation of the logarithm."""
    logarithm = rng.normal(np.log(median), deviation)
    return float(np.exp(logarithm))


def one_of(options: Sequence[T], rng: Generator) -> T:
    """Pick one of several things that are equally likely."""
    place = integer(0, len(options), rng)
    return options[place]


def integer(low: int, high: int, rng: Generator) -> int:
    """Return an integer from low to one below high."""
    return int(rng.integers(low, high))
