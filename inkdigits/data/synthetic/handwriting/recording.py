"""How paper, accidents and devices leave ink: ruled lines, specks, neighbours; scanners, cameras.

A canvas comes in and goes out, and at the end the image that reading would make of it.
"""

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import SIDE, Plane
from inkdigits.data.synthetic.handwriting.canvas import (
    CANVAS,
    HEIGHT,
    Canvas,
    bounding_box,
    ink,
    on_paper,
    paper,
    smooth_noise,
    tight,
)
from inkdigits.reading.preprocessing.fields import to_field

LEAST_LEFT = 0.4  # share of the ink; what has lost more of it need not be readable

# Pencil and chalk: most of the noise is full ink.
_GRAIN = np.clip(np.arange(256) * 1.6 + 60, 0, 255).astype(np.uint8)


# ---- accidents


def damaged(canvas: Canvas, rng: Generator) -> Canvas:
    """Return a canvas after an accident, but mostly as it was."""
    if rng.random() < 0.75:
        return canvas
    accident = ACCIDENTS[rng.integers(len(ACCIDENTS))]
    return accident(canvas.copy(), rng)


def remove_ruling(canvas: Canvas, rng: Generator) -> Canvas:
    """Take a thin line of the paper away, and with it the ink that crosses it."""
    y = rng.uniform(25, 87)
    tilt = rng.normal(0, 4)
    width = int(rng.integers(1, 4))
    start = (0, round(y - tilt))
    end = (CANVAS, round(y + tilt))

    if rng.random() >= 0.7:  # upright
        start = start[::-1]
        end = end[::-1]

    return cv2.line(canvas, start, end, 0, width)


def leave_ruling(canvas: Canvas, rng: Generator) -> Canvas:
    """Leave a piece of a ruled line at the foot of the digit or across it, fainter than the ink."""
    x = rng.uniform(20, 92)
    y = round(rng.uniform(30, 97))
    half = rng.uniform(6, 22)
    shade = int(rng.integers(60, 220))
    width = int(rng.integers(1, 4))
    line = cv2.line(paper(), (round(x - half), y), (round(x + half), y), shade, width)

    return np.maximum(canvas, line)


def speckle(canvas: Canvas, rng: Generator) -> Canvas:
    """Add one to six specks of dirt, smaller than the strokes are wide."""
    for place in rng.integers(12, 100, (rng.integers(1, 7), 2)):
        radius = int(rng.integers(1, 4))
        shade = int(rng.integers(60, 256))
        cv2.circle(canvas, place.tolist(), radius, shade, -1, cv2.LINE_AA)
    return canvas


def leave_neighbour(canvas: Canvas, rng: Generator) -> Canvas:
    """Leave the end of a neighbour's stroke at the side of the digit."""
    sides = (rng.uniform(12, 24), rng.uniform(88, 100))
    x = sides[rng.integers(2)]
    tip = np.array([x, rng.uniform(25, 85)])
    return ink(canvas, [np.array([tip, tip + rng.normal(0, 6, 2)])], int(rng.integers(3, 9)))


def cut_edge(canvas: Canvas, rng: Generator) -> Canvas:
    """End the picture a little before the digit ends."""
    left, top, width, height = bounding_box(canvas)
    lost = rng.uniform(0.02, 0.08)
    lines = canvas  # a view: what happens to its rows happens to the canvas
    start = top
    length = height

    if rng.random() >= 0.5:
        if width <= 30:
            return canvas

        lines = canvas.T
        start = left
        length = width

    count = max(1, round(length * lost))
    if rng.random() >= 0.5:
        start += length - count

    lines[start : start + count] = 0
    return canvas


ACCIDENTS = (remove_ruling, leave_ruling, speckle, leave_neighbour, cut_edge)


# ---- devices


def recorded(canvas: Canvas, rng: Generator) -> Canvas:
    """Return a canvas as none, one or two devices leave it."""
    for _ in range(int(rng.choice(3, p=(0.25, 0.55, 0.2)))):
        canvas = RECORDING_DEVICES[rng.integers(len(RECORDING_DEVICES))](canvas, rng)
    return canvas


def blur(canvas: Canvas, rng: Generator) -> Canvas:
    """Put the ink out of focus, by up to one pixel of the image."""
    return cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 4))


def threshold(canvas: Canvas, rng: Generator) -> Canvas:
    """Make every pixel ink or paper, as a fax or a paint program does."""
    return np.where(canvas > rng.uniform(80, 170), np.uint8(255), np.uint8(0))


def roughen(canvas: Canvas, rng: Generator) -> Canvas:
    """Leave the edges as a threshold leaves them on grained paper."""
    noise = smooth_noise(rng, int(rng.integers(28, 57)))
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 3))
    weight = rng.uniform(0.2, 0.6)  # about zero, so that bare paper stays below any threshold
    return threshold(cv2.addWeighted(soft, 1, noise, weight, -127 * weight), rng)


def few_pixels(canvas: Canvas, rng: Generator) -> Canvas:
    """Reduce the picture to 10 to 32 pixels, and the digit with it to 7 to 23."""
    side = int(rng.integers(10, 33))
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    how = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
    return cv2.resize(small, (CANVAS, CANVAS), interpolation=how)


def fill_frame(canvas: Canvas, rng: Generator) -> Canvas:
    """Fill a picture of 8 to 16 pixels with the digit, at times stretched to do so."""
    digit = tight(canvas)
    height, width = digit.shape
    side = int(rng.integers(8, 17))

    if rng.random() < 0.3 and width > 0.5 * height:
        size = [side, side]
    else:
        size = [max(3, round(side * length / max(height, width))) for length in (width, height)]

    small = cv2.resize(digit, size, interpolation=cv2.INTER_AREA)
    scale = HEIGHT / side
    return on_paper(cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))


def fade(canvas: Canvas, rng: Generator) -> Canvas:
    """Let the ink run dry or the light fall from one side, to as little as 40 % in places."""
    cells = rng.integers(2, 5)
    left = rng.uniform(0.4, 1.0, (cells, cells)).astype(np.float32)
    shares = cv2.resize(left, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(canvas * shares, np.uint8)


def grain(canvas: Canvas, rng: Generator) -> Canvas:
    """Leave the paper's hollows white, as pencil and chalk do."""
    noise = smooth_noise(rng, int(rng.integers(28, 113)))
    return cv2.multiply(canvas, cv2.LUT(noise, _GRAIN), scale=1 / 255)


RECORDING_DEVICES = (blur, threshold, roughen, few_pixels, fill_frame, fill_frame, fade, grain)


# ---- the image


def framed(canvas: Canvas, rng: Generator, otherwise: Canvas) -> Plane:
    """Return the image that reading would make of a canvas, at times a pixel or two off.

    Args:
        canvas: the ink as it was recorded.
        rng: draws the offset.
        otherwise: the ink before; it is taken where most of it got lost.

    Returns:
        uint8 (28, 28), paper 0 to ink 255.
    """
    if np.count_nonzero(canvas > 100) < LEAST_LEFT * np.count_nonzero(otherwise > 100):
        canvas = otherwise

    image = to_field(canvas)
    if rng.random() < 0.25:
        right, down = rng.integers(0, 5, 2)
        image = np.pad(image, 2)[down : down + SIDE, right : right + SIDE]

    return image
