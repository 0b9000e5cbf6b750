"""What is written in the pictures of a folder: its truth.csv, row by row."""

import csv
from collections.abc import Sequence
from pathlib import Path

from inkdigits.core.errors import BadData

COLUMNS = ("file", "kind", "content")


def read_truth(folder: Path, columns: Sequence[str] = COLUMNS) -> list[dict[str, str]]:
    """Return the rows of a folder's truth.csv, sorted by file.

    Args:
        folder: pictures, laid out as `inkdigits pages` writes them.
        columns: that must be there.

    Raises:
        BadData: the file cannot be read, has no such columns, or lists no pictures.
    """
    path = folder / "truth.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
    except OSError as error:
        told = f"cannot read {path}: {error.strerror}; `inkdigits pages` writes such a folder"
        raise BadData(told) from error

    if not found:
        raise BadData(f"{path} lists no pictures")

    for column in columns:
        if column not in found[0]:
            told = f"expected {', '.join(columns[:-1])} and {columns[-1]}"
            raise BadData(f"{path} has no column {column!r}; {told}")

    return sorted(found, key=lambda row: row["file"])
