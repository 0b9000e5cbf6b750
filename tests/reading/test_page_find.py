"""A find says what it may be and shows its own ink."""

from dataclasses import replace

import numpy as np
import pytest
from perfect import perfect_piece

from inkdigits.reading.page.decoding import find_symbols
from inkdigits.reading.page.find import Find

BOXES = [(40, 30, 64, 70), (64, 30, 88, 70)]  # side by side, touching


def chances_of(**shares: float) -> np.ndarray:
    """Return probabilities of the kinds named, such as `k3=0.6`; all others share the rest."""
    given = {int(name[1:]): share for name, share in shares.items()}
    rest = (1 - sum(given.values())) / (16 - len(given))
    return np.array([given.get(kind, rest) for kind in range(16)], np.float32)


def found(chances: np.ndarray) -> Find:
    """Return the left one of two rectangles that touch, as a find."""
    piece = perfect_piece(BOXES)
    symbol = min(find_symbols(piece.maps), key=lambda symbol: symbol.box)
    return Find(BOXES[0], chances, piece, symbol)


@pytest.mark.parametrize(
    ("chances", "is_digit", "is_sign"),
    [
        (chances_of(k3=0.9), True, False),
        (chances_of(k11=0.9), False, True),
        (chances_of(k12=0.9), False, True),
        (chances_of(k14=0.9), False, True),
        (chances_of(k15=0.9), False, False),
        (chances_of(k3=0.45, k8=0.4, k15=0.15), True, False),  # some digit for sure
        (chances_of(k3=0.3, k8=0.29, k15=0.4), False, False),  # none of them is likelier than none
        (chances_of(k1=0.45, k13=0.55), False, True),  # a slash
    ],
)
def test_a_find_is_a_digit_a_sign_or_neither(
    chances: np.ndarray, is_digit: bool, is_sign: bool
) -> None:
    find = found(chances)
    assert find.digit_chance == pytest.approx(chances[:10].sum())
    assert (find.is_digit, find.is_sign) == (is_digit, is_sign)


def test_its_strokes_are_its_own_ink_without_its_neighbour_s() -> None:
    strokes = found(chances_of(k0=1)).strokes
    assert strokes.shape == (32, 32)
    assert strokes.dtype == np.uint8

    # A look is 64 pixels wide and shows the rectangle in its middle, 24 wide and 40 high.
    own = strokes > 128
    np.testing.assert_array_equal(np.flatnonzero(own.any(axis=0)), range(10, 22))
    np.testing.assert_array_equal(np.flatnonzero(own.any(axis=1)), range(6, 26))
    assert strokes[:, 23:].max() == 0


def test_its_image_is_the_middle_of_its_strokes_in_mnist_s_size() -> None:
    find = found(chances_of(k7=0.8))
    assert find.image.shape == (28, 28)
    np.testing.assert_array_equal(find.image, find.strokes[2:-2, 2:-2])


def test_ink_that_is_hardly_there_is_fainter_than_ink_that_is() -> None:
    find = found(chances_of(k7=0.8))
    doubtful = find.look.copy()
    doubtful[1] //= 4
    faint = replace(find, taken=doubtful)
    assert 0 < faint.strokes.max() < find.strokes.max()
