"""The sheet of boxes as a picture or a PDF, to be printed."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue, CannotWrite, quoted
from inkdigits.core.files import write_whole
from inkdigits.data.sheets.layout import (
    LINE,
    MARKERS,
    MODULE,
    PAGE,
    UPRIGHT,
    Rectangle,
    all_boxes,
    digit_box,
)

PRINT_SCALE = 300 / 25.4  # pixels a millimetre: 300 dots an inch
FORMATS = {".pdf": "PDF", ".png": "PNG"}
PAPER = 255
BLACK = 0
FRAME = 120  # grey, so that pens stand out from it
PALE = 90  # of the small digits at the left
QUALITY = 95  # of the JPEG inside the PDF, which blurs no edge that one could see

# What is to be read: the text, where its left middle is, and how high a line is, in millimetres.
WORDS = (
    ("Ten of each digit", (37.0, 16.0), 6.5),
    ("Write one digit into each box, as you always write:", (32.0, 30.0), 3.9),
    ("only zeros into row 0, only ones into row 1, and so on.", (32.0, 35.5), 3.9),
    ("Use a dark pen, stay inside the boxes, and rather leave", (32.0, 41.0), 3.9),
    ("a box empty than spoil it.", (32.0, 46.5), 3.9),
    ("Your number (no name):", (139.0, 23.5), 3.9),
    ("Photograph the whole page, flat, with all four corner marks. Then:", (32.0, 278.5), 3.9),
    ("inkdigits collect photo.jpg --out class", (32.0, 284.0), 3.9),
)
ROW_NAME = 6.0  # height of the digit at the left of a row
ROW_NAME_GAP = 6.0  # from its middle to the row


def write_sheet(path: Path) -> None:
    """Write the sheet into a new file: `inkdigits sheet`.

    Args:
        path: ends in .pdf or .png.

    Raises:
        BadValue: it ends in something else.
        CannotWrite: it exists, or cannot be written.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        known = " or ".join(FORMATS)
        raise BadValue(
            f"{quoted(path.name)} is no name for a sheet; choose one that ends in {known}"
        )
    if path.exists():
        raise CannotWrite(f"{path} exists already; choose a new name, or delete it first")

    page = draw_sheet(PRINT_SCALE)
    dots = round(PRINT_SCALE * 25.4)
    options = {"resolution": dots, "quality": QUALITY} if kind == "PDF" else {"dpi": (dots, dots)}
    write_whole(path, lambda file: page.save(file, kind, **options))


def draw_sheet(scale: float) -> Image.Image:
    """Return the empty sheet in shades of grey.

    Args:
        scale: pixels a millimetre.
    """
    size = (round(PAGE[0] * scale), round(PAGE[1] * scale))
    page = Image.new("L", size, PAPER)
    draw = ImageDraw.Draw(page)

    for x, y in MARKERS:
        _draw_marker(draw, x, y, scale)
    _fill(draw, UPRIGHT, BLACK, scale)

    for box in all_boxes():
        _draw_frame(draw, box, scale)

    _draw_words(draw, scale)
    return page


def _draw_marker(draw: ImageDraw.ImageDraw, x: float, y: float, scale: float) -> None:
    """Draw a ring and a square in it around a point."""
    for modules, level in ((7, BLACK), (5, PAPER), (3, BLACK)):
        half = modules * MODULE / 2
        _fill(draw, Rectangle(x - half, y - half, x + half, y + half), level, scale)


def _draw_frame(draw: ImageDraw.ImageDraw, box: Rectangle, scale: float) -> None:
    """Draw the outline of a box, with its middle on the box's edges."""
    half = LINE / 2
    _fill(
        draw,
        Rectangle(box.left - half, box.top - half, box.right + half, box.bottom + half),
        FRAME,
        scale,
    )
    _fill(
        draw,
        Rectangle(box.left + half, box.top + half, box.right - half, box.bottom - half),
        PAPER,
        scale,
    )


def _fill(draw: ImageDraw.ImageDraw, box: Rectangle, level: int, scale: float) -> None:
    """Fill a rectangle; Pillow counts its last pixel in."""
    left, top, right, bottom = (round(edge * scale) for edge in box)
    draw.rectangle((left, top, right - 1, bottom - 1), fill=level)


def _draw_words(draw: ImageDraw.ImageDraw, scale: float) -> None:
    """Draw what is to be read, and the digit of each row."""
    for text, place, height in WORDS:
        _draw_text(draw, text, place, height, "lm", scale)

    for digit, name in enumerate(DIGITS):
        box = digit_box(digit, 0)
        place = (box.left - ROW_NAME_GAP, (box.top + box.bottom) / 2)
        _draw_text(draw, name, place, ROW_NAME, "mm", scale, PALE)


def _draw_text(
    draw: ImageDraw.ImageDraw,
    text: str,
    place: tuple[float, float],
    height: float,
    anchor: str,
    scale: float,
    level: int = BLACK,
) -> None:
    """Draw a line of text, `height` millimetres from one line to the next."""
    font = ImageFont.load_default(size=height * scale)
    draw.text((place[0] * scale, place[1] * scale), text, fill=level, font=font, anchor=anchor)
