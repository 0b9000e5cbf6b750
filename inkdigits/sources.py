"""What `inkdigits read PATH...` is given, one trace after the other: pictures, folders of them, arrays, standard input.

Knows where pictures come from, not what is in them. One that cannot be read becomes a Reading with an error, and the rest go on.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from inkdigits.errors import BadData, BadPicture
from inkdigits.formats import PICTURE_SUFFIXES, iter_images, kind_of, pictures_below
from inkdigits.recogniser import Reading, Recogniser, Trace

STANDARD_INPUT = "-"
LARGEST_INPUT = 256 << 20  # bytes of one picture on standard input; 64 million pixels, uncompressed, take less
ARRAY_SUFFIXES = (".npz", ".npy", ".csv", ".gz", ".bz2", ".idx", "-ubyte")  # promised to be arrays, even where they are damaged


def read_paths(recogniser: Recogniser, paths: Iterable[str], *, single: bool = False) -> Iterator[tuple[str, Trace]]:
    """(path, reading and what led to it) of every picture, in input order; a folder's are sorted by name.

    A picture in an array is `FILE[INDEX]`. A folder's explanations are none of its pictures.
    """
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


def _read_one(recogniser: Recogniser, source: Path | bytes, single: bool) -> Trace:
    try:
        return recogniser.trace(source, single)
    except BadPicture as error:
        return _unread(error.code, str(error))


def _unread(code: str, message: str) -> Trace:
    return Trace(Reading(None, error=BadPicture(code, message)))


def _read_standard_input(recogniser: Recogniser, single: bool) -> Trace:
    data = sys.stdin.buffer.read(LARGEST_INPUT + 1)
    if not data:
        return _unread("empty", "nothing arrived on standard input; it takes one picture, as in `inkdigits read - < photo.jpg`")
    if len(data) > LARGEST_INPUT:
        return _unread("too_large", f"more than {LARGEST_INPUT:,} bytes on standard input; it takes one picture")
    trace = _read_one(recogniser, data, single)
    error = trace.reading.error
    return _unread(error.code, f"standard input: {error}") if error else trace


def _read_folder(recogniser: Recogniser, folder: Path, single: bool) -> Iterator[tuple[str, Trace]]:
    from inkdigits.explained import is_explanation  # not above: single pictures need nothing of it

    pictures = [path for path in pictures_below(folder) if not is_explanation(path)]
    if not pictures:
        known = " ".join(sorted(PICTURE_SUFFIXES))
        yield str(folder), _unread("empty", f"no pictures in {folder}; the names of pictures end in {known}")
    for picture in pictures:
        yield str(picture), _read_one(recogniser, picture, single)


def _read_array(recogniser: Recogniser, path: Path) -> Iterator[tuple[str, Trace]]:
    index = 0
    try:
        for block in iter_images(path):
            for reading in recogniser.read_images(block):
                yield f"{path}[{index}]", Trace(reading)
                index += 1
    except BadData as error:
        yield str(path), _unread(error.code, str(error))
