"""The boxes of a sheet: a photo comes in, the boxes with ink in them go out, without their frames.

Paper bends, so that each frame is looked for near its place before its inside is cut out. A stroke
may be taken for a part of a frame; the frames around it then outvote it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inkdigits.core.digits import DIGITS, Pixels, Plane
from inkdigits.data.sheets.layout import (
    LINE,
    PLACES,
    WRITER_BOXES,
    Rectangle,
    digit_box,
    writer_box,
)
from inkdigits.data.sheets.rectifying import SCALE, Points, locate, moved, straightened
from inkdigits.reading.preprocessing.picture import Source, open_picture

# Set by hand on sheets of other seeds than those that benchmarks.reading.collected measures.
FARTHEST = 2.0  # millimetres that a frame may be from its place; the next one is 2.4 away
INSIDE = 0.6  # millimetres from the middle of a frame's line to what is cut out
PAPER_REACH = 4  # times smaller, to see the paper between strokes
PAPER_WINDOW = 9  # pixels of that: 6 mm, wider than any stroke
FAINTEST = 0.2  # of the paper's light that ink takes; a shadow's edge and noise take less
LEAST_INK = 1.0  # square millimetres; a 1 in pencil has about 3

Shade = NDArray[np.float32]  # (H, W): share of the paper's light that is missing, 0 to 1


@dataclass(frozen=True)
class Cell:
    """A box with something written in it.

    Attributes:
        digit: of its row, 0 to 9.
        place: in the row, from 0.
        picture: (H, W, 3) or (H, W) uint8, what is inside the frame.
        corners: of the picture, (4, 2) in pixels of the upright photo, clockwise.
    """

    digit: int
    place: int
    picture: Pixels
    corners: Points


@dataclass(frozen=True)
class FilledSheet:
    """What is written on a sheet.

    Attributes:
        cells: the boxes that are not empty, row by row.
        number: the pictures of the boxes for the writer's number that are not empty.
    """

    cells: tuple[Cell, ...]
    number: tuple[Pixels, ...]

    @property
    def empty(self) -> int:
        """How many boxes for digits are empty."""
        return len(DIGITS) * PLACES - len(self.cells)


def cut_sheet(source: Source, name: str = "the picture") -> FilledSheet:
    """Cut the boxes out of a photo or scan of one sheet.

    Args:
        source: a path, the bytes of a file, an image or an array, of any orientation.
        name: what errors call it.

    Raises:
        BadPicture: it cannot be read, or does not show one whole sheet.
    """
    picture = open_picture(source)
    grey = np.asarray(Image.fromarray(picture.pixels).convert("L"))
    matrix = locate(grey, name)
    sheet = straightened(picture.pixels, matrix)
    shade = _shade(np.asarray(Image.fromarray(sheet).convert("L")))

    cells = []
    for digit, row in enumerate(_digit_insides(shade)):
        for place, inside in enumerate(row):
            if _has_ink(shade, inside):
                corners = moved(_corners(inside), matrix) * picture.scale
                cells.append(Cell(digit, place, _cut(sheet, inside), corners))

    boxes = [writer_box(place) for place in range(WRITER_BOXES)]
    insides = [_inside(box, *_shifts(shade, box)) for box in boxes]
    number = tuple(_cut(sheet, inside) for inside in insides if _has_ink(shade, inside))
    return FilledSheet(tuple(cells), number)


def _shade(grey: Plane) -> Shade:
    """Return the share of the paper's light that each pixel lacks.

    The paper is as light as the lightest of what is near, which takes shadows out.
    """
    image = Image.fromarray(grey)
    small = image.reduce(PAPER_REACH).filter(ImageFilter.MaxFilter(PAPER_WINDOW))
    smooth = small.filter(ImageFilter.BoxBlur(PAPER_WINDOW // 2))
    paper = np.asarray(smooth.resize(image.size, Image.Resampling.BILINEAR), np.float32)
    return np.clip(1 - grey / np.maximum(paper, 1), 0, 1).astype(np.float32)


def _digit_insides(shade: Shade) -> list[list[Rectangle]]:
    """Return the inside of each box for digits, row by row."""
    boxes = [[digit_box(digit, place) for place in range(PLACES)] for digit in range(len(DIGITS))]
    shifts = np.array([[_shifts(shade, box) for box in row] for row in boxes])
    agreed = _median_of_neighbours(shifts)
    return [
        [_inside(box, *shift) for box, shift in zip(row, its_shifts, strict=True)]
        for row, its_shifts in zip(boxes, agreed.tolist(), strict=True)
    ]


def _median_of_neighbours(shifts: Points) -> Points:
    """Return for each box (H, W, 2) the median shift of itself and the eight around it."""
    padded = np.pad(shifts, ((1, 1), (1, 1), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    medians: Points = np.median(windows, axis=(3, 4))
    return medians


def _inside(box: Rectangle, across: float, down: float) -> Rectangle:
    """Return the inside of a frame that is off its place, without the frame's line."""
    return Rectangle(
        box.left + across + INSIDE,
        box.top + down + INSIDE,
        box.right + across - INSIDE,
        box.bottom + down - INSIDE,
    )


def _shifts(shade: Shade, box: Rectangle) -> tuple[float, float]:
    """Return how far right and down of its place a frame is, in millimetres."""
    turned = Rectangle(box.top, box.left, box.bottom, box.right)
    return _shift(shade.T, turned), _shift(shade, box)


def _shift(shade: Shade, box: Rectangle) -> float:
    """Return how far down the upper and lower lines of a frame are from their places.

    Both lines have to be dark at once, because a stroke can be taken for one of them, but hardly
    for both.
    """
    reach = round(FARTHEST * SCALE)
    columns = slice(round((box.left + FARTHEST) * SCALE), round((box.right - FARTHEST) * SCALE))
    profile = shade[:, columns].mean(axis=1)
    width = max(1, round(LINE * SCALE))
    lines = np.convolve(profile, np.full(width, 1 / width), "same")

    shifts = np.arange(-reach, reach + 1)
    upper = lines[round(box.top * SCALE) + shifts]
    lower = lines[round(box.bottom * SCALE) + shifts]
    return float(shifts[np.minimum(upper, lower).argmax()] / SCALE)


def _pixels(box: Rectangle) -> tuple[slice, slice]:
    """Return the rows and columns of a part of the sheet."""
    left, top, right, bottom = (round(edge * SCALE) for edge in box)
    return slice(top, bottom), slice(left, right)


def _has_ink(shade: Shade, inside: Rectangle) -> bool:
    """Tell whether there is more ink in a box than dust."""
    ink = shade[_pixels(inside)] > FAINTEST
    return bool(ink.sum() >= LEAST_INK * SCALE**2)


def _cut(sheet: Pixels, inside: Rectangle) -> Pixels:
    return np.ascontiguousarray(sheet[_pixels(inside)])


def _corners(box: Rectangle) -> Points:
    """Return the corners of a part of the sheet, clockwise, (4, 2) in millimetres."""
    left, top, right, bottom = box
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
