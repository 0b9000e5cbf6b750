"""From maps to symbols: peaks of the centre map are symbols, and cells of ink vote for their own.

Each step is linear in the number of cells and symbols.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkdigits.reading.page.maps import FINE, MIDDLE, Floats, Maps

# Not yet measured; set by hand.
LEAST_CENTRE = 0.3  # probability of a centre from which a peak is a symbol
LEAST_INK = 0.5  # probability from which a cell is ink
MOST_OVERLAP = 0.5  # intersection over union from which the weaker of two peaks is the same symbol
LEAST_RADIUS = 1.5  # cells: half the smallest width and height in which a symbol collects votes

NOBODY = -1  # owner of a cell that is no symbol's ink

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Symbol:
    """One symbol found in a picture.

    Attributes:
        score: the probability of its centre, 0 to 1.
        box: left, top, right, bottom of its ink in pixels of the piece.
        rows: (M,) int64, of the cells of its ink.
        columns: (M,) int64, of the same cells.
        kind: (16,) float32, logits of its kind, as the page network sees it.
    """

    score: float
    box: tuple[float, float, float, float]
    rows: Ints
    columns: Ints
    kind: Floats


def find_symbols(maps: Maps) -> list[Symbol]:
    """Return the symbols in a picture, the surest first.

    Args:
        maps: what the page network says of the picture.

    Returns:
        The symbols; those to which no cell of ink belongs are left out.
    """
    rows, columns = _peaks(maps.centre)
    if len(rows) == 0:
        return []

    sizes = np.maximum(maps.size[:, rows, columns], 1.0)
    kept = _distinct(rows, columns, sizes)
    rows = rows[kept]
    columns = columns[kept]
    sizes = sizes[:, kept]

    owner = _owners(maps, rows, columns, sizes)
    return _gather(maps, owner, rows, columns)


def _peaks(centre: Floats) -> tuple[Ints, Ints]:
    """Return rows and columns of local maxima of the centre map, the highest first."""
    height, width = centre.shape
    around = np.pad(centre, 1, constant_values=-1.0)
    highest = centre.copy()
    for down in range(3):
        for across in range(3):
            moved = around[down : down + height, across : across + width]
            np.maximum(highest, moved, out=highest)

    is_highest = centre >= highest
    is_sure = centre > LEAST_CENTRE
    rows, columns = np.nonzero(is_highest & is_sure)

    order = np.argsort(-centre[rows, columns], kind="stable")
    return rows[order], columns[order]


def _distinct(rows: Ints, columns: Ints, sizes: Floats) -> Ints:
    """Return the indices of peaks that are not the same symbol as a higher one.

    This is non-maximum suppression. Peaks are sorted into tiles by their position, so that each is
    compared with few others: with those in its own tile and the eight around it.
    """
    tile = max(2.0, float(np.median(sizes)))
    boxes = _boxes(rows, columns, sizes)
    tile_rows = rows // tile
    tile_columns = columns // tile

    tiles: dict[tuple[int, int], list[int]] = {}
    kept: list[int] = []
    for number in range(len(rows)):
        row = int(tile_rows[number])
        column = int(tile_columns[number])

        rivals: list[int] = []
        for place in _neighbours(row, column):
            rivals += tiles.get(place, [])

        if rivals:
            overlaps = _overlaps(boxes[number], boxes[rivals])
            if overlaps.any():
                continue

        own_tile = tiles.setdefault((row, column), [])
        own_tile.append(number)
        kept.append(number)

    return np.array(kept, np.int64)


def _boxes(rows: Ints, columns: Ints, sizes: Floats) -> NDArray[np.float64]:
    """Return boxes (K, 4) around peaks, in cells; narrow symbols get half their height in width."""
    larger = sizes.max(axis=0)
    half = np.maximum(sizes, 0.5 * larger) / 2
    sides = [
        columns - half[0],
        rows - half[1],
        columns + half[0],
        rows + half[1],
    ]
    return np.stack(sides, axis=1)


def _neighbours(row: int, column: int) -> Iterator[tuple[int, int]]:
    """Yield a tile and the eight around it, row by row."""
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            yield row + down, column + across


def _overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> Flags:
    """Tell which boxes (K, 4) overlap with one box by more than MOST_OVERLAP."""
    shared = shared_areas(box, others)
    area = (box[2] - box[0]) * (box[3] - box[1])
    widths = others[:, 2] - others[:, 0]
    heights = others[:, 3] - others[:, 1]
    joined = area + widths * heights - shared
    return shared > MOST_OVERLAP * joined


def shared_areas(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas (K,) that a box (4,) shares with others (K, 4)."""
    corner = np.maximum(box[:2], others[:, :2])
    opposite = np.minimum(box[2:], others[:, 2:])
    sides = np.maximum(opposite - corner, 0)
    return np.prod(sides, axis=1)


