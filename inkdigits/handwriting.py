"""MNIST's digits as other people's pens, scanners, cameras and paint programs would have left them, and things that are no digits.

Takes MNIST-like digits with their labels, returns more of them, each brought to MNIST's geometry by the function that reading uses.
What MNIST hardly holds is drawn from strokes: a one with a long flag or a base, a crossed seven, a four closed to a triangle,
letters, signs. Knows numpy and OpenCV, nothing of files, datasets or networks. Same seed and same libraries: same bits.

A picture under way is a canvas: uint8 (112, 112), paper 0 to ink 255, four times the field, so that a digit is some 80 pixels high.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from inkdigits.preprocessing import DIGIT, SIDE, to_field

Canvas = NDArray[np.uint8]  # (112, 112)
Points = NDArray[np.float64]  # (N, 2) of (x, y)
Progress = Callable[[str, int, int | None], None]  # what is worked on, how much is done, how much there is

NOT_A_DIGIT = 10  # the label beside 0 to 9

SCALE = 4  # pixels of the canvas to a pixel of the field
CANVAS = SCALE * SIDE
HEIGHT = SCALE * DIGIT  # of a digit on the canvas
MIDDLE = CANVAS / 2

LEAST_PIECE = 16  # pixels of the canvas; a narrower piece of a neighbour does not keep a digit from being one

NEGATIVES = 0.2  # things that are no digits, to each digit
AS_IT_IS = 0.15  # share of the digits that stay as MNIST has them
DRAWN = (
    0.04,
    0.30,
    0.04,
    0.08,
    0.22,
    0.04,
    0.04,
    0.22,
    0.04,
    0.08,
)  # share of each digit drawn from strokes; styles differ most in 1 4 7
STEEPEST = 25.0  # degrees; a digit that leans further has been photographed askew, which is not a pen's business
LEAST_INK = 40  # pixels of the canvas; with less there is nothing to see
LEAST_LEFT = 0.4  # share of the ink; what lost more of it need not be readable any more

# Strokes on a grid, x and y from 0 to 9, y downwards: "10 80 39" goes from (1, 0) over (8, 0) to (3, 9). A stroke that starts with
# ~ is a smooth curve through its points; | lifts the pen.
DIGIT_STROKES = {
    0: ("~50 21 15 28 59 78 85 72 50", "~50 21 15 28 59 78 85 72 50|82 18", "~50 21 15 28 59 78 85 72 50|73 36"),
    2: ("~13 40 72 54 19|19 89", "~13 40 73 56 29 17 38 69 98"),
    3: ("10 80 44|~44 75 78 49 18", "~11 50 82 54|~54 86 59 18"),
    5: ("80 20 24|~24 54 86 59 18", "20 24|~24 54 86 59 18|20 90"),
    6: ("~70 32 15 28 59 78 75 54 26", "70 26|~26 18 59 78 75 54 26"),
    8: ("~50 32 54 72 50|~54 26 59 86 54", "~71 40 22 55 87 59 27 54 71"),
    9: ("~82 50 22 24 55 83|82 79", "~82 50 22 24 55 83|82 88 59 28", "~82 50 22 24 55 83|82 59"),
}

# Signs that nobody should take for a digit. Missing are those that look like one: B b D d G g I i J j l O o Q q S s t U u Y y Z z.
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

# What is left of a digit is no digit when this side of it is kept. Left out: the upper half of a 9 is a 0, the lower half a 1.
FRAGMENTS = {"top": (0, 5), "bottom": (0, 2, 3, 4, 5), "left": (2, 3, 4, 7, 9), "right": (2, 5, 6)}
TURNED = (3, 4)  # lying on their side these are no digits


def simulate(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    *,
    seed: int,
    copies: int = 1,
    negatives: float = NEGATIVES,
    progress: Progress | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Each digit `copies` times as somebody else might have written and photographed it, then things that are no digits.

    images: uint8 (N, 28, 28), paper 0 to ink 255; labels: uint8 (N,), 0 to 9. negatives: how many of these to each digit.
    progress: hears of the work now and then.
    Returns fields uint8 (M, 28, 28) and labels uint8 (M,), with M = N * copies * (1 + negatives): first the digits, their labels in
    the order of `labels`, `copies` times over; then the others, labelled NOT_A_DIGIT.
    """
    rng = Generator(PCG64(seed))
    digits = len(images) * copies
    others = round(digits * negatives)
    fields = np.empty((digits + others, SIDE, SIDE), np.uint8)
    for i in range(digits):
        fields[i] = written(images[i % len(images)], int(labels[i % len(images)]), rng)
        _tell(progress, i, len(fields))
    for i, field in enumerate(_negatives(images, labels, others, rng), start=digits):
        fields[i] = field
        _tell(progress, i, len(fields))
    return fields, np.concatenate([np.tile(labels, copies), np.full(others, NOT_A_DIGIT, np.uint8)])


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress and (done % 1000 == 999 or done == total - 1):
        progress("making handwriting", done + 1, total)


