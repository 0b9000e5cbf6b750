"""The canvas that a digit is drawn on, four times as large as its image, and a pen for it."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE, Array, Plane
from inkdigits.reading.preprocessing.fields import DIGIT

Canvas = Array  # uint8 (112, 112): paper 0 to ink 255
Points = NDArray[np.float64]  # (N, 2) of (x, y)

SCALE = 4  # pixels of the canvas to a pixel of the image
CANVAS = SCALE * SIDE
HEIGHT = SCALE * DIGIT  # of a digit on the canvas
CANVAS_MIDDLE = CANVAS / 2


def paper() -> Canvas:
    """Return an empty canvas."""
    return np.zeros((CANVAS, CANVAS), np.uint8)


def ink(canvas: Canvas, lines: list[Points], width: int) -> Canvas:
    """Draw lines onto a canvas, to a quarter of a pixel, and return it.

    Args:
        canvas: is drawn on.
        lines: (N, 2) points each, in pixels.
        width: of the pen, in pixels.
    """
    for line in lines:
        points = np.round(line * 4).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, width, cv2.LINE_AA, shift=2)
    return canvas


def smooth_noise(rng: Generator, side: int, how: int = cv2.INTER_LINEAR) -> Canvas:
    """Return noise of `side` cells along both axes, enlarged to a canvas as OpenCV's `how` says."""
    noise = rng.integers(0, 256, (side, side), np.uint8)
    return cv2.resize(noise, (CANVAS, CANVAS), interpolation=how)


def bounding_box(canvas: Canvas) -> tuple[int, int, int, int]:
    """Return the box around the ink: left, top, width and height."""
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    return left, top, width, height


def tight(canvas: Canvas) -> Plane:
    """Return the ink in its bounding box; of an empty canvas, a bit of paper."""
    left, top, width, height = bounding_box(canvas)
    if not width:
        return np.zeros((8, 8), np.uint8)
    return canvas[top : top + height, left : left + width]


def on_paper(ink: Array) -> Canvas:
    """Put ink of any size, reduced where it has to be, on the middle of a canvas."""
    scale = min(1.0, (CANVAS - 8) / max(ink.shape))
    if scale < 1:
        ink = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

    height, width = ink.shape
    canvas = paper()
    canvas[(CANVAS - height) // 2 :, (CANVAS - width) // 2 :][:height, :width] = ink

    return canvas
