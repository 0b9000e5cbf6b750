"""An explanation of a reading: the picture, its ink, and what the network saw and thought.

A trace comes in, a PIL image goes out. Nothing is decided here, only drawn; `folder` keeps what is
drawn.
"""

import os

from PIL import Image

from inkdigits.reading.explanation.cards import draw_cards
from inkdigits.reading.explanation.text import (
    BACKGROUND,
    CARD_WIDTH,
    CONTENT_WIDTH,
    GAP,
    NOTE,
    QUIET,
    REFUSED,
    Row,
    counted,
    draw_rows,
    end_of,
    fits,
    wrap,
    writable,
)
from inkdigits.reading.explanation.views import draw_views
from inkdigits.reading.model_files import DEFAULT_MODEL, ModelName
from inkdigits.reading.preprocessing.picture import Source
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import cached_recogniser
from inkdigits.reading.trace import Trace

MARGIN = 24  # pixels, as are all sizes here
TEXT_SIZES = (44, 36, 30, 24)  # of the text that was read, the largest that fits;
SMALLEST_TEXT = 20  # or this, on several lines
TALLEST_TEXT = 150
MOST_TEXT_LINES = 12
WARNING_INDENT = 18


def explain(picture: Source, model: ModelName = DEFAULT_MODEL, single: bool = False) -> Image.Image:
    """Draw how a picture is read.

    Args:
        picture: a path, the bytes of a file, a PIL image or an array.
        model: a shipped name, a folder made by `inkdigits train`, or an .onnx file.
        single: whether the picture holds at most one digit.

    Raises:
        BadPicture, UnknownName, BadModel: as `read` does.

    Examples:
        >>> explain("photo.jpg").save("why.png")
    """
    return draw(cached_recogniser(os.fspath(model)).trace(picture, single))


def draw(trace: Trace, name: str = "") -> Image.Image:
    """Draw what led to a reading: the text, the picture beside its ink, then each candidate.

    Args:
        trace: of a picture, or of an image that the network saw as it was, without a page.
        name: the path of the picture, shown above the text.

    Returns:
        An RGB image.
    """
    width = CONTENT_WIDTH if trace.page else 2 * CARD_WIDTH + GAP
    sections = [draw_header(trace.reading, name, width)]
    if trace.page:
        sections += draw_views(trace.page, trace.reading.digits)

    sections += draw_cards(trace.reading.digits, width)

    height = sum(section.height + GAP for section in sections) - GAP
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), BACKGROUND)
    top = MARGIN
    for section in sections:
        sheet.paste(section, (MARGIN, top))
        top += section.height + GAP

    return sheet


def draw_header(reading: Reading, name: str, width: int) -> Image.Image:
    """Draw a picture's name, what was read, how many candidates were refused, and the warnings."""
    rows = _text_rows(reading.text or "", width)
    if name:
        rows.insert(0, Row(end_of(writable(name), NOTE, width), colour=QUIET))

    accepted = sum(digit.accepted for digit in reading.digits)
    refused = len(reading.digits) - accepted
    summary = f"{counted(accepted, 'digit')} read"
    if refused:
        summary += f", {counted(refused, 'candidate')} refused"

    rows.append(Row(summary, colour=QUIET))

    for warning in reading.warnings:
        first, *others = wrap(writable(warning), NOTE, width - WARNING_INDENT)
        rows.append(Row(first, dot=REFUSED, indent=WARNING_INDENT))
        rows += [Row(other, indent=WARNING_INDENT) for other in others]

    return draw_rows(rows, width)


def _text_rows(text: str, width: int) -> list[Row]:
    """Return the text in letters as large as fit."""
    if not text:
        return [Row("nothing read", 36, QUIET)]

    lines = text.split("\n")
    low = [size for size in TEXT_SIZES if size * len(lines) <= TALLEST_TEXT]
    narrow = [size for size in low if all(fits(line, size, width) for line in lines)]
    size = max(narrow, default=SMALLEST_TEXT)
    rows = [Row(part, size) for line in lines for part in wrap(line, size, width)]
    if len(rows) > MOST_TEXT_LINES:
        return [*rows[:MOST_TEXT_LINES], Row("…", size)]

    return rows
