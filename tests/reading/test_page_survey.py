"""Pieces of a picture hold all the writing that the coarse pass found, at a scale to read it."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkdigits.reading.page.maps import Floats, Maps, Pixels, page_maps
from inkdigits.reading.page.places import READABLE, _boxes, _runs
from inkdigits.reading.page.survey import find_pieces, resized

CELLS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 39)), min_size=1, max_size=60)


@given(positions=st.lists(st.integers(0, 200), min_size=1, max_size=50), reach=st.integers(0, 9))
def test_runs_hold_all_positions_and_nothing_but_gaps_lie_between_them(
    positions: list[int], reach: int
) -> None:
    runs = _runs(np.array(positions), reach)
    assert all(any(first <= each < last for first, last in runs) for each in positions)
    for first, last in runs:
        assert {first, last - 1} <= set(positions)
    for (_, before), (after, _) in pairwise(runs):
        assert after - (before - 1) > 2 * reach + 2


@given(cells=CELLS, reach=st.integers(0, 6))
def test_boxes_hold_all_cells_with_their_surroundings_and_stay_within_the_map(
    cells: list[tuple[int, int]], reach: int
) -> None:
    rows, columns = np.array(cells).T
    boxes = _boxes(rows, columns, reach, (30, 40))
    covered = np.zeros((30, 40), bool)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 40
        assert 0 <= top < bottom <= 30
        covered[top:bottom, left:right] = True

    for row, column in cells:
        around = covered[
            max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
        ]
        assert around.all()


def sees(height: float, ink_below: int = 128) -> Callable[..., list[Floats]]:
    """A network for which dark cells are writing, of a height in pixels of the picture it gets."""

    def network(pictures: Pixels, *, fine: bool = True) -> list[Floats]:
        _, _, rows, columns = pictures.shape
        coarse = pictures.min(axis=1).reshape(1, rows // 8, 8, columns // 8, 8).min(axis=(2, 4))
        writing = np.where(coarse < ink_below, 9.0, -9.0).astype(np.float32)
        ink = np.zeros((1, rows // 2, columns // 2), np.float32)
        kind = np.zeros((1, 16, rows // 4, columns // 4), np.float32)
        two = np.zeros((1, 2, rows // 2, columns // 2), np.float32)
        tall = np.full_like(writing, np.log2(height))
        symbols = [ink, ink, two, two, kind] if fine else [np.zeros(0, np.float32)] * 5
        return [*symbols, writing, tall]

    return network


def scanned(shape: tuple[int, int]) -> Pixels:
    """White paper that is not quite white in its corners, so that no margin of it is blank."""
    picture = np.full((*shape, 3), 255, np.uint8)
    picture[[0, -1], [0, -1]] = 254
    return picture


@pytest.mark.parametrize("shape", [(240, 320), (37, 61), (1, 1), (1500, 90), (100, 2000)])
def test_a_blank_picture_of_any_size_has_no_pieces(shape: tuple[int, int]) -> None:
    assert find_pieces(sees(20), np.full((*shape, 3), 255, np.uint8)) == []


def test_a_piece_shows_what_is_written_where_it_is_as_tall_as_can_be_read() -> None:
    picture = scanned((480, 640))
    picture[200:218, 320:350] = 0
    [piece] = find_pieces(sees(18), picture)

    assert piece.scale == pytest.approx(READABLE / 18, rel=0.02)
    rows, columns = np.nonzero(piece.picture[..., 0] < 128)
    assert rows.min() / piece.scale + piece.top == pytest.approx(200, abs=1)
    assert columns.max() / piece.scale + piece.left == pytest.approx(350, abs=1)


def test_what_fills_a_picture_is_seen_with_paper_around_it() -> None:
    picture = np.full((160, 160, 3), (250, 240, 220), np.uint8)
    picture[2:158, 2:158] = 0
    [piece] = find_pieces(sees(60), picture)

    assert piece.left < 0
    assert piece.top < 0
    assert (piece.picture[[0, 0, -1, -1], [0, -1, 0, -1]] == (250, 240, 220)).all()
    rows, _ = np.nonzero(piece.picture[..., 0] < 128)
    assert rows.min() / piece.scale + piece.top == pytest.approx(2, abs=7)
    assert rows.max() / piece.scale + piece.top == pytest.approx(158, abs=7)


def test_places_far_apart_are_looked_at_one_by_one() -> None:
    picture = scanned((480, 640))
    for top, left in ((20, 20), (20, 560), (440, 300)):
        picture[top : top + 16, left : left + 16] = 0
    assert len(find_pieces(sees(16), picture)) == 3


def test_blank_margins_change_nothing_but_where_a_piece_is() -> None:
    small = np.full((120, 200, 3), 255, np.uint8)
    small[40:70, 50:150] = 0
    large = np.full((900, 1200, 3), 255, np.uint8)
    large[300:420, 700:900] = small
    [piece] = find_pieces(sees(30), small)
    [there] = find_pieces(sees(30), large)

    assert (there.left, there.top) == (piece.left + 700, piece.top + 300)
    assert there.scale == piece.scale
    assert np.array_equal(there.picture, piece.picture)


def widths_asked_for(height: float, picture: Pixels) -> list[int]:
    """Return the widths of what a network that sees a height is asked about, in order."""
    asked: list[int] = []
    network = sees(height)

    def noting(pictures: Pixels, *, fine: bool = True) -> list[Floats]:
        asked.append(pictures.shape[3])
        return network(pictures, fine=fine)

    find_pieces(noting, picture)
    return asked


def test_the_larger_thumbnail_is_looked_at_only_for_ink_that_the_smaller_one_did_not_find() -> None:
    picture = np.full((400, 600, 3), 255, np.uint8)
    picture[100:260, 100:500] = 0
    for height in (40, 11):
        assert len(widths_asked_for(height, picture)) == 2  # the smaller thumbnail, and the piece

    assert max(widths_asked_for(9, picture)[:2]) > 400

    picture[380:384, 580:584] = 250  # pale, far from all that is tall
    assert max(widths_asked_for(40, picture)) > 500


def test_in_a_photo_the_smaller_thumbnail_is_believed_of_tall_writing_only() -> None:
    picture = np.full((400, 600, 3), (90, 91, 92), np.uint8)
    picture[::2, ::2] = 60  # no cell is blank
    assert len(widths_asked_for(21, picture)) == 2
    assert max(widths_asked_for(19, picture)[:2]) > 500


def test_maps_cover_just_the_picture_whatever_its_sides() -> None:
    for height, width in ((1, 1), (17, 33), (16, 32), (31, 47)):
        maps = page_maps(sees(10), np.zeros((height, width, 3), np.uint8))
        assert isinstance(maps, Maps)
        assert maps.ink.shape == maps.size.shape[1:] == (-(-height // 2), -(-width // 2))
        assert maps.kind.shape == (16, -(-height // 4), -(-width // 4))
        assert maps.writing.shape == (-(-height // 8), -(-width // 8))
        assert np.ptp(maps.height) == 0


def test_a_picture_is_never_resized_to_nothing() -> None:
    picture = np.zeros((3, 300, 3), np.uint8)
    assert resized(picture, 0.01).shape == (1, 3, 3)
    assert resized(picture, 1.0) is picture
