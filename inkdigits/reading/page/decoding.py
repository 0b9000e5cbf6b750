"""From maps to symbols: peaks of the centre map are symbols, and every cell of ink votes for its own.

Each step is linear in the number of cells and symbols.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkdigits.reading.page.maps import FINE, MIDDLE, Floats, Maps

LEAST_CENTRE = 0.3  # probability of a centre from which a peak is a symbol
LEAST_INK = 0.5  # probability from which a cell is ink
MOST_OVERLAP = 0.5  # of two boxes, intersection over union: above it the weaker peak is the same symbol

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Symbol:
    """One symbol found in a picture.

    Attributes:
        score: The probability of its centre, 0 to 1.
        box: Left, top, right, bottom of its ink in pixels of the picture.
        rows, columns: (M,) the cells of its ink.
        kind: (16,) logits of its kind, as the page network sees it.
    """

    score: float
    box: tuple[float, float, float, float]
    rows: Ints
    columns: Ints
    kind: Floats


def find_symbols(maps: Maps) -> list[Symbol]:
    """Return the symbols in a picture, the surest first.

    Args:
        maps: What the page network says of the picture.
    """
    rows, columns = _peaks(maps.centre)
    if len(rows) == 0:
        return []

    sizes = np.maximum(maps.size[:, rows, columns], 1.0)
    kept = _distinct(rows, columns, sizes)
    rows, columns, sizes = rows[kept], columns[kept], sizes[:, kept]

    owner = _owners(maps, rows, columns, sizes)
    return _gather(maps, owner, rows, columns)


def _peaks(centre: Floats) -> tuple[Ints, Ints]:
    """Return rows and columns of local maxima of the centre map, the highest first."""
    around = np.pad(centre, 1, constant_values=-1.0)
    height, width = centre.shape
    highest = centre.copy()
    for down in range(3):
        for across in range(3):
            np.maximum(highest, around[down : down + height, across : across + width], out=highest)

    rows, columns = np.nonzero((centre >= highest) & (centre > LEAST_CENTRE))
    order = np.argsort(-centre[rows, columns], kind="stable")
    return rows[order], columns[order]


def _distinct(rows: Ints, columns: Ints, sizes: Floats) -> Ints:
    """Return the indices of peaks that are not the same symbol as a higher one (non-maximum suppression).

    Peaks are sorted into tiles by their position, so that each is compared with few others.
    """
    tile = max(2.0, float(np.median(sizes)))
    half = np.maximum(sizes, 0.5 * sizes.max(axis=0)) / 2
    boxes = np.stack([columns - half[0], rows - half[1], columns + half[0], rows + half[1]], axis=1)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    tiles: dict[tuple[int, int], list[int]] = {}
    kept = []
    for number in range(len(rows)):
        place = int(rows[number] // tile), int(columns[number] // tile)
        rivals = [
            other
            for down in (-1, 0, 1)
            for across in (-1, 0, 1)
            for other in tiles.get((place[0] + down, place[1] + across), ())
        ]
        if rivals:
            low = np.maximum(boxes[number, :2], boxes[rivals, :2])
            high = np.minimum(boxes[number, 2:], boxes[rivals, 2:])
            shared = np.prod(np.maximum(high - low, 0), axis=1)
            if (shared > MOST_OVERLAP * (areas[number] + areas[rivals] - shared)).any():
                continue

        tiles.setdefault(place, []).append(number)
        kept.append(number)

    return np.array(kept, np.int64)


def _owners(maps: Maps, rows: Ints, columns: Ints, sizes: Floats) -> Ints:
    """Return for every cell the symbol that it is ink of, or -1: (H/2, W/2).

    Around each peak lies an ellipse of its size; a cell belongs to the peak in whose ellipse its
    vote falls, and where ellipses overlap to the nearest in terms of their sizes.
    """
    height, width = maps.ink.shape
    nearest = np.full((height, width), -1, np.int64)
    distance = np.full((height, width), np.inf, np.float32)
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        across, down = np.maximum(sizes[:, number] / 2, 1.5)
        top, bottom = max(0, int(row - down)), min(height, int(row + down) + 1)
        left, right = max(0, int(column - across)), min(width, int(column + across) + 1)
        y = (np.arange(top, bottom, dtype=np.float32) - row) / down
        x = (np.arange(left, right, dtype=np.float32) - column) / across
        here = y[:, None] ** 2 + x[None] ** 2
        window = np.s_[top:bottom, left:right]
        nearer = (here < distance[window]) & (here <= 1)
        distance[window][nearer] = here[nearer]
        nearest[window][nearer] = number

    owner = np.full((height, width), -1, np.int64)
    y, x = np.nonzero(maps.ink > LEAST_INK)
    to_x = np.clip(np.rint(x + maps.offset[0, y, x]), 0, width - 1).astype(np.int64)
    to_y = np.clip(np.rint(y + maps.offset[1, y, x]), 0, height - 1).astype(np.int64)
    owner[y, x] = nearest[to_y, to_x]
    return owner


def _gather(maps: Maps, owner: Ints, rows: Ints, columns: Ints) -> list[Symbol]:
    """Return the symbols that have any ink, with it."""
    y, x = np.nonzero(owner >= 0)
    order = np.argsort(owner[y, x], kind="stable")
    y, x = y[order], x[order]
    bounds = np.searchsorted(owner[y, x], np.arange(len(rows) + 1))

    symbols = []
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        own = slice(bounds[number], bounds[number + 1])
        if own.start == own.stop:
            continue

        box = FINE * np.array([x[own].min(), y[own].min(), x[own].max() + 1, y[own].max() + 1])
        symbols.append(
            Symbol(
                score=float(maps.centre[row, column]),
                box=tuple(map(float, box)),  # type: ignore[arg-type]
                rows=y[own],
                columns=x[own],
                kind=maps.kind[:, row * FINE // MIDDLE, column * FINE // MIDDLE],
            )
        )

    return symbols
