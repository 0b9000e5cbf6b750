"""Why a picture was read as it was: one image that shows the picture, the ink found in it, and what the network saw and thought.

Takes a trace; returns a PIL image. Knows how to draw; decides nothing. `explained` keeps what is drawn.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inkdigits.core.digits import Pixels
from inkdigits.reading.model_files import DEFAULT_MODEL
from inkdigits.reading.preprocessing.candidate import Box
from inkdigits.reading.preprocessing.fields import EDGE, Page
from inkdigits.reading.preprocessing.ink import find_ink
from inkdigits.reading.preprocessing.picture import Source
from inkdigits.reading.recogniser import Digit, Reading, Trace, loaded

Colour = tuple[int, int, int]

BACKGROUND, CARD, RULE = (246, 246, 243), (255, 255, 255), (222, 222, 216)
TEXT, QUIET = (32, 33, 36), (112, 112, 106)
ACCEPTED, REFUSED = (
    (0, 105, 168),
    (205, 88, 20),
)  # blue and vermilion: told apart by every kind of eye
UNUSED, PRINTED, OUTSIDE = (150, 150, 145), (214, 160, 192), (226, 224, 214)
LEFT_OUT = {
    "printed lines removed",
    "texture, no writing",
}  # warnings that there is more ink than what is used
NOBODY, IS_ACCEPTED, IS_REFUSED = 0, 1, 2  # whose a pixel of ink is

MARGIN, GAP = 24, 16  # pixels, as are all sizes here
SEEN = 140  # the 28x28 field, five times enlarged
CARD_WIDTH, CARD_HEIGHT, STRIP = 280, 186, 24
COLUMNS = 4
CONTENT = COLUMNS * CARD_WIDTH + (COLUMNS - 1) * GAP
PANEL = (CONTENT - GAP) // 2
TALLEST, TALLEST_OVERVIEW = 560, 300  # of a view
LONG = 2.5  # times as wide as high: picture and ink stand one above the other; or as high as wide: they may be as much taller
AROUND = 0.2  # of the writing's size is shown around it
WORTH = 2.0  # times larger must the writing appear for a view of its own
LARGEST_PIXEL = 12
MOST_LINES = 12  # of the text that was read
MOST_CARDS = 96  # of more candidates, those are shown that are the least sure
DOUBT = 10  # the bar behind those of the ten digits: that it is none
NOTE = 15  # size of letters
TITLE, LABEL = 24, 22  # room above a panel, and above a box


def explain(
    picture: Source, model: str | os.PathLike[str] = DEFAULT_MODEL, single: bool = False
) -> Image.Image:
    """Draw how a picture is read: a path, bytes, a PIL image or an array. Raises what `read` raises.

    >>> explain("photo.jpg").save("why.png")
    """
    return draw(loaded(os.fspath(model)).trace(picture, single))


def draw(trace: Trace, name: str = "") -> Image.Image:
    """What led to a reading, as an RGB image: the text, the picture beside its ink, then each candidate as the network saw it."""
    width = CONTENT if trace.page else 2 * CARD_WIDTH + GAP
    sections = [_header(trace.reading, name, width)]
    if trace.page:
        sections += _views(trace.page, trace.reading.digits)
    sections += _cards(trace.reading.digits, width)
    height = sum(section.height for section in sections) + (len(sections) - 1) * GAP
    sheet, top = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), BACKGROUND), MARGIN
    for section in sections:
        sheet.paste(section, (MARGIN, top))
        top += section.height + GAP
    return sheet


class _Row(NamedTuple):
    words: str
    size: int = NOTE
    colour: Colour = TEXT
    dot: Colour | None = None
    indent: int = 0


def _header(reading: Reading, name: str, width: int) -> Image.Image:
    """Which picture it was, what was read in it, how many candidates were refused, and the warnings."""
    refused = sum(not digit.accepted for digit in reading.digits)
    summary = f"{counted(len(reading.digits) - refused, 'digit')} read"
    rows = [_Row(_end_of(_writable(name), NOTE, width), colour=QUIET)] if name else []
    rows += _text_rows(reading.text or "", width)
    rows.append(
        _Row(
            summary + (f", {counted(refused, 'candidate')} refused" if refused else ""),
            colour=QUIET,
        )
    )
    for warning in reading.warnings:
        first, *others = _wrapped(_writable(warning), NOTE, width - 18)
        rows += [_Row(first, dot=REFUSED, indent=18), *(_Row(other, indent=18) for other in others)]
    return _written(rows, width)


def _text_rows(text: str, width: int) -> list[_Row]:
    """The text in letters as large as fit."""
    lines = text.split("\n")
    if not text:
        return [_Row("nothing read", 36, QUIET)]
    size = next(
        (
            size
            for size in (44, 36, 30, 24)
            if size * len(lines) <= 150 and _fits(lines, size, width)
        ),
        20,
    )
    rows = [_Row(part, size) for line in lines for part in _wrapped(line, size, width)]
    return rows[:MOST_LINES] + ([_Row("…", size)] if len(rows) > MOST_LINES else [])


def _written(rows: Sequence[_Row], width: int) -> Image.Image:
    heights = [round(row.size * 1.2) + 6 for row in rows]
    image = Image.new("RGB", (width, sum(heights)), BACKGROUND)
    draw = ImageDraw.Draw(image)
    bottom = 0
    for row, height in zip(rows, heights, strict=True):
        bottom += height
        if row.dot:
            draw.ellipse((1, bottom - 16, 9, bottom - 8), row.dot)
        draw.text(
            (row.indent, bottom - round(row.size * 0.3) - 3),
            row.words,
            row.colour,
            _font(row.size),
            anchor="ls",
        )
    return image


def counted(number: int, noun: str) -> str:
    """1 digit, 2 digits."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _writable(text: str) -> str:
    """The letters that Pillow's own font has are ASCII."""
    return "".join(letter if " " <= letter <= "~" or letter == "…" else "?" for letter in text)


