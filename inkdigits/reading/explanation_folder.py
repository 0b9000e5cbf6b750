"""Where explanations are kept: a folder, a PNG a picture, each known by a mark.

Takes traces with the names of their pictures; `explanation` draws. Knows files; nothing of what is on them.
"""

import os
import tempfile
from collections import Counter
from itertools import count
from pathlib import Path

from PIL.PngImagePlugin import PngInfo

from inkdigits.core.errors import CannotWrite
from inkdigits.core.files import write_whole
from inkdigits.reading.explanation import counted, draw
from inkdigits.reading.recogniser import Trace

MOST_OF_A_FILE = 100  # images of an array that are explained
LONGEST_NAME = 200  # bytes; file systems take 255, of which some go to endings
SOFTWARE = "inkdigits read --explain"  # what a PNG says that it was made by
MARK = b"tEXtSoftware\0" + SOFTWARE.encode()  # as that lies in its first bytes


class Explanations:
    """A folder of explanations, a PNG a picture, named after it. Those of an earlier run are replaced, other files never."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if need be. Raises CannotWrite."""
        self.folder = folder
        self._taken: set[str] = (
            set()
        )  # names of files, as a file system that ignores case would compare them
        self._explained: Counter[str] = Counter()  # of each array; of all else
        self._left_out: Counter[str] = Counter()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CannotWrite(
                f"cannot write into {folder}: {error.strerror or error}; choose a folder that is yours"
            ) from error

    def add(self, path: str, trace: Trace) -> None:
        """Write the explanation of a picture, unless it could not be read or its array has enough of them. Raises CannotWrite."""
        array = "" if trace.page else path.rpartition("[")[0]
        if trace.reading.error:
            return
        if array and self._explained[array] == MOST_OF_A_FILE:
            self._left_out[array] += 1
            return
        info = PngInfo()
        info.add_text("Software", SOFTWARE)
        image = draw(trace, path)
        write_whole(
            self._free_file(_file_name(path)), lambda file: image.save(file, "PNG", pnginfo=info)
        )
        self._explained[array] += 1

    def _free_file(self, name: str) -> Path:
        """The file to write: of that name, or with a number behind it where another picture or another program has the name."""
        names = (f"{name}.png" if number == 1 else f"{name}-{number}.png" for number in count(1))
        free = next(free for free in names if self._is_free(free))
        self._taken.add(free.casefold())
        return self.folder / free

    def _is_free(self, name: str) -> bool:
        file = self.folder / name
        return name.casefold() not in self._taken and (
            not os.path.lexists(file) or is_explanation(file)
        )

    def __str__(self) -> str:
        """What was written, and what was not."""
        said = f"{counted(self._explained.total(), 'explanation')} in {self.folder}"
        for array in self._left_out:
            said += f"; of the images in {array} only the first {MOST_OF_A_FILE}: for others, save them as an array of their own"
        return said


def _file_name(path: str) -> str:
    """A name that every file system takes, made of the last part of a path."""
    name = "standard-input" if path == "-" else Path(path).name
    name = (
        "".join(letter if letter.isprintable() else "_" for letter in name).lstrip(".") or "picture"
    )
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def is_explanation(path: Path) -> bool:
    """Whether a file was written here, so that a folder's explanations are not read as its pictures."""
    try:
        with path.open("rb") as file:
            return MARK in file.read(128)
    except OSError:
        return False
