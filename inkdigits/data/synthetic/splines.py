"""Smooth curves through points that a hand passes: points come in, more points go out."""

import numpy as np

from inkdigits.core.digits import Array


def catmull_rom(points: Array, steps: int) -> Array:
    """Return a curve through all points; a point alone stays as it is.

    Source: Catmull & Rom 1974, "A class of local interpolating splines".

    Args:
        points: float64 (K, 2).
        steps: pieces between two points.

    Returns:
        float64 (M, 2), from the first point to the last.
    """
    if len(points) < 2:
        return points

    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    before = padded[:-3]
    start = padded[1:-2]
    end = padded[2:-1]
    after = padded[3:]

    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]

    cubic = 3 * (start - end) + after - before
    square = 2 * before - 5 * start + 4 * end - after
    curve = start + t / 2 * (end - before + t * (square + t * cubic))  # (steps, K - 1, 2)

    return np.vstack([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])
