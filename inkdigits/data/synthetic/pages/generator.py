"""Writing, paper and camera put together: a seed -> pages with known content, or a folder of them
with a truth file.

The same seed gives the same pages, one by one, however many there are.
"""

import csv
import io
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.core.files import new_folder, write_whole
from inkdigits.data.datasets import Split
from inkdigits.data.synthetic.pages import camera, paper, writing
from inkdigits.data.synthetic.pages.layout import Layout, Mark, lay_out
from inkdigits.data.synthetic.pages.paper import Box, Picture
from inkdigits.data.synthetic.pages.scene import Scene, random_scene
from inkdigits.data.synthetic.pages.writing import Hand

KINDS = {
    "single": 0.45,
    "crop": 0.1,
    "string": 0.3,
    "reject": 0.15,
}  # shares of the pages; a folder each, with an s
PAGES_A_WRITER = 10


@dataclass(frozen=True)
class Page:
    """A picture and what is in it.

    picture: (H, W, 3) uint8, what a viewer shows of `file`, a JPEG or PNG. kind: "single", "crop",
    "string" or "reject". content: the digits, rows joined by "-"; of a reject what it is. boxes:
    (left, top, right, bottom) in pixels of each digit's ink, in reading order.
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


def write_pages(
    out: Path, count: int, seed: int = 0, digits: Split | None = None
) -> dict[str, int]:
    """Write `count` pages into the new folder `out`, whole or not at all: `inkdigits pages`.

    The folder then holds singles/, crops/, strings/ and rejects/, with files named by writer, and
    truth.csv with file, kind and content. digits: as for `generate`. Returns how many there are of
    each kind. Raises BadValue or CannotWrite.
    """
    if count < 1 or seed < 0:
        raise BadValue(
            f"{count} pages with the seed {seed} make no sense; wanted are 1 or more, and a seed of 0 or more"
        )

    there = out.exists()
    new_folder(out)
    aside = out / f".{secrets.token_hex(4)}"

    try:
        aside.mkdir()
        truth = sorted(
            _write(page, number, aside)
            for number, page in enumerate(generate(count, seed, digits), start=1)
        )
        write_whole(aside / "truth.csv", _csv([("file", "kind", "content"), *truth]))

        for made in sorted(aside.iterdir()):
            made.replace(out / made.name)

        aside.rmdir()
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if not there:
            shutil.rmtree(out, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise CannotWrite(
            f"cannot write into {out}: {error.strerror or error}; choose a place with room that is yours"
        ) from error

    return dict(sorted(Counter(kind for _, kind, _ in truth).items()))


def _write(page: Page, number: int, folder: Path) -> tuple[str, str, str]:
    """Write one page's file and return its line of truth.csv."""
    name = f"{page.kind}s/writer{page.writer:02d}-{number:03d}{page.suffix}"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(page.file)
    return name, page.kind, page.content


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def generate(count: int, seed: int = 0, digits: Split | None = None) -> Iterator[Page]:
    """`count` pages of all kinds, by a new writer every ten pages.

    digits: images to write with beside our own strokes, such as MNIST's training split; None: our
        own only.
    """
    for number in range(count):
        writer = number // PAGES_A_WRITER
        hand = writing.random_hand(
            np.random.default_rng([seed, 0, writer]), mnist=0.5 if digits else 0
        )
        rng = np.random.default_rng([seed, 1, number])
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        yield replace(random_page(kind, hand, digits, rng), writer=writer + 1)


def random_page(kind: str, hand: Hand, digits: Split | None, rng: np.random.Generator) -> Page:
    """One page of this kind by this hand. digits: as for `generate`; needed where the hand writes
    MNIST's.
    """
    content, rows = random_content(kind, rng)
    scene = random_scene(
        rng, single=kind in ("single", "reject"), columns=max((len(row) for row in rows), default=3)
    )
    page = render(rows, scene, hand, digits, rng)

    if kind == "crop":
        page = _cropped(page, scene, rng)

    return replace(page, kind=kind, content=content or page.content)


