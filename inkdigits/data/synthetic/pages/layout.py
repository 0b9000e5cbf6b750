"""Where symbols go on a sheet: rows of marks come in, one layer of ink goes out, with its truth.

Here are rows, gaps, digits that touch and symbols that are struck out. The truth is what a reader
should find, and where.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.data.splits import Split
from inkdigits.data.synthetic.glyphs import DIGIT_GLYPHS, DOODLES, LETTERS, parse
from inkdigits.data.synthetic.pages import writing
from inkdigits.data.synthetic.pages.paper import BoundingBox, Layer, Points
from inkdigits.data.synthetic.pages.scene import Scene
from inkdigits.data.synthetic.pages.writing import Hand, Pen


@dataclass(frozen=True)
class Mark:
    """One symbol to write.

    Attributes:
        name: a digit, or the name of a letter or doodle.
        touching: it touches the symbol before it.
        struck: it is struck out afterwards.
    """

    name: str
    touching: bool = False
    struck: bool = False

    @property
    def counts(self) -> bool:
        """Tell whether a reader should find it."""
        return self.name.isdigit() and not self.struck


@dataclass
class Layout:
    """Ink on a sheet, and what it is. Lengths are pixels.

    Attributes:
        ink: float32 (H, W), bare 0 to covered 1.
        digits: points (K, 2) around the ink of each digit.
        rows: the digits in each row.
        cells: a bounding box for each symbol, of one height in a row.
        lines: a bounding box for each row, down to its baseline.
    """

    ink: Layer
    digits: list[Points] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    cells: list[BoundingBox] = field(default_factory=list)
    lines: list[BoundingBox] = field(default_factory=list)


def lay_out(
    rows: Sequence[Sequence[Mark]],
    scene: Scene,
    hand: Hand,
    digits: Split | None,
    rng: Generator,
) -> Layout:
    """Write rows of symbols, one below the other, onto as much sheet as they need.

    Args:
        rows: what to write.
        scene: the pen, the size of the writing and the distances.
        hand: who writes.
        digits: images to write with, where the hand does.
        rng: draws everything that varies.
    """
    height = scene.height
    inks = [[_symbol(mark, height, scene.pen, hand, digits, rng) for mark in row] for row in rows]
    left, top, right, bottom = (round(margin * height) for margin in scene.margins)
    places = [
        _places(row, shapes, left, scene, hand, rng) for row, shapes in zip(rows, inks, strict=True)
    ]
    ends = [xs[-1] + shapes[-1].shape[1] for xs, shapes in zip(places, inks, strict=True)]
    widest = max(ends, default=left + 2 * height)

    pitch = scene.pitch * height
    fall = scene.slope * (widest - left)
    baseline = top + height * 1.15 + max(0.0, -fall)
    last = baseline + pitch * max(0, len(rows) - 1)
    tall = round(last + 0.15 * height + max(0.0, fall) + bottom)
    layout = Layout(np.zeros((tall, widest + right), np.float32))

    for number, (row, shapes, xs) in enumerate(zip(rows, inks, places, strict=True)):
        _write_row(layout, row, shapes, xs, baseline + number * pitch, scene, hand, rng)

    return layout


def _symbol(
    mark: Mark, height: int, pen: Pen, hand: Hand, digits: Split | None, rng: Generator
) -> Layer:
    """Return one symbol's ink, not yet struck out."""
    tall = max(8.0, height * float(np.clip(rng.normal(1, hand.unevenness), 0.8, 1.2)))
    if mark.name == "scribble":
        return writing.draw(writing.scribble(rng), tall, pen, rng)

    is_digit = mark.name.isdigit()
    if is_digit and digits is not None and rng.random() < hand.mnist:
        image = digits.images[rng.choice(np.flatnonzero(digits.labels == int(mark.name)))]
        return writing.from_mnist(image, tall, pen, rng)

    if is_digit:
        shape = DIGIT_GLYPHS[int(mark.name)][hand.styles[int(mark.name)]]
    else:
        shape = {**LETTERS, **DOODLES}[mark.name]

    glyph = writing.varied(parse(shape), hand, rng)
    return writing.draw(glyph, max(8.0, tall - pen.width * height), pen, rng)


