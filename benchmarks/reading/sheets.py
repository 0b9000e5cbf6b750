"""Sheets that people fill in, drawn and read: marks, a log, a form.

    python -m benchmarks.reading.sheets                      print the figures
    python -m benchmarks.reading.sheets --write docs         put them into the pages, with a picture

Each sheet is written by a new hand, in strokes of our own, on ruled paper under uneven light, and
photographed a little askew. Every cell is compared with what was written in it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import command_line, in_words, machine, table, write_between
from inkdigits.data.synthetic.glyphs import DIGIT_GLYPHS, parse
from inkdigits.data.synthetic.pages.writing import Hand, Pen, draw, random_hand, varied
from inkdigits.reading.recogniser import Recogniser

SEED = 20_261_130
SHEETS = 20
TALL = 34  # pixels of a digit: 4 mm at 200 dots an inch
ROW = 76
PEN = Pen("ball pen", width=0.09, variation=0.1)
SURE = 0.9  # confidence from which a cell is not looked at again
# What stands between digits: from where to where, in digit heights from the baseline and the left.
SIGNS = {
    ".": ((0.12, -0.02), (0.15, 0.0)),
    ",": ((0.2, -0.08), (0.08, 0.16)),
    "-": ((0.05, -0.45), (0.45, -0.47)),
    "/": ((0.42, -1.0), (0.08, 0.1)),
}
COLONS = ((0.14, -0.62), (0.14, -0.2))

Rows = list[list[str]]


@dataclass(frozen=True)
class Kind:
    """A kind of sheet.

    Attributes:
        page: of docs, without `.md`.
        widths: pixels of its columns, by what is in them.
        fill: returns what is written in its cells, "" in an empty one.
    """

    page: str
    widths: dict[str, int]
    fill: Callable[[Generator], Rows]


def _marks(rng: Generator) -> Rows:
    """Return a class: a number, and three marks of 20, of which some are missing."""

    def mark() -> str:
        return "" if rng.random() < 0.1 else str(rng.integers(1, 21))

    return [[str(101 + row), mark(), mark(), mark()] for row in range(10)]


def _log(rng: Generator) -> Rows:
    """Return a log: date, time, temperature, and a count."""
    return [
        [
            f"{rng.integers(1, 29):02}/{rng.integers(1, 13):02}",
            f"{rng.integers(0, 24):02}:{rng.integers(0, 60):02}",
            f"{rng.normal(4, 12):.1f}",
            str(rng.integers(10, 3000)),
        ]
        for _ in range(9)
    ]


def _form(rng: Generator) -> Rows:
    """Return a form: a customer's number, a date, amounts."""
    return [
        [str(rng.integers(10**7, 10**8))],
        [f"{rng.integers(1, 29):02}/{rng.integers(1, 13):02}/{rng.integers(1990, 2027)}"],
        *([f"{rng.uniform(5, 9000):.2f}"] for _ in range(4)),
    ]


KINDS = (
    Kind("teachers", {"numbers": 190, "first marks": 160, "second": 160, "third": 160}, _marks),
    Kind("labs", {"dates": 230, "times": 230, "temperatures": 210, "counts": 210}, _log),
    Kind("offices", {"fields": 480}, _form),
)