def written(image: NDArray[np.uint8], label: int, rng: Generator) -> NDArray[np.uint8]:
    """One digit in another hand, with another pen, on other paper: uint8 (28, 28), and it still is `label`.

    image: uint8 (28, 28), of which a part stays as it is, and a part is replaced by a digit drawn in a style MNIST hardly holds.
    """
    chance = rng.random()
    if chance < AS_IT_IS:
        return image
    if chance < AS_IT_IS + DRAWN[label]:
        canvas = draw(digit_strokes(label, rng), rng)
    else:
        canvas = in_another_hand(image, rng)
        if label == 7 and rng.random() < 0.15:
            canvas = cross_seven(canvas, rng)
        canvas = with_another_pen(canvas, rng)
    return framed(recorded(damaged(canvas, rng), rng), rng, otherwise=canvas)


# ---- hands and pens


def in_another_hand(image: NDArray[np.uint8], rng: Generator) -> Canvas:
    """A field, enlarged with crisp edges: leaning, slanted, wider or narrower, and bent as no two hands agree. Resampled once."""
    x, y = _PIXELS - MIDDLE
    (a, b), (c, d) = np.linalg.inv(_lean(rng)) / SCALE
    across, down = a * x + b * y + SIDE / 2 - 0.5, c * x + d * y + SIDE / 2 - 0.5
    if rng.random() < 0.6:
        across += _waves(rng)
        down += _waves(rng)
    large = cv2.remap(image, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(cv2.LUT(large, _CRISPER), np.uint8)


def _lean(rng: Generator, angle: float = 9.0) -> NDArray[np.float64]:
    """(2, 2): rotation to 25 degrees, slant, aspect and size."""
    turn = np.deg2rad(np.clip(rng.normal(0, angle), -STEEPEST, STEEPEST))
    slant, aspect, size = rng.normal(0, 0.15), np.exp(rng.normal(0, 0.08)), np.exp(rng.normal(0, 0.06))
    cos, sin = np.cos(turn), np.sin(turn)
    return size * np.array([[cos, -sin], [sin, cos]]) @ np.array([[aspect, slant], [0, 1 / aspect]])


def _waves(rng: Generator) -> NDArray[np.float32]:
    """A smooth displacement of every pixel of the canvas, in pixels of the field."""
    coarse = rng.normal(0, rng.uniform(0.2, 0.9), (4, 4)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC), np.float32)


def with_another_pen(canvas: Canvas, rng: Generator) -> Canvas:
    """A felt pen, a thin pen, or the same."""
    chance = rng.random()
    if chance < 0.25:
        return np.asarray(cv2.dilate(canvas, _disc(int(rng.integers(2, 8)))), np.uint8)
    if chance < 0.5:
        return thinned(canvas, int(rng.integers(2, 8)))
    return canvas


