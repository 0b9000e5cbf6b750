"""Keep a bank of glyphs: MNIST's writers, digits drawn from strokes, signs and others.

Built once and shared by processes that fork afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from inkdigits.data.synthetic.glyphs import parse, smooth
from inkdigits.data.synthetic.training_pages import mnist, shapes
from inkdigits.data.synthetic.training_pages.draws import chance, integer, log_normal, one_of
from inkdigits.data.synthetic.training_pages.fields import (
    Glyph,
    Points,
    from_shape,
    from_strokes,
    united,
)
from inkdigits.data.synthetic.training_pages.pixels import Layer, ellipse
from inkdigits.reading.page.find import SIGNS

SYMBOLS = (*"0123456789", *SIGNS, "other")  # the kinds that the page reader tells apart
OTHER = SYMBOLS.index("other")

Digits = Mapping[int, Sequence[Glyph]]  # the ways in which one hand writes each digit

DRAWN_HANDS = {"train": 420, "validation": 60}
LOOSE = 0.02  # ems, deviation of a sign's control points
PLAIN_ONE = "0,0 0,50 0,100"
EXAMPLES = 2  # of each digit of a drawn hand
VARIANTS = 24  # of each sign
STRUCK_OUT = 240
PRINTED = 160
ICON_COUNT = 60
SCRIBBLES = 120
FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSansMono",
    "cmr10",
    "STIXGeneral",
)
# Signs that may stand anywhere.
ALONE = (
    *("=", "#", "*", "$", "%", "+", "x", "eur", "pound", "rupee"),
    *("(", ")", "[", "]", "{", "}"),
)
NO_DIGITS = "ACEFHKLMNPRTVWXYacdefhkmnprtuvwxy&@?!%#*+=<>€£₹ΔΛΞΠΣΨΩαβγλμπψωЖЯШЮДЛ∞√∑≠≈"


@dataclass(frozen=True, slots=True)
class Bank:
    """Everything that a split's hands can write.

    Attributes:
        writers: MNIST's writers of the split.
        drawn: hands drawn from strokes.
        plain_ones: 1s that are one straight stroke.
        signs: what stands in and around numbers, by name, those included that are read.
        letters: written ones, for words.
        others: letters, doodles, struck-out digits, printed letters and icons.
    """

    writers: Sequence[Digits]
    drawn: Sequence[Digits]
    plain_ones: Sequence[Glyph]
    signs: Mapping[str, Sequence[Glyph]]
    letters: Sequence[Glyph]
    others: Sequence[Glyph]


@cache
def bank(split: str) -> Bank:
    """Build the glyphs of a split, train or validation: half a minute and 130 MB for train."""
    rng = np.random.default_rng((71, len(split)))
    drawn = [_drawn_hand(rng) for _ in range(DRAWN_HANDS[split])]
    plain_ones = [from_strokes(drawn_strokes(PLAIN_ONE, 0.004, rng), 1) for _ in range(VARIANTS)]
    writers = mnist.hands(split)

    signs: dict[str, list[Glyph]] = {}
    for kind, ways in enumerate(shapes.SIGNS, start=10):
        signs[SYMBOLS[kind]] = _variants(ways, kind, 3 * VARIANTS, rng)

    for name, ways in shapes.AMID_NUMBERS.items():
        signs[name] = _variants(ways, OTHER, VARIANTS, rng)

    letters = list(_drawn(shapes.LETTERS, 10, rng))
    others = letters + list(_drawn(shapes.DOODLES, 8, rng))
    others += _scribbles(rng)
    signs["struck"] = list(_struck_out(writers, rng))
    others += _printed(rng)
    others += _icons(rng)
    others += signs["struck"]
    for name in ALONE:
        others += signs[name][:12]

    return Bank(writers, drawn, plain_ones, signs, letters, others)


def drawn_strokes(shape: str, loose: float, rng: Generator) -> list[Points]:
    """Turn a shape's control points into strokes.

    Args:
        shape: as `shapes` writes it.
        loose: deviation of control points, ems.
        rng: chance.

    Returns:
        For each stroke float64 (K, 2), ems on the baseline.
    """
    strokes = []
    for stroke in parse(shape):
        shifts = rng.normal(0, loose, stroke.shape)
        strokes.append(_curve(stroke, shifts))

    return strokes


def _curve(stroke: Points, shifts: Points) -> Points:
    """Shift control points and draw the curve through them; the two of a corner move together."""
    is_corner = (stroke[1:] == stroke[:-1]).all(axis=1)
    for place in np.flatnonzero(is_corner):
        shifts[place + 1] = shifts[place]

    return smooth(stroke + shifts) - (0, 1)


def _drawn_hand(rng: Generator) -> dict[int, list[Glyph]]:
    """Draw the digits of a hand that takes one way for each digit and keeps to it, nearly."""
    loose = rng.uniform(0.008, 0.035)
    hand: dict[int, list[Glyph]] = {}
    for digit, ways in enumerate(shapes.DIGITS):
        strokes = parse(one_of(ways, rng))
        habits = [rng.normal(0, 0.03, stroke.shape) for stroke in strokes]
        proportion = log_normal(1, 0.12, rng)

        hand[digit] = []
        for _ in range(EXAMPLES):
            drawn = []
            for stroke, habit in zip(strokes, habits, strict=True):
                shifts = habit + rng.normal(0, loose, stroke.shape)
                drawn.append(_curve(stroke, shifts) * (proportion, 1))

            hand[digit].append(from_strokes(drawn, digit))

    return hand


def _variants(
    ways: Sequence[str],
    kind: int,
    count: int,
    rng: Generator,
) -> list[Glyph]:
    """Draw a sign so many times, its ways in turn."""
    turns = islice(cycle(ways), count)
    return [from_strokes(drawn_strokes(way, LOOSE, rng), kind) for way in turns]


def _drawn(table: Mapping[str, str], count: int, rng: Generator) -> Iterator[Glyph]:
    """Draw each shape of a table `count` times, some of them loosely."""
    for shape in table.values():
        for _ in range(count):
            loose = rng.uniform(0.01, 0.05)
            yield from_strokes(drawn_strokes(shape, loose, rng), OTHER)


def _scribbles(rng: Generator) -> Iterator[Glyph]:
    """Let a pen wander about, in curves or to and fro."""
    for _ in range(SCRIBBLES):
        count = rng.integers(6, 18)
        if chance(0.6, rng):
            points = np.cumsum(rng.normal(0, 0.3, (count, 2)), axis=0)
        else:
            across = np.linspace(0, 1, count)
            down = np.arange(count) % 2 + rng.normal(0, 0.1, count)
            points = np.column_stack([across, down])

        points -= points.min(axis=0)
        way = smooth(points / points.max()) - (0, 1)
        yield from_strokes([way], OTHER)


def _printed(rng: Generator) -> Iterator[Glyph]:
    """Take letters of print, large enough to stand alone."""
    for _ in range(PRINTED):
        letter = one_of(NO_DIGITS, rng)
        font = face(one_of(FACES, rng), 80)
        if bytes(font.getmask(letter)) == bytes(font.getmask("\uffff")):
            continue  # the face lacks this letter

        canvas = Image.new("L", (140, 140))
        ImageDraw.Draw(canvas).text((70, 70), letter, 255, font=font, anchor="mm")
        yield from_shape(np.asarray(canvas), OTHER, rng.uniform(0.8, 1.1))


def _icons(rng: Generator) -> Iterator[Glyph]:
    """Fill shapes."""
    for draw in islice(cycle(ICONS), ICON_COUNT):
        canvas = np.zeros((120, 120), np.uint8)
        draw(canvas, rng)
        if (canvas > 0).sum() > 400:
            yield from_shape(canvas, OTHER)


def _smiley(canvas: Layer, rng: Generator) -> None:
    """Fill a face with holes for eyes and mouth."""
    cv2.circle(canvas, (60, 60), 50, 255, -1)
    for x in (42, 78):
        cv2.circle(canvas, (x, 46), integer(4, 10, rng), 0, -1)

    start = one_of((0, 180), rng)
    thick = integer(3, 9, rng)
    cv2.ellipse(canvas, (60, 74), (24, 16), 0, start, start + 180, 0, thick)


def _polygon(canvas: Layer, rng: Generator) -> None:
    """Fill a polygon."""
    corners = rng.integers(6, 114, (rng.integers(3, 8), 2))
    cv2.fillPoly(canvas, [corners.astype(np.int32)], 255)


def _bars(canvas: Layer, rng: Generator) -> None:
    """Fill bars that stand on a line."""
    for x in range(10, 110, rng.integers(14, 30)):
        top = integer(10, 90, rng)
        right = x + integer(4, 12, rng)
        cv2.rectangle(canvas, (x, top), (right, 110), 255, -1)


def _blots(canvas: Layer, rng: Generator) -> None:
    """Fill ellipses, some of them with holes."""
    for _ in range(rng.integers(2, 6)):
        centre = rng.integers(30, 90, 2)
        axes = rng.integers(8, 36, 2)
        colour = 255 if chance(0.75, rng) else 0
        ellipse(canvas, centre, axes, rng.uniform(0, 180), colour)


ICONS = (_smiley, _polygon, _bars, _blots)


def _struck_out(writers: Sequence[Digits], rng: Generator) -> Iterator[Glyph]:
    """Strike out digits of some writers."""
    for _ in range(STRUCK_OUT):
        hand = one_of(writers, rng)
        ways = hand[integer(0, 10, rng)]
        crossing = one_of(shapes.CROSSINGS, rng)
        digit = one_of(ways, rng)
        line = from_strokes(drawn_strokes(crossing, 0.05, rng), OTHER)
        yield united(digit, line, OTHER)


@cache
def face(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load a typeface that matplotlib carries; Pillow's own where there is none."""
    try:
        import matplotlib as mpl

        file = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
        return ImageFont.truetype(file, size)
    except (ImportError, OSError):
        return ImageFont.load_default(size)
