"""A folder of explanations: traces come in with the paths of their pictures, a PNG each goes out.

Each file carries a mark, so that explanations can be told from pictures and from other programs'
files.
"""

import os
from collections import Counter
from itertools import count
from pathlib import Path

from PIL.PngImagePlugin import PngInfo

from inkdigits.core.files import writable_folder, write_whole
from inkdigits.reading.explanation.drawing import draw
from inkdigits.reading.explanation.mark import SOFTWARE, is_explanation
from inkdigits.reading.explanation.text import counted
from inkdigits.reading.trace import Trace

MOST_OF_A_FILE = 100  # images of an array that are explained
LONGEST_NAME = 200  # bytes; file systems take 255, of which some go to endings


class Explanations:
    """A folder of PNG files, each named after its picture.

    Those of an earlier run are replaced, other files never.

    Args:
        folder: made if it is not there yet.

    Raises:
        CannotWrite: nothing can be written into the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)
        self._taken = set[str]()  # casefolded: some file systems ignore case
        self._explained = Counter[str]()  # of each array; all pictures count under ""
        self._left_out = Counter[str]()

    def add(self, path: str, trace: Trace) -> None:
        """Write the explanation of a picture, if it was read and its array has not enough of them.

        Args:
            path: as `read_paths` yields it.
            trace: of the picture.

        Raises:
            CannotWrite: the file cannot be written.
        """
        if trace.reading.error:
            return

        array = "" if trace.picture else path.rpartition("[")[0]
        if array and self._explained[array] == MOST_OF_A_FILE:
            self._left_out[array] += 1
            return

        info = PngInfo()
        info.add_text("Software", SOFTWARE)
        image = draw(trace, path)
        file = self._free_file(_file_name(path))
        write_whole(file, lambda temporary: image.save(temporary, "PNG", pnginfo=info))
        self._explained[array] += 1

    def _free_file(self, name: str) -> Path:
        """Choose the file of that name, numbered if another picture or program has taken it."""
        names = (f"{name}.png" if number == 1 else f"{name}-{number}.png" for number in count(1))
        free = next(name for name in names if self._is_free(name))
        self._taken.add(free.casefold())
        return self.folder / free

    def _is_free(self, name: str) -> bool:
        file = self.folder / name
        is_ours = not os.path.lexists(file) or is_explanation(file)
        return is_ours and name.casefold() not in self._taken

    def __str__(self) -> str:
        """Say how many explanations were written, and which were not."""
        sentences = [f"{counted(self._explained.total(), 'explanation')} in {self.folder}"]
        sentences += [
            f"of the images in {array} only the first {MOST_OF_A_FILE}: "
            "for others, save them as an array of their own"
            for array in self._left_out
        ]
        return "; ".join(sentences)


def _file_name(path: str) -> str:
    """Make a name that every file system takes of the last part of a path."""
    if path == "-":
        return "standard-input"

    letters = (letter if letter.isprintable() else "_" for letter in Path(path).name)
    name = "".join(letters).lstrip(".") or "picture"
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")
