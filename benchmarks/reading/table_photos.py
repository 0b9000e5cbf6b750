"""Photos of tables and of lines with signs, drawn as training never draws them, and read.

    python -m benchmarks.reading.table_photos                   print the figures
    python -m benchmarks.reading.table_photos --write docs      put them into teachers.md, labs.md
    python -m benchmarks.reading.table_photos --keep DIR        keep each photo, and what is wrong

Tables of 5 x 4 to 12 x 8 cells, ruled and not, some cells empty; and lines of dates, amounts,
numbers below zero and times. Each is by a new hand of the page generator, half of them in MNIST's
validation digits, and photographed at an angle, in any light.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from pathlib import Path
from statistics import median

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.common import command_line, in_words, machine, table, tell, write_between
from benchmarks.reading.handwritten import (
    Writer,
    lay,
    photographed,
    random_writer,
    write,
    written_apart,
)
from inkdigits.core.digits import Pixels
from inkdigits.core.errors import InkdigitsError
from inkdigits.data.datasets import load_dataset
from inkdigits.data.splits import Split
from inkdigits.data.synthetic.pages import paper
from inkdigits.data.synthetic.pages.paper import Layer
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.tables import Cell

SEED = 20_261_202
TABLES = 20
PAGES = 30
SURE = 0.9  # confidence from which a cell is not looked at again
EMPTY = 0.12  # share of the cells
TABLE_DIGITS = (40, 72)  # pixels on the sheet, whose photo may be smaller
LINE_DIGITS = (48, 100)
RULES = ("grid", "none", "grid", "rows")  # one after another
BESIDE = 1.4  # digit heights that are free beside the widest number of a column, on both sides
MARGIN = 2.5  # digit heights around the writing, of which the camera may cut off one

Rows = list[list[str]]
COLUMNS = {  # what a column holds, with its share
    "mark": 0.4,
    "count": 0.3,
    "decimal": 0.2,
    "below zero": 0.1,
}


# ---- what is written


def number(kind: str, rng: Generator) -> str:
    """Return a number of a kind."""
    match kind:
        case "mark":
            return str(rng.integers(1, 21))
        case "count":
            return str(rng.integers(0, 2000))
        case "decimal":
            return f"{rng.uniform(0, 100):.1f}"
        case "below zero":
            return f"{rng.normal(0, 12):.1f}"
        case "date":
            day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(1990, 2027)
            return str(rng.choice([f"{day:02}/{month:02}/{year}", f"{day}.{month}.{year}"]))
        case "time":
            return f"{rng.integers(0, 24):02}:{rng.integers(0, 60):02}"
        case _:
            amount = rng.uniform(5, 9000)
            form = str(rng.choice(["{:.2f}", "{:,.2f}", "-{:.2f}"]))
            return form.format(amount)


def random_table(rng: Generator) -> Rows:
    """Return rows of 4 to 8 cells, none of which and no column of which is empty as a whole."""
    height, width = int(rng.integers(5, 13)), int(rng.integers(4, 9))
    kinds = rng.choice(list(COLUMNS), size=width, p=list(COLUMNS.values()))
    rows = [[number(kind, rng) for kind in kinds] for _ in range(height)]
    kept = [(row, row % width) for row in range(height)]
    kept += [(column % height, column) for column in range(width)]
    for row in range(height):
        for column in range(width):
            if rng.random() < EMPTY and (row, column) not in kept:
                rows[row][column] = ""

    return rows


def random_lines(rng: Generator) -> list[str]:
    """Return one to four lines."""
    kinds = rng.choice(["date", "time", "below zero", "amount"], size=rng.integers(1, 5))
    return [number(kind, rng) for kind in kinds]


# ---- how it is drawn


def draw_table(rows: Rows, rules: str, writer: Writer, rng: Generator) -> tuple[bytes, Pixels]:
    """Return the photo of a table: its file, and the picture that it shows.

    Args:
        rows: what is in its cells.
        rules: which lines are printed: "grid", "rows" or "none".
        writer: who writes.
        rng: draws everything that varies.
    """
    tall = writer.scene.height
    down = rng.uniform(1.6, 2.1) * tall
    cells = [[written_apart(text, writer, rng) for text in row] for row in rows]
    widest = [max(cell.shape[1] for cell in column) for column in zip(*cells, strict=True)]
    margin = MARGIN * tall
    edges = list(accumulate((width + BESIDE * tall for width in widest), initial=margin))
    height, width = round(2 * margin + down * len(rows)), round(edges[-1] + margin)

    ink = np.zeros((height, width), np.float32)
    for place, row in enumerate(cells):
        foot = round(margin + down * (place + 0.5) + tall)
        for cell, edge in zip(row, edges, strict=False):
            lay(ink, cell, round(edge + rng.uniform(0.25, 0.5) * tall), foot)

    across = margin + down * np.arange(len(rows) + 1)
    printed = None
    if rules != "none":
        columns = edges if rules == "grid" else []
        printed = _printed((height, width), across, edges, columns, writer)
    return photographed(ink, printed, writer, rng)


def _printed(
    size: tuple[int, int],
    rows: NDArray[np.floating],
    edges: Sequence[float],
    columns: Sequence[float],
    writer: Writer,
) -> Layer:
    """Return the printed lines of a table, between rows and, if any, between columns."""
    lines = [(edges[0], y, edges[-1], y) for y in rows]
    lines += [(x, rows[0], x, rows[-1]) for x in columns]
    return paper.segments(size, lines, writer.scene.print_width * writer.scene.height)


def draw_lines(lines: Sequence[str], writer: Writer, rng: Generator) -> tuple[bytes, Pixels]:
    """Return the photo of lines one below the other on blank paper: its file, and its picture."""
    tall = writer.scene.height
    down = writer.scene.pitch * tall
    margin = MARGIN * tall
    width = round(2 * margin + 1.3 * tall * max(map(len, lines)))
    ink: Layer = np.zeros((round(2 * margin + down * len(lines)), width), np.float32)
    ends = [
        write(ink, line, margin, margin + (place + 0.5) * down + 0.5 * tall, writer, rng)
        for place, line in enumerate(lines)
    ]
    return photographed(ink[:, : round(max(ends) + margin)], None, writer, rng)


# ---- how it is read


@dataclass
class Score:
    """How many cells of some photos were read right.

    Attributes:
        right: of each photo, the share of its cells.
        sure, sure_right: cells that need no look, and the right ones among them.
        wrong: what was written and read in a cell, with its confidence, of each photo.
    """

    cells: int = 0
    right_cells: int = 0
    shapes_right: int = 0
    sure: int = 0
    sure_right: int = 0
    right: list[float] = field(default_factory=list)
    wrong: list[list[str]] = field(default_factory=list)

    def add(self, written: Rows, picture: bytes, recogniser: Recogniser) -> None:
        """Read the photo of a table, and compare its cells with what was written."""
        found = recogniser.read(picture).table()
        self.shapes_right += len(found.rows) == len(written) and found.width == len(written[0])
        wrong = []
        for place, (row, read_row) in enumerate(zip_longest(written, found.rows, fillvalue=())):
            for column, (text, cell) in enumerate(zip_longest(row, read_row)):
                problem = self._add_cell(text or "", cell)
                if problem:
                    wrong.append(f"row {place + 1}, column {column + 1}: {problem}")

        count = sum(map(len, written))
        self.wrong.append(wrong)
        self.right.append(max(0.0, 1 - len(wrong) / count))

    def _add_cell(self, text: str, cell: Cell | None) -> str:
        """Count a cell, and return what is wrong with it."""
        read = cell.written if cell else ""
        is_sure = cell is None or cell.confidence >= SURE
        is_right = read == text
        self.cells += 1
        self.sure += is_sure
        self.right_cells += is_right
        self.sure_right += is_sure and is_right
        sure = f"{cell.confidence:.2f}" if cell else "-"
        return "" if is_right else f"{text} read {read} {sure}"

    def section(self) -> str:
        """Return the figures of a page."""
        spread = f"{min(self.right):.1%} to {max(self.right):.1%}, median {median(self.right):.1%}"
        rows = [
            ("photos of tables, each by another hand", len(self.right)),
            ("with all rows and columns found", f"{self.shapes_right} of {len(self.right)}"),
            ("cells right, signs included", _share(self.right_cells, self.cells)),
            ("cells right in a photo", spread),
            (f"cells at least {SURE:.0%} sure, or empty", _share(self.sure, self.cells)),
            ("of these right", _share(self.sure_right, self.sure)),
        ]
        return _section(rows)


@dataclass
class LineScore:
    """How many lines with signs were read exactly as they stand."""

    pages: int = 0
    pages_right: int = 0
    lines: int = 0
    lines_right: int = 0
    wrong: list[list[str]] = field(default_factory=list)

    def add(self, lines: Sequence[str], picture: bytes, recogniser: Recogniser) -> None:
        """Read the photo of some lines, and compare them with what was written."""
        read = (recogniser.read(picture).written or "").split("\n")
        wrong = [
            f"{line} read {other}"
            for line, other in zip_longest(lines, read, fillvalue="")
            if line != other
        ]
        self.pages += 1
        self.pages_right += not wrong
        self.lines += len(lines)
        self.lines_right += sum(line == other for line, other in zip(lines, read, strict=False))
        self.wrong.append(wrong)

    def section(self) -> str:
        """Return the figures of a page."""
        rows = [
            ("photos of one to four lines, each by another hand", self.pages),
            ("read exactly, all lines and signs", _share(self.pages_right, self.pages)),
            ("lines read exactly", _share(self.lines_right, self.lines)),
        ]
        return _section(rows)


def _section(rows: Sequence[tuple[str, object]]) -> str:
    facts = in_words(machine("onnxruntime"))
    return "\n".join([*table(("drawn photos", "figure"), rows), "", f"{facts}."])


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}, {part / max(1, whole):.1%}"


def tables(count: int, digits: Split | None) -> Iterator[tuple[Rows, bytes]]:
    """Yield tables, and the photo of each."""
    for place in range(count):
        rng = np.random.default_rng([SEED, 0, place])
        rows = random_table(rng)
        writer = random_writer(rng, digits, TABLE_DIGITS)
        yield rows, draw_table(rows, RULES[place % len(RULES)], writer, rng)[0]


def pages(count: int, digits: Split | None) -> Iterator[tuple[list[str], bytes]]:
    """Yield some lines, and the photo of them."""
    for place in range(count):
        rng = np.random.default_rng([SEED, 1, place])
        lines = random_lines(rng)
        writer = random_writer(rng, digits, LINE_DIGITS)
        yield lines, draw_lines(lines, writer, rng)[0]


def _keep(folder: Path | None, name: str, picture: bytes, wrong: Sequence[str]) -> None:
    """Keep a photo, and what is wrong with it, in a folder if there is one."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        suffix = ".jpg" if picture[:2] == b"\xff\xd8" else ".png"
        (folder / f"{name}{suffix}").write_bytes(picture)
        (folder / f"{name}.txt").write_text("\n".join(wrong) + "\n")


