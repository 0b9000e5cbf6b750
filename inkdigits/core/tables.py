"""Text tables of digits: CSV with an image in each row, as Kaggle has it, and LIBSVM's format.

A path comes in, arrays come out, or BadData that names the line. Packed files are unpacked.
"""

import contextlib
import csv
import re
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import LabelledImages
from inkdigits.core.digits import PIXELS, SIDE
from inkdigits.core.errors import BadData
from inkdigits.core.unpacking import refuse_bombs, unpacked

ROWS = 1024  # parsed at a time
LONGEST_LINE = 1 << 16  # characters; a row of 785 values takes 3,200, its header 8,700
MOST_BLANK = 10_000  # lines after one another; a few kilobytes may unpack to millions
FEWEST_ROWS = 10  # of which the labels are hardly all 0
LABEL_NAMES = frozenset({"label", "labels", "class", "digit", "target", "y"})
NUMBER = re.compile(r'\s*("?)([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)\1\s*', re.ASCII | re.IGNORECASE)
WHITE = 255  # of pixels that are whole numbers; that of fractions is 1

Line = tuple[int, str]  # its number in the file, from 1, and its text


def read_csv(path: Path) -> LabelledImages:
    """Return all images of a CSV file and their labels, as `iter_csv` does in blocks."""
    blocks = list(iter_csv(path))
    none = np.empty((0, SIDE, SIDE), np.uint8)
    images = np.concatenate([none, *(images for images, _ in blocks)])
    labels = [labels for _, labels in blocks if labels is not None]
    return images, np.concatenate(labels) if labels else None


def iter_csv(path: Path, rows: int = ROWS) -> Iterator[LabelledImages]:
    """Yield the images of a CSV file, and their labels, in blocks.

    Args:
        path: a table of 784 pixels in each row, from 0 to 255 or from 0 to 1 in all of them, with a
            label from 0 to 9 before or after them, or without labels. Between values are commas,
            semicolons, tabs or spaces; with semicolons and tabs, a comma may be the decimal point.
            A header names the label's column, as Kaggle's does; without one the label comes first.
        rows: the most images in a block.

    Yields:
        uint8 (n, 28, 28) and uint8 (n,), or None where no column has labels.

    Raises:
        BadData: the table is something else; the error names the line, and the column if it can.
    """
    with unpacked(path) as stream:
        text = TextIOWrapper(cast(Any, stream), encoding="utf-8-sig", errors="replace")
        lines = _with_commas(_filled_lines(text, path))
        first = next(lines, (1, ""))
        names = _column_names(first[1], path)
        label = _label_column(names, path)

        is_header = _are_names(names, label)
        if not is_header:
            lines = chain([first], lines)

        white: int | None = None
        while block := list(islice(lines, rows)):
            values = _parse(block, len(names), path)
            pixels = values if label is None else np.delete(values, label, axis=1)
            white = white or _white_of(pixels)
            _refuse_wrong_values(values, label, white or WHITE, block, path)
            if not is_header:
                _refuse_label_at_the_end(values, path)

            levels = pixels if white == WHITE else pixels * float(WHITE)
            images = np.rint(levels).astype(np.uint8).reshape(-1, SIDE, SIDE)
            yield images, None if label is None else values[:, label].astype(np.uint8)


def _with_commas(lines: Iterator[Line]) -> Iterator[Line]:
    """Yield lines whose values have commas between them, whatever the file has."""
    first = next(lines, (1, ""))
    separator = _separator(first[1].strip())
    for number, line in chain([first], lines):
        if separator == " ":
            line = ",".join(line.split())
        elif separator != ",":
            line = line.replace(",", ".").replace(separator, ",")
        yield number, line


def _separator(line: str) -> str:
    """Return what is between the values of a line; a comma may be a decimal point, too."""
    for separator in ("\t", ";", ",", " "):
        if separator in line:
            return separator

    return ","


def _filled_lines(text: TextIO, path: Path) -> Iterator[Line]:
    """Yield the lines that are not blank.

    Raises:
        BadData: a line, or all of them, are longer than any table's.
    """
    packed = path.stat().st_size

    length = 0
    blank = 0
    for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
        length += len(line)
        refuse_bombs(length, packed, str(path))
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise BadData(f"{path}, line {number}: more than {LONGEST_LINE:,} characters")

        if line.strip():
            blank = 0
            yield number, line
        else:
            blank += 1

        if blank > MOST_BLANK:
            raise BadData(f"{path}, line {number}: nothing but blank lines")


def _column_names(line: str, path: Path) -> list[str]:
    """Return the fields of the first line, which may be names or values."""
    try:
        fields = next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error as problem:  # a quote that is not closed
        raise BadData(f"{path}, line 1: {problem}") from None
    return [field.strip().lower() for field in fields]


def _label_column(names: list[str], path: Path) -> int | None:
    """Return the index of the label's column by the first line, or None without labels."""
    if len(names) == PIXELS:
        return None
    if len(names) != PIXELS + 1:
        raise BadData(
            f"{path}, line 1: {len(names)} values; "
            f"expected {PIXELS} pixels, or {PIXELS + 1} values with the label"
        )
    if names[0] in LABEL_NAMES or NUMBER.fullmatch(names[0]):
        return 0
    if names[-1] in LABEL_NAMES:
        return PIXELS

    raise BadData(
        f"{path}, line 1: {len(names)} columns, "
        f"but neither {names[0]!r} nor {names[-1]!r} is called 'label'"
    )


