"""Keep a bank of glyphs by hand: MNIST's writers, digits drawn from strokes, separators, and
everything that is something else.

Built once and shared by processes that fork afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from inkdigits.data.synthetic.pages.writing import parse, smooth
from inkdigits.data.synthetic.training_pages import mnist, shapes
from inkdigits.data.synthetic.training_pages.fields import (
    Glyph,
    Points,
    from_shape,
    from_strokes,
    united,
)

SYMBOLS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", ".", ",", "-", "/", ":", "other")
OTHER = SYMBOLS.index("other")

Digits = Mapping[int, Sequence[Glyph]]  # the ways in which one hand writes each digit

DRAWN_HANDS = {"train": 420, "validation": 60}
EXAMPLES = 2  # of each digit of a drawn hand
VARIANTS = 24  # of each separator and sign
STRUCK_OUT = 240
PRINTED = 160
ICONS = 60
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
NO_DIGITS = "ACEFHKLMNPRTVWXYacdefhkmnprtuvwxy&@?!%#*+=<>€£₹ΔΛΞΠΣΨΩαβγλμπψωЖЯШЮДЛ∞√∑≠≈"


@dataclass(frozen=True, slots=True)
class Bank:
    """Everything that a split's hands can write.

    Attributes:
        writers: MNIST's writers of the split; drawn: hands drawn from strokes.
        signs: what stands in and around numbers, by name, separators included.
        letters: written ones, for words. others: letters, doodles, struck-out digits, printed
            letters and icons.
    """

    writers: Sequence[Digits]
    drawn: Sequence[Digits]
    signs: Mapping[str, Sequence[Glyph]]
    letters: Sequence[Glyph]
    others: Sequence[Glyph]


@cache
def bank(split: str) -> Bank:
    """Build the glyphs of a split, train or validation: half a minute and 130 MB for train."""
    rng = np.random.default_rng((71, len(split)))
    drawn = [_drawn_hand(rng) for _ in range(DRAWN_HANDS[split])]
    writers = mnist.hands(split)

    signs: dict[str, list[Glyph]] = {}
    for kind, ways in enumerate(shapes.SEPARATORS, start=10):
        signs[SYMBOLS[kind]] = _variants(ways, kind, 3 * VARIANTS, rng)
    for name, ways in shapes.AMID_NUMBERS.items():
        signs[name] = _variants(ways, OTHER, VARIANTS, rng)

    letters = list(_drawn(shapes.LETTERS, 10, rng))
    others = [*letters, *_drawn(shapes.DOODLES, 8, rng), *_scribbles(rng)]
    signs["struck"] = list(_struck_out(writers, rng))
    others += [*_printed(rng), *_icons(rng), *signs["struck"]]
    for name in ("=", "#", "*", "$", "%", "+", "x", "(", ")", "[", "]", "eur", "pound", "rupee"):
        others += signs[name][:12]
    return Bank(writers, drawn, signs, letters, others)


def drawn_strokes(shape: str, rng: Generator, *, loose: float = 0.02) -> list[Points]:
    """Turn a shape's control points into strokes in ems on the baseline. loose: deviation of
    control points, ems.
    """
    strokes = []
    for stroke in parse(shape):
        shifts = rng.normal(0, loose, stroke.shape)
        for place in 1 + np.flatnonzero((stroke[1:] == stroke[:-1]).all(axis=1)):
            shifts[place] = shifts[place - 1]
        strokes.append(smooth(stroke + shifts) - (0, 1))
    return strokes


def _drawn_hand(rng: Generator) -> dict[int, list[Glyph]]:
    """Draw the digits of a hand that takes one way for each digit and keeps to it, nearly."""
    looseness = float(rng.uniform(0.008, 0.035))
    hand = {}
    for digit, ways in enumerate(shapes.DIGITS):
        way = str(rng.choice(ways))
        habit = [rng.normal(0, 0.03, stroke.shape) for stroke in parse(way)]
        proportion = float(np.exp(rng.normal(0, 0.12)))
        hand[digit] = [
            from_strokes(_habitual(way, habit, looseness, proportion, rng), digit)
            for _ in range(EXAMPLES)
        ]
    return hand


def _habitual(
    way: str, habit: list[Points], loose: float, proportion: float, rng: Generator
) -> list[Points]:
    """Draw a shape with a hand's habitual shifts of its control points, and new ones each time."""
    strokes = []
    for stroke, usual in zip(parse(way), habit, strict=True):
        shifts = usual + rng.normal(0, loose, stroke.shape)
        for place in 1 + np.flatnonzero((stroke[1:] == stroke[:-1]).all(axis=1)):
            shifts[place] = shifts[place - 1]
        strokes.append((smooth(stroke + shifts) - (0, 1)) * (proportion, 1))
    return strokes


