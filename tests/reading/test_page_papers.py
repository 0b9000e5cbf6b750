"""Writing is read on any paper, in any light, in any colour; what lies around it is not."""

import cv2
import numpy as np
import pytest
from drawn import line, written

from inkdigits.reading.recogniser import Recogniser

TEXT = "20574"
LAYER = line(TEXT)
SQUARE = (256, 256)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(threads=1)


def light(kind: str, shape: tuple[int, int] = LAYER.shape) -> np.ndarray:
    """Return how bright each place is, 0.4 to 1."""
    x, y = np.meshgrid(np.linspace(0, 1, shape[1]), np.linspace(0, 1, shape[0]))
    if kind == "from the side":
        return 1 - 0.6 * x
    if kind == "dark corners":
        return 1 - 0.6 * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
    shadow = cv2.GaussianBlur(((x > 0.3) & (x < 0.7)).astype(np.float32), (0, 0), 25)
    return 1 - 0.45 * shadow


# ---- paper and light


@pytest.mark.parametrize(
    ("paper", "pen"), [(255, 0), (230, 60), (200, 130), (90, 20), (255, 178), (60, 30)]
)
def test_ink_may_be_darker_or_lighter_than_its_paper(
    paper: int, pen: int, recogniser: Recogniser
) -> None:
    pixels = written(LAYER, paper, pen)
    assert recogniser.read(pixels).text == TEXT
    assert recogniser.read(255 - pixels).text == TEXT


@pytest.mark.parametrize("scale", [0.2, 1, 3])
@pytest.mark.parametrize("pen", [3, 8, 20])
def test_writing_may_be_small_or_large_thin_or_thick(
    pen: int, scale: float, recogniser: Recogniser
) -> None:
    layer = cv2.resize(line(TEXT, pen=pen), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert recogniser.read(written(layer)).text == TEXT


@pytest.mark.parametrize("kind", ["from the side", "dark corners", "a shadow"])
def test_light_may_be_uneven(kind: str, recogniser: Recogniser) -> None:
    bright = light(kind)
    assert recogniser.read(written(LAYER, 230 * bright, 40 * bright)).text == TEXT
    assert recogniser.read(np.rint(230 * bright).astype(np.uint8)).text == ""


@pytest.mark.parametrize("paper", [(250, 250, 245), (250, 235, 130), (180, 225, 250)])
@pytest.mark.parametrize("pen", [(30, 30, 160), (190, 30, 40), (20, 110, 50), (120, 60, 150)])
def test_a_colour_pen_is_read_on_coloured_paper(
    paper: tuple[int, ...], pen: tuple[int, ...], recogniser: Recogniser
) -> None:
    assert recogniser.read(written(LAYER, paper, pen)).text == TEXT


def test_yellow_on_white_is_read_though_a_grey_picture_shows_little_of_it(
    recogniser: Recogniser,
) -> None:
    pixels = written(LAYER, (240, 240, 240), (250, 230, 60))
    assert np.ptp(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) < 25
    assert recogniser.read(pixels).text == TEXT


# ---- around the sheet

CORNERS = {
    "level": ((50, 40), (215, 40), (215, 220), (50, 220)),
    "turned": ((70, 30), (220, 60), (190, 225), (40, 195)),
    "seen at an angle": ((70, 50), (200, 53), (222, 215), (45, 208)),
    "cut off below": ((50, 60), (215, 60), (215, 300), (50, 300)),
}


def scene(corners: tuple[tuple[int, int], ...], sheet: int, table: int, ink: int) -> np.ndarray:
    """Return a sheet with 475 on a table, with a camera's grain; blank if `ink` is `sheet`."""
    place = np.zeros(SQUARE, np.uint8)
    cv2.fillPoly(place, [np.array(corners, np.int32)], 255, cv2.LINE_AA)
    flat = written(line("475", SQUARE, 70, 110, 45, 4), sheet, ink)
    pixels = np.where(place > 127, flat, table) + np.random.default_rng(0).normal(0, 2, SQUARE)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("sheet", "table"), [(225, 70), (240, 140), (120, 30), (50, 220)])
@pytest.mark.parametrize("kind", CORNERS)
def test_a_sheet_on_a_table_and_a_board_on_a_wall_are_read_and_their_rims_are_not(
    kind: str, sheet: int, table: int, recogniser: Recogniser
) -> None:
    ink = sheet // 5 if sheet > table else 230
    assert recogniser.read(scene(CORNERS[kind], sheet, table, ink)).text == "475"
    assert recogniser.read(scene(CORNERS[kind], sheet, table, ink=sheet)).text == ""


def test_a_disc_is_no_digit(recogniser: Recogniser) -> None:
    pixels = np.full(SQUARE, 60, np.uint8)
    cv2.circle(pixels, (128, 128), 90, 230, -1, cv2.LINE_AA)
    for single in (False, True):
        assert recogniser.read(pixels, single).text == ""


# ---- digits that fill their picture


@pytest.mark.parametrize("digit", list("0123456789"))
def test_a_digit_may_fill_its_picture(digit: str, recogniser: Recogniser) -> None:
    pixels = written(line(digit, (96, 70), 8, 8, pen=14))
    for picture in (pixels, 255 - pixels):
        assert recogniser.read(picture).text == digit
        assert recogniser.read(picture, single=True).text == digit


@pytest.mark.parametrize("digit", list("0123456789"))
@pytest.mark.parametrize("pen", [30, 45, 60])
def test_a_digit_may_be_drawn_with_a_thick_brush(
    digit: str, pen: int, recogniser: Recogniser
) -> None:
    pixels = written(line(digit, SQUARE, 60, 38, 180, pen), 240, 30)
    assert recogniser.read(pixels).text == digit
    assert recogniser.read(255 - pixels).text == digit


@pytest.mark.parametrize("breadth", [10, 20, 40, 60])
@pytest.mark.parametrize("single", [False, True])
def test_a_bar_is_a_one(breadth: int, single: bool, recogniser: Recogniser) -> None:
    pixels = np.full(SQUARE, 240, np.uint8)
    pixels[20:236, 128 - breadth // 2 : 128 + breadth // 2] = 30
    assert recogniser.read(pixels, single).text == "1"
    assert recogniser.read(255 - pixels, single).text == "1"


@pytest.mark.parametrize("enlarged", [False, True])
@pytest.mark.parametrize("digit", list("02369"))
def test_sixteen_pixels_without_any_margin_are_enough_for_one_digit(
    digit: str, enlarged: bool, recogniser: Recogniser
) -> None:
    """As in USPS, where nothing but the digit is in the picture."""
    layer = line(digit, (100, 76), 10, 10)
    left, top, width, height = cv2.boundingRect(layer)
    tight = layer[top : top + height, left : left + width]
    pixels = 255 - cv2.resize(tight, (16, 16), interpolation=cv2.INTER_AREA)
    if enlarged:
        pixels = cv2.resize(pixels, (160, 160), interpolation=cv2.INTER_CUBIC)
    assert recogniser.read(pixels, single=True).text == digit
