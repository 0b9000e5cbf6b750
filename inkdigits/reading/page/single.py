"""From a picture of one digit to an image like MNIST's, for those who collect digits."""

import numpy as np

from inkdigits.core.digits import SIDE
from inkdigits.reading.page.reader import page_reader
from inkdigits.reading.preprocessing.fields import Field, as_is, to_field
from inkdigits.reading.preprocessing.picture import Source, open_picture
from inkdigits.reading.preprocessing.repeated import in_own_pixels
from inkdigits.reading.preprocessing.tiny import from_tiny


def single(source: Source) -> Field:
    """Return the one digit in a picture as MNIST would have it.

    Args:
        source: a path, the bytes of a file, a PIL image or an array. A picture that has MNIST's
            geometry already comes back unchanged, light on dark.

    Returns:
        (28, 28) uint8, paper 0 to ink 255; all 0 if the picture is blank.

    Raises:
        BadPicture: the picture cannot be read.
    """
    picture = in_own_pixels(open_picture(source))
    field = as_is(picture.pixels)
    if field is not None:
        return field

    tiny = from_tiny(picture.pixels)
    if tiny is not None:
        return tiny.field

    page = page_reader(threads=1).read(picture, single=True)
    for find in page.candidates:
        strokes = find.strokes
        if strokes.any():
            return to_field(strokes)

    return np.zeros((SIDE, SIDE), np.uint8)
