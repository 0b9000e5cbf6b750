"""Drawn sheets are the same every time, and their cells are compared with what was written."""

import numpy as np

from benchmarks.reading.sheets import KINDS, Score, draw_sheet
from inkdigits.reading.recogniser import cached_recogniser


def test_a_sheet_is_the_same_every_time_and_its_marks_are_read() -> None:
    kind = KINDS[0]
    rng, again = (np.random.default_rng(5) for _ in range(2))
    written = kind.fill(rng)
    picture = draw_sheet(written, kind.widths.values(), rng)
    assert kind.fill(again) == written
    assert np.array_equal(draw_sheet(written, kind.widths.values(), again), picture)

    score = Score()
    score.add(written, picture, cached_recogniser("default"))
    assert score.cells == 40
    assert score.right >= 38


def test_a_cell_that_says_something_else_is_not_right() -> None:
    kind = KINDS[0]
    rng = np.random.default_rng(5)
    written = kind.fill(rng)
    picture = draw_sheet(written, kind.widths.values(), rng)
    score = Score()
    score.add([["999"] * 4 for _ in written], picture, cached_recogniser("default"))
    assert score.right == 0
