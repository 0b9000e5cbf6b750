"""The corner markers of a sheet: a grey photo comes in, the middles of the markers go out.

A line through the middle of a marker crosses ring, gap, square, gap and ring, 1:1:3:1:1 wide. Such
runs are looked for in all rows and in all columns; where many of both cross, there is a marker.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inkdigits.core.digits import Mask, Plane

# Set by hand; the sheets that benchmarks.reading.collected draws say whether they do.
WINDOW = 1 / 32  # of the longer side, around a pixel on each side, whose mean light it has
DARK = 0.75  # of that light; less is dark
SMOOTH = 0.7  # pixels; standard deviation, against the noise of a sensor
WIDTHS = np.array([1.0, 1.0, 3.0, 1.0, 1.0])
SLACK = np.array([0.6, 0.6, 1.2, 0.6, 0.6])  # modules that a run may be off
SHORTEST = 7.0  # pixels of all five runs
TOGETHER = 2.0  # modules between two lines through the same marker
LEAST_LINES = 3  # rows through a marker, and columns; the square in its middle has as many
# Of the largest marker's module: printed letters may look like markers, and are far smaller.
SMALLEST = 0.5


class Marker(NamedTuple):
    """The middle of a marker, in pixels, and the width of a module there."""

    x: float
    y: float
    module: float


class Crossing(NamedTuple):
    """A row or column that crosses a marker, as it seems.

    Attributes:
        x: of the middle, in pixels.
        y: likewise.
        module: a seventh of the way across.
    """

    x: float
    y: float
    module: float


def find_markers(grey: Plane) -> list[Marker]:
    """Return the markers in a photo, in no order.

    Args:
        grey: (H, W) uint8, black 0 to white 255.
    """
    dark = _dark(grey)
    rows = _crossings(dark)
    columns = [Crossing(y, x, module) for x, y, module in _crossings(dark.T)]

    markers = []
    for group in _groups(rows):
        middle = _mean(group)
        across = [line for line in columns if _are_together(line, middle)]
        if min(len(group), len(across)) >= LEAST_LINES:
            down = _mean(across)
            markers.append(Marker(middle.x, down.y, (middle.module + down.module) / 2))

    largest = max((marker.module for marker in markers), default=0.0)
    return [marker for marker in markers if marker.module >= SMALLEST * largest]


def _dark(grey: Plane) -> Mask:
    """Tell which pixels are darker than what is around them."""
    image = Image.fromarray(grey).filter(ImageFilter.GaussianBlur(SMOOTH))
    light = image.filter(ImageFilter.BoxBlur(max(grey.shape) * WINDOW))
    return np.asarray(image) < DARK * np.asarray(light, np.float32)


def _crossings(dark: Mask) -> list[Crossing]:
    """Return where rows are dark, light and dark by turns as in the middle of a marker."""
    padded = np.pad(dark, ((0, 0), (1, 1)))  # every row begins and ends with paper
    width = padded.shape[1]
    edges = np.flatnonzero(np.diff(padded.ravel().view(np.int8)))
    starts = np.arange(0, len(edges) - 5, 2)  # of dark runs: every second edge
    if not len(starts):
        return []

    runs = np.diff(edges[starts[:, None] + np.arange(6)])
    modules = runs.sum(axis=1) / WIDTHS.sum()
    first, last = edges[starts], edges[starts + 5]
    fits = (np.abs(runs - WIDTHS * modules[:, None]) <= SLACK * modules[:, None]).all(axis=1)
    fits &= (runs.sum(axis=1) >= SHORTEST) & (first // width == last // width)

    return [
        Crossing((start % width + end % width) / 2, float(start // width), module)
        for start, end, module in zip(first[fits], last[fits], modules[fits], strict=True)
    ]


def _groups(lines: list[Crossing]) -> list[list[Crossing]]:
    """Put lines that cross the same marker together; they come from the top down."""
    groups: list[list[Crossing]] = []
    for line in lines:
        home = next((group for group in groups if _are_together(line, group[-1])), None)
        if home is None:
            groups.append([line])
        else:
            home.append(line)

    return groups


def _are_together(one: Crossing, other: Crossing) -> bool:
    """Tell whether two lines may cross the same marker."""
    near = TOGETHER * min(one.module, other.module)
    return abs(one.x - other.x) < near and abs(one.y - other.y) < near


def _mean(lines: list[Crossing]) -> Crossing:
    means: NDArray[np.float64] = np.mean(lines, axis=0)
    return Crossing(*means.tolist())
