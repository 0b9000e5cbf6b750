"""Corrections: what people say was read wrong, in one SQLite file, and exported as a class folder.

Digits come in with their labels and are stored; pictures to train on go out.
"""

import contextlib
import errno
import hashlib
import io
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inkdigits.core.digits import CLASSES, DIGITS, PIXELS, SIDE, Pixels
from inkdigits.core.errors import BadData, BadValue, CannotWrite
from inkdigits.core.files import refuse_links_of_database, report_write_errors
from inkdigits.reading.page.find import Box
from inkdigits.reading.page.single import single
from inkdigits.reading.preprocessing.fields import as_is, to_field
from inkdigits.reading.symbols import Digit
from inkdigits.reading.trace import Trace

MAX_FILE = 1 << 30  # bytes; a correction takes 2 to 100 thousand
MAX_ROW = 1 << 20  # bytes of one correction that is read back; a crop has at most 307,200 pixels
LOCK_TIMEOUT = 1.0  # seconds for another program that has the file locked; a worker waits so long
APPLICATION_ID = 0x696E6B64  # "inkd" in the file's header, by which it is recognised as ours

CROP_MARGIN = 0.15  # of a digit's longer side, around it in the crop
MAX_CROP = 320  # pixels of its longer side; ten times what the network sees
MIN_OVERLAP = 0.5  # intersection over union from which a box names a digit

ROW_NUMBERS = ("rowid", "oid", "_rowid_")  # what SQLite calls the number of a row
LONGEST_QUOTE = 40  # characters of a stranger's value in a message

TABLE = """CREATE TABLE IF NOT EXISTS feedback (
    picture BLOB NOT NULL,  -- SHA-256 of what was sent
    box TEXT NOT NULL,  -- left,top,right,bottom of the digit, in pixels of the upright picture
    time TEXT NOT NULL,  -- of the label, UTC
    label INTEGER NOT NULL CHECK (label BETWEEN 0 AND 9),
    digit INTEGER NOT NULL,  -- what was read
    confidence REAL NOT NULL,
    model TEXT NOT NULL,
    field BLOB NOT NULL CHECK (length(field) = 784),  -- 28 rows of 28 pixels, paper 0 to ink 255
    crop BLOB NOT NULL,  -- the digit as it was written, PNG
    PRIMARY KEY (picture, box)) STRICT"""
STORE = """INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET label = excluded.label, time = excluded.time"""


@dataclass(frozen=True)
class Correction:
    """A digit of a picture, and what it is.

    sent: the bytes of the picture. label: 0 to 9. digit: what was read. crop: the digit as it was
    written, (H, W) or (H, W, 3) uint8. model: the name of the model that has read it.
    """

    sent: bytes
    label: int
    digit: Digit
    crop: Pixels
    model: str


