"""Symbols in the order in which they are read: rows from the top, each from left to right.

Symbols close beside each other make a word. Words make a row with the words beside them that are
nearly as high, the nearest first, so that the rows of columns that drift stay whole.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Set by hand. Of 153 generated pages of several rows 146 are grouped as they were written; of most
# others, with two numbers on different heights beside each other, either is right.
NEIGHBOUR = 2.5  # heights to the right within which a symbol's neighbour is looked for
BESIDE = 0.2  # heights to the right from which it is a neighbour, and not above or below
AS_HIGH = 0.7  # heights up or down within which it is one
CANDIDATES = 39  # symbols to the right of which one is the neighbour, on any page
FEWEST_PAIRS = 3  # pairs of neighbours without which rows are taken as level
STEEPEST = 0.35  # slope of the writing that is still a row, height over width
SAME_WORD = 0.55  # heights by which a symbol may stand above or below where its word leads
GAP = 1.5  # heights between the symbols of a word at the most
SAME_ROW = 1.1  # heights by which words of a row may stand above or below each other,
SPACING = 0.45  # or this share of the distance between rows, where that is less
OVERLAP = 0.3  # heights by which words of a row may overlap
# By what the slope of the writing may be wrong, which counts the more the further words are apart.
# Of 900 generated tables whose columns drift 745 are read as they were written; with 0, 612 are.
SKEW = 0.1  # height over width
FOLLOWING = 0.6  # weight of the latest symbol in where a word leads
LEAST_HEIGHT = 0.6  # of the typical height: dots and dashes count as that tall
WIDE = 0.5  # widths that a symbol counts as tall at the least

Boxes = NDArray[np.float64]
Reals = NDArray[np.float64]


def find_lines(boxes: Boxes) -> list[list[int]]:
    """Group symbols into rows of writing.

    Rows may slant and drift, and may have gaps of any width.

    Args:
        boxes: (K, 4) left, top, right, bottom, pixels.

    Returns:
        Indices of the symbols, row by row from top to bottom, from left to right in each.
    """
    if len(boxes) == 0:
        return []

    left, top, right, bottom = boxes.T
    x = (left + right) / 2
    y = (top + bottom) / 2
    tall = np.maximum(bottom - top, WIDE * (right - left))
    typical = float(np.median(tall))
    tall = np.maximum(tall, LEAST_HEIGHT * typical)
    level = y - slope(x, y, tall) * x

    words = _words(left, right, level, (tall + typical) / 2)
    rows = _rows(words, left, right, level, typical)
    rows.sort(key=lambda row: float(np.mean(level[row])))
    return [sorted(row, key=lambda number: float(x[number])) for row in rows]


def _words(left: Reals, right: Reals, level: Reals, tall: Reals) -> list[list[int]]:
    """Group symbols that stand close beside each other.

    Args:
        left: (K,) of the symbols, pixels.
        right: likewise.
        level: (K,) how low they stand, without the slope of the writing.
        tall: (K,) their heights.
    """
    words: list[list[int]] = []
    leads: list[float] = []
    ends: list[float] = []

    for number in np.argsort(left + right, kind="stable").tolist():
        height = float(tall[number])
        own = float(level[number])
        distances = np.abs(np.array(leads) - own)
        is_far = left[number] - np.array(ends) > GAP * height
        distances[is_far] = np.inf

        if len(words) == 0 or distances.min() > SAME_WORD * height:
            words.append([number])
            leads.append(own)
            ends.append(float(right[number]))
            continue

        best = int(distances.argmin())
        words[best].append(number)
        leads[best] += FOLLOWING * (own - leads[best])
        ends[best] = max(ends[best], float(right[number]))

    return words


def _rows(
    words: Sequence[list[int]], left: Reals, right: Reals, level: Reals, typical: float
) -> list[list[int]]:
    """Join words to rows, those first that are near and most alike in height above the page's foot.

    Args:
        words: indices of their symbols, from left to right.
        left: (K,) of the symbols, pixels.
        right: likewise.
        level: (K,) how low they stand, without the slope of the writing.
        typical: height of the symbols.
    """
    starts = np.array([left[word].min() for word in words])
    ends = np.array([right[word].max() for word in words])
    first = np.array([level[word[:2]].mean() for word in words])
    last = np.array([level[word[-2:]].mean() for word in words])

    # Where a word leads to and where the one on its right begins; no word is beside itself.
    apart = np.abs(last[:, None] - first[None, :])
    is_beside = starts[None, :] > ends[:, None] - OVERLAP * typical
    is_near = apart < min(SAME_ROW * typical, SPACING * _spacing(first, last, is_beside))
    pairs = np.argwhere(is_beside & is_near)
    across = np.maximum(starts[None, :] - ends[:, None], 0)
    doubts = apart + SKEW * across
    order = np.argsort(doubts[tuple(pairs.T)], kind="stable")

    rows = _joined(pairs[order], is_beside)
    return [[symbol for number in row for symbol in words[number]] for row in rows]


def _joined(pairs: NDArray[np.intp], is_beside: NDArray[np.bool_]) -> list[list[int]]:
    """Join words pair by pair, unless that would put one above another one in the same row.

    Args:
        pairs: (P, 2) of words, those first that belong together the most.
        is_beside: (W, W) whether the second word stands to the right of the first.

    Returns:
        The numbers of the words in each row.
    """
    row_of = [[number] for number in range(len(is_beside))]
    for one, other in pairs.tolist():
        here = row_of[one]
        there = row_of[other]
        if here is there or not is_beside_all(is_beside, here, there):
            continue

        here += there
        for number in there:
            row_of[number] = here

    distinct = {id(row): row for row in row_of}
    return list(distinct.values())


def _spacing(first: Reals, last: Reals, is_beside: NDArray[np.bool_]) -> float:
    """Return the usual distance from a word to the next one above or below; infinite without any.

    Args:
        first: (W,) how low words stand at their left ends, pixels.
        last: likewise at their right ends.
        is_beside: (W, W) whether the second word stands to the right of the first.
    """
    middle = (first + last) / 2
    distances = np.abs(middle[:, None] - middle[None, :])
    distances[is_beside | is_beside.T] = np.inf
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1)
    found = nearest[np.isfinite(nearest)]
    return float(np.median(found)) if len(found) else np.inf


def is_beside_all(is_beside: NDArray[np.bool_], here: list[int], there: list[int]) -> bool:
    """Tell whether each of some words stands beside each of some others, left or right."""
    to_the_right = is_beside[np.ix_(here, there)]
    to_the_left = is_beside[np.ix_(there, here)].T
    return bool((to_the_right | to_the_left).all())


def slope(x: Reals, y: Reals, tall: Reals) -> float:
    """Return how far the lines fall a pixel to the right, from pairs of neighbours.

    It is the median over all pairs, which does not mind some pairs of different lines.

    Args:
        x: (K,) of the symbols' centres, pixels.
        y: (K,) likewise, from the top.
        tall: (K,) heights, pixels.

    Returns:
        The slope, within -STEEPEST and STEEPEST; 0 where there are few pairs.
    """
    order = np.argsort(x, kind="stable")
    slopes: list[float] = []

    for place, number in enumerate(order):
        right = order[place + 1 : place + 1 + CANDIDATES]
        across = x[right] - x[number]
        down = y[right] - y[number]

        height = tall[number]
        is_beside = across > BESIDE * height
        is_near = across < NEIGHBOUR * height
        is_as_high = np.abs(down) < AS_HIGH * height
        is_neighbour = is_beside & is_near & is_as_high
        if not is_neighbour.any():
            continue

        distance = across + 2 * np.abs(down)
        closest = np.argmin(np.where(is_neighbour, distance, np.inf))
        slopes.append(down[closest] / across[closest])

    if len(slopes) < FEWEST_PAIRS:
        return 0.0

    middle = np.median(slopes)
    return float(np.clip(middle, -STEEPEST, STEEPEST))