def _fits(lines: Sequence[str], size: int, width: int) -> bool:
    return max(_font(size).getlength(line) for line in lines) < width


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Lines that fit; a word that is too long for one is cut."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and not _fits([longer], size, width):
            lines.append(line)
            longer = word
        while not _fits([longer], size, width):
            fitting = next(
                length
                for length in range(len(longer), 0, -1)
                if length == 1 or _fits([longer[:length]], size, width)
            )
            lines.append(longer[:fitting])
            longer = longer[fitting:]
        line = longer
    return [*lines, line]


def _end_of(text: str, size: int, width: int) -> str:
    """The end of a path says more than its beginning."""
    start = next(
        start
        for start in range(max(0, len(text) - 300), len(text))
        if _fits([("…" if start else "") + text[start:]], size, width)
    )
    return ("…" if start else "") + text[start:]


def _views(page: Page, digits: Sequence[Digit]) -> list[Image.Image]:
    """The picture beside its ink, whole and, where the writing is a small part of it, enlarged; then what the colours mean."""
    ink, legend = _coloured_ink(page, digits)
    pictures = Image.fromarray(page.picture.pixels).convert("RGB"), ink
    marks = [
        (candidate.box, digit) for candidate, digit in zip(page.candidates, digits, strict=True)
    ]
    whole = 0, 0, ink.width, ink.height
    close = _surroundings([box for box, _ in marks], whole)
    titles = "the picture, upright", "the ink that was found in it"
    if _scale(close, TALLEST) < WORTH * _scale(whole, TALLEST):
        views = [_view(pictures, whole, TALLEST, marks, titles, labelled=True)]
    else:
        views = [
            _view(pictures, whole, TALLEST_OVERVIEW, marks, titles, labelled=False),
            _view(
                pictures, close, TALLEST, marks, ("the writing, enlarged", "its ink"), labelled=True
            ),
        ]
    return views + ([_legend(legend)] if legend else [])


def _coloured_ink(
    page: Page, digits: Sequence[Digit]
) -> tuple[Image.Image, list[tuple[Colour, str]]]:
    """The ink, coloured by what became of it, on white; and the colours that occur with their meaning."""
    owner = np.full(page.ink.mask.shape, NOBODY, np.uint8)
    for candidate, digit in zip(page.candidates, digits, strict=True):
        left, top, right, bottom = candidate.box
        owner[top:bottom, left:right][candidate.mask] = (
            IS_ACCEPTED if digit.accepted else IS_REFUSED
        )
    nowhere = np.zeros_like(page.ink.mask)
    left_out = (
        find_ink(page.picture.pixels).mask & ~page.ink.mask
        if LEFT_OUT.intersection(page.ink.warnings)
        else nowhere
    )
    outside = nowhere if page.ink.outside is None else page.ink.outside
    unused = page.ink.mask & (owner == NOBODY)
    strength = np.where(_grown(page.ink.mask.view(np.uint8)) > 0, page.ink.strength, np.uint8(0))
    colours = np.array([UNUSED, ACCEPTED, REFUSED], np.float32)[_grown(owner)]
    paper = np.where(outside[:, :, None], np.array(OUTSIDE, np.float32), np.array(CARD, np.float32))
    pixels = paper + (colours - paper) * (strength[:, :, None] / np.float32(255))
    pixels[left_out] = PRINTED
    meanings = (
        (ACCEPTED, "accepted", (owner == IS_ACCEPTED).any()),
        (REFUSED, "refused", (owner == IS_REFUSED).any()),
        (UNUSED, "no part of a candidate", unused.any()),
        (PRINTED, "left out: print or texture", left_out.any()),
        (OUTSIDE, "outside the sheet", outside.any()),
    )
    return Image.fromarray(np.rint(pixels).astype(np.uint8)), [
        (colour, words) for colour, words, occurs in meanings if occurs
    ]


