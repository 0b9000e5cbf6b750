"""Take MNIST's training digits writer by writer, each thinned to the way its pen went."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import read_array
from inkdigits.core.digits import CLASSES, Array, Labels, Mask, Plane
from inkdigits.data.store import default_data_dir
from inkdigits.data.synthetic.training_pages.fields import EM, Glyph, as_way, from_way
from inkdigits.data.synthetic.training_pages.pixels import resized
from inkdigits.data.writers import WRITERS_FILE, read_writers

Images = NDArray[np.uint8]  # (N, H, W)
Masks = NDArray[np.bool_]  # (N, H, W)

HELD_OUT = 9  # one writer in so many writes validation pages only
A_DIGIT = 5  # examples of each digit kept of a writer
ENLARGED = 2  # times, before thinning
MNIST_DIGIT = 20  # pixels an MNIST digit is high
TOGETHER = 500  # images thinned at a time
BLOT = 1.5  # times the pen's width: a wider place may be a loop that is filled
LOOPS = {0: 1, 6: 1, 8: 2, 9: 1}  # that a digit has, unless it is left open
OUTLINE = 105  # of 255, from which on a pixel of an enlarged digit is ink
PATH = 120  # of 255, the same of a line that is brought to the size of a field
# (y, x) of the neighbours, clockwise from above
AROUND = (
    (-1, 0),
    (-1, 1),
    (0, 1),
    (1, 1),
    (1, 0),
    (1, -1),
    (0, -1),
    (-1, -1),
)
EACH = 111  # images a writer has where nobody knows who wrote what


@cache
def writers(split: str) -> tuple[int, ...]:
    """Name the writers of a split, train or validation; no writer is in both."""
    everyone = np.unique(_who())
    held_out = np.arange(len(everyone)) % HELD_OUT == HELD_OUT // 2
    chosen = held_out if split == "validation" else ~held_out
    return tuple(everyone[chosen].tolist())


@cache
def _who() -> NDArray[np.int32]:
    """Return who wrote each training digit, (60000,).

    Without the file of writers, neighbours in MNIST count as one writer's.
    """
    file = default_data_dir() / "mnist" / WRITERS_FILE
    if not file.exists():
        return np.arange(60000, dtype=np.int32) // EACH

    return read_writers(file)


def hands(split: str) -> list[dict[int, list[Glyph]]]:
    """Collect each writer's glyphs of a split.

    Args:
        split: train or validation.

    Returns:
        For each writer a dict from digit to some ways in which the writer wrote it; writers that
        lack a digit are left out.

    Raises:
        BadData: MNIST's training files are not in the folder of datasets.
    """
    folder = default_data_dir() / "mnist"
    images = read_array(folder / "train-images-idx3-ubyte.gz")
    labels = read_array(folder / "train-labels-idx1-ubyte.gz")
    chosen = _chosen(labels, split)

    collected: dict[int, dict[int, list[Glyph]]] = {}
    for start in range(0, len(chosen), TOGETHER):
        places = chosen[start : start + TOGETHER]
        outlines = np.stack([_outline(image) for image in images[places]])
        ways = thinned(outlines > 0)

        for place, outline, way in zip(places, outlines, ways, strict=True):
            label = int(labels[place])
            glyph = _glyph(outline, way, label)
            if glyph is not None:
                hand = collected.setdefault(_who()[place], {})
                hand.setdefault(label, []).append(glyph)

    return [hand for hand in collected.values() if len(hand) == CLASSES]


def _chosen(labels: Labels, split: str) -> NDArray[np.int64]:
    """Pick A_DIGIT examples of each digit of each writer of the split."""
    mine = np.flatnonzero(np.isin(_who(), writers(split)))
    group = _who()[mine].astype(np.int64) * CLASSES + labels[mine]
    order = np.argsort(group, kind="stable")

    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    rank = np.arange(len(order)) - np.repeat(starts, lengths)

    return np.sort(mine[order[rank < A_DIGIT]])


def _outline(image: Plane) -> Plane:
    """Enlarge a digit with a smooth outline: 1 is ink."""
    large = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(large, (0, 0), 0.4 * ENLARGED)
    return (smooth > OUTLINE).view(np.uint8)


def thinned(ink: Masks) -> Masks:
    """Reduce strokes to lines a pixel wide that hang together as before.

    Source: Zhang & Suen 1984, "A fast parallel algorithm for thinning digital patterns".

    Args:
        ink: bool (N, H, W), nothing at the border.

    Returns:
        The same shape.
    """
    lines = ink.astype(np.uint8)
    at_work = np.arange(len(lines))

    while len(at_work):
        left = lines[at_work]
        for removed in _zhang_suen():
            left &= ~np.take(removed, _neighbours(left))

        changed = (left != lines[at_work]).any(axis=(1, 2))
        lines[at_work] = left
        at_work = at_work[changed]

    return lines.view(np.bool_)


def _neighbours(ink: Images) -> Images:
    """Write each pixel's eight neighbours, clockwise from above, into the bits of a byte."""
    width = ink.shape[2]
    flat = ink.ravel()
    code = np.zeros_like(flat)

    for bit, (down, across) in enumerate(AROUND):
        step = down * width + across
        if step > 0:
            code[:-step] |= flat[step:] << bit
        else:
            code[-step:] |= flat[:step] << bit

    return code.reshape(ink.shape)


@cache
def _zhang_suen() -> Array:
    """Tabulate, for both half-steps, which neighbourhoods lose their middle pixel: uint8 (2, 256).

    Neighbours 0, 2, 4, 6 of the code are those above, right, below, left.
    """
    codes = np.arange(256, dtype=np.uint8)
    around = np.unpackbits(codes[:, None], axis=1, bitorder="little")
    above, right, below, left = around[:, ::2].T

    count = around.sum(axis=1)
    starts = around < np.roll(around, -1, axis=1)
    is_edge = (count >= 2) & (count <= 6)
    is_edge &= starts.sum(axis=1) == 1

    first = ~(right & below & (above | left))
    second = ~(above & left & (right | below))

    return np.array([is_edge & first, is_edge & second], np.uint8)


def _glyph(outline: Plane, way: Mask, label: int) -> Glyph | None:
    """Make a glyph of a thinned digit; None where nothing is left of it."""
    left, top, width, height = cv2.boundingRect(way.view(np.uint8))
    if height < ENLARGED * MNIST_DIGIT // 4:
        return None

    halves = cv2.distanceTransform(outline, cv2.DIST_L2, 5)[way]
    half = float(np.median(halves))
    lacks_loop = _loops(way) < LOOPS.get(label, 0)
    if lacks_loop and halves.max() > BLOT * half:
        return None

    scale = EM / (ENLARGED * MNIST_DIGIT - 2 * half)
    wide = max(1, round(width * scale))
    tall = max(1, round(height * scale))
    line = way[top : top + height, left : left + width]
    large = resized(line * np.uint8(255), (tall, wide))
    path = as_way(large, PATH)
    if path.all():
        return None

    return from_way(path, -tall / EM, label, half * scale / EM)


def _loops(way: Mask) -> int:
    """Count the places that a line closes in."""
    count, _ = cv2.connectedComponents((~way).view(np.uint8), connectivity=4)
    return count - 2
