"""Print what stands on a page besides writing: rules, squares, boxes, combs, tables, frames,
underlines, words, crossings-out.

Takes rows and cells of the sheet and a lens; returns layers uint8 (H, W), bare 0 to covered 255.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inkdigits.data.synthetic.training_pages.camera import Lens
from inkdigits.data.synthetic.training_pages.glyphs import FACES, face

Layer = NDArray[np.uint8]
Segment = tuple[float, float, float, float]  # from x, y to x, y on the sheet
Box = tuple[float, float, float, float]  # left, top, right, bottom on the sheet

FRACTION = 4  # binary digits after the point in OpenCV's coordinates
LABELS = 300
LABEL_SIZE = 30  # pixels of a label's type
WORDS = """
Total Amount Date Name No Nr Sum EUR USD Pay to the order of Account Bank Cheque Form
Page Class Marks Address Phone Signature Datum Betrag Konto Montant Fecha Importe
Cantidad Codigo Cliente Roll Subject Section Question Score Grade Student DD MM YYYY
only and of for ID VAT Tax Ref Item Qty Price
"""  # of forms
BEYOND = 0.25  # of the picture, how far prints go beyond its edges
MOST_CAPTIONS = 40
MOST_DOTS = 1200


def lines(size: tuple[int, int], lens: Lens, segments: Sequence[Segment], width: float) -> Layer:
    """Draw straight lines; thinner than a pixel, they are as much fainter."""
    layer = np.zeros(size, np.uint8)
    if not segments:
        return layer
    ends = lens.seen(np.asarray(segments, np.float64).reshape(-1, 2, 2))
    places = np.rint(np.clip(ends, -4000, 4000) * (1 << FRACTION)).astype(np.int32)
    cv2.polylines(layer, list(places), False, 255, max(1, round(width)), cv2.LINE_AA, FRACTION)
    return layer if width >= 1 else (layer * np.float32(max(0.35, width))).astype(np.uint8)


def wobbly(segments: Sequence[Segment], reach: float, rng: Generator) -> list[Segment]:
    """Draw lines by hand: each in six pieces, its points off by about `reach` pixels."""
    t = np.linspace(0, 1, 7)[:, None]
    pieces: list[Segment] = []
    for segment in segments:
        start, end = np.array(segment).reshape(2, 2)
        points = start + t * (end - start)
        points += np.cumsum(rng.normal(0, 0.5 * reach, (7, 2)), axis=0)
        points += rng.normal(0, reach, 2)
        pieces += np.hstack([points[:-1], points[1:]]).tolist()
    return pieces


def ruled(size: tuple[int, int], first: float, pitch: float) -> list[Segment]:
    """Rule a sheet, one line at the height `first`."""
    height, width = size
    low, high = -BEYOND * width, (1 + BEYOND) * width
    return [(low, y, high, y) for y in _every(first, pitch, height)]


def squared(size: tuple[int, int], first: float, pitch: float, left: float) -> list[Segment]:
    """Square a sheet."""
    height, width = size
    low, high = -BEYOND * height, (1 + BEYOND) * height
    return ruled(size, first, pitch) + [(x, low, x, high) for x in _every(left, pitch, width)]


def upright(size: tuple[int, int], rng: Generator) -> list[Segment]:
    """Rule a margin, anywhere."""
    height, width = size
    x = float(rng.uniform(-0.1, 1.1) * width)
    return [(x, -height, x, 2.0 * height)]


def dotted(size: tuple[int, int], pitch: float, rng: Generator) -> list[Segment]:
    """Dot a sheet."""
    height, width = size
    xs, ys = (
        _every(rng.uniform(0, pitch), pitch, width),
        _every(rng.uniform(0, pitch), pitch, height),
    )
    return [(x, y, x + 0.2, y) for y in ys for x in xs][:MOST_DOTS]


def _every(first: float, pitch: float, length: float) -> list[float]:
    start = first % pitch - pitch * np.ceil(BEYOND * length / pitch)
    return np.arange(start, (1 + BEYOND) * length, pitch).tolist()


def boxed(cells: Iterable[Box]) -> list[Segment]:
    """Draw a frame around each cell."""
    return [
        edge
        for left, top, right, bottom in cells
        for edge in (
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        )
    ]


def combed(cells: Iterable[Box], tooth: float) -> list[Segment]:
    """Draw a line below each cell with teeth at its sides. tooth: length as a share of the cell's
    height.
    """
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
    """Underline rows by hand, once or twice, at or through their feet."""
    segments: list[Segment] = []
    for left, top, right, bottom in rows:
        height = bottom - top
        for i in range(int(rng.choice([1, 2], p=[0.8, 0.2]))):
            ends = left - rng.uniform(-0.3, 0.5) * height, right + rng.uniform(-0.3, 0.6) * height
            x = np.linspace(*ends, 7)
            y = bottom + (rng.uniform(-0.02, 0.25) + 0.12 * i) * height
            y = (
                y
                + np.cumsum(rng.normal(0, 0.02 * abs(height), 7))
                + rng.normal(0, 0.04) * (x - x[0])
            )
            segments += zip(x[:-1], y[:-1], x[1:], y[1:], strict=True)
    return segments


def circled(rows: Iterable[Box], rng: Generator) -> list[Segment]:
    """Ring some rows by hand, as the numbers of questions are."""
    segments: list[Segment] = []
    for left, top, right, bottom in rows:
        if rng.random() < 0.5:
            continue
        turn = np.linspace(0, 2 * np.pi + rng.uniform(-0.2, 0.6), 25) - rng.uniform(0, 6)
        room = rng.uniform(1.25, 1.7, 2) * (1 + np.cumsum(rng.normal(0, 0.012, (25, 1)), axis=0))
        x = (left + right) / 2 + np.cos(turn) * room[:, 0] * max(right - left, bottom - top) / 2
        y = (top + bottom) / 2 + np.sin(turn) * room[:, 1] * (bottom - top) / 2
        segments += zip(x[:-1], y[:-1], x[1:], y[1:], strict=True)
    return segments


def around(cells: Sequence[Box], rng: Generator) -> list[Segment]:
    """Draw a thick frame around all cells, now and then: a bundle of lines close together."""
    if rng.random() < 0.6:
        return []
    edges = np.array(cells)
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    return boxed([(*(low - out), *(high + out)) for out in np.arange(0, rng.uniform(1, 4), 0.7)])


def fitted(rows: Sequence[Box], rng: Generator) -> list[Segment]:
    """Print a box around each row that fits it more or less: digits may touch its edges."""
    boxes = []
    for left, top, right, bottom in rows:
        height = bottom - top
        room = rng.uniform(-0.03, 0.45, 4) * height
        boxes.append((left - 2 * room[0], top - room[1], right + 3 * room[2], bottom + room[3]))
    return boxed(boxes)


def framed(size: tuple[int, int], rng: Generator) -> list[Segment]:
    """Print a form's frame or two, with lines that part it."""
    height, width = size
    segments: list[Segment] = []
    for _ in range(int(rng.integers(1, 3))):
        a, b, c, d = rng.uniform(-0.2, 0.3, 4)
        box = (a * width, b * height, (1 - c) * width, (1 - d) * height)
        segments += boxed([box])
        for _ in range(int(rng.integers(0, 3))):
            if rng.random() < 0.5:
                x = rng.uniform(box[0], box[2])
                segments.append((x, box[1], x, box[3]))
            else:
                y = rng.uniform(box[1], box[3])
                segments.append((box[0], y, box[2], y))
    return segments