class Feedback:
    """A file of corrections. It is safe to store some from several threads.

    Each call opens the file and closes it. So the file is whole between calls, can be read at any
    time, and is made anew if it is deleted.
    """

    def __init__(self, path: Path) -> None:
        """Create the file if need be, readable for this user only.

        Raises:
            CannotWrite: it cannot be written, or belongs to another program.
        """
        self._path = path.absolute()
        try:
            with self._open() as database:
                database.execute("BEGIN IMMEDIATE")  # fails now if the file cannot be written
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            advice = "choose a new file, or one that was made here"
            raise CannotWrite(f"cannot collect in {path}: {reason}; {advice}") from error

    def store(self, correction: Correction) -> int:
        """Store a correction. It replaces an earlier one of the same digit in the same picture.

        Returns:
            How many corrections there are.

        Raises:
            sqlite3.Error: with `sqlite_errorcode` SQLITE_FULL if the disk or the file is full.
            OSError: the file cannot be opened.
        """
        digit = correction.digit
        assert digit.image is not None
        row = (
            hashlib.sha256(correction.sent).digest(),
            ",".join(map(str, digit.box)),
            datetime.now(UTC).isoformat(" ", "seconds"),
            correction.label,
            digit.digit,
            digit.confidence,
            correction.model,
            digit.image.tobytes(),
            _encode_crop(correction.crop),
        )
        with self._open() as database:
            database.execute(STORE, row)
            return int(database.execute("SELECT count(*) FROM feedback").fetchone()[0])

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield the database in a transaction, of which everything is kept or nothing."""
        refuse_links_of_database(self._path)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        with contextlib.closing(sqlite3.connect(self._path, timeout=LOCK_TIMEOUT)) as database:
            _claim(database)
            database.execute("PRAGMA journal_mode = WAL")
            # What was acknowledged is kept, even if the machine loses its power.
            database.execute("PRAGMA synchronous = FULL")
            page_size = database.execute("PRAGMA page_size").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {MAX_FILE // page_size}")
            with database:
                database.execute(TABLE)
                yield database


def _claim(database: sqlite3.Connection) -> None:
    """Mark a new database as ours, and refuse one that another program has made."""
    if _is_ours(database):
        return

    if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise sqlite3.DatabaseError("it is a database of another program")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _is_ours(database: sqlite3.Connection) -> bool:
    """Tell whether a database was made here."""
    marked: int = database.execute("PRAGMA application_id").fetchone()[0]
    return marked == APPLICATION_ID


def _encode_crop(crop: Pixels) -> bytes:
    """Return a crop as a PNG file, made smaller if it is large."""
    image = Image.fromarray(crop)
    image.thumbnail((MAX_CROP, MAX_CROP))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Tell whether an error means that there is no room, on the disk or below MAX_FILE."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def find_correction(
    sent: bytes, trace: Trace, label: int, box: Box | None, model: str
) -> Correction:
    """Find the digit that is meant: the one at a box, or the only one of the picture.

    Args:
        sent: the bytes of the picture.
        trace: how the picture was read.
        label: what the digit is, 0 to 9.
        box: where it is, in pixels of the upright picture; None means the only digit.
        model: the name of the model that has read it.

    Raises:
        BadValue: there is no digit at the box, or without a box none or several.
    """
    digits = trace.reading.digits
    assert trace.picture is not None

    place = 0
    if box:
        overlaps = [_intersection_over_union(digit.box, box) for digit in digits]
        if max(overlaps, default=0) < MIN_OVERLAP:
            raise BadValue(f"the picture has no digit at {','.join(map(str, box))}")
        place = overlaps.index(max(overlaps))
    elif len(digits) != 1:
        hint = "where there are several, box says which one is meant"
        raise BadValue(f"the picture holds {len(digits)} digits; {hint}")

    x, y = trace.picture.scale
    left, top, right, bottom = digits[place].box
    left, right = round(left / x), round(right / x)
    top, bottom = round(top / y), round(bottom / y)
    margin = 1 + round(CROP_MARGIN * max(right - left, bottom - top))
    rows = slice(max(0, top - margin), bottom + margin)
    columns = slice(max(0, left - margin), right + margin)
    crop = np.ascontiguousarray(trace.picture.pixels[rows, columns])
    digit = digits[place]
    assert digit.image is not None
    if as_is(digit.image) is None:  # the page reader saw it centred by its box, and not by its mass
        digit = replace(digit, image=to_field(digit.image))

    return Correction(sent, label, digit, crop, model)


def _intersection_over_union(one: Box, other: Box) -> float:
    """Return how much two bounding boxes overlap, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0, width) * max(0, height)
    return common / max(1, _area(one) + _area(other) - common)


