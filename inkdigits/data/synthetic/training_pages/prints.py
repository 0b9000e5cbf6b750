"""Print what stands on a page besides writing: rules, boxes, frames, underlines, words.

Takes rows and cells of the sheet and a lens; returns layers uint8 (H, W), bare 0 to covered 255.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from inkdigits.core.digits import Array, Mask
from inkdigits.data.synthetic.training_pages.boxes import is_empty, overlap, whole, window
from inkdigits.data.synthetic.training_pages.camera import Lens
from inkdigits.data.synthetic.training_pages.draws import (
    chance,
    integer,
    log_normal,
    log_uniform,
    one_of,
    pick,
)
from inkdigits.data.synthetic.training_pages.glyphs import FACES, face
from inkdigits.data.synthetic.training_pages.pixels import (
    FRACTION,
    Colour,
    Layer,
    Picture,
    Size,
    covered,
    fixed_point,
    part,
    resized,
)

Segment = tuple[float, float, float, float]  # from x, y to x, y on the sheet
Box = tuple[float, float, float, float]  # left, top, right, bottom on the sheet

LABELS = 300
LABEL_SIZE = 30  # pixels of a label's type
LABEL_ROOM = 3  # pixels around a label's type
CAPITAL_ROOM = 2  # the same around a single letter
CAPITALS = "DMYJTANCRPX"
WORDS = """
Total Amount Date Name No Nr Sum EUR USD Pay to the order of Account Bank Cheque Form
Page Class Marks Address Phone Signature Datum Betrag Konto Montant Fecha Importe
Cantidad Codigo Cliente Roll Subject Section Question Score Grade Student DD MM YYYY
only and of for ID VAT Tax Ref Item Qty Price
"""  # of forms
TYPESET_WORDS = 600  # for pages that are print all over
WORD_LETTERS = list("aaabcdeeeeefghhiijklmnnnooopqrrrssstttuuuvwxyz")
PIECES = 6  # of a line that is drawn by hand
RING_PIECES = 24  # of a ring that is drawn by hand
UNDERLINES = {1: 0.8, 2: 0.2}
BEYOND = 0.25  # of the picture, how far prints go beyond its edges
FAINTEST = 0.35  # share of black that a line keeps, however thin
MOST_CAPTIONS = 40
MOST_DOTS = 1200


def lines(
    size: Size,
    lens: Lens,
    segments: Sequence[Segment],
    width: float,
) -> Layer:
    """Draw straight lines.

    Args:
        size: of the picture, pixels.
        lens: through which the lines are seen.
        segments: on the sheet.
        width: of the lines, pixels; thinner than a pixel, they are as much fainter.

    Returns:
        The layer.
    """
    layer = np.zeros(size, np.uint8)
    ends = np.array(segments).reshape(-1, 2, 2)
    places = fixed_point(lens.seen(ends))
    thick = max(1, round(width))
    cv2.polylines(layer, list(places), False, 255, thick, cv2.LINE_AA, FRACTION)
    if width >= 1:
        return layer

    share = np.float32(max(FAINTEST, width))

    return (layer * share).astype(np.uint8)


def wobbly(segments: Sequence[Segment], reach: float, rng: Generator) -> list[Segment]:
    """Draw lines by hand: each in pieces, its points off by about `reach` pixels."""
    t = np.linspace(0, 1, PIECES + 1)[:, None]
    pieces: list[Segment] = []
    for segment in segments:
        start, end = np.array(segment).reshape(2, 2)
        points = start + t * (end - start)
        steps = rng.normal(0, 0.5 * reach, points.shape)
        points += np.cumsum(steps, axis=0)
        points += rng.normal(0, reach, 2)
        pieces += _joined(points)

    return pieces


def _joined(points: Array) -> list[Segment]:
    """Return the segments between points (K, 2)."""
    return np.hstack([points[:-1], points[1:]]).tolist()


def ruled(size: Size, first: float, pitch: float) -> list[Segment]:
    """Return the lines of a ruled sheet, one of them at the height `first`."""
    height, width = size
    low = -BEYOND * width
    high = (1 + BEYOND) * width
    return [(low, y, high, y) for y in _every(first, pitch, height)]


def squared(
    size: Size,
    first: float,
    pitch: float,
    left: float,
) -> list[Segment]:
    """Return the lines of a squared sheet, two of them at `first` and `left`."""
    height, width = size
    low = -BEYOND * height
    high = (1 + BEYOND) * height
    upright = [(x, low, x, high) for x in _every(left, pitch, width)]

    return ruled(size, first, pitch) + upright


def upright(size: Size, rng: Generator) -> list[Segment]:
    """Return the line of a margin, anywhere."""
    height, width = size
    x = rng.uniform(-0.1, 1.1) * width
    return [(x, -height, x, 2 * height)]


def dotted(size: Size, pitch: float, rng: Generator) -> list[Segment]:
    """Return the dots of a dotted sheet, as short lines."""
    height, width = size
    xs = _every(rng.uniform(0, pitch), pitch, width)
    ys = _every(rng.uniform(0, pitch), pitch, height)
    dots = [(x, y, x + 0.2, y) for y in ys for x in xs]

    return dots[:MOST_DOTS]


def _every(first: float, pitch: float, length: float) -> list[float]:
    """Return places a pitch apart, one of them `first`, from one end to the other and beyond."""
    before = np.ceil(BEYOND * length / pitch)
    start = first % pitch - pitch * before
    return np.arange(start, (1 + BEYOND) * length, pitch).tolist()


def boxed(cells: Iterable[Box]) -> list[Segment]:
    """Draw a frame around each cell."""
    segments = []
    for left, top, right, bottom in cells:
        segments += [
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        ]

    return segments


def combed(cells: Iterable[Box], tooth: float) -> list[Segment]:
    """Draw a line below each cell with teeth at its sides, a share `tooth` of its height long."""
    segments = []
    for left, top, right, bottom in cells:
        y = bottom - tooth * (bottom - top)
        segments += [
            (left, bottom, right, bottom),
            (left, y, left, bottom),
            (right, y, right, bottom),
        ]

    return segments


def underlined(rows: Iterable[Box], rng: Generator) -> list[Segment]:
    """Draw lines under rows by hand, one or two, at or through their feet."""
    segments: list[Segment] = []
    for left, top, right, bottom in rows:
        height = bottom - top
        for line in range(pick(UNDERLINES, rng)):
            start = left - rng.uniform(-0.3, 0.5) * height
            end = right + rng.uniform(-0.3, 0.6) * height
            below = (rng.uniform(-0.02, 0.25) + 0.12 * line) * height

            x = np.linspace(start, end, PIECES + 1)
            steps = rng.normal(0, 0.02 * abs(height), PIECES + 1)
            slope = rng.normal(0, 0.04)
            y = bottom + below + np.cumsum(steps) + slope * (x - start)
            segments += _joined(np.column_stack([x, y]))

    return segments


def circled(rows: Iterable[Box], rng: Generator) -> list[Segment]:
    """Draw rings around some rows by hand, as around the numbers of questions."""
    segments: list[Segment] = []
    for left, top, right, bottom in rows:
        if chance(0.5, rng):
            continue

        end = 2 * np.pi + rng.uniform(-0.2, 0.6)
        turn = np.linspace(0, end, RING_PIECES + 1)
        turn -= rng.uniform(0, 6)
        room = rng.uniform(1.25, 1.7, 2)
        shaking = 1 + np.cumsum(rng.normal(0, 0.012, RING_PIECES + 1))
        across, down = np.outer(room, shaking)

        height = bottom - top
        width = max(right - left, height)
        x = (left + right) / 2 + np.cos(turn) * across * width / 2
        y = (top + bottom) / 2 + np.sin(turn) * down * height / 2
        segments += _joined(np.column_stack([x, y]))

    return segments


def around(cells: Sequence[Box], rng: Generator) -> list[Segment]:
    """Draw a thick frame around all cells, now and then: a bundle of lines close together."""
    if chance(0.6, rng):
        return []

    edges = np.array(cells)
    low = edges[:, :2].min(axis=0)
    high = edges[:, 2:].max(axis=0)
    outer = np.arange(0, rng.uniform(1, 4), 0.7)
    frames = [(*(low - out), *(high + out)) for out in outer]

    return boxed(frames)


def fitted(rows: Sequence[Box], rng: Generator) -> list[Segment]:
    """Print a box around each row that fits it more or less: digits may touch its edges."""
    boxes = []
    for left, top, right, bottom in rows:
        height = bottom - top
        a, b, c, d = rng.uniform(-0.03, 0.45, 4) * height
        box = (
            left - 2 * a,
            top - b,
            right + 3 * c,
            bottom + d,
        )
        boxes.append(box)

    return boxed(boxes)


def framed(size: Size, rng: Generator) -> list[Segment]:
    """Print a form's frame or two, with lines that part it."""
    height, width = size
    segments: list[Segment] = []
    for _ in range(integer(1, 3, rng)):
        a, b, c, d = rng.uniform(-0.2, 0.3, 4)
        left, right = a * width, (1 - c) * width
        top, bottom = b * height, (1 - d) * height
        segments += boxed([(left, top, right, bottom)])

        for _ in range(integer(0, 3, rng)):
            if chance(0.5, rng):
                x = rng.uniform(left, right)
                segments.append((x, top, x, bottom))
            else:
                y = rng.uniform(top, bottom)
                segments.append((left, y, right, y))

    return segments


