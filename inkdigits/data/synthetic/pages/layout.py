"""Where symbols go on a sheet: rows of marks -> one layer of ink, with what a reader should find in
it and where.

Knows rows, gaps, digits that touch and symbols that are struck out; knows nothing of colours, light
and cameras.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.data.datasets import Split
from inkdigits.data.synthetic.pages import writing
from inkdigits.data.synthetic.pages.paper import Box, Layer
from inkdigits.data.synthetic.pages.scene import Scene
from inkdigits.data.synthetic.pages.writing import Hand, Ink, Pen


@dataclass(frozen=True)
class Mark:
    """One symbol to write. name: a digit, or a letter's or doodle's. touching: the symbol before
    it. struck: out, afterwards.
    """

    name: str
    touching: bool = False
    struck: bool = False

    @property
    def counts(self) -> bool:
        """Whether a reader should find it."""
        return self.name.isdigit() and not self.struck


@dataclass(frozen=True)
class Layout:
    """Ink on a sheet, in pixels. ink: (H, W). digits: per digit points (K, 2) around its ink; rows:
    how many are in each.

    cells: a box per symbol, of one height in a row. lines: a box per row, down to its baseline.
    """

    ink: Layer
    digits: tuple[NDArray[np.float64], ...]
    rows: tuple[str, ...]
    cells: tuple[Box, ...]
    lines: tuple[Box, ...]


def lay_out(
    rows: Sequence[Sequence[Mark]],
    scene: Scene,
    hand: Hand,
    digits: Split | None,
    rng: np.random.Generator,
) -> Layout:
    """Write rows of symbols, one below the other, onto as much sheet as they need."""
    height = scene.height
    written = [[_write(mark, height, scene.pen, hand, digits, rng) for mark in row] for row in rows]
    left, top, right, bottom = (round(margin * height) for margin in scene.margins)
    places = [_places(row, inks, scene, hand, rng) for row, inks in zip(rows, written, strict=True)]
    widest = max(
        (xs[-1] + inks[-1].shape[1] for xs, inks in zip(places, written, strict=True)),
        default=2 * height,
    )
    pitch = scene.pitch * height

    fall = scene.slope * widest
    baseline = top + height * 1.15 + max(0.0, -fall)
    size = (
        left + widest + right,
        round(baseline + pitch * max(0, len(rows) - 1) + 0.15 * height + max(0.0, fall) + bottom),
    )
    sheet = Layout(np.zeros((size[1], size[0]), np.float32), (), (), (), ())

    for number, (row, inks, xs) in enumerate(zip(rows, written, places, strict=True)):
        sheet = _written(
            sheet, row, inks, [left + x for x in xs], baseline + number * pitch, scene, hand, rng
        )

    return sheet


def _write(
    mark: Mark, height: int, pen: Pen, hand: Hand, digits: Split | None, rng: np.random.Generator
) -> Ink:
    """One symbol's ink, not yet struck out."""
    tall = max(8.0, height * float(np.clip(rng.normal(1, hand.unevenness), 0.8, 1.2)))
    if mark.name == "scribble":
        return writing.draw(writing.scribble(rng), tall, pen, rng)

    if mark.name.isdigit() and digits is not None and rng.random() < hand.mnist:
        image = digits.images[rng.choice(np.flatnonzero(digits.labels == int(mark.name)))]
        return writing.from_mnist(image, tall, pen, rng)

    if mark.name.isdigit():
        shape = writing.DIGITS[int(mark.name)][hand.styles[int(mark.name)]]
    else:
        shape = {**writing.LETTERS, **writing.DOODLES}[mark.name]

    return writing.draw(
        writing.varied(writing.parse(shape), hand, rng),
        max(8.0, tall - pen.width * height),
        pen,
        rng,
    )


