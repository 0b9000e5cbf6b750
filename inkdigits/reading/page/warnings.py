"""What may have gone wrong with a picture, told by its ink: sentences for the user."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inkdigits.core.digits import CLASSES
from inkdigits.reading.page.decoding import Symbol
from inkdigits.reading.page.find import SIGNS, Find
from inkdigits.reading.page.look import PAPER
from inkdigits.reading.page.maps import FINE
from inkdigits.reading.preprocessing.picture import Picture

LIGHT_INK = "light ink on dark paper"
SMALL = 20  # pixels of the longer side: the size of MNIST's digits
VERY_FAINT = 0.15  # contrast of ink, of black on white. Set by hand, not yet measured
BESIDE = 0.2  # sizes of a symbol around it that show its paper: a straight 1 fills its whole box
RED_GREEN_BLUE = np.array([0.299, 0.587, 0.114], np.float32)  # in brightness, ITU-R BT.601


class Brightness(NamedTuple):
    """How bright ink and the paper around it are, 0 to 255."""

    ink: float
    paper: float


def warnings_for(picture: Picture, finds: Sequence[Find]) -> tuple[str, ...]:
    """Return what a user should know before they trust a reading.

    Args:
        picture: upright.
        finds: what may be digits.
    """
    digits = [find for find in finds if find.is_digit]
    if not digits:
        return ()

    warnings = []
    contrasts = [ink - paper for ink, paper in map(brightness, digits)]
    contrast = float(np.median(contrasts))
    if contrast > 0:
        warnings.append(LIGHT_INK)
    if abs(contrast) < VERY_FAINT * 255:
        warnings.append("very faint")

    height, width = picture.pixels.shape[:2]
    boxes = np.array([find.box for find in digits])
    beyond = [width, height]
    if (boxes[:, :2] <= 0).any() or (boxes[:, 2:] >= beyond).any():
        warnings.append("touches the border")

    sides = (boxes[:, 2:] - boxes[:, :2]) * picture.scale
    smallest = round(float(sides.max(axis=1).min()))
    if smallest < SMALL:
        warnings.append(f"upscaled from {smallest} px")

    return tuple(warnings)


def signs_warning(finds: Sequence[Find]) -> tuple[str, ...]:
    """Return a warning that names the signs between digits, without which a number is another one.

    Args:
        finds: of a page, in reading order.
    """
    signs: list[str] = []
    for before, find, after in zip(finds, finds[1:], finds[2:], strict=False):
        in_line = before.line == find.line == after.line
        if in_line and before.is_digit and find.is_sign and after.is_digit:
            signs.append(SIGNS[int(find.chances.argmax()) - CLASSES])

    kinds = dict.fromkeys(signs)  # each once, in order
    return (f"signs left out: {' '.join(kinds)}",) if kinds else ()


def brightness(find: Find) -> Brightness:
    """Return how bright a symbol's ink and its paper are."""
    piece = find.piece
    symbol = find.symbol
    colours = piece.picture[::FINE, ::FINE]
    around = _around(symbol)

    is_paper = piece.maps.ink[around] < PAPER
    ink = (colours[symbol.rows, symbol.columns] @ RED_GREEN_BLUE).mean()
    paper = colours[around] @ RED_GREEN_BLUE
    own_paper = paper[is_paper].mean() if is_paper.any() else 255 - ink
    return Brightness(float(ink), float(own_paper))


def _around(symbol: Symbol) -> tuple[slice, slice]:
    """Return the rows and columns of cells of a symbol's box and of some paper around it."""
    left, top, right, bottom = (int(side) // FINE for side in symbol.box)
    margin = round(BESIDE * max(right - left, bottom - top)) + 1
    rows = slice(max(0, top - margin), bottom + margin)
    columns = slice(max(0, left - margin), right + margin)
    return rows, columns
