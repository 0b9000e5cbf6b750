"""Decide what a page says and where: a number alone, rows, columns, boxes, a grid, one symbol,
symbols here and there.

Each layout writes on a `Writing` and knows nothing of grounds and prints.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages import grammar
from inkdigits.data.synthetic.training_pages.glyphs import Bank
from inkdigits.data.synthetic.training_pages.hands import Hand
from inkdigits.data.synthetic.training_pages.lines import write_line
from inkdigits.data.synthetic.training_pages.writing import Writing

Compose = Callable[[Generator], list[str]]
ENOUGH = 90  # symbols on a page of 192 x 192; more take time and teach nothing
CORRECTED = 0.03  # share of lines with a digit struck out
MOST = 600  # symbols on a page of any size


@dataclass(slots=True)
class Task:
    """What a layout needs.

    Attributes:
        writing: where to. hand, bank, rng: with what.
        em: height of digits, pixels. pitch: from row to row. others: share of symbols that are no
            numbers.
        noise: of the pen's width. drift: of baselines, y per x.
        words: how often a word stands beside a number. pens: how many pens write.
    """

    writing: Writing
    hand: Hand
    bank: Bank
    rng: Generator
    em: float
    pitch: float
    others: float
    noise: NDArray[np.float32] | None
    drift: float
    words: float = 0.0
    pens: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Say how high and wide the picture is."""
        return self.writing.size

    def line(
        self,
        text: list[str],
        x: float,
        y: float,
        *,
        cell: float | None = None,
        em: float = 1.0,
        alone: bool = False,
    ) -> float:
        """Write a line; `em`: its size, in the page's; `alone`: without words and corrections."""
        if self.others:
            text = grammar.amid_others(text, self.others, self.rng)
        if not alone and self.rng.random() < self.words:
            text = grammar.with_word(text, self.rng)
        if not alone and len(text) > 1 and self.rng.random() < CORRECTED:
            text = grammar.corrected(text, self.rng)
        self.writing.pen = int(self.rng.integers(self.pens))
        return write_line(
            self.writing,
            self.hand,
            self.bank,
            text,
            (x, y),
            self.em * em,
            self.rng,
            drift=self.drift,
            cell=cell,
            noise=self.noise,
        )

    def full(self) -> bool:
        """Say whether the page has enough."""
        height, width = self.size
        return len(self.writing.symbols) >= min(MOST, ENOUGH * height * width / 192**2)


def one_number(task: Task, compose: Compose) -> None:
    """Write a number or two, cut by the picture's border where it is too long."""
    rng, (height, width) = task.rng, task.size
    rows = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.25, 0.2, 0.1]) * max(1, round(height / 250)))
    y = rng.uniform(0.3, 0.85) * height if rows == 1 else rng.uniform(0.1, 0.45) * height
    for _ in range(rows):
        text = compose(rng)
        likely = 0.75 * task.em * len(text)
        if likely < width and rng.random() < 0.7:
            x = rng.uniform(0.02, 0.98) * (width - likely)
        else:
            x = rng.uniform(-0.5 * likely, 0.4 * width)
        task.line(text, x, y)
        y += task.pitch


def rows(task: Task, compose: Compose, *, columns: int = 1) -> None:
    """Fill the page with rows, maybe in columns, each row starting about where the one above
    does.
    """
    rng, (height, width) = task.rng, task.size
    left = rng.uniform(-0.15, 0.35) * width if columns == 1 else rng.uniform(-0.1, 0.1) * width
    apart = width / columns * rng.uniform(0.9, 1.3)
    y = rng.uniform(0.1, 1.3) * task.em
    last = height + task.em if rng.random() < 0.7 else y + task.pitch * rng.integers(1, 5)
    missing = rng.choice([0, 0.2])
    while y < last and y < height + task.em:
        end = -float(width)
        for column in range(columns):
            if not task.full() and rng.random() >= missing:
                place = left + column * apart + rng.normal(0, 0.2) * task.em
                end = task.line(compose(rng), max(place, end + 0.7 * task.em), y)
        y += task.pitch * max(0.85, rng.normal(1, 0.04))


