"""Things that are not digits and that a reader of digits may be shown all the same.

Digits come in, to make pieces and pairs of; images go out.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import CLASSES, Labels, Pixels, Plane
from inkdigits.data.synthetic.handwriting.canvas import (
    Canvas,
    bounding_box,
    ink,
    on_paper,
    paper,
    smooth_noise,
    tight,
)
from inkdigits.data.synthetic.handwriting.hands import in_another_hand, with_another_pen
from inkdigits.data.synthetic.handwriting.recording import framed, recorded, threshold
from inkdigits.data.synthetic.handwriting.strokes import (
    LETTERS,
    SIGN_STROKES,
    STEPS,
    digit_strokes,
    draw,
    parse,
    printed,
)
from inkdigits.data.synthetic.splines import catmull_rom

LEAST_PIECE = 16  # pixels of the canvas; beside a narrower piece, a digit is still one digit
LEAST_INK = 40  # pixels of the canvas; with less there is nothing to see

# A piece of a digit is not a digit when this side of it is kept. Left out: the upper half of a 9 is
# a 0, the lower half a 1.
FRAGMENTS = {"top": (0, 5), "bottom": (0, 2, 3, 4, 5), "left": (2, 3, 4, 7, 9), "right": (2, 5, 6)}
TURNED = (3, 4)  # on their side, these are not digits


def other_things(images: Pixels, labels: Labels, count: int, rng: Generator) -> Iterator[Plane]:
    """Yield images that do not show a digit, of all kinds in turn.

    Args:
        images: uint8 (N, 28, 28), digits.
        labels: uint8 (N,).
        count: how many images to make.
        rng: draws everything.

    Yields:
        uint8 (28, 28), `count` times.
    """
    stock = Stock(images, labels, rng)
    for index in range(count):
        kind = OTHER_THINGS[index % len(OTHER_THINGS)]
        canvas = kind(stock)
        while np.count_nonzero(canvas > 100) < LEAST_INK:
            canvas = kind(stock)
        yield framed(recorded(canvas, rng), rng, otherwise=canvas)


class Stock:
    """Digits to make other things of, found by their label, with the generator that draws them."""

    def __init__(self, images: Pixels, labels: Labels, rng: Generator) -> None:
        self.images = images
        self.rng = rng
        self.places = {label: np.flatnonzero(labels == label) for label in range(CLASSES)}

    def digit(self, among: tuple[int, ...] = tuple(range(CLASSES))) -> Canvas:
        """Return one of these digits in another hand, or a drawn one where the stock lacks it."""
        label = int(self.rng.choice(among))
        if not len(self.places[label]):
            return draw(digit_strokes(label, self.rng), self.rng)

        image = self.images[self.rng.choice(self.places[label])]
        return with_another_pen(in_another_hand(image, self.rng), self.rng)


def sign(stock: Stock) -> Canvas:
    """Draw a letter, Latin or Greek, or a sign."""
    strokes = SIGN_STROKES[stock.rng.integers(len(SIGN_STROKES))]
    return draw(parse(strokes, stock.rng), stock.rng)


def letter(stock: Stock) -> Canvas:
    """Print a letter or sign, or two that touch."""
    rng = stock.rng
    if rng.random() < 0.85:
        return printed(LETTERS[rng.integers(len(LETTERS))], rng)
    left, right = (tight(printed(LETTERS[n], rng)) for n in rng.integers(0, len(LETTERS), 2))
    return on_paper(_touching(left, right, int(rng.integers(-2, 12))))


def scribble(stock: Stock) -> Canvas:
    """Let a pen wander about, in curves or to and fro."""
    rng = stock.rng
    count = rng.integers(6, 16)
    if rng.random() < 0.6:
        return draw([catmull_rom(rng.uniform(0, 9, (count, 2)), STEPS)], rng)

    forth = np.linspace(0, 9, count)
    sideways = np.tile([0.0, 9.0], count)[:count] + rng.normal(0, 0.8, count)
    points = np.column_stack([forth, sideways])

    if rng.random() >= 0.5:
        points = points[:, ::-1]

    return draw([points], rng)


def line(stock: Stock) -> Canvas:
    """Draw a level line, upright lines side by side, or a shallow arc."""
    rng = stock.rng
    chance = rng.random()
    if chance < 0.4:
        rise = np.tan(np.deg2rad(rng.uniform(-20, 20))) * 4.5
        return draw([np.array([[0, 4.5 + rise], [9, 4.5 - rise]])], rng)

    if chance < 0.7:
        places = np.linspace(1, 8, rng.integers(2, 5))
        lines = [np.array([[x, 0.0], [x, 9.0]]) + rng.normal(0, 0.4, (2, 2)) for x in places]
        return draw(lines, rng)

    depth = rng.uniform(2, 5) * rng.choice((-1, 1))
    arc = np.array([[0, 4.5], [4.5, 4.5 + depth], [9, 4.5]]) + rng.normal(0, 0.3, (3, 2))
    return draw([catmull_rom(arc, STEPS)], rng)


def fragment(stock: Stock) -> Canvas:
    """Keep half of a digit, where the half is not a digit itself."""
    side = str(stock.rng.choice(tuple(FRAGMENTS)))
    return _half(stock.digit(FRAGMENTS[side]), side, stock.rng)


def _half(canvas: Canvas, side: str, rng: Generator) -> Canvas:
    """Return a copy of which only about half is left, on this side."""
    left, top, width, height = bounding_box(canvas)
    row = top + round(height * rng.uniform(0.42, 0.58))
    column = left + round(width * rng.uniform(0.42, 0.58))

    half = canvas.copy()

    match side:
        case "top":
            half[row:] = 0
        case "bottom":
            half[:row] = 0
        case "left":
            half[:, column:] = 0
        case "right":
            half[:, :column] = 0

    return half


def row(stock: Stock) -> Canvas:
    """Put two or three digits side by side that touch, or one with a piece of the next."""
    rng = stock.rng
    count = 3 if rng.random() < 0.2 else 2
    parts = [tight(stock.digit()) for _ in range(count)]

    if rng.random() < 0.35:
        side = str(rng.choice(("left", "right")))
        piece = tight(_half(on_paper(parts[-1]), side, rng))
        if piece.shape[1] >= LEAST_PIECE:
            parts[-1] = piece

    joined = parts[0]
    for part in parts[1:]:
        joined = _touching(joined, part, int(rng.integers(-4, 10)))

    return on_paper(joined)


def _touching(left: Plane, right: Plane, overlap: int) -> Plane:
    """Put two things side by side, `overlap` pixels into each other, their feet on one line."""
    overlap = min(overlap, left.shape[1], right.shape[1])
    height = max(len(left), len(right))
    width = left.shape[1] + right.shape[1] - overlap

    both = np.zeros((height, width), np.uint8)
    both[height - len(left) :, : left.shape[1]] = left
    place = both[height - len(right) :, width - right.shape[1] :]

    np.maximum(place, right, out=place)
    return both


def turned(stock: Stock) -> Canvas:
    """Lay a digit on its side that is not a digit then."""
    return np.ascontiguousarray(np.rot90(stock.digit(TURNED), stock.rng.choice((1, 3))))


def crossed_out(stock: Stock) -> Canvas:
    """Draw over a digit, with two lines or more or by scribbling over it."""
    rng = stock.rng
    canvas = stock.digit()
    if rng.random() < 0.5:
        return np.maximum(canvas, scribble(stock))

    count = rng.integers(2, 5)
    starts = np.column_stack([rng.uniform(10, 30, count), rng.uniform(20, 92, count)])
    ends = np.column_stack([rng.uniform(82, 102, count), rng.uniform(20, 92, count)])

    return ink(canvas, list(np.stack([starts, ends], axis=1)), int(rng.integers(4, 10)))


def texture(stock: Stock) -> Canvas:
    """Make a piece of cloth, wood, shadow or noise, fine or coarse, with or without an outline."""
    rng = stock.rng
    how = int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
    canvas = smooth_noise(rng, int(rng.integers(2, 29)), how)

    if rng.random() < 0.5:
        canvas = cv2.equalizeHist(canvas)

    if rng.random() < 0.4:
        canvas = threshold(canvas, rng)

    if rng.random() < 0.5:
        canvas = cv2.bitwise_and(canvas, blob(stock))

    return canvas


def cloud(stock: Stock) -> Canvas:
    """Make what a threshold leaves of a photo: the darker regions of a landscape of noise."""
    rng = stock.rng
    landscape = sum(
        smooth_noise(rng, side, cv2.INTER_CUBIC).astype(np.float32) / side**0.7
        for side in (4, 8, 16, 32)
    )
    level = float(np.quantile(landscape, rng.uniform(0.55, 0.9)))
    darkness = (landscape - level) * rng.uniform(2, 30) * 255 / float(np.ptp(landscape))
    canvas = np.clip(darkness, 0, 255).astype(np.uint8)

    if rng.random() < 0.6:  # the largest region only
        _, labels, stats, _ = cv2.connectedComponentsWithStats((canvas > 60).view(np.uint8))
        if len(stats) > 1:
            largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
            canvas = np.where(labels == largest, canvas, np.uint8(0))

    return on_paper(tight(canvas))


def blob(stock: Stock) -> Canvas:
    """Fill one to four shapes: spots, rags, boxes with holes."""
    rng = stock.rng
    canvas = paper()
    for index in range(rng.integers(1, 5)):
        colour = 0 if index and rng.random() < 0.4 else 255
        if rng.random() < 0.6:
            centre = rng.integers(30, 82, 2).tolist()
            wide, high = rng.integers(12, 45, 2).tolist()
            axes = (wide, max(high, wide // 2))
            angle = rng.uniform(0, 180)
            cv2.ellipse(canvas, centre, axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corners = rng.integers(8, 104, (rng.integers(3, 8), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [corners], colour, cv2.LINE_AA)

    return canvas


OTHER_THINGS = (  # in turn, so that each has its share
    *(sign,) * 9,
    *(letter,) * 5,
    *(scribble,) * 3,
    line,
    *(fragment,) * 3,
    *(row,) * 4,
    turned,
    *(crossed_out,) * 2,
    *(texture,) * 3,
    *(cloud,) * 3,
    *(blob,) * 2,
)
