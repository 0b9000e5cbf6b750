"""Hands and pens: a digit of MNIST as another person writes it, with another pen.

Images (28, 28) or a canvas come in, a canvas goes out.
"""

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import SIDE, Array, Plane
from inkdigits.data.synthetic.handwriting.canvas import CANVAS, CANVAS_MIDDLE, SCALE, Canvas, ink
from inkdigits.reading.preprocessing.fields import DIGIT, disc

Places = Array  # (112, 112): where in the image each pixel of the canvas comes from

STEEPEST_LEAN = 25.0  # degrees; a digit that leans further was photographed askew

# (2, 112, 112): x and y of the centre of every pixel of the canvas.
_PIXELS = np.indices((CANVAS, CANVAS), np.float32)[::-1] + np.float32(0.5)
# Enlarging blurs, and ink has edges.
_CRISPER = np.clip((np.arange(256) - 115.0) * 2.5 + 128, 0, 255).astype(np.uint8)


def in_another_hand(image: Plane, rng: Generator) -> Canvas:
    """Return a digit enlarged with crisp edges, leaning, in other proportions, and bent.

    It is resampled once.

    Args:
        image: uint8 (28, 28), paper 0 to ink 255.
        rng: draws the hand.
    """
    x, y = _PIXELS - CANVAS_MIDDLE
    (a, b), (c, d) = np.linalg.inv(lean(rng)) / SCALE
    across = a * x + b * y + SIDE / 2 - 0.5
    down = c * x + d * y + SIDE / 2 - 0.5

    if rng.random() < 0.5:
        across, down = _in_other_proportions(across, down, rng)

    if rng.random() < 0.6:
        across += _waves(rng)
        down += _waves(rng)

    large = cv2.remap(image, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    return cv2.LUT(large, _CRISPER)


def lean(rng: Generator, angle: float = 9.0) -> Array:
    """Return the matrix (2, 2) of a rotation, slant, aspect and size.

    Args:
        rng: draws them.
        angle: standard deviation of the rotation in degrees; it goes up to 25.
    """
    turn = np.deg2rad(np.clip(rng.normal(0, angle), -STEEPEST_LEAN, STEEPEST_LEAN))
    stretch = 0.2 if rng.random() < 0.1 else 0.08  # some programs stretch a digit to a square
    slant = rng.normal(0, 0.15)
    aspect = np.exp(rng.normal(0, stretch))
    size = np.exp(rng.normal(0, 0.06))

    cos = np.cos(turn)
    sin = np.sin(turn)
    return size * np.array([[cos, -sin], [sin, cos]]) @ np.array([[aspect, slant], [0, 1 / aspect]])


def _in_other_proportions(across: Places, down: Places, rng: Generator) -> tuple[Places, Places]:
    """Give a digit a small head over a large belly or the reverse, and one side wider."""
    wider = 1 + float(np.clip(rng.normal(0, 0.12), -0.3, 0.3)) * (down - SIDE / 2) / (DIGIT / 2)
    across = SIDE / 2 + (across - SIDE / 2) * np.clip(wider, 0.6, 1.6)
    return stretched(across, rng.normal(0, 0.12)), stretched(down, rng.normal(0, 0.22))


def stretched(places: Places, power: float) -> Places:
    """Move the places within the digit towards one of its ends; both ends stay.

    Args:
        places: in pixels of the image.
        power: above 0 they move towards the start, below 0 towards the end.
    """
    inside = np.clip((places - (SIDE - DIGIT) / 2) / DIGIT, 0, 1)
    moved = inside ** np.exp(np.clip(power, -0.5, 0.5))
    return places + DIGIT * (moved - inside)


def _waves(rng: Generator) -> Places:
    """Return a smooth displacement of every pixel of the canvas, in pixels of the image."""
    coarse = rng.normal(0, rng.uniform(0.2, 0.9), (4, 4)).astype(np.float32)
    return cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)


def with_another_pen(canvas: Canvas, rng: Generator) -> Canvas:
    """Return the same strokes by a felt pen, by a thin pen, or as they were."""
    chance = rng.random()
    if chance < 0.25:
        return cv2.dilate(canvas, disc(int(rng.integers(2, 8))))
    if chance < 0.5:
        return thinned(canvas, int(rng.integers(2, 8)))

    return canvas


def thinned(canvas: Canvas, width: int) -> Canvas:
    """Return the strokes thinner by `width` pixels, or by less where they would fall apart."""
    for less in range(width, 1, -2):
        thin = cv2.erode(canvas, disc(less))
        if int(thin.sum()) > 0.25 * int(canvas.sum()):
            return thin
    return canvas


def cross_seven(canvas: Canvas, rng: Generator) -> Canvas:
    """Draw the short bar through a seven's stem, as most of the world does."""
    _, top, width, height = cv2.boundingRect((canvas > 127).view(np.uint8))
    row = int(np.clip(top + height * rng.uniform(0.42, 0.62), 0, CANVAS - 1))
    inked = np.flatnonzero(canvas[row] > 127)
    if not len(inked):
        return canvas

    stem = float(inked.mean())
    reach = max(width, 24) * rng.uniform(0.25, 0.45)
    tilt = rng.uniform(-5, 3)
    bar = np.array([[stem - reach, row + tilt], [stem + reach * rng.uniform(0.7, 1.1), row - tilt]])
    pen = int(np.clip(len(inked) * rng.uniform(0.5, 0.9), 4, 14))

    return ink(canvas.copy(), [bar], pen)
