"""Pictures whose pixels were only repeated come back as they were; all others stay as they are."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkdigits.reading.preprocessing.picture import Picture
from inkdigits.reading.preprocessing.repeated import LARGEST_IN_BLOCKS, in_own_pixels
from inkdigits.reading.recogniser import Recogniser

Pixels = NDArray[np.uint8]


def noise(*shape: int) -> Pixels:
    """Return pixels of which no two rows or columns are alike."""
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def repeated(pixels: Pixels, times: int) -> Pixels:
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


@pytest.mark.parametrize("times", [2, 3, 10])
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (8, 8), (16, 90), (90, 16)])
def test_repeated_pixels_are_taken_back(shape: tuple[int, ...], times: int) -> None:
    own = noise(*shape)
    assert np.array_equal(in_own_pixels(Picture(repeated(own, times))).pixels, own)


@pytest.mark.parametrize("side", [56, 57, 84, 116, 150, 200, 280, 777])
def test_pixels_that_pillow_or_opencv_repeated_are_taken_back(side: int) -> None:
    own = noise(28, 28)
    pillow = np.asarray(Image.fromarray(own).resize((side, side), Image.Resampling.NEAREST))
    opencv = cv2.resize(own, (side, side), interpolation=cv2.INTER_NEAREST)
    for pixels in (pillow, opencv):
        assert np.array_equal(in_own_pixels(Picture(pixels)).pixels, own)


def test_places_stay_those_of_the_original() -> None:
    reduced = Picture(repeated(noise(20, 30), 4), scale=(2.0, 3.0), warnings=("kept",))
    own = in_own_pixels(reduced)

    assert own.original_size == reduced.original_size == (240, 240)
    assert own.scale == (8, 12)
    assert own.warnings == ("kept",)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(noise(100, 100), id="pixels of their own"),
        pytest.param(repeated(noise(7, 7), 2), id="fewer pixels than a digit needs"),
        pytest.param(repeated(noise(28, 28), 1), id="already in its own pixels"),
        pytest.param(repeated(noise(28, 28), 2)[:, 1:], id="a column is missing"),
        pytest.param(repeated(noise(101, 101), LARGEST_IN_BLOCKS // 100), id="too large"),
        pytest.param(noise(1, 1), id="a single pixel"),
        pytest.param(noise(300, 1), id="a single column"),
    ],
)
def test_other_pictures_stay_as_they_are(pixels: Pixels) -> None:
    picture = Picture(pixels)
    assert in_own_pixels(picture) is picture


def test_mnist_s_own_images_stay_as_they_are(mnist) -> None:
    for image in mnist.validation.images:
        picture = Picture(image)
        assert in_own_pixels(picture) is picture


@pytest.mark.parametrize("factor", [3, 7.15])
def test_repeated_pixels_are_read_as_the_small_picture_is(factor: float, mnist) -> None:
    """Their probabilities are the same."""
    recogniser = Recogniser()
    side = round(28 * factor)
    for image in mnist.validation.images[:40]:
        large = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST))
        before, after = (
            recogniser.read(picture, single=True).digits[0] for picture in (image, large)
        )
        assert np.array_equal(before.probabilities, after.probabilities)
