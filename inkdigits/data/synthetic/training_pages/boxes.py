"""Reckon with boxes of whole pixels: (4,) int64, left, top, right, bottom."""

import numpy as np
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.pixels import Size

Box = NDArray[np.int64]


def whole(size: Size) -> Box:
    """Return the box of a picture of some height and width."""
    height, width = size
    return np.array([0, 0, width, height])


def overlap(first: Box, second: Box) -> Box:
    """Return what two boxes have in common; its sides are 0 or less where that is nothing."""
    low = np.maximum(first, second)
    high = np.minimum(first, second)
    return np.append(low[:2], high[2:])


def union(first: Box, second: Box) -> Box:
    """Return the smallest box around two."""
    low = np.minimum(first, second)
    high = np.maximum(first, second)
    return np.append(low[:2], high[2:])


def is_empty(box: Box) -> bool:
    """Tell whether no pixel is in a box."""
    return bool((box[:2] >= box[2:]).any())


def window(box: Box) -> tuple[slice, slice]:
    """Return the index of a box's rows and columns in a picture."""
    left, top, right, bottom = box.tolist()
    return slice(top, bottom), slice(left, right)
