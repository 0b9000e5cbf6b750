"""Pages of handwriting with known content, as people scan, photograph and draw them: to train on, to test and to measure with.

Takes MNIST's digits and a seed; returns pictures with what is written in them and where, or a folder of them with a truth file.
The same seed gives the same pages, one by one, however many there are. Writing is writing.py's business, paper is paper.py's,
light and cameras are camera.py's; here is what gets written, how a page is laid out, and how pages differ.
"""

import csv
import io
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits import camera, paper, writing
from inkdigits.data import Split
from inkdigits.errors import BadValue, CannotWrite
from inkdigits.files import new_folder
from inkdigits.paper import Box, Colour, Layer, Picture
from inkdigits.writing import Hand, Ink, Pen

KINDS = {"single": 0.45, "crop": 0.1, "string": 0.3, "reject": 0.15}  # shares of the pages; a folder each, with an s
MEDIA = {"canvas": 0.25, "scan": 0.15, "photo": 0.4, "board": 0.12, "whiteboard": 0.08}
PAGES_A_WRITER = 10
LONGEST_SIDE = 1800  # pixels; a page that would be larger gets smaller writing

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
PAPERS: tuple[Colour, ...] = ((0.97, 0.97, 0.96), (0.93, 0.93, 0.92), (0.96, 0.93, 0.85), (0.85, 0.84, 0.8))
COLOURED: tuple[Colour, ...] = ((0.98, 0.92, 0.5), (0.98, 0.75, 0.8), (0.7, 0.9, 0.97), (0.75, 0.93, 0.7), (0.76, 0.62, 0.45))
INKS: tuple[Colour, ...] = ((0.08, 0.08, 0.1), (0.08, 0.12, 0.5), (0.1, 0.2, 0.65), (0.65, 0.08, 0.1), (0.05, 0.35, 0.2))
GRAPHITE: Colour = (0.28, 0.28, 0.3)
PRINTS: tuple[Colour, ...] = ((0.6, 0.7, 0.88), (0.72, 0.72, 0.74), (0.75, 0.65, 0.8), (0.9, 0.65, 0.6), (0.35, 0.35, 0.38))
BOARDS: tuple[Colour, ...] = ((0.13, 0.24, 0.18), (0.12, 0.12, 0.13), (0.16, 0.2, 0.24))
CHALKS: tuple[Colour, ...] = ((0.93, 0.93, 0.9), (0.95, 0.9, 0.55), (0.9, 0.65, 0.7))
TABLES: tuple[Colour, ...] = ((0.3, 0.18, 0.1), (0.12, 0.1, 0.09), (0.22, 0.22, 0.24), (0.42, 0.28, 0.17))


@dataclass(frozen=True)
class Mark:
    """One symbol to write. name: a digit, or a letter's or doodle's name. touching: the digit before it. struck: out, afterwards."""

    name: str
    touching: bool = False
    struck: bool = False

    @property
    def counts(self) -> bool:
        """Whether a reader should find it."""
        return self.name.isdigit() and not self.struck


@dataclass(frozen=True)
class Scene:
    """Everything about a page but what is written on it. What is None is not there.

    Lengths in px are of the sheet before it is photographed; those in heights are relative to the writing's.
    """

    pen: Pen
    height: int = 60  # px; of a digit
    margins: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # heights; left, top, right, bottom
    gap: float = 0.3  # heights; between digits
    pitch: float = 1.8  # heights; from one baseline to the next
    slope: float = 0.0  # of the baselines; positive falls
    ground: str = "plain"  # or "sheet", "board"
    paper: Colour = WHITE
    ink: Colour = BLACK
    texture: float = 0.02  # standard deviation of the paper's brightness
    print: str | None = None  # "ruled", "squared", "boxed", "combed" or "underlined" by hand
    print_colour: Colour = (0.6, 0.7, 0.88)
    print_width: float = 0.025  # heights
    squares: int = 1  # of squared paper, to a digit's height and the space above it
    show_through: float | None = None  # darkness of the other side's print, 0-1
    fold: float | None = None  # light lost at a crease, 0-1
    tilt: float = 0.0  # degrees; of the camera
    skew: float | None = None  # of the shorter side; how far corners move by perspective
    table: float | None = None  # of the shorter side; what is seen around the sheet
    table_colour: Colour = (0.3, 0.18, 0.1)
    uneven: float | None = None  # light missing at the darkest place, 0-1
    shadow: float | None = None  # light that it takes, 0-1
    glare: float | None = None  # light added, 0-1
    brightness: float = 1.0  # of white in the photo; above 1 it is overexposed
    tint: Colour = WHITE  # the light's colour, factors
    scale: float = 1.0  # of the photo; below 1 it has fewer pixels than the sheet was drawn with
    blur: float | None = None  # px of the photo; standard deviation
    shake: float | None = None  # px of the photo; length of the way
    grain: float | None = None  # standard deviation of a pixel, 0-1
    quality: int | None = None  # of the JPEG, 1-95; None is a PNG
    orientation: int = 1  # EXIF: how the camera was held; 1, 3, 6 or 8


