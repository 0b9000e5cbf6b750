"""The canvas of a picture under way, four times the field, so that a digit on it is some 80 pixels
high; and a pen for it.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE
from inkdigits.reading.preprocessing.fields import DIGIT

Canvas = NDArray[np.uint8]  # (112, 112): paper 0 to ink 255
Points = NDArray[np.float64]  # (N, 2) of (x, y)

SCALE = 4  # pixels of the canvas to a pixel of the field
CANVAS = SCALE * SIDE
HEIGHT = SCALE * DIGIT  # of a digit on the canvas
MIDDLE = CANVAS / 2


def paper() -> Canvas:
    """Nothing drawn yet."""
    return np.zeros((CANVAS, CANVAS), np.uint8)


def ink(canvas: Canvas, lines: list[Points], width: int) -> Canvas:
    """Draw lines (N, 2) of pixels onto the canvas, `width` pixels wide; to a quarter of a pixel."""
    for line in lines:
        points = np.round(line * 4).astype(np.int32)
        cv2.polylines(
            canvas,
            [points],
            isClosed=False,
            color=255,
            thickness=width,
            lineType=cv2.LINE_AA,
            shift=2,
        )

    return canvas


def smooth_noise(rng: Generator, side: int, how: int = cv2.INTER_LINEAR) -> Canvas:
    """Noise of `side` cells, enlarged to a canvas."""
    return np.asarray(
        cv2.resize(
            rng.integers(0, 256, (side, side), np.uint8), (CANVAS, CANVAS), interpolation=how
        ),
        np.uint8,
    )


def tight(canvas: Canvas) -> NDArray[np.uint8]:
    """The ink in its box; a bit of blank paper where there is none."""
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    return canvas[top : top + height, left : left + width] if width else np.zeros((8, 8), np.uint8)


def on_paper(ink: NDArray[np.uint8]) -> Canvas:
    """Ink of any size, made smaller where it has to be, on the middle of a canvas."""
    scale = min(1.0, (CANVAS - 8) / max(ink.shape))
    if scale < 1:
        ink = np.asarray(
            cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )

    canvas, (height, width) = paper(), ink.shape
    canvas[(CANVAS - height) // 2 :, (CANVAS - width) // 2 :][:height, :width] = ink
    return canvas
