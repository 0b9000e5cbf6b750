"""A seed comes in, pages with known content go out, or a folder of them with a file of the truth.

Writing, paper and camera are put together here. The same seed gives the same pages, one by one,
however many there are.
"""

import csv
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.core.files import new_folder
from inkdigits.data.splits import Split
from inkdigits.data.synthetic.glyphs import DOODLES, LETTERS
from inkdigits.data.synthetic.pages import camera, paper
from inkdigits.data.synthetic.pages.layout import Layout, Mark, lay_out
from inkdigits.data.synthetic.pages.paper import BoundingBox, Layer, Photo, Points
from inkdigits.data.synthetic.pages.scene import Scene, choice, random_scene
from inkdigits.data.synthetic.pages.writing import Hand, random_hand

# Shares of the pages; each kind has a folder of its own, named with an s.
PAGE_KINDS = {"single": 0.45, "crop": 0.1, "string": 0.3, "reject": 0.15}
REJECT_SHARES = {  # shares of the rejects
    "blank": 0.2,
    "letter": 0.25,
    "word": 0.1,
    "doodle": 0.25,
    "scribble": 0.1,
    "struck-out": 0.1,
}
PAGES_A_WRITER = 10


@dataclass(frozen=True)
class SyntheticPage:
    """A picture and what is in it.

    Attributes:
        picture: (H, W, 3) uint8, what a viewer shows of `file`.
        kind: "single", "crop", "string" or "reject".
        content: the digits, rows joined by "-"; of a reject what it is.
        boxes: the bounding box of each digit's ink in pixels, in reading order.
        file: a JPEG or PNG.
        writer: the number of the hand, from 1.
    """

    picture: Pixels = field(repr=False)
    kind: str
    content: str
    boxes: tuple[BoundingBox, ...]
    file: bytes = field(repr=False)
    writer: int = 0

    @property
    def suffix(self) -> str:
        """Return the suffix of the file's name."""
        return ".jpg" if self.file[:2] == b"\xff\xd8" else ".png"


# ---- a folder of pages


def write_pages(
    out: Path, count: int, seed: int = 0, digits: Split | None = None
) -> dict[str, int]:
    """Write pages into a new folder, whole or not at all: `inkdigits pages`.

    The folder then holds singles/, crops/, strings/ and rejects/, with files named by writer, and
    truth.csv with file, kind and content.

    Args:
        out: the folder, new or empty.
        count: how many pages.
        seed: of all draws.
        digits: as for `generate`.

    Returns:
        How many pages of each kind there are.

    Raises:
        BadValue: there would be no pages, or the seed is negative.
        CannotWrite: the folder is not empty, or cannot be written into.
    """
    if count < 1 or seed < 0:
        raise BadValue(
            f"{count} pages with the seed {seed} make no sense; "
            "expected 1 or more, and a seed of 0 or more"
        )

    existed = out.exists()
    new_folder(out)
    aside = out / f".{secrets.token_hex(4)}"

    try:
        aside.mkdir()
        pages = enumerate(generate(count, seed, digits), start=1)
        truth = sorted(_write(page, number, aside) for number, page in pages)
        with (aside / "truth.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerows([("file", "kind", "content"), *truth])

        for made in sorted(aside.iterdir()):
            made.replace(out / made.name)

        aside.rmdir()
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if not existed:
            shutil.rmtree(out, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise CannotWrite(
            f"cannot write into {out}: {error.strerror or error}; "
            "choose a place with free space that you may write to"
        ) from error

    return dict(sorted(Counter(kind for _, kind, _ in truth).items()))


def _write(page: SyntheticPage, number: int, folder: Path) -> tuple[str, str, str]:
    """Write one page's file and return its line of truth.csv."""
    name = f"{page.kind}s/writer{page.writer:02d}-{number:03d}{page.suffix}"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(page.file)
    return name, page.kind, page.content


# ---- random pages


def generate(count: int, seed: int = 0, digits: Split | None = None) -> Iterator[SyntheticPage]:
    """Yield pages of all kinds, by a new writer every ten pages.

    Args:
        count: how many pages.
        seed: of all draws.
        digits: images to write with beside our own strokes, such as MNIST's training split; None
            writes with our own only.
    """
    for number in range(count):
        writer = number // PAGES_A_WRITER
        hand = random_hand(np.random.default_rng([seed, 0, writer]), mnist=0.5 if digits else 0)
        rng = np.random.default_rng([seed, 1, number])
        page = random_page(choice(PAGE_KINDS, rng), hand, digits, rng)
        yield replace(page, writer=writer + 1)


def random_page(kind: str, hand: Hand, digits: Split | None, rng: Generator) -> SyntheticPage:
    """Return one page of this kind by this hand.

    Args:
        kind: a name in PAGE_KINDS.
        hand: who writes.
        digits: as for `generate`; needed where the hand writes MNIST's.
        rng: draws everything else.
    """
    content, rows = random_content(kind, rng)
    columns = max((len(row) for row in rows), default=3)
    scene = random_scene(rng, single=kind in ("single", "reject"), columns=columns)
    page = render(rows, scene, hand, digits, rng)

    if kind == "crop":
        page = _cropped(page, scene, rng)

    return replace(page, kind=kind, content=content or page.content)


def random_content(kind: str, rng: Generator) -> tuple[str, list[list[Mark]]]:
    """Return what a page of this kind says, "" where its digits say it all, and its rows."""
    if kind == "single":
        return "", [[_digit(rng)]]
    if kind == "crop":
        return "", [[_digit(rng) for _ in range(3)]]
    if kind == "string":
        return "", [_random_row(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4]))]

    return _random_reject(rng)