def _owners(maps: Maps, rows: Ints, columns: Ints, sizes: Floats) -> Ints:
    """Return for every cell the symbol that it is ink of, or NOBODY: (H/2, W/2).

    A cell belongs to the symbol in whose territory its vote falls.
    """
    height, width = maps.ink.shape
    nearest = _territories((height, width), rows, columns, sizes)

    y, x = np.nonzero(maps.ink > LEAST_INK)
    voted_x = np.rint(x + maps.offset[0, y, x])
    voted_y = np.rint(y + maps.offset[1, y, x])
    to_x = np.clip(voted_x, 0, width - 1).astype(np.int64)
    to_y = np.clip(voted_y, 0, height - 1).astype(np.int64)

    owner = np.full((height, width), NOBODY, np.int64)
    owner[y, x] = nearest[to_y, to_x]
    return owner


def _territories(shape: tuple[int, int], rows: Ints, columns: Ints, sizes: Floats) -> Ints:
    """Return for every cell the symbol whose centre a vote for it means, or NOBODY.

    Around each peak lies an ellipse of its size; where ellipses overlap, a cell belongs to the peak
    that is nearest in terms of its size.
    """
    height, width = shape
    nearest = np.full(shape, NOBODY, np.int64)
    distance = np.full(shape, np.inf, np.float32)

    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        across, down = np.maximum(sizes[:, number] / 2, LEAST_RADIUS)
        top = max(0, int(row - down))
        bottom = min(height, int(row + down) + 1)
        left = max(0, int(column - across))
        right = min(width, int(column + across) + 1)

        y = (np.arange(top, bottom, dtype=np.float32) - row) / down
        x = (np.arange(left, right, dtype=np.float32) - column) / across
        here = y[:, None] ** 2 + x[None] ** 2

        window = np.s_[top:bottom, left:right]
        is_inside = here <= 1
        is_nearer = here < distance[window]
        is_own = is_inside & is_nearer
        distance[window][is_own] = here[is_own]
        nearest[window][is_own] = number

    return nearest


def _gather(maps: Maps, owner: Ints, rows: Ints, columns: Ints) -> list[Symbol]:
    """Return the symbols that have any ink, with it."""
    y, x = np.nonzero(owner != NOBODY)
    owners = owner[y, x]
    order = np.argsort(owners, kind="stable")
    y = y[order]
    x = x[order]

    numbers = np.arange(len(rows) + 1)
    bounds = np.searchsorted(owners[order], numbers)

    symbols = []
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        own = slice(bounds[number], bounds[number + 1])
        if own.start == own.stop:
            continue

        symbol = Symbol(
            score=float(maps.centre[row, column]),
            box=_ink_box(y[own], x[own]),
            rows=y[own],
            columns=x[own],
            kind=maps.kind[:, row * FINE // MIDDLE, column * FINE // MIDDLE],
        )
        symbols.append(symbol)

    return symbols


def _ink_box(rows: Ints, columns: Ints) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of cells, in pixels."""
    left = FINE * columns.min()
    top = FINE * rows.min()
    right = FINE * (columns.max() + 1)
    bottom = FINE * (rows.max() + 1)
    return float(left), float(top), float(right), float(bottom)
