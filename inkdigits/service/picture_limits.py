"""Admission control for pictures: those that would take too long or too much memory are refused.

The bytes of a picture come in. Only its head is read, so that refusing costs nothing.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from PIL import Image

from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.picture import FORMATS

# Pixels of a picture that is decoded whole. A JPEG is decoded at a fraction of its size, and may
# have 64 million.
MAX_PIXELS = 24_000_000  # grey or colour, 0.2 s
MAX_PIXELS_BEYOND = 8_000_000  # with transparency or more than 8 bits: 60 bytes and 0.3 us each
PLAIN_MODES = ("1", "L", "P", "RGB")

# Usual are 1 to 12. Each scan of a JPEG goes over the whole picture: 97 bytes and 4 ms in a large
# one.
MAX_SCANS = 100
START_OF_SCAN = b"\xff\xda"  # a marker that cannot occur within a scan

MAX_TEXT = 1 << 20  # bytes of a PPM in letters, which Pillow takes apart in Python: 0.2 s


def refuse_large(data: bytes) -> None:
    """Refuse a picture that is larger than the service can afford.

    Args:
        data: the bytes of a picture file. Data that are not a picture pass here, since reading says
            better what is wrong with them.

    Raises:
        BadPicture: decoding the picture would take too long, or too much memory.
    """
    costs = list[tuple[int, int, str]]()
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        costs = list(_costs(image, data))

    for count, limit, unit in costs:
        if count > limit:
            message = f"{count:,} {unit}; at most {limit:,} of its kind are read here"
            raise BadPicture("too_large", f"the picture has {message}")


def _costs(image: Image.Image, data: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield what makes a picture expensive: how many it has, how many it may have, and of what."""
    jpeg = image.format in ("JPEG", "MPO")
    if jpeg:
        yield data.count(START_OF_SCAN), MAX_SCANS, "scans"

    if not jpeg or _takes_several_scans(image, data):
        plain = image.mode in PLAIN_MODES and not image.has_transparency_data
        yield image.width * image.height, MAX_PIXELS if plain else MAX_PIXELS_BEYOND, "pixels"

    if image.format == "PPM" and data[1:2] in b"123":
        yield len(data), MAX_TEXT, "bytes of text"


def _takes_several_scans(image: Any, jpeg: bytes) -> bool:
    """Tell whether a JPEG is kept in memory whole until its last scan.

    That is so when it is progressive, or has its colours one after another.
    """
    first = jpeg.rfind(START_OF_SCAN, 0, image.fp.tell())  # Pillow has read up to the first scan
    return "progressive" in image.info or jpeg[first + 4] < image.layers
