"""Strokes become candidates as a person would group them; they are drawn digit by digit here."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from drawn import Mask, Plane, ink, line, overlap

from inkdigits.reading.preprocessing.candidate import Candidate, Judge
from inkdigits.reading.preprocessing.segmentation import find_candidates

SHAPE = (300, 600)


def found(layer: Plane, single: bool = False, judge: Judge | None = None) -> list[Candidate]:
    return find_candidates(layer > 127, layer, single, judge)


def whole(candidate: Candidate, shape: tuple[int, ...]) -> Mask:
    """The candidate's strokes in the whole picture."""
    mask = np.zeros(shape, np.bool_)
    left, top, right, bottom = candidate.box
    mask[top:bottom, left:right] = candidate.mask
    return mask


def knowing(*digits: Plane) -> Judge:
    """Return a judge who is as sure as a candidate overlaps with one of the digits drawn."""

    def judge(candidates: Sequence[Candidate]) -> np.ndarray:
        masks = [whole(candidate, digits[0].shape) for candidate in candidates]
        return np.array(
            [max(overlap(mask, digit > 127) for digit in digits) ** 2 for mask in masks]
        )

    return judge


def places(candidates: Sequence[Candidate], digits: Sequence[Plane]) -> list[int]:
    """For each candidate which of the digits it is; -1 for none."""
    overlaps = [
        [overlap(whole(candidate, digit.shape), digit > 127) for digit in digits]
        for candidate in candidates
    ]
    return [int(np.argmax(row)) if max(row) > 0.8 else -1 for row in overlaps]


# ---- what there is


def test_paper_without_ink_has_no_candidates() -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    assert found(nothing) == []
    assert found(nothing, single=True) == []


def test_each_digit_of_a_row_is_a_candidate_in_a_box_that_fits() -> None:
    digits = [ink(digit, SHAPE, 40 + 90 * place, 100) for place, digit in enumerate("275380")]
    layer = np.maximum.reduce(digits)
    candidates = found(layer)

    assert places(candidates, digits) == [0, 1, 2, 3, 4, 5]
    assert {candidate.line for candidate in candidates} == {0}

    for candidate, digit in zip(candidates, digits, strict=True):
        left, top, width, height = cv2.boundingRect((digit > 127).view(np.uint8))
        assert candidate.box == (left, top, left + width, top + height)
        assert candidate.mask.shape == (candidate.height, candidate.width) == (height, width)
        assert candidate.middle == (left + width / 2, top + height / 2)


def test_candidates_share_no_ink_and_add_none() -> None:
    layer = np.maximum(line("2758", SHAPE, 30, 30), line("913", SHAPE, 30, 170))
    masks = [whole(candidate, SHAPE) for candidate in found(layer, judge=knowing(layer))]

    assert max(np.sum(masks, axis=0).ravel()) == 1
    assert not (np.logical_or.reduce(masks) & ~(layer > 127)).any()


# ---- dirt


@pytest.mark.parametrize("single", [True, False])
def test_specks_are_dropped(single: bool) -> None:
    digit = ink("3", SHAPE, 250, 100)
    layer = digit.copy()
    for x, y in np.random.default_rng(0).integers(10, 290, (25, 2)):
        cv2.circle(layer, (int(x) * 2, int(y)), 3, 255, -1)
    near = cv2.dilate(digit, np.ones((17, 17), np.uint8)) > 0
    layer[near] = digit[near]

    assert places(found(layer, single), [digit]) == [0]


