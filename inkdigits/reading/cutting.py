"""From a picture to the digits in it, cut out: what somebody wrote comes in as one number."""

import numpy as np

from inkdigits.core.digits import SIDE, Pixels
from inkdigits.reading.page.reader import page_reader
from inkdigits.reading.preprocessing.fields import to_field
from inkdigits.reading.preprocessing.picture import Source, open_picture
from inkdigits.reading.preprocessing.repeated import in_own_pixels


def cut_digits(source: Source) -> Pixels:
    """Return the digits of a picture as MNIST would have them.

    Which digit each one is does not matter: only where the page reader finds some.

    Args:
        source: as for `read`.

    Returns:
        (K, 28, 28) uint8, paper 0 to ink 255, in reading order.

    Raises:
        BadPicture: the picture cannot be read.
    """
    page = page_reader(threads=1).read(in_own_pixels(open_picture(source)))
    fields = [
        to_field(find.strokes) for find in page.candidates if find.is_digit and find.strokes.any()
    ]
    return np.stack(fields) if fields else np.empty((0, SIDE, SIDE), np.uint8)
