"""A person writes: a symbol comes in, its ink goes out.

Ink is drawn stroke by stroke or made from MNIST's digits, at a given height: float32 (H, W), bare 0
to covered 1, in its bounding box. Every function that varies something takes the generator to draw
from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import Array, Plane
from inkdigits.data.synthetic.glyphs import (
    DIGIT_GLYPHS,
    RARE_WAYS,
    Glyph,
    Points,
    corners,
    smooth,
)
from inkdigits.data.synthetic.pages.paper import Layer

STROKE_SUPERSAMPLING = 4  # strokes are drawn this much larger and area-averaged
THINNEST_SHARE = 0.4  # of an MNIST digit's thin strokes that a pen leaves; less would break them
NARROWEST_STROKE = 1.5  # pixels of a stroke; less would fall between the pixels here and there
SOLID_INK = 0.5  # ink from which on a pixel counts as covered


@dataclass(frozen=True)
class Pen:
    """A pen.

    Attributes:
        name: in words.
        width: of a stroke, in heights of the symbol.
        variation: of the width along the stroke, as a share of it.
        grain: share of a stroke that the paper's tooth leaves bare, 0-1.
        opacity: what it covers elsewhere, 0-1.
        hard: every pixel is covered or not, as in a paint program.
    """

    name: str
    width: float
    variation: float = 0.0
    grain: float = 0.0
    opacity: float = 1.0
    hard: bool = False


@dataclass(frozen=True)
class Hand:
    """How one person writes.

    Attributes:
        slant: degrees, to the right where positive.
        breadth: of symbols, 1 as taught.
        unsteadiness: standard deviation of control points, in heights of a symbol.
        unevenness: standard deviation of sizes and places, in heights of a symbol.
        mnist: the share of digits that are MNIST's.
        styles: the way to write each digit that is drawn.
    """

    slant: float = 0.0
    breadth: float = 1.0
    unsteadiness: float = 0.02
    unevenness: float = 0.05
    mnist: float = 0.5
    styles: Mapping[int, str] = field(
        default_factory=lambda: {digit: next(iter(ways)) for digit, ways in DIGIT_GLYPHS.items()}
    )


def random_hand(rng: Generator, *, mnist: float) -> Hand:
    """Return a person.

    Args:
        rng: draws the hand.
        mnist: the probability that all their digits come from MNIST, where nearly every one is by
            another person.
    """
    styles = {digit: _random_way(list(ways), rng) for digit, ways in DIGIT_GLYPHS.items()}
    return Hand(
        slant=float(np.clip(rng.normal(5, 9), -15, 28)),
        breadth=rng.uniform(0.8, 1.25),
        unsteadiness=rng.uniform(0.008, 0.03),
        unevenness=rng.uniform(0.01, 0.08),
        mnist=float(rng.random() < mnist),
        styles=styles,
    )


def _random_way(ways: list[str], rng: Generator) -> str:
    weights = np.array([0.35 if way in RARE_WAYS else 1.0 for way in ways])
    return str(rng.choice(ways, p=weights / weights.sum()))


# ---- glyphs


def varied(glyph: Glyph, hand: Hand, rng: Generator) -> Glyph:
    """Return the glyph as this hand writes it this time: broader, leaning, and no two alike."""
    lean = np.tan(np.deg2rad(hand.slant + rng.normal(0, 2)))
    shape = np.array([[hand.breadth * rng.normal(1, 0.05), 0], [-lean, 1]])
    return tuple((stroke + _unsteady(stroke, hand, rng)) @ shape for stroke in glyph)


def _unsteady(stroke: Points, hand: Hand, rng: Generator) -> Points:
    """Return shifts of the control points; the two of a corner move together."""
    shifts = rng.normal(0, hand.unsteadiness, stroke.shape)
    for place in corners(stroke):
        shifts[place] = shifts[place - 1]
    return shifts


def crossing(breadth: float, rng: Generator) -> Glyph:
    """Return what strikes a symbol out: a cross, hatching or a zigzag, never one line alone.

    Args:
        breadth: of the symbol, in heights.
        rng: draws the strokes.
    """
    kind = rng.integers(3)
    strokes: list[list[tuple[float, float]]]
    if kind == 0:
        strokes = [[(0, 0), (1, 1)], [(1, 0), (0, 1)], [(0, 0.5), (1, 0.45)]]
    elif kind == 1:
        rows = np.linspace(0.15, 0.85, rng.integers(3, 5)).tolist()
        strokes = [[(0, y + 0.15), (1, y - 0.15)] for y in rows]
    else:
        turns = rng.integers(6, 10)
        strokes = [[(place / (turns - 1), place % 2) for place in range(turns)]]

    size = np.array([1.3 * max(breadth, 0.45), 1])
    return tuple(
        (np.array(stroke) + rng.normal(0, 0.06, (len(stroke), 2))) * size for stroke in strokes
    )


def scribble(rng: Generator) -> Glyph:
    """Return a line that goes anywhere, crossing itself."""
    return (rng.uniform(0, 1, (rng.integers(9, 18), 2)) * [1.4, 1],)


# ---- from glyphs to ink


def draw(glyph: Glyph, height: float, pen: Pen, rng: Generator) -> Layer:
    """Draw a glyph's strokes with a pen.

    Args:
        glyph: control points.
        height: pixels of a glyph of height 1, from the middle of the pen to the middle.
        pen: its width is relative to `height`.
        rng: draws the pressure and the grain.

    Returns:
        float32 (H, W), bare 0 to covered 1.
    """
    curves = [smooth(stroke) for stroke in glyph]
    thickness = max(1.0, pen.width * height)
    margin = 2 + 2 * thickness
    everywhere = np.concatenate(curves)
    low = everywhere.min(axis=0)
    span = (everywhere.max(axis=0) - low) * height

    width, tall = np.ceil(span + 2 * margin).astype(int).tolist()

    canvas = np.zeros((tall * STROKE_SUPERSAMPLING, width * STROKE_SUPERSAMPLING), np.uint8)
    for curve in curves:
        widths = thickness * _pressure(len(curve), pen, rng)
        _draw_stroke(canvas, (curve - low) * height + margin, widths)

    small = cv2.resize(canvas, (width, tall), interpolation=cv2.INTER_AREA)
    return _covered((small / 255).astype(np.float32), pen, rng)


def _pressure(points: int, pen: Pen, rng: Generator) -> Array:
    """Return the pen's width along a stroke, (points,), about 1."""
    knots = rng.normal(1, pen.variation / 2, 5)
    return np.interp(np.linspace(0, 4, points), np.arange(5), np.clip(knots, 0.4, 1.8))