@cache
def labels() -> tuple[Layer, ...]:
    """Set words in type, once."""
    rng = np.random.default_rng(31)
    words = WORDS.split()
    made = []
    for _ in range(LABELS):
        text = " ".join(rng.choice(words, integer(1, 5, rng)))
        if chance(0.25, rng):
            text += f" {rng.integers(0, 10 ** integer(1, 7, rng))}"
        if chance(0.3, rng):
            text += one_of((":", ".", " ...", " ____"), rng)
        if chance(0.25, rng):
            text = text.upper()

        font = face(one_of(FACES, rng), LABEL_SIZE)
        made.append(_typeset(text, font, LABEL_ROOM))

    return tuple(made)


@cache
def words() -> tuple[Layer, ...]:
    """Set words of no language in type, once; some are numbers, as beside the axes of a chart."""
    rng = np.random.default_rng(37)
    made = []
    for _ in range(TYPESET_WORDS):
        length = integer(2, 10, rng)
        word = "".join(rng.choice(WORD_LETTERS, length))
        style = rng.random()
        if style < 0.15:
            word = word.upper()
        elif style < 0.3:
            word = word.capitalize()
        elif style < 0.4:
            word = str(rng.integers(0, 10 ** integer(1, 5, rng)))

        made.append(_typeset(word, face(one_of(FACES, rng), LABEL_SIZE), LABEL_ROOM))

    return tuple(made)