# ---- what is written


def random_content(kind: str, rng: np.random.Generator) -> tuple[str, list[list[Mark]]]:
    """What a page of this kind says, "" where its digits say it all, and the rows of symbols to
    write.
    """
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
        row = [
            replace(mark, touching=place > 0 and rng.random() < 0.4)
            for place, mark in enumerate(row)
        ]

    if struck and not touches:
        row.insert(int(rng.integers(len(row) + 1)), _digit(rng, struck=True))

    if letters:
        row.insert(0 if touches else int(rng.integers(len(row) + 1)), Mark(_letter(rng)))

    return row


def _letter(rng: np.random.Generator) -> str:
    return str(rng.choice(list(writing.LETTERS)))


def _random_reject(rng: np.random.Generator) -> tuple[str, list[list[Mark]]]:
    kind = rng.choice(
        ["blank", "letter", "word", "doodle", "scribble", "struck-out"],
        p=[0.2, 0.25, 0.1, 0.25, 0.1, 0.1],
    )
    if kind == "blank":
        return "blank", []
    if kind == "letter":
        return f"letter-{(name := _letter(rng))}", [[Mark(name)]]
    if kind == "word":
        return "word", [[Mark(_letter(rng)) for _ in range(rng.integers(3, 7))]]
    if kind == "doodle":
        return f"doodle-{(name := str(rng.choice(list(writing.DOODLES))))}", [[Mark(name)]]

    return str(kind), [[Mark("scribble") if kind == "scribble" else _digit(rng, struck=True)]]


# ---- from marks to a picture


def render(
    rows: Sequence[Sequence[Mark]],
    scene: Scene,
    hand: Hand,
    digits: Split | None,
    rng: np.random.Generator,
) -> Page:
    """Write the rows on the scene's sheet and take the picture. digits: images to write with, where
    the hand does.
    """
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
        lines = paper.squared(
            shape, first + 0.04 * scene.height, scene.pitch * scene.height / scene.squares, width
        )
    elif scene.print == "underlined":
        lines = paper.underlined(shape, layout.lines, 1.5 * width, rng)
    else:
        lines = (paper.boxed if scene.print == "boxed" else paper.combed)(
            shape, layout.cells, width
        )

    lay = paper.covered if scene.ground == "board" else paper.printed
    return lay(sheet, lines, scene.print_colour)


def _with_ink(sheet: Picture, layout: Layout, scene: Scene) -> Picture:
    on_paper = scene.ground == "sheet" and sum(scene.ink) < sum(scene.paper)
    return (paper.printed if on_paper else paper.covered)(sheet, layout.ink, scene.ink)


def _seen(
    sheet: Picture, scene: Scene, rng: np.random.Generator
) -> tuple[Picture, camera.Homography]:
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
        return camera.cornered(
            sheet, min(scene.skew * side, 0.4 * min(scene.margins) * scene.height), scene.tilt, rng
        )

    return sheet, np.eye(3)


def _lit(photo: Picture, scene: Scene, rng: np.random.Generator) -> Picture:
    if scene.uneven:
        photo = camera.uneven(photo, scene.uneven, rng)

    if scene.shadow:
        photo = camera.shaded(photo, scene.shadow, rng)

    if scene.glare:
        photo = camera.glossy(photo, scene.glare, rng)

    return camera.exposed(photo, scene.brightness, scene.tint)


def _taken(
    photo: Picture, scene: Scene, rng: np.random.Generator
) -> tuple[Picture, NDArray[np.float64]]:
    """By a sensor with its number of pixels, out of focus and grainy as it may be; and the scale
    (x, y) that pixels got.
    """
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

    return Page(
        camera.decoded(file),
        "crop",
        page.content[1],
        ((left - x1, top - y1, right - x1, bottom - y1),),
        file,
    )