def _digit(rng: Generator, struck: bool = False) -> Mark:
    return Mark(str(rng.integers(10)), struck=struck)


def _letter(rng: Generator) -> Mark:
    return Mark(str(rng.choice(list(LETTERS))))


def _random_row(rng: Generator) -> list[Mark]:
    """Return digits, of which some touch or one is struck out, and perhaps a letter among them."""
    row = [_digit(rng) for _ in range(rng.integers(1, 9))]
    touches, struck, letter = rng.random(3) < (0.2, 0.1, 0.12)
    if touches:
        row = [
            replace(mark, touching=place > 0 and rng.random() < 0.4)
            for place, mark in enumerate(row)
        ]
    elif struck:
        row.insert(rng.integers(len(row) + 1), _digit(rng, struck=True))

    if letter:
        row.insert(0 if touches else rng.integers(len(row) + 1), _letter(rng))

    return row


def _random_reject(rng: Generator) -> tuple[str, list[list[Mark]]]:
    """Return the content and the rows of a page that does not show a digit."""
    match kind := choice(REJECT_SHARES, rng):
        case "blank":
            return kind, []
        case "letter":
            letter = _letter(rng)
            return f"letter-{letter.name}", [[letter]]
        case "word":
            return kind, [[_letter(rng) for _ in range(rng.integers(3, 7))]]
        case "doodle":
            doodle = str(rng.choice(list(DOODLES)))
            return f"doodle-{doodle}", [[Mark(doodle)]]
        case "scribble":
            return kind, [[Mark("scribble")]]
        case _:
            return kind, [[_digit(rng, struck=True)]]


def _cropped(page: SyntheticPage, scene: Scene, rng: Generator) -> SyntheticPage:
    """Return the second digit of a page, cut out as a person would cut it."""
    left, top, right, bottom = page.boxes[1]
    room = (bottom - top) * rng.uniform(0.08, 0.5, 4)
    x1 = max(0, int(left - room[0]))
    y1 = max(0, int(top - room[1]))
    x2 = int(right + room[2]) + 1
    y2 = int(bottom + room[3]) + 1

    file = camera.encoded(page.picture[y1:y2, x1:x2], scene.quality)
    box = (left - x1, top - y1, right - x1, bottom - y1)

    return SyntheticPage(camera.decoded(file), "crop", page.content[1], (box,), file)


# ---- from marks to a picture


def render(
    rows: Sequence[Sequence[Mark]],
    scene: Scene,
    hand: Hand,
    digits: Split | None,
    rng: Generator,
) -> SyntheticPage:
    """Write rows of symbols on the scene's sheet and take the picture.

    Args:
        rows: what to write.
        scene: how the page looks.
        hand: who writes.
        digits: images to write with, where the hand does.
        rng: draws everything that varies.
    """
    layout = lay_out(rows, scene, hand, digits, rng)
    sheet = _ground(layout, scene, rng)
    sheet = _with_print(sheet, layout, scene, rng)
    sheet = _with_ink(sheet, layout, scene)
    photo, matrix = _seen(sheet, scene, rng)
    photo = _lit(photo, scene, rng)

    photo, scaled = _taken(photo, scene, rng)
    file = camera.encoded(camera.developed(photo), scene.quality, scene.orientation)

    boxes = tuple(_box(camera.moved(outline, matrix) * scaled) for outline in layout.digits)
    content = "-".join(row for row in layout.rows if row)
    kind = "string" if len(content) > 1 else "single" if content else "reject"

    return SyntheticPage(camera.decoded(file), kind, content, boxes, file)


