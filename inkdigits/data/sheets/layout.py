"""Where everything is on a sheet of boxes.

Lengths are millimetres of an A4 page, x to the right and y down from its upper left corner. A page
that is printed larger or smaller does no harm: only the proportions count.
"""

from typing import NamedTuple

from inkdigits.core.digits import DIGITS

PAGE = (210.0, 297.0)

# A marker is a square in a ring, as in the corners of a QR code: along every line through its
# middle, dark, light and dark take turns as 1:1:3:1:1, from whatever side it is seen.
MODULE = 1.8  # printers are sure of as much, and a photo of 900 pixels gives it 5
MARKER = 7 * MODULE
MARKERS = ((16.0, 16.0), (194.0, 16.0), (194.0, 281.0), (16.0, 281.0))  # middles, clockwise

PLACES = 10  # boxes for each digit
FIRST_BOX = (32.0, 52.0)
BOX = (14.0, 18.0)  # room for a child's digits
STEP = (16.4, 22.0)  # from one box to the next

WRITER_BOXES = 3  # for a writer's number
FIRST_WRITER_BOX = (139.0, 27.0)
WRITER_BOX = (12.0, 16.0)
WRITER_STEP = 14.4

LINE = 0.3  # width of the printed frames


class Rectangle(NamedTuple):
    """A part of the page, in millimetres."""

    left: float
    top: float
    right: float
    bottom: float


# The sheet is upright where this square is dark, right of the first marker.
UPRIGHT = Rectangle(26.0, 13.0, 32.0, 19.0)


def digit_box(digit: int, place: int) -> Rectangle:
    """Return the frame of a box.

    Args:
        digit: of the row, 0 to 9.
        place: in the row, from 0.
    """
    left = FIRST_BOX[0] + place * STEP[0]
    top = FIRST_BOX[1] + digit * STEP[1]
    return Rectangle(left, top, left + BOX[0], top + BOX[1])


def writer_box(place: int) -> Rectangle:
    """Return the frame of a box for the writer's number, counted from 0."""
    left, top = FIRST_WRITER_BOX
    left += place * WRITER_STEP
    return Rectangle(left, top, left + WRITER_BOX[0], top + WRITER_BOX[1])


def all_boxes() -> list[Rectangle]:
    """Return all frames: row by row those of the digits, then those of the writer's number."""
    digits = [digit_box(digit, place) for digit in range(len(DIGITS)) for place in range(PLACES)]
    return digits + [writer_box(place) for place in range(WRITER_BOXES)]
