"""Could chance alone have done that? Figures of runs in, intervals and p-values out.

Takes plain numbers, returns plain numbers; knows nothing of runs, models or digits. A p-value is the chance of a difference at
least as large, in either direction, if there were none.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from inkdigits.core.errors import BadValue

EXACT_UP_TO = (
    200_000  # ways to share out runs that are tried one by one; ten against ten have 184,756
)
SHUFFLES = 100_000  # where there are more


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The interval, low and high, that holds the mean of all runs that could have been made, with this confidence.

    values: 2 or more, independent, near enough to normal. Source: Student 1908, "The probable error of a mean".
    Raises BadValue for fewer.
    """
    if len(values) < 2:
        raise BadValue(f"a mean of {len(values)} has no interval; 2 runs or more have one")
    half = (
        student_quantile((1 + confidence) / 2, len(values) - 1)
        * float(np.std(values, ddof=1))
        / math.sqrt(len(values))
    )
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def student_quantile(probability: float, degrees: int) -> float:
    """The t >= 0 that Student's distribution exceeds with 1 - probability. probability: 0.5 to 1; degrees: of freedom, 1 or more.

    Found by halving, as there is no formula for it and the core install has no SciPy.
    """
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < probability:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if student_cdf(middle, degrees) < probability else (low, middle)
    return middle


def student_cdf(t: float, degrees: int) -> float:
    """The chance that Student's t stays below `t` >= 0. Source: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    series = 0.0
    for k in range(2 + odd, degrees + 1, 2):
        series += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    two_sided = (
        2 / math.pi * (angle + math.sin(angle) * series) if odd else math.sin(angle) * series
    )
    return (1 + two_sided) / 2


def permutation_p(first: Sequence[int], second: Sequence[int], seed: int = 0) -> float:
    """Whether two groups of runs differ in their mean. first, second: right answers of each run, 1 run or more each.

    Every way to share the runs out between two groups of these sizes is tried. Where there are more than EXACT_UP_TO, these are
    100,000 shuffles with the order found as one more (Phipson & Smyth 2010). Source: Fisher 1935, "The design of experiments".
    """
    everyone = np.array([*first, *second], np.int64)
    if math.comb(len(everyone), len(first)) <= EXACT_UP_TO:
        sums = everyone[np.array(list(combinations(range(len(everyone)), len(first))))].sum(axis=1)
    else:
        shuffled = np.random.default_rng(seed).permuted(np.tile(everyone, (SHUFFLES, 1)), axis=1)
        sums = np.append(shuffled[:, : len(first)].sum(axis=1), sum(first))
    # The means differ by this over the sizes of both: whole numbers, so that equal differences are equal.
    differences = abs(len(everyone) * sums - len(first) * everyone.sum())
    return float(
        np.mean(differences >= abs(len(everyone) * sum(first) - len(first) * everyone.sum()))
    )


def smallest_p(first: int, second: int) -> float:
    """The p-value of `permutation_p` for so many runs against so many, all of one group better than all of the other."""
    ways = math.comb(first + second, first)
    return (2 if first == second else 1) / ways if ways <= EXACT_UP_TO else 1 / (SHUFFLES + 1)


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Whether two models differ that answered the same questions: exact, by the binomial distribution.

    only_first, only_second: questions that one answered right and the other wrong. Those that both answered right, or both
    wrong, say nothing. Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions".
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    term, tail = 1, 1  # whole numbers, however large: n over k, and their sum
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / 2**n)
