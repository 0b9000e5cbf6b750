"""What is written on: sheets and boards with their texture, what is printed on them, and ink.

Photos are float32 (H, W, 3) red, green, blue, black 0 to white 1, seen straight on in even light;
lengths are pixels. Each function returns a new photo or layer.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import Array

Photo = Array  # float32 (H, W, 3), black 0 to white 1
Layer = Array  # float32 (H, W), bare 0 to covered 1
RGB = tuple[float, float, float]  # black 0 to white 1
Points = NDArray[np.float64]  # (K, 2): x to the right and y down
BoundingBox = tuple[float, float, float, float]  # left, top, right, bottom

FRACTION = 4  # bits behind the point of the coordinates that OpenCV draws lines with


# ---- sheets and boards


def clouds(shape: tuple[int, int], feature: float | tuple[float, float], rng: Generator) -> Layer:
    """Return smooth noise about 0 with a standard deviation about 1.

    Args:
        shape: (H, W).
        feature: the size of a cloud, or its height and width.
        rng: draws it.
    """
    high, wide = feature if isinstance(feature, tuple) else (feature, feature)
    coarse = rng.standard_normal((int(shape[0] / high) + 3, int(shape[1] / wide) + 3), np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC) * 1.3


def plain(shape: tuple[int, int], colour: RGB) -> Photo:
    """Return one colour all over, as in a paint program."""
    return np.full((*shape, 3), colour, np.float32)


def sheet(shape: tuple[int, int], colour: RGB, texture: float, rng: Generator) -> Photo:
    """Return paper: fibres, and the slight waves of a sheet that is not weighed down.

    Args:
        shape: (H, W).
        colour: of the paper.
        texture: standard deviation of the fibres.
        rng: draws them.
    """
    fibres = 0.6 * rng.standard_normal(shape, np.float32)
    fibres = fibres + 0.7 * clouds(shape, 2.5, rng) + 0.35 * clouds(shape, 7, rng)
    waves = clouds(shape, max(shape) / 3, rng)
    return plain(shape, colour) * (1 + texture * (fibres + 0.6 * waves))[..., None]


def board(shape: tuple[int, int], colour: RGB, texture: float, rng: Generator) -> Photo:
    """Return a blackboard with traces of what was wiped off, `texture` lighter than its colour."""
    side = max(shape)
    wiped = clouds(shape, (side / 30, side / 5), rng) + clouds(shape, side / 4, rng)
    dust = 0.5 * np.clip(wiped + 1, 0, 3) + 0.25 * rng.standard_normal(shape, np.float32)
    return plain(shape, colour) + (texture * dust)[..., None]


def wood(shape: tuple[int, int], colour: RGB, rng: Generator) -> Photo:
    """Return a table top with long grain along its width."""
    side = max(shape)
    grain = clouds(shape, (3, side / 4), rng) + clouds(shape, (side / 40, side / 2), rng)
    return plain(shape, colour) * (1 + 0.08 * grain)[..., None]


# ---- ink


def printed(photo: Photo, layer: Layer, colour: RGB) -> Photo:
    """Lay ink over paper as printing, pens and pencils do: what is below shows through it."""
    return photo * (1 - layer[..., None] * (1 - np.array(colour, np.float32)))


def covered(photo: Photo, layer: Layer, colour: RGB) -> Photo:
    """Lay a colour over what is below and hide it, as chalk and a paint program's brush do."""
    return photo * (1 - layer[..., None]) + layer[..., None] * np.array(colour, np.float32)


# ---- lines


def segments(shape: tuple[int, int], lines: Iterable[Sequence[float]], width: float) -> Layer:
    """Return straight lines as a layer.

    Args:
        shape: (H, W).
        lines: (x, y, x, y) each.
        width: of all; lines thinner than a pixel are drawn as much fainter.
    """
    layer = np.zeros(shape, np.uint8)
    for line in lines:
        x1, y1, x2, y2 = (round(value * (1 << FRACTION)) for value in line)
        cv2.line(layer, (x1, y1), (x2, y2), 255, max(1, round(width)), cv2.LINE_AA, FRACTION)
    return layer.astype(np.float32) * np.float32(min(1.0, width) / 255)