@dataclass(frozen=True)
class Page:
    """A picture and what is in it.

    picture: (H, W, 3) uint8, what a viewer shows of `file`, a JPEG or PNG. kind: "single", "crop", "string" or "reject". content:
    the digits, rows joined by "-"; of a reject what it is. boxes: (left, top, right, bottom) in pixels of each digit's ink, in
    reading order.
    """

    picture: NDArray[np.uint8] = field(repr=False)
    kind: str
    content: str
    boxes: tuple[Box, ...]
    file: bytes = field(repr=False)
    writer: int = 0

    @property
    def suffix(self) -> str:
        """Of a file name."""
        return ".jpg" if self.file[:2] == b"\xff\xd8" else ".png"


def write_pages(out: Path, count: int, seed: int = 0, digits: Split | None = None) -> None:
    """Write `count` pages into the new folder `out`, whole or not at all: `inkdigits pages`.

    The folder holds singles/, crops/, strings/ and rejects/, files named by writer, and truth.csv with file, kind and content.
    digits: as for `generate`. Raises BadValue or CannotWrite.
    """
    if count < 1:
        raise BadValue(f"{count} pages make no sense; wanted is 1 or more")
    new_folder(out)
    aside = out.parent / f".{secrets.token_hex(4)}.{out.name}"
    try:
        aside.mkdir()
        rows = []
        for number, page in enumerate(generate(count, seed, digits), start=1):
            name = f"{page.kind}s/writer{page.writer:02d}-{number:03d}{page.suffix}"
            (aside / name).parent.mkdir(exist_ok=True)
            (aside / name).write_bytes(page.file)
            rows.append((name, page.kind, page.content))
        (aside / "truth.csv").write_text(_csv([("file", "kind", "content"), *sorted(rows)]))
        out.rmdir()
        aside.replace(out)
    except OSError as error:
        raise CannotWrite(f"cannot write {out}: {error.strerror or error}; choose a place with room that is yours") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def generate(count: int, seed: int = 0, digits: Split | None = None) -> Iterator[Page]:
    """`count` pages of all kinds, by a new writer every ten pages.

    digits: images to write with beside our own strokes, such as MNIST's training split; None: our own only.
    """
    for number in range(count):
        writer = number // PAGES_A_WRITER
        hand = writing.random_hand(np.random.default_rng([seed, 0, writer]), mnist=0.5 if digits else 0)
        rng = np.random.default_rng([seed, 1, number])
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        yield replace(random_page(kind, hand, digits, rng), writer=writer + 1)


def random_page(kind: str, hand: Hand, digits: Split | None, rng: np.random.Generator) -> Page:
    """One page of this kind by this hand. digits: as for `generate`; needed where the hand writes MNIST's."""
    content, rows = random_content(kind, rng)
    scene = random_scene(rng, single=kind in ("single", "reject"), columns=max((len(row) for row in rows), default=3))
    page = render(rows, scene, hand, digits, rng)
    if kind == "crop":
        page = _cropped(page, scene, rng)
    return replace(page, kind=kind, content=content or page.content)


# ---- what is written


def random_content(kind: str, rng: np.random.Generator) -> tuple[str, list[list[Mark]]]:
    """What a page of this kind says, "" where its digits say it all, and the rows of symbols to write."""
    if kind == "single":
        return "", [[_digit(rng)]]
    if kind == "crop":
        return "", [[_digit(rng) for _ in range(3)]]
    if kind == "string":
        return "", [_random_row(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4]))]
    return _random_reject(rng)


def _digit(rng: np.random.Generator, **marks: bool) -> Mark:
    return Mark(str(rng.integers(10)), **marks)


