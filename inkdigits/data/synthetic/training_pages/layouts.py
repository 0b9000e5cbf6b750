"""Decide what a page says and where: a number alone, rows, columns, boxes, a grid, symbols.

Each layout writes on a `Writing`; grounds and prints come later.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from inkdigits.data.synthetic.training_pages import grammar
from inkdigits.data.synthetic.training_pages.draws import (
    chance,
    integer,
    log_normal,
    one_of,
    pick,
)
from inkdigits.data.synthetic.training_pages.grammar import Text
from inkdigits.data.synthetic.training_pages.lines import Writer, write_line

Compose = Callable[[Generator], Text]

ENOUGH = 90  # symbols on a page of 192 x 192; more take time and teach nothing
MOST = 600  # symbols on a page of any size
CORRECTED = 0.03  # share of lines with a digit struck out
WIDTH = 0.75  # em, what a digit takes of a line, about
IN_TWO_COLUMNS = 0.25  # share of pages full of rows
NUMBERS = {1: 0.45, 2: 0.25, 3: 0.2, 4: 0.1}  # on a page that is not full
ROWS_OF_BOXES = {1: 0.65, 2: 0.25, 3: 0.1}
MOST_IN_A_CELL = {1: 0.5, 2: 0.35, 3: 0.15}  # digits
ONE_ALONE = 0.12  # share of digits alone that are a 1 beyond its tenth: it is the least like one
SIGNS_ALONE = ("+", "=", "-", ")", "x", "%")


def write(
    writer: Writer,
    text: Text,
    x: float,
    y: float,
) -> float:
    """Write a line, now and then with a word or a correction.

    Args:
        writer: who writes and where to.
        text: as `grammar` composes it.
        x: left end of the line on the sheet, pixels.
        y: of the baseline, pixels.

    Returns:
        Where the line ends, x on the sheet.
    """
    rng = writer.rng
    if writer.others:
        text = grammar.amid_others(text, writer.others, rng)
    if chance(writer.words, rng):
        text = grammar.with_word(text, rng)
    if len(text) > 1 and chance(CORRECTED, rng):
        text = grammar.corrected(text, rng)

    writer.writing.pen = integer(0, writer.pens, rng)

    return write_line(writer, text, (x, y), writer.em)


def write_alone(
    writer: Writer,
    text: Text,
    x: float,
    y: float,
    *,
    cell: float | None = None,
    scale: float = 1.0,
) -> None:
    """Write a line without words and corrections.

    Args:
        writer: who writes and where to.
        text: as `grammar` composes it.
        x: left end of the line on the sheet, pixels.
        y: of the baseline, pixels.
        cell: width of a box for each symbol, pixels.
        scale: of the symbols, as a share of the page's em.
    """
    rng = writer.rng
    if writer.others:
        text = grammar.amid_others(text, writer.others, rng)

    writer.writing.pen = integer(0, writer.pens, rng)
    write_line(writer, text, (x, y), writer.em * scale, cell=cell)


def is_full(writer: Writer) -> bool:
    """Tell whether the page has enough."""
    height, width = writer.writing.size
    enough = min(MOST, ENOUGH * height * width / 192**2)
    return len(writer.writing.symbols) >= enough


def one_number(writer: Writer, compose: Compose) -> None:
    """Write a number or two, cut by the picture's border where it is too long."""
    rng = writer.rng
    height, width = writer.writing.size
    count = pick(NUMBERS, rng) * max(1, round(height / 250))
    low, high = (0.3, 0.85) if count == 1 else (0.1, 0.45)
    y = rng.uniform(low, high) * height

    for _ in range(count):
        text = compose(rng)
        likely = WIDTH * writer.em * len(text)
        if likely < width and chance(0.7, rng):
            x = rng.uniform(0.02, 0.98) * (width - likely)
        else:
            x = rng.uniform(-0.5 * likely, 0.4 * width)

        write(writer, text, x, y)
        y += writer.pitch


def fill_rows(writer: Writer, compose: Compose, columns: int) -> None:
    """Fill the page with rows, maybe in columns, each starting about where the one above does."""
    rng = writer.rng
    em = writer.em
    height, width = writer.writing.size
    low, high = (-0.15, 0.35) if columns == 1 else (-0.1, 0.1)
    left = rng.uniform(low, high) * width
    apart = width / columns * rng.uniform(0.9, 1.3)
    y = rng.uniform(0.1, 1.3) * em

    last = height + em
    if not chance(0.7, rng):
        last = min(last, y + writer.pitch * integer(1, 5, rng))

    missing = one_of((0, 0.2), rng)

    while y < last:
        end = -float(width)
        for column in range(columns):
            if not is_full(writer) and not chance(missing, rng):
                place = left + column * apart + rng.normal(0, 0.2) * em
                x = max(place, end + 0.7 * em)
                end = write(writer, compose(rng), x, y)

        y += writer.pitch * max(0.85, rng.normal(1, 0.04))


