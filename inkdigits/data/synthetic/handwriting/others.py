"""Things that are no digits, and that somebody may show to a reader of digits all the same.

Takes digits to make pieces and pairs of; returns fields.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.handwriting.canvas import (
    Canvas,
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
    digit_strokes,
    draw,
    parse,
    printed,
    smooth,
)

LEAST_PIECE = (
    16  # pixels of the canvas; a narrower piece of a neighbour does not keep a digit from being one
)
LEAST_INK = 40  # pixels of the canvas; with less there is nothing to see

# What is left of a digit is no digit when this side of it is kept. Left out: the upper half of a 9
# is a 0, the lower half a 1.
FRAGMENTS = {"top": (0, 5), "bottom": (0, 2, 3, 4, 5), "left": (2, 3, 4, 7, 9), "right": (2, 5, 6)}
TURNED = (3, 4)  # lying on their side these are no digits


def other_things(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], count: int, rng: Generator
) -> Iterator[NDArray[np.uint8]]:
    """`count` fields uint8 (28, 28) that show no digit, of all kinds in turn."""
    stock = Stock(images, labels, rng)
    for i in range(count):
        canvas = _KINDS[i % len(_KINDS)](stock)
        while np.count_nonzero(canvas > 100) < LEAST_INK:
            canvas = _KINDS[i % len(_KINDS)](stock)
        yield framed(recorded(canvas, rng), rng, otherwise=canvas)


class Stock:
    """Digits to make other things of, found by their label, with the generator that draws them."""

    def __init__(
        self, images: NDArray[np.uint8], labels: NDArray[np.uint8], rng: Generator
    ) -> None:
        self.images, self.rng = images, rng
        self.places = {label: np.flatnonzero(labels == label) for label in range(10)}

    def digit(self, among: tuple[int, ...] = tuple(range(10))) -> Canvas:
        """One of these digits in another hand; where there is none, a drawn one."""
        label = int(self.rng.choice(among))
        if not len(self.places[label]):
            return draw(digit_strokes(label, self.rng), self.rng)

        return with_another_pen(
            in_another_hand(self.images[self.rng.choice(self.places[label])], self.rng), self.rng
        )


def sign(stock: Stock) -> Canvas:
    """A letter, Latin or Greek, or a sign."""
    return draw(parse(SIGN_STROKES[stock.rng.integers(len(SIGN_STROKES))], stock.rng), stock.rng)


def letter(stock: Stock) -> Canvas:
    """A letter or sign of print, which at times touches the next."""
    rng = stock.rng
    if rng.random() < 0.85:
        return printed(LETTERS[rng.integers(len(LETTERS))], rng)
    both = [tight(printed(LETTERS[n], rng)) for n in rng.integers(0, len(LETTERS), 2)]
    return on_paper(_touching(both[0], both[1], int(rng.integers(-2, 12))))


def scribble(stock: Stock) -> Canvas:
    """A pen that wandered about, in curves or to and fro."""
    rng = stock.rng
    n = int(rng.integers(6, 16))
    if rng.random() < 0.6:
        points = smooth(rng.uniform(0, 9, (n, 2)))
    else:
        points = np.column_stack(
            [np.linspace(0, 9, n), np.tile([0.0, 9.0], n)[:n] + rng.normal(0, 0.8, n)]
        )
        points = points if rng.random() < 0.5 else points[:, ::-1]

    return draw([points], rng)


def line(stock: Stock) -> Canvas:
    """A line that lies, lines side by side, a shallow arc."""
    rng = stock.rng
    chance = rng.random()
    if chance < 0.4:
        rise = np.tan(np.deg2rad(rng.uniform(-20, 20))) * 4.5
        return draw([np.array([[0, 4.5 + rise], [9, 4.5 - rise]])], rng)

    if chance < 0.7:
        return draw(
            [
                np.array([[x, 0.0], [x, 9.0]]) + rng.normal(0, 0.4, (2, 2))
                for x in np.linspace(1, 8, int(rng.integers(2, 5)))
            ],
            rng,
        )

    depth = rng.uniform(2, 5) * rng.choice((-1, 1))
    return draw(
        [smooth(np.array([[0, 4.5], [4.5, 4.5 + depth], [9, 4.5]]) + rng.normal(0, 0.3, (3, 2)))],
        rng,
    )


def fragment(stock: Stock) -> Canvas:
    """Half a digit, where the half is no digit itself."""
    side = str(stock.rng.choice(tuple(FRAGMENTS)))
    return _half(stock.digit(FRAGMENTS[side]), side, stock.rng)


def _half(canvas: Canvas, side: str, rng: Generator) -> Canvas:
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    row, column = (
        top + round(height * rng.uniform(0.42, 0.58)),
        left + round(width * rng.uniform(0.42, 0.58)),
    )
    half = canvas.copy()
    lost = {
        "top": half[row:],
        "bottom": half[:row],
        "left": half[:, column:],
        "right": half[:, :column],
    }[side]
    lost[:] = 0

    return half


def row(stock: Stock) -> Canvas:
    """Two or three digits that touch, or one with a piece of the next."""
    rng = stock.rng
    parts = [tight(stock.digit()) for _ in range(3 if rng.random() < 0.2 else 2)]
    if rng.random() < 0.35:
        piece = tight(_half(on_paper(parts[-1]), str(rng.choice(("left", "right"))), rng))
        parts[-1] = piece if piece.shape[1] >= LEAST_PIECE else parts[-1]

    joined = parts[0]
    for part in parts[1:]:
        joined = _touching(joined, part, int(rng.integers(-4, 10)))

    return on_paper(joined)


def _touching(left: NDArray[np.uint8], right: NDArray[np.uint8], overlap: int) -> NDArray[np.uint8]:
    """Side by side, `overlap` pixels into each other, their feet on one line."""
    height, width = (
        max(len(left), len(right)),
        left.shape[1] + right.shape[1] - min(overlap, left.shape[1], right.shape[1]),
    )
    both = np.zeros((height, width), np.uint8)
    both[height - len(left) :, : left.shape[1]] = left
    place = both[height - len(right) :, width - right.shape[1] :]
    np.maximum(place, right, out=place)

    return both


def turned(stock: Stock) -> Canvas:
    """A digit on its side that is none when it lies so."""
    return np.ascontiguousarray(np.rot90(stock.digit(TURNED), stock.rng.choice((1, 3))))


def crossed_out(stock: Stock) -> Canvas:
    """A digit that its writer struck out, with two lines or more, or by scribbling over it."""
    rng, canvas = stock.rng, stock.digit()
    if rng.random() < 0.5:
        return np.maximum(canvas, scribble(stock))

    n = int(rng.integers(2, 5))
    starts, ends = (
        np.column_stack([rng.uniform(10, 30, n), rng.uniform(20, 92, n)]),
        np.column_stack([rng.uniform(82, 102, n), rng.uniform(20, 92, n)]),
    )
    return ink(
        canvas,
        [np.array(pair) for pair in zip(starts, ends, strict=True)],
        int(rng.integers(4, 10)),
    )


def texture(stock: Stock) -> Canvas:
    """A piece of cloth, wood, shadow or noise, fine or coarse, with or without an outline."""
    rng = stock.rng
    how = int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
    canvas = smooth_noise(rng, int(rng.integers(2, 29)), how)

    if rng.random() < 0.5:
        canvas = np.asarray(cv2.equalizeHist(canvas), np.uint8)

    if rng.random() < 0.4:
        canvas = threshold(canvas, rng)

    if rng.random() < 0.5:
        canvas = np.asarray(cv2.bitwise_and(canvas, blob(stock)), np.uint8)

    return canvas


def cloud(stock: Stock) -> Canvas:
    """What is left of a photograph of some thing: the darker regions of a landscape of noise, all
    or the largest of them.
    """
    rng = stock.rng
    landscape = sum(
        smooth_noise(rng, side, cv2.INTER_CUBIC).astype(np.float32) / side**0.7
        for side in (4, 8, 16, 32)
    )
    level = float(np.quantile(landscape, rng.uniform(0.55, 0.9)))
    canvas = np.clip(
        (landscape - level) * rng.uniform(2, 30) * 255 / float(np.ptp(landscape)), 0, 255
    ).astype(np.uint8)

    if rng.random() < 0.6:
        _, labels, stats, _ = cv2.connectedComponentsWithStats((canvas > 60).view(np.uint8))
        canvas = (
            np.where(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax(), canvas, np.uint8(0))
            if len(stats) > 1
            else canvas
        )

    return on_paper(tight(canvas))


def blob(stock: Stock) -> Canvas:
    """Filled shapes: spots, rags, boxes with holes."""
    rng, canvas = stock.rng, paper()
    for i in range(int(rng.integers(1, 5))):
        colour = 0 if i and rng.random() < 0.4 else 255
        if rng.random() < 0.6:
            (x, y), (wide, high) = (
                rng.integers(30, 82, 2).tolist(),
                rng.integers(12, 45, 2).tolist(),
            )
            cv2.ellipse(
                canvas,
                (x, y),
                (wide, max(high, wide // 2)),
                rng.uniform(0, 180),
                0,
                360,
                colour,
                -1,
                cv2.LINE_AA,
            )
        else:
            cv2.fillPoly(
                canvas,
                [rng.integers(8, 104, (int(rng.integers(3, 8)), 2)).astype(np.int32)],
                colour,
                cv2.LINE_AA,
            )

    return canvas


_KINDS = (
    *(sign,) * 9,
    *(letter,) * 5,
    *(scribble,) * 3,
    line,
    *(fragment,) * 3,
    *(row,) * 4,
    *(turned,) * 1,
    *(crossed_out,) * 2,
    *(texture,) * 3,
    *(cloud,) * 3,
    *(blob,) * 2,
)  # in turn, so that each has its share