def _grown(plane: Pixels) -> Pixels:
    """The greys of a stroke's edge lie around its mask."""
    return np.asarray(cv2.dilate(plane, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)), np.uint8)


def _surroundings(boxes: Sequence[Box], whole: Box) -> Box:
    """The boxes with some paper around; the whole picture where there are none."""
    if not boxes:
        return whole
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    margin = round(AROUND * max(right - left, bottom - top))
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(whole[2], right + margin),
        min(whole[3], bottom + margin),
    )


def _scale(window: Box, tallest: int) -> float:
    width, height = window[2] - window[0], window[3] - window[1]
    room = (
        CONTENT if width > LONG * height else PANEL,
        tallest * LONG if height > LONG * width else tallest,
    )
    return min(room[0] / width, room[1] / height, LARGEST_PIXEL)


class _Mark(NamedTuple):
    box: Box  # in pixels of the panel
    digit: Digit


def _view(
    pictures: tuple[Image.Image, Image.Image],
    window: Box,
    tallest: int,
    marks: Sequence[tuple[Box, Digit]],
    titles: tuple[str, str],
    *,
    labelled: bool,
) -> Image.Image:
    """A part of the picture and the same part of its ink, with a box around each candidate."""
    scale = _scale(window, tallest)
    width, height = (
        max(1, round((end - start) * scale))
        for start, end in zip(window[:2], window[2:], strict=True)
    )
    placed = [_Mark(_moved(box, window, scale), digit) for box, digit in marks]
    title = TITLE + (LABEL if labelled and any(mark.box[1] < LABEL for mark in placed) else 0)
    step = (
        (0, height + title + GAP)
        if width > PANEL
        else ((CARD_WIDTH if width <= CARD_WIDTH else PANEL) + GAP, 0)
    )
    image = Image.new("RGB", (CONTENT, title + height + 4 + step[1]), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for number, (words, picture) in enumerate(zip(titles, pictures, strict=True)):
        x, y = number * step[0], number * step[1]
        draw.text((x, y + TITLE - 8), words, QUIET, _font(NOTE), anchor="ls")
        image.paste(_resized(picture.crop(window), (width, height)), (x, y + title))
        draw.rectangle((x, y + title, x + width - 1, y + title + height - 1), outline=RULE)
        _draw_boxes(draw, (x, y + title), placed)
        if labelled and number == 0:
            _draw_labels(
                draw,
                (x, y + title),
                [(mark, str(mark.digit.digit)) for mark in placed if mark.digit.accepted],
            )
        elif labelled:
            _draw_labels(
                draw,
                (x, y + title),
                [(mark, str(index)) for index, mark in enumerate(placed, start=1)],
            )
    return image


def _moved(box: Box, window: Box, scale: float) -> Box:
    left, top, right, bottom = (
        round((edge - window[axis % 2]) * scale) for axis, edge in enumerate(box)
    )
    return left, top, right, bottom


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if size[0] < image.width:
        return image.resize(size, Image.Resampling.BOX)
    return image.resize(
        size, Image.Resampling.NEAREST if size[0] > 3 * image.width else Image.Resampling.BICUBIC
    )


def _draw_boxes(draw: ImageDraw.ImageDraw, origin: tuple[int, int], marks: Sequence[_Mark]) -> None:
    """White around each box lets it be seen on dark paper."""
    for grown, width in ((4, 4), (3, 2)):
        for (left, top, right, bottom), digit in marks:
            colour = CARD if width == 4 else ACCEPTED if digit.accepted else REFUSED
            start = max(0, origin[0] + left - grown), origin[1] + top - grown
            stop = min(CONTENT - 1, origin[0] + right + grown - 1), origin[1] + bottom + grown - 1
            draw.rectangle((start, stop), outline=colour, width=width)


def _draw_labels(
    draw: ImageDraw.ImageDraw, origin: tuple[int, int], labels: Sequence[tuple[_Mark, str]]
) -> None:
    """A label above each box that is not too small for one."""
    for ((left, top, right, bottom), digit), label in labels:
        if max(right - left, bottom - top) >= 14:
            place, font = (
                (origin[0] + left - 1, origin[1] + top - 6),
                _font(min(18, max(12, (bottom - top) // 3))),
            )
            before, above, after, below = draw.textbbox(place, label, font, anchor="ls")
            draw.rectangle((before - 2, above - 2, after + 1, below), CARD)
            draw.text(place, label, ACCEPTED if digit.accepted else REFUSED, font, anchor="ls")


def _legend(meanings: Sequence[tuple[Colour, str]]) -> Image.Image:
    image = Image.new("RGB", (CONTENT, 20), BACKGROUND)
    draw, x = ImageDraw.Draw(image), 0
    for colour, words in meanings:
        draw.rectangle((x, 3, x + 13, 16), colour, RULE)
        draw.text((x + 21, 15), words, QUIET, _font(NOTE), anchor="ls")
        x += 21 + round(_font(NOTE).getlength(words)) + 28
    return image


def _cards(digits: Sequence[Digit], width: int) -> list[Image.Image]:
    """Rows of cards, after a line that says which candidates they show where it is not all of them."""
    if not digits:
        return [_written([_Row("There is nothing that could be a digit.")], width)]
    numbered, note = list(enumerate(digits, start=1)), []
    if len(digits) > MOST_CARDS:
        numbered = sorted(sorted(numbered, key=_sureness)[:MOST_CARDS], key=lambda item: item[0])
        note = [
            _written(
                [_Row(f"the {MOST_CARDS} least sure of {len(digits)} candidates", colour=QUIET)],
                width,
            )
        ]
    rows = [numbered[start : start + COLUMNS] for start in range(0, len(numbered), COLUMNS)]
    return note + [_row_of_cards(row, width) for row in rows]


def _sureness(numbered: tuple[int, Digit]) -> tuple[bool, float]:
    return numbered[1].accepted, numbered[1].confidence


def _row_of_cards(row: Sequence[tuple[int, Digit]], width: int) -> Image.Image:
    reasons = [_wrapped(_writable(digit.reason or ""), NOTE, CARD_WIDTH - 24) for _, digit in row]
    height = CARD_HEIGHT + max(22 * len(lines) if lines[0] else 0 for lines in reasons)
    image = Image.new("RGB", (width, height), BACKGROUND)
    for column, ((number, digit), reason) in enumerate(zip(row, reasons, strict=True)):
        image.paste(_card(digit, number, reason, height), (column * (CARD_WIDTH + GAP), 0))
    return image


def _card(digit: Digit, number: int, reason: Sequence[str], height: int) -> Image.Image:
    """One candidate: what the network saw, its best guess, how sure it was, what else it thought of, and why it was refused."""
    image = Image.new("RGB", (CARD_WIDTH, height), CARD)
    draw = ImageDraw.Draw(image)
    colour = ACCEPTED if digit.accepted else REFUSED
    draw.rectangle((0, 0, CARD_WIDTH - 1, height - 1), outline=RULE)
    draw.rectangle((0, 0, CARD_WIDTH - 1, STRIP - 1), colour)
    draw.text((12, STRIP - 7), str(number), CARD, _font(NOTE), anchor="ls")
    draw.text(
        (CARD_WIDTH - 12, STRIP - 7),
        "accepted" if digit.accepted else "refused",
        CARD,
        _font(NOTE),
        anchor="rs",
    )
    if digit.image is not None:
        image.paste(
            Image.fromarray(digit.image).resize((SEEN, SEEN), Image.Resampling.NEAREST),
            (12, STRIP + 10),
        )
    draw.text((162, STRIP + 46), str(digit.digit), colour, _font(48), anchor="ls")
    draw.text((198, STRIP + 28), digit.sureness, TEXT, _font(18), anchor="ls")
    if digit.probabilities is not None:
        _draw_bars(draw, _chances(digit), digit.digit, colour)
    for line, words in enumerate(reason):
        draw.text((12, CARD_HEIGHT + 8 + 22 * line), words, REFUSED, _font(NOTE), anchor="ls")
    return image


def _chances(digit: Digit) -> list[float]:
    """Of the ten digits, and that it is none of them; together 1."""
    assert digit.probabilities is not None
    sure = digit.confidence / float(digit.probabilities[digit.digit])
    return [*(digit.probabilities * sure).tolist(), max(0.0, 1 - sure)]


def _draw_bars(
    draw: ImageDraw.ImageDraw, chances: Sequence[float], best: int, colour: Colour
) -> None:
    """A bar each, the runner-up also as a figure."""
    second = max(
        (guess for guess in range(len(chances)) if guess != best), key=lambda guess: chances[guess]
    )
    if chances[second] >= 0.0005:
        words = (
            f"none: {chances[second]:.1%}"
            if second == DOUBT
            else f"or {second}: {chances[second]:.1%}"
        )
        draw.text((198, STRIP + 46), words, QUIET, _font(12), anchor="ls")
    for guess, chance in enumerate(chances):
        left, foot = 162 + 9 * guess + (6 if guess == DOUBT else 0), STRIP + 132
        draw.rectangle(
            (left, foot - max(1, round(70 * chance)), left + 6, foot),
            colour if guess == best else UNUSED,
        )
        name, shade = "no" if guess == DOUBT else str(guess), TEXT if guess == best else QUIET
        draw.text((left + 3, foot + 16), name, shade, _font(12), anchor="ms")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
