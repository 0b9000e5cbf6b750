"""Words in an image: rows of text that fit into a width, and the colours of explanations."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

BACKGROUND = (246, 246, 243)
CARD = (255, 255, 255)
RULE = (222, 222, 216)
TEXT = (32, 33, 36)
QUIET = (112, 112, 106)
ACCEPTED = (0, 105, 168)  # blue and vermilion: told apart by every kind of eye
REFUSED = (205, 88, 20)
UNUSED = (150, 150, 145)

# All sizes are in pixels.
GAP = 16
NOTE = 15  # of small letters
CARD_WIDTH = 280
CARDS_IN_ROW = 4
CONTENT_WIDTH = CARDS_IN_ROW * CARD_WIDTH + (CARDS_IN_ROW - 1) * GAP


class Row(NamedTuple):
    """One row of text; after a coloured dot, if there is a colour for one."""

    words: str
    size: int = NOTE
    colour: Colour = TEXT
    dot: Colour | None = None
    indent: int = 0


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font, which every installation has."""
    return ImageFont.load_default(size)


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    words: str,
    colour: Colour,
    size: int = NOTE,
    anchor: str = "ls",
) -> None:
    """Write words at a place: the left end of their baseline, unless the anchor says otherwise."""
    draw.text(place, words, colour, font(size), anchor=anchor)


def draw_rows(rows: Sequence[Row], width: int) -> Image.Image:
    """Draw rows of text one below the other."""
    heights = [round(row.size * 1.2) + 6 for row in rows]
    image = Image.new("RGB", (width, sum(heights)), BACKGROUND)
    draw = ImageDraw.Draw(image)

    bottom = 0
    for row, height in zip(rows, heights, strict=True):
        bottom += height
        if row.dot:
            draw.ellipse((1, bottom - 16, 9, bottom - 8), row.dot)

        place = row.indent, bottom - round(row.size * 0.3) - 3
        write(draw, place, row.words, row.colour, row.size)

    return image


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 digit", "2 digits"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def writable(text: str) -> str:
    """Replace the letters that Pillow's own font lacks, which has ASCII and the ellipsis."""
    return "".join(letter if " " <= letter <= "~" or letter == "…" else "?" for letter in text)


def fits(line: str, size: int, width: int) -> bool:
    """Tell whether a line of text in this size is narrower than the width."""
    return font(size).getlength(line) < width


def wrap(text: str, size: int, width: int) -> list[str]:
    """Break text into lines that fit; a word that is too long for one is cut."""
    lines = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and not fits(longer, size, width):
            lines.append(line)
            longer = word

        while not fits(longer, size, width):
            length = max(1, len(longer) - 1)
            while length > 1 and not fits(longer[:length], size, width):
                length -= 1

            lines.append(longer[:length])
            longer = longer[length:]

        line = longer

    return [*lines, line]


def end_of(text: str, size: int, width: int) -> str:
    """Return as much of the end of a text as fits: the end of a path says more than its start."""
    if fits(text, size, width):
        return text

    start = max(1, len(text) - 300)
    while not fits("…" + text[start:], size, width):
        start += 1

    return "…" + text[start:]
