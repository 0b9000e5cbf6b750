"""Digits, letters and signs as a person draws them, stroke by stroke, and as printers have them.

What is to be drawn comes in, a canvas goes out. Among the digits are styles that MNIST hardly
holds: a one with a long flag or a base, a crossed seven, a four closed to a triangle.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from inkdigits.data.synthetic.handwriting.canvas import (
    CANVAS,
    CANVAS_MIDDLE,
    HEIGHT,
    Canvas,
    Points,
    ink,
    paper,
)
from inkdigits.data.synthetic.handwriting.hands import lean
from inkdigits.data.synthetic.splines import catmull_rom

STEPS = 8  # points of a curve from one of its points to the next

# Strokes on a grid, x and y from 0 to 9, y downwards: "10 80 39" goes from (1, 0) over (8, 0) to
# (3, 9). A stroke that starts with ~ is a smooth curve through its points; | lifts the pen.
DIGIT_STROKES = {
    0: (
        "~50 21 15 28 59 78 85 72 50",
        "~50 21 15 28 59 78 85 72 50|82 18",
        "~50 21 15 28 59 78 85 72 50|73 36",
    ),
    2: ("~13 40 72 54 19|19 89", "~13 40 73 56 29 17 38 69 98"),
    3: ("10 80 44|~44 75 78 49 18", "~11 50 82 54|~54 86 59 18"),
    5: ("80 20 24|~24 54 86 59 18", "20 24|~24 54 86 59 18|20 90"),
    6: ("~70 32 15 28 59 78 75 54 26", "70 26|~26 18 59 78 75 54 26"),
    8: ("~50 32 54 72 50|~54 26 59 86 54", "~71 40 22 55 87 59 27 54 71"),
    9: ("~82 50 22 24 55 83|82 79", "~82 50 22 24 55 83|82 88 59 28", "~82 50 22 24 55 83|82 59"),
}

# Signs that do not look like a digit. Missing are those that do:
# B b D d G g I i J j l O o Q q S s t U u Y y Z z.
SIGN_STROKES = (
    "09 40 89|26 66",  # A
    "~82 40 12 15 18 49 87",  # C
    "80 10 19 89|14 74",  # E
    "80 10 19|14 64",  # F
    "10 19|70 79|15 75",  # H
    "10 19|80 14 89",  # K
    "10 19 89",  # L
    "19 10 45 80 89",  # M
    "19 10 89 80",  # N
    "19 10|~10 70 83 75 15",  # P
    "19 10|~10 70 83 75 15|35 89",  # R
    "00 90|50 59",  # T
    "00 49 80",  # V
    "00 29 44 69 90",  # W
    "00 89|80 09",  # X
    "~25 75 62 32 16 38 78",  # e
    "~81 60 42 49|15 75",  # f
    "20 29|~25 45 66 69",  # h
    "20 29|74 26 79",  # k
    "13 19|~14 33 44 49|~44 63 84 89",  # m
    "23 29|~25 43 64 69",  # n
    "~13 28 45 68 83",  # w
    "~13 34 67 88|~83 64 37 18",  # x
    "~81 65 38 15 32 64 98",  # alpha
    "~02 23 47|82 46 29",  # gamma
    "80 10 19",  # Gamma
    "~10 30 54 99|53 09",  # lambda
    "02 92|32 29|62 69",  # pi
    "~72 32 14 45 16 38 78",  # epsilon
    "~42 13 16 47 76 73 42|40 49",  # phi
    "09 29|~29 15 40 75 69|69 89",  # Omega
    "80 10 54 19 89",  # Sigma
    "40 09 89 40",  # a triangle
    "40 49|05 85",  # plus
    "13 83|16 86",  # equals
    "30 29|70 69|03 93|06 96",  # hash
    "50 59|12 87|82 17",  # asterisk
    "~13 40 72 54 46|48 49",  # question mark
    "80 15 89",  # less than
    "09 40 89",  # caret
    "~05 23 45 67 85",  # tilde
    "05 95|62 95 68",  # arrow
    "05 39 90",  # check mark
    "29 50 79 13 93 29",  # star
    "~53 31 12 25 59|~53 71 92 85 59",  # heart
    "~55 64 43 25 48 86 72 30 03",  # spiral
    "04 09 99 94|04 50 94",  # house
    "60 20 29 69",  # bracket
    "~45 22 05 28 45 62 95 78 45",  # infinity
    "~50 12 16 59 96 92 50|33 34|73 74|~36 57 76",  # face
    "10 90|50 59|19 99",  # I with serifs, wide
)
# Letters of print, likewise without those that could be digits.
LETTERS = "ACEFHKLMNPRVWXacefhkmnprvwx%#@?+*=<>αγεκλμξπφχψωΓΔΛΞΠΣΦΨΩ"
FACES = (
    "DejaVuSans",
    "DejaVuSans-Oblique",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
)


def draw(strokes: list[Points], rng: Generator) -> Canvas:
    """Draw strokes on the grid with a pen of some width, each a little off, the whole leaning."""
    leaning = lean(rng, 6.0) * (HEIGHT / 9)
    wobble = rng.uniform(0.0, 0.35)
    lines = [
        (stroke + rng.normal(0, wobble, (1, 2)) * 0.5 - 4.5) @ leaning.T + CANVAS_MIDDLE
        for stroke in strokes
    ]

    return ink(paper(), lines, int(rng.integers(4, 24)))


def digit_strokes(label: int, rng: Generator) -> list[Points]:
    """Return a digit as strokes on the grid, in one of the styles that MNIST hardly holds."""
    if label == 1:
        return one(rng)
    if label == 4:
        return four(rng)
    if label == 7:
        return seven(rng)

    return parse(rng.choice(DIGIT_STROKES[label]), rng)


def one(rng: Generator) -> list[Points]:
    """Return a stem, mostly with a flag from its top down to the left, sometimes with a base.

    What tells it from a seven is that the flag falls, by 30 degrees or more.
    """
    x = rng.uniform(4, 6)
    stem = np.array([[x, 0], [x + rng.normal(0, 0.3), 9]])
    strokes = [stem]

    flagged = rng.random() < 0.85

    if flagged:
        length = rng.uniform(0.8, 5.5)
        fall = np.deg2rad(rng.uniform(35, 72))
        tip = stem[0] + length * np.array([-np.cos(fall), np.sin(fall)])
        bend = (tip + stem[0]) / 2 + rng.normal(0, 0.12, 2) * length
        strokes[0] = np.vstack([catmull_rom(np.array([tip, bend, stem[0]]), STEPS), stem])

    if rng.random() < (0.3 if flagged else 0.6):
        reach = rng.uniform(1, 4.5)
        left = [x - reach, 9 + rng.normal(0, 0.2)]
        right = [x + reach * rng.uniform(0.7, 1.2), 9 + rng.normal(0, 0.2)]
        strokes.append(np.array([left, right]))

    return strokes


def four(rng: Generator) -> list[Points]:
    """Return a four, closed to a triangle or open at the top, its bar high or low."""
    x = rng.uniform(5, 7)
    bar = rng.uniform(3.5, 6.8)
    corner = rng.uniform(0, 1.8)
    over = x  # where the bar ends: at the stem or behind it

    if rng.random() >= 0.25:
        over += rng.uniform(0.5, 2.6)

    stem_top = np.array([x + rng.normal(0, 0.3), 0])

    if rng.random() < 0.3:  # open
        stem_top = np.array([x, rng.uniform(0, bar - 1.5)])
        start = np.array([corner + rng.uniform(0.3, 2), 0])
    else:
        start = stem_top

    angle = np.array([corner, bar + rng.normal(0, 0.4)])
    foot = [x + rng.normal(0, 0.3), 9]
    return [np.array([start, angle, [over, bar]]), np.array([stem_top, foot])]


def seven(rng: Generator) -> list[Points]:
    """Return a level bar and a leaning stem, mostly crossed, at times with a tick at the start."""
    left = rng.uniform(0.5, 2)
    right = rng.uniform(7, 8.5)
    foot = rng.uniform(2.5, 5)
    corner = np.array([right, rng.normal(0, 0.3)])
    end = np.array([foot, 9])
    bend = (corner + end) / 2 - np.array([rng.uniform(-0.2, 0.9), 0])

    stem = catmull_rom(np.array([corner, bend, end]), STEPS)

    top = [[left, rng.normal(0, 0.3)]]
    if rng.random() < 0.35:
        top.insert(0, [left, rng.uniform(0.8, 2.2)])

    strokes = [np.vstack([top, stem])]

    if rng.random() < 0.75:
        x, y = stem[len(stem) // 2]
        tilt = rng.normal(0, 0.3)
        reach = rng.uniform(1.2, 2.6)
        across = [[x - reach, y + tilt], [x + reach * rng.uniform(0.7, 1.1), y - tilt]]
        strokes.append(np.array(across))

    return strokes


def parse(text: str, rng: Generator | None = None) -> list[Points]:
    """Return strokes from their notation in DIGIT_STROKES; with `rng`, each point a little off."""
    strokes = []
    for stroke in text.split("|"):
        places = stroke.removeprefix("~").split()
        points = np.array([list(map(int, place)) for place in places], np.float64)
        if rng:
            points += rng.normal(0, 0.3, points.shape)
        strokes.append(catmull_rom(points, STEPS) if stroke.startswith("~") else points)

    return strokes


def printed(text: str, rng: Generator) -> Canvas:
    """Print a letter or digit in one of the faces that matplotlib carries, leaning a little."""
    size = rng.integers(70, 100)
    face = load_face(FACES[rng.integers(len(FACES))], size)
    canvas = Image.new("L", (CANVAS, CANVAS))
    ImageDraw.Draw(canvas).text((CANVAS_MIDDLE, CANVAS_MIDDLE), text, 255, face, anchor="mm")

    angle = float(np.clip(rng.normal(0, 5), -15, 15))

    return np.asarray(canvas.rotate(angle, Image.Resampling.BILINEAR))


@cache
def load_face(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Load one of FACES at a size in pixels."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)
