"""A sheet is found where a picture shows more than the sheet, and only there."""

import cv2
import numpy as np
import pytest
from drawn import Mask, Plane, line, overlap, written

from inkdigits.reading.preprocessing.sheet import SMALLEST_SIDE, find_sheet

SHAPE = (256, 256)
CORNERS = {
    "level": ((50, 40), (215, 40), (215, 220), (50, 220)),
    "turned": ((70, 30), (220, 60), (190, 225), (40, 195)),
    "seen at an angle": ((70, 50), (200, 53), (222, 215), (45, 208)),
    "cut off below": ((50, 60), (215, 60), (215, 300), (50, 300)),
}


def scene(
    corners: tuple[tuple[int, int], ...], sheet: int = 225, table: int = 70, ink: int = 40
) -> tuple[Plane, Mask]:
    """Return a sheet with digits on a table, with a camera's grain, and the mask of the sheet."""
    polygon = np.array(corners, np.int32)
    place = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(place, [polygon], 255, cv2.LINE_AA)
    flat = written(line("475", SHAPE, 70, 110, 45, 4), sheet, ink)
    pixels = np.where(place > 127, flat, table) + np.random.default_rng(0).normal(0, 2, SHAPE)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), place > 127


@pytest.mark.parametrize(("sheet", "table"), [(225, 70), (240, 140), (120, 30)])
@pytest.mark.parametrize("kind", CORNERS)
def test_the_sheet_on_a_darker_table_is_found_without_its_rim(
    kind: str, sheet: int, table: int
) -> None:
    pixels, truth = scene(CORNERS[kind], sheet, table, ink=sheet // 5)
    found = find_sheet(pixels)

    assert found is not None
    assert found.dtype == np.bool_
    assert found.shape == SHAPE
    assert not (found & ~truth).any()
    assert overlap(found, truth) > 0.88


@pytest.mark.parametrize("kind", ["level", "turned", "seen at an angle"])
def test_a_dark_board_on_a_light_wall_is_a_sheet_too(kind: str) -> None:
    pixels, truth = scene(CORNERS[kind], sheet=50, table=220, ink=230)
    found = find_sheet(pixels)

    assert found is not None
    assert not (found & ~truth).any()
    assert overlap(found, truth) > 0.88


@pytest.mark.parametrize("text", ["", "475", "11", "0"])
@pytest.mark.parametrize("paper", [235, 40])
def test_where_all_is_paper_there_is_no_sheet(text: str, paper: int) -> None:
    layer = line(text, SHAPE, 40, 90, 60, 7) if text else np.zeros(SHAPE, np.uint8)
    assert find_sheet(written(layer, paper, 255 - paper)) is None


@pytest.mark.parametrize("digit", list("0123456789"))
@pytest.mark.parametrize("pen", [30, 45, 60])
def test_a_thick_digit_that_fills_the_picture_is_no_sheet(digit: str, pen: int) -> None:
    pixels = written(line(digit, SHAPE, 60, 38, 180, pen), 240, 30)
    assert find_sheet(pixels) is None
    assert find_sheet(255 - pixels) is None


@pytest.mark.parametrize("breadth", [40, 60])
def test_a_bar_is_a_one_and_no_sheet(breadth: int) -> None:
    pixels = np.full(SHAPE, 240, np.uint8)
    pixels[20:236, 128 - breadth // 2 : 128 + breadth // 2] = 30

    assert find_sheet(pixels) is None
    assert find_sheet(255 - pixels) is None


def test_a_disc_is_no_sheet() -> None:
    pixels = np.full(SHAPE, 60, np.uint8)
    cv2.circle(pixels, (128, 128), 90, 230, -1, cv2.LINE_AA)
    assert find_sheet(pixels) is None


def test_a_soft_shadow_over_half_of_the_paper_is_no_table() -> None:
    light = np.ones(SHAPE, np.float32)
    light[:, :120] = 0.5
    light = cv2.GaussianBlur(light, (0, 0), 14)

    assert (
        find_sheet(np.rint(written(line("475", SHAPE, 40, 90, 60, 7)) * light).astype(np.uint8))
        is None
    )


def test_small_pictures_show_one_digit_and_no_table() -> None:
    pixels, _ = scene(CORNERS["level"])
    for side in (28, 64, SMALLEST_SIDE - 1):
        assert (
            find_sheet(
                np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
            )
            is None
        )


def test_a_thick_one_from_a_paint_program_is_no_sheet_and_a_written_sheet_of_its_shape_is() -> None:
    bar = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(
        bar, [np.array([(90, 30), (170, 36), (166, 220), (96, 226)], np.int32)], 255, cv2.LINE_AA
    )

    assert find_sheet(bar) is None

    written_on = np.where(line("47", SHAPE, 105, 100, 35, 4) > 127, np.uint8(40), bar)

    assert find_sheet(written_on) is not None