def _random_row(rng: np.random.Generator) -> list[Mark]:
    """Digits, of which some touch, some are struck out, and among which there may be a letter."""
    row = [_digit(rng) for _ in range(rng.integers(1, 9))]
    touches, struck, letters = rng.random(3) < (0.2, 0.1, 0.12)
    if touches:
        row = [replace(mark, touching=place > 0 and rng.random() < 0.4) for place, mark in enumerate(row)]
    if struck and not touches:
        row.insert(int(rng.integers(len(row) + 1)), _digit(rng, struck=True))
    if letters:
        row.insert(0 if touches else int(rng.integers(len(row) + 1)), Mark(_letter(rng)))
    return row


def _letter(rng: np.random.Generator) -> str:
    return str(rng.choice(list(writing.LETTERS)))


def _random_reject(rng: np.random.Generator) -> tuple[str, list[list[Mark]]]:
    kind = rng.choice(["blank", "letter", "word", "doodle", "scribble", "struck-out"], p=[0.2, 0.25, 0.1, 0.25, 0.1, 0.1])
    if kind == "blank":
        return "blank", []
    if kind == "letter":
        return f"letter-{(name := _letter(rng))}", [[Mark(name)]]
    if kind == "word":
        return "word", [[Mark(_letter(rng)) for _ in range(rng.integers(3, 7))]]
    if kind == "doodle":
        return f"doodle-{(name := str(rng.choice(list(writing.DOODLES))))}", [[Mark(name)]]
    return str(kind), [[Mark("scribble") if kind == "scribble" else _digit(rng, struck=True)]]


# ---- where it is written


@dataclass(frozen=True)
class Layout:
    """Ink on a sheet, in pixels. ink: (H, W). digits: per digit points (K, 2) around its ink; rows: how many are in each.

    cells: a box per symbol, of one height in a row. lines: a box per row, down to its baseline.
    """

    ink: Layer
    digits: tuple[NDArray[np.float64], ...]
    rows: tuple[str, ...]
    cells: tuple[Box, ...]
    lines: tuple[Box, ...]


def lay_out(rows: Sequence[Sequence[Mark]], scene: Scene, hand: Hand, digits: Split | None, rng: np.random.Generator) -> Layout:
    """Write rows of symbols, one below the other, onto as much sheet as they need."""
    height = scene.height
    written = [[_write(mark, height, scene.pen, hand, digits, rng) for mark in row] for row in rows]
    left, top, right, bottom = (round(margin * height) for margin in scene.margins)
    places = [_places(row, inks, scene, hand, rng) for row, inks in zip(rows, written, strict=True)]
    widest = max((xs[-1] + inks[-1].shape[1] for xs, inks in zip(places, written, strict=True)), default=2 * height)
    pitch = scene.pitch * height
    fall = scene.slope * widest
    baseline = top + height * 1.15 + max(0.0, -fall)
    size = left + widest + right, round(baseline + pitch * max(0, len(rows) - 1) + 0.15 * height + max(0.0, fall) + bottom)
    sheet = Layout(np.zeros((size[1], size[0]), np.float32), (), (), (), ())
    for number, (row, inks, xs) in enumerate(zip(rows, written, places, strict=True)):
        sheet = _written(sheet, row, inks, [left + x for x in xs], baseline + number * pitch, scene, hand, rng)
    return sheet


def _write(mark: Mark, height: int, pen: Pen, hand: Hand, digits: Split | None, rng: np.random.Generator) -> Ink:
    """One symbol's ink, not yet struck out."""
    tall = max(8.0, height * float(np.clip(rng.normal(1, hand.unevenness), 0.8, 1.2)))
    if mark.name == "scribble":
        return writing.draw(writing.scribble(rng), tall, pen, rng)
    if mark.name.isdigit() and digits is not None and rng.random() < hand.mnist:
        image = digits.images[rng.choice(np.flatnonzero(digits.labels == int(mark.name)))]
        return writing.from_mnist(image, tall, pen, rng)
    if mark.name.isdigit():
        shape = writing.DIGITS[int(mark.name)][hand.styles[int(mark.name)]]
    else:
        shape = (writing.LETTERS | writing.DOODLES)[mark.name]
    return writing.draw(writing.varied(writing.parse(shape), hand, rng), max(8.0, tall - pen.width * height), pen, rng)


