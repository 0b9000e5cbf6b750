"""Somebody writes: symbols -> ink, either drawn here stroke by stroke or made from MNIST's digits.

Knows hands and pens; returns one symbol's ink at the height that is wanted, float32 (H, W), bare 0
to covered 1, in its tight box. Knows nothing of paper, lines or pictures. Every function that
varies something takes the generator to draw from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.float32]
Points = NDArray[np.float64]  # (K, 2): x to the right and y down, in heights of the symbol
Glyph = tuple[Points, ...]  # one array a stroke

STEPS = 12  # points of the curve between two control points
SUPERSAMPLING = 4  # strokes are drawn this much larger and area-averaged
THINNEST = 0.4  # of an MNIST digit's thin strokes that a thinner pen leaves; less would break them
NARROWEST = 1.5  # pixels of a stroke; less would fall between the pixels here and there
SOLID = 0.5  # ink from which on a pixel counts as covered

# How symbols are drawn: control points "x,y" in hundredths of the height, strokes separated by |, a
# point given twice is a corner. The ways to write a digit are those taught in schools: a 1 with a
# flag and a foot, a crossed 7, an open and a closed 4.
DIGITS: Mapping[int, Mapping[str, str]] = {
    0: {
        "round": "32,0 8,20 2,52 10,84 32,100 54,84 62,50 54,16 30,1",
        "narrow": "34,2 14,20 4,60 16,96 34,94 48,50 44,14 24,2",
        "overshot": "40,4 14,10 2,50 14,94 36,98 58,70 58,30 40,4 22,8 16,18",
        "slashed": "32,0 8,20 2,52 10,84 32,100 54,84 62,50 54,16 30,1|62,4 4,96",
    },
    1: {
        "stick": "10,0 9,50 8,100",
        "flag": "0,28 18,14 28,0 28,0 28,50 27,100",
        "long flag": "0,48 18,26 32,0 32,0 31,50 30,100",
        "foot": "6,22 18,12 28,0 28,0 28,50 28,99|2,99 28,100 54,98",
    },
    2: {
        "plain": "4,22 12,6 30,0 50,10 52,30 36,60 2,98 2,98 30,98 60,95",
        "loop": "4,22 14,4 32,0 52,14 48,42 24,78 8,92 4,84 16,80 34,90 64,98",
        "angular": "4,16 28,0 54,12 50,34 0,99 0,99 60,99",
    },
    3: {
        "round": "6,12 26,0 50,8 52,28 28,46 28,46 54,54 60,74 42,98 20,100 2,88",
        "flat": "6,2 30,3 56,1 56,1 40,22 26,40 26,40 50,48 60,70 46,94 24,100 2,88",
        "curly": "8,16 30,0 52,14 42,40 22,46 28,50 56,58 56,86 28,100 4,90",
    },
    4: {
        "open": "14,2 8,30 2,58 2,58 30,57 62,55|46,22 44,60 42,100",
        "closed": "44,100 45,50 46,0 46,0 20,36 0,67 0,67 32,66 64,65",
        "triangle": "40,0 20,34 2,64 2,64 34,64 62,62|44,0 43,50 42,100",
        "curved": "16,2 6,34 10,52 34,52 52,48|52,4 48,52 42,100",
    },
    5: {
        "bar apart": "10,6 8,26 4,46 4,46 30,37 54,48 58,72 44,94 20,100 0,90|9,4 32,3 58,1",
        "one stroke": "58,1 34,2 12,3 12,3 9,26 6,46 6,46 32,37 56,50 58,74 42,96 20,99 0,90",
        "snaky": "56,2 30,1 14,8 12,34 32,44 52,60 50,86 28,100 2,92",
    },
    6: {
        "round": "48,3 24,18 8,50 6,80 26,100 50,90 56,68 38,52 18,62 7,82",
        "straight": "42,0 24,30 6,68 14,96 40,98 52,78 40,60 18,66 8,80",
        "curled": "52,12 38,0 16,20 4,60 14,94 40,98 54,76 42,56 20,62 10,84",
    },
    7: {
        "plain": "2,4 30,3 58,1 58,1 40,48 22,100",
        "crossed": "2,5 30,4 58,1 58,1 38,50 22,100|12,52 34,49 58,47",
        "serif": "2,18 4,4 4,4 30,6 60,2 60,2 42,40 32,100",
        "serif crossed": "0,16 4,3 4,3 30,5 60,1 60,1 40,44 30,100|16,56 38,52 60,50",
    },
    8: {
        "snaky": "52,10 30,0 10,14 14,36 34,50 54,68 48,94 24,100 4,84 12,62 34,48 52,30 50,10",
        "two rings": "30,46 10,34 10,12 30,0 50,12 50,34 30,46|30,46 4,58 4,88 30,100 56,88 56,58 30,46",
        "open": "56,6 34,0 12,14 18,38 44,56 56,80 36,100 8,92 8,68 32,48 54,26 60,12",
    },
    9: {
        "stem": "54,20 32,0 8,12 6,38 28,48 48,36 54,18 54,18 53,60 50,100",
        "hooked": "54,18 30,0 6,16 10,42 34,46 52,24 54,14 54,60 40,94 20,98 4,88",
        "bent": "50,22 36,2 12,10 8,36 28,46 48,28 50,20 46,56 24,100",
    },
}
RARE = ("slashed", "foot", "snaky", "curly")  # ways of writing that fewer people have
LETTERS: Mapping[str, str] = {  # none that a person could take for a digit
    "A": "0,100 18,50 34,0 34,0 52,50 68,100|12,64 58,62",
    "E": "54,2 6,2 6,2 4,98 4,98 56,98|6,48 44,47",
    "F": "54,2 8,3 8,3 6,100|8,48 44,46",
    "H": "6,0 4,100|56,0 54,100|5,50 55,48",
    "K": "6,0 4,100|54,2 8,52 8,52 58,100",
    "M": "0,100 8,0 8,0 38,60 38,60 66,0 66,0 76,100",
    "N": "4,100 4,0 4,0 56,100 56,100 56,0",
    "P": "6,100 6,2 6,2 40,2 54,22 38,46 8,50",
    "R": "6,100 6,2 6,2 40,2 54,22 38,46 8,50 8,50 56,100",
    "V": "0,0 28,100 28,100 56,0",
    "W": "0,0 18,100 18,100 38,30 38,30 58,100 58,100 78,0",
    "X": "2,0 58,100|58,0 0,100",
    "a": "78,20 50,2 10,20 4,70 30,98 64,70 80,12 80,12 78,70 92,98",
    "e": "6,56 80,48 66,10 36,0 6,30 6,70 36,100 80,84",
    "h": "8,0 6,100 6,100 14,56 34,46 48,60 48,100",
    "k": "8,0 6,100|44,42 8,70 8,70 48,100",
    "m": "4,4 6,100 6,100 14,20 40,6 54,30 54,100 54,100 62,20 88,6 104,30 104,100",
    "n": "6,4 8,100 8,100 18,20 48,6 66,30 66,100",
    "r": "6,4 8,100 8,100 14,30 40,4 60,12",
    "w": "0,4 16,100 16,100 40,30 40,30 62,100 62,100 84,4",
    "x": "4,4 76,98|74,2 0,100",
    "alpha": "100,0 70,60 40,98 6,80 4,36 36,4 66,36 104,98",
    "lambda": "4,4 16,0 26,10 62,100|38,38 0,100",
    "pi": "0,14 12,2 90,4|26,6 18,98|64,6 66,84 82,96",
}
DOODLES: Mapping[str, str] = {
    "heart": "50,28 36,2 8,4 2,34 22,70 50,100 50,100 82,68 98,34 90,4 64,2 50,28",
    "star": "18,100 50,0 50,0 84,98 84,98 0,36 0,36 100,36 100,36 18,100",
    "face": "50,0 14,16 0,52 16,86 50,100 86,84 100,50 84,14 48,0|32,30 32,42|66,30 66,42|26,62 48,80 74,62",
    "house": "10,100 10,42 10,42 50,0 50,0 92,42 92,42 92,100 92,100 8,100|4,46 98,46|40,100 40,66 40,66 60,66 60,66 60,100",
    "arrow": "0,50 150,50|118,10 150,50 150,50 118,92",
    "wave": "0,50 20,0 44,50 68,100 92,50 114,0 138,50 160,100 180,50",
    "spiral": "50,50 56,44 62,54 48,64 34,50 48,30 74,42 72,78 36,86 12,50 36,6 90,14 104,62 70,104",
    "flower": "50,50 30,20 50,4 68,22 50,50 84,34 98,52 80,68 50,50 66,84 48,98 32,82 50,50 14,66 2,48 18,32 50,50|50,98 52,160",
    "sun": "50,25 28,32 24,56 40,74 64,72 76,50 68,30 48,25|50,0 50,14|50,86 50,100|0,50 14,50|86,50 99,50|14,14 24,24|86,86 76,76",
    "grid": "20,0 20,100|50,0 50,100|80,0 80,100|0,20 100,20|0,50 100,50|0,80 100,80",
}


@dataclass(frozen=True)
class Pen:
    """What is written with. width and variation: of the symbol's height, and of the width, along
    the stroke.

    grain: share of a stroke that the paper's tooth leaves bare, 0-1. opacity: what it covers
        elsewhere, 0-1.
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
    """How one person writes. slant: degrees, to the right where positive. breadth: of symbols, 1 as
    taught.

    unsteadiness: standard deviation of control points, and unevenness: of sizes and places; both in
        heights of a symbol.
    mnist: the share of digits that are MNIST's. styles: the way to write each digit, for those
        drawn here.
    """

    slant: float = 0.0
    breadth: float = 1.0
    unsteadiness: float = 0.02
    unevenness: float = 0.05
    mnist: float = 0.5
    styles: Mapping[int, str] = field(
        default_factory=lambda: {digit: next(iter(styles)) for digit, styles in DIGITS.items()}
    )


