"""What `inkdigits read PATH...` is given, one reading after the other: pictures, folders of them, arrays, standard input.

Knows where pictures come from, not what is in them. One that cannot be read becomes a Reading with an error, and the rest go on.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from inkdigits.errors import BadData, BadPicture
from inkdigits.formats import PICTURE_SUFFIXES, iter_images
from inkdigits.recogniser import Reading, Recogniser

ARRAY_SUFFIXES = (".npz", ".npy", ".csv", ".gz", "-ubyte", ".idx")  # any other file is taken for a picture


def read_paths(recogniser: Recogniser, paths: Iterable[str], *, single: bool = False) -> Iterator[tuple[str, Reading]]:
    """(path, reading) of every picture, in input order; a folder's are sorted by name. A picture in an array is `FILE[INDEX]`."""
    for path in paths:
        if path == "-":
            yield path, _read_one(recogniser, sys.stdin.buffer.read(), single)
        elif Path(path).is_dir():
            yield from _read_folder(recogniser, Path(path), single)
        elif path.lower().endswith(ARRAY_SUFFIXES) and Path(path).is_file():
            yield from _read_array(recogniser, Path(path))
        else:
            yield path, _read_one(recogniser, Path(path), single)


def _read_one(recogniser: Recogniser, source: Path | bytes, single: bool) -> Reading:
    (reading,) = recogniser.read_many([source], single)
    return reading


def _read_folder(recogniser: Recogniser, folder: Path, single: bool) -> Iterator[tuple[str, Reading]]:
    pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not pictures:
        known = " ".join(sorted(PICTURE_SUFFIXES))
        yield str(folder), Reading(None, error=BadPicture("empty", f"no pictures in {folder}; pictures end in {known}"))
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
        yield str(path), Reading(None, error=BadPicture(error.code, str(error)))