def _variants(ways: Sequence[str], kind: int, count: int, rng: Generator) -> list[Glyph]:
    return [from_strokes(drawn_strokes(ways[i % len(ways)], rng), kind) for i in range(count)]


def _drawn(table: Mapping[str, str], count: int, rng: Generator) -> Iterator[Glyph]:
    """Draw each shape of a table `count` times, some of them loosely."""
    for shape in table.values():
        for _ in range(count):
            yield from_strokes(drawn_strokes(shape, rng, loose=rng.uniform(0.01, 0.05)), OTHER)


def _scribbles(rng: Generator) -> Iterator[Glyph]:
    """Let a pen wander about, in curves or to and fro."""
    for _ in range(SCRIBBLES):
        n = int(rng.integers(6, 18))
        if rng.random() < 0.6:
            points = np.cumsum(rng.normal(0, 0.3, (n, 2)), axis=0)
        else:
            points = np.column_stack(
                [np.linspace(0, 1, n), np.arange(n) % 2 + rng.normal(0, 0.1, n)]
            )
        points -= points.min(axis=0)
        yield from_strokes([smooth(points / max(1e-3, float(points.max()))) - (0, 1)], OTHER)


def _printed(rng: Generator) -> Iterator[Glyph]:
    """Take letters of print, large enough to stand alone."""
    for _ in range(PRINTED):
        canvas = Image.new("L", (140, 140))
        letter = NO_DIGITS[rng.integers(len(NO_DIGITS))]
        font = face(FACES[rng.integers(len(FACES))], 80)
        if bytes(font.getmask(letter)) == bytes(font.getmask("\uffff")):
            continue  # the face lacks this letter
        ImageDraw.Draw(canvas).text((70, 70), letter, 255, font=font, anchor="mm")
        picture = np.asarray(canvas)
        if picture.max() > 127:
            yield from_shape(picture, OTHER, float(rng.uniform(0.8, 1.1)))


def _icons(rng: Generator) -> Iterator[Glyph]:
    """Fill shapes: faces with holes for eyes, blots, bars, polygons, rings."""
    for i in range(ICONS):
        canvas = np.zeros((120, 120), np.uint8)
        if i % 4 == 0:
            cv2.circle(canvas, (60, 60), 50, 255, -1)
            for x in (42, 78):
                cv2.circle(canvas, (x, 46), int(rng.integers(4, 10)), 0, -1)
            start = int(rng.choice([0, 180]))
            cv2.ellipse(
                canvas, (60, 74), (24, 16), 0, start, start + 180, 0, int(rng.integers(3, 9))
            )
        elif i % 4 == 1:
            corners = rng.integers(6, 114, (int(rng.integers(3, 8)), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [corners], 255)
        elif i % 4 == 2:
            for x in range(10, 110, int(rng.integers(14, 30))):
                top = int(rng.integers(10, 90))
                cv2.rectangle(canvas, (x, top), (x + int(rng.integers(4, 12)), 110), 255, -1)
        else:
            for _ in range(int(rng.integers(2, 6))):
                centre, axes = rng.integers(30, 90, 2).tolist(), rng.integers(8, 36, 2).tolist()
                colour = 255 if rng.random() < 0.75 else 0
                cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, colour, -1)
        if (canvas > 0).sum() > 400:
            yield from_shape(canvas, OTHER)


def _struck_out(writers: Sequence[Digits], rng: Generator) -> Iterator[Glyph]:
    """Strike out digits of some writers."""
    for _ in range(STRUCK_OUT):
        hand = writers[int(rng.integers(len(writers)))]
        ways = hand[int(rng.integers(10))]
        crossing = str(rng.choice(shapes.CROSSINGS))
        yield united(
            ways[int(rng.integers(len(ways)))],
            from_strokes(drawn_strokes(crossing, rng, loose=0.05), OTHER),
            OTHER,
        )


@cache
def face(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load a typeface that matplotlib carries; Pillow's own where there is none."""
    try:
        import matplotlib as mpl

        file = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
        return ImageFont.truetype(file, size)
    except (ImportError, OSError):
        return ImageFont.load_default(size)
