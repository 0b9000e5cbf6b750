"""Signs belong to a line if they stand beside an accepted digit of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inkdigits
from inkdigits.reading.page.find import Find
from inkdigits.reading.page.reader import Page
from inkdigits.reading.preprocessing.picture import Picture
from inkdigits.reading.signs import signs_beside
from inkdigits.reading.symbols import Digit

FAULTS = Path(__file__).with_name("drawn-faults")
POINT, COMMA, MINUS, COLON = 10, 11, 12, 14  # kinds
DIGIT = Digit(7, 0.9, True, (100, 100, 120, 140))


def page_with(box: tuple[int, int, int, int], sure: float = 0.9, line: int = 0) -> Page:
    """Return a page with something that may be a full stop."""
    chances = np.full(16, (1 - sure) / 15, np.float32)
    chances[POINT] = sure
    point = Find(box, chances, None, None, line=line)
    return Page(Picture(np.zeros((400, 400), np.uint8)), (), (), (point,), ())


@pytest.mark.parametrize(
    ("left", "top", "is_beside"),
    [
        (125, 134, True),
        (90, 136, True),
        (165, 134, True),
        (175, 134, False),  # more than a height away
        (40, 134, False),
        (125, 160, True),
        (125, 170, False),  # below the line
        (125, 60, False),
    ],
)
def test_a_sign_stands_near_a_digit(left: int, top: int, is_beside: bool) -> None:
    page = page_with((left, top, left + 4, top + 4))
    assert len(signs_beside(page, [DIGIT])) == is_beside


def test_a_doubtful_sign_is_none() -> None:
    assert signs_beside(page_with((125, 134, 129, 138), sure=0.45), [DIGIT]) == ()


@pytest.mark.parametrize(("dot_left", "read"), [(126, [":"]), (134, [":", "."])])
def test_a_dot_above_or_below_a_colon_is_half_of_it(dot_left: int, read: list[str]) -> None:
    colon, dot = np.full(16, 0.01, np.float32), np.full(16, 0.01, np.float32)
    colon[COLON] = dot[POINT] = 0.85
    found = (
        Find((125, 110, 129, 120), colon, None, None),
        Find((dot_left, 128, dot_left + 4, 132), dot, None, None),
    )
    page = replace(page_with((0, 0, 1, 1)), signs=found)
    assert [sign.sign for sign in signs_beside(page, [DIGIT])] == read


def two_signs(
    kinds: tuple[int, int], boxes: tuple[tuple[int, int, int, int], ...], sure: tuple[float, float]
) -> list[str]:
    """Return the signs beside DIGIT where two were found."""
    found = []
    for kind, box, confidence in zip(kinds, boxes, sure, strict=True):
        chances = np.full(16, (1 - confidence) / 15, np.float32)
        chances[kind] = confidence
        found.append(Find(box, chances, None, None))
    page = replace(page_with((0, 0, 1, 1)), signs=tuple(found))
    return [sign.sign for sign in signs_beside(page, [DIGIT])]


@pytest.mark.parametrize(
    ("kinds", "other", "read"),
    [
        ((POINT, POINT), (129, 114, 133, 118), [":"]),  # slanting: the upper dot is to the right
        ((POINT, MINUS), (128, 114, 134, 117), [":"]),  # an upper dot that is a short stroke
        ((POINT, COMMA), (128, 130, 132, 138), [","]),  # one mark, which was found twice
        ((POINT, MINUS), (131, 114, 145, 117), [".", "-"]),  # as in 5.-
    ],
)
def test_two_signs_in_one_place_are_one(
    kinds: tuple[int, int], other: tuple[int, int, int, int], read: list[str]
) -> None:
    assert two_signs(kinds, ((125, 132, 129, 136), other), (0.7, 0.8)) == read


def test_a_sign_needs_an_accepted_digit_of_its_line() -> None:
    page = page_with((125, 134, 129, 138), line=1)
    assert signs_beside(page, [DIGIT]) == ()
    refused = Digit(7, 0.4, False, DIGIT.box, "not a digit", line=1)
    assert signs_beside(page, [refused]) == ()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("amount-5comma155", "5,155"),
        ("amount-comma-slash", "110,000/-"),
        ("date-strokes", "17/04/2020"),
    ],
)
def test_numbers_are_read_as_they_are_written(name: str, written: str) -> None:
    reading = inkdigits.read(FAULTS / f"{name}.png")
    assert reading.written == written
    signs = "".join(sign.sign for sign in reading.signs)
    assert signs == "".join(character for character in written if not character.isdigit())
    for sign in reading.signs:
        left, top, right, bottom = sign.box
        assert 0 <= left < right
        assert 0 <= top < bottom


def test_signs_of_a_turned_page_have_boxes_where_they_are() -> None:
    with Image.open(FAULTS / "amount-5comma155.png") as opened:
        picture = np.asarray(opened.convert("RGB"))

    upright = inkdigits.read(picture)
    turned = inkdigits.read(np.ascontiguousarray(np.rot90(picture, 2)))
    assert turned.written == upright.written == "5,155"
    height, width = picture.shape[:2]
    for sign, same in zip(turned.signs, upright.signs, strict=True):
        left, top, right, bottom = same.box
        opposite = (width - right, height - bottom, width - left, height - top)
        assert np.abs(np.array(sign.box) - opposite).max() <= 8
