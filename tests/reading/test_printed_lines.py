"""Print goes and writing stays, pixel by pixel; both are drawn here, and so are known."""

import cv2
import numpy as np
import pytest
from drawn import Mask, Plane, line, overlap, written

from inkdigits.reading.preprocessing.ink import find_ink
from inkdigits.reading.preprocessing.printed_lines import without_printed_lines
from inkdigits.reading.recogniser import Recogniser

HEIGHT, WIDTH = 420, 700
TEXT = "25038"
WRITING = line(TEXT, (HEIGHT, WIDTH), left=90, top=170, height=90)
Segment = tuple[float, float, float, float]


def print_of(segments: list[Segment], thickness: int = 2) -> Plane:
    """Straight lines (x, y, x, y) as a layer: paper 0, print 255."""
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x0, y0, x1, y1 in segments:
        cv2.line(
            layer,
            (round(16 * x0), round(16 * y0)),
            (round(16 * x1), round(16 * y1)),
            255,
            thickness,
            cv2.LINE_AA,
            4,
        )
    return layer


def ruled(pitch: float, first: float = 30, rise: float = 0) -> list[Segment]:
    """Return lines from border to border; rise: pixels that their right ends are higher."""
    return [(-5, y, WIDTH + 5, y - rise) for y in np.arange(first, HEIGHT + abs(rise), pitch)]


def squared(pitch: float) -> list[Segment]:
    return ruled(pitch) + [(x, -5, x, HEIGHT + 5) for x in np.arange(17, WIDTH, pitch)]


def box(left: float, top: float, right: float, bottom: float) -> list[Segment]:
    return [
        (left, top, right, top),
        (right, top, right, bottom),
        (right, bottom, left, bottom),
        (left, bottom, left, top),
    ]


BOXES = [
    side for place in range(len(TEXT)) for side in box(75 + 90 * place, 150, 165 + 90 * place, 280)
]
APART = [
    side for place in range(len(TEXT)) for side in box(78 + 90 * place, 150, 162 + 90 * place, 280)
]
COMB = [(75.0, 285.0, 525.0, 285.0), *((x, 245.0, x, 285.0) for x in np.arange(75.0, 526.0, 90.0))]
UNDERLINE = [(80.0, 285.0, 540.0, 280.0)]
PRINTED = {
    "ruled": print_of(ruled(110)),
    "ruled closely": print_of(ruled(32)),
    "ruled, askew": print_of(ruled(110, rise=40)),
    "ruled, thick": print_of(ruled(110), thickness=5),
    "squared": print_of(squared(60)),
    "squared closely": print_of(squared(30)),
    "boxes": print_of(BOXES),
    "boxes apart": print_of(APART, thickness=3),
    "comb": print_of(COMB),
    "underlined": print_of(UNDERLINE, thickness=3),
}


def cleaned(printed: Plane, shade: int, writing: Plane = WRITING) -> Mask:
    """Return the ink that is left on a sheet with this print, in grey levels, and writing."""
    sheet = written(printed, 240, shade)
    return without_printed_lines(find_ink(written(writing, sheet, 40))).mask


@pytest.mark.parametrize("shade", [60, 170])
@pytest.mark.parametrize("kind", PRINTED)
def test_lines_go_and_strokes_stay(kind: str, shade: int) -> None:
    left = cleaned(PRINTED[kind], shade)
    truth = WRITING > 127
    print_alone = (PRINTED[kind] > 127) & ~(cv2.dilate(WRITING, np.ones((9, 9), np.uint8)) > 0)

    assert (left & truth).sum() > 0.85 * truth.sum()
    assert (left & print_alone).sum() < 0.03 * print_alone.sum()
    assert overlap(left, truth) > 0.75


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.xfail(reason="pieces"))
        if kind == "squared closely"
        else kind
        for kind in PRINTED
    ],
)
def test_each_digit_stays_in_one_piece(kind: str) -> None:
    """A line that is cut out with the strokes that cross it leaves a digit in two."""
    left = cleaned(PRINTED[kind], 150)
    whole, _, stats, _ = cv2.connectedComponentsWithStats(left.view(np.uint8), connectivity=8)
    tall = [height for height in stats[1:, cv2.CC_STAT_HEIGHT] if height > 0.8 * 90]

    assert len(tall) == len(TEXT), f"{whole - 1} pieces"


def test_the_warning_says_that_lines_were_removed() -> None:
    assert (
        "printed lines removed"
        in without_printed_lines(
            find_ink(written(WRITING, written(PRINTED["ruled"], 240, 150)))
        ).warnings
    )


def changed(layer: Plane) -> int:
    """Count the pixels of writing that go where nothing is printed."""
    ink = find_ink(written(layer))
    after = without_printed_lines(ink)

    assert not (after.mask & ~ink.mask).any()

    return int((ink.mask & ~after.mask).sum())


@pytest.mark.parametrize("text", ["25038", "1111", "7", "14747", "1", "0"])
@pytest.mark.parametrize("pen", [4, 8, 14])
def test_where_nothing_is_printed_nothing_changes(text: str, pen: int) -> None:
    assert not changed(line(text, (HEIGHT, WIDTH), left=90, top=170, height=90, pen=pen))


@pytest.mark.parametrize("pen", [4, 8, 14])
@pytest.mark.parametrize(
    "text",
    [
        "1111",
        "7",
        "1",
        "0",
        "22",
        "4",
        pytest.param(
            "14747", marks=pytest.mark.xfail(reason="bars in one line are taken for a ruling")
        ),
    ],
)
def test_a_tight_crop_does_not_make_lines_of_bars(text: str, pen: int) -> None:
    layer = line(text, (HEIGHT, WIDTH), left=90, top=170, height=90, pen=pen)
    left, top, width, height = cv2.boundingRect(layer)
    assert not changed(
        np.ascontiguousarray(layer[top - 4 : top + height + 4, left - 4 : left + width + 4])
    )


@pytest.mark.parametrize("kind", ["ruled", "ruled closely", "squared", "squared closely"])
def test_a_sheet_with_nothing_but_lines_holds_no_digit(kind: str) -> None:
    for single in (True, False):
        assert Recogniser(threads=1).read(written(PRINTED[kind], 240, 120), single).text == ""


def test_strength_goes_where_the_mask_goes() -> None:
    ink = without_printed_lines(find_ink(written(WRITING, written(PRINTED["squared"], 240, 150))))
    alone = (PRINTED["squared"] > 127) & ~(cv2.dilate(WRITING, np.ones((9, 9), np.uint8)) > 0)

    assert ink.strength[alone].mean() < 0.05 * ink.strength[WRITING > 250].mean()
    assert (ink.strength[ink.mask] > 0).all()
