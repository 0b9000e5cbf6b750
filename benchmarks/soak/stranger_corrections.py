"""Files of corrections of a stranger: labels that are paths, rows without end, no SQLite at all.

The tests and the soak both use them.
"""

import contextlib
import sqlite3
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.soak.stranger_files import ESCAPES, NO_FILES, Make
from inkdigits.service.feedback import APPLICATION_ID, TABLE

PRECIOUS = "../precious"
FIELD = "zeroblob(784)"  # a good one, as SQL
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
PAGE = 4096  # bytes
BAR = np.zeros((28, 28), np.uint8)  # as the network sees a 1
BAR[4:24, 12:16] = 255


def forge(file: Path, *statements: str, made_by: int = APPLICATION_ID) -> None:
    """Make a database that says that it is ours."""
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(f"PRAGMA application_id = {made_by}")
        for statement in statements:
            database.execute(statement)


def rows(*values: str, columns: str = "label, field") -> Make:
    """Return what makes a file with rows of values, in SQL, in a table of its own."""
    return partial(
        _make_rows,
        statements=[f"INSERT INTO feedback VALUES ({row})" for row in values],
        table=f"CREATE TABLE feedback ({columns})",
    )


def _make_rows(file: Path, statements: list[str], table: str) -> None:
    forge(file, table, *statements)


def labelled(label: str) -> Make:
    """Return what makes a file of one correction with a label, in SQL."""
    return rows(f"{label}, {FIELD}")


def made_of(*statements: str) -> Make:
    """Return what makes a file by statements."""
    return lambda file: forge(file, *statements)


def good(file: Path) -> None:
    """Make a file as the service does, with one correction for each digit."""
    forge(file, "PRAGMA page_size = 4096", TABLE)
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        for label in range(10):
            row = (b"%d" % label, "", "", label, 0, 0.5, "", BAR.tobytes(), b"")
            database.execute(f"INSERT INTO feedback VALUES ({', '.join('?' * 9)})", row)


def with_beside(ending: str, make: Make) -> Make:
    """Return what makes a good file, and something beside it where SQLite keeps its own."""

    def made(file: Path) -> None:
        good(file)
        make(file.with_name(file.name + ending))

    return made


def short(file: Path) -> None:
    """Make a file of rows that take a few bytes, and 784 when they are read."""
    rows(*["7"] * 100_000, columns="label")(file)
    forge(file, f"ALTER TABLE feedback ADD COLUMN field BLOB DEFAULT x'{bytes(784).hex()}'")


def disguised(file: Path) -> None:
    """Make a file with a view that the list of tables says to be a table."""
    forge(file, "CREATE TABLE other (label, field)")
    view = (
        f"CREATE VIEW feedback AS {ENDLESS} SELECT i AS rowid, 7 AS label, {FIELD} AS field FROM n"
    )
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_master SET name = 'feedback', tbl_name = 'feedback', sql = ?", [view]
        )