def ruled(shape: tuple[int, int], first: float, pitch: float, width: float) -> Layer:
    """Return lines across the sheet, `pitch` apart, one of them at the height `first`."""
    rows = np.arange(first % pitch, shape[0], pitch)
    return segments(shape, ((0, y, shape[1], y) for y in rows), width)


def squared(shape: tuple[int, int], first: float, pitch: float, width: float) -> Layer:
    """Return squares of side `pitch`, one of them with its upper edge at `first`."""
    columns = np.arange(pitch / 3, shape[1], pitch)
    upright = segments(shape, ((x, 0, x, shape[0]) for x in columns), width)
    return np.maximum(ruled(shape, first, pitch, width), upright)


def boxed(shape: tuple[int, int], cells: Iterable[BoundingBox], width: float) -> Layer:
    """Return a frame around each cell, as forms have them."""
    lines = []
    for left, top, right, bottom in cells:
        lines += [
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        ]

    return segments(shape, lines, width)


def combed(shape: tuple[int, int], cells: Iterable[BoundingBox], width: float) -> Layer:
    """Return a line below the cells with short teeth up between them, as forms have them."""
    lines = []
    for left, top, right, bottom in cells:
        tooth = bottom - 0.3 * (bottom - top)
        lines += [
            (left, bottom, right, bottom),
            (left, tooth, left, bottom),
            (right, tooth, right, bottom),
        ]

    return segments(shape, lines, width)


def underlined(
    shape: tuple[int, int], rows: Iterable[BoundingBox], width: float, rng: Generator
) -> Layer:
    """Return a line below each row, drawn by hand: not quite straight, not quite level."""
    lines = []
    for left, top, right, bottom in rows:
        height = bottom - top
        start = left - rng.uniform(0, 0.4) * height
        end = right + rng.uniform(0, 0.4) * height
        x = np.linspace(start, end, 12)
        level = bottom + rng.uniform(0.1, 0.2) * height
        y = level + rng.normal(0, 0.012 * height, 12).cumsum() * 0.5

        joints = pairwise(zip(x, y, strict=True))
        lines += [(*joint, *other) for joint, other in joints]

    return segments(shape, lines, width)


# ---- what happened to a sheet


def show_through(photo: Photo, darkness: float, line: float, rng: Generator) -> Photo:
    """Let the print on the other side show through, blurred beyond reading.

    Args:
        photo: the sheet.
        darkness: of the print, 0-1.
        line: height of its lines.
        rng: draws it.
    """
    shape = photo.shape[:2]
    letters = (clouds(shape, (line / 4, line / 5), rng) > 0.1).astype(np.float32)
    rows = (np.arange(shape[0]) % line < line / 2)[:, None]
    words = clouds(shape, (line, 3 * line), rng) > -0.6
    layer = cv2.GaussianBlur(letters * rows * words, (0, 0), max(1.0, line / 12))
    paragraphs = clouds(shape, 8 * line, rng) > 0

    return printed(photo, layer * paragraphs * darkness, (0.0, 0.0, 0.0))


def folded(photo: Photo, depth: float, rng: Generator) -> Photo:
    """Add a crease: one side of it leans away from the light and loses `depth`, 0-1."""
    height, width = photo.shape[:2]
    angle = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.08)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across = (x - width * rng.uniform(0.25, 0.75)) * np.cos(angle)
    along = (y - height * rng.uniform(0.25, 0.75)) * np.sin(angle)
    away = across + along

    slope = np.where(away > 0, np.exp(-away / (0.15 * max(height, width))), 0)
    ridge = np.exp(-((away / 1.5) ** 2))
    light = 1 - depth * slope + 0.6 * depth * ridge

    return (photo * light[..., None]).astype(np.float32)