def random_hand(rng: np.random.Generator, *, mnist: float) -> Hand:
    """A person. mnist: the probability that their digits come from MNIST, where nearly every one is
    by somebody else.
    """
    styles = {digit: _common(list(ways), rng) for digit, ways in DIGITS.items()}
    return Hand(
        slant=float(np.clip(rng.normal(5, 9), -15, 28)),
        breadth=float(rng.uniform(0.8, 1.25)),
        unsteadiness=float(rng.uniform(0.008, 0.03)),
        unevenness=float(rng.uniform(0.01, 0.08)),
        mnist=float(rng.random() < mnist),
        styles=styles,
    )


def _common(ways: list[str], rng: np.random.Generator) -> str:
    weights = np.array([0.35 if way in RARE else 1.0 for way in ways])
    return str(rng.choice(ways, p=weights / weights.sum()))


def parse(glyph: str) -> Glyph:
    """Control points as they are written above -> a stroke a curve, in heights."""
    strokes = [
        [tuple(map(float, point.split(","))) for point in stroke.split()]
        for stroke in glyph.split("|")
    ]
    return tuple(np.array(stroke) / 100 for stroke in strokes)


def varied(glyph: Glyph, hand: Hand, rng: np.random.Generator) -> Glyph:
    """The glyph as this hand writes it this time: broader, leaning, and no two alike."""
    lean = np.tan(np.deg2rad(hand.slant + rng.normal(0, 2)))
    shape = np.array([[hand.breadth * rng.normal(1, 0.05), 0], [-lean, 1]])
    return tuple((stroke + _unsteady(stroke, hand, rng)) @ shape for stroke in glyph)


