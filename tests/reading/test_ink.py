"""Ink is what a person would call ink, on any paper, in any light and from any pen."""

import cv2
import numpy as np
import pytest
from drawn import Mask, Plane, line, overlap, written

from inkdigits.reading.preprocessing.ink import find_ink, find_ink_in_few_pixels, is_light_on_dark

LAYER = line("20574")
TRUTH = LAYER > 127


def light(kind: str, shape: tuple[int, int] = LAYER.shape) -> np.ndarray:
    """Return how bright each place is, 0.4 to 1."""
    x, y = np.meshgrid(np.linspace(0, 1, shape[1]), np.linspace(0, 1, shape[0]))
    if kind == "from the side":
        return 1 - 0.6 * x
    if kind == "dark corners":
        return 1 - 0.6 * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
    shadow = cv2.GaussianBlur(((x > 0.3) & (x < 0.7)).astype(np.float32), (0, 0), 25)
    return 1 - 0.45 * shadow


def grainy(pixels: Plane, deviation: float, seed: int = 0) -> Plane:
    return np.clip(
        np.rint(pixels + np.random.default_rng(seed).normal(0, deviation, pixels.shape)), 0, 255
    ).astype(np.uint8)


# ---- polarity


@pytest.mark.parametrize(("paper", "pen"), [(255, 0), (230, 60), (200, 130), (90, 20)])
@pytest.mark.parametrize("scale", [0.2, 1, 3])
@pytest.mark.parametrize("pen_width", [3, 8, 20])
def test_ink_may_be_darker_or_lighter_than_its_paper(
    paper: int, pen: int, scale: float, pen_width: int
) -> None:
    layer = cv2.resize(
        line("20574", pen=pen_width), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    pixels = written(layer, paper, pen)

    assert not find_ink(pixels).light_on_dark
    assert find_ink(255 - pixels).light_on_dark


@pytest.mark.parametrize("digit", list("0123456789"))
def test_a_digit_that_fills_its_picture_has_the_polarity_that_it_was_drawn_with(digit: str) -> None:
    pixels = written(line(digit, (96, 70), 8, 8, pen=14))
    assert not is_light_on_dark(pixels)
    assert is_light_on_dark(255 - pixels)


def test_light_ink_gives_the_same_mask_as_dark_ink_and_says_that_it_is_light() -> None:
    pixels = written(LAYER)
    dark, lit = find_ink(pixels), find_ink(255 - pixels)

    assert not dark.light_on_dark
    assert lit.light_on_dark
    assert lit.warnings == ("light ink on dark paper",)
    assert overlap(dark.mask, TRUTH) > 0.85
    assert overlap(lit.mask, TRUTH) > 0.85


def test_a_soft_shadow_has_no_vote() -> None:
    """A large dark blot would outvote the writing, were it not for its edge."""
    assert not is_light_on_dark(written(LAYER, 235 * light("a shadow"), 30 * light("a shadow")))


# ---- light and colour


@pytest.mark.parametrize("kind", ["from the side", "dark corners", "a shadow"])
def test_uneven_light_gives_the_mask_that_even_light_gives(kind: str) -> None:
    even = find_ink(written(LAYER)).mask
    uneven = find_ink(written(LAYER, 230 * light(kind), 40 * light(kind))).mask

    assert overlap(uneven, even) > 0.9
    assert overlap(uneven, TRUTH) > 0.85


@pytest.mark.parametrize("paper", [(250, 250, 245), (250, 235, 130), (180, 225, 250)])
@pytest.mark.parametrize("pen", [(30, 30, 160), (190, 30, 40), (20, 110, 50), (120, 60, 150)])
def test_a_colour_pen_is_found_on_coloured_paper(
    paper: tuple[int, ...], pen: tuple[int, ...]
) -> None:
    ink = find_ink(written(LAYER, paper, pen))
    assert not ink.light_on_dark
    assert overlap(ink.mask, TRUTH) > 0.85


def test_yellow_on_white_is_found_in_the_channel_that_shows_it() -> None:
    """A grey picture shows little of it."""
    pixels = written(LAYER, (240, 240, 240), (250, 230, 60))

    assert np.ptp(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) < 25

    ink = find_ink(pixels)

    assert ink.contrast > 0.5
    assert overlap(ink.mask, TRUTH) > 0.85


# ---- nothing


@pytest.mark.parametrize("shape", [(28, 28), (200, 300), (700, 900)])
def test_blank_paper_holds_no_ink(shape: tuple[int, int]) -> None:
    for level in (0, 90, 255):
        assert not find_ink(np.full(shape, level, np.uint8)).mask.any()
    assert not find_ink(np.rint(230 * light("from the side", shape)).astype(np.uint8)).mask.any()
    assert not find_ink(np.full((*shape, 3), (240, 220, 120), np.uint8)).mask.any()


@pytest.mark.parametrize("deviation", [1, 3, 6])
def test_the_grain_of_blank_paper_is_no_ink(deviation: float) -> None:
    for seed in range(3):
        mask = find_ink(grainy(np.full((300, 400), 200, np.uint8), deviation, seed)).mask
        assert mask.mean() < 0.0005


# ---- strength


@pytest.mark.parametrize(("paper", "pen"), [(255, 0), (255, 178), (230, 207), (200, 120), (60, 30)])
def test_contrast_is_the_share_of_light_that_the_ink_takes(paper: int, pen: int) -> None:
    ink = find_ink(written(LAYER, paper, pen))
    assert ink.contrast == pytest.approx(1 - pen / paper, abs=0.03)
    assert ("very faint" in ink.warnings) == (ink.contrast < 0.15)


@pytest.mark.parametrize("deviation", [2, 5, 10])
def test_noise_is_the_grain_s_deviation_on_the_scale_of_strength(deviation: float) -> None:
    """Paper 200, ink 40: 160 grey levels are 255 levels of strength."""
    ink = find_ink(grainy(written(LAYER, 200, 40), deviation))

    assert ink.noise == pytest.approx(deviation * 255 / 160, rel=0.25)
    assert overlap(ink.mask, TRUTH) > 0.8


@pytest.mark.parametrize(("paper", "pen"), [(255, 0), (200, 60), (40, 220)])
def test_the_greys_of_a_stroke_s_edge_are_kept(paper: int, pen: int) -> None:
    soft = cv2.GaussianBlur(LAYER, (0, 0), 1)
    strength = find_ink(written(soft, paper, pen)).strength
    edge = (soft > 40) & (soft < 215)

    assert np.abs(strength[edge].astype(int) - soft[edge]).mean() < 20
    assert len(np.unique(strength[edge])) > 50


def test_every_pixel_of_the_mask_has_strength() -> None:
    ink = find_ink(
        grainy(written(LAYER, 230 * light("from the side"), 60 * light("from the side")), 3)
    )

    assert ink.strength.dtype == np.uint8
    assert ink.mask.dtype == np.bool_
    assert ink.mask.shape == ink.strength.shape == LAYER.shape
    assert (ink.strength[ink.mask] > 0).all()


# ---- the table


def on_a_table(layer: Plane) -> tuple[Plane, Mask]:
    """Return a sheet on a dark table that is seen on two sides, and the mask of the sheet."""
    pixels = np.full((layer.shape[0] + 60, layer.shape[1] + 80), 35, np.uint8)
    sheet = np.zeros(pixels.shape, np.bool_)
    sheet[60:, 80:] = True
    pixels[60:, 80:] = written(layer)
    return pixels, sheet


def test_the_table_beside_the_sheet_is_no_ink() -> None:
    pixels, sheet = on_a_table(line("20574", (300, 500), top=120))
    ink = find_ink(grainy(pixels, 2))
    truth = np.zeros(pixels.shape, np.bool_)
    truth[60:, 80:] = line("20574", (300, 500), top=120) > 127

    assert not ink.mask[~sheet].any()
    assert overlap(ink.mask, truth) > 0.8


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("shown", [96, 160])
@pytest.mark.parametrize("digit", list("02369"))
def test_a_small_digit_that_touches_all_borders_is_no_table(
    side: int, shown: int, digit: str
) -> None:
    """As in USPS and optdigits, where nothing but the digit is in the picture."""
    layer = line(digit, (100, 76), 10, 10)
    left, top, width, height = cv2.boundingRect(layer)
    small = cv2.resize(
        layer[top : top + height, left : left + width], (side, side), interpolation=cv2.INTER_AREA
    )
    pixels = cv2.resize(small, (shown, shown), interpolation=cv2.INTER_CUBIC)
    truth = pixels > 110

    assert truth.mean() < 0.5
    assert overlap(find_ink(pixels).mask, truth) > 0.6


@pytest.mark.parametrize(
    ("paper", "pen"), [((120, 160, 120), (220, 110, 110)), ((200, 60, 60), (60, 130, 60))]
)
def test_a_pen_as_bright_as_the_paper_is_seen_by_its_colour(
    paper: tuple[int, int, int], pen: tuple[int, int, int]
) -> None:
    picture = np.full((200, 300, 3), paper, np.uint8)
    stroke = np.zeros((200, 300), np.bool_)
    stroke[40:160, 140:152] = True
    picture[stroke] = pen
    mask = find_ink(picture).mask

    assert (mask & stroke).sum() > 0.9 * (mask | stroke).sum()


def test_writing_is_found_through_a_soft_shadow_over_squared_paper() -> None:
    """The squares are sharp edges within the shadow, which would make all of it ink."""
    height, width = 350, 520
    light = np.clip((np.add.outer(np.arange(height) * 0.6, np.arange(width)) - 330) / 60, 0, 1)
    paper = 235 - 100 * light
    paper[10::26] *= 0.93
    paper[:, 12::26] *= 0.93
    stroke = np.zeros((height, width), np.bool_)
    stroke[60:190, 80:90] = stroke[60:70, 80:140] = stroke[150:280, 430:440] = True
    picture = np.rint(np.where(stroke, paper * 0.3, paper)).astype(np.uint8)
    mask = find_ink(picture).mask

    assert (mask & stroke).sum() > 0.9 * stroke.sum()
    assert (
        mask & ~cv2.dilate(stroke.view(np.uint8), np.ones((7, 7), np.uint8)).view(np.bool_)
    ).mean() < 0.02


def test_in_few_pixels_every_grey_is_ink() -> None:
    """A ring drawn large and reduced to 9 pixels: some of it is only grey, and it stays a ring."""
    ring = np.zeros((180, 180), np.uint8)
    cv2.ellipse(ring, (90, 90), (50, 62), 0, 0, 360, 255, 16)
    tiny = cv2.resize(ring, (9, 9), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(tiny, (99, 99), interpolation=cv2.INTER_CUBIC)
    for pixels, light in ((enlarged, True), (255 - enlarged, False)):
        found = find_ink_in_few_pixels(pixels)
        assert found.light_on_dark == light
        holes = cv2.connectedComponents((~found.mask).view(np.uint8), connectivity=4)[0] - 1
        assert holes == 2  # the paper around it, and the paper inside

    assert not find_ink_in_few_pixels(np.full((99, 99), 130, np.uint8)).mask.any()
