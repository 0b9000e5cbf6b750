"""What taking a picture's file apart may cost: limits that hold before or while Pillow works.

The bytes of a file come in. Decoders in C take as long as there are pixels, and their number is
limited elsewhere. But much of Pillow's parsers is Python, which takes a microsecond for every
segment, chunk, strip, comment or run of pixels, and such pieces can be a byte long. So pieces are
counted as they are read, which holds for every parser there is.
"""

import io
import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from PIL import Image

# What a picture's file may have. The figures are what the dearest file within a limit takes.
MAX_PIECES = 200_000  # reads by a parser, at 1 to 3 us; a photo takes 20 to 5,000
MAX_HEAD = 4 << 20  # bytes read before the pixels; profiles and previews take up to 3 million
MAX_NUMBERS = 40_000  # in the directories of a TIFF, two for each strip, at 10 us
MAX_DIRECTORIES = 16  # of each of a TIFF's pictures
MAX_SCANS = (
    100  # of a JPEG, usual are 1 to 12; each goes over the whole picture, 4 ms in a large one
)
MAX_PIXELS_IN_PYTHON = 1_000_000  # of BMP in run lengths, PPM in letters or with unusual maxima
MAX_TEXT = 1 << 20  # bytes of a PPM in letters: 0.2 s
MAX_TEXTS = 16  # of a PNG that are packed; each unpacks to as much as 4 MB in memory
MAX_COMMENTS = 100  # of a PPM in letters, of which each moves a megabyte

START_OF_SCAN = b"\xff\xda"  # a marker that cannot occur within a scan
COUNTED = (  # what a file starts with, what is counted in it, how many there may be, and of what
    (b"\xff\xd8", START_OF_SCAN, MAX_SCANS, "scans"),
    (b"\x89PNG", b"zTXt", MAX_TEXTS, "packed texts"),
    (b"\x89PNG", b"iTXt", MAX_TEXTS, "packed texts"),
    (b"P1", b"#", MAX_COMMENTS, "comments"),
    (b"P2", b"#", MAX_COMMENTS, "comments"),
    (b"P3", b"#", MAX_COMMENTS, "comments"),
)
TIFF_HEADS = re.compile(rb"II[*+]\0|MM\0[*+]|II\0\*|MM\*\0")  # Pillow reads the last two as well
# The name of an AVIF's item of Exif data, in an entry whose item has a number of 2 or 4 bytes.
EXIF_ITEM = re.compile(
    rb"Exif(?:(?<=infe[\2\3].{7}Exif)|(?<=infe[\2\3].{9}Exif))",
    re.DOTALL,
)
SUBDIRECTORIES = (330, 34665, 34853, 40965)  # tags whose value is where another directory is
NUMERIC = (3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 16)  # types of values that become numbers of Python


class TooDear(Exception):
    """A file that would take too long to take apart. Its message says what there is too much of."""

    def __init__(self, limit: int, things: str) -> None:
        super().__init__(f"more than {limit:,} {things}; save it anew, as PNG")


