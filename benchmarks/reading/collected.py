"""Sheets of boxes that are printed, filled in, photographed and collected again.

    python -m benchmarks.reading.collected                                 print the figures
    python -m benchmarks.reading.collected --write docs/train-your-own.md  put them into the page

Each sheet is filled in by a new hand and pen, half of the hands with MNIST's validation digits and
half with strokes of our own; some boxes stay empty. It is bent a little, lies on a table in uneven
light, and is photographed by hand, at any of four turns. Every picture that `collect` cuts out is
compared with what was written, at the place where it was written.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import command_line, in_words, machine, spread, table, write_between
from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadPicture
from inkdigits.data.datasets import load_dataset
from inkdigits.data.sheets.collecting import read_number
from inkdigits.data.sheets.cutting import Cell, cut_sheet
from inkdigits.data.sheets.layout import PLACES, Rectangle, digit_box, writer_box
from inkdigits.data.sheets.printing import draw_sheet
from inkdigits.data.splits import Split
from inkdigits.data.synthetic.glyphs import DIGIT_GLYPHS, parse
from inkdigits.data.synthetic.pages import camera, paper
from inkdigits.data.synthetic.pages.paper import Layer, Photo, Points
from inkdigits.data.synthetic.pages.scene import GRAPHITE, INKS, PAPERS, TABLES
from inkdigits.data.synthetic.pages.writing import Hand, Pen, draw, from_mnist, random_hand, varied

SEED = 20_261_202  # on the sheets of 20_261_201 a letter was found to look like a marker
SHEETS = 20
SCALE = 8.0  # pixels a millimetre of the drawn sheet
EMPTY = 0.1  # share of the boxes
TALL = (7.0, 13.0)  # millimetres of a digit; a box is 18 high
PENS = (
    Pen("ball pen", 0.05, 0.2, 0.1, 0.95),
    Pen("pencil", 0.06, 0.3, 0.3, 0.7),
    Pen("felt tip", 0.12, 0.2, 0.0, 0.97),
    Pen("fountain pen", 0.07, 0.6, 0.0, 0.95),
)
TONER = (0.1, 0.1, 0.1)
FULL = 0.95  # of a box, the most that a digit takes across or down
AROUND = 6.0  # millimetres around a box in which its picture is looked for
PRINTED = 200  # of 255; less is printed
SHOWN = 1000  # pixels of the longer side of the photo in docs
GAP = 10  # pixels between the parts of that picture
MOST_INK = 0.9  # of a digit that has to be in its picture


Ink = tuple[Layer, int, int]  # of a digit, and the left and top of it on the sheet


@dataclass(frozen=True)
class Filled:
    """A sheet as it was filled in and photographed.

    Attributes:
        photo: the bytes of a JPEG.
        number: the writer's.
        inks: of the boxes that are not empty, (row, place) -> the layer's part and where it begins.
        matrix: from the bent sheet, in its pixels, to the photo.
        bend: pixels by which the middle of the sheet is seen lower than its sides.
    """

    photo: bytes
    number: str
    inks: dict[tuple[int, int], Ink]
    matrix: camera.Homography
    bend: float


def fill_sheet(rng: Generator, digits: Split | None, empty: float = EMPTY) -> Filled:
    """Print a sheet, fill it in and photograph it.

    Args:
        rng: draws everything.
        digits: MNIST's, to write with beside strokes of our own; None for those alone.
        empty: share of the boxes that stay empty.
    """
    print_layer = 1 - np.asarray(draw_sheet(SCALE), np.float32) / 255
    hand = random_hand(rng, mnist=0.5 if digits else 0.0)
    pen = PENS[rng.integers(len(PENS))]
    write = partial(_written, hand=hand, pen=pen, digits=digits, rng=rng)
    typical = SCALE * rng.uniform(*TALL)
    boxes = {
        (digit, place): digit_box(digit, place)
        for digit in range(len(DIGITS))
        for place in range(PLACES)
        if rng.random() >= empty
    }
    inks = {key: _in_box(key[0], box, typical, hand, write, rng) for key, box in boxes.items()}
    number = str(rng.integers(1, 100))
    own = [
        _in_box(int(digit), writer_box(place), typical, hand, write, rng)
        for place, digit in enumerate(number)
    ]
    ink_layer = np.zeros_like(print_layer)
    for ink, x, y in [*inks.values(), *own]:
        place = ink_layer[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(place, ink, out=place)

    colour = GRAPHITE if pen.name == "pencil" else INKS[rng.integers(len(INKS))]
    sheet = paper.sheet(
        print_layer.shape, PAPERS[rng.integers(len(PAPERS))], rng.uniform(0.004, 0.015), rng
    )
    sheet = paper.printed(paper.printed(sheet, print_layer, TONER), ink_layer, colour)
    bend = SCALE * rng.normal(0, 1.0)
    photo, matrix = _photographed(_bent(sheet, bend), rng)
    pixels = camera.developed(photo)
    for _ in range(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1])):
        to_the_left = np.array([[0, 1, 0], [-1, 0, pixels.shape[1]], [0, 0, 1]])
        matrix = to_the_left @ matrix
        pixels = np.rot90(pixels)

    file = camera.encoded(np.ascontiguousarray(pixels), int(rng.integers(60, 95)))
    return Filled(file, number, inks, matrix, bend)


def _in_box(
    digit: int,
    box: Rectangle,
    typical: float,
    hand: Hand,
    write: Callable[[int, float], Layer],
    rng: Generator,
) -> Ink:
    """Write a digit into a box, mostly into its middle."""
    room = SCALE * np.array([box.right - box.left, box.bottom - box.top])
    tall = typical * float(np.clip(rng.normal(1, hand.unevenness), 0.8, 1.2))
    ink = write(digit, tall)
    too_large = (np.array(ink.shape[::-1]) / (FULL * room)).max()
    if too_large > 1:  # people write smaller in a box
        ink = write(digit, tall / too_large)

    spare = room - ink.shape[::-1]
    shift = spare * np.clip(rng.normal(0.5, 0.2, 2), 0, 1)  # may touch the frame
    corner = SCALE * np.array([box.left, box.top])
    x, y = np.rint(corner + shift).astype(int).tolist()
    return ink, x, y


def _written(
    digit: int, tall: float, hand: Hand, pen: Pen, digits: Split | None, rng: Generator
) -> Layer:
    """Return the ink of a digit."""
    if digits is not None and hand.mnist:
        image = digits.images[rng.choice(np.flatnonzero(digits.labels == digit))]
        return from_mnist(image, tall, pen, rng)

    glyph = varied(parse(DIGIT_GLYPHS[digit][hand.styles[digit]]), hand, rng)
    return draw(glyph, tall, pen, rng)


def _bent(sheet: Photo, bend: float) -> Photo:
    """Return a sheet whose middle is seen lower than its sides."""
    height, width = sheet.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    down = _sag(x + 0.5, width, bend).astype(np.float32)
    return cv2.remap(sheet, x, y - down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _sag(x: NDArray[Any], width: int, bend: float) -> NDArray[Any]:
    return bend * np.sin(np.pi * x / width)


def _photographed(sheet: Photo, rng: Generator) -> tuple[Photo, camera.Homography]:
    """Photograph a sheet on a table, and return where its points are in the photo."""
    height, width = sheet.shape[:2]
    around = round(rng.uniform(0.06, 0.3) * width)
    colour = TABLES[rng.integers(len(TABLES))]
    table_top = paper.wood((height + around, width + around), colour, rng)
    skew = min(0.5 * around, rng.uniform(0.02, 0.08) * width)
    photo, matrix = camera.on_table(sheet, table_top, skew, rng)

    photo = camera.uneven(photo, rng.uniform(0.05, 0.5), rng)
    if rng.random() < 0.4:
        photo = camera.shaded(photo, rng.uniform(0.1, 0.4), rng)
    tint = tuple(np.clip(rng.normal(1, 0.04, 3), 0.85, 1.1).tolist())
    photo = camera.exposed(photo, rng.uniform(0.6, 1.05), tint)

    tall = int(rng.integers(1400, 3000))
    scale = tall / photo.shape[0]
    photo = cv2.resize(photo, (round(photo.shape[1] * scale), tall), interpolation=cv2.INTER_AREA)
    matrix = np.diag([photo.shape[1] / table_top.shape[1], tall / table_top.shape[0], 1]) @ matrix
    photo = camera.blurred(photo, rng.uniform(0.4, 1.5) * tall / 2000)
    if rng.random() < 0.15:
        photo = camera.shaken(photo, rng.uniform(2, 4) * tall / 2000, rng)

    return camera.grainy(photo, rng.uniform(0.003, 0.02), rng), matrix


@dataclass
class Score:
    """How many boxes of some sheets were collected right.

    Attributes:
        sheets: how many were photographed.
        seen: how many of them were found in their photos.
        boxes: on the sheets.
        right: boxes in the right folder with most of their ink and no line, or left out and empty.
        missing: filled boxes that were left out.
        surplus: empty boxes that were not.
        cut_off: pictures that lack more than a tenth of their ink.
        lines: pictures with a part of a printed line.
        each: right boxes of each sheet.
        numbers: writers' numbers that were read.
        numbers_wrong: that were read as another one.
    """

    sheets: int = 0
    seen: int = 0
    boxes: int = 0
    right: int = 0
    missing: int = 0
    surplus: int = 0
    cut_off: int = 0
    lines: int = 0
    each: list[int] = field(default_factory=list)
    numbers: int = 0
    numbers_wrong: int = 0

    def add(self, filled: Filled) -> None:
        """Collect a sheet, and compare it with what was written."""
        everything = len(DIGITS) * PLACES
        self.sheets += 1
        self.boxes += everything
        try:
            sheet = cut_sheet(filled.photo)
        except BadPicture:
            self.missing += len(filled.inks)
            self.each.append(0)
            return

        self.seen += 1
        number = read_number(sheet.number)
        self.numbers += number == filled.number
        self.numbers_wrong += number not in (None, filled.number)
        found = {(cell.digit, cell.place): cell for cell in sheet.cells}
        missing = len(filled.inks.keys() - found.keys())
        surplus = len(found.keys() - filled.inks.keys())
        faults = [_faults(found[key], filled) for key in found.keys() & filled.inks.keys()]
        right = everything - missing - surplus - sum(map(any, faults))

        self.missing += missing
        self.surplus += surplus
        self.cut_off += sum(cut for cut, _ in faults)
        self.lines += sum(line for _, line in faults)
        self.right += right
        self.each.append(right)


def _faults(cell: Cell, filled: Filled) -> tuple[bool, bool]:
    """Tell whether a picture lacks ink, and whether it shows a printed line."""
    ink, x, y = filled.inks[cell.digit, cell.place]
    box = digit_box(cell.digit, cell.place)
    left, top = (round(SCALE * (edge - AROUND)) for edge in box[:2])
    right, bottom = (round(SCALE * (edge + AROUND)) for edge in box[2:])
    inside = np.zeros((bottom - top, right - left), np.uint8)
    corners = _on_sheet(cell.corners, filled) - (left, top)
    cv2.fillConvexPoly(inside, np.rint(corners).astype(np.int32), 1)

    kept = ink * inside[y - top :, x - left :][: ink.shape[0], : ink.shape[1]]
    cut_off = kept.sum() < MOST_INK * ink.sum()
    has_line = (inside & _printed()[top:bottom, left:right]).any()
    return bool(cut_off), bool(has_line)


@cache
def _printed() -> NDArray[np.uint8]:
    """Return where something is printed on the sheet, (H, W), 1 or 0."""
    return (np.asarray(draw_sheet(SCALE)) < PRINTED).view(np.uint8)


def _on_sheet(points: Points, filled: Filled) -> Points:
    """Return where points of the photo are on the flat sheet, in its pixels."""
    backwards = np.linalg.inv(filled.matrix).astype(np.float64)
    places = camera.moved(points, backwards)
    sag = _sag(places[:, 0], _printed().shape[1], filled.bend)
    return np.column_stack([places[:, 0], places[:, 1] - sag])


def filled_sheets(count: int, digits: Split | None, seed: int = SEED) -> Iterator[Filled]:
    """Yield filled sheets, each by a new hand."""
    for number in range(count):
        yield fill_sheet(np.random.default_rng([seed, number]), digits)


def section(score: Score) -> str:
    """Return the figures as Markdown."""
    facts = in_words(machine("pillow", "numpy"))
    rows = (
        ("sheets, each by another hand", str(score.sheets)),
        ("found in their photos", f"{score.seen} of {score.sheets}"),
        ("boxes right", f"{score.right:,} of {score.boxes:,}, {score.right / score.boxes:.2%}"),
        ("boxes right of a sheet", f"{spread(score.each, '.0f')} of {len(DIGITS) * PLACES}"),
        ("filled boxes left out", f"{score.missing:,}"),
        ("empty boxes taken for filled ones", f"{score.surplus:,}"),
        ("pictures that lack a tenth of their ink or more", f"{score.cut_off:,}"),
        ("pictures with a printed line", f"{score.lines:,}"),
        ("writers' numbers read", f"{score.numbers} of {score.sheets}"),
        ("writers' numbers read as another", f"{score.numbers_wrong}"),
    )
    return "\n".join([*table(("drawn sheets", "figure"), rows), "", f"{facts}."])


def picture(filled: Filled) -> Image.Image:
    """Return a photo of a sheet with what is collected of it at the right."""
    photo = Image.open(io.BytesIO(filled.photo))
    photo.thumbnail((SHOWN, SHOWN))
    cells = cut_sheet(filled.photo).cells
    across, down = (max(cell.picture.shape[axis] for cell in cells) + GAP for axis in (1, 0))
    board = Image.new("RGB", (across * PLACES, down * len(DIGITS)), "white")
    for cell in cells:
        board.paste(Image.fromarray(cell.picture), (cell.place * across, cell.digit * down))

    board.thumbnail((SHOWN, photo.height))
    both = Image.new("RGB", (photo.width + GAP + board.width, photo.height), "white")
    both.paste(photo)
    both.paste(board, (photo.width + GAP, 0))
    return both


def main() -> None:
    """Collect the sheets, and print or write the figures."""
    parser = command_line(__doc__)
    parser.add_argument("--sheets", type=int, default=SHEETS, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="of all draws")
    options = parser.parse_args()

    score = Score()
    digits = load_dataset("mnist")["validation"]
    for number, filled in enumerate(filled_sheets(options.sheets, digits, options.seed)):
        score.add(filled)
        if options.write and number == 0:
            picture(filled).save(options.write.parent / "images" / "collected.jpg", quality=85)

    print(section(score))
    if options.write:
        write_between(options.write, "collected", section(score))


if __name__ == "__main__":
    main()