def _area(box: Box) -> int:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def export_feedback(file: Path, folder: Path) -> tuple[int, int]:
    """Write corrections as a class folder: `folder`/0 to 9, with a PNG of 28x28 pixels for each.

    The folder appears whole or not at all. The file is only read, and corrections may be stored
    meanwhile. It may be a stranger's: names of folders and pictures are made here, and not taken
    from it, and every picture is a new file.

    Args:
        file: the file of a `Feedback`.
        folder: the new folder.

    Returns:
        How many were written, and how many were left out because they would not be read from a PNG
        exactly as they were stored.

    Raises:
        BadData: the file is missing, damaged, empty or another program's, or it holds something
            that is no correction.
        CannotWrite: the folder exists and is not empty, or cannot be written.
    """
    if folder.is_symlink() or (folder.exists() and not _is_empty_folder(folder)):
        advice = "choose a new folder, or delete it first"
        raise CannotWrite(f"{folder} exists and is not empty; {advice}")

    corrections = _read_corrections(file)
    if not corrections:
        raise BadData(f"nothing has been collected in {file} yet")

    written = 0
    with report_write_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
        ) as temporary:
            beside = Path(temporary)
            for number, (label, field) in enumerate(corrections, start=1):
                written += _write_field(beside / DIGITS[label] / f"{number:06}.png", field)

            beside.chmod(0o755)
            beside.replace(folder)

    return written, len(corrections) - written


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _read_corrections(file: Path) -> list[tuple[int, Pixels]]:
    """Return the label, 0 to 9, and the field, (28, 28), of each correction."""
    if not file.is_file():
        raise BadData(f"no file {str(file)!r}")

    address = f"{file.absolute().as_uri()}?mode=ro"
    try:
        refuse_links_of_database(file)
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=LOCK_TIMEOUT)
        ) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW)
            _refuse_foreign(database)
            query = "SELECT rowid, label, field FROM feedback ORDER BY rowid"
            rows = _refuse_endless(database.execute(query), _most_rows(file))
            return [_check_correction(*row) for row in rows]
    except (sqlite3.Error, OSError, ValueError) as error:
        problem = "was not made by `inkdigits serve --collect`"
        raise BadData(f"{file} {problem}: {getattr(error, 'strerror', None) or error}") from error


def _refuse_foreign(database: sqlite3.Connection) -> None:
    """Refuse a database of another program, or one whose corrections are computed and not stored.

    It may be a stranger's, who computes for ever.

    Raises:
        sqlite3.DatabaseError: it is one.
    """
    if not _is_ours(database):
        raise sqlite3.DatabaseError("it is a database of another program")

    # Views and virtual tables have no page of their own, and may go on for ever.
    stored = "SELECT count(*) FROM sqlite_master WHERE name = 'feedback' AND rootpage > 0"
    if not database.execute(stored).fetchone()[0]:
        raise sqlite3.DatabaseError("it holds no table of corrections")

    for _, name, _, _, default, _, kind in database.execute("PRAGMA table_xinfo(feedback)"):
        if kind or default is not None or name.lower() in ROW_NUMBERS:
            raise sqlite3.DatabaseError(f"its column {_shorten(name)} is not simply stored")


def _most_rows(file: Path) -> int:
    """Return how many corrections a file and what is not merged into it yet can hold."""
    log = file.with_name(f"{file.name}-wal")
    size = file.stat().st_size + (log.stat().st_size if log.exists() else 0)
    return min(size, MAX_FILE) // PIXELS


def _refuse_endless(rows: Iterable[tuple[Any, ...]], most: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows without their numbers. Pages that lead to the same page would never end.

    Raises:
        ValueError: the numbers do not rise, or there are too many rows.
    """
    before = None
    for count, (number, *row) in enumerate(rows, start=1):
        if count > most or (before is not None and number <= before):
            raise ValueError("it is damaged: it has rows twice, or more than fit into it")

        before = number
        yield tuple(row)


def _check_correction(label: object, field: object) -> tuple[int, Pixels]:
    """Return the label and the field of a row.

    Raises:
        ValueError: they are something else.
    """
    if type(label) is not int or not 0 <= label < CLASSES:
        raise ValueError(
            f"a label is {_shorten(label)}, where a whole number from 0 to 9 should be"
        )
    if type(field) is not bytes or len(field) != PIXELS:
        raise ValueError(f"a field is not {PIXELS} bytes")

    return label, np.frombuffer(field, np.uint8).reshape(SIDE, SIDE)


def _shorten(value: object) -> str:
    """Return a stranger's value as it may be printed: quoted, escaped, and not long."""
    text = ascii(value)
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "..."


def _write_field(path: Path, field: Pixels) -> bool:
    """Write a field as a new picture. Return False, and write none, if it would be read otherwise.

    Raises:
        OSError: the picture exists, or cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(field).save(content, "PNG")
    if not np.array_equal(single(content.getvalue()), field):
        return False

    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as picture:
        picture.write(content.getvalue())

    return True