def _places(row: Sequence[Mark], inks: Sequence[Ink], scene: Scene, hand: Hand, rng: np.random.Generator) -> list[int]:
    """The left edge of each symbol, the first at 0."""
    if scene.print in ("boxed", "combed"):
        cell = 0.35 * scene.height + max(max(ink.shape[1] for ink in inks), 0.7 * scene.height)
        middles = [cell * (place + 0.5 + rng.normal(0, hand.unevenness / 2)) for place in range(len(inks))]
        return [round(middle - ink.shape[1] / 2) for middle, ink in zip(middles, inks, strict=True)]
    xs = [0]
    for place in range(1, len(inks)):
        before, here = inks[place - 1], inks[place]
        gap = scene.gap * scene.height * max(0.4, rng.normal(1, 0.25))
        if row[place - 1].struck or row[place].struck:
            gap += 0.4 * scene.height
        xs.append(xs[-1] + (_until_touching(before, here) if row[place].touching else before.shape[1] + round(gap)))
    return xs


def _until_touching(before: Ink, here: Ink) -> int:
    """How far right of `before` one can put `here`, both on one baseline, so that their ink just overlaps."""
    height = min(before.shape[0], here.shape[0])
    left, right = before[-height:] > writing.SOLID / 2, here[-height:] > writing.SOLID / 2
    both = left.any(axis=1) & right.any(axis=1)
    if not both.any():
        return before.shape[1] // 2
    ends = left.shape[1] - left[:, ::-1].argmax(axis=1)
    return int(max((ends - right.argmax(axis=1))[both].max() - max(2, height // 40), before.shape[1] // 3))


def _written(
    sheet: Layout,
    row: Sequence[Mark],
    inks: Sequence[Ink],
    xs: Sequence[int],
    baseline: float,
    scene: Scene,
    hand: Hand,
    rng: np.random.Generator,
) -> Layout:
    """The sheet with one more row on it."""
    height, ink = scene.height, sheet.ink.copy()
    found, cells, said = [], [], ""
    for mark, shape, x in zip(row, inks, xs, strict=True):
        foot = baseline + scene.slope * (x - xs[0]) + rng.normal(0, hand.unevenness / 2) * height
        y = int(np.clip(foot - shape.shape[0], 0, ink.shape[0] - shape.shape[0]))
        _lay(ink, shape, x, y)
        if mark.struck:
            out = writing.crossing(shape.shape[1] / shape.shape[0], rng)
            strokes = writing.draw(out, shape.shape[0], scene.pen, rng)
            _lay(ink, strokes, x + (shape.shape[1] - strokes.shape[1]) // 2, y + (shape.shape[0] - strokes.shape[0]) // 2)
        if mark.counts:
            found.append(_outline(shape) + [x, y])
            said += mark.name
        cells.append((x, shape.shape[1]))
    line = (float(xs[0]), baseline - height, float(xs[-1] + inks[-1].shape[1]), baseline)
    return Layout(
        ink, (*sheet.digits, *found), (*sheet.rows, said), (*sheet.cells, *_cells(cells, line, scene)), (*sheet.lines, line)
    )


def _lay(layer: Layer, shape: Ink, x: int, y: int) -> None:
    """Add ink to the layer, as far as it lies inside."""
    left, top = max(0, x), max(0, y)
    inside = shape[top - y :, left - x :][: max(0, layer.shape[0] - top), : max(0, layer.shape[1] - left)]
    there = layer[top : top + inside.shape[0], left : left + inside.shape[1]]
    np.maximum(there, inside, out=there)


def _outline(shape: Ink) -> NDArray[np.float64]:
    """The corners of the convex hull of the ink, (K, 2)."""
    pixels = np.argwhere(shape > shape.max() * writing.SOLID)[:, ::-1]
    corners = np.concatenate([pixels, pixels + [1, 0], pixels + [0, 1], pixels + [1, 1]]).astype(np.int32)
    return np.asarray(cv2.convexHull(corners)[:, 0], np.float64)


def _cells(symbols: Sequence[tuple[int, int]], line: Box, scene: Scene) -> list[Box]:
    """A cell around each (left edge, width): its borders halfway to the neighbours."""
    room = 0.2 * scene.height
    middles = [(x + width + after) / 2 for (x, width), (after, _) in zip(symbols[:-1], symbols[1:], strict=True)]
    borders = [symbols[0][0] - room, *middles, symbols[-1][0] + symbols[-1][1] + room]
    return [(left, line[1] - room, right, line[3] + room) for left, right in zip(borders[:-1], borders[1:], strict=True)]


# ---- how it looks


def render(rows: Sequence[Sequence[Mark]], scene: Scene, hand: Hand, digits: Split | None, rng: np.random.Generator) -> Page:
    """Write the rows on the scene's sheet and take the picture. digits: images to write with, where the hand does."""
    layout = lay_out(rows, scene, hand, digits, rng)
    sheet = _with_ink(_with_print(_ground(layout, scene, rng), layout, scene, rng), layout, scene)
    photo, matrix = _seen(sheet, scene, rng)
    photo = _lit(photo, scene, rng)
    photo, scaled = _taken(photo, scene, rng)
    file = camera.encoded(camera.developed(photo), scene.quality, scene.orientation)
    boxes = tuple(_box(camera.moved(outline, matrix) * scaled) for outline in layout.digits)
    content = "-".join(row for row in layout.rows if row)
    kind = "string" if len(content) > 1 else "single" if content else "reject"
    return Page(camera.decoded(file), kind, content, boxes, file)


def _ground(layout: Layout, scene: Scene, rng: np.random.Generator) -> Picture:
    size = layout.ink.shape[1], layout.ink.shape[0]
    if scene.ground == "sheet":
        return paper.sheet(size, scene.paper, scene.texture, rng)
    if scene.ground == "board":
        return paper.board(size, scene.paper, scene.texture, rng)
    return paper.plain(size, scene.paper)


def _with_print(sheet: Picture, layout: Layout, scene: Scene, rng: np.random.Generator) -> Picture:
    """What was on the sheet before somebody wrote on it."""
    if scene.show_through:
        sheet = paper.show_through(sheet, scene.show_through, 0.45 * scene.height, rng)
    if scene.print is None:
        return sheet
    shape, width = layout.ink.shape, scene.print_width * scene.height
    first = layout.lines[0][3] if layout.lines else shape[0] / 3
    if scene.print == "ruled":
        lines = paper.ruled(shape, first + 0.04 * scene.height, scene.pitch * scene.height, width)
    elif scene.print == "squared":
        lines = paper.squared(shape, first + 0.04 * scene.height, scene.pitch * scene.height / scene.squares, width)
    elif scene.print == "underlined":
        lines = paper.underlined(shape, layout.lines, 1.5 * width, rng)
    else:
        lines = (paper.boxed if scene.print == "boxed" else paper.combed)(shape, layout.cells, width)
    lay = paper.covered if scene.ground == "board" else paper.printed
    return lay(sheet, lines, scene.print_colour)


def _with_ink(sheet: Picture, layout: Layout, scene: Scene) -> Picture:
    on_paper = scene.ground == "sheet" and sum(scene.ink) < sum(scene.paper)
    return (paper.printed if on_paper else paper.covered)(sheet, layout.ink, scene.ink)


def _seen(sheet: Picture, scene: Scene, rng: np.random.Generator) -> tuple[Picture, camera.Homography]:
    """Through the camera, and where each point of the sheet went."""
    if scene.fold:
        sheet = paper.folded(sheet, scene.fold, rng)
    height, width = sheet.shape[:2]
    side = min(height, width)
    if scene.table is not None:
        around = 2 * round(scene.table * side)
        table = paper.wood((width + around, height + around), scene.table_colour, rng)
        return camera.on_table(sheet, table, min(scene.skew or 0.0, scene.table) * side, rng)
    if scene.skew:
        return camera.cornered(sheet, min(scene.skew * side, 0.4 * min(scene.margins) * scene.height), scene.tilt, rng)
    return sheet, np.eye(3)


def _lit(photo: Picture, scene: Scene, rng: np.random.Generator) -> Picture:
    if scene.uneven:
        photo = camera.uneven(photo, scene.uneven, rng)
    if scene.shadow:
        photo = camera.shaded(photo, scene.shadow, rng)
    if scene.glare:
        photo = camera.glossy(photo, scene.glare, rng)
    return camera.exposed(photo, scene.brightness, scene.tint)


def _taken(photo: Picture, scene: Scene, rng: np.random.Generator) -> tuple[Picture, NDArray[np.float64]]:
    """By a sensor with its number of pixels, out of focus and grainy as it may be; and the scale (x, y) that pixels got."""
    height, width = photo.shape[:2]
    if scene.scale < 1:
        size = max(1, round(width * scene.scale)), max(1, round(height * scene.scale))
        photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.float32)
    if scene.shake:
        photo = camera.shaken(photo, scene.shake, rng)
    if scene.blur:
        photo = camera.blurred(photo, scene.blur)
    if scene.grain:
        photo = camera.grainy(photo, scene.grain, rng)
    return photo, np.array([photo.shape[1] / width, photo.shape[0] / height])


def _box(points: NDArray[np.float64]) -> Box:
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _cropped(page: Page, scene: Scene, rng: np.random.Generator) -> Page:
    """One digit cut from the middle of a page, as somebody would cut it."""
    left, top, right, bottom = page.boxes[1]
    room = (bottom - top) * rng.uniform(0.08, 0.5, 4)
    height, width = page.picture.shape[:2]
    x1, y1 = max(0, int(left - room[0])), max(0, int(top - room[1]))
    x2, y2 = min(width, int(right + room[2]) + 1), min(height, int(bottom + room[3]) + 1)
    file = camera.encoded(page.picture[y1:y2, x1:x2], scene.quality)
    return Page(camera.decoded(file), "crop", page.content[1], ((left - x1, top - y1, right - x1, bottom - y1),), file)


# ---- how pages differ


def random_scene(rng: np.random.Generator, *, single: bool = False, columns: int = 8) -> Scene:
    """A page as one might come across it. single: for one symbol, which may fill the picture. columns: symbols in the longest row."""
    medium = str(rng.choice(list(MEDIA), p=list(MEDIA.values())))
    scene = {"canvas": _canvas, "board": _board, "whiteboard": _whiteboard}.get(medium, _sheet)(rng, single)
    if medium in ("photo", "board", "whiteboard"):
        scene = _photographed(scene, rng)
    elif medium == "scan":
        scene = replace(scene, grain=_maybe(rng, 0.5, 0.002, 0.015), tilt=rng.normal(0, 1), skew=_maybe(rng, 0.4, 0.005, 0.02))
        scene = replace(scene, quality=_quality(rng, 0.6), blur=_maybe(rng, 0.5, 0.4, 0.9))
    margins = scene.margins[0] + scene.margins[2]
    return replace(scene, height=min(scene.height, int(LONGEST_SIDE / (columns * (0.75 + scene.gap) + margins))))


def _maybe(rng: np.random.Generator, chance: float, low: float, high: float) -> float | None:
    """A number between low and high, or None: each always takes the same draws, so that scenes stay comparable."""
    happens, value = rng.random() < chance, float(rng.uniform(low, high))
    return value if happens else None


def _one(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, a little different each time."""
    red, green, blue = np.clip(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 0.02, 3), 0, 1)
    return float(red), float(green), float(blue)


def _quality(rng: np.random.Generator, chance: float) -> int | None:
    quality = int(rng.integers(35, 95))
    return quality if rng.random() < chance else None


def _margins(rng: np.random.Generator, single: bool) -> tuple[float, float, float, float]:
    low, high = (0.15, 1.2) if single else (0.4, 2.5)
    left, top, right, bottom = rng.uniform(low, high, 4)
    return float(left), float(top), float(right), float(bottom)


def _canvas(rng: np.random.Generator, single: bool) -> Scene:
    """A paint program: pure colours and hard or smooth edges, on very few to very many pixels."""
    height = int(rng.choice([18, 22, 40, 90, 160, 300], p=[0.15, 0.15, 0.2, 0.25, 0.15, 0.1])) if single else int(rng.integers(30, 160))
    pen = Pen("brush", float(rng.uniform(0.03, 0.16)), hard=bool(rng.random() < 0.4))
    scene = Scene(pen, height, _margins(rng, single), gap=float(rng.uniform(0.15, 0.6)), pitch=float(rng.uniform(1.4, 2)))
    look = rng.random()
    if look < 0.35:
        return replace(scene, paper=BLACK, ink=WHITE)
    if look < 0.5:
        return replace(scene, paper=_one(rng, COLOURED), ink=_one(rng, INKS))
    return replace(scene, ink=_one(rng, INKS) if look < 0.65 else BLACK, quality=_quality(rng, 0.25))


def _sheet(rng: np.random.Generator, single: bool) -> Scene:
    """Paper, blank or printed, and a pen or pencil."""
    pens = (
        Pen("ballpoint", float(rng.uniform(0.03, 0.06)), 0.25, grain=float(rng.uniform(0, 0.2)), opacity=0.95),
        Pen("pencil", float(rng.uniform(0.03, 0.07)), 0.35, grain=float(rng.uniform(0.15, 0.4)), opacity=float(rng.uniform(0.5, 0.9))),
        Pen("felt tip", float(rng.uniform(0.07, 0.15)), 0.2, opacity=0.97),
        Pen("fountain pen", float(rng.uniform(0.04, 0.09)), 0.7, opacity=0.95),
    )
    pen = pens[rng.integers(len(pens))]
    kind = rng.choice([None, "ruled", "squared", "boxed", "combed", "underlined"], p=[0.45, 0.15, 0.15, 0.1, 0.05, 0.1])
    ink = GRAPHITE if pen.name == "pencil" else _one(rng, INKS)
    return Scene(
        pen,
        height=int(rng.integers(36, 130)) * (2 if single else 1),
        margins=_margins(rng, single),
        gap=float(rng.uniform(0.15, 0.55)),
        pitch=float(rng.uniform(1.4, 2.1)),
        slope=float(rng.normal(0, 0.012)),
        ground="sheet",
        paper=_one(rng, COLOURED if rng.random() < 0.15 else PAPERS),
        ink=ink,
        texture=float(rng.uniform(0.004, 0.025)),
        print=kind,
        print_colour=ink if kind == "underlined" else _one(rng, PRINTS),
        print_width=float(rng.uniform(0.012, 0.04)),
        squares=int(rng.integers(1, 4)),
        show_through=_maybe(rng, 0.2, 0.03, 0.12),
        fold=_maybe(rng, 0.15, 0.05, 0.2),
    )


def _board(rng: np.random.Generator, single: bool) -> Scene:
    """Chalk on a blackboard."""
    pen = Pen("chalk", float(rng.uniform(0.06, 0.14)), 0.3, grain=float(rng.uniform(0.1, 0.35)), opacity=float(rng.uniform(0.75, 0.95)))
    return Scene(
        pen,
        height=int(rng.integers(50, 130)) * (2 if single else 1),
        margins=_margins(rng, single),
        gap=float(rng.uniform(0.2, 0.6)),
        slope=float(rng.normal(0, 0.02)),
        ground="board",
        paper=_one(rng, BOARDS),
        ink=_one(rng, CHALKS),
        texture=float(rng.uniform(0.01, 0.06)),
    )


def _whiteboard(rng: np.random.Generator, single: bool) -> Scene:
    """A marker on something smooth that mirrors the lamp."""
    pen = Pen("marker", float(rng.uniform(0.07, 0.14)), 0.2, grain=float(rng.uniform(0, 0.1)), opacity=float(rng.uniform(0.8, 0.97)))
    scene = _sheet(rng, single)
    return replace(
        scene, pen=pen, ink=_one(rng, INKS), paper=PAPERS[0], texture=0.004, print=None, show_through=None, fold=None,
        glare=_maybe(rng, 0.7, 0.1, 0.4),
    )  # fmt: skip


def _photographed(scene: Scene, rng: np.random.Generator) -> Scene:
    """With a phone: at an angle, in whatever light there is."""
    sheet = scene.ground == "sheet" and scene.glare is None
    return replace(
        scene,
        tilt=float(rng.normal(0, 2.5)),
        skew=float(rng.uniform(0.005, 0.06)),
        table=_maybe(rng, 0.25, 0.04, 0.2) if sheet else None,
        table_colour=_one(rng, TABLES),
        uneven=_maybe(rng, 0.7, 0.05, 0.5),
        shadow=_maybe(rng, 0.3, 0.1, 0.45),
        brightness=float(rng.uniform(0.5, 1)) if scene.ground == "sheet" else float(rng.uniform(0.8, 1.3)),
        tint=tuple(np.clip(rng.normal(1, 0.04, 3), 0.85, 1.1).tolist()),
        scale=float(rng.choice([1.0, 1.0, 0.6, 0.4])),
        blur=_maybe(rng, 0.7, 0.4, 1.3),
        shake=_maybe(rng, 0.1, 2, 4),
        grain=_maybe(rng, 0.8, 0.003, 0.022),
        quality=int(rng.integers(45, 95)),
        orientation=int(rng.choice([1, 3, 6, 8], p=[0.85, 0.05, 0.05, 0.05])),
    )
