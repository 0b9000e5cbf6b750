"""The mark of a file that `inkdigits read --explain` wrote, so that it is not read as a picture."""

from pathlib import Path

SOFTWARE = "inkdigits read --explain"  # what a PNG says that it was made by,
MARK = b"tEXtSoftware\0" + SOFTWARE.encode()  # as it stands
MARKED_BYTES = 128  # in the first bytes of the file


def is_explanation(path: Path) -> bool:
    """Tell whether a file is an explanation, and so is no picture to be read."""
    try:
        with path.open("rb") as file:
            return MARK in file.read(MARKED_BYTES)
    except OSError:
        return False
