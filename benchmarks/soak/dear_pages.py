"""Draw pages to search among: marks in rows, changed step by step until one is dear."""

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.soak.service.samples import digits


@dataclass(frozen=True)
class Marks:
    """A page of marks in rows, or the same mark everywhere.

    Attributes:
        kind: lines, dots, strokes or digits.
        step: pixels from one to the next.
        share: of a step that a mark takes.
        grey: of the ink, 0 to 255; the paper is white.
        quarters: how often the page is turned to the left.
        noise: share of the pixels that are black.
        side: pixels of the page.
    """

    kind: str = "digits"
    step: int = 200
    share: float = 0.7
    grey: int = 0
    quarters: int = 0
    noise: float = 0.0
    side: int = 1600

    def draw(self) -> NDArray[np.uint8]:
        """Return the page, (side, side) uint8."""
        page = np.full((self.side, self.side), 255, np.uint8)
        for row, y in enumerate(range(0, self.side - self.step, self.step)):
            for column, x in enumerate(range(0, self.side - self.step, self.step)):
                mark = self._mark(row + column)
                page[y : y + len(mark), x : x + mark.shape[1]] = mark

        chance = np.random.default_rng(0)
        page[chance.random(page.shape) < self.noise] = 0
        return np.ascontiguousarray(np.rot90(page, self.quarters))

    def _mark(self, number: int) -> NDArray[np.uint8]:
        """Return what is drawn at a place, up to (step, step) uint8."""
        side = max(2, round(self.share * self.step))
        mark = np.full((self.step, self.step), 255, np.uint8)
        if self.kind == "lines":
            mark[0] = mark[:, 0] = self.grey
        elif self.kind == "dots":
            mark[:side, :side] = self.grey
        elif self.kind == "strokes":
            mark[:side, : max(1, side // 6)] = self.grey
        else:
            drawn = digits(str(number % 10))
            small = Image.fromarray(drawn).resize((side, side), Image.Resampling.BOX)
            ink = 255 - np.asarray(small).astype(float)
            mark[:side, :side] = np.rint(255 - ink * (255 - self.grey) / 255)

        return mark

    def changed(self, chance: random.Random) -> "Marks":
        """Return a page that is another in one way."""
        changes: list[dict[str, Any]] = [
            {"kind": chance.choice(["lines", "dots", "strokes", "digits"])},
            {"step": chance.randrange(6, 220)},
            {"share": chance.uniform(0.2, 0.95)},
            {"grey": chance.randrange(0, 230)},
            {"quarters": chance.randrange(4)},
            {"noise": chance.choice([0, 0.0005, 0.002, 0.02])},
            {"side": chance.choice([400, 800, 1600, 1600])},
        ]
        return replace(self, **chance.choice(changes))
