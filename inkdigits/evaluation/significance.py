"""Could chance alone have done that? Figures of runs in, intervals and p-values out.

Works on plain numbers. A p-value is the chance of a difference at least as large, in either
direction, if there were none.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from inkdigits.core.errors import BadValue

EXACT_UP_TO = 200_000  # ways to share out runs are tried one by one; ten and ten have 184,756
SHUFFLES = 100_000  # are tried if there are more ways


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval, low and high, that holds the mean of all runs one could have made.

    Source: Student 1908, "The probable error of a mean".

    Args:
        values: one figure a run, of 2 or more independent runs, near enough to normal.
        confidence: how sure the interval is, 0 to 1.

    Raises:
        BadValue: there are fewer than 2 values.
    """
    n = len(values)
    if n < 2:
        raise BadValue(f"a mean of {n} has no interval; 2 runs or more have one")

    mean = float(np.mean(values))
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(n)
    half = student_quantile((1 + confidence) / 2, n - 1) * standard_error
    return mean - half, mean + half


def student_quantile(probability: float, degrees: int) -> float:
    """Find the t >= 0 below which Student's distribution stays with this probability.

    By bisection, as there is no formula for it and the core install has no SciPy.

    Args:
        probability: 0.5 to 1.
        degrees: degrees of freedom, 1 or more.
    """
    low = 0.0
    high = 1.0
    while student_cdf(high, degrees) < probability:
        high *= 2

    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if student_cdf(middle, degrees) < probability:
            low = middle
        else:
            high = middle


def student_cdf(t: float, degrees: int) -> float:
    """Calculate the chance that Student's t stays below `t` >= 0.

    Source: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(angle)
    odd = degrees % 2

    term = cosine if odd else 1.0
    series = 0.0
    for k in range(2 + odd, degrees + 1, 2):
        series += term
        term *= cosine**2 * (k - 1) / k

    two_sided = math.sin(angle) * series
    if odd:
        two_sided = 2 / math.pi * (angle + two_sided)
    return (1 + two_sided) / 2


def permutation_p(first: Sequence[int], second: Sequence[int], seed: int = 0) -> float:
    """Test whether two groups of runs differ in their mean, with a permutation test.

    Every way to share the runs out between two groups of these sizes is tried. If there are more
    than EXACT_UP_TO, 100,000 shuffles are tried, with the order found as one more (Phipson &
    Smyth 2010).

    Source: Fisher 1935, "The design of experiments".

    Args:
        first: the number of right answers of each run, 1 run or more.
        second: the same of the other group.
        seed: of the shuffles.
    """
    runs = np.array([*first, *second], np.int64)
    n = len(runs)
    size = len(first)

    if math.comb(n, size) <= EXACT_UP_TO:
        sums = runs[np.array(list(combinations(range(n), size)))].sum(axis=1)
    else:
        shuffled = np.random.default_rng(seed).permuted(np.tile(runs, (SHUFFLES, 1)), axis=1)
        sums = np.append(shuffled[:, :size].sum(axis=1), sum(first))

    # The difference of the means times both sizes: whole numbers, so that equals are equal.
    differences = abs(n * sums - size * runs.sum())
    found = abs(n * sum(first) - size * runs.sum())
    return float(np.mean(differences >= found))


def smallest_p(first: int, second: int) -> float:
    """Return the p-value of `permutation_p` if one group is better throughout.

    Args:
        first: the number of runs of one group.
        second: the number of runs of the other group.
    """
    ways = math.comb(first + second, first)
    if ways > EXACT_UP_TO:
        return 1 / (SHUFFLES + 1)

    as_different = 2 if first == second else 1
    return as_different / ways


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Test whether two models differ that answered the same questions, with McNemar's exact test.

    Questions that both answered right, or both wrong, do not count.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions".

    Args:
        only_first: the number of questions that only the first model answered right.
        only_second: the number of questions that only the second model answered right.
    """
    n = only_first + only_second
    fewer = min(only_first, only_second)

    # Whole numbers, however large: n over k, and the sum of these.
    term = 1
    tail = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        tail += term

    return min(1.0, 2 * tail / 2**n)
