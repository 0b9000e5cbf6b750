"""Pictures of a few pixels hold one digit, which is read as MNIST's are."""

import io

import numpy as np
import pytest
from few_digits import few_digits
from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.digits import Pixels
from inkdigits.reading.page.single import single
from inkdigits.reading.preprocessing.tiny import from_tiny
from inkdigits.reading.recogniser import Recogniser

Labels = NDArray[np.int64]


@pytest.fixture(scope="module")
def small_digits() -> tuple[Pixels, Labels]:
    """Return 300 digits of 8x8 pixels, uint8, light on dark, and what they are."""
    sets = pytest.importorskip("sklearn.datasets", reason="scikit-learn carries the digits")
    digits = sets.load_digits()
    return np.uint8(digits.images[:300] * 15.9), digits.target[:300]


def share_read(pictures: Pixels, labels: Labels) -> float:
    recogniser = Recogniser()
    texts = [recogniser.read(picture).text for picture in pictures]
    return float(np.mean([text == str(label) for text, label in zip(texts, labels, strict=True)]))


def test_digits_of_eight_pixels_are_read_in_both_polarities(
    small_digits: tuple[Pixels, Labels],
) -> None:
    pictures, labels = small_digits
    assert share_read(pictures, labels) > 0.96
    assert share_read(255 - pictures, labels) == share_read(pictures, labels)


def test_digits_enlarged_by_repeating_pixels_are_read_as_the_small_ones(
    small_digits: tuple[Pixels, Labels],
) -> None:
    pictures, _ = small_digits
    recogniser = Recogniser()
    for picture in pictures[:20]:
        enlarged = picture.repeat(9, axis=0).repeat(9, axis=1)
        assert recogniser.read(enlarged).text == recogniser.read(picture).text


def test_the_box_is_the_picture_and_warnings_tell_its_size(
    small_digits: tuple[Pixels, Labels],
) -> None:
    pictures, _ = small_digits
    reading = Recogniser().read(pictures[0])
    assert [digit.box for digit in reading.digits] == [(0, 0, 8, 8)]
    assert reading.warnings == ("upscaled from 8 px", "light ink on dark paper")


def test_a_collected_tiny_digit_is_a_field_of_mnists_size(
    small_digits: tuple[Pixels, Labels],
) -> None:
    pictures, _ = small_digits
    field = single(pictures[0])
    assert field.shape == (28, 28)
    assert field.max() > 200


def test_what_is_larger_blank_or_noise_is_left_to_the_page_reader() -> None:
    chance = np.random.default_rng(0)
    bar = np.zeros((28, 12), np.uint8)
    bar[4:, 5:8] = 255
    assert from_tiny(bar) is not None
    assert from_tiny(np.pad(bar, ((0, 1), (0, 0)))) is None
    assert from_tiny(np.full((16, 16, 3), 200, np.uint8)) is None
    assert from_tiny(chance.integers(0, 256, (16, 16), np.uint8)) is None


@pytest.mark.parametrize("inverted", [False, True])
def test_an_image_of_mnist_s_stored_as_jpeg_is_read_as_the_image_is(inverted: bool) -> None:
    recogniser = Recogniser()
    same = 0
    for image in few_digits(60).images:
        stored = io.BytesIO()
        Image.fromarray(255 - image if inverted else image).save(stored, "JPEG", quality=80)
        reading = recogniser.read(stored.getvalue())
        same += reading.text == recogniser.read(image).text
        assert not any("upscaled" in warning for warning in reading.warnings)

    assert same >= 59
