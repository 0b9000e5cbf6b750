"""What people say was read wrong: one SQLite file, and out of it a class folder to train on.

Takes digits with their labels; `Feedback` stores them, `export` writes them as pictures. Knows nothing of HTTP or networks.
"""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.errors import BadData, BadValue, CannotWrite
from inkdigits.reading.preprocessing import fields as preprocessing
from inkdigits.reading.preprocessing.candidate import Box
from inkdigits.reading.recogniser import Digit, Trace

MAX_FILE = 1 << 30  # bytes; a correction takes 2 to 100 thousand
PATIENCE = (
    1.0  # seconds for another program that has the file locked; a thread that reads waits so long
)
MARK = 0x696E6B64  # "ink" and a d in the file's header: a database of ours, and of no other program
MARGIN = 0.15  # of a digit's longer side, around it in the crop
LARGEST_CROP = 320  # pixels of its longer side; ten times what the network sees
SAME = 0.5  # intersection over union from which a box names a digit

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
    PRIMARY KEY (picture, box))"""
STORE = """INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET label = excluded.label, time = excluded.time"""


@dataclass(frozen=True)
class Correction:
    """A digit of a picture, and what it is. sent: the picture's bytes. crop: (H, W) or (H, W, 3) uint8, the digit as written."""

    sent: bytes
    label: int
    digit: Digit
    crop: NDArray[np.uint8]
    model: str


class Feedback:
    """A file that corrections are added to. Safe to call from several threads: each call opens the file and closes it.

    So it is whole whenever nothing is written, and one that was deleted is made anew. It can be read at any time.
    """

    def __init__(self, path: Path) -> None:
        """Makes the file, for this user only, if need be. Raises CannotWrite."""
        self._path = path.absolute()
        try:
            with self._opened() as database:
                database.execute(
                    "BEGIN IMMEDIATE"
                )  # so that a file that cannot be written is known now
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise CannotWrite(
                f"cannot collect in {path}: {reason}; choose a new file, or one that was made here"
            ) from error

    def store(self, correction: Correction) -> int:
        """Keep it, instead of an earlier one of the same digit in the same picture. Returns how many there are.

        Raises sqlite3.Error, with sqlite_errorcode SQLITE_FULL where the disk or the file is full, and OSError.
        """
        digit = correction.digit
        assert digit.image is not None
        crop, image = io.BytesIO(), Image.fromarray(correction.crop)
        image.thumbnail((LARGEST_CROP, LARGEST_CROP))
        image.save(crop, "PNG")
        what = (
            hashlib.sha256(correction.sent).digest(),
            ",".join(map(str, digit.box)),
            datetime.now(UTC).isoformat(" ", "seconds"),
        )
        read = (
            digit.digit,
            digit.confidence,
            correction.model,
            digit.image.tobytes(),
            crop.getvalue(),
        )
        with self._opened() as database:
            database.execute(STORE, (*what, correction.label, *read))
            return int(database.execute("SELECT count(*) FROM feedback").fetchone()[0])

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database in a transaction: all of it is kept, or nothing."""
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        with contextlib.closing(sqlite3.connect(self._path, timeout=PATIENCE)) as database:
            _check(database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(
                "PRAGMA synchronous = FULL"
            )  # who was thanked has been heard, whatever happens to the machine
            page = database.execute("PRAGMA page_size").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {MAX_FILE // page}")
            with database:
                database.execute(TABLE)
                yield database


def _check(database: sqlite3.Connection) -> None:
    """Refuse what another program has made; mark what is new. Raises sqlite3.DatabaseError."""
    if database.execute("PRAGMA application_id").fetchone()[0] == MARK:
        return
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise sqlite3.DatabaseError("it is a database of another program")
    database.execute(f"PRAGMA application_id = {MARK}")


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Whether there was no room, on the disk or below MAX_FILE."""
    codes = sqlite3.SQLITE_FULL, errno.ENOSPC, errno.EDQUOT, errno.EFBIG
    return (
        error.errno if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0)
    ) in codes


def corrected(sent: bytes, trace: Trace, label: int, box: Box | None, model: str) -> Correction:
    """The digit of a picture that is meant: the only one, or the one at the box. Raises BadValue where there is none such."""
    digits = trace.reading.digits
    assert trace.page is not None
    if box is None and len(digits) != 1:
        raise BadValue(
            f"the picture holds {len(digits)} digits; where there are several, box says which one is meant"
        )
    place = (
        max(range(len(digits)), key=lambda place: _overlap(digits[place].box, box), default=0)
        if box
        else 0
    )
    if box and (not digits or _overlap(digits[place].box, box) < SAME):
        raise BadValue(f"the picture has no digit at {','.join(map(str, box))}")
    left, top, right, bottom = trace.page.candidates[place].box
    margin = 1 + round(MARGIN * max(right - left, bottom - top))
    crop = trace.page.picture.pixels[
        max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin
    ]
    return Correction(sent, label, digits[place], np.ascontiguousarray(crop), model)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = (
        min(one[2], other[2]) - max(one[0], other[0]),
        min(one[3], other[3]) - max(one[1], other[1]),
    )
    common = max(0, width) * max(0, height)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (one, other)]
    return common / max(1, sum(areas) - common)


def export(file: Path, folder: Path) -> tuple[int, int]:
    """Write what was collected as a class folder, `folder`/0 to 9, a 28x28 PNG each. Returns how many, and how many were left out.

    Left out is what would not be read from its PNG exactly as it was stored. The folder appears whole or not at all; the file is
    only read, and may be collected in meanwhile. Raises BadData, CannotWrite.
    """
    if folder.is_symlink() or (
        folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    ):
        raise CannotWrite(
            f"{folder} exists and is not empty; choose a new folder, or delete it first"
        )
    fields = _stored(file)
    if not fields:
        raise BadData(f"nothing has been collected in {file} yet")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            written = sum(
                _write(beside / str(label) / f"{number:06}.png", field)
                for number, label, field in fields
            )
            beside.chmod(0o755)
            beside.replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {folder}: {error.strerror or error}; choose a place with room that is yours"
        ) from error
    return written, len(fields) - written


def _stored(file: Path) -> list[tuple[int, int, bytes]]:
    """(number, label, field) of every correction. Raises BadData."""
    try:
        if not file.is_file():
            raise BadData(f"no file {str(file)!r}")
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)
        ) as database:
            if database.execute("PRAGMA application_id").fetchone()[0] != MARK:
                raise sqlite3.DatabaseError("it is a database of another program")
            return database.execute(
                "SELECT rowid, label, field FROM feedback ORDER BY rowid"
            ).fetchall()
    except sqlite3.Error as error:
        raise BadData(
            f"{file} is no file that `inkdigits serve --collect` has made: {error}"
        ) from error


def _write(path: Path, field: bytes) -> bool:
    """Whether the field comes back from its picture as it is; only then it is left there."""
    path.parent.mkdir(exist_ok=True)
    image = np.frombuffer(field, np.uint8).reshape(28, 28)
    Image.fromarray(image).save(path)
    if np.array_equal(preprocessing.single(path), image):
        return True
    path.unlink()
    return False
