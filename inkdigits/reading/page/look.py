"""The second look: each symbol with its surroundings, as the classifier takes it.

Three planes of SIDE x SIDE: the greys on the axis from local paper to local ink, so that neither
polarity nor colours matter; the symbol's own ink; and the ink of other symbols. And the same three
once more from further away, which show what the symbol stands among.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.reading.page.decoding import Symbol
from inkdigits.reading.page.maps import COARSE, FINE, Floats, Pixels
from inkdigits.reading.page.survey import Piece

# Set by hand, not yet measured; the second network is trained with them.
SIDE = 32  # pixels of a look, and its planes
PLANES = 3  # of each view
AROUND = 1.6  # sizes of the symbol that the near view shows
FAR = 4.0  # and the far one
LOWEST = 0.7  # of the writing's height: the smallest size that counts, so that dots stay small
PAPER = 0.2  # probability of ink up to which a pixel tells the colour of the paper
LEAST_PAPER = 8  # pixels of paper; where there are fewer, the half with the least ink counts
SOLID = 0.8  # grey of the ink's mean colour; its soft edges make that paler than its middle
LEAST_CONTRAST = 25.0  # squared distance of ink from paper, of 255: less is not stretched

Box = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Looks = NDArray[np.uint8]


class Window(NamedTuple):
    """What a look shows of a piece: its centre and side in pixels of the piece."""

    x: float
    y: float
    side: float

    def box(self) -> Box:
        """Return left, top, right, bottom (4,) float64."""
        half = self.side / 2
        sides = [
            self.x - half,
            self.y - half,
            self.x + half,
            self.y + half,
        ]
        return np.array(sides)


def window(symbol: Symbol, height: float, around: float = AROUND) -> Window:
    """Return what a view of a symbol shows.

    Args:
        symbol: found in a piece.
        height: of the writing around it, pixels of the piece.
        around: sizes of the symbol that it shows.
    """
    left, top, right, bottom = symbol.box
    size = max(
        right - left,
        bottom - top,
        LOWEST * height,
    )
    return Window((left + right) / 2, (top + bottom) / 2, around * size)


def looks(piece: Piece, symbols: Sequence[Symbol]) -> Looks:
    """Take a look at each symbol of a piece.

    Args:
        piece: a part of a picture with its maps.
        symbols: found in these maps.

    Returns:
        (K, 6, 32, 32) uint8: greys, own ink, ink of others, from near and from far.
    """
    views = [_views(piece, symbols, around) for around in (AROUND, FAR)]
    return np.concatenate(views, axis=1)


def near_views(piece: Piece, symbols: Sequence[Symbol]) -> Looks:
    """Return the first three planes of the looks at symbols, (K, 3, 32, 32), in half the time."""
    return _views(piece, symbols, AROUND)


def _views(piece: Piece, symbols: Sequence[Symbol], around: float) -> Looks:
    """Return what is around symbols, `around` sizes wide: (K, 3, 32, 32)."""
    if not symbols:
        return np.zeros((0, PLANES, SIDE, SIDE), np.uint8)

    windows = _windows(piece, symbols, around)
    cells = _cells_around(windows)
    ink = _padded(piece.maps.ink, cells)
    all_ink = Image.fromarray(ink)
    only = np.zeros_like(ink)  # the ink of one symbol after the other
    colours = Image.fromarray(_continued(piece.picture, cells * FINE))

    shape = (len(symbols), SIDE, SIDE)
    colour = np.empty((*shape, 3), np.float32)
    every = np.empty(shape, np.float32)
    own = np.empty(shape, np.float32)

    left, top = cells[:2].tolist()
    for number, symbol in enumerate(symbols):
        box = windows[number].box() - np.tile(cells[:2] * FINE, 2)
        colour[number] = _sampled(colours, box)
        every[number] = _sampled(all_ink, box / FINE)

        place = (symbol.rows - top, symbol.columns - left)
        only[place] = ink[place]
        own[number] = _sampled_part(only, box / FINE)
        only[place] = 0

    grey = _greys(colour, every, own)
    others = np.clip(every - own, 0, 1)
    planes = np.stack([grey, own, others], axis=1)
    return np.rint(planes * 255).astype(np.uint8)


def _windows(piece: Piece, symbols: Sequence[Symbol], around: float) -> list[Window]:
    """Return what each view shows, `around` times the piece at the most."""
    longest = max(piece.picture.shape[:2])
    widest = 2.0 * (int(longest * around) // 2)

    windows = []
    for symbol in symbols:
        wanted = window(symbol, _height_at(piece, symbol), around)
        side = min(wanted.side, widest)
        windows.append(wanted._replace(side=side))

    return windows


def _cells_around(windows: Sequence[Window]) -> Ints:
    """Return left, top, right, bottom (4,) of the fine cells that all windows are sampled from."""
    boxes = np.array([window.box() for window in windows]) / FINE
    beside = max(window.side for window in windows) / (FINE * SIDE) + 1  # a sampled pixel's reach
    low = np.floor(boxes[:, :2].min(axis=0) - beside)
    high = np.ceil(boxes[:, 2:].max(axis=0) + beside)
    return np.append(low, high).astype(int)


def _padded(cells: Floats, box: Ints) -> Floats:
    """Return the cells in a box (4,), zeros where it goes beyond them."""
    left, top, right, bottom = box.tolist()
    padded = np.zeros((bottom - top, right - left), cells.dtype)
    inside = cells[max(0, top) : bottom, max(0, left) : right]
    rows, columns = inside.shape
    padded[max(0, -top) : max(0, -top) + rows, max(0, -left) : max(0, -left) + columns] = inside
    return padded


def _continued(picture: Pixels, box: Ints) -> Pixels:
    """Return the part of a picture in a box (4,), with its edges drawn out beyond it."""
    left, top, right, bottom = box.tolist()
    height, width = picture.shape[:2]
    inside = picture[max(0, top) : bottom, max(0, left) : right]
    down = (max(0, -top), max(0, bottom - height))
    across = (max(0, -left), max(0, right - width))
    return np.pad(inside, (down, across, (0, 0)), mode="edge")


def _height_at(piece: Piece, symbol: Symbol) -> float:
    """Return how tall the writing is around a symbol, in pixels of the piece."""
    left, top, right, bottom = symbol.box
    x = (left + right) / 2
    y = (top + bottom) / 2

    rows, columns = piece.maps.height.shape
    row = min(rows - 1, int(y / COARSE))
    column = min(columns - 1, int(x / COARSE))
    return float(piece.maps.height[row, column])


def _sampled(image: Image.Image, box: Box) -> Floats:
    """Return a part of an image as SIDE x SIDE values, area-averaged; it is cut at the edges."""
    left, top = np.maximum(box[:2], 0)
    right, bottom = np.minimum(box[2:], image.size)
    part = image.resize(
        (SIDE, SIDE),
        Image.Resampling.BILINEAR,
        box=(left, top, right, bottom),
    )
    return np.asarray(part, np.float32)


def _sampled_part(values: Floats, box: Box) -> Floats:
    """Do as `_sampled`, without making an image of all the values around the box."""
    left, top = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)
    right, bottom = np.ceil(box[2:]).astype(int) + 1
    part = Image.fromarray(values[top:bottom, left:right])
    corner = np.array([left, top, left, top])
    return _sampled(part, box - corner)


def _greys(colour: Floats, every: Floats, own: Floats) -> Floats:
    """Project colours on the axis from local paper, 0, to the symbol's ink, 1.

    Args:
        colour: (K, S, S, 3) RGB 0 to 255.
        every: (K, S, S) the probability of any ink.
        own: (K, S, S) that of the symbol's own.

    Returns:
        (K, S, S) float32, 0 to 1.
    """
    paper = _paper_colours(colour, every)
    weight = own**2 + 1e-6
    weighted = colour * weight[..., None]
    ink = weighted.sum(axis=(1, 2)) / weight.sum(axis=(1, 2))[:, None]

    axis = ink - paper
    length = np.maximum((axis**2).sum(axis=1), LEAST_CONTRAST)
    from_paper = colour - paper[:, None, None]
    along = (from_paper * axis[:, None, None]).sum(axis=-1)
    grey = SOLID * along / length[:, None, None]
    return np.clip(grey, 0, 1).astype(np.float32)


def _paper_colours(colour: Floats, every: Floats) -> Floats:
    """Return the median colours (K, 3) of pixels without ink, or else of those with the least."""
    looks = len(colour)
    is_paper = every < PAPER
    has_little = is_paper.sum(axis=(1, 2)) < LEAST_PAPER
    middle = np.median(every.reshape(looks, -1), axis=1)
    is_paler_half = every <= middle[:, None, None]
    is_paper |= has_little[:, None, None] & is_paler_half

    return _medians(colour.reshape(looks, -1, 3), is_paper.reshape(looks, -1))


def _medians(colours: Floats, counted: Flags) -> Floats:
    """Return the medians (K, 3) of those of (K, N, 3) values that count, one at the least."""
    ordered = np.where(counted[..., None], colours, np.inf)
    ordered.sort(axis=1)
    count = counted.sum(axis=1)
    looks = np.arange(len(colours))
    return (ordered[looks, (count - 1) // 2] + ordered[looks, count // 2]) / 2
