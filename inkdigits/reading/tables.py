"""A reading as a table: its lines are rows, and numbers that stand below each other a column.

Columns are followed from row to row, so that they may slant and drift, and have gaps.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import mean, median
from typing import Any

from inkdigits.core.files import write_whole
from inkdigits.reading.page.find import Box
from inkdigits.reading.symbols import Digit, Sign, confidence_of, lines_of, with_spaces

# Set by hand.
BESIDE = 0.5  # of the usual distance between neighbours: a number nearer to a column is part of it
RECENT = 3  # numbers of a column that say where it goes on
DOUBTFUL = "?"  # after what a person should look at


@dataclass(frozen=True)
class Cell:
    """A number in a table.

    Attributes:
        written: as it stands, with its signs.
        confidence: the probability that all of its digits are right, 0 to 1.
        box: left, top, right, bottom in pixels of the upright picture.
    """

    written: str
    confidence: float
    box: Box

    @property
    def middle(self) -> float:
        """The middle between its left and its right side."""
        return (self.box[0] + self.box[2]) / 2

    def as_dict(self) -> dict[str, Any]:
        """Return the cell as JSON has it."""
        return {
            "written": self.written,
            "confidence": round(self.confidence, 6),
            "box": list(self.box),
        }


Row = tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """Rows of equally many cells, None where nothing was read."""

    rows: tuple[Row, ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.rows[0]) if self.rows else 0

    def as_lists(self) -> list[list[dict[str, Any] | None]]:
        """Return the rows as JSON has them."""
        return [[cell.as_dict() if cell else None for cell in row] for row in self.rows]

    def to_csv(self, below: float = 0.0) -> str:
        """Return the numbers as CSV; `below`: those that are less sure get a question mark."""
        return _csv([[_shown(cell, below) for cell in row] for row in self.rows])

    def confidences_to_csv(self) -> str:
        """Return how sure each number is, as CSV."""
        sure = [[f"{cell.confidence:.3f}" if cell else "" for cell in row] for row in self.rows]
        return _csv(sure)


def table_of(digits: Iterable[Digit], signs: Iterable[Sign]) -> Table:
    """Return symbols as a table.

    Args:
        digits: accepted ones, in reading order.
        signs: of their lines.
    """
    rows = [_numbers(line) for line in lines_of(digits, signs)]
    columns = _columns(rows)
    places = {id(cell): place for place, column in enumerate(columns) for cell in column}
    return Table(tuple(_in_places(row, places, len(columns)) for row in rows))


def _columns(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Group the numbers of all rows by columns, from left to right."""
    nearest = BESIDE * _usual_distance(rows)
    columns: list[list[Cell]] = []
    for row in rows:
        columns += [[cell] for cell in _added(row, columns, nearest)]

    return sorted(columns, key=lambda column: mean(cell.middle for cell in column))


def _usual_distance(rows: Sequence[Sequence[Cell]]) -> float:
    """Return the median distance from a number to the next one in its row; infinite without any."""
    apart = [after.middle - before.middle for row in rows for before, after in pairwise(row)]
    return median(apart) if apart else inf


def _added(row: Sequence[Cell], columns: Sequence[list[Cell]], nearest: float) -> list[Cell]:
    """Add the numbers of a row to the columns they stand below; return those that are below none.

    Args:
        row: from left to right.
        columns: found so far, each of which takes one of them at the most, the nearest first.
        nearest: how far a number may be from its column, pixels.
    """
    pairs = [(_distance(cell, column), cell, column) for cell in row for column in columns]
    placed: set[int] = set()
    for distance, cell, column in sorted(pairs, key=lambda pair: pair[0]):
        if distance < nearest and not placed & {id(cell), id(column)}:
            column.append(cell)
            placed |= {id(cell), id(column)}

    return [cell for cell in row if id(cell) not in placed]


def _distance(cell: Cell, column: Sequence[Cell]) -> float:
    """Return how far a number is from the last ones of a column, pixels across."""
    return abs(cell.middle - mean(above.middle for above in column[-RECENT:]))


def _in_places(row: Sequence[Cell], places: Mapping[int, int], width: int) -> Row:
    """Return the numbers of a row in their columns."""
    filled: list[Cell | None] = [None] * width
    for cell in row:
        filled[places[id(cell)]] = cell

    return tuple(filled)


def write_table(table: Table, path: Path, below: float = 0.0) -> Path:
    """Write a table, and how sure each number is into a second file beside it.

    Args:
        table: of one picture.
        path: of the first file.
        below: numbers that are less sure get a question mark.

    Returns:
        The path of the second file.

    Raises:
        CannotWrite: a file cannot be written.
    """
    beside = path.with_name(f"{path.stem}-confidence{path.suffix}")
    write_whole(path, table.to_csv(below))
    write_whole(beside, table.confidences_to_csv())
    return beside


def _numbers(line: Sequence[Digit | Sign]) -> list[Cell]:
    """Return the numbers of a line, which spaces part."""
    parts: list[list[Digit | Sign]] = [[]]
    for symbol in with_spaces(line, wider=0):
        if symbol is None:
            parts.append([])
        else:
            parts[-1].append(symbol)

    return [_cell(part) for part in parts if any(isinstance(one, Digit) for one in part)]


def _cell(symbols: Sequence[Digit | Sign]) -> Cell:
    sure = confidence_of([symbol for symbol in symbols if isinstance(symbol, Digit)])
    box = _around([symbol.box for symbol in symbols])
    return Cell("".join(symbol.character for symbol in symbols), sure, box)


def _around(boxes: Sequence[Box]) -> Box:
    """Return the box around some boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _shown(cell: Cell | None, below: float) -> str:
    if cell is None:
        return ""
    return cell.written + (DOUBTFUL if cell.confidence < below else "")


def _csv(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as CSV that a spreadsheet takes for numbers and text, never for a formula."""
    file = io.StringIO()
    csv.writer(file).writerows([list(_harmless(row)) for row in rows])
    return file.getvalue()


def _harmless(row: Sequence[str]) -> Iterator[str]:
    """Yield the cells of a row; one that begins as a formula does, and is no number, is text."""
    for cell in row:
        is_number = cell.removeprefix("-").replace(".", "").replace(",", "").isdigit()
        yield f"'{cell}" if cell.startswith("-") and not is_number else cell
