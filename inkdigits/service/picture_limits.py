"""Admission control for pictures: those that would take too long or too much memory are refused.

Pictures come in that are open and not decoded, so that refusing costs nothing. What their files may
be made of is limited for the command as well, in `reading.preprocessing.picture_file`.
"""

from typing import Any

from PIL import Image

from inkdigits.core.digits import PIXELS
from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.picture_file import START_OF_SCAN

# Pixels of a picture that is decoded whole; they take 0.6 s and 150 MB at most. A JPEG of one scan
# is decoded at a fraction of its size, and may have 64 million.
MAX_PIXELS = 24_000_000  # grey or colour
MAX_PIXELS_IN_SCANS = 12_000_000  # a JPEG that is kept whole until its last scan
MAX_PIXELS_BEYOND = 8_000_000  # with transparency or more than 8 bits, and WebP and AVIF
PLAIN_MODES = ("1", "L", "P", "RGB")
DEAR_FORMATS = ("WEBP", "AVIF")


class LargerThanDigit(Exception):
    """A picture with more pixels than one digit as MNIST has it: it is read with other pages."""


def refuse_large(image: Image.Image) -> None:
    """Refuse a picture that is larger than the service can afford.

    Args:
        image: open, and not decoded yet.

    Raises:
        BadPicture: decoding the picture would take too long, or too much memory.
    """
    count = image.width * image.height
    limit = _most_pixels(image)
    if limit and count > limit:
        message = f"{count:,} pixels; at most {limit:,} of its kind are read here"
        raise BadPicture("too_large", f"the picture has {message}")


def refuse_pages(image: Image.Image) -> None:
    """Refuse a picture that is larger than one digit.

    Raises:
        LargerThanDigit: it is.
    """
    if image.width * image.height > PIXELS:
        raise LargerThanDigit


def _most_pixels(image: Image.Image) -> int | None:
    """Return how many pixels a picture may have; None if the limit of all pictures will do."""
    if image.format in ("JPEG", "MPO"):
        return MAX_PIXELS_IN_SCANS if _takes_several_scans(image) else None

    is_plain = image.mode in PLAIN_MODES and not image.has_transparency_data
    if is_plain and image.format not in DEAR_FORMATS:
        return MAX_PIXELS

    return MAX_PIXELS_BEYOND


def _takes_several_scans(image: Any) -> bool:
    """Tell whether a JPEG is kept in memory whole until its last scan.

    That is so when it is progressive, or has its colours one after another.
    """
    jpeg = image.fp.getbuffer()
    head = bytes(jpeg[: image.fp.tell()])  # Pillow has read up to the first scan
    first = head.rfind(START_OF_SCAN)
    return "progressive" in image.info or jpeg[first + 4] < image.layers
