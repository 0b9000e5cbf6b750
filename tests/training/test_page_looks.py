"""What was found on a page is labelled by whose ink it took and how well its box agrees."""

import numpy as np
import pytest

from inkdigits.data.synthetic.training_pages.generator import TrainingPage
from inkdigits.reading.page.decoding import Symbol
from inkdigits.reading.page.find import OTHER
from inkdigits.reading.page.maps import Maps
from inkdigits.reading.page.survey import Piece
from inkdigits.training.page.looks import box_overlap, label

BOXES = [(20, 20, 40, 60), (40, 20, 60, 60)]
KINDS = [7, 4]


@pytest.fixture(scope="module")
def page() -> TrainingPage:
    owner = np.zeros((96, 96), np.int16)
    for number, (left, top, right, bottom) in enumerate(BOXES, 1):
        owner[top:bottom, left:right] = number
    picture = np.zeros((96, 96, 3), np.uint8)
    return TrainingPage(
        picture, owner, np.array(KINDS, np.int8), np.array(BOXES, np.float32), ((0, 1),)
    )


def find(left: int, top: int, right: int, bottom: int) -> Symbol:
    """A find whose ink fills a box, in pixels of the piece."""
    rows, columns = np.mgrid[top // 2 : bottom // 2, left // 2 : right // 2].reshape(2, -1)
    box = (float(left), float(top), float(right), float(bottom))
    return Symbol(0.9, box, rows, columns, np.zeros(16, np.float32))


def piece(left: float = 0.0, top: float = 0.0, scale: float = 1.0) -> Piece:
    blank = np.zeros((1, 1), np.float32)
    maps = Maps(blank, blank, blank, blank, blank, blank, blank)
    return Piece(np.zeros((1, 1, 3), np.uint8), left, top, scale, maps)


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((20, 20, 40, 60), 7),  # all of it
        ((40, 20, 60, 60), 4),
        ((22, 20, 40, 56), 7),  # nearly all
        ((16, 16, 42, 62), 7),  # with paper around it
        ((20, 20, 60, 60), OTHER),  # two in one
        ((20, 20, 40, 32), OTHER),  # a third of it
        ((70, 70, 90, 90), OTHER),  # nothing but paper
        ((20, 20, 40, 38), None),  # nearly half of it
        ((20, 20, 48, 60), None),  # a bite of the neighbour
    ],
)
def test_a_find_is_a_symbol_no_symbol_or_not_clear(
    page: TrainingPage, box: tuple[int, int, int, int], kind: int | None
) -> None:
    assert label(page, piece(), find(*box)) == kind


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_find_is_labelled_in_whatever_piece_at_whatever_scale(
    page: TrainingPage, scale: float
) -> None:
    moved = (np.array(BOXES[1]) - (12, 8, 12, 8)) * scale
    assert label(page, piece(12, 8, scale), find(*moved.astype(int))) == KINDS[1]


def test_a_find_beyond_the_page_is_labelled_by_what_is_at_its_edge(page: TrainingPage) -> None:
    assert label(page, piece(), find(90, 90, 110, 120)) == OTHER


def test_overlaps_are_shares_of_the_union() -> None:
    square = np.array([0.0, 0.0, 2.0, 2.0])
    assert box_overlap(square, square) == 1
    assert box_overlap(square, square + 1) == pytest.approx(1 / 7)
    assert box_overlap(square, square + np.array([3, 0, 3, 0])) == 0
    assert box_overlap(square, np.zeros(4)) == 0
