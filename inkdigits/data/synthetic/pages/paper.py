"""What is written on: sheets and boards with their texture, what is printed on them, and ink laid
over both.

Pictures are float32 (H, W, 3) red, green, blue, black 0 to white 1, seen straight on in even light;
lengths are pixels. Each function returns a new picture. Knows nothing of digits, and nothing of
cameras.
"""

import itertools
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (H, W, 3)
Layer = NDArray[np.float32]  # (H, W): bare 0 to covered 1
Colour = tuple[float, float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

FRACTION = 4  # bits behind the point of the coordinates that OpenCV draws lines with


def clouds(
    shape: tuple[int, int], feature: float | tuple[float, float], rng: np.random.Generator
) -> Layer:
    """Smooth noise about 0 with a standard deviation about 1, (H, W) for shape. feature: its size,
    or its height and width.
    """
    high, wide = feature if isinstance(feature, tuple) else (feature, feature)
    coarse = rng.standard_normal((int(shape[0] / high) + 3, int(shape[1] / wide) + 3), np.float32)
    return np.asarray(
        cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC) * 1.3, np.float32
    )


def plain(size: tuple[int, int], colour: Colour) -> Picture:
    """One colour all over, as in a paint program. size: (width, height)."""
    return np.broadcast_to(np.array(colour, np.float32), (size[1], size[0], 3)).astype(np.float32)


def sheet(
    size: tuple[int, int], colour: Colour, texture: float, rng: np.random.Generator
) -> Picture:
    """Paper: fibres, and the slight waves of a sheet that lies free. texture: standard deviation of
    the fibres.
    """
    shape = (size[1], size[0])
    fibres = (
        0.6 * rng.standard_normal(shape, np.float32)
        + 0.7 * clouds(shape, 2.5, rng)
        + 0.35 * clouds(shape, 7, rng)
    )
    waves = clouds(shape, max(shape) / 3, rng)

    return plain(size, colour) * (1 + texture * (fibres + 0.6 * waves))[..., None]


def board(
    size: tuple[int, int], colour: Colour, texture: float, rng: np.random.Generator
) -> Picture:
    """A blackboard with the traces of what was wiped off. texture: lightness of the traces."""
    shape = (size[1], size[0])
    wiped = clouds(shape, (max(shape) / 30, max(shape) / 5), rng) + clouds(
        shape, max(shape) / 4, rng
    )
    dust = 0.5 * np.clip(wiped + 1, 0, 3) + 0.25 * rng.standard_normal(shape, np.float32)

    return plain(size, colour) + (texture * dust)[..., None]


def wood(size: tuple[int, int], colour: Colour, rng: np.random.Generator) -> Picture:
    """A table top: long grain along its width."""
    shape = (size[1], size[0])
    grain = clouds(shape, (3, max(shape) / 4), rng) + clouds(
        shape, (max(shape) / 40, max(shape) / 2), rng
    )
    return plain(size, colour) * (1 + 0.08 * grain)[..., None]


def printed(picture: Picture, layer: Layer, colour: Colour) -> Picture:
    """Ink laid over paper, as printing, pens and pencils do: what is below shows through as far as
    the ink lets it.
    """
    return picture * (1 - layer[..., None] * (1 - np.array(colour, np.float32)))


def covered(picture: Picture, layer: Layer, colour: Colour) -> Picture:
    """Colour that hides what is below, as chalk and a paint program's brush do."""
    return picture * (1 - layer[..., None]) + layer[..., None] * np.array(colour, np.float32)


def segments(shape: tuple[int, int], lines: Iterable[Sequence[float]], width: float) -> Layer:
    """Straight lines, (x, y, x, y) each, as a layer. width: thinner than a pixel, they are as much
    fainter.
    """
    layer = np.zeros(shape, np.uint8)
    for line in lines:
        x1, y1, x2, y2 = (round(value * (1 << FRACTION)) for value in line)
        cv2.line(layer, (x1, y1), (x2, y2), 255, max(1, round(width)), cv2.LINE_AA, FRACTION)
    return layer.astype(np.float32) * np.float32(min(1.0, width) / 255)


def ruled(shape: tuple[int, int], first: float, pitch: float, width: float) -> Layer:
    """Lines across the sheet, `pitch` apart, one of them at the height `first`."""
    return segments(shape, ((0, y, shape[1], y) for y in _every(first, pitch, shape[0])), width)


def squared(shape: tuple[int, int], first: float, pitch: float, width: float) -> Layer:
    """Squares of side `pitch`, one of them with its upper edge at `first`."""
    upright = segments(
        shape, ((x, 0, x, shape[0]) for x in _every(pitch / 3, pitch, shape[1])), width
    )
    return np.maximum(ruled(shape, first, pitch, width), upright)


def _every(first: float, pitch: float, end: float) -> NDArray[np.float64]:
    return np.arange(first % pitch, end, pitch)


def boxed(shape: tuple[int, int], cells: Iterable[Box], width: float) -> Layer:
    """A frame around each cell, as forms have them."""
    lines = [
        edge
        for left, top, right, bottom in cells
        for edge in (
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        )
    ]
    return segments(shape, lines, width)


def combed(shape: tuple[int, int], cells: Iterable[Box], width: float) -> Layer:
    """A line below, with short teeth up between the cells, as forms have them."""
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
    shape: tuple[int, int], rows: Iterable[Box], width: float, rng: np.random.Generator
) -> Layer:
    """A line below each row, drawn by hand: neither straight nor quite level, a little longer than
    the row.
    """
    layer = np.zeros(shape, np.float32)
    for left, top, right, bottom in rows:
        height = bottom - top
        x = np.linspace(
            left - rng.uniform(0, 0.4) * height, right + rng.uniform(0, 0.4) * height, 12
        )
        y = (
            bottom
            + rng.uniform(0.1, 0.2) * height
            + rng.normal(0, 0.012 * height, 12).cumsum() * 0.5
        )
        joints = list(zip(x, y, strict=True))
        layer = np.maximum(
            layer, segments(shape, [(*a, *b) for a, b in itertools.pairwise(joints)], width)
        )

    return layer


def show_through(
    picture: Picture, darkness: float, line: float, rng: np.random.Generator
) -> Picture:
    """What is printed on the other side, mirrored and blurred beyond reading. darkness: 0-1; line:
    height of its lines.
    """
    shape = picture.shape[:2]
    letters = (clouds(shape, (line / 4, line / 5), rng) > 0.1).astype(np.float32)
    rows = (np.arange(shape[0]) % line < line / 2)[:, None]
    words = clouds(shape, (line, 3 * line), rng) > -0.6
    layer = cv2.GaussianBlur(letters * rows * words, (0, 0), max(1.0, line / 12))
    paragraphs = clouds(shape, 8 * line, rng) > 0

    return printed(picture, np.asarray(layer * paragraphs * darkness, np.float32), (0.0, 0.0, 0.0))


def folded(picture: Picture, depth: float, rng: np.random.Generator) -> Picture:
    """A crease across the sheet: one side of it leans away from the light. depth: light lost at the
    crease, 0-1.
    """
    height, width = picture.shape[:2]
    angle = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.08)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = (x - width * rng.uniform(0.25, 0.75)) * np.cos(angle) + (
        y - height * rng.uniform(0.25, 0.75)
    ) * np.sin(angle)
    slope = np.where(away > 0, np.exp(-away / (0.15 * max(height, width))), 0)
    ridge = np.exp(-((away / 1.5) ** 2))

    return np.asarray(picture * (1 - depth * slope + 0.6 * depth * ridge)[..., None], np.float32)
