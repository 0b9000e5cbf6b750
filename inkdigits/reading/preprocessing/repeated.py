"""Pictures that were enlarged by repeating pixels are brought back to their own pixels."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Plane
from inkdigits.reading.preprocessing.picture import Picture

# Pixels of a side before and after pixels were repeated.
SMALLEST_IN_BLOCKS = 8
LARGEST_IN_BLOCKS = 1000
ROUNDING = 1e-6  # of a pixel


def in_own_pixels(picture: Picture) -> Picture:
    """Return a picture before it was enlarged by repeating pixels, as small as it can have been."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter < 2 * SMALLEST_IN_BLOCKS or max(height, width) > LARGEST_IN_BLOCKS:
        return picture

    axis = int(height > width)  # of the shorter side
    changes = {axis: _changes(pixels, axis)}
    if (np.diff(changes[axis]) < 2).any():  # rows that were repeated are at least two alike
        return picture

    changes[1 - axis] = _changes(pixels, 1 - axis)
    for count in range(SMALLEST_IN_BLOCKS, shorter // 2 + 1):
        rows = _firsts(changes[0], height, round(height * count / shorter))
        columns = _firsts(changes[1], width, round(width * count / shorter))
        if rows is not None and columns is not None:
            own = np.ascontiguousarray(pixels[np.ix_(rows, columns)])
            x, y = picture.scale
            scale = x * width / len(columns), y * height / len(rows)
            return replace(picture, pixels=own, scale=scale)

    return picture


def _changes(pixels: Plane, axis: int) -> NDArray[np.intp]:
    """Return the rows (of axis 0) or columns (of axis 1) that differ from the one before."""
    rows = pixels.swapaxes(0, axis)
    differs = (rows[1:] != rows[:-1]).reshape(len(rows) - 1, -1).any(axis=1)
    return 1 + np.flatnonzero(differs)


def _firsts(changes: NDArray[np.intp], length: int, count: int) -> NDArray[np.intp] | None:
    """Return where each of a number of repeated rows begins; None if a change is elsewhere.

    Resampled by the nearest pixel, Pillow takes the one under the middle, OpenCV the one under the
    upper edge, which at times it rounds down to the one before.
    """
    if len(changes) >= count:
        return None

    for offset in (0.5, 0.0, -ROUNDING):
        places = np.arange(count) * length / count
        starts = np.ceil(places - offset - ROUNDING / 2).astype(np.intp)
        starts[0] = 0
        if np.isin(changes, starts).all():
            return starts

    return None
