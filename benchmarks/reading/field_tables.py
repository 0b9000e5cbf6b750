"""Real ledgers, sudokus and sums in several rows, read as tables: what comes out, what is wrong.

    python -m benchmarks.reading.field_tables                  print the table
    python -m benchmarks.reading.field_tables --write docs     put it into labs.md

The truth has the digits of each row, without signs and without columns, so that only the rows can
be compared. Nothing was learned from these pictures.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path

from benchmarks.common import command_line, in_words, machine, table, write_between
from benchmarks.handwriting.truth import read_truth
from inkdigits.data.store import default_data_dir
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.tables import Table

PICTURES = "field"  # beside the datasets
MOST_SHOWN = 3  # differences of a picture


def digits_of(found: Table) -> list[str]:
    """Return the digits in each row of a table."""
    rows = ["".join(cell.written for cell in row if cell) for row in found.rows]
    return ["".join(filter(str.isdigit, row)) for row in rows]


def differences(written: Sequence[str], read: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the digits of rows, first row first."""
    if len(written) != len(read):
        yield f"{len(read)} rows, {len(written)} are written"
        return

    for place, (row, other) in enumerate(zip_longest(written, read), start=1):
        matcher = SequenceMatcher(a=row, b=other, autojunk=False)
        for kind, start, end, left, right in matcher.get_opcodes():
            if kind == "insert":
                yield f"row {place}: {other[left:right]} too many"
            elif kind == "delete":
                yield f"row {place}: {row[start:end]} is missing"
            elif kind == "replace":
                yield f"row {place}: {row[start:end]} read as {other[left:right]}"


def picture_row(file: str, medium: str, written: Sequence[str], found: Table) -> list[object]:
    """Return a picture's row of the table."""
    read = digits_of(found)
    right = sum(row == other for row, other in zip(written, read, strict=False))
    wrong = list(differences(written, read))
    shown = "; ".join(wrong[:MOST_SHOWN])
    if len(wrong) > MOST_SHOWN:
        shown += f"; {len(wrong) - MOST_SHOWN} more"

    return [
        Path(file).stem,
        medium,
        f"{len(found.rows)} x {found.width}",
        f"{right} of {len(written)}",
        shown or "nothing",
    ]


def main() -> None:
    """Read all pictures, and print or write what came out."""
    options = command_line(__doc__, write="the folder of the pages").parse_args()
    folder = default_data_dir() / PICTURES
    recogniser = Recogniser(threads=1)

    rows = []
    for picture in read_truth(folder, ("file", "kind", "content", "medium")):
        if picture["kind"] == "lines":
            found = recogniser.read(folder / picture["file"]).table()
            written = picture["content"].split("-")
            rows.append(picture_row(picture["file"], picture["medium"], written, found))

    head = ("picture", "what", "rows x columns read", "rows right", "wrong")
    text = "\n".join([*table(head, rows), "", f"{in_words(machine('onnxruntime'))}."])
    print(text)
    if options.write:
        write_between(options.write / "labs.md", "field tables", text)


if __name__ == "__main__":
    main()
