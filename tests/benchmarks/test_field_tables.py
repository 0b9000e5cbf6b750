"""What is wrong with rows that were read as a table is told row by row."""

from benchmarks.reading.field_tables import differences, digits_of, picture_row
from inkdigits.reading.tables import Cell, Table

FOUND = Table(
    (
        (Cell("12.5", 0.9, (0, 0, 9, 9)), None),
        (Cell("3", 0.9, (0, 20, 9, 29)), Cell("-40", 0.9, (20, 20, 29, 29))),
    )
)


def test_the_digits_of_a_row_are_those_of_its_cells() -> None:
    assert digits_of(FOUND) == ["125", "340"]


def test_differences_name_the_row_and_the_digits() -> None:
    assert list(differences(["125", "340"], ["125", "340"])) == []
    assert list(differences(["125", "340"], ["135", "34"])) == [
        "row 1: 2 read as 3",
        "row 2: 0 is missing",
    ]
    assert list(differences(["12"], ["112"])) == ["row 1: 1 too many"]
    assert list(differences(["12", "3"], ["123"])) == ["1 rows, 2 are written"]


def test_a_picture_has_its_shape_its_right_rows_and_its_faults() -> None:
    row = picture_row("lines/a.png", "photo", ["125", "341"], FOUND)
    assert row == ["a", "photo", "2 x 2", "1 of 2", "row 2: 1 read as 0"]
