"""What is drawn into maps is decoded from them again."""

import numpy as np
import pytest
from perfect import perfect_maps, rectangles

from inkdigits.reading.page.decoding import find_symbols
from inkdigits.reading.page.lines import find_lines


def test_symbols_apart_are_found_with_their_boxes_and_kinds() -> None:
    boxes = [(10, 20, 30, 60), (50, 24, 70, 62), (90, 22, 100, 60)]
    kinds = np.array([3, 7, 1], np.int8)
    found = find_symbols(perfect_maps(rectangles(boxes), kinds, np.array(boxes, np.float32)))

    assert sorted(symbol.box for symbol in found) == boxes
    in_order = sorted(found, key=lambda symbol: symbol.box[0])
    assert [int(symbol.kind.argmax()) for symbol in in_order] == [3, 7, 1]


def test_symbols_that_touch_are_told_apart_by_where_their_ink_points() -> None:
    boxes = [(20, 20, 44, 60), (44, 20, 68, 60), (68, 20, 92, 60)]
    kinds = np.zeros(3, np.int8)
    found = find_symbols(perfect_maps(rectangles(boxes), kinds, np.array(boxes, np.float32)))
    assert sorted(symbol.box for symbol in found) == boxes


def test_a_blank_page_has_no_symbols() -> None:
    owner = np.zeros((64, 64), np.int16)
    assert find_symbols(perfect_maps(owner, np.zeros(0, np.int8), np.zeros((0, 4)))) == []


def test_two_peaks_of_one_symbol_are_one_symbol() -> None:
    box = [(20, 20, 60, 70)]
    maps = perfect_maps(rectangles(box), np.zeros(1, np.int8), np.array(box, np.float32))
    maps.centre[22, 22] = 0.9
    maps.size[:, 22, 22] = (20, 25)
    assert len(find_symbols(maps)) == 1


@pytest.mark.parametrize("slope", [-0.15, 0.0, 0.1])
def test_slanted_lines_are_read_one_after_the_other(slope: float) -> None:
    places = [(column * 40, row * 50) for row in range(3) for column in range(8)]
    boxes = np.array([(x, y + slope * x, x + 20, y + slope * x + 30) for x, y in places])
    shuffled = np.random.default_rng(0).permutation(len(boxes))

    lines = find_lines(boxes[shuffled])
    assert [[int(shuffled[one]) for one in line] for line in lines] == [
        list(range(row * 8, row * 8 + 8)) for row in range(3)
    ]


def test_columns_far_apart_stay_in_one_line() -> None:
    boxes = np.array([(x, 10, x + 20, 40) for x in (0, 25, 400, 425, 900)], float)
    assert find_lines(boxes) == [[0, 1, 2, 3, 4]]
