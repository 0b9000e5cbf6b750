"""The figures that only notebooks show say what a slow look at the pixels says; the report's own are tested with it."""

import numpy as np
import pytest

from inkdigits import plots
from inkdigits.errors import BadValue


def digit() -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 10:15] = 50
    image[4:8, 10:20] = 200
    return image


def test_every_pixel_has_its_number_at_its_place():
    (axes,) = plots.pixel_values(digit()).axes
    written = {(int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text()) for text in axes.texts}
    assert written == dict(np.ndenumerate(digit()))


def test_box_and_cross_lie_where_the_ink_does():
    (axes,) = plots.pixel_values(digit()).axes
    (box,), (cross,) = axes.patches, axes.lines
    assert box.get_bbox().bounds == (10, 4, 10, 20)
    places = [(column + 0.5, row + 0.5) for (row, column), value in np.ndenumerate(digit()) for _ in range(value)]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == pytest.approx(np.mean(places, axis=0))
    assert box.get_label() == "tight box: 10 x 20 pixels"


@pytest.mark.parametrize("image", [np.zeros((28, 28), np.uint8), np.ones((1, 28, 28), np.uint8)])
def test_what_is_not_one_digit_is_refused(image):
    with pytest.raises(BadValue, match="one digit"):
        plots.pixel_values(image)
