"""Photos of filled sheets come in, a folder of pictures to train on goes out.

The folder holds folders called 0 to 9, and writers.csv, which says who wrote each picture.
"""

import csv
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from inkdigits.core.digits import DIGITS, Pixels
from inkdigits.core.errors import BadData, BadPicture, CannotWrite, listed
from inkdigits.core.files import report_write_errors
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.sheets.cutting import FilledSheet, cut_sheet
from inkdigits.data.splits import Unusable
from inkdigits.reading.paths import open_path
from inkdigits.reading.recogniser import read

WRITERS_FILE = "writers.csv"  # not labels.csv, whose pictures would be learned twice
WRITERS_COLUMNS = ("file", "digit", "writer", "sheet")


@dataclass(frozen=True)
class CollectedSheet:
    """What was found on a sheet.

    Attributes:
        path: of its photo, with the page's number where the file has several.
        writer: the number on the sheet; of a sheet without a number, the name of its file.
        digits: how many pictures were cut out.
        empty: how many boxes are empty.
        has_number: whether the writer's number was read.
    """

    path: str
    writer: str
    digits: int
    empty: int
    has_number: bool


@dataclass(frozen=True)
class Collected:
    """What was collected.

    Attributes:
        sheets: in input order.
        unusable: the photos that were left out, and why.
    """

    sheets: tuple[CollectedSheet, ...]
    unusable: tuple[Unusable, ...]

    @property
    def digits(self) -> int:
        """How many pictures there are."""
        return sum(sheet.digits for sheet in self.sheets)

    @property
    def writers(self) -> int:
        """How many people wrote them."""
        return len({sheet.writer for sheet in self.sheets})


def collect(paths: Iterable[str], out: Path, progress: ProgressCallback | None = None) -> Collected:
    """Cut digits out of photos of filled sheets into a new folder, whole or not at all.

    Args:
        paths: photos or scans of one sheet each, PDF files of such pages, or folders of them.
        out: the folder, new or empty.
        progress: called after each photo.

    Raises:
        BadData: no photo shows a sheet with anything written in its boxes.
        CannotWrite: the folder is not empty, or cannot be written.
    """
    if out.is_symlink() or (out.exists() and not _is_empty_folder(out)):
        raise CannotWrite(f"{out} exists and is not empty; choose a new folder")

    with report_write_errors(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", dir=out.absolute().parent, ignore_cleanup_errors=True
        ) as temporary:
            beside = Path(temporary)
            collected = _collect_into(beside, paths, progress)
            beside.chmod(0o755)
            beside.replace(out)

    return collected


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _collect_into(
    folder: Path, paths: Iterable[str], progress: ProgressCallback | None
) -> Collected:
    """Write the pictures of all sheets into a folder, and writers.csv."""
    sheets: list[CollectedSheet] = []
    unusable: list[Unusable] = []
    rows: list[tuple[str, int, str, str]] = []
    for path, cut in _cut_sheets(paths):
        if isinstance(cut, BadPicture):
            unusable.append(Unusable(path, str(cut)))
        else:
            number = read_number(cut.number)
            writer = number or _name_of(path)
            sheets.append(
                CollectedSheet(path, writer, len(cut.cells), cut.empty, number is not None)
            )
            names = _write_cells(folder, cut, len(sheets))
            rows += [(name, int(name[0]), writer, path) for name in names]

        if progress:
            progress("cutting digits out of photos", len(sheets) + len(unusable), None)

    if not rows:
        reasons = listed(bad.reason for bad in unusable) if unusable else "all boxes are empty"
        raise BadData(f"nothing to collect: {reasons}")

    _write_writers(folder / WRITERS_FILE, rows)
    return Collected(tuple(sheets), tuple(unusable))


def _cut_sheets(paths: Iterable[str]) -> Iterator[tuple[str, FilledSheet | BadPicture]]:
    """Yield what is on each sheet, or why a photo shows none."""
    for path in paths:
        for part in open_path(path):
            if isinstance(part.content, BadPicture):
                yield part.path, part.content
                continue

            try:
                yield part.path, cut_sheet(part.content, part.path)
            except BadPicture as problem:
                yield part.path, problem


def read_number(boxes: Iterable[Pixels]) -> str | None:
    """Return the writer's number without leading zeros, None where it is missing or not sure.

    Args:
        boxes: the pictures of its digits.
    """
    number = ""
    for box in boxes:
        digits = read(box, single=True).digits
        if not digits or not digits[0].accepted:
            return None
        number += str(digits[0].digit)

    return str(int(number)) if number else None


def _name_of(path: str) -> str:
    """Return the name of a photo without its folder and suffix."""
    name = Path(path)
    return name.stem if "[" not in name.suffix else name.name


def _write_cells(folder: Path, sheet: FilledSheet, number: int) -> list[str]:
    """Write the pictures of one sheet, and return their names from the folder on."""
    names = []
    for cell in sheet.cells:
        name = f"{DIGITS[cell.digit]}/sheet{number:03}-{cell.place + 1:02}.png"
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(cell.picture).save(path)
        names.append(name)

    return names


def _write_writers(path: Path, rows: list[tuple[str, int, str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([WRITERS_COLUMNS, *rows])
