"""Text tables -> arrays: CSV with an image in each row, as Kaggle has it, and LIBSVM's format.

Takes a path, returns arrays or raises BadData that names the line. Gzip and bzip2 are unpacked on the way.
"""

import csv
import re
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import refuse_bombs, unpacked
from inkdigits.core.digits import PIXELS, SIDE, Labels, Pixels
from inkdigits.core.errors import BadData

ROWS = 1024  # parsed at a time
LONGEST_LINE = 1 << 16  # characters; a row of 785 values takes 3,200, its header 8,700
MOST_BLANK = 10_000  # lines after one another; a few kilobytes may unpack to millions
LABEL_NAMES = frozenset({"label", "labels", "class", "digit", "target", "y"})
WHOLE_NUMBER = re.compile(r'\s*("?)\+?0*(\d{1,3})(\.0*)?\1\s*', re.ASCII)


def iter_csv(path: Path, rows: int = ROWS) -> Iterator[tuple[Pixels, Labels | None]]:
    """Images, and labels where there is a column of them, at most `rows` at a time: uint8 (n, 28, 28) and (n,).

    A row holds 784 pixels 0-255, with a label 0-9 before or after them. A header names the label's column, as Kaggle's does;
    without a header the label comes first. Raises BadData that names the line.
    """
    with (
        unpacked(path) as stream,
        TextIOWrapper(stream, encoding="utf-8-sig", errors="replace") as text,
    ):
        lines = _lines(text, path)
        first = next(lines, "")
        names = _names(first, path)
        label = _label_column(names, path)
        largest = np.full(len(names), 255)
        if label is not None:
            largest[label] = 9
        # Not by its last value, which may be damaged: the first row would be lost without a word.
        headed = names[label or 0] in LABEL_NAMES or not any(map(WHOLE_NUMBER.fullmatch, names))
        number, block = (2, []) if headed else (1, [first])
        while block := block + list(islice(lines, rows - len(block))):
            values = _parse(block, number, largest, path)
            if len(values):
                yield _without_label(values, label)
            number, block = number + len(block), []


def _lines(text: TextIO, path: Path) -> Iterator[str]:
    """Each with its end. Raises BadData where one, or all of them, are longer than any table's."""
    packed, length, blank = path.stat().st_size, 0, 0
    for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
        length += len(line)
        refuse_bombs(length, packed, path)
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise BadData(f"{path}, line {number}: more than {LONGEST_LINE:,} characters")
        blank = blank + 1 if line.isspace() else 0
        if blank > MOST_BLANK:
            raise BadData(f"{path}, line {number}: nothing but blank lines")
        yield line


def _names(line: str, path: Path) -> list[str]:
    """The fields of the first line, which may be names."""
    try:
        return [
            name.strip().lower()
            for name in next(csv.reader([line], skipinitialspace=True, strict=True), [])
        ]
    except csv.Error as problem:  # a quote that is not closed
        raise BadData(f"{path}, line 1: {problem}") from None


def _label_column(names: list[str], path: Path) -> int | None:
    """Where the label stands in a row, judged by the first line; None where there is none."""
    if len(names) == PIXELS:
        return None
    if len(names) != PIXELS + 1:
        raise BadData(
            f"{path}, line 1: {len(names)} values; needs {PIXELS} pixels, or {PIXELS + 1} values with the label"
        )
    if names[0] in LABEL_NAMES or WHOLE_NUMBER.fullmatch(names[0]):
        return 0
    if names[-1] in LABEL_NAMES:
        return PIXELS
    raise BadData(
        f"{path}, line 1: {len(names)} columns, but neither {names[0]!r} nor {names[-1]!r} is called 'label'"
    )


def _parse(lines: list[str], number: int, largest: NDArray[np.int_], path: Path) -> Pixels:
    """The values of some lines: uint8 (rows, columns), each column up to its `largest`; empty lines are passed over.

    number: that of the first line.
    """
    if not any(map(str.strip, lines)):
        return np.empty((0, len(largest)), np.uint8)
    try:
        values = np.loadtxt(lines, np.uint8, comments=None, delimiter=",", ndmin=2)
    except ValueError:
        return _parse_slowly(lines, number, largest, path)
    if values.shape[1] != len(largest) or (values > largest).any():
        return _parse_slowly(lines, number, largest, path)
    return values


def _parse_slowly(lines: list[str], number: int, largest: NDArray[np.int_], path: Path) -> Pixels:
    """Line by line: for tables that quote their values or write 0 as 0.0, and to name the line that is wrong."""
    rows = []
    for line_number, line in enumerate(lines, number):
        if not line.strip():
            continue
        fields = line.strip().split(",")
        if len(fields) != len(largest):
            raise BadData(
                f"{path}, line {line_number}: {len(fields)} values; line 1 has {len(largest)}"
            )
        matches = [WHOLE_NUMBER.fullmatch(field) for field in fields]
        row = [int(match[2]) if match else 999 for match in matches]
        for field, value, most in zip(fields, row, largest, strict=True):
            if value > most:
                raise BadData(
                    f"{path}, line {line_number}: {field[:40]!r} is not a whole number from 0 to {most}"
                )
        rows.append(row)
    return np.array(rows, np.uint8)


def _without_label(values: Pixels, column: int | None) -> tuple[Pixels, Labels | None]:
    if column is None:
        return values.reshape(-1, SIDE, SIDE), None
    return np.delete(values, column, axis=1).reshape(-1, SIDE, SIDE), values[:, column].copy()


def read_libsvm(path: Path, columns: int, limit: int) -> NDArray[np.float32]:
    """Labels and values of a dense file in LIBSVM's format, packed or not: float32 (N, columns), the label first.

    A line is a label, then index:value for each value. limit: unpacked bytes at most. Raises BadData that names the line.
    Source: the README of LIBSVM.
    """
    with unpacked(path) as stream:
        text = stream.read(limit + 1)
    if len(text) > limit:
        raise BadData(f"{path} unpacks to more than the {limit:,} bytes expected at most")
    indexes = list(range(1, columns))
    shortest = (
        4 * columns - 3
    )  # "1", " 1:0" for each value and an end, or fewer: blank lines must not make us allocate
    rows = np.empty((len(text) // shortest + 1, columns), np.float32)
    count = 0
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            label, *fields = line.replace(b":", b" ").split()
            rows[count] = [float(label), *map(float, fields[1::2])]
            right = list(map(int, fields[0::2])) == indexes and bool(np.isfinite(rows[count]).all())
        except ValueError:
            right = False
        if not right:
            raise BadData(f"{path}, line {number}: not a label and {columns - 1} times index:value")
        count += 1
    return rows[:count]
