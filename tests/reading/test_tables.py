"""Numbers that stand in rows and columns become a table, with empty cells where nothing is."""

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import line, written

import inkdigits
from inkdigits.core.errors import CannotWrite
from inkdigits.reading.reading import Reading
from inkdigits.reading.symbols import Digit, Sign
from inkdigits.reading.tables import Cell, Table, write_table

ACROSS, DOWN, TALL = 210, 90, 46  # pixels of a cell, and of its digits


def number(text: str, left: int, row: int, sure: float = 0.9) -> list[Digit]:
    """Return the digits of a number that begins at some pixel of a row."""
    top = DOWN * row
    boxes = [(left + 30 * place, top, left + 30 * place + 24, top + TALL) for place in range(9)]
    return [
        Digit(int(character), sure, True, box, line=row)
        for character, box in zip(text, boxes, strict=False)
    ]


def reading_of(rows: Sequence[Sequence[tuple[str, int]]]) -> Reading:
    """Return a reading with numbers at some pixels of each row."""
    digits = [
        digit
        for place, row in enumerate(rows)
        for text, left in row
        for digit in number(text, left, place)
    ]
    return Reading("", tuple(digits))


def texts(table: Table) -> list[list[str]]:
    return [[cell.written if cell else "" for cell in row] for row in table.rows]


def test_a_cell_without_a_number_stays_empty() -> None:
    reading = reading_of([[("12", 0), ("345", 200), ("6", 400)], [("7", 10), ("89", 420)]])
    assert texts(reading.table()) == [["12", "345", "6"], ["7", "", "89"]]


def test_a_column_may_begin_anywhere() -> None:
    reading = reading_of([[("1", 200), ("2", 400)], [("3", 0), ("4", 200), ("5", 400)]])
    assert texts(reading.table()) == [["", "1", "2"], ["3", "4", "5"]]


def test_columns_may_drift() -> None:
    rows = [[("1", 40 * row), ("2", 200 + 40 * row)] for row in range(12)]
    assert texts(reading_of(rows).table()) == [["1", "2"]] * 12


def test_numbers_in_no_columns_are_rows_of_one() -> None:
    assert texts(reading_of([[("123456", 0)], [("7", 80)]]).table()) == [["123456"], ["7"]]
    assert Reading("").table().rows == ()
    assert Reading("").table().width == 0


def test_a_cell_has_its_signs_and_is_as_sure_as_its_digits() -> None:
    digits = number("12", 20, 0) + number("5", 300, 0, sure=0.5)
    minus = Sign("-", 0.9, (0, 20, 14, 26))
    (row,) = Reading("", tuple(digits), signs=(minus,)).table().rows
    assert [cell.written for cell in row] == ["-12", "5"]
    assert [cell.confidence for cell in row] == pytest.approx([0.9, 0.5])
    assert row[0].box == (0, 0, 74, TALL)


def refused(left: int, row: int, sure: float) -> Digit:
    """Return a candidate that was not accepted, at some pixel of a row."""
    box = (left, DOWN * row, left + 24, DOWN * row + TALL)
    return Digit(7, sure, False, box, "not a digit", row)


def with_refused(*candidates: Digit) -> Table:
    """Return a table of two columns whose second row has one number, and these candidates."""
    reading = reading_of([[("12", 0), ("34", 200)], [("56", 0)], [("7", 0), ("8", 200)]])
    return Reading("", (*reading.digits, *candidates)).table()


def test_a_number_in_which_a_candidate_was_refused_is_doubtful() -> None:
    table = with_refused(refused(60, 1, 0.4))
    assert texts(table) == [["12", "34"], ["56", ""], ["7", "8"]]
    (cell, empty) = table.rows[1]
    assert cell is not None
    assert cell.confidence == pytest.approx(0.6)
    assert cell.box == (0, DOWN, 84, DOWN + TALL)
    assert empty is None


def test_a_cell_in_which_nothing_was_accepted_is_there_and_doubtful() -> None:
    table = with_refused(refused(200, 1, 0.45), refused(230, 1, 0.1))
    cell = table.rows[1][1]
    assert cell == Cell("", 0.55, (200, DOWN, 254, DOWN + TALL))
    assert table.to_csv(below=0.9).split() == ["12,34", "56,?", "7,8"]


def test_what_was_refused_makes_no_row_and_no_column() -> None:
    table = with_refused(refused(600, 1, 0.4), refused(0, 3, 0.4))
    assert texts(table) == [["12", "34"], ["56", ""], ["7", "8"]]
    assert table.rows[1][1] is None


def test_a_spreadsheet_takes_no_cell_for_a_formula(tmp_path: Path) -> None:
    texts = ["-12", "-1.5", "-1/2", "--3", "4", "=4", "+4", "@4"]
    table = Table((tuple(Cell(text, 0.9, (0, 0, 1, 1)) for text in texts), (None,) * 8))
    (first, second) = csv.reader(table.to_csv().splitlines())
    assert first == ["-12", "-1.5", "'-1/2", "'--3", "4", "'=4", "'+4", "'@4"]
    assert second == [""] * 8


def test_two_files_hold_the_numbers_and_how_sure_they_are(tmp_path: Path) -> None:
    cells = Cell("12", 0.95, (0, 0, 1, 1)), Cell("3", 0.4, (0, 0, 1, 1)), None
    beside = write_table(Table((cells,)), tmp_path / "marks.csv", below=0.9)
    assert beside == tmp_path / "marks-confidence.csv"
    assert (tmp_path / "marks.csv").read_text().split() == ["12,3?,"]
    assert beside.read_text().split() == ["0.950,0.400,"]
    with pytest.raises(CannotWrite):
        write_table(Table((cells,)), tmp_path / "none" / "marks.csv")


def photo(truth: Sequence[Sequence[str]], *, ruled: bool, slant: float) -> np.ndarray:
    """Draw a table, seen from a little to the side."""
    rng = np.random.default_rng(5)
    width, height = ACROSS * len(truth[0]) + 60, DOWN * len(truth) + 60
    layer = np.zeros((height, width), np.uint8)
    for row, texts in enumerate(truth):
        for column, text in enumerate(texts):
            left = 40 + ACROSS * column + int(rng.integers(0, 25))
            place = {"left": left, "top": 45 + DOWN * row, "height": TALL, "pen": 5}
            if text:
                layer = np.maximum(layer, line(text, (height, width), **place))

    picture = written(layer)
    for y in range(25, height, DOWN) if ruled else ():
        cv2.line(picture, (20, y), (width - 20, y), (120, 120, 120), 2)
    for x in range(25, width, ACROSS) if ruled else ():
        cv2.line(picture, (x, 20), (x, height - 20), (120, 120, 120), 2)

    seen = np.array([[1, 0.03 * slant, 0], [0.02 * slant, 1, 0]])
    return cv2.warpAffine(picture, seen, (width + 20, height + 20), borderValue=(255,) * 3)


@pytest.mark.parametrize("ruled", [False, True])
@pytest.mark.parametrize("slant", [-1, 0, 1])
def test_a_picture_of_a_table_is_read_as_one(ruled: bool, slant: float) -> None:
    truth = [
        ["23", "", "95", "55"],
        ["407", "8", "5", "4"],
        ["6", "73", "", "384"],
        ["50", "2", "328", "7"],
    ]
    table = inkdigits.read(photo(truth, ruled=ruled, slant=slant)).table()
    assert texts(table) == truth
