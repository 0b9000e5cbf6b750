"""What the page network should answer: a page with its truth comes in, target maps go out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES
from inkdigits.reading.page.find import OTHER
from inkdigits.reading.page.maps import COARSE, FINE, MIDDLE

# Set by hand, not yet measured.
SMALLEST = 8.0  # pixels of height below which a symbol is writing but too small to be told
SPREAD = 0.12  # standard deviation of the heatmap's Gaussian, in sizes of the symbol
LEAST_DEVIATION = 0.8  # of the Gaussian at the least, cells
CORE = 0.3  # of the Gaussian's peak: cells above it learn the symbol's size and kind
SIGN_HEIGHT = 4.0  # sizes of a sign that writing of signs alone counts as tall

SIGNS = range(CLASSES, OTHER)  # kinds
NO_KIND = -1

Map = NDArray[np.float32]
Kinds = NDArray[np.int8]
Owners = NDArray[np.int16]
Reals = NDArray[np.floating]
Flags = NDArray[np.bool_]


class PageTargets(NamedTuple):
    """Targets of one page of H x W pixels, each for the field of the same name in PageMaps.

    Attributes:
        ink: (H/2, W/2) float32, 0 or 1.
        centre: (H/2, W/2) float32, a Gaussian around each centre, 1 at its peak.
        offset: (2, H/2, W/2) float32, cells.
        size: (2, H/2, W/2) float32, log2 of cells.
        core: (H/2, W/2) float32, 1 where sizes are learnt.
        kind: (H/4, W/4) int64, NO_KIND where none is learnt.
        writing: (H/8, W/8) float32, 0 or 1.
        height: (H/8, W/8) float32, log2 of pixels.
    """

    ink: Map
    centre: Map
    offset: Map
    size: Map
    core: Map
    kind: NDArray[np.int64]
    writing: Map
    height: Map


def page_targets(owner: Owners, kinds: Kinds, boxes: Map) -> PageTargets:
    """Draw the target maps of a page.

    Args:
        owner: (H, W) int16, 0 for paper, k for ink of symbol k - 1. Sides are multiples of 16.
        kinds: (K,) int8, 0 to 15.
        boxes: (K, 4) float32, left, top, right, bottom in pixels.

    Returns:
        The maps. A symbol that belongs to writing lower than SMALLEST is marked in `writing` and
        `height` only.
    """
    targets = _blank_targets(*owner.shape)
    if len(kinds) == 0:
        return targets

    heights = line_heights(kinds, boxes)
    told = heights >= SMALLEST
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0) / FINE
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / FINE

    for number in np.flatnonzero(told):
        _draw_centre(targets, centres[number], sizes[number], int(kinds[number]))

    _draw_ink(targets, owner, told, centres, sizes)
    _draw_writing(targets, boxes, heights)
    return targets


def line_heights(kinds: Kinds, boxes: Map) -> Map:
    """Return how tall the writing is at each symbol.

    That is the symbol's larger side, or for signs that of the nearest other symbol.

    Args:
        kinds: (K,) int8, 10 to 14 are signs.
        boxes: (K, 4) float32, pixels.

    Returns:
        (K,) float32, pixels.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    sign = np.isin(kinds, SIGNS)
    if sign.all() or not sign.any():
        heights = np.where(sign, sides * SIGN_HEIGHT, sides)
        return heights.astype(np.float32)

    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    others = np.flatnonzero(~sign)
    between = centres[:, None] - centres[None, others]
    distances = np.linalg.norm(between, axis=2)
    nearest = others[distances.argmin(axis=1)]

    heights = np.where(sign, sides[nearest], sides)
    return heights.astype(np.float32)


