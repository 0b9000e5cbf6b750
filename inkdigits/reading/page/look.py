"""The second look: each symbol with its surroundings, as the classifier takes it.

Three planes of SIDE x SIDE: the greys on the axis from local paper to local ink, which knows neither
polarity nor colours; the symbol's own ink; and the ink of other symbols.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.reading.page.decoding import Symbol
from inkdigits.reading.page.finding import Piece
from inkdigits.reading.page.maps import COARSE, FINE, Floats

SIDE = 32  # pixels of a look, and its planes
AROUND = 1.6  # sizes of the symbol that a look shows
LOWEST = 0.7  # of the writing's height: the smallest size that counts, so that dots stay small
PAPER = 0.2  # probability of ink up to which a pixel tells the colour of the paper

Looks = NDArray[np.uint8]


def window(symbol: Symbol, height: float) -> tuple[float, float, float]:
    """Return the centre and side of what a look shows, in pixels of the piece."""
    left, top, right, bottom = symbol.box
    size = max(right - left, bottom - top, LOWEST * height)
    return (left + right) / 2, (top + bottom) / 2, AROUND * size


def looks(piece: Piece, symbols: Sequence[Symbol]) -> Looks:
    """Return a look at each symbol of a piece: (K, 3, 32, 32) uint8."""
    if not symbols:
        return np.zeros((0, 3, SIDE, SIDE), np.uint8)

    maps = piece.maps
    reach = int(max(piece.picture.shape[:2]) * AROUND) // 2 + 2
    windows = []
    for symbol in symbols:
        centre_x, centre_y, side = window(symbol, _height_at(piece, symbol))
        windows.append((centre_x, centre_y, min(side, 2.0 * reach - 4)))
    reach = int(max(side for _, _, side in windows) / 2) + 2
    reach += -reach % FINE

    padded = np.pad(piece.picture, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    colours = Image.fromarray(padded)
    cells = reach // FINE
    ink = np.pad(maps.ink, cells)
    all_ink = Image.fromarray(ink)

    colour = np.empty((len(symbols), SIDE, SIDE, 3), np.float32)
    every = np.empty((len(symbols), SIDE, SIDE), np.float32)
    own = np.empty((len(symbols), SIDE, SIDE), np.float32)
    only = np.zeros_like(ink)
    for number, (symbol, (x, y, side)) in enumerate(zip(symbols, windows, strict=True)):
        box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2]) + reach
        colour[number] = _sampled(colours, box)
        every[number] = _sampled(all_ink, box / FINE)

        place = symbol.rows + cells, symbol.columns + cells
        only[place] = ink[place]
        low = np.maximum(np.floor(box[:2] / FINE).astype(int) - 1, 0)
        high = np.ceil(box[2:] / FINE).astype(int) + 1
        part = Image.fromarray(only[low[1] : high[1], low[0] : high[0]])
        own[number] = _sampled(part, box / FINE - np.array([*low, *low]))
        only[place] = 0

    grey = _greys(colour, every, own)
    others = np.clip(every - own, 0, 1)
    planes = np.stack([grey, own, others], axis=1)
    return np.rint(planes * 255).astype(np.uint8)


def _height_at(piece: Piece, symbol: Symbol) -> float:
    """Return how tall the writing is around a symbol, in pixels of the piece."""
    left, top, right, bottom = symbol.box
    rows, columns = piece.maps.height.shape
    row = min(rows - 1, int((top + bottom) / 2 / COARSE))
    column = min(columns - 1, int((left + right) / 2 / COARSE))
    return float(piece.maps.height[row, column])


def _sampled(image: Image.Image, box: NDArray[np.float64]) -> Floats:
    """Return a part of an image as SIDE x SIDE values, area-averaged."""
    width, height = image.size
    left, top = np.maximum(box[:2], 0)
    right, bottom = np.minimum(box[2:], (width, height))
    return np.asarray(
        image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=(left, top, right, bottom)),
        np.float32,
    )


def _greys(colour: Floats, every: Floats, own: Floats) -> Floats:
    """Project colours on the axis from local paper, 0, to the symbol's ink, 1.

    Args:
        colour: (K, S, S, 3) RGB 0 to 255.
        every: (K, S, S) the probability of any ink.
        own: (K, S, S) that of the symbol's own.
    """
    is_paper = every < PAPER
    few = is_paper.sum(axis=(1, 2)) < 8
    half = np.median(every.reshape(len(every), -1), axis=1)
    is_paper |= few[:, None, None] & (every <= half[:, None, None])
    paper = np.nanmedian(
        np.where(is_paper[..., None], colour, np.nan).reshape(len(colour), -1, 3), axis=1
    )

    weight = own**2 + 1e-6
    ink = (colour * weight[..., None]).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))[:, None]
    axis = ink - paper
    length = np.maximum((axis**2).sum(axis=1), 25.0)
    grey = ((colour - paper[:, None, None]) * axis[:, None, None]).sum(axis=-1)
    # Pixels darker than the mean of the ink's soft edges tell more than half of it: 0.8 is solid.
    return np.clip(0.8 * grey / length[:, None, None], 0, 1).astype(np.float32)
