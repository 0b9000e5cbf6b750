"""Strokes become digits as a person would group them, and dirt becomes none."""

import cv2
import numpy as np
import pytest
from drawn import Plane, ink, line, written

from inkdigits.reading.recogniser import Recogniser

SHAPE = (300, 600)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(threads=1)


def side_by_side(text: str, step: int, left: int = 200) -> Plane:
    """Return digits 80 pixels high, of which each begins `step` pixels right of the one before."""
    digits = [ink(digit, SHAPE, left + step * place, 100) for place, digit in enumerate(text)]
    return np.maximum.reduce(digits)


# ---- digits that touch


@pytest.mark.parametrize("text", ["35", "00", "28", "742", "64", "88", "50"])
def test_digits_that_touch_are_read_one_by_one(text: str, recogniser: Recogniser) -> None:
    touching = side_by_side(text, step=49)
    assert recogniser.read(written(touching)).text == text


RULED = pytest.mark.xfail(reason="of two zeros on a rule one is refused", strict=False)


@pytest.mark.parametrize("text", ["35", pytest.param("00", marks=RULED), "28", "742"])
def test_digits_that_a_line_joins_are_read_one_by_one(text: str, recogniser: Recogniser) -> None:
    joined = side_by_side(text, step=49)
    cv2.line(joined, (230, 150), (170 + 49 * len(text), 150), 255, 5)
    assert cv2.connectedComponents((joined > 127).view(np.uint8))[0] == 2
    assert recogniser.read(written(joined)).text == text


def test_two_loops_that_share_a_stroke_are_two_digits(recogniser: Recogniser) -> None:
    left = ink("0", SHAPE, 200, 100)
    width = cv2.boundingRect(left)[2]
    both = np.maximum(left, np.roll(left, width - 6, axis=1))
    assert recogniser.read(written(both)).text == "00"


@pytest.mark.parametrize("step", [20, 30, 40])
def test_two_plain_strokes_are_eleven_however_close(step: int, recogniser: Recogniser) -> None:
    assert recogniser.read(written(side_by_side("11", step, left=250))).text == "11"


def test_a_wide_digit_is_one(recogniser: Recogniser) -> None:
    wide = cv2.resize(ink("0", SHAPE, 100, 100), None, fx=2, fy=1)
    assert recogniser.read(written(wide)).text == "0"


# ---- digits in pieces


@pytest.mark.parametrize("single", [True, False])
def test_the_bar_of_a_five_belongs_to_it(single: bool, recogniser: Recogniser) -> None:
    layer = np.zeros(SHAPE, np.uint8)
    body = [(256, 112), (256, 136), (285, 134), (298, 150), (288, 172), (262, 178), (250, 172)]
    cv2.polylines(layer, [np.array(body)], False, 255, 7)
    cv2.line(layer, (262, 98), (300, 96), 255, 7)
    assert cv2.connectedComponents(layer)[0] == 3
    assert recogniser.read(written(layer), single).text == "5"


@pytest.mark.parametrize("gap", [2, 4])
@pytest.mark.parametrize("digit", ["0", "8"])
def test_a_small_gap_in_a_stroke_does_not_part_a_digit(
    digit: str, gap: int, recogniser: Recogniser
) -> None:
    layer = ink(digit, SHAPE, 250, 100)
    if digit == "0":
        layer[:, 276 - gap // 2 : 276 + gap // 2] = 0
    else:
        layer[140 - gap // 2 : 140 + gap // 2] = 0
    assert recogniser.read(written(layer)).text == digit


# ---- dirt, lines and neighbours


@pytest.mark.parametrize("single", [True, False])
def test_specks_are_no_digits(single: bool, recogniser: Recogniser) -> None:
    digit = ink("3", SHAPE, 250, 100)
    layer = digit.copy()
    for x, y in np.random.default_rng(0).integers(10, 290, (25, 2)).tolist():
        cv2.circle(layer, (x * 2, y), 3, 255, -1)
    near = cv2.dilate(digit, np.ones((17, 17), np.uint8)) > 0
    layer[near] = digit[near]
    assert recogniser.read(written(layer), single).text == "3"


@pytest.mark.parametrize("single", [True, False])
def test_a_line_below_a_digit_is_none(single: bool, recogniser: Recogniser) -> None:
    digit = ink("8", (220, 220), 80, 50)
    left, top, width, height = cv2.boundingRect(digit)
    below = top + height + 14
    cv2.line(digit, (left - 8, below), (left + width + 8, below), 255, 6)
    assert recogniser.read(written(digit), single).text == "8"


def test_single_leaves_out_a_neighbour_that_the_border_cuts(recogniser: Recogniser) -> None:
    digit = ink("8", (160, 160), 60, 40)
    neighbour = ink("0", (160, 160), 146, 40)
    assert recogniser.read(written(np.maximum(digit, neighbour)), single=True).text == "8"


# ---- lines of writing


def test_lines_are_read_from_top_to_bottom(recogniser: Recogniser) -> None:
    rows = [line("2758", SHAPE, 40, 15 + 95 * row, 70) for row in range(3)]
    assert recogniser.read(written(np.maximum.reduce(rows))).text == "2758\n2758\n2758"


@pytest.mark.parametrize("degrees", [-8, 8])
def test_slanted_lines_keep_their_digits(degrees: float, recogniser: Recogniser) -> None:
    """So slanted that the end of one line is as high as the beginning of the next."""
    rise = np.tan(np.deg2rad(degrees))
    digits = [
        ink(digit, (380, 760), 60 + 90 * column, 130 + 90 * row + rise * (90 * column - 270), 60)
        for row in range(2)
        for column, digit in enumerate("2758304")
    ]
    assert recogniser.read(written(np.maximum.reduce(digits))).text == "2758304\n2758304"
