"""From a picture that was enlarged by repeating pixels to the small one that it was.

Any picture comes in; one that was not enlarged so goes out as it came. Enlarged digits are so read
as the small ones are.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Pixels
from inkdigits.reading.preprocessing.picture import Picture

Places = NDArray[np.intp]  # (N,): which rows or columns of a picture

SMALLEST_IN_BLOCKS = 8  # pixels of the shorter side before pixels were repeated
LARGEST_IN_BLOCKS = 1000  # pixels of the longer side after it
ROUNDING = 1e-6  # pixels that a place may be off when programs compute it

# Where the nearest pixel changes, in pixels before its edge: Pillow takes the pixel that is under
# the middle of the new one, OpenCV that under its upper left corner.
OFFSETS = (0.5, 0.0)


def in_own_pixels(picture: Picture) -> Picture:
    """Return a picture before it was enlarged by repeating pixels, as small as it can have been.

    Args:
        picture: upright, of any size.

    Returns:
        The same picture if it was not enlarged so, or is too large or too small to tell.
    """
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter < 2 * SMALLEST_IN_BLOCKS or max(height, width) > LARGEST_IN_BLOCKS:
        return picture

    changes = []
    for axis in (0, 1):
        changes.append(_changes(pixels, axis))
        if (np.diff(changes[axis]) < 2).any():  # what was repeated is there at least twice
            return picture

    for count in range(SMALLEST_IN_BLOCKS, shorter // 2 + 1):
        rows = _places(changes[0], height, round(height * count / shorter))
        columns = _places(changes[1], width, round(width * count / shorter))
        if rows is not None and columns is not None:
            return _taken_at(picture, rows, columns)

    return picture


def _changes(pixels: Pixels, axis: int) -> Places:
    """Return the rows (of axis 0) or columns (of axis 1) that differ from the one before."""
    rows = pixels.swapaxes(0, axis)
    differs = (rows[1:] != rows[:-1]).reshape(len(rows) - 1, -1).any(axis=1)
    return 1 + np.flatnonzero(differs)


def _places(changes: Places, length: int, count: int) -> Places | None:
    """Return where each of `count` rows was repeated; None if a change is elsewhere.

    Where an edge falls on a pixel exactly, programs round up or down, even in the same picture.
    """
    if len(changes) >= count:
        return None

    edges = np.arange(count) * length / count
    for offset in OFFSETS:
        first = np.ceil(edges - offset - ROUNDING).astype(np.intp)
        last = np.ceil(edges - offset + ROUNDING).astype(np.intp)
        if np.isin(changes, [first, last]).all():
            return last

    return None


def _taken_at(picture: Picture, rows: Places, columns: Places) -> Picture:
    """Return the pixels at some rows and columns, which stand for the whole picture."""
    own = np.ascontiguousarray(picture.pixels[np.ix_(rows, columns)])
    height, width = picture.pixels.shape[:2]
    x, y = picture.scale
    return replace(picture, pixels=own, scale=(x * width / len(columns), y * height / len(rows)))