def amounts(writer: Writer) -> None:
    """Write an amount of money or a few."""
    one_number(writer, grammar.amount)


def numbers(writer: Writer) -> None:
    """Write a number of any sort or a few."""
    one_number(writer, grammar.number)


def rows(writer: Writer) -> None:
    """Fill the page with numbers."""
    fill_rows(writer, grammar.number, 1 + chance(IN_TWO_COLUMNS, writer.rng))


def expressions(writer: Writer) -> None:
    """Fill the page with sums."""
    fill_rows(writer, grammar.expression, 1 + chance(IN_TWO_COLUMNS, writer.rng))


def columns(writer: Writer) -> None:
    """Write short numbers below each other, in columns."""
    fill_rows(writer, grammar.short_number, integer(2, 4, writer.rng))


def boxes(writer: Writer) -> None:
    """Write a number into boxes, a digit a box, sometimes with signs between."""
    rng = writer.rng
    height, width = writer.writing.size
    cell = writer.em * rng.uniform(0.75, 1.6)
    y = rng.uniform(0.25, 0.6) * height

    for _ in range(pick(ROWS_OF_BOXES, rng)):
        text = grammar.some_digits(3, 12, rng)
        if chance(0.3, rng):
            text = grammar.with_gaps(text, 0.15, rng)
        if chance(0.25, rng):
            text = grammar.date(rng)

        room = width - cell * len(text)
        x = rng.uniform(-0.4, 0.6) * max(cell, room)
        write_alone(writer, text, x, y, cell=cell)
        y += writer.pitch * 1.3


def grid(writer: Writer) -> None:
    """Fill a grid's cells with no, one or several digits, as in a sudoku or a table of marks."""
    rng = writer.rng
    em = writer.em
    height, width = writer.writing.size
    most = pick(MOST_IN_A_CELL, rng)
    wide = em * (WIDTH * most + rng.uniform(0.3, 1.0))
    tall = em * rng.uniform(1.2, 1.9)
    filled = rng.uniform(0.3, 1)
    top = rng.uniform(-0.5, 0.8) * tall
    left = rng.uniform(-0.5, 0.8) * wide
    room = 0.5 * (tall - em)

    for row in range(int(height / tall) + 1):
        for column in range(int(width / wide) + 1):
            x = left + column * wide
            y = top + row * tall
            writer.writing.cells.append((x, y, x + wide, y + tall))
            if chance(filled, rng) and not is_full(writer):
                text = grammar.some_digits(1, most, rng)
                spare = wide - WIDTH * em * len(text)
                x += rng.uniform(0.2, 0.8) * spare
                write_alone(writer, text, x, y + tall - room)


def single(writer: Writer) -> None:
    """Write one symbol, somewhere about the middle."""
    rng = writer.rng
    height, width = writer.writing.size
    name = "other" if chance(writer.others, rng) else str(integer(0, 10, rng))
    if name != "other" and chance(ONE_ALONE, rng):
        name = "1"
    if name != "other" and chance(0.06, rng):
        name = one_of(SIGNS_ALONE, rng)

    x = width / 2 - 0.3 * writer.em + rng.normal(0, 0.12) * width
    y = height / 2 + 0.5 * writer.em + rng.normal(0, 0.1) * height
    writer.others = 0.0
    write_alone(writer, [name], x, y)


def scattered(writer: Writer) -> None:
    """Write symbols here and there, with room between."""
    rng = writer.rng
    height, width = writer.writing.size
    taken = np.empty((0, 2))
    for _ in range(integer(2, 14, rng)):
        x = rng.uniform(-0.1, 1) * width
        y = rng.uniform(0.1, 1.1) * height
        away = np.abs(taken - (x, y)).max(axis=1)
        if (away > 1.3 * writer.em).all():
            taken = np.vstack([taken, (x, y)])
            scale = log_normal(1, 0.15, rng)
            digit = integer(0, 10, rng)
            write_alone(writer, [str(digit)], x, y, scale=scale)


LAYOUTS: Mapping[str, Callable[[Writer], None]] = {
    "amounts": amounts,
    "number": numbers,
    "rows": rows,
    "expressions": expressions,
    "columns": columns,
    "boxes": boxes,
    "grid": grid,
    "single": single,
    "scattered": scattered,
}
