"""Symbols in the order in which they are read: lines from the top, each from left to right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Set by hand, not yet measured.
NEIGHBOUR = 2.5  # heights to the right within which a symbol's neighbour is looked for
BESIDE = 0.2  # heights to the right from which it is a neighbour, and not above or below
AS_HIGH = 0.7  # heights up or down within which it is one
CANDIDATES = 39  # symbols to the right of which one is the neighbour, on any page
FEWEST_PAIRS = 3  # pairs of neighbours without which lines are taken as level
STEEPEST = 0.35  # slope of the writing that is still a line, height over width
SAME_LINE = 0.55  # heights by which a symbol may stand above or below where its line leads
FOLLOWING = 0.6  # weight of the latest symbol in where a line leads
LEAST_HEIGHT = 0.6  # of the typical height: dots and dashes count as that tall
WIDE = 0.5  # widths that a symbol counts as tall at the least

Boxes = NDArray[np.float64]
Reals = NDArray[np.float64]


def find_lines(boxes: Boxes) -> list[list[int]]:
    """Group symbols into lines of writing.

    Lines may slant and drift, and may have gaps of any width, so that rows of columns stay whole.

    Args:
        boxes: (K, 4) left, top, right, bottom, pixels.

    Returns:
        Indices of the symbols, line by line from top to bottom, from left to right in each.
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
    reach = SAME_LINE * (tall + typical) / 2
    lines: list[list[int]] = []
    leads: list[float] = []

    for number in np.argsort(x, kind="stable").tolist():
        own = float(level[number])
        best = _nearest(leads, own)
        if best is None or abs(own - leads[best]) > reach[number]:
            lines.append([number])
            leads.append(own)
        else:
            lines[best].append(number)
            leads[best] += FOLLOWING * (own - leads[best])

    levels = [np.mean(level[line]) for line in lines]
    order = np.argsort(levels, kind="stable")
    return [lines[number] for number in order]


def _nearest(leads: list[float], level: float) -> int | None:
    """Return the index of the line that leads nearest to a level, None where there is no line."""
    if not leads:
        return None

    distances = np.abs(np.array(leads) - level)
    return int(distances.argmin())


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


def reading_order(boxes: Boxes) -> Sequence[int]:
    """Return the indices of all symbols in reading order.

    Args:
        boxes: (K, 4) left, top, right, bottom, pixels.
    """
    return [number for line in find_lines(boxes) for number in line]
