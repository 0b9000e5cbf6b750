"""A picture of one digit becomes an image like MNIST's, however it was made."""

import numpy as np
import pytest
from drawn import line, written
from few_digits import few_digits

from inkdigits.core.errors import BadPicture
from inkdigits.reading.page.single import single
from inkdigits.reading.recogniser import Recogniser


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser("tiny", threads=1)


def test_an_image_like_mnist_s_comes_back_as_it_is_also_inverted_or_enlarged() -> None:
    for image in few_digits(3).images:
        assert np.array_equal(single(image), image)
        assert np.array_equal(single(255 - image), image)
        assert np.array_equal(single(np.kron(image, np.ones((5, 5), np.uint8))), image)


@pytest.mark.parametrize("digit", list("0123456789"))
@pytest.mark.parametrize("light", [False, True])
def test_a_drawn_digit_gets_mnist_s_geometry_and_stays_that_digit(
    digit: str, light: bool, recogniser: Recogniser
) -> None:
    pixels = written(line(digit, (200, 200), 70, 60))
    field = single(255 - pixels if light else pixels)
    assert field.shape == (28, 28)
    assert field.dtype == np.uint8
    assert field.max() == 255

    rows = np.flatnonzero(field.any(axis=1))
    columns = np.flatnonzero(field.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
    assert recogniser.classify(field)[0].argmax() == int(digit)


def test_a_blank_picture_becomes_a_blank_image() -> None:
    for shape in [(1, 1), (28, 28), (300, 200), (50, 60, 3)]:
        assert not single(np.full(shape, 255, np.uint8)).any()


def test_a_neighbour_that_the_border_cuts_is_left_out(recogniser: Recogniser) -> None:
    pixels = written(np.maximum(line("8", (160, 160), 60, 40), line("0", (160, 160), 146, 40)))
    assert recogniser.classify(single(pixels))[0].argmax() == 8


def test_what_is_no_picture_is_an_error() -> None:
    with pytest.raises(BadPicture):
        single(b"no picture")