def _unsteady(stroke: Points, hand: Hand, rng: np.random.Generator) -> Points:
    """Shifts of the control points; the two of a corner move together."""
    shifts = rng.normal(0, hand.unsteadiness, stroke.shape)
    for place in _corners(stroke):
        shifts[place] = shifts[place - 1]
    return shifts


def _corners(stroke: Points) -> NDArray[np.int64]:
    return 1 + np.flatnonzero((stroke[1:] == stroke[:-1]).all(axis=1))


def smooth(stroke: Points) -> Points:
    """The curve through (K, 2) control points: (M, 2), smooth except at points given twice.

    Source: Catmull & Rom 1974, "A class of local interpolating splines".
    """
    return np.concatenate([_curve(piece) for piece in np.split(stroke, _corners(stroke))])


def _curve(points: Points) -> Points:
    if len(points) < 2:
        return points

    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, STEPS, endpoint=False)[:, None, None]
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )  # (STEPS, K - 1, 2)

    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def draw(glyph: Glyph, height: float, pen: Pen, rng: np.random.Generator) -> Ink:
    """Draw a glyph's strokes with a pen. height: pixels of a glyph of height 1, from the middle of
    the pen to the middle.
    """
    curves = [smooth(stroke) for stroke in glyph]
    thickness = max(1.0, pen.width * height)
    margin = 2 + 2 * thickness
    everywhere = np.concatenate(curves)
    low, high = everywhere.min(axis=0), everywhere.max(axis=0)
    width, tall = (np.ceil((high - low) * height + 2 * margin)).astype(int)

    canvas = np.zeros((tall * SUPERSAMPLING, width * SUPERSAMPLING), np.uint8)
    for curve in curves:
        _stroke(
            canvas, (curve - low) * height + margin, thickness * _pressure(len(curve), pen, rng)
        )

    small = cv2.resize(canvas, (int(width), int(tall)), interpolation=cv2.INTER_AREA)
    return _covered(np.asarray(small / 255, np.float32), pen, rng)


