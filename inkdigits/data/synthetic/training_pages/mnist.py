"""Take MNIST's training digits writer by writer, each thinned to the way its pen went."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import read_array
from inkdigits.data.store import default_data_dir
from inkdigits.data.synthetic.training_pages.fields import EM, Glyph, from_way, padded

Images = NDArray[np.uint8]  # (N, H, W)

HELD_OUT = 9  # one writer in so many writes validation pages only
A_DIGIT = 5  # examples of each digit kept of a writer
ENLARGED = 2  # times, before thinning
MNIST_DIGIT = 20  # pixels an MNIST digit is high
TOGETHER = 500  # images thinned at a time
BLOT = 1.5  # times the pen's width: a wider place may be a loop that is filled
LOOPS = {0: 1, 6: 1, 8: 2, 9: 1}  # that a digit has, unless it is left open
EACH = 111  # images a writer has where nobody knows who wrote what


@cache
def writers(split: str) -> tuple[int, ...]:
    """Name the writers of a split, train or validation; no writer is in both."""
    everyone = np.unique(_who())
    held_out = np.arange(len(everyone)) % HELD_OUT == HELD_OUT // 2
    return tuple(everyone[held_out if split == "validation" else ~held_out].tolist())


@cache
def _who() -> NDArray[np.int32]:
    """Say who wrote each training digit: (60000,). Without the file of writers, neighbours in MNIST
    count as one writer's.
    """
    file = default_data_dir() / "mnist" / "mnist_writers.npz"
    if file.exists():
        return np.asarray(np.load(file, allow_pickle=False)["train_writer"], np.int32)
    return np.arange(60000, dtype=np.int32) // EACH


def hands(split: str) -> list[dict[int, list[Glyph]]]:
    """Collect each writer's glyphs of a split: a dict from digit to some ways in which the writer
    wrote it.

    Raises:
        FileNotFoundError: MNIST's training files are not in the folder of datasets.
    """
    folder = default_data_dir() / "mnist"
    images = read_array(folder / "train-images-idx3-ubyte.gz")
    labels = read_array(folder / "train-labels-idx1-ubyte.gz")
    chosen = _chosen(labels, split)
    who = _who()

    collected: dict[int, dict[int, list[Glyph]]] = {}
    for start in range(0, len(chosen), TOGETHER):
        places = chosen[start : start + TOGETHER]
        outlines = np.stack([_outline(image) for image in images[places]])
        ways = thinned(outlines > 0)
        for place, outline, way in zip(places, outlines, ways, strict=True):
            label = int(labels[place])
            glyph = _glyph(outline, way, label)
            if glyph is not None:
                collected.setdefault(int(who[place]), {}).setdefault(label, []).append(glyph)
    return [hand for hand in collected.values() if len(hand) == len(range(10))]


def _chosen(labels: NDArray[np.uint8], split: str) -> NDArray[np.int64]:
    """Pick A_DIGIT examples of each digit of each writer of the split."""
    mine = np.flatnonzero(np.isin(_who()[: len(labels)], writers(split)))
    group = _who()[mine].astype(np.int64) * 10 + labels[mine]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return np.sort(mine[order[rank < A_DIGIT]])


def _outline(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge a digit with a smooth outline: 1 is ink."""
    large = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(large, (0, 0), 0.4 * ENLARGED)
    return (smooth > 105).view(np.uint8)


def thinned(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin strokes to lines a pixel wide that hang together as before.

    Source: Zhang & Suen 1984, "A fast parallel algorithm for thinning digital patterns".

    Args:
        ink: bool (N, H, W), nothing at the border.
    """
    lines = ink.astype(np.uint8)
    at_work = np.arange(len(lines))
    while len(at_work):
        left = lines[at_work]
        for table in _zhang_suen():
            left &= ~np.take(table, _neighbours(left))
        changed = (left != lines[at_work]).any(axis=(1, 2))
        lines[at_work] = left
        at_work = at_work[changed]
    return lines.view(np.bool_)


def _neighbours(ink: Images) -> Images:
    """Write each pixel's eight neighbours, clockwise from above, into the bits of a byte."""
    flat, code = ink.ravel(), np.zeros(ink.size, np.uint8)
    for bit, (dy, dx) in enumerate(_AROUND):
        step = dy * ink.shape[2] + dx
        if step > 0:
            code[:-step] |= flat[step:] << bit
        else:
            code[-step:] |= flat[:step] << bit
    return code.reshape(ink.shape)


@cache
def _zhang_suen() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Tabulate, for both half-steps, which neighbourhoods lose their middle pixel."""
    tables = np.zeros((2, 256), np.uint8)
    for code in range(256):
        p = [code >> bit & 1 for bit in range(8)]
        changes = sum(p[i] == 0 and p[(i + 1) % 8] == 1 for i in range(8))
        if 2 <= sum(p) <= 6 and changes == 1:
            tables[0, code] = not (p[0] and p[2] and p[4]) and not (p[2] and p[4] and p[6])
            tables[1, code] = not (p[0] and p[2] and p[6]) and not (p[0] and p[4] and p[6])
    return tables[0], tables[1]


def _glyph(outline: NDArray[np.uint8], way: NDArray[np.bool_], label: int) -> Glyph | None:
    """Make a glyph of a thinned digit; None where nothing is left of it."""
    left, top, width, height = cv2.boundingRect(way.view(np.uint8))
    if height < ENLARGED * MNIST_DIGIT // 4:
        return None

    half = cv2.distanceTransform(outline, cv2.DIST_L2, 5)[way]
    if _loops(way) < LOOPS.get(label, 0) and half.max() > BLOT * np.median(half):
        return None
    scale = EM / (ENLARGED * MNIST_DIGIT - 2 * float(np.median(half)))
    line = np.ascontiguousarray(way[top : top + height, left : left + width])
    size = max(1, round(width * scale)), max(1, round(height * scale))
    large = cv2.resize(line.view(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
    path = np.where(large > 120, 0, 255).astype(np.uint8)
    path = padded(path)
    if not (path == 0).any():
        return None
    return from_way(path, -size[1] / EM, label, float(np.median(half)) * scale / EM)


def _loops(way: NDArray[np.bool_]) -> int:
    """Count the places that a line closes in."""
    count, _ = cv2.connectedComponents((~way).view(np.uint8), connectivity=4)
    return count - 2


_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
