"""A reading as a table: its lines are rows, and numbers that stand below each other a column.

Columns are followed from row to row, so that they may slant and drift, and have gaps. What was not
accepted makes no row and no column, but the cell that it stands in is doubtful.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import mean, median
from typing import Any

from inkdigits.core.files import write_whole
from inkdigits.reading.page.find import Box
from inkdigits.reading.symbols import SPACE, Digit, Sign, confidence_of, lines_of, with_spaces

# Set by hand.
BESIDE = 0.5  # of the usual distance between neighbours: a number nearer to a column is part of it
RECENT = 3  # numbers of a column that say where it goes on
OFTEN = 2  # times: a column is whole so much more often than a number of it is in two parts

# Of the confidence of a number in two parts. In 20 drawn photos of tables four numbers had two, and
# none of them was read whole: a digit or a sign between them was lost.
SPLIT = 0.5

DOUBTFUL = "?"  # after what a person should look at
FORMULA = ("=", "+", "-", "@")  # a spreadsheet computes what begins so; source: OWASP


@dataclass(frozen=True)
class Cell:
    """A number in a table.

    Attributes:
        written: as it stands, with its signs; "" where all that stands there was not accepted.
        confidence: the probability that all of its digits are right, and that nothing in it that
            was not accepted is one, 0 to 1.
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
Column = dict[int, Cell]  # its numbers by their rows, from above


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
        digits: in reading order, also those that were not accepted.
        signs: of lines with accepted digits.
    """
    candidates = list(digits)
    lines = lines_of([digit for digit in candidates if digit.accepted], signs)
    rows = [_numbers(line) for line in lines]
    nearest = BESIDE * _usual_distance(rows)
    columns = _whole(_columns(rows, nearest))

    filled = []
    for place, line in enumerate(lines):
        cells = [column.get(place) for column in columns]
        for digit in candidates:
            if digit.line == line[0].line and not digit.accepted:
                _doubt(cells, digit, columns, nearest)
        filled.append(tuple(cells))

    return Table(tuple(filled))


def _columns(rows: Sequence[Sequence[Cell]], nearest: float) -> list[Column]:
    """Group the numbers of all rows by columns, from left to right."""
    columns: list[Column] = []
    for place, row in enumerate(rows):
        columns += [{place: cell} for cell in _added(place, row, columns, nearest)]

    return sorted(columns, key=lambda column: mean(cell.middle for cell in column.values()))


def _usual_distance(rows: Sequence[Sequence[Cell]]) -> float:
    """Return the median distance from a number to the next one in its row; infinite without any."""
    apart = [after.middle - before.middle for row in rows for before, after in pairwise(row)]
    return median(apart) if apart else inf


def _added(
    place: int, row: Sequence[Cell], columns: Sequence[Column], nearest: float
) -> list[Cell]:
    """Add the numbers of a row to the columns they stand below; return those that are below none.

    Args:
        place: the number of the row.
        row: from left to right.
        columns: found so far, each of which takes one of them at the most, the nearest first.
        nearest: how far a number may be from its column, pixels.
    """
    pairs = [(_distance(cell, column), cell, column) for cell in row for column in columns]
    placed: set[int] = set()
    for distance, cell, column in sorted(pairs, key=lambda pair: pair[0]):
        if distance < nearest and id(cell) not in placed and place not in column:
            column[place] = cell
            placed.add(id(cell))

    return [cell for cell in row if id(cell) not in placed]


def _distance(cell: Cell, column: Column) -> float:
    """Return how far a number is from the last ones of a column, pixels across."""
    return abs(cell.middle - mean(above.middle for above in list(column.values())[-RECENT:]))


def _whole(columns: Iterable[Column]) -> list[Column]:
    """Return columns, from left to right, without those that are parts of their neighbours.

    Where a sign is lost, or its gap is wide, the rest of a number stands in a column of its own.
    """
    whole: list[Column] = []
    for column in columns:
        if whole and (_is_part(column, whole[-1]) or _is_part(whole[-1], column)):
            whole[-1] = _joined(whole[-1], column)
        else:
            whole.append(column)

    return whole


def _is_part(part: Column, column: Column) -> bool:
    """Tell whether a few numbers stand where those of a column stand, above and below them."""
    return len(column) >= OFTEN * len(part) and all(
        _is_within(cell, place, column) for place, cell in part.items()
    )


def _is_within(cell: Cell, place: int, column: Column) -> bool:
    """Tell whether the middle of a number is within those of a column in the nearest rows."""
    rows = sorted(column.keys() - {place}, key=lambda row: (abs(row - place), row))
    boxes = [column[row].box for row in rows[: 2 * RECENT]]
    return min(box[0] for box in boxes) <= cell.middle <= max(box[2] for box in boxes)


def _joined(left: Column, right: Column) -> Column:
    """Return one column of two, with a space in a number that has parts in both."""
    joined: Column = {}
    for place in sorted(left.keys() | right.keys()):
        parts = [column[place] for column in (left, right) if place in column]
        sure = min(cell.confidence for cell in parts)
        joined[place] = (
            parts[0]
            if len(parts) == 1
            else Cell(
                " ".join(cell.written for cell in parts),
                SPLIT * sure,
                _around([cell.box for cell in parts]),
            )
        )

    return joined


def _doubt(
    row: list[Cell | None], refused: Digit, columns: Sequence[Column], nearest: float
) -> None:
    """Make the cell in which a refused candidate stands no surer than that it is no digit.

    Args:
        row: its row, which is changed.
        refused: it is a part of the number beside it, or stands alone in the place of a column.
        columns: all of them.
        nearest: how far the candidate may be from its column, pixels.
    """
    here = Cell("", 1 - refused.confidence, refused.box)
    gaps = [_gap(cell, here) if cell else inf for cell in row]
    place = _least(gaps)
    if gaps[place] > SPACE * refused.height:
        aside = [abs(_beside(here, column).middle - here.middle) for column in columns]
        place = _least(aside)
        if aside[place] >= nearest or _has_number(row[place]):
            return

    there = row[place] or here
    sure = min(there.confidence, here.confidence)
    row[place] = replace(there, confidence=sure, box=_around([there.box, here.box]))


def _least(values: Sequence[float]) -> int:
    """Return the place of the least value."""
    return values.index(min(values))


def _has_number(cell: Cell | None) -> bool:
    return cell is not None and bool(cell.written)


def _gap(cell: Cell, other: Cell) -> float:
    """Return the pixels across between two boxes, less than 0 where they overlap."""
    return max(cell.box[0] - other.box[2], other.box[0] - cell.box[2])


def _beside(cell: Cell, column: Column) -> Cell:
    """Return the number of a column that is nearest above or below."""
    return min(column.values(), key=lambda other: abs(other.box[1] - cell.box[1]))


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
        yield f"'{cell}" if cell.startswith(FORMULA) and not is_number else cell
