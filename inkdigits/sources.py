"""What `inkdigits read PATH...` is given, one reading after the other: pictures, folders of them, arrays, standard input.

Knows where pictures come from, not what is in them. One that cannot be read becomes a Reading with an error, and the rest go on.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from inkdigits.errors import BadData, BadPicture
from inkdigits.formats import PICTURE_SUFFIXES, iter_images, kind_of, pictures_below
from inkdigits.recogniser import Reading, Recogniser

STANDARD_INPUT = "-"
LARGEST_INPUT = 256 << 20  # bytes of one picture on standard input; 64 million pixels, uncompressed, take less
ARRAY_SUFFIXES = (".npz", ".npy", ".csv", ".gz", ".bz2", ".idx", "-ubyte")  # promised to be arrays, even where they are damaged


def read_paths(recogniser: Recogniser, paths: Iterable[str], *, single: bool = False) -> Iterator[tuple[str, Reading]]:
    """(path, reading) of every picture, in input order; a folder's are sorted by name. A picture in an array is `FILE[INDEX]`."""
    for path in paths:
        match _kind(path):
            case "standard input":
                yield path, _read_standard_input(recogniser, single)
            case "folder":
                yield from _read_folder(recogniser, Path(path), single)
            case "array":
                yield from _read_array(recogniser, Path(path))
            case "picture":
                yield path, _read_one(recogniser, Path(path), single)


def _kind(path: str) -> Literal["standard input", "folder", "array", "picture"]:
    """Judged by the name where it says what the file claims to be, else by the first bytes; in doubt, a picture."""
    if path == STANDARD_INPUT:
        return "standard input"
    try:
        if Path(path).is_dir():
            return "folder"
        if path.lower().endswith(tuple(PICTURE_SUFFIXES)) or not Path(path).is_file():
            return "picture"
        return "array" if path.lower().endswith(ARRAY_SUFFIXES) or kind_of(Path(path)) else "picture"
    except (OSError, BadData):  # for the picture's decoder to say
        return "picture"


def _read_one(recogniser: Recogniser, source: Path | bytes, single: bool) -> Reading:
    (reading,) = recogniser.read_many([source], single)
    return reading


def _unread(code: str, message: str) -> Reading:
    return Reading(None, error=BadPicture(code, message))


def _read_standard_input(recogniser: Recogniser, single: bool) -> Reading:
    data = sys.stdin.buffer.read(LARGEST_INPUT + 1)
    if not data:
        return _unread("empty", "nothing arrived on standard input; it takes one picture, as in `inkdigits read - < photo.jpg`")
    if len(data) > LARGEST_INPUT:
        return _unread("too_large", f"more than {LARGEST_INPUT:,} bytes on standard input; it takes one picture")
    reading = _read_one(recogniser, data, single)
    if reading.error:
        return _unread(reading.error.code, f"standard input: {reading.error}")
    return reading


def _read_folder(recogniser: Recogniser, folder: Path, single: bool) -> Iterator[tuple[str, Reading]]:
    pictures = pictures_below(folder)
    if not pictures:
        known = " ".join(sorted(PICTURE_SUFFIXES))
        yield str(folder), _unread("empty", f"no pictures in {folder}; the names of pictures end in {known}")
    for picture in pictures:
        yield str(picture), _read_one(recogniser, picture, single)


def _read_array(recogniser: Recogniser, path: Path) -> Iterator[tuple[str, Reading]]:
    index = 0
    try:
        for block in iter_images(path):
            for reading in recogniser.read_images(block):
                yield f"{path}[{index}]", reading
                index += 1
    except BadData as error:
        yield str(path), _unread(error.code, str(error))
