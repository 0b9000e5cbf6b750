"""From ink to a field, as paper, accidents and devices leave it: lines, specks and neighbours;
scanners, cameras, paint programs.

Takes a canvas, returns a canvas, and at the end the field that reading would make of it.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE
from inkdigits.data.synthetic.handwriting.canvas import (
    CANVAS,
    HEIGHT,
    Canvas,
    ink,
    on_paper,
    paper,
    smooth_noise,
    tight,
)
from inkdigits.reading.preprocessing.fields import to_field

LEAST_LEFT = 0.4  # share of the ink; what lost more of it need not be readable any more


def damaged(canvas: Canvas, rng: Generator) -> Canvas:
    """Mostly as it was; else a line that was removed or not, specks, a piece of the neighbour, or
    an edge cut off.
    """
    if rng.random() < 0.75:
        return canvas
    accident = _ACCIDENTS[rng.integers(len(_ACCIDENTS))]
    return accident(canvas.copy(), rng)


def remove_ruling(canvas: Canvas, rng: Generator) -> Canvas:
    """A thin line of the paper was taken away, and with it what crossed it."""
    y, tilt, width = rng.uniform(25, 87), rng.normal(0, 4), int(rng.integers(1, 4))
    ends = (0, round(y - tilt)), (CANVAS, round(y + tilt))
    return np.asarray(
        cv2.line(
            canvas, *(ends if rng.random() < 0.7 else (ends[0][::-1], ends[1][::-1])), 0, width
        ),
        np.uint8,
    )


def leave_ruling(canvas: Canvas, rng: Generator) -> Canvas:
    """A piece of a line of the paper stayed, at the foot of the digit or across it, fainter than
    the ink.
    """
    x, y = rng.uniform(20, 92), rng.uniform(30, 97)
    half = rng.uniform(6, 22)
    line = cv2.line(
        paper(),
        (round(x - half), round(y)),
        (round(x + half), round(y)),
        int(rng.integers(60, 220)),
        int(rng.integers(1, 4)),
    )

    return np.maximum(canvas, line)


def speckle(canvas: Canvas, rng: Generator) -> Canvas:
    """One to six specks of dirt, smaller than the strokes are wide."""
    for x, y in rng.integers(12, 100, (int(rng.integers(1, 7)), 2)):
        cv2.circle(
            canvas,
            (int(x), int(y)),
            int(rng.integers(1, 4)),
            int(rng.integers(60, 256)),
            -1,
            cv2.LINE_AA,
        )

    return canvas


def leave_neighbour(canvas: Canvas, rng: Generator) -> Canvas:
    """The end of a neighbour's stroke lies at the side of the digit."""
    side, y = (rng.uniform(12, 24), rng.uniform(88, 100))[int(rng.integers(2))], rng.uniform(25, 85)
    tip = np.array([side, y])
    return ink(canvas, [np.array([tip, tip + rng.normal(0, 6, 2)])], int(rng.integers(3, 9)))


def cut_edge(canvas: Canvas, rng: Generator) -> Canvas:
    """The picture ends a little before the digit does."""
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    lost = rng.uniform(0.02, 0.08)
    if rng.random() < 0.5:
        rows = max(1, round(height * lost))
        canvas[
            slice(top, top + rows)
            if rng.random() < 0.5
            else slice(top + height - rows, top + height)
        ] = 0
    elif width > 30:
        columns = max(1, round(width * lost))
        canvas[
            :,
            slice(left, left + columns)
            if rng.random() < 0.5
            else slice(left + width - columns, left + width),
        ] = 0

    return canvas


_ACCIDENTS = (remove_ruling, leave_ruling, speckle, leave_neighbour, cut_edge)


def recorded(canvas: Canvas, rng: Generator) -> Canvas:
    """What a device makes of the ink: nothing or one or two of blur, threshold, rough edges, few
    pixels, uneven ink, grain.
    """
    for _ in range(int(rng.choice(3, p=(0.25, 0.55, 0.2)))):
        canvas = _DEVICES[rng.integers(len(_DEVICES))](canvas, rng)
    return canvas


def blur(canvas: Canvas, rng: Generator) -> Canvas:
    """Out of focus, by up to one pixel of the field."""
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 4)), np.uint8)


def threshold(canvas: Canvas, rng: Generator) -> Canvas:
    """Ink or paper, nothing between: a fax, a paint program."""
    return np.where(canvas > rng.uniform(80, 170), np.uint8(255), np.uint8(0))


def roughen(canvas: Canvas, rng: Generator) -> Canvas:
    """Edges as a threshold leaves them on grained paper."""
    noise = smooth_noise(rng, int(rng.integers(28, 57)))
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 3))
    weight = rng.uniform(0.2, 0.6)  # about zero, so that bare paper stays below any threshold

    return threshold(
        np.asarray(cv2.addWeighted(soft, 1, noise, weight, -127 * weight), np.uint8), rng
    )


def few_pixels(canvas: Canvas, rng: Generator) -> Canvas:
    """A picture of only 10 to 32 pixels, a digit of 7 to 23."""
    side = int(rng.integers(10, 33))
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    how = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
    return np.asarray(cv2.resize(small, (CANVAS, CANVAS), interpolation=how), np.uint8)


def fill_frame(canvas: Canvas, rng: Generator) -> Canvas:
    """A picture of 8 to 16 pixels that the digit fills from border to border, at times stretched to
    do so.
    """
    digit = tight(canvas)
    height, width = digit.shape
    side = int(rng.integers(8, 17))

    if rng.random() < 0.3 and width > 0.5 * height:
        size = side, side
    else:
        size = (
            max(3, round(side * width / max(height, width))),
            max(3, round(side * height / max(height, width))),
        )

    small = cv2.resize(digit, size, interpolation=cv2.INTER_AREA)
    scale = HEIGHT / side
    return on_paper(
        np.asarray(
            cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8
        )
    )


def fade(canvas: Canvas, rng: Generator) -> Canvas:
    """Ink that runs dry, light that falls from one side: as little as 40 % of it left in places."""
    cells = rng.uniform(0.4, 1.0, (int(rng.integers(2, 5)),) * 2).astype(np.float32)
    return np.asarray(
        canvas * cv2.resize(cells, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR), np.uint8
    )


def grain(canvas: Canvas, rng: Generator) -> Canvas:
    """Pencil or chalk, which leaves the paper's hollows white."""
    noise = smooth_noise(rng, int(rng.integers(28, 113)))
    return np.asarray(cv2.multiply(canvas, cv2.LUT(noise, _GRAIN), scale=1 / 255), np.uint8)


_DEVICES = (blur, threshold, roughen, few_pixels, fill_frame, fill_frame, fade, grain)


def framed(canvas: Canvas, rng: Generator, otherwise: Canvas) -> NDArray[np.uint8]:
    """The field as reading would make it, at times a pixel or two off. `otherwise` is taken where
    most of its ink is lost.
    """
    if np.count_nonzero(canvas > 100) < LEAST_LEFT * np.count_nonzero(otherwise > 100):
        canvas = otherwise

    field = to_field(canvas)
    if rng.random() < 0.25:
        right, down = rng.integers(0, 5, 2)
        field = np.pad(field, 2)[down : down + SIDE, right : right + SIDE]

    return field


_GRAIN = np.clip(np.arange(256) * 1.6 + 60, 0, 255).astype(
    np.uint8
)  # most of the noise is full ink
