"""From a picture to the places where something is written, each at the scale that suits its writing.

A coarse pass over a thumbnail says where writing is and how tall. Writing of like height is then
looked at together, in pieces of the picture resized so that it is READABLE pixels tall.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.reading.page.maps import COARSE, Maps, PageSession, Pixels, page_maps

THUMBNAIL = 640  # pixels of the longer side at the most, in the coarse pass
SMALL = 128  # pixels of the longer side at the least: smaller pictures are enlarged
ENLARGED = 4.0  # times at the most
READABLE = 36.0  # pixels that writing is made tall for the fine pass; training's median
ALIKE = 2.0  # heights up to this ratio from the group's median are looked at together
GROUPS = 3  # groups of like height at the most
LEAST_WRITING = 0.4  # probability from which a coarse cell is writing
MARGIN = 0.8  # heights of writing that a piece shows around it
MOST_PIXELS = 6_000_000  # of all pieces together; more are made smaller


@dataclass(frozen=True)
class Piece:
    """A part of a picture at its scale.

    Attributes:
        picture: (h, w, 3) uint8, resized.
        left, top: Where it begins, in pixels of the whole picture.
        scale: Pixels of the piece for one of the whole picture.
        maps: What the page network says of it.
    """

    picture: Pixels
    left: float
    top: float
    scale: float
    maps: Maps


def resized(picture: Pixels, scale: float) -> Pixels:
    """Return a picture resized by a factor, area-averaged where it shrinks."""
    height, width = picture.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return picture

    image = Image.fromarray(picture)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def find_pieces(network: PageSession, picture: Pixels) -> list[Piece]:
    """Return the parts of a picture that hold writing, with their maps.

    Args:
        network: The page network.
        picture: (H, W, 3) uint8 RGB.
    """
    longest = max(picture.shape[:2])
    scale = min(THUMBNAIL / longest, max(1.0, min(ENLARGED, SMALL / longest)))
    thumbnail = resized(picture, scale)
    maps = page_maps(network, thumbnail)

    places = _places(maps, scale, picture.shape[:2])
    wanted = sum((right - left) * (bottom - top) * zoom**2 for (left, top, right, bottom), zoom in places)
    shrink = min(1.0, (MOST_PIXELS / max(wanted, 1.0)) ** 0.5)

    pieces = []
    for (left, top, right, bottom), zoom in places:
        part = resized(picture[top:bottom, left:right], zoom * shrink)
        # Rounding to whole pixels moves the scale a little.
        true_scale = part.shape[0] / (bottom - top) if bottom - top > right - left else part.shape[1] / (right - left)
        pieces.append(Piece(part, left, top, true_scale, page_maps(network, part)))

    return pieces


def _places(
    maps: Maps, scale: float, shape: tuple[int, int]
) -> list[tuple[tuple[int, int, int, int], float]]:
    """Return boxes in pixels of the picture, each with the scale at which to look at it."""
    writing = maps.writing > LEAST_WRITING
    found = []
    for _ in range(GROUPS):
        rows, columns = np.nonzero(writing)
        if len(rows) == 0:
            break

        heights = np.log2(maps.height[rows, columns])
        # The lower middle one: a mean of two could be like neither.
        middle = float(np.sort(heights)[(len(heights) - 1) // 2])
        alike = np.abs(heights - middle) <= np.log2(ALIKE)
        rows, columns = rows[alike], columns[alike]
        writing[rows, columns] = False

        tall = 2.0**middle / scale
        zoom = READABLE / tall
        reach = int(np.ceil(MARGIN * tall * scale / COARSE))
        for box in _boxes(rows, columns, reach, maps.writing.shape):
            left, top, right, bottom = (np.array(box) * COARSE / scale).astype(int)
            right, bottom = min(right + 1, shape[1]), min(bottom + 1, shape[0])
            if right > left and bottom > top:
                found.append(((left, top, right, bottom), zoom))

    return found


def _boxes(
    rows: NDArray[np.int64], columns: NDArray[np.int64], reach: int, shape: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """Return few boxes (left, top, right, bottom) that hold all cells with `reach` cells around.

    A box is cut where no cell is, in rows first and then in columns, and left whole where cutting
    would save little.
    """
    boxes = []
    for upper, lower in _runs(rows, reach):
        inside = (rows >= upper) & (rows < lower)
        for first, last in _runs(columns[inside], reach):
            own = inside & (columns >= first) & (columns < last)
            top, bottom = rows[own].min(), rows[own].max() + 1
            boxes.append(
                (
                    max(0, first - reach),
                    max(0, int(top) - reach),
                    min(shape[1], last + reach),
                    min(shape[0], int(bottom) + reach),
                )
            )

    return boxes


def _runs(positions: NDArray[np.int64], reach: int) -> list[tuple[int, int]]:
    """Return ranges (first, last + 1) of positions whose neighbours are at most 2 reaches apart."""
    values = np.unique(positions)
    breaks = np.flatnonzero(np.diff(values) > 2 * reach + 2)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(values) - 1]])
    return [(int(values[a]), int(values[b]) + 1) for a, b in zip(starts, ends, strict=True)]
