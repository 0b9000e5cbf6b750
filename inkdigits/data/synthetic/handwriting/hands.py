"""Hands and pens: a digit of MNIST as somebody else might have written it, with something else.

Takes fields (28, 28) or a canvas, returns a canvas.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE
from inkdigits.data.synthetic.handwriting.canvas import CANVAS, MIDDLE, SCALE, Canvas, ink
from inkdigits.reading.preprocessing.fields import DIGIT, disc

Plane = NDArray[np.floating]  # (112, 112)

# degrees; a digit that leans further has been photographed askew, which is not a pen's business
STEEPEST = 25.0


def in_another_hand(image: NDArray[np.uint8], rng: Generator) -> Canvas:
    """A field, enlarged with crisp edges: leaning, in other proportions, and bent as no two hands
    agree. Resampled once.
    """
    x, y = _PIXELS - MIDDLE
    (a, b), (c, d) = np.linalg.inv(lean(rng)) / SCALE
    across, down = a * x + b * y + SIDE / 2 - 0.5, c * x + d * y + SIDE / 2 - 0.5

    if rng.random() < 0.5:
        across, down = _in_other_proportions(across, down, rng)

    if rng.random() < 0.6:
        across += _waves(rng)
        down += _waves(rng)

    large = cv2.remap(image, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(cv2.LUT(large, _CRISPER), np.uint8)


def lean(rng: Generator, angle: float = 9.0) -> NDArray[np.float64]:
    """(2, 2): rotation to 25 degrees, slant, aspect and size."""
    turn = np.deg2rad(np.clip(rng.normal(0, angle), -STEEPEST, STEEPEST))
    stretch = 0.2 if rng.random() < 0.1 else 0.08  # some programs stretch a digit to a square
    slant, aspect, size = (
        rng.normal(0, 0.15),
        np.exp(rng.normal(0, stretch)),
        np.exp(rng.normal(0, 0.06)),
    )
    cos, sin = np.cos(turn), np.sin(turn)

    return size * np.array([[cos, -sin], [sin, cos]]) @ np.array([[aspect, slant], [0, 1 / aspect]])


def _in_other_proportions(across: Plane, down: Plane, rng: Generator) -> tuple[Plane, Plane]:
    """A small head over a large belly or the other way round, one side wider than the other: places
    in the field, moved.
    """
    wider = 1 + float(np.clip(rng.normal(0, 0.12), -0.3, 0.3)) * (down - SIDE / 2) / (DIGIT / 2)
    across = SIDE / 2 + (across - SIDE / 2) * np.clip(wider, 0.6, 1.6)
    return _stretched(across, rng.normal(0, 0.12)), _stretched(down, rng.normal(0, 0.22))


def _stretched(places: Plane, power: float) -> Plane:
    """Where the digit lies, places move towards one of its ends; both ends stay."""
    inside = (places - (SIDE - DIGIT) / 2) / DIGIT
    moved = np.clip(inside, 0, 1) ** np.exp(np.clip(power, -0.5, 0.5))
    return places + DIGIT * (moved - np.clip(inside, 0, 1))


def _waves(rng: Generator) -> NDArray[np.float32]:
    """A smooth displacement of every pixel of the canvas, in pixels of the field."""
    coarse = rng.normal(0, rng.uniform(0.2, 0.9), (4, 4)).astype(np.float32)
    return np.asarray(
        cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC), np.float32
    )


def with_another_pen(canvas: Canvas, rng: Generator) -> Canvas:
    """A felt pen, a thin pen, or the same."""
    chance = rng.random()
    if chance < 0.25:
        return np.asarray(cv2.dilate(canvas, disc(int(rng.integers(2, 8)))), np.uint8)
    if chance < 0.5:
        return thinned(canvas, int(rng.integers(2, 8)))

    return canvas


def thinned(canvas: Canvas, width: int) -> Canvas:
    """The same strokes thinner by `width` pixels, or by less where they would fall apart."""
    for less in range(width, 1, -2):
        thin = np.asarray(cv2.erode(canvas, disc(less)), np.uint8)
        if int(thin.sum()) > 0.25 * int(canvas.sum()):
            return thin
    return canvas


def cross_seven(canvas: Canvas, rng: Generator) -> Canvas:
    """Draw the short bar through the stem, as most of the world does. The canvas holds a seven."""
    _, top, width, height = cv2.boundingRect((canvas > 127).view(np.uint8))
    row = int(np.clip(top + height * rng.uniform(0.42, 0.62), 0, CANVAS - 1))
    inked = np.flatnonzero(canvas[row] > 127)
    if not len(inked):
        return canvas

    stem = float(inked.mean())
    reach, tilt = max(width, 24) * rng.uniform(0.25, 0.45), rng.uniform(-5, 3)
    bar = np.array([[stem - reach, row + tilt], [stem + reach * rng.uniform(0.7, 1.1), row - tilt]])

    return ink(canvas.copy(), [bar], int(np.clip(len(inked) * rng.uniform(0.5, 0.9), 4, 14)))


_PIXELS = np.indices((CANVAS, CANVAS), np.float32)[::-1] + np.float32(
    0.5
)  # (2, 112, 112): x and y of every pixel's centre
_CRISPER = np.clip((np.arange(256) - 115.0) * 2.5 + 128, 0, 255).astype(
    np.uint8
)  # enlarging blurs; ink has edges