def mnist_digits() -> Split | None:
    """Return MNIST's validation digits, or None where MNIST is not at hand."""
    try:
        return load_dataset("mnist")["validation"]
    except InkdigitsError as error:
        tell(f"all hands write in strokes of ours: {error}")
        return None


def main() -> None:
    """Read all photos, and print or write the figures."""
    parser = command_line(__doc__, write="the folder of the pages")
    parser.add_argument("--tables", type=int, default=TABLES, metavar="N")
    parser.add_argument("--pages", type=int, default=PAGES, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep photos and errors here")
    options = parser.parse_args()
    recogniser = Recogniser(threads=1)
    digits = mnist_digits()

    score = Score()
    for rows, picture in tables(options.tables, digits):
        score.add(rows, picture, recogniser)
        _keep(options.keep, f"table-{len(score.right):02}", picture, score.wrong[-1])
        tell(f"table {len(score.right)}: {len(score.wrong[-1])} cells wrong")

    line_score = LineScore()
    for lines, picture in pages(options.pages, digits):
        line_score.add(lines, picture, recogniser)
        _keep(options.keep, f"lines-{line_score.pages:02}", picture, line_score.wrong[-1])
        tell(f"lines {line_score.pages}: {len(line_score.wrong[-1])} wrong")

    for page, text in (("teachers", score.section()), ("labs", line_score.section())):
        print(f"{page}\n{text}\n", flush=True)
        if options.write:
            write_between(options.write / f"{page}.md", "photos", text)


if __name__ == "__main__":
    main()