@cache
def capitals() -> tuple[Layer, ...]:
    """Set single letters in type, once."""
    fonts = [face(name, LABEL_SIZE) for name in FACES[:5]]
    return tuple(_typeset(letter, font, CAPITAL_ROOM) for font in fonts for letter in CAPITALS)


def _typeset(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> Layer:
    """Set a text in type, with `room` pixels around."""
    left, top, right, bottom = map(int, font.getbbox(text))
    width = right - left + 2 * room
    height = bottom - top + 2 * room
    picture = Image.new("L", (width, height))
    start = (room - left, room - top)
    ImageDraw.Draw(picture).text(start, text, 255, font=font)

    return np.asarray(picture)


def poster(picture: Picture, rng: Generator) -> Picture:
    """Print coloured words all over, some of them upright: a word cloud, a poster, a cover."""
    picture = picture.copy()
    height, width = picture.shape[:2]
    for _ in range(integer(3, 30, rng)):
        word = np.rot90(one_of(words(), rng), one_of((0, 0, 0, 1, 3), rng))
        scale = log_uniform(0.25, 2.5, rng)
        x = int(rng.uniform(-0.2, 0.95) * width)
        y = int(rng.uniform(-0.1, 1) * height)
        red, green, blue = rng.uniform(0, 255, 3).tolist()
        _print_word(picture, word, scale, (x, y), (red, green, blue))

    return picture


def text(picture: Picture, rng: Generator) -> Picture:
    """Fill the picture with rows of words of one size, as in a book, a form or a table."""
    picture = picture.copy()
    height, width = picture.shape[:2]
    scale = log_uniform(0.25, 1.2, rng)
    pitch = LABEL_SIZE * scale * rng.uniform(1.1, 2)
    space = LABEL_SIZE * scale * rng.uniform(0.2, 1.5)
    red, green, blue = rng.uniform(0, 110, 3).tolist()
    printed = words()
    if chance(0.5, rng):
        printed = printed[:: integer(5, 60, rng)]

    y = rng.uniform(-1, 1) * pitch
    while y < height:
        x = rng.uniform(-0.3, 0.3) * width
        last = width * rng.uniform(0.5, 1.1)
        while x < last:
            word = one_of(printed, rng)
            _print_word(picture, word, scale, (int(x), int(y)), (red, green, blue))
            x += word.shape[1] * scale + space

        y += pitch

    return picture


def _print_word(
    picture: Picture,
    word: Layer,
    scale: float,
    place: tuple[int, int],
    colour: Colour,
) -> None:
    """Print a word on a picture, its upper left corner at a place that may be outside."""
    size = [max(2, round(side * scale)) for side in word.shape]
    layer = resized(np.ascontiguousarray(word), (size[0], size[1]))
    x, y = place
    box = overlap(np.array([x, y, x + size[1], y + size[0]]), whole(picture.shape[:2]))
    if is_empty(box):
        return

    left, top, right, bottom = box.tolist()
    seen = layer[top - y : bottom - y, left - x : right - x]
    below = picture[window(box)]
    below[:] = covered(below, part(seen), colour)


def captioned(
    size: Size,
    lens: Lens,
    cells: Sequence[Box],
    height: float,
    rng: Generator,
) -> Layer:
    """Print a letter, `height` pixels high, below each cell, as forms do for dates."""
    layer = np.zeros(size, np.uint8)
    for left, _, right, bottom in cells[:MOST_CAPTIONS]:
        letter = one_of(capitals(), rng)
        x = (left + right - height) / 2
        y = bottom + 0.3 * height
        _paste(layer, lens, letter, height, (x, y))

    return layer


def worded(
    size: Size,
    lens: Lens,
    free: Mask,
    height: float,
    rng: Generator,
) -> Layer:
    """Print some words where there is room.

    Args:
        size: of the picture, pixels.
        lens: through which the words are seen.
        free: bool (H, W), where words may stand.
        height: of the words, about, pixels.
        rng: chance.

    Returns:
        The layer.
    """
    layer = np.zeros(size, np.uint8)
    for _ in range(integer(1, 6, rng)):
        label = one_of(labels(), rng)
        tall = height * log_normal(1, 0.15, rng)
        wide = label.shape[1] * tall / LABEL_SIZE
        left = rng.uniform(-0.3, 1) * size[1]
        top = rng.uniform(0, 1) * size[0]

        (x, y), _ = lens.at(left, top)
        rows = slice(int(max(0, y)), int(y + tall))
        columns = slice(int(max(0, x)), int(x + wide))
        below = free[rows, columns]
        if below.size and below.all():
            _paste(layer, lens, label, tall, (left, top))

    return layer


def _paste(
    layer: Layer,
    lens: Lens,
    label: Layer,
    height: float,
    place: tuple[float, float],
) -> None:
    """Put a label of some height on a layer, its upper left corner at a place of the sheet."""
    scale = height / LABEL_SIZE
    tall = max(2, int(label.shape[0] * scale))
    wide = max(2, int(label.shape[1] * scale))

    point, jacobian = lens.at(*place)
    low = (point - (0.3 * tall, 0.3 * wide)).astype(int)
    across = int(1.2 * wide + tall)
    down = int(1.2 * tall + 0.6 * wide)
    left, top = low
    turned = np.array([left, top, left + across, top + down])
    box = overlap(turned, whole(layer.shape))
    extent = box[2:] - box[:2]
    if extent.min() < 2:
        return

    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = resized(label, (tall, wide), how)
    to_layer = np.column_stack([jacobian, point - box[:2]])
    seen = cv2.warpAffine(small, to_layer, extent.tolist(), flags=cv2.INTER_LINEAR)
    part = layer[window(box)]
    np.maximum(part, seen, out=part)