def thinned(canvas: Canvas, width: int) -> Canvas:
    """The same strokes thinner by `width` pixels, or by less where they would fall apart."""
    for less in range(width, 1, -2):
        thin = np.asarray(cv2.erode(canvas, _disc(less)), np.uint8)
        if int(thin.sum()) > 0.25 * int(canvas.sum()):
            return thin
    return canvas


def cross_seven(canvas: Canvas, rng: Generator) -> Canvas:
    """Draw the short bar through the stem, as most of the world does. The canvas holds a seven."""
    _, top, width, height = cv2.boundingRect((canvas > 127).view(np.uint8))
    row = int(np.clip(top + height * rng.uniform(0.42, 0.62), 0, CANVAS - 1))
    inked = np.flatnonzero(canvas[row] > 127)
    if not len(inked):
        return canvas
    stem = float(inked.mean())
    reach, tilt = max(width, 24) * rng.uniform(0.25, 0.45), rng.uniform(-5, 3)
    bar = np.array([[stem - reach, row + tilt], [stem + reach * rng.uniform(0.7, 1.1), row - tilt]])
    return _ink(canvas.copy(), [bar], int(np.clip(len(inked) * rng.uniform(0.5, 0.9), 4, 14)))


# ---- drawing from strokes


def draw(strokes: list[Points], rng: Generator) -> Canvas:
    """Strokes on the grid, drawn with a pen of some width: each point a little off, the whole leaning as `_lean` has it."""
    lean = _lean(rng, 6.0) * (HEIGHT / 9)
    wobble = rng.uniform(0.0, 0.35)
    lines = [(stroke + rng.normal(0, wobble, (1, 2)) * 0.5 - 4.5) @ lean.T + MIDDLE for stroke in strokes]
    return _ink(_paper(), lines, int(rng.integers(4, 16)))


def _ink(canvas: Canvas, lines: list[Points], width: int) -> Canvas:
    """Draw lines (N, 2) of pixels onto the canvas, `width` pixels wide; to a quarter of a pixel."""
    for line in lines:
        cv2.polylines(
            canvas, [np.round(line * 4).astype(np.int32)], isClosed=False, color=255, thickness=width, lineType=cv2.LINE_AA, shift=2
        )
    return canvas


def digit_strokes(label: int, rng: Generator) -> list[Points]:
    """A digit as strokes on the grid, in one of the styles that MNIST hardly holds."""
    if label == 1:
        return one(rng)
    if label == 4:
        return four(rng)
    if label == 7:
        return seven(rng)
    return parse(str(rng.choice(DIGIT_STROKES[label])), rng)


def one(rng: Generator) -> list[Points]:
    """A stem, mostly with a flag that goes down from its top to the left, sometimes with a base.

    Tells itself from a seven by the flag, which falls at 30 degrees or more.
    """
    x = rng.uniform(4, 6)
    stem = np.array([[x, 0], [x + rng.normal(0, 0.3), 9]])
    strokes = [stem]
    flagged = rng.random() < 0.85
    if flagged:
        length, fall = rng.uniform(0.8, 4.8), np.deg2rad(rng.uniform(35, 72))
        tip = stem[0] + length * np.array([-np.cos(fall), np.sin(fall)])
        bend = (tip + stem[0]) / 2 + rng.normal(0, 0.12, 2) * length
        strokes[0] = np.vstack([smooth(np.array([tip, bend, stem[0]])), stem])
    if rng.random() < (0.3 if flagged else 0.6):
        reach = rng.uniform(1, 4.5)
        strokes.append(np.array([[x - reach, 9 + rng.normal(0, 0.2)], [x + reach * rng.uniform(0.7, 1.2), 9 + rng.normal(0, 0.2)]]))
    return strokes