def draw_sheet(rows: Rows, widths: Iterable[int], rng: Generator) -> NDArray[np.uint8]:
    """Return a photo of a filled sheet, (H, W) uint8."""
    hand = random_hand(rng, mnist=0)
    left, top = 60, 60
    edges = list(accumulate(widths, initial=left))
    height, width = 2 * top + ROW * len(rows), edges[-1] + left
    paper = np.full((height, width), 232, np.float32)
    for line in range(len(rows) + 1):
        cv2.line(paper, (left, top + ROW * line), (edges[-1], top + ROW * line), 150.0, 1)
    for edge in edges:
        cv2.line(paper, (edge, top), (edge, height - top), 150.0, 1)

    ink = np.zeros_like(paper)
    for number, row in enumerate(rows):
        for text, edge in zip(row, edges, strict=False):
            _write(ink, text, edge + 24, top + ROW * number + 56, hand, rng)

    pen = rng.uniform(30, 80)
    light = np.linspace(1, rng.uniform(0.75, 1.05), width, dtype=np.float32)
    sheet = (paper * (1 - ink) + pen * ink) * light
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    askew = corners + rng.normal(0, 0.008 * width, (4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, askew)
    seen = cv2.warpPerspective(
        sheet, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return (seen + rng.normal(0, 3, seen.shape)).clip(0, 255).astype(np.uint8)


def _write(
    ink: NDArray[np.float32], text: str, x: int, baseline: int, hand: Hand, rng: Generator
) -> None:
    """Write a text into a layer of ink, 0 to 1."""
    width = int(PEN.width * TALL) - 1  # OpenCV's soft edges come on top
    for character in text:
        if character.isdigit():
            shape = DIGIT_GLYPHS[int(character)][hand.styles[int(character)]]
            digit = draw(varied(parse(shape), hand, rng), TALL, PEN, rng)
            tall, wide = digit.shape
            top = baseline - tall + int(rng.integers(-2, 3))
            place = ink[top : top + tall, x : x + wide]
            np.maximum(place, digit, out=place)
            x += wide + round(rng.uniform(0.12, 0.28) * TALL)
            continue

        strokes = [(dot, dot) for dot in COLONS] if character == ":" else [SIGNS[character]]
        for stroke in strokes:
            begin, end = np.rint(TALL * np.array(stroke) + (x, baseline)).astype(int).tolist()
            thickness = width + 2 if character in ".:" else width  # a pen rests on a dot
            cv2.line(ink, begin, end, 1.0, thickness, cv2.LINE_AA)
        x += round((0.7 if character in "-/" else 0.45) * TALL)


@dataclass
class Score:
    """How many cells of some sheets were read right."""

    sheets: int = 0
    cells: int = 0
    right: int = 0
    sure: int = 0
    sure_right: int = 0
    shapes_right: int = 0
    right_in: Counter[int] = field(default_factory=Counter)  # a column

    def add(self, written: Rows, picture: NDArray[np.uint8], recogniser: Recogniser) -> None:
        """Read a sheet, and compare its cells with what was written."""
        found = recogniser.read(picture).table()
        self.sheets += 1
        self.shapes_right += len(found.rows) == len(written) and found.width == len(written[0])
        for number, row in enumerate(written):
            cells = found.rows[number] if number < len(found.rows) else ()
            for place, text in enumerate(row):
                cell = cells[place] if place < len(cells) else None
                is_right = (cell.written if cell else "") == text
                is_sure = cell is None or cell.confidence >= SURE
                self.cells += 1
                self.right += is_right
                self.right_in[place] += is_right
                self.sure += is_sure
                self.sure_right += is_sure and is_right

    def rows(self, columns: Iterable[str]) -> list[tuple[str, str]]:
        """Return the rows of a table of figures, with what the columns hold."""
        each = self.cells // len(self.right_in)
        by_column = [
            (f"{name} right", _share(self.right_in[place], each))
            for place, name in enumerate(columns)
        ]
        return [
            ("sheets, each by another hand", str(self.sheets)),
            ("with all rows and columns found", f"{self.shapes_right} of {self.sheets}"),
            ("cells right, signs included", _share(self.right, self.cells)),
            *(by_column if len(by_column) > 1 else ()),
            (f"cells at least {SURE:.0%} sure, or empty", _share(self.sure, self.cells)),
            ("of these right", _share(self.sure_right, self.sure)),
        ]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}, {part / max(1, whole):.1%}"


def measure(kind: Kind, sheets: int, recogniser: Recogniser) -> tuple[Score, NDArray[np.uint8]]:
    """Return the score of sheets of a kind, and the first of them."""
    score = Score()
    pictures = []
    for number in range(sheets):
        rng = np.random.default_rng([SEED, KINDS.index(kind), number])
        written = kind.fill(rng)
        picture = draw_sheet(written, kind.widths.values(), rng)
        score.add(written, picture, recogniser)
        pictures.append(picture)

    return score, pictures[0]


def section(kind: Kind, score: Score) -> str:
    """Return the figures of a page."""
    facts = in_words(machine("onnxruntime"))
    lines = table(("drawn sheets", "figure"), score.rows(kind.widths))
    return "\n".join([*lines, "", f"{facts}."])


def main() -> None:
    """Measure all kinds, and print or write their figures."""
    parser = command_line(__doc__, write="the folder of the pages and their pictures")
    parser.add_argument("--sheets", type=int, default=SHEETS, metavar="N", help="of each kind")
    options = parser.parse_args()
    recogniser = Recogniser(threads=1)
    for kind in KINDS:
        score, picture = measure(kind, options.sheets, recogniser)
        print(f"{kind.page}\n{section(kind, score)}\n", flush=True)
        if options.write:
            Image.fromarray(picture).save(options.write / "images" / f"{kind.page}.jpg")
            write_between(options.write / f"{kind.page}.md", "sheets", section(kind, score))


if __name__ == "__main__":
    main()