def _places(
    row: Sequence[Mark], inks: Sequence[Layer], left: int, scene: Scene, hand: Hand, rng: Generator
) -> list[int]:
    """Return the left edge of each symbol, the first at `left` unless they are in cells."""
    height = scene.height
    if scene.print in ("boxed", "combed"):
        cell = 0.35 * height + max(max(ink.shape[1] for ink in inks), 0.7 * height)
        return [
            left
            + round(cell * (place + 0.5 + rng.normal(0, hand.unevenness / 2)) - ink.shape[1] / 2)
            for place, ink in enumerate(inks)
        ]

    xs = [left]
    marks = pairwise(zip(row, inks, strict=True))
    for (mark, ink), (next_mark, next_ink) in marks:
        gap = scene.gap * height * max(0.4, rng.normal(1, 0.25))
        if mark.struck or next_mark.struck:
            gap += 0.4 * height

        step = ink.shape[1] + round(gap)
        if next_mark.touching:
            step = _until_touching(ink, next_ink)

        xs.append(xs[-1] + step)

    return xs


def _until_touching(before: Layer, here: Layer) -> int:
    """Return how far right of `before` one can put `here` so that their ink just overlaps.

    Both are on one baseline.
    """
    height = min(before.shape[0], here.shape[0])
    left = before[-height:] > writing.SOLID_INK / 2
    right = here[-height:] > writing.SOLID_INK / 2
    both = left.any(axis=1) & right.any(axis=1)
    if not both.any():
        return before.shape[1] // 2

    ends = left.shape[1] - left[:, ::-1].argmax(axis=1)
    starts = right.argmax(axis=1)
    contact = (ends - starts)[both].max() - max(2, height // 40)

    return int(max(contact, before.shape[1] // 3))


def _write_row(
    layout: Layout,
    row: Sequence[Mark],
    inks: Sequence[Layer],
    xs: Sequence[int],
    baseline: float,
    scene: Scene,
    hand: Hand,
    rng: Generator,
) -> None:
    """Write one more row onto the sheet."""
    said = ""
    for mark, ink, x in zip(row, inks, xs, strict=True):
        height, width = ink.shape
        uneven = rng.normal(0, hand.unevenness / 2) * scene.height
        foot = baseline + scene.slope * (x - xs[0]) + uneven
        y = int(np.clip(foot - height, 0, layout.ink.shape[0] - height))
        _add_ink(layout.ink, ink, x, y)

        if mark.struck:
            strokes = writing.draw(writing.crossing(width / height, rng), height, scene.pen, rng)
            tall, wide = strokes.shape
            _add_ink(layout.ink, strokes, x + (width - wide) // 2, y + (height - tall) // 2)

        if mark.counts:
            layout.digits.append(_outline(ink) + np.array([x, y]))
            said += mark.name

    line = (float(xs[0]), baseline - scene.height, float(xs[-1] + inks[-1].shape[1]), baseline)
    layout.rows.append(said)
    layout.cells += _cells(inks, xs, line, 0.2 * scene.height)
    layout.lines.append(line)


def _add_ink(layer: Layer, ink: Layer, x: int, y: int) -> None:
    """Add ink to a layer at (x, y), as far as it is inside."""
    left = max(0, x)
    top = max(0, y)
    place = layer[top : max(0, y + ink.shape[0]), left : max(0, x + ink.shape[1])]
    inside = ink[top - y :, left - x :][: place.shape[0], : place.shape[1]]
    np.maximum(place, inside, out=place)


def _outline(ink: Layer) -> Points:
    """Return the corners of the convex hull of the ink, (K, 2)."""
    pixels = np.argwhere(ink > ink.max() * writing.SOLID_INK)[:, None, ::-1]
    corners = pixels + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return cv2.convexHull(corners.reshape(-1, 2).astype(np.int32))[:, 0].astype(np.float64)


def _cells(
    inks: Sequence[Layer], xs: Sequence[int], line: BoundingBox, room: float
) -> list[BoundingBox]:
    """Return a cell around each symbol: its borders are halfway to the neighbours."""
    ends = [x + ink.shape[1] for x, ink in zip(xs, inks, strict=True)]
    middles = [(end + after) / 2 for end, after in zip(ends[:-1], xs[1:], strict=True)]
    borders = [xs[0] - room, *middles, ends[-1] + room]
    return [(left, line[1] - room, right, line[3] + room) for left, right in pairwise(borders)]
