"""Candidates: strokes that may be one digit, and where they are.

Segmentation finds candidates, `fields` brings them to 28x28 pixels, and a network reads those.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask

# Left, top, right, bottom in pixels; right and bottom are one past the last pixel.
Box = tuple[int, int, int, int]


def bounding_box(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around some boxes, of which there is at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


@dataclass(frozen=True, eq=False)
class Candidate:
    """Strokes that may be one digit.

    Attributes:
        box: their bounding box in the picture.
        mask: the pixels of just these strokes inside the box, bool.
        line: the number of the line of writing that they stand in.
    """

    box: Box
    mask: Mask
    line: int = 0

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]

    @property
    def middle(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


# Returns how sure one can be that each candidate is one digit: (N,), 0 to 1.
Judge = Callable[[Sequence[Candidate]], NDArray[np.floating]]