def boxes(task: Task) -> None:
    """Write a number into boxes, a digit a box, sometimes with separators between."""
    rng, (height, width) = task.rng, task.size
    cell = task.em * rng.uniform(0.75, 1.6)
    y = rng.uniform(0.25, 0.6) * height
    for _ in range(int(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1]))):
        text = grammar.digits(int(rng.integers(3, 13)), rng)
        if rng.random() < 0.3:
            text = [" " if rng.random() < 0.15 else name for name in text]
        if rng.random() < 0.25:
            text = grammar.date(rng)
        x = rng.uniform(-0.4, 0.6) * max(cell, width - cell * len(text))
        task.line(text, x, y, cell=cell, alone=True)
        y += task.pitch * 1.3


def grid(task: Task) -> None:
    """Fill the cells of a grid with no, one or several digits each, as in a sudoku or a table of
    marks.
    """
    rng, (height, width) = task.rng, task.size
    most = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    wide = task.em * (0.75 * most + rng.uniform(0.3, 1.0))
    tall = task.em * rng.uniform(1.2, 1.9)
    filled = rng.uniform(0.3, 1)
    top, start = rng.uniform(-0.5, 0.8) * tall, rng.uniform(-0.5, 0.8) * wide
    room = 0.5 * (tall - task.em)
    for row in range(int(height / tall) + 1):
        for column in range(int(width / wide) + 1):
            x, y = start + column * wide, top + row * tall
            task.writing.cells.append((x, y, x + wide, y + tall))
            if rng.random() < filled and not task.full():
                text = grammar.digits(int(rng.integers(1, most + 1)), rng)
                spare = wide - 0.75 * task.em * len(text)
                task.line(text, x + rng.uniform(0.2, 0.8) * spare, y + tall - room, alone=True)


def single(task: Task) -> None:
    """Write one symbol, somewhere about the middle."""
    rng, (height, width) = task.rng, task.size
    name = "other" if rng.random() < task.others else str(rng.integers(10))
    if name != "other" and rng.random() < 0.06:
        name = str(rng.choice(["+", "=", "-", ")", "x", "%"]))
    x = width / 2 - 0.3 * task.em + rng.normal(0, 0.12) * width
    y = height / 2 + 0.5 * task.em + rng.normal(0, 0.1) * height
    task.others = 0.0
    task.line([name], x, y, alone=True)


def scattered(task: Task) -> None:
    """Write symbols here and there, with room between."""
    rng, (height, width) = task.rng, task.size
    taken: list[tuple[float, float]] = []
    for _ in range(int(rng.integers(2, 14))):
        x, y = rng.uniform(-0.1, 1) * width, rng.uniform(0.1, 1.1) * height
        if all(abs(x - a) > 1.3 * task.em or abs(y - b) > 1.3 * task.em for a, b in taken):
            taken.append((x, y))
            size = float(np.exp(rng.normal(0, 0.15)))
            task.line([str(rng.integers(10))], x, y, em=size, alone=True)


def columns(task: Task) -> None:
    """Write short numbers below each other, in columns."""
    rows(
        task,
        lambda rng: grammar.digits(int(rng.integers(1, 5)), rng),
        columns=int(task.rng.integers(2, 4)),
    )


LAYOUTS: Mapping[str, Callable[[Task], None]] = {
    "amounts": lambda task: one_number(task, grammar.amount),
    "number": lambda task: one_number(task, grammar.number),
    "rows": lambda task: rows(task, grammar.number, columns=1 + (task.rng.random() < 0.25)),
    "expressions": lambda task: rows(
        task, grammar.expression, columns=1 + (task.rng.random() < 0.25)
    ),
    "columns": columns,
    "boxes": boxes,
    "grid": grid,
    "single": single,
    "scattered": scattered,
}
