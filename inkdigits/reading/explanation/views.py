"""A picture beside the ink that was found in it, with a box around each candidate."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageDraw

from inkdigits.core.digits import Plane
from inkdigits.reading.explanation.text import (
    ACCEPTED,
    BACKGROUND,
    CARD,
    CARD_WIDTH,
    CONTENT_WIDTH,
    GAP,
    NOTE,
    QUIET,
    REFUSED,
    RULE,
    UNUSED,
    Colour,
    font,
    write,
)
from inkdigits.reading.preprocessing.candidate import Box, bounding_box
from inkdigits.reading.preprocessing.ink import find_ink
from inkdigits.reading.preprocessing.page import EDGE, Page
from inkdigits.reading.recogniser import Digit

PRINTED = (214, 160, 192)
OUTSIDE = (226, 224, 214)
LEFT_OUT = {"printed lines removed", "texture, no writing"}  # warnings that not all ink is used

# What becomes of a pixel of ink, and its colour.
IS_UNUSED, IS_ACCEPTED, IS_REFUSED = range(3)
INK_COLOURS = np.array([UNUSED, ACCEPTED, REFUSED], np.float32)
PAPER_COLOURS = np.array([CARD, OUTSIDE], np.float32)  # of the sheet, and outside it

# All sizes are in pixels.
PANEL_WIDTH = (CONTENT_WIDTH - GAP) // 2
TALLEST_VIEW = 560
TALLEST_OVERVIEW = 300
TITLE_HEIGHT = 24
LABEL_HEIGHT = 22
SMALLEST_LABELLED = 14  # the longer side of a box
LARGEST_PIXEL = 12  # of a pixel of the picture

LONG = 2.5  # width over height from which two panels stand one above the other, and the reverse
AROUND = 0.2  # the paper shown around the writing, of its longer side
WORTH = 2.0  # the writing must appear so many times larger in a view of its own

Legend = list[tuple[Colour, str]]


def draw_views(page: Page, digits: Sequence[Digit]) -> list[Image.Image]:
    """Draw the picture beside its ink, and what the colours mean.

    Where the writing is a small part of the picture, a second view shows it enlarged.
    """
    picture = Image.fromarray(page.picture.pixels).convert("RGB")
    ink, legend = colour_ink(page, digits)
    found = [
        replace(digit, box=candidate.box)
        for candidate, digit in zip(page.candidates, digits, strict=True)
    ]

    panels = [("the picture, upright", picture), ("the ink that was found in it", ink)]
    whole = 0, 0, ink.width, ink.height
    close = _surroundings(found, whole)
    if _scale(close, TALLEST_VIEW) < WORTH * _scale(whole, TALLEST_VIEW):
        views = [_draw_view(panels, whole, TALLEST_VIEW, found, labelled=True)]
    else:
        enlarged = [("the writing, enlarged", picture), ("its ink", ink)]
        views = [
            _draw_view(panels, whole, TALLEST_OVERVIEW, found, labelled=False),
            _draw_view(enlarged, close, TALLEST_VIEW, found, labelled=True),
        ]

    return [*views, _draw_legend(legend)] if legend else views


def colour_ink(page: Page, digits: Sequence[Digit]) -> tuple[Image.Image, Legend]:
    """Colour the ink by what became of it.

    Returns:
        The ink on white, and the colours that occur in it with their meaning.
    """
    ink = page.ink
    owner = np.full(ink.mask.shape, IS_UNUSED, np.uint8)
    for candidate, digit in zip(page.candidates, digits, strict=True):
        left, top, right, bottom = candidate.box
        own = IS_ACCEPTED if digit.accepted else IS_REFUSED
        owner[top:bottom, left:right][candidate.mask] = own

    outside = np.zeros_like(ink.mask) if ink.outside is None else ink.outside
    left_out = np.zeros_like(ink.mask)
    if LEFT_OUT.intersection(ink.warnings):
        left_out = find_ink(page.picture.pixels).mask & ~ink.mask

    paper = PAPER_COLOURS[outside.view(np.uint8)]
    colours = INK_COLOURS[_grow(owner)]
    strength = np.where(_grow(ink.mask.view(np.uint8)) > 0, ink.strength, np.uint8(0))
    pixels = paper + (colours - paper) * (strength[:, :, None] / np.float32(255))
    pixels[left_out] = PRINTED

    meanings = [
        (ACCEPTED, "accepted", owner == IS_ACCEPTED),
        (REFUSED, "refused", owner == IS_REFUSED),
        (UNUSED, "no part of a candidate", ink.mask & (owner == IS_UNUSED)),
        (PRINTED, "left out: print or texture", left_out),
        (OUTSIDE, "outside the sheet", outside),
    ]
    legend = [(colour, words) for colour, words, where in meanings if where.any()]
    return Image.fromarray(np.rint(pixels).astype(np.uint8)), legend


def _grow(plane: Plane) -> Plane:
    """Grow areas by the edge of a stroke, whose greys are around its mask."""
    square = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    return np.asarray(cv2.dilate(plane, square), np.uint8)


def _surroundings(digits: Sequence[Digit], whole: Box) -> Box:
    """Return the box of the writing with some paper around it; of no writing, the whole."""
    if not digits:
        return whole

    left, top, right, bottom = bounding_box(digit.box for digit in digits)
    margin = round(AROUND * max(right - left, bottom - top))
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(whole[2], right + margin),
        min(whole[3], bottom + margin),
    )


def _scale(window: Box, tallest: int) -> float:
    """Return how many pixels of a panel show one pixel of the picture."""
    left, top, right, bottom = window
    width = right - left
    height = bottom - top
    panel_width = CONTENT_WIDTH if width > LONG * height else PANEL_WIDTH
    panel_height = tallest * LONG if height > LONG * width else tallest
    return min(panel_width / width, panel_height / height, LARGEST_PIXEL)


def _draw_view(
    panels: Sequence[tuple[str, Image.Image]],
    window: Box,
    tallest: int,
    found: Sequence[Digit],
    *,
    labelled: bool,
) -> Image.Image:
    """Draw a part of the picture and the same part of its ink, with a box around each candidate.

    Args:
        panels: title and image of the picture and of its ink.
        window: the part that is shown.
        tallest: the height that a panel may have.
        found: the candidates, with boxes in pixels of the images.
        labelled: whether boxes have labels: the digits on the picture, numbers on the ink.
    """
    scale = _scale(window, tallest)
    left, top, right, bottom = window
    width = max(1, round((right - left) * scale))
    height = max(1, round((bottom - top) * scale))
    rows = [round((digit.box[1] - top) * scale) for digit in found]

    head = TITLE_HEIGHT
    if labelled and any(row < LABEL_HEIGHT for row in rows):
        head += LABEL_HEIGHT

    across, down = _step(width, head + height)
    image = Image.new("RGB", (CONTENT_WIDTH, head + height + 4 + down), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for panel, (title, picture) in enumerate(panels):
        x = panel * across
        y = panel * down + head
        placed = [replace(digit, box=_place(digit.box, window, scale, (x, y))) for digit in found]
        labels = [
            [(digit, str(digit.digit)) for digit in placed if digit.accepted],
            [(digit, str(number)) for number, digit in enumerate(placed, start=1)],
        ]
        write(draw, (x, y - head + TITLE_HEIGHT - 8), title, QUIET)
        image.paste(_resize(picture.crop(window), width, height), (x, y))
        draw.rectangle((x, y, x + width - 1, y + height - 1), outline=RULE)
        _draw_boxes(draw, placed)
        if labelled:
            _draw_labels(draw, labels[panel])

    return image


def _step(width: int, height: int) -> tuple[int, int]:
    """Return how far to the right of and below a panel of this size the next one is."""
    if width > PANEL_WIDTH:
        return 0, height + GAP

    return (CARD_WIDTH if width <= CARD_WIDTH else PANEL_WIDTH) + GAP, 0


def _place(box: Box, window: Box, scale: float, panel: tuple[int, int]) -> Box:
    """Return where a box is in an image whose panel, at (x, y), shows the window."""
    moved = zip(box, 2 * window[:2], 2 * panel, strict=True)
    left, top, right, bottom = (
        round((place - start) * scale) + shift for place, start, shift in moved
    )
    return left, top, right, bottom


def _resize(image: Image.Image, width: int, height: int) -> Image.Image:
    if width < image.width:
        method = Image.Resampling.BOX
    elif width > 3 * image.width:
        method = Image.Resampling.NEAREST
    else:
        method = Image.Resampling.BICUBIC

    return image.resize((width, height), method)


def _draw_boxes(draw: ImageDraw.ImageDraw, placed: Sequence[Digit]) -> None:
    """Draw a box around each candidate, with white on both sides so that dark paper shows it."""
    for outset, line_width, is_white in ((4, 4, True), (3, 2, False)):
        for digit in placed:
            left, top, right, bottom = digit.box
            colour = ACCEPTED if digit.accepted else REFUSED
            draw.rectangle(
                (
                    max(0, left - outset),
                    top - outset,
                    min(CONTENT_WIDTH - 1, right + outset - 1),
                    bottom + outset - 1,
                ),
                outline=CARD if is_white else colour,
                width=line_width,
            )


def _draw_labels(draw: ImageDraw.ImageDraw, labels: Sequence[tuple[Digit, str]]) -> None:
    """Write a label above each box that is large enough for one."""
    for digit, label in labels:
        left, top, right, bottom = digit.box
        if max(right - left, bottom - top) < SMALLEST_LABELLED:
            continue

        place = left - 1, top - 6
        size = min(18, max(12, (bottom - top) // 3))
        before, above, after, below = draw.textbbox(place, label, font(size), anchor="ls")
        draw.rectangle((before - 2, above - 2, after + 1, below), CARD)
        colour = ACCEPTED if digit.accepted else REFUSED
        write(draw, place, label, colour, size)


def _draw_legend(legend: Legend) -> Image.Image:
    image = Image.new("RGB", (CONTENT_WIDTH, 20), BACKGROUND)
    draw = ImageDraw.Draw(image)
    x = 0
    for colour, words in legend:
        draw.rectangle((x, 3, x + 13, 16), colour, RULE)
        write(draw, (x + 21, 15), words, QUIET)
        x += 21 + round(font(NOTE).getlength(words)) + 28

    return image
