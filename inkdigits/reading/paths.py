"""From paths to readings: pictures, folders, files of pages, frames or images, standard input.

Paths come in; for each picture its path and a `Trace`, which holds the Reading, go out in the same
order. A picture that cannot be read becomes a Reading with an error, and the rest are read. Memory
does not grow with the number of pictures: only a few are read ahead, and none is kept.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadData, BadPicture, BadValue
from inkdigits.core.formats import iter_images, kind_of
from inkdigits.core.pictures import PICTURE_SUFFIXES, pictures_below
from inkdigits.reading.explanation.mark import is_explanation
from inkdigits.reading.preprocessing.picture import Picture
from inkdigits.reading.preprocessing.several import iter_frames, may_have_several
from inkdigits.reading.preprocessing.source import read_open_file, split_index
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.trace import Trace, unreadable_trace

STANDARD_INPUT = "-"

# Names that promise an array of images, even where the file is damaged.
ARRAY_SUFFIXES = (".npz", ".npy", ".csv", ".gz", ".bz2", ".idx", "-ubyte")

IMAGES_AT_ONCE = 1024  # of an array, read by one thread: 0.1 s for the network, 2 MB as readings
AHEAD = 2  # parts begun for each thread, so that a slow picture leaves the others something to do
# Bytes. Smaller files are faster on one thread: several threads read 28x28 PNG files at 0.7 times
# its rate, photos at 1.2 times.
SMALL_FILE = 10_000

Traces = list[tuple[str, Trace]]  # with the path of each picture
Kind = Literal["standard input", "folder", "array", "frames", "picture", "one of several"]


@dataclass(frozen=True)
class Part:
    """What is read in one step: one picture, or a block of images from an array.

    Attributes:
        path: the path of the picture, or of the array's file.
        content: a picture's file or bytes, a page or frame of one, (N, 28, 28) uint8 images, or why
            there is nothing to read.
        first: the index of the first of the images in their file.
    """

    path: str
    content: Path | bytes | Picture | Pixels | BadPicture
    first: int = 0

    @property
    def is_small(self) -> bool:
        """True for a picture that is faster to read right here than on another thread."""
        try:
            return isinstance(self.content, Path) and self.content.stat().st_size < SMALL_FILE
        except (OSError, ValueError):  # the error is raised later, when the picture is opened
            return False


def read_paths(
    recogniser: Recogniser, paths: Iterable[str], *, single: bool = False, jobs: int = 1
) -> Iterator[tuple[str, Trace]]:
    """Read every picture that some paths lead to, in input order.

    Args:
        recogniser: reads the pictures.
        paths: pictures, and PDF, TIFF and GIF files, of which each page or frame is read; folders,
            whose pictures are read sorted by name; files of 28x28 images; any such file with an
            index, `scan.pdf[3]`, for one of what is in it; or `-` for one picture on standard
            input.
        single: whether each picture holds at most one digit.
        jobs: the number of threads that read. The readings and their order do not depend on it.

    Yields:
        The path of each picture, or `FILE[INDEX]` of one in a file of several, and its trace.

    Raises:
        BadValue: `jobs` is less than 1.
    """
    if jobs < 1:
        raise BadValue(f"jobs must be 1 or more, not {jobs}")

    parts = (part for path in paths for part in open_path(path))
    read = partial(read_part, recogniser, single=single)
    read_in_turn = map(read, parts) if jobs == 1 else _map_ahead(read, parts, jobs)
    for traces in read_in_turn:
        yield from traces


def open_path(path: str) -> Iterator[Part]:
    """Yield the parts that a path leads to, one by one as they are needed."""
    match _kind(path):
        case "standard input":
            yield _open_standard_input()
        case "folder":
            yield from _open_folder(Path(path))
        case "array":
            yield from _open_array(Path(path))
        case "frames":
            yield from _open_frames(Path(path))
        case "picture":
            yield Part(path, Path(path))
        case "one of several":
            yield _open_one(path)


def read_part(recogniser: Recogniser, part: Part, single: bool) -> Traces:
    """Read one picture, or some images of an array; return them with their paths."""
    if isinstance(part.content, BadPicture):
        return [(part.path, unreadable_trace(part.content))]

    if isinstance(part.content, np.ndarray):
        readings = recogniser.read_images(part.content)
        numbered = enumerate(readings, part.first)
        return [(f"{part.path}[{index}]", Trace(reading)) for index, reading in numbered]

    (trace,) = recogniser.trace_many([part.content], single)
    error = trace.reading.error
    if error and part.path == STANDARD_INPUT:
        trace = unreadable_trace(BadPicture(error.code, f"standard input: {error}"))

    return [(part.path, trace)]


def _map_ahead(
    read: Callable[[Part], Traces], parts: Iterable[Part], jobs: int
) -> Iterator[Traces]:
    """Yield the traces of each part in order, while threads read a few parts ahead."""
    pool = ThreadPoolExecutor(jobs)
    begun = deque[Future[Traces]]()
    try:
        for part in parts:
            if part.is_small:
                future = Future[Traces]()
                future.set_result(read(part))
            else:
                future = pool.submit(read, part)

            begun.append(future)
            if len(begun) == AHEAD * jobs:
                yield begun.popleft().result()

        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _kind(path: str) -> Kind:
    """Tell what a path is: by its name if that is enough, else by the file's first bytes."""
    if path == STANDARD_INPUT:
        return "standard input"

    name = path.lower()
    try:
        if Path(path).is_dir():
            return "folder"
        if split_index(path)[1] is not None:
            return "one of several"
        if may_have_several(Path(path)):
            return "frames"
        if name.endswith(tuple(PICTURE_SUFFIXES)) or not Path(path).is_file():
            return "picture"
        if name.endswith(ARRAY_SUFFIXES) or kind_of(Path(path)):
            return "array"
    except (OSError, BadData):  # the error is raised later, when the picture is opened
        pass

    return "picture"