def _ground(layout: Layout, scene: Scene, rng: Generator) -> Photo:
    """Return the empty sheet or board."""
    if scene.ground == "sheet":
        return paper.sheet(layout.ink.shape, scene.paper, scene.texture, rng)
    if scene.ground == "board":
        return paper.board(layout.ink.shape, scene.paper, scene.texture, rng)
    return paper.plain(layout.ink.shape, scene.paper)


def _with_print(sheet: Photo, layout: Layout, scene: Scene, rng: Generator) -> Photo:
    """Print on the sheet what is there before it is written on."""
    if scene.show_through:
        sheet = paper.show_through(sheet, scene.show_through, 0.45 * scene.height, rng)

    if scene.print is None:
        return sheet

    lay = paper.covered if scene.ground == "board" else paper.printed
    return lay(sheet, _print(layout, scene, rng), scene.print_colour)


def _print(layout: Layout, scene: Scene, rng: Generator) -> Layer:
    """Return the lines that the scene has on its sheet, where the writing is."""
    shape = layout.ink.shape
    width = scene.print_width * scene.height
    pitch = scene.pitch * scene.height
    baseline = layout.lines[0][3] if layout.lines else shape[0] / 3
    first = baseline + 0.04 * scene.height

    match scene.print:
        case "ruled":
            return paper.ruled(shape, first, pitch, width)
        case "squared":
            return paper.squared(shape, first, pitch / scene.squares, width)
        case "underlined":
            return paper.underlined(shape, layout.lines, 1.5 * width, rng)
        case "boxed":
            return paper.boxed(shape, layout.cells, width)
        case _:
            return paper.combed(shape, layout.cells, width)


def _with_ink(sheet: Photo, layout: Layout, scene: Scene) -> Photo:
    """Lay the writing over the sheet."""
    darkens_paper = scene.ground == "sheet" and sum(scene.ink) < sum(scene.paper)
    lay = paper.printed if darkens_paper else paper.covered
    return lay(sheet, layout.ink, scene.ink)


def _seen(sheet: Photo, scene: Scene, rng: Generator) -> tuple[Photo, camera.Homography]:
    """Return the sheet through the camera, and where each point of it went."""
    if scene.fold:
        sheet = paper.folded(sheet, scene.fold, rng)

    height, width = sheet.shape[:2]
    side = min(height, width)
    if scene.table is not None:
        around = 2 * round(scene.table * side)
        table = paper.wood((height + around, width + around), scene.table_colour, rng)
        return camera.on_table(sheet, table, min(scene.skew or 0.0, scene.table) * side, rng)

    if scene.skew:
        inset = min(scene.skew * side, 0.4 * min(scene.margins) * scene.height)
        return camera.cornered(sheet, inset, scene.tilt, rng)

    return sheet, np.eye(3)


def _lit(photo: Photo, scene: Scene, rng: Generator) -> Photo:
    """Return the photo in the scene's light."""
    if scene.uneven:
        photo = camera.uneven(photo, scene.uneven, rng)

    if scene.shadow:
        photo = camera.shaded(photo, scene.shadow, rng)

    if scene.glare:
        photo = camera.glossy(photo, scene.glare, rng)

    return camera.exposed(photo, scene.brightness, scene.tint)


def _taken(photo: Photo, scene: Scene, rng: Generator) -> tuple[Photo, Points]:
    """Return the photo as the sensor takes it, and the scale (x, y) that it got."""
    height, width = photo.shape[:2]
    if scene.scale < 1:
        size = [max(1, round(length * scene.scale)) for length in (width, height)]
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)

    if scene.shake:
        photo = camera.shaken(photo, scene.shake, rng)

    if scene.blur:
        photo = camera.blurred(photo, scene.blur)

    if scene.grain:
        photo = camera.grainy(photo, scene.grain, rng)

    return photo, np.array([photo.shape[1] / width, photo.shape[0] / height])


def _box(points: Points) -> BoundingBox:
    """Return the bounding box of points (K, 2)."""
    return tuple(np.concatenate([points.min(axis=0), points.max(axis=0)]).tolist())
