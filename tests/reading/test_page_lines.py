"""Rows stay whole where columns drift, where writing slants and where digits jump about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkdigits.reading.page.lines import STEEPEST, find_lines, slope

WIDTH, HEIGHT = 20, 32  # pixels of a symbol
STEP = 25  # pixels from symbol to symbol in a number
DIGITS = 4  # of a number

Rows = list[list[int]]


def table(
    rows: int,
    columns: int,
    drift: float = 0,
    pitch: float = 60,
    gap: float = 120,
    slant: float = 0,
    jitter: float = 0,
    seed: int = 0,
) -> tuple[np.ndarray, Rows]:
    """Return the boxes of a table of numbers, (K, 4), and the symbols of each row.

    Args:
        rows: of numbers.
        columns: of numbers.
        drift: pixels that each column stands lower than the one before.
        pitch: pixels from row to row.
        gap: pixels between columns.
        slant: pixels that all writing falls a pixel to the right.
        jitter: standard deviation of each symbol's height above its row, pixels.
        seed: of the jitter.
    """
    rng = np.random.default_rng(seed)
    boxes = []
    for row in range(rows):
        for column in range(columns):
            for place in range(DIGITS):
                x = column * (DIGITS * STEP + gap) + place * STEP
                y = row * pitch + column * drift + slant * x + rng.normal(0, jitter)
                boxes.append((x, y, x + WIDTH, y + HEIGHT))

    length = columns * DIGITS
    truth = [list(range(row * length, (row + 1) * length)) for row in range(rows)]
    return np.array(boxes), truth


def lines_of(boxes: np.ndarray) -> Rows:
    """Return the lines of boxes, which are given in another order."""
    shuffled = np.random.default_rng(1).permutation(len(boxes))
    return [[int(shuffled[number]) for number in line] for line in find_lines(boxes[shuffled])]


# ---- columns


@pytest.mark.parametrize("columns", [2, 3, 5])
@pytest.mark.parametrize(
    ("pitch", "drift"), [(60, 0), (60, 6), (60, -6), (60, 12), (80, 18), (80, -18)]
)
def test_rows_of_columns_that_drift_stay_whole(columns: int, pitch: float, drift: float) -> None:
    """Five columns, each 12 pixels lower, are together as much lower as the next row."""
    boxes, rows = table(4, columns, drift, pitch)
    assert lines_of(boxes) == rows


@pytest.mark.parametrize("gap", [15, 40, 120, 400])
def test_columns_may_be_any_distance_apart(gap: float) -> None:
    boxes, rows = table(3, 3, gap=gap)
    assert lines_of(boxes) == rows


def test_the_slope_of_a_wide_table_need_not_be_known_well() -> None:
    """Symbols jump by a tenth of their height, which makes the slope wrong by a twentieth; over the
    width of the table that is more than from row to row.
    """
    right = 0
    for seed in range(20):
        boxes, rows = table(4, 5, drift=12, jitter=3, seed=seed)
        right += lines_of(boxes) == rows
    assert right >= 16  # 18 are right; where rows are joined by height alone, 7 are


# ---- rows that slant


@pytest.mark.parametrize("slant", [-0.35, -0.2, -0.05, 0.05, 0.2, 0.35])
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_rows_that_slant_stay_whole(columns: int, slant: float) -> None:
    """The right end of a row is lower than the left end of the next one, by several rows even."""
    boxes, rows = table(3, columns, slant=slant, jitter=1)
    assert lines_of(boxes) == rows


@pytest.mark.parametrize("slant", [-0.3, -0.1, 0, 0.1, 0.3])
def test_the_slope_is_that_of_the_writing(slant: float) -> None:
    boxes, _ = table(3, 2, slant=slant)
    left, top, right, bottom = boxes.T
    found = slope((left + right) / 2, (top + bottom) / 2, bottom - top)
    assert found == pytest.approx(slant)


def test_the_slope_has_limits_and_needs_neighbours() -> None:
    boxes, _ = table(3, 2, slant=0.6)
    left, top, right, bottom = boxes.T
    x, y, tall = (left + right) / 2, (top + bottom) / 2, bottom - top
    assert abs(slope(x, y, tall)) <= STEEPEST
    assert slope(x[:3], y[:3], tall[:3]) == 0


# ---- numbers


def test_symbols_of_all_sizes_stand_in_one_line() -> None:
    """A tall 7, a dash, a comma on the line and a small raised 0."""
    boxes = np.array(
        [(0, 0, 20, 40), (26, 18, 44, 22), (50, 6, 70, 40), (74, 34, 78, 44), (82, 4, 94, 22)]
    )
    assert lines_of(boxes) == [[0, 1, 2, 3, 4]]


def test_digits_below_each_other_are_lines_of_one_digit_each() -> None:
    boxes = np.array([(10, y, 30, y + 32) for y in (0, 50, 100, 150)])
    assert lines_of(boxes) == [[0], [1], [2], [3]]


def test_a_number_that_climbs_is_one_line() -> None:
    boxes = np.array([(25 * x, 60 - 6 * x, 25 * x + 20, 92 - 6 * x) for x in range(8)])
    assert lines_of(boxes) == [list(range(8))]


def test_no_symbols_no_lines() -> None:
    assert find_lines(np.zeros((0, 4))) == []


SIDES = st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(1, 60), st.integers(1, 60))


@given(drawn=st.lists(SIDES, min_size=1, max_size=40))
def test_each_symbol_stands_in_one_line_and_lines_run_to_the_right(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in drawn], float)
    lines = find_lines(boxes)
    assert sorted(number for line in lines for number in line) == list(range(len(boxes)))
    for line in lines:
        middles = boxes[line][:, [0, 2]].mean(axis=1)
        assert (np.diff(middles) >= 0).all()