class PictureFile(io.BytesIO):
    """A picture's bytes as a file, of which parsers read a limited number of pieces.

    Attributes:
        refused: why nothing is read any more; None as long as the limits hold. Parsers may catch
            the error that says so, and try to go on.
    """

    def __init__(self, data: bytes) -> None:
        """Hold the bytes of a file.

        Raises:
            TooDear: they have too many of what can be counted at once.
        """
        refuse_dear(data)
        super().__init__(without_exif(data) if data[4:8] == b"ftyp" else data)
        self.refused: TooDear | None = None
        self._pieces = 0
        self._head: int | None = 0

    def end_head(self) -> None:
        """Begin with the pixels, whose bytes are not counted."""
        self._head = None

    def begin_frame(self) -> None:
        """Begin to count anew, for the next of several frames."""
        self._pieces = 0
        self._head = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a piece.

        Raises:
            TooDear: there have been too many pieces, or too many bytes before the pixels.
        """
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            self.refused = TooDear(MAX_PIECES, "pieces (segments, chunks, strips, comments, runs)")

        piece = b"" if self.refused else super().read(size)
        is_all = size is None or size < 0  # for a decoder in C, which takes the whole file
        if self._head is not None and not is_all:
            self._head += len(piece)
            if self._head > MAX_HEAD:
                self.refused = TooDear(MAX_HEAD, "bytes before its pixels")

        if self.refused:
            raise self.refused
        return piece


def refuse_dear(data: bytes) -> None:
    """Refuse a file that is dear in ways that can be counted without parsing it.

    Raises:
        TooDear: there are too many scans, texts, comments or numbers.
    """
    for head, part, limit, things in COUNTED:
        if data.startswith(head) and data.count(part) > limit:
            raise TooDear(limit, things)

    if TIFF_HEADS.match(data):
        for first in islice(tiff_directories(data), 1):
            refuse_dear_directory(data, first)


def refuse_dear_directory(tiff: bytes, place: int) -> None:
    """Refuse a directory of a TIFF, one for each frame, that has too many numbers in it.

    Args:
        tiff: the file.
        place: where the directory is, in bytes from the start.

    Raises:
        TooDear: there are too many.
    """
    if sum(_counts(tiff, place)) > MAX_NUMBERS:
        raise TooDear(MAX_NUMBERS, "numbers in its directories")


def tiff_directories(tiff: bytes) -> Iterator[int]:
    """Yield where the directories of a TIFF's frames are, which may go round in a circle."""
    layout = _layout(tiff)
    at = layout.first
    while at + layout.place.size <= len(tiff):
        (place,) = layout.place.unpack_from(tiff, at)
        yield place

        begin = place + layout.length.size
        if begin > len(tiff):
            return
        (count,) = layout.length.unpack_from(tiff, place)
        at = begin + count * layout.entry.size


def without_exif(avif: bytes) -> bytes:
    """Return an AVIF whose Exif data have another name, by which Pillow does not find them.

    Where the file says that it is turned, Pillow would write them anew, 3 to 10 us for each number
    in them. They can be in pieces anywhere in the file, so that nothing counts them before. Their
    loss changes nothing: which way is up is said by the AVIF itself.
    """
    return EXIF_ITEM.sub(b"none", avif)


def refuse_dear_pixels(image: Image.Image, size: int) -> None:
    """Refuse a picture of too many pixels if its decoder is written in Python.

    Args:
        image: open, and not decoded yet.
        size: bytes of its file.

    Raises:
        TooDear: there are too many pixels, or too much text.
    """
    decoders = {tile[0] for tile in getattr(image, "tile", [])}
    in_python = decoders & Image.DECODERS.keys()
    if in_python and image.width * image.height > MAX_PIXELS_IN_PYTHON:
        raise TooDear(MAX_PIXELS_IN_PYTHON, f"pixels as {image.format} has them here")
    if "ppm_plain" in decoders and size > MAX_TEXT:
        raise TooDear(MAX_TEXT, "bytes of text")


class _Layout(NamedTuple):
    """How a TIFF stores its directories. first: where the place of the first one is."""

    first: int
    place: struct.Struct
    length: struct.Struct
    entry: struct.Struct


def _layout(tiff: bytes) -> _Layout:
    """Return the layout of a TIFF, or of a big one, in its order of bytes."""
    order = ">" if tiff.startswith(b"M") else "<"
    first, *formats = (8, "Q", "Q", "HHQQ") if b"+" in tiff[2:4] else (4, "L", "H", "HHLL")
    return _Layout(first, *(struct.Struct(order + str(one)) for one in formats))


def _counts(tiff: bytes, place: int) -> Iterator[int]:
    """Yield how many numbers each entry of a TIFF's directory and of those below it holds."""
    layout = _layout(tiff)
    directories = [place]
    for number, place in enumerate(directories):
        if number == MAX_DIRECTORIES:
            yield MAX_NUMBERS + 1
            return

        for tag, kind, count, value in _entries(tiff, place, layout):
            yield 1 + (count if kind in NUMERIC else 0)
            if tag in SUBDIRECTORIES and count == 1:
                directories.append(value)


def _entries(tiff: bytes, place: int, layout: _Layout) -> Iterator[tuple[int, ...]]:
    """Return the entries of a directory: tag, type, count, and the value or where it is."""
    begin = place + layout.length.size
    if begin > len(tiff):
        return iter(())

    (promised,) = layout.length.unpack_from(tiff, place)
    count = min(promised, MAX_NUMBERS, (len(tiff) - begin) // layout.entry.size)
    return layout.entry.iter_unpack(tiff[begin : begin + count * layout.entry.size])
