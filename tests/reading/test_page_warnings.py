"""Warnings say what is special about a picture's ink, and nothing where nothing is."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from drawn import line, written
from perfect import perfect_piece

from inkdigits.reading.page.decoding import find_symbols
from inkdigits.reading.page.find import Find
from inkdigits.reading.page.warnings import Brightness, brightness, signs_warning, warnings_for
from inkdigits.reading.preprocessing.picture import Picture
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.symbols import Digit
from inkdigits.reading.turning import other_ways

BOXES = [(20, 30, 40, 70), (60, 30, 84, 70)]
LIGHT = "light ink on dark paper"
FAINT = "very faint"


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(threads=1)


def seen(
    paper: object = 255,
    ink: object = 0,
    boxes: list[tuple[int, int, int, int]] = BOXES,
    scale: float = 1.0,
    digits: bool = True,
) -> tuple[str, ...]:
    """Return the warnings for filled rectangles that are taken for digits, or for none."""
    piece = perfect_piece(boxes, paper, ink)
    chances = np.zeros(16, np.float32)
    chances[8 if digits else 15] = 1
    finds = []
    for symbol in find_symbols(piece.maps):
        left, top, right, bottom = map(round, symbol.box)
        finds.append(Find((left, top, right, bottom), chances, piece, symbol))

    assert len(finds) == len(boxes)
    return warnings_for(Picture(piece.picture, (scale, scale)), finds)


def in_line(*kinds: int, lines: Sequence[int] = ()) -> list[Find]:
    """Return finds of these kinds from left to right, in one line unless lines are given."""
    piece = perfect_piece(BOXES, 255, 0)
    symbol = find_symbols(piece.maps)[0]
    numbers = lines or [0] * len(kinds)
    chances = np.eye(16, dtype=np.float32)
    return [
        Find((0, 0, 1, 1), chances[kind], piece, symbol, line=line)
        for kind, line in zip(kinds, numbers, strict=True)
    ]


# ---- of what is found


def test_signs_between_digits_are_named_once_each() -> None:
    point, comma, minus, other = 10, 11, 12, 15
    assert signs_warning(in_line(1, point, 2, 3, point, 4, comma, 5)) == ("signs left out: . ,",)
    assert signs_warning(in_line(minus, 1, 2, point)) == ()
    assert signs_warning(in_line(1, other, 2)) == ()
    assert signs_warning(in_line(1, point, 2, lines=(0, 0, 1))) == ()
    assert signs_warning([]) == ()


def test_another_way_up_that_reads_nearly_as_surely_is_told() -> None:
    def reading(text: str, confidence: float) -> Reading:
        digits = tuple(Digit(int(digit), confidence, True, (0, 0, 1, 1)) for digit in text)
        return Reading(text, digits)

    best = reading("6618", 0.95)
    close = reading("8199", 0.94)
    unsure = reading("8111", 0.85)
    ways = {"upright": best, "upside down": close, "turned to the left": unsure}
    assert other_ways(best, ways) == ("might be upside down",)
    assert other_ways(best, {"upright": best, "upside down": reading("6618", 0.95)}) == ()


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (200, 90), ((250, 240, 200), (20, 30, 120))])
def test_dark_ink_on_light_paper_needs_no_warning(paper: object, ink: object) -> None:
    assert seen(paper, ink) == ()
    assert seen(ink, paper) == (LIGHT,)


@pytest.mark.parametrize(("paper", "ink"), [(230, 207), (120, 100), (255, 225)])
def test_ink_that_hardly_differs_from_its_paper_is_very_faint(paper: int, ink: int) -> None:
    assert seen(paper, ink) == (FAINT,)
    assert seen(ink, paper) == (LIGHT, FAINT)


@pytest.mark.parametrize(
    "box", [(0, 30, 20, 70), (40, 0, 60, 40), (108, 30, 128, 70), (40, 88, 60, 128)]
)
def test_a_digit_at_any_border_may_be_cut_off(box: tuple[int, int, int, int]) -> None:
    assert seen(boxes=[*BOXES[:1], box] if box[0] else [box]) == ("touches the border",)


def test_a_digit_smaller_than_mnist_s_is_said_to_be_enlarged_in_pixels_of_the_original() -> None:
    assert seen(scale=0.5) == ()
    assert seen(scale=0.4) == ("upscaled from 16 px",)
    assert seen(boxes=[(20, 30, 40, 70), (60, 46, 68, 60)]) == ("upscaled from 14 px",)


def test_only_digits_count() -> None:
    assert seen(0, 255, digits=False) == ()
    assert seen(0, 255, boxes=[]) == ()


@pytest.mark.parametrize("width", [4, 8, 20])
def test_the_paper_of_a_straight_stroke_is_beside_it(width: int) -> None:
    """Its box holds nothing but ink."""
    piece = perfect_piece([(60, 20, 60 + width, 100)], paper=220, ink=40)
    (symbol,) = find_symbols(piece.maps)
    find = Find((60, 20, 60 + width, 100), np.zeros(16, np.float32), piece, symbol)
    assert brightness(find) == Brightness(pytest.approx(40, abs=1), pytest.approx(220, abs=1))


# ---- of what is read


@pytest.mark.parametrize("pen", [6, 10, 14])
@pytest.mark.parametrize("text", ["1", "20574"])
def test_polarity_is_told_of_drawn_digits_too(text: str, pen: int, recogniser: Recogniser) -> None:
    pixels = written(line(text, (200, 500), pen=pen))
    assert recogniser.read(pixels).as_dict()["warnings"] == []

    inverse = recogniser.read(255 - pixels)
    assert inverse.text == text
    assert inverse.warnings == (LIGHT,)


def test_faint_pencil_is_read_and_said_to_be_faint(recogniser: Recogniser) -> None:
    reading = recogniser.read(written(line("20574"), 230, 207))
    assert reading.text == "20574"
    assert reading.warnings == (FAINT,)


@pytest.mark.parametrize("height", [10, 14])
def test_small_digits_say_how_small_they_were(height: int, recogniser: Recogniser) -> None:
    pen = 2
    reading = recogniser.read(written(line("20574", (60, 160), 20, 20, height, pen)))
    (warning,) = reading.warnings
    pixels = re.fullmatch(r"upscaled from (\d+) px", warning)
    assert pixels
    assert int(pixels[1]) == pytest.approx(height + pen, abs=3)