def four(rng: Generator) -> list[Points]:
    """Closed to a triangle or open at the top, its bar high or low, through the stem or only up to it."""
    x, bar, corner = rng.uniform(5, 7), rng.uniform(3.5, 6.8), rng.uniform(0, 1.8)
    over = x + (0 if rng.random() < 0.25 else rng.uniform(0.5, 2.6))
    stem_top = np.array([x + rng.normal(0, 0.3), 0])
    if rng.random() < 0.3:
        stem_top = np.array([x, rng.uniform(0, bar - 1.5)])
        start = np.array([corner + rng.uniform(0.3, 2), 0])
    else:
        start = stem_top
    angle = np.array([corner, bar + rng.normal(0, 0.4)])
    return [np.array([start, angle, [over, bar]]), np.array([stem_top, [x + rng.normal(0, 0.3), 9]])]


def seven(rng: Generator) -> list[Points]:
    """A level bar and a leaning stem, straight or bent; mostly crossed, sometimes with a tick at its beginning."""
    left, right, foot = rng.uniform(0.5, 2), rng.uniform(7, 8.5), rng.uniform(2.5, 5)
    corner, end = np.array([right, rng.normal(0, 0.3)]), np.array([foot, 9])
    bend = (corner + end) / 2 - np.array([rng.uniform(-0.2, 0.9), 0])
    stem = smooth(np.array([corner, bend, end]))
    top = [[left, rng.normal(0, 0.3)]]
    if rng.random() < 0.35:
        top.insert(0, [left, rng.uniform(0.8, 2.2)])
    strokes = [np.vstack([top, stem])]
    if rng.random() < 0.75:
        (x, y), tilt, reach = stem[len(stem) // 2], rng.normal(0, 0.3), rng.uniform(1.2, 2.6)
        strokes.append(np.array([[x - reach, y + tilt], [x + reach * rng.uniform(0.7, 1.1), y - tilt]]))
    return strokes


def parse(text: str, rng: Generator | None = None) -> list[Points]:
    """Strokes as written in DIGIT_STROKES, on the grid; with rng, each point is a little off."""
    strokes = []
    for stroke in text.split("|"):
        points = np.array([[int(point[0]), int(point[1])] for point in stroke.removeprefix("~").split()], np.float64)
        if rng:
            points += rng.normal(0, 0.3, points.shape)
        strokes.append(smooth(points) if stroke.startswith("~") else points)
    return strokes


def smooth(points: Points, steps: int = 8) -> Points:
    """A curve through all points, `steps` pieces between two of them. Source: Catmull & Rom 1974."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    curve = start + t / 2 * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    return np.vstack([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


# ---- accidents


def damaged(canvas: Canvas, rng: Generator) -> Canvas:
    """Mostly as it was; else a line that was removed or not, specks, a piece of the neighbour, or an edge cut off."""
    if rng.random() < 0.75:
        return canvas
    accident = _ACCIDENTS[rng.integers(len(_ACCIDENTS))]
    return accident(canvas.copy(), rng)


def remove_ruling(canvas: Canvas, rng: Generator) -> Canvas:
    """A thin line of the paper was taken away, and with it what crossed it."""
    y, tilt, width = rng.uniform(25, 87), rng.normal(0, 4), int(rng.integers(1, 4))
    ends = (0, round(y - tilt)), (CANVAS, round(y + tilt))
    return np.asarray(cv2.line(canvas, *(ends if rng.random() < 0.7 else (ends[0][::-1], ends[1][::-1])), 0, width), np.uint8)


def leave_ruling(canvas: Canvas, rng: Generator) -> Canvas:
    """A piece of a line of the paper stayed, at the foot of the digit or across it, fainter than the ink."""
    x, y = rng.uniform(20, 92), rng.uniform(30, 97)
    half = rng.uniform(6, 22)
    line = cv2.line(
        _paper(), (round(x - half), round(y)), (round(x + half), round(y)), int(rng.integers(60, 220)), int(rng.integers(1, 4))
    )
    return np.maximum(canvas, line)


def speckle(canvas: Canvas, rng: Generator) -> Canvas:
    """One to six specks of dirt, smaller than the strokes are wide."""
    for x, y in rng.integers(12, 100, (int(rng.integers(1, 7)), 2)):
        cv2.circle(canvas, (int(x), int(y)), int(rng.integers(1, 4)), int(rng.integers(60, 256)), -1, cv2.LINE_AA)
    return canvas


def leave_neighbour(canvas: Canvas, rng: Generator) -> Canvas:
    """The end of a neighbour's stroke lies at the side of the digit."""
    side, y = (rng.uniform(12, 24), rng.uniform(88, 100))[int(rng.integers(2))], rng.uniform(25, 85)
    tip = np.array([side, y])
    return _ink(canvas, [np.array([tip, tip + rng.normal(0, 6, 2)])], int(rng.integers(3, 9)))


def cut_edge(canvas: Canvas, rng: Generator) -> Canvas:
    """The picture ends a little before the digit does."""
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    lost = rng.uniform(0.02, 0.08)
    if rng.random() < 0.5:
        rows = max(1, round(height * lost))
        canvas[slice(top, top + rows) if rng.random() < 0.5 else slice(top + height - rows, top + height)] = 0
    elif width > 30:
        columns = max(1, round(width * lost))
        canvas[:, slice(left, left + columns) if rng.random() < 0.5 else slice(left + width - columns, left + width)] = 0
    return canvas


_ACCIDENTS = (remove_ruling, leave_ruling, speckle, leave_neighbour, cut_edge)


# ---- paper, scanners, cameras, paint programs


def recorded(canvas: Canvas, rng: Generator) -> Canvas:
    """What a device makes of the ink: nothing or one or two of blur, threshold, rough edges, few pixels, uneven ink, grain."""
    for _ in range(int(rng.choice(3, p=(0.25, 0.55, 0.2)))):
        canvas = _DEVICES[rng.integers(len(_DEVICES))](canvas, rng)
    return canvas


def blur(canvas: Canvas, rng: Generator) -> Canvas:
    """Out of focus, by up to one pixel of the field."""
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 4)), np.uint8)