def _open_standard_input() -> Part:
    """Read standard input, which holds one picture."""
    try:
        is_closed = sys.stdin is None
        data = b"" if is_closed else read_open_file(sys.stdin.buffer, "standard input")
    except BadPicture as error:
        return Part(STANDARD_INPUT, error)
    except OSError as error:
        message = f"standard input cannot be read: {error.strerror}"
        return Part(STANDARD_INPUT, BadPicture("unreadable", message))

    if not data:
        message = (
            "nothing arrived on standard input; it takes one picture, "
            "as in `inkdigits read - < photo.jpg`"
        )
        return Part(STANDARD_INPUT, BadPicture("empty", message))

    return Part(STANDARD_INPUT, data)


def _open_folder(folder: Path) -> Iterator[Part]:
    """Yield the pictures below a folder, except explanations, which `--explain` wrote there."""
    empty = True
    for picture in pictures_below(folder):
        if not is_explanation(picture):
            yield from open_path(str(picture))
            empty = False

    if empty:
        known = " ".join(sorted(PICTURE_SUFFIXES))
        message = f"no pictures in {folder}; the names of pictures end in {known}"
        yield Part(str(folder), BadPicture("empty", message))


def _open_array(path: Path) -> Iterator[Part]:
    """Yield the images of an array's file in blocks; if it is damaged, the error comes last."""
    first = 0
    try:
        for images in iter_images(path, IMAGES_AT_ONCE):
            yield Part(str(path), images, first)
            first += len(images)
    except BadData as error:
        yield Part(str(path), BadPicture(error.code, str(error)))


def _open_frames(path: Path) -> Iterator[Part]:
    """Yield the pages or frames of a file; one that has only one is a picture like any other."""
    frames = iter_frames(path)
    first = next(frames, None)
    second = next(frames, None)
    if first is None or (second is None and not isinstance(first[1], Picture)):
        yield Part(str(path), Path(path) if first is None else first[1])
        return
    if second is None:
        yield Part(str(path), first[1])
        return

    for index, content in chain([first, second], frames):
        yield Part(f"{path}[{index}]", content)


def _open_one(path: str) -> Part:
    """Open one image of an array's file, or one page or frame, by the index behind the path."""
    file, index = split_index(path)
    if index is None or _kind(file) != "array":
        return Part(path, Path(path))

    skipped = 0
    try:
        for images in iter_images(Path(file), IMAGES_AT_ONCE):
            if index < skipped + len(images):
                return Part(file, images[index - skipped : index - skipped + 1], index)
            skipped += len(images)
    except BadData as error:
        return Part(path, BadPicture(error.code, str(error)))

    return Part(path, BadPicture("not_found", f"{path}: it has {skipped:,} images, from 0"))
