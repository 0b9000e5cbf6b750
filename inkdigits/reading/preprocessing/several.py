"""Files of several pictures: the path of a PDF, TIFF or GIF comes in, its pages or frames go out.

They are opened one after the other, so that one is in memory at a time, and not read ahead.
"""

from collections.abc import Iterator
from pathlib import Path

from inkdigits.core.errors import BadPicture, shortened
from inkdigits.reading.preprocessing.frames import MAX_PIXELS, open_frames
from inkdigits.reading.preprocessing.pdf import PDF_HEAD
from inkdigits.reading.preprocessing.picture import Picture, from_image, from_page, open_pdf
from inkdigits.reading.preprocessing.picture_file import TIFF_HEADS
from inkdigits.reading.preprocessing.source import read_source

MOST_FRAMES = 2_000  # pages or frames of a file, which then takes as long as so many pictures
MOST_PIXELS = 100 * MAX_PIXELS  # of all frames of a file: 700 pages as scanners have them
GIF_HEADS = (b"GIF87a", b"GIF89a")

Frame = tuple[int, Picture | BadPicture]  # the index in the file, from 0


def may_have_several(path: Path) -> bool:
    """Tell by a file's first bytes whether it may have several pages or frames.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return False

    with path.open("rb") as file:
        head = file.read(16)

    return head.startswith((PDF_HEAD, *GIF_HEADS)) or bool(TIFF_HEADS.match(head))


def iter_frames(path: Path) -> Iterator[Frame]:
    """Yield the pages or frames of a file, each with its index.

    Args:
        path: a PDF, TIFF or GIF.

    Yields:
        Pictures. Instead of one that cannot be opened the reason; if none behind it can be, it is
        the last.
    """
    index = 0
    try:
        for index, content in _frames_of(path):
            if index == MOST_FRAMES:
                name = shortened(path)
                raise BadPicture(
                    "too_large",
                    f"{name} has more than the {MOST_FRAMES:,} pages or frames that are read; "
                    f"{name}[{index}] is the next one",
                )
            yield index, content
            index += 1
    except BadPicture as error:
        yield index, error


def _frames_of(path: Path) -> Iterator[Frame]:
    """Yield the pages or frames of a file without limit, or raise BadPicture."""
    file = read_source(path)
    assert file is not None, "a path is a file"
    if file.data.startswith(PDF_HEAD):
        with open_pdf(file) as pages:
            del file  # the other process has its bytes
            for index in range(pages.count):
                try:
                    yield index, from_page(pages, index)
                except BadPicture as error:
                    if not pages.is_usable:
                        raise
                    yield index, error
        return

    pixels = 0
    with open_frames(file.data, file.name) as frames:
        index = 0
        while True:
            if not frames.is_preview:
                pixels += frames.image.width * frames.image.height
                if pixels > MOST_PIXELS:
                    raise BadPicture(
                        "too_large",
                        f"{file.name} has more than {MOST_PIXELS:,} pixels in its frames",
                    )
                yield index, from_image(frames.image, f"{file.name}[{index}]")

            index += 1
            if not frames.go_on():
                return