def _pressure(points: int, pen: Pen, rng: np.random.Generator) -> Points:
    """The pen's width along a stroke, (points,), about 1."""
    knots = rng.normal(1, pen.variation / 2, 5)
    return np.interp(np.linspace(0, 4, points), np.arange(5), np.clip(knots, 0.4, 1.8))


def _stroke(canvas: NDArray[np.uint8], curve: Points, widths: Points) -> None:
    """Draw a polyline. curve: (M, 2) and widths: (M,), pixels before supersampling."""
    places = np.rint(curve * SUPERSAMPLING).astype(int)
    thick = np.maximum(1, np.rint(widths * SUPERSAMPLING)).astype(int)
    for start, end, width in zip(places[:-1], places[1:], thick[:-1], strict=True):
        cv2.line(canvas, start.tolist(), end.tolist(), 255, int(width))


def from_mnist(image: NDArray[np.uint8], height: float, pen: Pen, rng: np.random.Generator) -> Ink:
    """An MNIST digit at another size, its outline smoothed and its strokes brought to the pen's
    width as far as they allow.

    image: (28, 28) uint8, paper 0 to ink 255. height: pixels.
    """
    left, top, width, tall = cv2.boundingRect((image > 127).view(np.uint8))
    tight = cv2.copyMakeBorder(
        image[top : top + tall, left : left + width], 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(0,)
    )
    scale = min(height / tall, 1.6 * height / width)
    large = cv2.resize(tight, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    outline = (cv2.GaussianBlur(large, (0, 0), max(0.3, 0.4 * scale)) > 100).view(np.uint8)
    inside, outside = (
        np.asarray(cv2.distanceTransform(side, cv2.DIST_L2, 5), np.float32)
        for side in (outline, 1 - outline)
    )

    thin, half = np.percentile(_half_widths(inside), (5, 50))
    thinnest = max(THINNEST * thin, NARROWEST / 2)
    wider = float(np.clip(pen.width * height / 2 - half, thinnest - thin, 2.5 * scale))
    distance = np.asarray(
        cv2.GaussianBlur(inside - outside, (0, 0), max(0.3, 0.25 * scale)), np.float32
    )

    return _covered(np.clip(distance + np.float32(wider + 0.5), 0, 1), pen, rng)


def _half_widths(inside: Ink) -> Ink:
    """Half the width of the strokes at each place along their middle. inside: distance to the
    outline.
    """
    middle = (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8))) & (inside > 0)
    return inside[middle] if middle.any() else np.ones(1, np.float32)


def _covered(ink: Ink, pen: Pen, rng: np.random.Generator) -> Ink:
    """What the pen leaves of full ink: in its tight box, with the paper's tooth showing through."""
    if pen.hard:
        ink = (ink > SOLID).astype(np.float32)

    left, top, width, height = cv2.boundingRect((ink > SOLID / 2).view(np.uint8))
    ink = ink[top : top + height, left : left + width]
    if pen.grain:
        # deviation about 1
        tooth = cv2.GaussianBlur(rng.standard_normal(ink.shape, np.float32), (0, 0), 0.8) / 0.35
        ink = ink * np.clip(1 - pen.grain * (1 + tooth), 0, 1)

    return (ink * pen.opacity).astype(np.float32)


def crossing(breadth: float, rng: np.random.Generator) -> Glyph:
    """What strikes a symbol out, never one line alone: a cross, hatching or a zigzag. breadth: of
    the symbol, in heights.
    """
    kind = rng.integers(3)
    strokes: list[list[tuple[float, float]]]
    if kind == 0:
        strokes = [[(0, 0), (1, 1)], [(1, 0), (0, 1)], [(0, 0.5), (1, 0.45)]]
    elif kind == 1:
        strokes = [
            [(0, y + 0.15), (1, y - 0.15)]
            for y in np.linspace(0.15, 0.85, int(rng.integers(3, 5))).tolist()
        ]
    else:
        turns = int(rng.integers(6, 10))
        strokes = [[(place / (turns - 1), place % 2) for place in range(turns)]]

    size = np.array([1.3 * max(breadth, 0.45), 1])
    return tuple(
        (np.array(stroke) + rng.normal(0, 0.06, (len(stroke), 2))) * size for stroke in strokes
    )


def scribble(rng: np.random.Generator) -> Glyph:
    """A line that goes anywhere, crossing itself."""
    return (rng.uniform(0, 1, (int(rng.integers(9, 18)), 2)) * [1.4, 1],)