def threshold(canvas: Canvas, rng: Generator) -> Canvas:
    """Ink or paper, nothing between: a fax, a paint program."""
    return np.where(canvas > rng.uniform(80, 170), np.uint8(255), np.uint8(0))


def roughen(canvas: Canvas, rng: Generator) -> Canvas:
    """Edges as a threshold leaves them on grained paper."""
    noise = cv2.resize(_noise(rng, int(rng.integers(28, 57))), (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 3))
    weight = rng.uniform(0.2, 0.6)  # about zero, so that bare paper stays below any threshold
    return threshold(np.asarray(cv2.addWeighted(soft, 1, noise, weight, -127 * weight), np.uint8), rng)


def few_pixels(canvas: Canvas, rng: Generator) -> Canvas:
    """A picture of only 14 to 32 pixels, a digit of 10 to 23."""
    side = int(rng.integers(14, 33))
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    how = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
    return np.asarray(cv2.resize(small, (CANVAS, CANVAS), interpolation=how), np.uint8)


def fade(canvas: Canvas, rng: Generator) -> Canvas:
    """Ink that runs dry, light that falls from one side: as little as 40 % of it left in places."""
    cells = rng.uniform(0.4, 1.0, (int(rng.integers(2, 5)),) * 2).astype(np.float32)
    return np.asarray(canvas * cv2.resize(cells, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR), np.uint8)


