"""Turn strokes and shapes into glyphs: one symbol each, as a field of distances to the pen's way.

A field can be seen at any size, slant and width of pen with a single interpolation: ink is wherever
the distance is less than half the pen. Lengths are ems: a digit is 1 em high, x to the right, y
down, baseline at y = 0, the symbol's left end at x = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Array, Plane
from inkdigits.data.synthetic.training_pages.pixels import FRACTION, fixed_point

Points = NDArray[np.float64]  # (K, 2): x and y in ems
Field = NDArray[np.uint8]  # (H, W): distance to the pen's way, in 1 / FINENESS pixels of the field
Point = tuple[float, float]  # x and y in ems

EM = 44  # pixels of a field to an em
PAD = 12  # pixels around the pen's way
FINENESS = 6  # steps of distance to a pixel
BANDS = 16  # of a profile
BAND = 0.1  # em; bands run from TOP down
TOP = -1.25  # em
FAR = 99.0  # em: a profile's bound where a band holds nothing
SHAPE = 110  # of 255, from which on a pixel of a filled shape is ink


@dataclass(frozen=True, slots=True)
class Glyph:
    """One symbol, as it may be written.

    Attributes:
        field: distances.
        kind: index into SYMBOLS.
        origin: where x = 0 on the baseline is, in pixels of the field.
        box: left, top, right, bottom of the pen's way in ems; its left is 0.
        profile: (BANDS, 2) leftmost and rightmost x in each band, ems.
        pen: half the width of the pen that belongs to it, ems; None where any will do, 0 where the
            shape is solid.
        tail: where a pen that goes on leaves it, ems.
    """

    field: Field
    kind: int
    origin: Point
    box: tuple[float, float, float, float]
    profile: NDArray[np.float32]
    pen: float | None
    tail: Point


def from_strokes(strokes: Sequence[Points], kind: int) -> Glyph:
    """Draw strokes (polylines in ems, y down from the baseline) as a glyph."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    high = points.max(axis=0)
    extent = np.ceil((high - low) * EM) + 2 * PAD + 1
    width, height = extent.astype(int)

    way = np.full((height, width), 255, np.uint8)
    places = [fixed_point((stroke - low) * EM + PAD) for stroke in strokes]
    cv2.polylines(way, places, isClosed=False, color=0, thickness=1, shift=FRACTION)

    x, y = strokes[-1][-1].tolist()

    return from_way(way, low[1], kind, None, (x - low[0], y))


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
    distance = cv2.distanceTransform(way, cv2.DIST_L2, 5)
    if pen != 0:
        smooth = cv2.GaussianBlur(distance, (0, 0), 0.8)
        distance = np.maximum(smooth - 0.5, 0)

    ys, xs = np.nonzero(way == 0)
    x = (xs - PAD) / EM
    y = (ys - PAD) / EM + top
    if tail is None:
        last = np.argmax(x + 0.3 * y)
        tail = (x[last], y[last])

    return Glyph(
        field=np.clip(distance * FINENESS, 0, 255).astype(np.uint8),
        kind=kind,
        origin=(PAD, PAD - top * EM),
        box=(0.0, top, x.max(), y.max()),
        profile=_profile(x, y),
        pen=pen,
        tail=tail,
    )


def _profile(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the leftmost and rightmost x in each band of height."""
    band = ((y - TOP) / BAND).astype(int)
    band = np.clip(band, 0, BANDS - 1)
    profile = np.full((BANDS, 2), (FAR, -FAR), np.float32)
    np.minimum.at(profile[:, 0], band, x)
    np.maximum.at(profile[:, 1], band, x)

    return profile


def from_shape(solid: Plane, kind: int, height: float = 1.0) -> Glyph:
    """Make a glyph of a filled shape.

    Args:
        solid: uint8 (H, W), ink wherever it is above 127.
        kind: index into SYMBOLS.
        height: of the shape, which stands on the baseline, ems.

    Returns:
        The glyph.
    """
    left, top, width, tall = cv2.boundingRect((solid > 127).view(np.uint8))
    scale = height * EM / tall
    size = [max(2, round(side * scale)) for side in (width, tall)]
    shape = solid[top : top + tall, left : left + width]
    small = cv2.resize(shape, size, interpolation=cv2.INTER_AREA)

    return from_way(as_way(small, SHAPE), -height, kind, 0.0)


def as_way(line: Array, least: int) -> Plane:
    """Return a pen's way, 0, wherever a picture is above `least`, with PAD pixels around."""
    way = np.where(line > least, 0, 255).astype(np.uint8)
    return np.pad(way, PAD, constant_values=255)


def united(first: Glyph, second: Glyph, kind: int) -> Glyph:
    """Write one glyph over another, their middles together: a digit that is struck out.

    Args:
        first: gives the baseline and the pen.
        second: goes over it.
        kind: of the result, index into SYMBOLS.

    Returns:
        The glyph of both.
    """
    height, width = np.maximum(first.field.shape, second.field.shape).tolist()
    both = np.full((height, width), 255, np.uint8)
    for glyph in (first, second):
        tall, wide = glyph.field.shape
        y = (height - tall) // 2
        x = (width - wide) // 2
        part = both[y : y + tall, x : x + wide]
        np.minimum(part, glyph.field, out=part)

    tall, _ = first.field.shape
    base = first.origin[1] + (height - tall) // 2
    top = (PAD - base) / EM
    bottom = top + (height - 2 * PAD) / EM
    right = (width - 2 * PAD) / EM

    return Glyph(
        field=both,
        kind=kind,
        origin=(PAD, base),
        box=(0.0, top, right, bottom),
        profile=np.full((BANDS, 2), (0, right), np.float32),
        pen=first.pen,
        tail=(right, bottom),
    )