def _are_names(fields: list[str], label: int | None) -> bool:
    """Tell whether the fields of the first line are names, and no values.

    The last one does not decide, as it may be a damaged value: then the first row would be lost
    silently.
    """
    return fields[label or 0] in LABEL_NAMES or not any(map(NUMBER.fullmatch, fields))


def _parse(lines: list[Line], columns: int, path: Path) -> NDArray[Any]:
    """Return the values of some lines, uint8 or float64 (lines, columns)."""
    texts = [text for _, text in lines]
    for kind in (np.uint8, np.float64):
        with contextlib.suppress(ValueError):  # values in quotes, of another kind, or wrong
            values = np.loadtxt(texts, kind, comments=None, delimiter=",", ndmin=2)
            if values.shape[1] == columns:
                return values

    rows = [_parse_row(text, columns, f"{path}, line {number}") for number, text in lines]
    return np.array(rows, np.float64)


def _parse_row(line: str, columns: int, place: str) -> list[float]:
    """Return the values of one line, in any spelling; BadData names a wrong one."""
    fields = line.strip().split(",")
    if len(fields) != columns:
        raise BadData(f"{place}: {len(fields)} values; line 1 has {columns}")

    row = []
    for column, field in enumerate(fields, 1):
        match = NUMBER.fullmatch(field)
        if not match:
            raise BadData(f"{place}, column {column}: {field[:40]!r} is not a number")
        row.append(float(match[2]))

    return row


def _white_of(pixels: NDArray[Any]) -> int | None:
    """Return what white is, 1 or 255, by what most of the ink is below; None without ink."""
    ink = pixels[pixels > 0]
    if not ink.size:
        return None
    return 1 if np.mean(ink <= 1) > 0.5 else WHITE


def _refuse_wrong_values(
    values: NDArray[Any], label: int | None, white: int, lines: list[Line], path: Path
) -> None:
    """Refuse pixels that are not from 0 to `white`, and labels that are not from 0 to 9."""
    largest = np.full(values.shape[1], white)
    is_whole = np.full(values.shape[1], white == WHITE)
    if label is not None:
        largest[label] = 9
        is_whole[label] = True

    fits = (values >= 0) & (values <= largest)
    if values.dtype != np.uint8:
        fits &= ~is_whole | (values == np.rint(values))
    if fits.all():
        return

    row, column = np.argwhere(~fits)[0]
    number, text = lines[row]
    field = text.strip().split(",")[column].strip()[:40]
    kind = "a whole number" if is_whole[column] else "a number"
    raise BadData(
        f"{path}, line {number}, column {column + 1}: {field!r} is not {kind} from 0 to "
        f"{largest[column]}"
    )


def _refuse_label_at_the_end(values: NDArray[Any], path: Path) -> None:
    """Refuse a table without a header whose label is last, not first as it is taken to be."""
    last = values[:, -1]
    is_last = len(last) >= FEWEST_ROWS and not values[:, 0].any() and len(np.unique(last)) > 2
    if values.shape[1] > PIXELS and is_last and last.max() <= 9:
        raise BadData(
            f"{path}: the first column is 0 in every row, and the last one from 0 to 9: if that is "
            "the label, add a header with the name 'label' in its place"
        )


def read_libsvm(path: Path, columns: int, limit: int) -> NDArray[np.float32]:
    """Return the labels and values of a dense file in LIBSVM's format, packed or not.

    A line is a label, then index:value for each value. Source: the README of LIBSVM.

    Args:
        path: the file.
        columns: values in a row, the label included.
        limit: the most unpacked bytes that are allowed.

    Returns:
        float32 (N, columns), the label first.

    Raises:
        BadData: the file is damaged or something else; the error names the line.
    """
    indexes = list(range(1, columns))

    def parse(line: bytes) -> NDArray[np.float32]:
        label, *fields = line.replace(b":", b" ").split()
        if list(map(int, fields[0::2])) != indexes:
            raise ValueError

        return np.array([label, *fields[1::2]], np.float32)

    expected = f"a label and {columns - 1} index:value pairs"
    return _read_rows(path, columns, limit, parse, expected)


def read_numbers(path: Path, columns: int, limit: int) -> NDArray[np.float32]:
    """Return the numbers of a file with spaces between them, packed or not, as `np.savetxt` writes.

    Args:
        path: the file.
        columns: numbers in a line.
        limit: the most unpacked bytes that are allowed.

    Returns:
        float32 (N, columns).

    Raises:
        BadData: the file is damaged or something else; the error names the line.
    """

    def parse(line: bytes) -> NDArray[np.float32]:
        return np.array(line.split(), np.float32)

    return _read_rows(path, columns, limit, parse, f"{columns} numbers with spaces between")


def _read_rows(
    path: Path,
    columns: int,
    limit: int,
    parse: Callable[[bytes], NDArray[np.float32]],
    expected: str,
) -> NDArray[np.float32]:
    """Return the rows, float32 (N, columns), of a file that unpacks to at most `limit` bytes.

    Args:
        path: the file.
        columns: numbers in a row.
        limit: of bytes.
        parse: returns the row in a line that is not blank, or raises ValueError.
        expected: what a line should hold, for the error that names another one.
    """
    with unpacked(path) as stream:
        text = stream.read(limit + 1)

    if len(text) > limit:
        raise BadData(f"{path} unpacks to more than the {limit:,} bytes expected at most")

    rows = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue

        try:
            row = parse(line)
            right = len(row) == columns and bool(np.isfinite(row).all())
        except ValueError:
            right = False

        if not right:
            raise BadData(f"{path}, line {number}: expected {expected}")

        rows.append(row)

    return np.array(rows, np.float32).reshape(-1, columns)
