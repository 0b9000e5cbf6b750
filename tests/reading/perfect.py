"""Maps of a network that makes no mistakes, for tests of what is made of maps."""

import numpy as np

from inkdigits.reading.page.maps import Maps
from inkdigits.reading.page.survey import Piece
from inkdigits.training.page.targets import NO_KIND, page_targets

OTHER = 15  # the kind of what is neither a digit nor a sign
SURE = 10  # logit of the right kind; all others have 0

Box = tuple[int, int, int, int]


def rectangles(boxes: list[Box], side: int = 128) -> np.ndarray:
    """Return whose ink each pixel of a square picture is, from 1 on, (side, side)."""
    owner = np.zeros((side, side), np.int16)
    for number, (left, top, right, bottom) in enumerate(boxes, 1):
        owner[top:bottom, left:right] = number
    return owner


def perfect_maps(owner: np.ndarray, kinds: np.ndarray, boxes: np.ndarray) -> Maps:
    """Return what such a network says of symbols with these kinds (K,) and boxes (K, 4)."""
    targets = page_targets(owner, kinds, boxes)
    told = np.where(targets.kind == NO_KIND, OTHER, targets.kind)
    return Maps(
        ink=targets.ink,
        centre=targets.centre,
        offset=targets.offset,
        size=np.exp2(targets.size),
        kind=np.eye(16, dtype=np.float32)[told].transpose(2, 0, 1) * SURE,
        writing=targets.writing,
        height=np.exp2(targets.height),
    )


def perfect_piece(
    boxes: list[Box],
    paper: object = 255,
    ink: object = 0,
    side: int = 128,
    kinds: list[int] | None = None,
) -> Piece:
    """Return a picture of filled rectangles, greys or colours, with its maps.

    kinds: of the rectangles, 0 to 15; all are zeros if there are none.
    """
    owner = rectangles(boxes, side)
    picture = np.empty((side, side, 3), np.uint8)
    picture[:] = paper
    picture[owner > 0] = ink
    told = np.array(kinds if kinds is not None else [0] * len(boxes), np.int8)
    return Piece(picture, 0.0, 0.0, 1.0, perfect_maps(owner, told, np.array(boxes, np.float32)))