def test_ink_much_fainter_than_the_writing_is_dropped_as_shining_through() -> None:
    digits, ghost = (
        [ink("3", SHAPE, 100, 100), ink("8", SHAPE, 200, 100)],
        ink("5", SHAPE, 300, 100),
    )
    strength = np.maximum.reduce([*digits, ghost // 4])
    assert places(find_candidates(strength > 40, strength), digits) == [0, 1]


# ---- what belongs together


def broken_five() -> tuple[Plane, Plane]:
    """(the body, the bar that does not touch it)"""
    body, bar = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    cv2.polylines(
        body,
        [
            np.array(
                [(256, 112), (256, 136), (285, 134), (298, 150), (288, 172), (262, 178), (250, 172)]
            )
        ],
        False,
        255,
        7,
    )
    cv2.line(bar, (262, 98), (300, 96), 255, 7)
    return body, bar


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("judged", [True, False])
def test_the_bar_of_a_five_joins_its_body(single: bool, judged: bool) -> None:
    body, bar = broken_five()
    layer = np.maximum(body, bar)
    assert places(found(layer, single, knowing(layer) if judged else None), [layer]) == [0]


def test_a_broken_stroke_is_joined_where_that_makes_a_better_digit() -> None:
    digit = ink("0", SHAPE, 250, 100)
    digit[:, 272:280] = 0  # two halves side by side

    assert len(found(digit)) == 2
    assert places(found(digit, judge=knowing(digit)), [digit]) == [0]


def test_neighbours_are_not_joined_where_each_is_a_digit() -> None:
    digits = [ink("1", SHAPE, 250, 100), ink("1", SHAPE, 270, 100)]
    assert places(found(np.maximum(*digits), judge=knowing(*digits)), digits) == [0, 1]


# ---- digits that touch


@pytest.mark.parametrize("text", ["35", "00", "28", "742"])
def test_touching_digits_are_cut_by_a_judge_who_knows_digits(text: str) -> None:
    apart = ink("6", SHAPE, 60, 100)
    digits = [ink(digit, SHAPE, 200 + 49 * place, 100) for place, digit in enumerate(text)]
    touching = np.maximum.reduce(digits)
    cv2.line(touching, (230, 150), (170 + 49 * len(text), 150), 255, 5)

    assert cv2.connectedComponents((touching > 127).view(np.uint8))[0] == 2, "they touch"

    candidates = found(np.maximum(apart, touching), judge=knowing(apart, *digits))

    assert places(candidates, [apart, *digits]) == list(range(1 + len(text)))


def test_a_pair_that_is_one_digit_to_the_judge_is_not_cut() -> None:
    apart, wide = ink("6", SHAPE, 60, 100), np.zeros(SHAPE, np.uint8)
    cv2.polylines(
        wide,
        [np.array([(200, 100), (250, 178), (300, 100), (200, 140), (300, 140)])],
        False,
        255,
        8,
    )
    assert places(found(np.maximum(apart, wide), judge=knowing(apart, wide)), [apart, wide]) == [
        0,
        1,
    ]


def fence(length: int) -> Plane:
    """Strokes side by side that one line strikes through."""
    layer = np.zeros((120, length + 40), np.uint8)
    for x in range(20, length + 1, 20):
        cv2.line(layer, (x, 35), (x + 12, 85), 255, 3)
    cv2.line(layer, (20, 58), (length + 20, 62), 255, 3)
    return layer


def test_the_work_grows_with_the_length_of_a_part_and_not_with_its_square() -> None:
    judged = {}
    for length in (300, 600):
        seen: list[int] = []

        def judge(candidates: Sequence[Candidate], seen: list[int] = seen) -> np.ndarray:
            seen.append(len(candidates))
            return np.zeros(len(candidates))

        found(fence(length), judge=judge)
        judged[length] = sum(seen)
    assert 0 < judged[600] < 2.5 * judged[300]


def test_two_loops_that_share_a_stroke_are_cut_from_notch_to_notch() -> None:
    """No way of little ink parts them: it would lead through the loops."""
    left, right = ink("0", SHAPE, 200, 100), ink("0", SHAPE, 200, 100)
    width = cv2.boundingRect(left)[2]
    right = np.roll(right, width - 6, axis=1)
    both = np.maximum(left, right)

    assert places(found(both, judge=knowing(left, right)), [left, right]) == [0, 1]


def test_among_letters_nothing_is_cut() -> None:
    """The judge knows the pieces of the wide sign, but none of its neighbours."""
    pair = ink("3", SHAPE, 240, 100), ink("5", SHAPE, 285, 100)
    neighbours = [ink("1", SHAPE, x, 100) for x in (60, 120, 400)]
    layer = np.maximum.reduce([*pair, *neighbours])

    assert len(found(layer, judge=knowing(*pair))) == 4
    assert len(found(layer, judge=knowing(*pair, *neighbours))) == 5


@pytest.mark.parametrize("single", [True, False])
def test_a_line_below_a_digit_is_dropped_where_the_digit_is_one_without_it(single: bool) -> None:
    digit = ink("8", (220, 220), 80, 50)
    left, top, width, height = cv2.boundingRect(digit)
    underlined = cv2.line(
        digit.copy(), (left - 8, top + height + 14), (left + width + 8, top + height + 14), 255, 6
    )

    assert places(found(underlined, single=single, judge=knowing(digit)), [digit]) == [0]

    if single:  # the foot of a broken digit stays
        assert places(found(underlined, single=True, judge=knowing(underlined)), [underlined]) == [
            0
        ]


def test_without_a_judge_what_touches_stays_whole() -> None:
    layer = np.maximum(ink("3", SHAPE, 200, 100), ink("5", SHAPE, 245, 100))
    assert len(found(layer)) == 1


def test_a_wide_digit_is_not_cut() -> None:
    wide = cv2.resize(ink("0", SHAPE, 100, 100), None, fx=2, fy=1)
    assert places(found(wide, judge=knowing(wide)), [wide]) == [0]


# ---- lines


@pytest.mark.parametrize("judged", [True, False])
def test_lines_are_read_from_top_to_bottom_and_each_from_left_to_right(judged: bool) -> None:
    digits = [
        ink(digit, SHAPE, 40 + 80 * column, 15 + 95 * row, 70)
        for row in range(3)
        for column, digit in enumerate("2758")
    ]
    candidates = found(np.maximum.reduce(digits), judge=knowing(*digits) if judged else None)

    assert places(candidates, digits) == list(range(12))
    assert [candidate.line for candidate in candidates] == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize("degrees", [-8, 8])
def test_slanted_lines_keep_their_digits(degrees: float) -> None:
    """So slanted that the end of one line is as high as the beginning of the next."""
    rise = np.tan(np.deg2rad(degrees))
    digits = [
        ink(digit, (380, 760), 60 + 90 * column, 130 + 90 * row + rise * (90 * column - 270), 60)
        for row in range(2)
        for column, digit in enumerate("2758304")
    ]
    candidates = found(np.maximum.reduce(digits))

    assert places(candidates, digits) == list(range(14))
    assert [candidate.line for candidate in candidates] == [0] * 7 + [1] * 7


# ---- one digit


def test_single_keeps_one_candidate_however_many_pieces_the_digit_has() -> None:
    digit = ink("8", (200, 200), 70, 60)
    digit[96:104] = 0  # the upper and the lower half

    assert len(found(digit, single=True)) == 1
    assert places(found(digit, single=True), [digit]) == [0]


def test_single_drops_a_neighbour_that_the_border_cuts() -> None:
    digit, neighbour = ink("8", (160, 160), 60, 40), ink("0", (160, 160), 146, 40)
    assert places(found(np.maximum(digit, neighbour), single=True), [digit]) == [0]


def test_single_keeps_a_digit_that_the_border_touches() -> None:
    digit = ink("0", (88, 64), 4, 4)
    layer = np.ascontiguousarray(digit[4:-4, 4:-4])
    assert places(found(layer, single=True), [layer]) == [0]