def repeated(file: Path) -> None:
    """Make a file of some pages that each lead to one other 300 times: rows without end."""
    forge(
        file,
        "PRAGMA page_size = 4096",
        "CREATE TABLE feedback (label, field)",
        *(f"INSERT INTO feedback VALUES (7, {FIELD})" for _ in range(4)),
    )
    content = bytearray(file.read_bytes())
    root = PAGE  # the second page: the only one of the table, a leaf
    leaf = bytes(content[root : root + PAGE])
    depth = 8
    first = len(content) // PAGE + 1  # the number of the next page
    pages = []
    for level in range(depth):
        below = first + level + 1
        pages.append(_inner(below))
    pages.append(leaf)
    content[root : root + PAGE] = _inner(first)
    content += b"".join(pages)
    struct.pack_into(">I", content, 28, len(content) // PAGE)  # pages in the file
    file.write_bytes(content)


def _inner(below: int, cells: int = 300) -> bytes:
    """Return an inner page of a table, all of whose cells lead to the same page."""
    cell = struct.pack(">I", below)
    page = bytearray(PAGE)
    place = PAGE
    pointers = []
    for number in range(cells):
        content = cell + _varint(number + 1)
        place -= len(content)
        page[place : place + len(content)] = content
        pointers.append(place)

    struct.pack_into(">BHHHBI", page, 0, 5, 0, cells, place, 0, below)
    struct.pack_into(f">{cells}H", page, 12, *pointers)
    return bytes(page)


def _varint(number: int) -> bytes:
    """Return a number as SQLite has it: seven bits a byte, the highest first."""
    return bytes([number >> 7 | 128, number & 127])


def crowded(file: Path) -> None:
    """Make a file of very many tables."""
    forge(file, *(f"CREATE TABLE t{number} (a)" for number in range(2_000)))


def cut(file: Path) -> None:
    """Make a file without its second half."""
    good(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _outside(file: Path) -> Path:
    """Return the path of a picture in a folder that nothing may touch."""
    return (file.parent / PRECIOUS).resolve() / "000001"


def computed(file: Path) -> None:
    """Make a file of columns that are not stored: a row takes a tenth of a second to compute."""
    dear = "hex(zeroblob(200000))"
    for _ in range(8):
        dear = f"replace(replace({dear}, '0', '1'), '1', '0')"

    stored = [f"INSERT INTO feedback VALUES ({number})" for number in range(1000)]
    label = f"label INTEGER AS (7 + 0 * length({dear}))"
    forge(file, "CREATE TABLE feedback (number)", *stored)
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        table = f"CREATE TABLE feedback (number, {label}, field BLOB AS ({FIELD}))"
        database.execute("UPDATE sqlite_master SET sql = ?", [table])


def good_with_trigger(file: Path) -> None:
    """Write a file of our own, with a trigger that never ends."""
    good(file)
    never = f"CREATE TRIGGER evil BEFORE UPDATE ON feedback BEGIN {ENDLESS} SELECT i FROM n; END"
    forge(file, never)


CORRECTIONS: Mapping[str, Make] = {
    "a label that is a path": lambda file: labelled(f"'{_outside(file)}'")(file),
    "a label that leads upwards": labelled("'../../precious'"),
    "a number that is a path": lambda file: rows(
        f"'{_outside(file)}', 7, {FIELD}", columns="rowid, label, field"
    )(file),
    "a label of 10": labelled("10"),
    "a label of -1": labelled("-1"),
    "a label of 7.0": labelled("7.0"),
    "a label of 9,223,372,036,854,775,807": labelled("9223372036854775807"),
    "a label that is text": labelled("'7'"),
    "a label that is a digit elsewhere": labelled("'٣'"),
    "a label that is nothing": labelled("NULL"),
    "a label that is bytes": labelled("x'37'"),
    "a label of escapes": labelled(f"CAST(x'{ESCAPES.encode().hex()}' AS TEXT)"),
    "a label of a megabyte": labelled("hex(zeroblob(500000))"),
    "a field of 783 bytes": rows("7, zeroblob(783)"),
    "a field that is text": rows("7, hex(zeroblob(392))"),
    "a field that is nothing": rows("7, NULL"),
    "a field of 2 MB": rows("7, zeroblob(2000000)"),
    "a field of 50 MB": rows("7, zeroblob(50000000)"),
    "other columns": rows("7", columns="other"),
    "no rows": rows(),
    "no table": made_of(),
    "an endless view": made_of(
        f"CREATE VIEW feedback AS {ENDLESS} SELECT i AS rowid, 7 AS label, {FIELD} AS field FROM n"
    ),
    "a virtual table": made_of("CREATE VIRTUAL TABLE feedback USING fts5(label, field)"),
    "computed columns": computed,
    "rows without end": repeated,
    "rows of two bytes": short,
    "a view that is said to be a table": disguised,
    "2,000 tables": crowded,
    "a file of another program": lambda file: forge(file, TABLE, made_by=1),
    "a file of no program": lambda file: forge(file, TABLE, made_by=0),
    "text": lambda file: file.write_text("Dear reader, " * 1000),
    "half a file": cut,
    **NO_FILES,
    **{
        f"{name} as {ending}": with_beside(ending, make)
        for ending in ("-journal", "-wal", "-shm")
        for name, make in NO_FILES.items()
    },
    **{
        f"a link to a letter as {ending}": with_beside(
            ending, lambda path: path.symlink_to(f"{PRECIOUS}/letter.txt")
        )
        for ending in ("-journal", "-wal", "-shm")
    },
    "our own file": good,
    "our own file with a strange name": good,
    "our own file with a trigger": good_with_trigger,
}

HARMLESS = {
    "our own file",
    "our own file with a strange name",
    "our own file with a trigger",
    *(
        f"{size} as {ending}"
        for size in ("nothing", "a gigabyte of nothing")
        for ending in ("-journal", "-wal", "-shm")
    ),
}
STRANGE_NAMES = {"our own file with a strange name": f"{ESCAPES}?mode=rwc#%41"}