def _places(
    row: Sequence[Mark], inks: Sequence[Ink], scene: Scene, hand: Hand, rng: np.random.Generator
) -> list[int]:
    """The left edge of each symbol, the first at 0."""
    if scene.print in ("boxed", "combed"):
        cell = 0.35 * scene.height + max(max(ink.shape[1] for ink in inks), 0.7 * scene.height)
        middles = [
            cell * (place + 0.5 + rng.normal(0, hand.unevenness / 2)) for place in range(len(inks))
        ]
        return [round(middle - ink.shape[1] / 2) for middle, ink in zip(middles, inks, strict=True)]

    xs = [0]
    for place in range(1, len(inks)):
        before, here = inks[place - 1], inks[place]
        gap = scene.gap * scene.height * max(0.4, rng.normal(1, 0.25))
        if row[place - 1].struck or row[place].struck:
            gap += 0.4 * scene.height

        xs.append(
            xs[-1]
            + (
                _until_touching(before, here)
                if row[place].touching
                else before.shape[1] + round(gap)
            )
        )

    return xs


def _until_touching(before: Ink, here: Ink) -> int:
    """How far right of `before` one can put `here`, both on one baseline, so that their ink just
    overlaps.
    """
    height = min(before.shape[0], here.shape[0])
    left, right = before[-height:] > writing.SOLID / 2, here[-height:] > writing.SOLID / 2
    both = left.any(axis=1) & right.any(axis=1)
    if not both.any():
        return before.shape[1] // 2

    ends = left.shape[1] - left[:, ::-1].argmax(axis=1)
    return int(
        max((ends - right.argmax(axis=1))[both].max() - max(2, height // 40), before.shape[1] // 3)
    )


def _written(
    sheet: Layout,
    row: Sequence[Mark],
    inks: Sequence[Ink],
    xs: Sequence[int],
    baseline: float,
    scene: Scene,
    hand: Hand,
    rng: np.random.Generator,
) -> Layout:
    """The sheet with one more row on it."""
    height, ink = scene.height, sheet.ink.copy()
    found, cells, said = [], [], ""
    for mark, shape, x in zip(row, inks, xs, strict=True):
        foot = baseline + scene.slope * (x - xs[0]) + rng.normal(0, hand.unevenness / 2) * height
        y = int(np.clip(foot - shape.shape[0], 0, ink.shape[0] - shape.shape[0]))
        _lay(ink, shape, x, y)

        if mark.struck:
            out = writing.crossing(shape.shape[1] / shape.shape[0], rng)
            strokes = writing.draw(out, shape.shape[0], scene.pen, rng)
            _lay(
                ink,
                strokes,
                x + (shape.shape[1] - strokes.shape[1]) // 2,
                y + (shape.shape[0] - strokes.shape[0]) // 2,
            )

        if mark.counts:
            found.append(_outline(shape) + np.array([x, y]))
            said += mark.name

        cells.append((x, shape.shape[1]))

    line = (float(xs[0]), baseline - height, float(xs[-1] + inks[-1].shape[1]), baseline)
    return Layout(
        ink,
        (*sheet.digits, *found),
        (*sheet.rows, said),
        (*sheet.cells, *_cells(cells, line, scene)),
        (*sheet.lines, line),
    )


def _lay(layer: Layer, shape: Ink, x: int, y: int) -> None:
    """Add ink to the layer, as far as it lies inside."""
    left, top = max(0, x), max(0, y)
    inside = shape[top - y :, left - x :][
        : max(0, layer.shape[0] - top), : max(0, layer.shape[1] - left)
    ]
    there = layer[top : top + inside.shape[0], left : left + inside.shape[1]]
    np.maximum(there, inside, out=there)


def _outline(shape: Ink) -> NDArray[np.float64]:
    """The corners of the convex hull of the ink, (K, 2)."""
    pixels = np.argwhere(shape > shape.max() * writing.SOLID)[:, None, ::-1]
    corners = pixels + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return np.asarray(cv2.convexHull(corners.reshape(-1, 2).astype(np.int32))[:, 0], np.float64)


def _cells(symbols: Sequence[tuple[int, int]], line: Box, scene: Scene) -> list[Box]:
    """A cell around each (left edge, width): its borders halfway to the neighbours."""
    room = 0.2 * scene.height
    middles = [(x + width + after) / 2 for (x, width), (after, _) in itertools.pairwise(symbols)]
    borders = [symbols[0][0] - room, *middles, symbols[-1][0] + symbols[-1][1] + room]

    return [
        (left, line[1] - room, right, line[3] + room) for left, right in itertools.pairwise(borders)
    ]
