"""A reading together with what led to it, for `--explain` and for turned pages."""

from dataclasses import dataclass

from inkdigits.core.errors import BadPicture
from inkdigits.reading.page.reader import Page
from inkdigits.reading.preprocessing.picture import Picture
from inkdigits.reading.reading import Reading


@dataclass(frozen=True)
class Trace:
    """A reading and what led to it.

    Attributes:
        reading: the result.
        page: what was found in the picture; None where it was one digit as it was.
        picture: upright; None where an image was read, and no picture.
    """

    reading: Reading
    page: Page | None = None
    picture: Picture | None = None


def unreadable_trace(error: BadPicture) -> Trace:
    """Return the trace of a picture that could not be read."""
    # A new error: the traceback of the one that was raised would keep the picture's pixels.
    return Trace(Reading(None, error=BadPicture(error.code, str(error))))
