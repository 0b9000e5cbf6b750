"""Text tables of digits: CSV with an image in each row, as Kaggle has it, and LIBSVM's format.

A path comes in, arrays come out, or BadData that names the line. Packed files are unpacked.
"""

import csv
import re
from collections.abc import Iterator
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
LABEL_NAMES = frozenset({"label", "labels", "class", "digit", "target", "y"})
WHOLE_NUMBER = re.compile(r'\s*("?)\+?0*(\d{1,3})(\.0*)?\1\s*', re.ASCII)

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
        path: a table of 784 pixels from 0 to 255 in each row, with a label from 0 to 9 before or
            after them, or without labels. A header names the label's column, as Kaggle's does;
            without a header the label comes first.
        rows: the most images in a block.

    Yields:
        uint8 (n, 28, 28) and uint8 (n,), or None where no column has labels.

    Raises:
        BadData: the table is something else; the error names the line.
    """
    with unpacked(path) as stream:
        text = TextIOWrapper(cast(Any, stream), encoding="utf-8-sig", errors="replace")
        lines = _filled_lines(text, path)
        first = next(lines, (1, ""))
        names = _column_names(first[1], path)
        label = _label_column(names, path)
        largest = np.full(len(names), 255)

        if label is not None:
            largest[label] = 9

        # The last name does not decide, as it may be a damaged value: then the first row would be
        # lost silently.
        is_header = names[label or 0] in LABEL_NAMES or not any(map(WHOLE_NUMBER.fullmatch, names))
        if not is_header:
            lines = chain([first], lines)

        while block := list(islice(lines, rows)):
            values = _parse(block, largest, path)
            if label is None:
                yield values.reshape(-1, SIDE, SIDE), None
            else:
                pixels = np.delete(values, label, axis=1)
                yield pixels.reshape(-1, SIDE, SIDE), values[:, label].copy()


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
    if names[0] in LABEL_NAMES or WHOLE_NUMBER.fullmatch(names[0]):
        return 0
    if names[-1] in LABEL_NAMES:
        return PIXELS

    raise BadData(
        f"{path}, line 1: {len(names)} columns, "
        f"but neither {names[0]!r} nor {names[-1]!r} is called 'label'"
    )


def _parse(lines: list[Line], largest: NDArray[np.int_], path: Path) -> NDArray[np.uint8]:
    """Return the values of some lines, uint8 (lines, columns), each column up to its `largest`."""
    try:
        texts = [text for _, text in lines]
        values = np.loadtxt(texts, np.uint8, comments=None, delimiter=",", ndmin=2)
        if values.shape[1] == len(largest) and (values <= largest).all():
            return values
    except ValueError:
        pass  # values in quotes, or written as 0.0, or wrong

    rows = [_parse_row(text, largest, f"{path}, line {number}") for number, text in lines]
    return np.array(rows, np.uint8)


def _parse_row(line: str, largest: NDArray[np.int_], place: str) -> list[int]:
    """Return the values of one line, in any spelling; BadData names a wrong one."""
    fields = line.strip().split(",")
    if len(fields) != len(largest):
        raise BadData(f"{place}: {len(fields)} values; line 1 has {len(largest)}")

    row = []
    for field, most in zip(fields, largest, strict=True):
        match = WHOLE_NUMBER.fullmatch(field)
        if not match or int(match[2]) > most:
            raise BadData(f"{place}: {field[:40]!r} is not a whole number from 0 to {most}")
        row.append(int(match[2]))

    return row


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
    with unpacked(path) as stream:
        text = stream.read(limit + 1)

    if len(text) > limit:
        raise BadData(f"{path} unpacks to more than the {limit:,} bytes expected at most")

    indexes = list(range(1, columns))
    rows = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue

        label, *fields = line.replace(b":", b" ").split()
        try:
            row = np.array([label, *fields[1::2]], np.float32)
            right = list(map(int, fields[0::2])) == indexes and bool(np.isfinite(row).all())
        except ValueError:
            right = False

        if not right:
            raise BadData(
                f"{path}, line {number}: expected a label and {columns - 1} index:value pairs"
            )

        rows.append(row)

    return np.array(rows, np.float32).reshape(-1, columns)