@cache
def labels() -> tuple[Layer, ...]:
    """Set words in type, once."""
    rng = np.random.default_rng(31)
    words, made = WORDS.split(), []
    for _ in range(LABELS):
        text = " ".join(str(word) for word in rng.choice(words, int(rng.integers(1, 5))))
        if rng.random() < 0.25:
            text += f" {rng.integers(0, 10 ** int(rng.integers(1, 7)))}"
        if rng.random() < 0.3:
            text += str(rng.choice([":", ".", " ...", " ____"]))
        text = text.upper() if rng.random() < 0.25 else text
        font = face(FACES[rng.integers(len(FACES))], LABEL_SIZE)
        left, top, right, bottom = (int(value) for value in font.getbbox(text))
        picture = Image.new("L", (right - left + 6, bottom - top + 6))
        ImageDraw.Draw(picture).text((3 - left, 3 - top), text, 255, font=font)
        made.append(np.asarray(picture))
    return tuple(made)


@cache
def capitals() -> tuple[Layer, ...]:
    """Set single letters in type, once."""
    made = []
    for name in FACES[:5]:
        font = face(name, LABEL_SIZE)
        for letter in "DMYJTANCRPX":
            left, top, right, bottom = (int(value) for value in font.getbbox(letter))
            picture = Image.new("L", (right - left + 4, bottom - top + 4))
            ImageDraw.Draw(picture).text((2 - left, 2 - top), letter, 255, font=font)
            made.append(np.asarray(picture))
    return tuple(made)


def captioned(
    size: tuple[int, int], lens: Lens, cells: Sequence[Box], height: float, rng: Generator
) -> Layer:
    """Print a letter, `height` pixels high, below each cell, as forms do for dates."""
    layer = np.zeros(size, np.uint8)
    for left, _, right, bottom in cells[:MOST_CAPTIONS]:
        letter = capitals()[int(rng.integers(len(capitals())))]
        _paste(layer, lens, letter, height, ((left + right - height) / 2, bottom + 0.3 * height))
    return layer


def worded(
    size: tuple[int, int], lens: Lens, free: NDArray[np.bool_], height: float, rng: Generator
) -> Layer:
    """Print some words where there is room.

    The words are about `height` pixels high, and stand only where `free`, bool (H, W), has no ink.
    """
    layer = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        label = labels()[int(rng.integers(LABELS))]
        tall = height * float(np.exp(rng.normal(0, 0.15)))
        place = rng.uniform(-0.3, 1) * size[1], rng.uniform(0, 1) * size[0]
        (x, y), _ = lens.at(*place)
        wide = label.shape[1] * tall / LABEL_SIZE
        below = free[int(max(0, y)) : int(y + tall), int(max(0, x)) : int(x + wide)]
        if below.size and below.all():
            _paste(layer, lens, label, tall, place)
    return layer


def _paste(
    layer: Layer, lens: Lens, label: Layer, height: float, place: tuple[float, float]
) -> None:
    """Put a label of some height on a layer, its upper left corner at a place of the sheet."""
    scale = height / LABEL_SIZE
    (x, y), jacobian = lens.at(*place)
    wide, tall = max(2, int(label.shape[1] * scale)), max(2, int(label.shape[0] * scale))
    x0, y0 = int(x - 0.3 * tall), int(y - 0.3 * wide)
    across, down = int(1.2 * wide + tall), int(1.2 * tall + 0.6 * wide)
    left, top = max(0, x0), max(0, y0)
    right, bottom = min(layer.shape[1], x0 + across), min(layer.shape[0], y0 + down)
    if right - left < 2 or bottom - top < 2:
        return

    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(label, (wide, tall), interpolation=how)
    matrix = np.column_stack([jacobian, (x - left, y - top)])
    seen = cv2.warpAffine(small, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    part = layer[top:bottom, left:right]
    np.maximum(part, seen, out=part)
