"""The rows of the table: which pictures, what is in them, and how they are to be read.

Folders come in, as DATA/field/README.md and DATA/pictures/README.md describe them and as `inkdigits
pages` writes them; rows of cases go out. What is not there is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.handwriting.truth import read_truth
from inkdigits.core.errors import BadData

Item = TypeVar("Item")
KINDS = ("single", "crop", "string", "amount", "lines", "reject")
DRAWN_COLUMNS = ("file", "content", "kind")


@dataclass(frozen=True)
class Case:
    """One picture, and how it is to be read.

    Attributes:
        path: of its file.
        content: the digits, rows of writing joined by "-"; empty where there is none.
        single: whether the reader is told that there is one digit at most.
        fault: that a drawn picture shows.
    """

    path: Path
    content: str
    single: bool = False
    fault: str = ""

    @property
    def one_line(self) -> bool:
        """Whether there is one line of writing, which readers that can use it are told."""
        return bool(self.content) and "-" not in self.content


@dataclass(frozen=True)
class Row:
    """Pictures of one kind, which get one row of the table.

    Attributes:
        name: its first cell.
        cases: the pictures.
        rows_count: whether digits must stand in the right rows of writing, too.
        real: whether people wrote them, for us to calibrate by.
    """

    name: str
    cases: tuple[Case, ...]
    rows_count: bool = False
    real: bool = True


def field_rows(folder: Path) -> list[Row]:
    """Return the rows of DATA/field. Raises BadData."""
    return [
        Row("field: amounts", _of_kind(folder, "amount")),
        Row("field: strings", _of_kind(folder, "string")),
        Row("field: lines, rows count", _of_kind(folder, "lines"), rows_count=True),
        Row("field: lines, rows ignored", _of_kind(folder, "lines")),
        Row("field: one digit", _of_kind(folder, "single", single=True)),
        Row("field: one digit, as a page", _of_kind(folder, "single")),
        Row("field: no digit", _of_kind(folder, "reject")),
    ]


def drawn_rows(folder: Path) -> list[Row]:
    """Return the row of DATA/field/drawn. Raises BadData."""
    cases = [
        Case(folder / row["file"], row["content"], fault=row["kind"].strip('"'))
        for row in read_truth(folder, DRAWN_COLUMNS)
    ]
    return [Row("field: drawn faults", tuple(cases), rows_count=True, real=False)]


def picture_rows(folder: Path) -> list[Row]:
    """Return the rows of DATA/pictures. Raises BadData."""
    return [
        Row("pictures: one digit", _of_kind(folder, "single", single=True)),
        Row("pictures: one digit, cut out", _of_kind(folder, "crop", single=True)),
        Row("pictures: strings", _of_kind(folder, "string")),
        Row("pictures: no digit", _of_kind(folder, "reject")),
    ]


def page_rows(folder: Path) -> list[Row]:
    """Return the rows of what `inkdigits pages` wrote. Raises BadData."""
    return [
        Row("generated: one digit", _of_kind(folder, "single", single=True), real=False),
        Row(
            "generated: one digit, cut out",
            _of_kind(folder, "crop", single=True),
            real=False,
        ),
        Row("generated: strings", _of_kind(folder, "string"), real=False),
        Row("generated: no digit", _of_kind(folder, "reject"), real=False),
    ]


def limited(rows: Iterable[Row], limit: int | None) -> list[Row]:
    """Keep so many cases of each row, evenly spread, and no row without any."""
    return [replace(row, cases=tuple(spread_out(row.cases, limit))) for row in rows if row.cases]


def spread_out(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return all items, or so many of them, evenly spread."""
    if limit is None or len(items) <= limit:
        return list(items)

    return [items[number * len(items) // limit] for number in range(limit)]


def _of_kind(folder: Path, kind: str, *, single: bool = False) -> tuple[Case, ...]:
    rows = read_truth(folder)
    for row in rows:
        if row["kind"] not in KINDS:
            told = f"expected one of {', '.join(KINDS)}"
            raise BadData(f"{folder / 'truth.csv'} has the kind {row['kind']!r}; {told}")

    return tuple(
        Case(folder / row["file"], "" if kind == "reject" else row["content"], single)
        for row in rows
        if row["kind"] == kind
    )