def grain(canvas: Canvas, rng: Generator) -> Canvas:
    """Pencil or chalk, which leaves the paper's hollows white."""
    noise = cv2.resize(_noise(rng, int(rng.integers(28, 113))), (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(canvas, cv2.LUT(noise, _GRAIN), scale=1 / 255), np.uint8)


_DEVICES = (blur, threshold, roughen, few_pixels, fade, grain)


def framed(canvas: Canvas, rng: Generator, otherwise: Canvas) -> NDArray[np.uint8]:
    """The field as reading would make it, at times a pixel or two off. `otherwise` is taken where most of its ink is lost."""
    if np.count_nonzero(canvas > 100) < LEAST_LEFT * np.count_nonzero(otherwise > 100):
        canvas = otherwise
    field = to_field(canvas)
    if rng.random() < 0.25:
        right, down = rng.integers(0, 5, 2)
        field = np.pad(field, 2)[down : down + SIDE, right : right + SIDE]
    return field


# ---- things that are no digits


def _negatives(images: NDArray[np.uint8], labels: NDArray[np.uint8], count: int, rng: Generator) -> Iterator[NDArray[np.uint8]]:
    """`count` fields uint8 (28, 28) that show no digit, of all kinds in turn."""
    stock = Stock(images, labels, rng)
    for i in range(count):
        canvas = _KINDS[i % len(_KINDS)](stock)
        while np.count_nonzero(canvas > 100) < LEAST_INK:
            canvas = _KINDS[i % len(_KINDS)](stock)
        yield framed(recorded(canvas, rng), rng, otherwise=canvas)


class Stock:
    """Digits to make other things of, found by their label, with the generator that draws them."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8], rng: Generator) -> None:
        self.images, self.rng = images, rng
        self.places = {label: np.flatnonzero(labels == label) for label in range(10)}

    def digit(self, among: tuple[int, ...] = tuple(range(10))) -> Canvas:
        """One of these digits in another hand; where there is none, a drawn one."""
        label = int(self.rng.choice(among))
        if not len(self.places[label]):
            return draw(digit_strokes(label, self.rng), self.rng)
        return with_another_pen(in_another_hand(self.images[self.rng.choice(self.places[label])], self.rng), self.rng)


def sign(stock: Stock) -> Canvas:
    """A letter, Latin or Greek, or a sign."""
    return draw(parse(SIGN_STROKES[stock.rng.integers(len(SIGN_STROKES))], stock.rng), stock.rng)


def scribble(stock: Stock) -> Canvas:
    """A pen that wandered about, in curves or to and fro."""
    rng = stock.rng
    n = int(rng.integers(6, 16))
    if rng.random() < 0.6:
        points = smooth(rng.uniform(0, 9, (n, 2)))
    else:
        points = np.column_stack([np.linspace(0, 9, n), np.tile([0.0, 9.0], n)[:n] + rng.normal(0, 0.8, n)])
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
            [np.array([[x, 0.0], [x, 9.0]]) + rng.normal(0, 0.4, (2, 2)) for x in np.linspace(1, 8, int(rng.integers(2, 5)))], rng
        )
    depth = rng.uniform(2, 5) * rng.choice((-1, 1))
    return draw([smooth(np.array([[0, 4.5], [4.5, 4.5 + depth], [9, 4.5]]) + rng.normal(0, 0.3, (3, 2)))], rng)


def fragment(stock: Stock) -> Canvas:
    """Half a digit, where the half is no digit itself."""
    side = str(stock.rng.choice(tuple(FRAGMENTS)))
    return _half(stock.digit(FRAGMENTS[side]), side, stock.rng)


def _half(canvas: Canvas, side: str, rng: Generator) -> Canvas:
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    row, column = top + round(height * rng.uniform(0.42, 0.58)), left + round(width * rng.uniform(0.42, 0.58))
    half = canvas.copy()
    lost = {"top": half[row:], "bottom": half[:row], "left": half[:, column:], "right": half[:, :column]}[side]
    lost[:] = 0
    return half


def row(stock: Stock) -> Canvas:
    """Two or three digits that touch, or one with a piece of the next."""
    rng = stock.rng
    parts = [_tight(stock.digit()) for _ in range(3 if rng.random() < 0.2 else 2)]
    if rng.random() < 0.35:
        piece = _tight(_half(_on_paper(parts[-1]), str(rng.choice(("left", "right"))), rng))
        parts[-1] = piece if piece.shape[1] >= LEAST_PIECE else parts[-1]
    joined = parts[0]
    for part in parts[1:]:
        joined = _touching(joined, part, int(rng.integers(-4, 10)))
    return _on_paper(joined)


def _touching(left: NDArray[np.uint8], right: NDArray[np.uint8], overlap: int) -> NDArray[np.uint8]:
    """Side by side, `overlap` pixels into each other, their feet on one line."""
    height, width = max(len(left), len(right)), left.shape[1] + right.shape[1] - min(overlap, left.shape[1], right.shape[1])
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
    return _ink(canvas, [np.array(pair) for pair in zip(starts, ends, strict=True)], int(rng.integers(4, 10)))


def texture(stock: Stock) -> Canvas:
    """A piece of cloth, wood, shadow or noise, fine or coarse, with or without an outline."""
    rng = stock.rng
    how = int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
    canvas = np.asarray(cv2.resize(_noise(rng, int(rng.integers(2, 29))), (CANVAS, CANVAS), interpolation=how), np.uint8)
    if rng.random() < 0.5:
        canvas = np.asarray(cv2.equalizeHist(canvas), np.uint8)
    if rng.random() < 0.4:
        canvas = threshold(canvas, rng)
    if rng.random() < 0.5:
        canvas = np.asarray(cv2.bitwise_and(canvas, blob(stock)), np.uint8)
    return canvas


def blob(stock: Stock) -> Canvas:
    """Filled shapes: spots, rags, boxes with holes."""
    rng, canvas = stock.rng, _paper()
    for i in range(int(rng.integers(1, 5))):
        colour = 0 if i and rng.random() < 0.4 else 255
        if rng.random() < 0.6:
            axes = rng.integers(12, 45, 2)
            cv2.ellipse(
                canvas,
                _place(rng),
                (int(axes[0]), int(max(axes[1], axes[0] // 2))),
                rng.uniform(0, 180),
                0,
                360,
                colour,
                -1,
                cv2.LINE_AA,
            )
        else:
            cv2.fillPoly(canvas, [rng.integers(8, 104, (int(rng.integers(3, 8)), 2)).astype(np.int32)], colour, cv2.LINE_AA)
    return canvas


_KINDS = (
    *(sign,) * 8,
    *(scribble,) * 3,
    line,
    *(fragment,) * 3,
    *(row,) * 4,
    *(turned,) * 1,
    *(crossed_out,) * 2,
    *(texture,) * 3,
    *(blob,) * 2,
)  # in turn, so that each has its share


# ---- small things


def _paper() -> Canvas:
    return np.zeros((CANVAS, CANVAS), np.uint8)


def _disc(diameter: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)


def _noise(rng: Generator, side: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (side, side), np.uint8)


def _place(rng: Generator) -> tuple[int, int]:
    x, y = rng.integers(30, 82, 2)
    return int(x), int(y)


def _tight(canvas: Canvas) -> NDArray[np.uint8]:
    left, top, width, height = cv2.boundingRect((canvas > 60).view(np.uint8))
    return canvas[top : top + height, left : left + width] if width else np.zeros((8, 8), np.uint8)


def _on_paper(ink: NDArray[np.uint8]) -> Canvas:
    """Ink of any size, made smaller where it has to be, on the middle of a canvas."""
    scale = min(1.0, (CANVAS - 8) / max(ink.shape))
    if scale < 1:
        ink = np.asarray(cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    canvas, (height, width) = _paper(), ink.shape
    canvas[(CANVAS - height) // 2 :, (CANVAS - width) // 2 :][:height, :width] = ink
    return canvas


_PIXELS = np.indices((CANVAS, CANVAS), np.float32)[::-1] + np.float32(0.5)  # (2, 112, 112): x and y of every pixel's centre
_CRISPER = np.clip((np.arange(256) - 115.0) * 2.5 + 128, 0, 255).astype(np.uint8)  # enlarging blurs; ink has edges
_GRAIN = np.clip(np.arange(256) * 1.6 + 60, 0, 255).astype(np.uint8)  # most of the noise is full ink
