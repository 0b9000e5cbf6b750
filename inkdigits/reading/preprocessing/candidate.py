"""What may be one digit: its strokes and where they are. Between finding such and reading them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask

Box = tuple[
    int, int, int, int
]  # left, top, right, bottom; right and bottom are one past the last pixel


@dataclass(frozen=True, eq=False)
class Candidate:
    """Strokes that may be one digit: their box, the mask of just these strokes inside it, and the line that they stand in."""

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


Judge = Callable[
    [Sequence[Candidate]], NDArray[np.floating]
]  # (N,): how sure one can be that each is one digit, 0-1
