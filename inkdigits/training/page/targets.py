"""What the page network should answer: a page with its ground truth comes in, target maps go out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FINE = 2  # pixels a cell of the maps of symbols
MIDDLE = 4  # of the kinds
COARSE = 8  # of writing

SMALLEST = 8.0  # pixels of height below which a symbol is writing but too small to be told
SPREAD = 0.12  # standard deviation of the heatmap's Gaussian, in sizes of the symbol
CORE = 0.3  # of the Gaussian's peak: cells above it learn the symbol's size and kind
NO_KIND = -1

Map = NDArray[np.float32]


class PageTargets(NamedTuple):
    """Targets of one page of H x W pixels; each is what the field of the same name in PageMaps learns.

    Attributes:
        ink: (H/2, W/2) float32, 0 or 1.
        centre: (H/2, W/2) float32, a Gaussian around each centre, 1 at its peak.
        offset: (2, H/2, W/2) float32, cells.
        size: (2, H/2, W/2) float32, log2 of cells.
        core: (H/2, W/2) float32, 1 where sizes are learnt.
        kind: (H/4, W/4) int64, NO_KIND where none is learnt.
        writing: (H/8, W/8) float32, 0 or 1; in between where it should not matter.
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


def page_targets(
    owner: NDArray[np.int16], kinds: NDArray[np.int8], boxes: NDArray[np.float32]
) -> PageTargets:
    """Draw the target maps of a page.

    Args:
        owner: (H, W), 0 for paper, k for ink of symbol k - 1. Sides are multiples of 16.
        kinds: (K,), 0 to 15.
        boxes: (K, 4), left, top, right, bottom in pixels.

    Returns:
        The maps. Symbols lower and narrower than SMALLEST that are no separators count as writing
        only.
    """
    height, width = owner.shape
    fine = (height // FINE, width // FINE)
    targets = PageTargets(
        ink=np.zeros(fine, np.float32),
        centre=np.zeros(fine, np.float32),
        offset=np.zeros((2, *fine), np.float32),
        size=np.zeros((2, *fine), np.float32),
        core=np.zeros(fine, np.float32),
        kind=np.full((height // MIDDLE, width // MIDDLE), NO_KIND, np.int64),
        writing=np.zeros((height // COARSE, width // COARSE), np.float32),
        height=np.zeros((height // COARSE, width // COARSE), np.float32),
    )
    if len(kinds) == 0:
        return targets

    blocks = owner.reshape(fine[0], FINE, fine[1], FINE)
    cells = blocks.max(axis=(1, 3))
    heights = line_heights(kinds, boxes)
    told = heights >= SMALLEST

    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    for number in np.flatnonzero(told):
        _draw_centre(targets, centres[number] / FINE, sizes[number] / FINE, int(kinds[number]))

    chosen = np.concatenate([[False], told])
    is_ink = chosen[cells]
    targets.ink[is_ink] = 1
    rows, columns = np.nonzero(is_ink)
    owners = cells[rows, columns] - 1
    targets.offset[0, rows, columns] = centres[owners, 0] / FINE - (columns + 0.5)
    targets.offset[1, rows, columns] = centres[owners, 1] / FINE - (rows + 0.5)
    targets.size[:, rows, columns] = np.log2(sizes[owners] / FINE).T
    targets.core[rows, columns] = 1

    _draw_writing(targets, boxes, heights)
    return targets


def line_heights(kinds: NDArray[np.int8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how tall the writing is at each symbol: its larger side, or for separators that of the nearest other symbol.

    Args:
        kinds: (K,), 10 to 14 are separators.
        boxes: (K, 4), pixels.

    Returns:
        (K,) float32, pixels.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    separator = (kinds >= 10) & (kinds <= 14)
    if separator.all() or not separator.any():
        return np.where(separator, sides * 4, sides).astype(np.float32)

    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    others = np.flatnonzero(~separator)
    distances = np.linalg.norm(centres[:, None] - centres[None, others], axis=2)
    nearest = others[distances.argmin(axis=1)]
    return np.where(separator, sides[nearest], sides).astype(np.float32)


def _draw_centre(
    targets: PageTargets, centre: NDArray[np.float32], size: NDArray[np.float32], kind: int
) -> None:
    """Add one symbol to the heatmap, and its size and kind around the centre."""
    height, width = targets.centre.shape
    deviation = np.maximum(SPREAD * np.maximum(size, 0.5 * size.max()), 0.8)
    reach = np.ceil(3 * deviation).astype(int)
    left, top = np.maximum(np.floor(centre).astype(int) - reach, 0)
    right, bottom = np.minimum(np.floor(centre).astype(int) + reach + 1, (width, height))
    if left >= right or top >= bottom:
        return

    # The cell that holds the centre is the peak, so that there is a 1 to be found.
    peak = np.floor(centre)
    across = np.exp(-0.5 * ((np.arange(left, right) - peak[0]) / deviation[0]) ** 2)
    down = np.exp(-0.5 * ((np.arange(top, bottom) - peak[1]) / deviation[1]) ** 2)
    gauss = np.outer(down, across).astype(np.float32)

    window = np.s_[top:bottom, left:right]
    nearer = gauss > targets.centre[window]
    targets.centre[window] = np.maximum(targets.centre[window], gauss)

    core = nearer & (gauss > CORE)
    targets.core[window][core] = 1
    for axis in (0, 1):
        targets.size[axis][window][core] = np.log2(size[axis])

    rows, columns = np.nonzero(core)
    targets.kind[(rows + top) // 2, (columns + left) // 2] = kind


def _draw_writing(
    targets: PageTargets, boxes: NDArray[np.float32], heights: NDArray[np.float32]
) -> None:
    """Mark the coarse cells that writing covers, with its height."""
    rows, columns = targets.writing.shape
    for (left, top, right, bottom), tall in zip(boxes / COARSE, heights, strict=True):
        window = np.s_[
            max(0, int(top)) : min(rows, int(np.ceil(bottom))),
            max(0, int(left)) : min(columns, int(np.ceil(right))),
        ]
        targets.writing[window] = 1
        targets.height[window] = np.log2(max(tall, 1.0))
