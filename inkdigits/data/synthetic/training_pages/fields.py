"""Turn strokes and shapes into glyphs: one symbol each, as a field of distances to the way of the
pen.

A field can be seen at any size, slant and width of pen with a single interpolation: ink is wherever
the distance is less than half
the pen. Lengths are ems: a digit is 1 em high, x to the right, y down, baseline at y = 0, the
symbol's left end at x = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (K, 2): x and y in ems
Field = NDArray[np.uint8]  # (H, W): distance to the pen's way, in 1 / FINENESS pixels of the field

EM = 44  # pixels of a field to an em
PAD = 12  # pixels around the pen's way
FINENESS = 6  # steps of distance to a pixel
BANDS = 16  # of a profile
BAND = 0.1  # em; bands run from TOP down
TOP = -1.25  # em
FAR = 99.0  # em: a profile's bound where a band holds nothing
SHIFT = 4  # binary digits after the point in OpenCV's coordinates


@dataclass(frozen=True, slots=True)
class Glyph:
    """One symbol, as it may be written.

    Attributes:
        field: distances; `kind`: index into SYMBOLS.
        origin: where x = 0 on the baseline is, in pixels of the field.
        box: left, top, right, bottom of the pen's way in ems; its left is 0.
        profile: (BANDS, 2) leftmost and rightmost x in each band, ems.
        pen: half the width of the pen that belongs to it, ems; None where any will do, 0 where the
            shape is solid.
        tail: where a pen that goes on leaves it, ems.
    """

    field: Field
    kind: int
    origin: tuple[float, float]
    box: tuple[float, float, float, float]
    profile: NDArray[np.float32]
    pen: float | None
    tail: tuple[float, float]


def from_strokes(strokes: Sequence[Points], kind: int) -> Glyph:
    """Draw strokes (polylines in ems, y down from the baseline) as a glyph."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = np.ceil((high - low) * EM).astype(int) + 2 * PAD + 1

    way = np.full((height, width), 255, np.uint8)
    for stroke in strokes:
        places = np.rint(((stroke - low) * EM + PAD) * (1 << SHIFT)).astype(np.int32)
        cv2.polylines(way, [places], isClosed=False, color=0, thickness=1, shift=SHIFT)

    tail = strokes[-1][-1] - (low[0], 0)
    return from_way(way, low[1], kind, None, (float(tail[0]), float(tail[1])))


def from_way(
    way: NDArray[np.uint8],
    top: float,
    kind: int,
    pen: float | None,
    tail: tuple[float, float] | None = None,
) -> Glyph:
    """Make a glyph of a picture that is 0 where the pen went, with PAD pixels around.

    Args:
        way: uint8 (H, W).
        top: y of the pen's way, ems.
        kind: index into SYMBOLS.
        pen: half its pen's width in ems, or None.
        tail: where the pen left it; its lowest point at the right unless given.
    """
    distance = np.asarray(cv2.distanceTransform(way, cv2.DIST_L2, 5), np.float32)
    if pen != 0:
        distance = np.maximum(cv2.GaussianBlur(distance, (0, 0), 0.8) - np.float32(0.5), 0)

    ys, xs = np.nonzero(way == 0)
    x, y = (xs - PAD) / EM, (ys - PAD) / EM + top
    profile = _profile(x, y)
    last = int(np.argmax(x + 0.3 * y))

    return Glyph(
        field=np.clip(distance * FINENESS, 0, 255).astype(np.uint8),
        kind=kind,
        origin=(float(PAD), float(PAD - top * EM)),
        box=(0.0, float(top), float(x.max()), float(y.max())),
        profile=profile,
        pen=pen,
        tail=tail or (float(x[last]), float(y[last])),
    )


def _profile(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
    """Leftmost and rightmost x in each band of height."""
    band = np.clip(((y - TOP) / BAND).astype(int), 0, BANDS - 1)
    profile = np.empty((BANDS, 2), np.float32)
    profile[:, 0], profile[:, 1] = FAR, -FAR
    np.minimum.at(profile[:, 0], band, x.astype(np.float32))
    np.maximum.at(profile[:, 1], band, x.astype(np.float32))
    return profile


def from_shape(solid: NDArray[np.uint8], kind: int, height: float = 1.0) -> Glyph:
    """Make a glyph of a filled shape, ink wherever `solid` is above 127; `height` in ems, standing
    on the baseline.
    """
    left, top, width, tall = cv2.boundingRect((solid > 127).view(np.uint8))
    scale = height * EM / tall
    size = max(2, round(width * scale)), max(2, round(tall * scale))
    small = cv2.resize(
        solid[top : top + tall, left : left + width], size, interpolation=cv2.INTER_AREA
    )
    way = np.where(small > 110, 0, 255).astype(np.uint8)
    if not (way == 0).any():
        way[size[1] // 2, size[0] // 2] = 0
    way = padded(way)
    return from_way(way, -height, kind, 0.0)


def padded(way: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put PAD pixels where no pen went around a way."""
    wide = cv2.copyMakeBorder(way, PAD, PAD, PAD, PAD, cv2.BORDER_CONSTANT, value=(255,))
    return np.asarray(wide, np.uint8)


def united(first: Glyph, second: Glyph, kind: int) -> Glyph:
    """Write one glyph over another, their middles together: a digit that is struck out."""
    height = max(first.field.shape[0], second.field.shape[0])
    width = max(first.field.shape[1], second.field.shape[1])
    both = np.full((height, width), 255, np.uint8)
    for glyph in (first, second):
        tall, wide = glyph.field.shape
        y, x = (height - tall) // 2, (width - wide) // 2
        part = both[y : y + tall, x : x + wide]
        np.minimum(part, glyph.field, out=part)

    shift_y = (height - first.field.shape[0]) // 2
    top = (PAD - first.origin[1] - shift_y) / EM
    bottom = top + (height - 2 * PAD) / EM
    right = (width - 2 * PAD) / EM
    profile = np.tile(np.array([0, right], np.float32), (BANDS, 1))
    return Glyph(
        both,
        kind,
        (float(PAD), first.origin[1] + shift_y),
        (0.0, top, right, bottom),
        profile,
        first.pen,
        (right, bottom),
    )