def _draw_stroke(canvas: Plane, curve: Points, widths: Array) -> None:
    """Draw a polyline of points (M, 2) and widths (M,), in pixels before supersampling."""
    places = np.rint(curve * STROKE_SUPERSAMPLING).astype(int).tolist()
    thick = np.maximum(1, np.rint(widths * STROKE_SUPERSAMPLING)).astype(int).tolist()
    for start, end, width in zip(places[:-1], places[1:], thick[:-1], strict=True):
        cv2.line(canvas, start, end, 255, width)


def from_mnist(image: Plane, height: float, pen: Pen, rng: Generator) -> Layer:
    """Return an MNIST digit at another size, its outline smoothed, in the pen's width.

    The strokes are brought to that width as far as they allow.

    Args:
        image: (28, 28) uint8, paper 0 to ink 255.
        height: in pixels.
        pen: its width is relative to `height`.
        rng: draws the grain.

    Returns:
        float32 (H, W), bare 0 to covered 1.
    """
    left, top, width, tall = cv2.boundingRect((image > 127).view(np.uint8))
    tight = np.pad(image[top : top + tall, left : left + width], 3)
    scale = min(height / tall, 1.6 * height / width)
    large = cv2.resize(tight, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    outline = (cv2.GaussianBlur(large, (0, 0), max(0.3, 0.4 * scale)) > 100).view(np.uint8)
    inside = cv2.distanceTransform(outline, cv2.DIST_L2, 5)

    outside = cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5)

    thin, half = np.percentile(_half_widths(inside), (5, 50))
    thinnest = max(THINNEST_SHARE * thin, NARROWEST_STROKE / 2)
    wider = float(np.clip(pen.width * height / 2 - half, thinnest - thin, 2.5 * scale))
    distance = cv2.GaussianBlur(inside - outside, (0, 0), max(0.3, 0.25 * scale))

    return _covered(np.clip(distance + np.float32(wider + 0.5), 0, 1), pen, rng)


def _half_widths(inside: Layer) -> Layer:
    """Return half the width of the strokes along their middle, from the distance to the outline."""
    middle = (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8))) & (inside > 0)
    return inside[middle] if middle.any() else np.ones(1, np.float32)


def _covered(ink: Layer, pen: Pen, rng: Generator) -> Layer:
    """Return full ink as the pen leaves it: in its bounding box, with the paper's tooth in it."""
    if pen.hard:
        ink = (ink > SOLID_INK).astype(np.float32)

    left, top, width, height = cv2.boundingRect((ink > SOLID_INK / 2).view(np.uint8))
    ink = ink[top : top + height, left : left + width]
    if pen.grain:
        noise = rng.standard_normal(ink.shape, np.float32)
        tooth = cv2.GaussianBlur(noise, (0, 0), 0.8) / 0.35  # standard deviation about 1
        ink = ink * np.clip(1 - pen.grain * (1 + tooth), 0, 1)

    return (ink * pen.opacity).astype(np.float32)