def _blank_targets(height: int, width: int) -> PageTargets:
    """Return the targets of a blank page of so many pixels."""
    fine = (height // FINE, width // FINE)
    middle = (height // MIDDLE, width // MIDDLE)
    coarse = (height // COARSE, width // COARSE)

    return PageTargets(
        ink=np.zeros(fine, np.float32),
        centre=np.zeros(fine, np.float32),
        offset=np.zeros((2, *fine), np.float32),
        size=np.zeros((2, *fine), np.float32),
        core=np.zeros(fine, np.float32),
        kind=np.full(middle, NO_KIND, np.int64),
        writing=np.zeros(coarse, np.float32),
        height=np.zeros(coarse, np.float32),
    )


def _draw_centre(targets: PageTargets, centre: Reals, size: Reals, kind: int) -> None:
    """Add one symbol to the heatmap, and its size and kind around the centre.

    Args:
        targets: to draw into.
        centre: (2,) x and y, cells.
        size: (2,) width and height, cells.
        kind: 0 to 15.
    """
    height, width = targets.centre.shape
    # The cell that holds the centre is the peak, so that there is a 1 to be found.
    peak = np.floor(centre)
    roundish = np.maximum(size, 0.5 * size.max())
    deviation = np.maximum(SPREAD * roundish, LEAST_DEVIATION)
    reach = np.ceil(3 * deviation).astype(int)

    left, top = np.maximum(peak.astype(int) - reach, 0)
    right, bottom = np.minimum(peak.astype(int) + reach + 1, (width, height))
    if left >= right or top >= bottom:
        return

    across = _bell(np.arange(left, right), peak[0], deviation[0])
    down = _bell(np.arange(top, bottom), peak[1], deviation[1])
    gauss = np.outer(down, across).astype(np.float32)

    window = np.s_[top:bottom, left:right]
    nearer = gauss > targets.centre[window]
    targets.centre[window] = np.maximum(targets.centre[window], gauss)

    core = nearer & (gauss > CORE)
    targets.core[window][core] = 1
    for axis in (0, 1):
        targets.size[axis][window][core] = np.log2(size[axis])

    rows, columns = np.nonzero(core)
    rows = (rows + top) * FINE // MIDDLE
    columns = (columns + left) * FINE // MIDDLE
    targets.kind[rows, columns] = kind


def _bell(cells: NDArray[np.int64], peak: float, deviation: float) -> NDArray[np.float64]:
    """Return a Gaussian of height 1 at some cells."""
    away = (cells - peak) / deviation
    return np.exp(-0.5 * away**2)


def _draw_ink(
    targets: PageTargets, owner: Owners, told: Flags, centres: Reals, sizes: Reals
) -> None:
    """Mark the cells with ink of symbols that can be told, and say where these are and how large.

    Args:
        targets: to draw into.
        owner: (H, W) int16, 0 for paper, k for ink of symbol k - 1.
        told: (K,) which symbols to draw.
        centres: (K, 2) x and y, cells.
        sizes: (K, 2) width and height, cells.
    """
    rows, columns = targets.ink.shape
    blocks = owner.reshape(rows, FINE, columns, FINE)
    owners = blocks.max(axis=(1, 3))
    chosen = np.concatenate([[False], told])

    y, x = np.nonzero(chosen[owners])
    numbers = owners[y, x] - 1
    targets.ink[y, x] = 1
    targets.core[y, x] = 1
    targets.offset[0, y, x] = centres[numbers, 0] - (x + 0.5)
    targets.offset[1, y, x] = centres[numbers, 1] - (y + 0.5)
    targets.size[:, y, x] = np.log2(sizes[numbers]).T


def _draw_writing(targets: PageTargets, boxes: Map, heights: Map) -> None:
    """Mark the coarse cells that writing covers, with its height."""
    rows, columns = targets.writing.shape
    for box, tall in zip(boxes / COARSE, heights, strict=True):
        left, top = np.maximum(box[:2].astype(int), 0)
        right, bottom = np.minimum(np.ceil(box[2:]).astype(int), (columns, rows))
        window = np.s_[top:bottom, left:right]
        targets.writing[window] = 1
        targets.height[window] = np.log2(max(tall, 1.0))
