"""Symbols in the order in which they are read: lines from top to bottom, each from left to right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEIGHBOUR = 2.5  # heights to the right within which a symbol's neighbour is looked for
STEEPEST = 0.35  # slope of the writing that is still a line, height over width
SAME_LINE = 0.55  # heights by which a symbol may stand above or below where its line leads
FOLLOWING = 0.6  # weight of the latest symbol in where a line leads

Boxes = NDArray[np.float64]


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

    x = (boxes[:, 0] + boxes[:, 2]) / 2
    y = (boxes[:, 1] + boxes[:, 3]) / 2
    tall = np.maximum(boxes[:, 3] - boxes[:, 1], 0.5 * (boxes[:, 2] - boxes[:, 0]))
    typical = float(np.median(tall))
    tall = np.maximum(tall, 0.6 * typical)

    level = y - slope(x, y, tall) * x
    lines: list[list[int]] = []
    leads: list[float] = []
    for number in np.argsort(x, kind="stable"):
        reach = SAME_LINE * (tall[number] + typical) / 2
        distances = [abs(level[number] - lead) for lead in leads]
        best = int(np.argmin(distances)) if distances else -1
        if best < 0 or distances[best] > reach:
            lines.append([int(number)])
            leads.append(float(level[number]))
        else:
            lines[best].append(int(number))
            leads[best] += FOLLOWING * float(level[number] - leads[best])

    order = np.argsort([np.mean(level[line]) for line in lines], kind="stable")
    return [lines[number] for number in order]


def slope(x: NDArray[np.float64], y: NDArray[np.float64], tall: NDArray[np.float64]) -> float:
    """Return how far the lines fall a pixel to the right, from pairs of neighbours.

    The median over all pairs does not mind a pair of different lines.
    """
    order = np.argsort(x, kind="stable")
    slopes = []
    for place, number in enumerate(order):
        # A few dozen to the right are enough to hold the neighbour on any page.
        right = order[place + 1 : place + 40]
        across = x[right] - x[number]
        down = y[right] - y[number]
        near = (across > 0.2 * tall[number]) & (across < NEIGHBOUR * tall[number])
        near &= np.abs(down) < 0.7 * tall[number]
        if near.any():
            closest = np.argmin(np.where(near, across + 2 * np.abs(down), np.inf))
            slopes.append(down[closest] / across[closest])

    if len(slopes) < 3:
        return 0.0
    return float(np.clip(np.median(slopes), -STEEPEST, STEEPEST))


def reading_order(boxes: Boxes) -> Sequence[int]:
    """Return the indices of all symbols in reading order."""
    return [number for line in find_lines(boxes) for number in line]
