"""A find: one symbol in a picture, where it is, what it may be, and its own ink."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inkdigits.core.digits import CLASSES, SIDE, Pixels
from inkdigits.reading.page.decoding import Symbol
from inkdigits.reading.page.look import SIDE as LOOK_SIDE
from inkdigits.reading.page.look import looks, near_views
from inkdigits.reading.page.maps import Floats
from inkdigits.reading.page.survey import Piece

# Left, top, right, bottom in pixels; right and bottom are one past the last pixel.
Box = tuple[int, int, int, int]

SIGNS = ".,-/:"
SLASH = CLASSES + SIGNS.index("/")
OTHER = CLASSES + len(SIGNS)  # the last kind: anything that is no digit and no sign
KINDS = OTHER + 1
MARGIN = (LOOK_SIDE - SIDE) // 2  # a look shows a digit 20 pixels tall, as MNIST's images do


@dataclass(frozen=True, eq=False)
class Find:
    """One symbol found in a picture.

    Attributes:
        box: left, top, right, bottom in pixels of the picture.
        chances: (16,) float32, the probability of ten digits, `. , - / :` and anything else.
        piece: the part of the picture in which it was found.
        symbol: as it was found there.
        taken: the near view of it, (3, 32, 32) uint8, if that was taken already.
        line: the number of its line of writing.
    """

    box: Box
    chances: Floats
    piece: Piece
    symbol: Symbol
    taken: Pixels | None = None
    line: int = 0

    @cached_property
    def look(self) -> Pixels:
        """The symbol and its surroundings, (6, 32, 32) uint8, as the second network sees them."""
        return looks(self.piece, [self.symbol])[0]

    @cached_property
    def digit_chance(self) -> float:
        """The probability that it is a digit, whichever."""
        return float(self.chances[:CLASSES].sum())

    @property
    def is_digit(self) -> bool:
        """Whether its likeliest digit is likelier than that it is none."""
        return float(self.chances[:CLASSES].max()) > 1 - self.digit_chance

    @property
    def is_sign(self) -> bool:
        """Whether it is one of the five signs rather than a digit or anything else."""
        return CLASSES <= int(self.chances.argmax()) < OTHER

    @property
    def strokes(self) -> Pixels:
        """Its own ink alone, (32, 32) uint8, paper 0 to ink 255."""
        near = near_views(self.piece, [self.symbol])[0] if self.taken is None else self.taken
        grey, own = near[:2].astype(np.uint16)
        return (grey * np.minimum(2 * own, 255) // 255).astype(np.uint8)

    @property
    def image(self) -> Pixels:
        """Its own ink alone, of MNIST's size: (28, 28) uint8."""
        inner = slice(MARGIN, MARGIN + SIDE)
        return self.strokes[inner, inner]
