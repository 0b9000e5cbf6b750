"""A look shows a symbol's greys whatever the colours, its own ink, and that of its neighbours."""

import numpy as np
import pytest
from perfect import perfect_piece

from inkdigits.reading.page.decoding import Symbol, find_symbols
from inkdigits.reading.page.look import PLANES, SIDE, looks, window
from inkdigits.reading.page.survey import Piece

OWN, NEIGHBOUR = (40, 30, 64, 70), (64, 30, 88, 70)  # side by side, touching


def from_left(piece: Piece) -> list[Symbol]:
    return sorted(find_symbols(piece.maps), key=lambda symbol: symbol.box)


def test_own_ink_is_in_one_plane_and_the_neighbour_s_in_the_next() -> None:
    piece = perfect_piece([OWN, NEIGHBOUR])
    left, right = looks(piece, from_left(piece)).astype(int)
    assert left.shape == (2 * PLANES, SIDE, SIDE)

    # A look is 64 pixels wide: the symbol takes the middle 24, the neighbour the next 20.
    row = SIDE // 2
    own, others = left[1, row] > 128, left[2, row] > 128
    np.testing.assert_array_equal(np.flatnonzero(own), range(10, 22))
    np.testing.assert_array_equal(np.flatnonzero(others), range(22, 32))
    near = slice(1, PLANES)
    np.testing.assert_array_equal(left[near] > 128, right[near, :, ::-1] > 128)


def test_the_far_view_shows_what_stands_a_symbol_s_height_away() -> None:
    piece = perfect_piece([OWN, (104, 30, 128, 70)])
    look = looks(piece, from_left(piece))[0]
    assert look[PLANES - 1].max() == 0, "the near view ends before it"
    assert look[-1].max() > 128


def test_greys_are_one_on_ink_and_nothing_on_paper() -> None:
    piece = perfect_piece([OWN])
    grey, own, others = looks(piece, from_left(piece))[0, :PLANES].astype(int)
    assert grey[SIDE // 2, SIDE // 2] > 200
    assert grey[own == 255].min() > 150
    assert grey[own == 0].max() < 40
    assert others.max() == 0


@pytest.mark.parametrize(
    ("paper", "ink"), [(0, 255), ((250, 240, 200), (20, 30, 120)), ((60, 90, 70), (230, 230, 225))]
)
def test_neither_polarity_nor_colours_matter(paper: object, ink: object) -> None:
    plain = perfect_piece([OWN, NEIGHBOUR])
    other = perfect_piece([OWN, NEIGHBOUR], paper, ink)
    expected = looks(plain, from_left(plain)).astype(int)
    np.testing.assert_allclose(looks(other, from_left(other)), expected, atol=3)


@pytest.mark.parametrize("box", [(0, 0, 24, 40), (104, 88, 128, 128), (0, 0, 128, 128)])
def test_a_symbol_at_the_edge_has_a_look_as_well(box: tuple[int, int, int, int]) -> None:
    piece = perfect_piece([box])
    [look] = looks(piece, from_left(piece))
    assert look[1].max() == 255


def test_no_symbols_no_looks() -> None:
    assert looks(perfect_piece([OWN]), []).shape == (0, 2 * PLANES, SIDE, SIDE)


def test_a_dot_stays_small_in_the_window_of_its_line() -> None:
    rows = np.array([50])
    dot = Symbol(0.9, (40.0, 60.0, 44.0, 64.0), rows, rows, np.zeros(16, np.float32))
    assert window(dot, height=40.0) == (42.0, 62.0, pytest.approx(1.6 * 0.7 * 40))
    assert window(dot, height=0.0).side == pytest.approx(1.6 * 4)
