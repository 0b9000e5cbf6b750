"""Drawn photos of tables are the same every time, and what is read is compared cell by cell."""

import numpy as np
import pytest

from benchmarks.reading.handwritten import SIGNS, random_writer, written_apart
from benchmarks.reading.table_photos import LineScore, Score, pages, random_table, tables
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser, cached_recogniser


class Fixed(Recogniser):
    """A reader that says always the same."""

    def __init__(self, reading: Reading) -> None:
        """Take what it says."""
        self.reading = reading

    def read(self, *_: object, **__: object) -> Reading:
        """Return it."""
        return self.reading


def test_tables_have_the_sizes_that_are_named_and_some_empty_cells() -> None:
    drawn = [random_table(np.random.default_rng(seed)) for seed in range(40)]
    sizes = {(len(rows), len(rows[0])) for rows in drawn}
    assert {height for height, _ in sizes} == set(range(5, 13))
    assert {width for _, width in sizes} == set(range(4, 9))
    cells = [cell for rows in drawn for row in rows for cell in row]
    assert 0.05 < cells.count("") / len(cells) < 0.15
    for rows in drawn:
        assert all(map(any, rows))
        assert all(map(any, zip(*rows, strict=True)))


@pytest.mark.slow
def test_a_photo_of_a_table_is_the_same_every_time_and_is_read() -> None:
    (rows, picture), (same_rows, same) = (next(tables(1, None)) for _ in range(2))
    assert (rows, picture) == (same_rows, same)
    score = Score()
    score.add(rows, picture, cached_recogniser("default"))
    assert score.cells == sum(map(len, rows))
    assert score.right_cells >= 0.9 * score.cells
    assert "photos of tables, each by another hand | 1 |" in score.section()


def test_every_sign_leaves_ink_where_it_belongs() -> None:
    rng = np.random.default_rng(1)
    writer = random_writer(rng, None, (60, 61))
    for sign in SIGNS:
        ink = written_apart(sign, writer, rng)
        down = np.flatnonzero(ink.any(axis=1)) / 60 - 0.5  # digit heights from a digit's top
        assert (down.max() > 0.85) == (sign in ".,/"), sign
        assert (down.min() < 0.2) == (sign == "/"), sign


def test_a_row_that_is_lost_makes_those_below_it_wrong() -> None:
    score = Score()
    score.add([["1"], ["2"], ["3"]], b"", Fixed(Reading("")))
    assert (score.cells, score.right_cells, score.shapes_right) == (3, 0, 0)
    assert score.wrong == [[f"row {n}, column 1: {n} read  -" for n in (1, 2, 3)]]


def test_a_line_is_right_only_with_its_signs() -> None:
    score = LineScore()
    score.add(["12:30", "-4.5"], b"", Fixed(Reading("1230\n45", written="12:30\n4.5")))
    assert (score.pages_right, score.lines_right, score.lines) == (0, 1, 2)
    assert score.wrong == [["-4.5 read 4.5"]]


def test_pages_of_lines_are_by_hands_of_their_own() -> None:
    assert len({picture for _, picture in pages(3, None)}) == 3
