"""A picture beside its ink, coloured by what became of it, with a box around each candidate."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageChops, ImageDraw

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
from inkdigits.reading.page.find import Box, Find
from inkdigits.reading.page.maps import Floats
from inkdigits.reading.page.reader import Page
from inkdigits.reading.page.survey import Piece
from inkdigits.reading.symbols import Digit

# Neighbours have two shades in turn, so that one sees where one ends and the next begins.
ACCEPTED_SHADES = (ACCEPTED, (86, 180, 233))
REFUSED_SHADES = (REFUSED, (230, 159, 0))
SIGN = (150, 90, 150)
OUTSIDE = (226, 224, 214)
VISIBLE = 127  # of 255, strength of ink from which it is named

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
        replace(digit, box=find.box) for find, digit in zip(page.candidates, digits, strict=True)
    ]

    panels = [("the picture, upright", picture), ("whose ink is whose", ink)]
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
    height, width = page.picture.pixels.shape[:2]
    size = width, height
    ink = Image.new("L", size)
    owned = Image.new("L", size)
    drawn = Image.new("RGB", size, OUTSIDE)

    for piece in page.pieces:
        everything = _as_mask(piece, piece.maps.ink, size)
        ink = ImageChops.lighter(ink, everything)
        drawn.paste(CARD, _window(piece, size))

    symbols = _colours(page, digits)
    masks = [_as_mask(find.piece, _own_ink(find), size) for find, _ in symbols]
    for mask in masks:
        owned = ImageChops.lighter(owned, mask)

    unused = ImageChops.subtract(ink, owned)
    drawn.paste(UNUSED, mask=unused)
    for mask, (_, colour) in zip(masks, symbols, strict=True):
        drawn.paste(colour, mask=mask)

    is_accepted = [digit.accepted for digit in digits]
    meanings = [
        (ACCEPTED, "accepted", any(is_accepted)),
        (REFUSED, "refused", not all(is_accepted)),
        (SIGN, "a sign", bool(page.signs)),
        (UNUSED, "no part of a symbol", bool((np.asarray(unused) > VISIBLE).any())),
        (OUTSIDE, "no writing seen", True),
    ]
    return drawn, [(colour, words) for colour, words, occurs in meanings if occurs]


def _colours(page: Page, digits: Sequence[Digit]) -> list[tuple[Find, Colour]]:
    """Return the colour of each symbol."""
    colours = [(find, SIGN) for find in page.signs]
    for number, (find, digit) in enumerate(zip(page.candidates, digits, strict=True)):
        shades = ACCEPTED_SHADES if digit.accepted else REFUSED_SHADES
        colours.append((find, shades[number % 2]))

    return colours


def _own_ink(find: Find) -> Floats:
    """Return the map of a symbol's own ink in its piece, (H/2, W/2), 0 to 1."""
    cells = (find.symbol.rows, find.symbol.columns)
    own = np.zeros_like(find.piece.maps.ink)
    own[cells] = find.piece.maps.ink[cells]
    return own


def _as_mask(piece: Piece, strength: Floats, size: tuple[int, int]) -> Image.Image:
    """Bring a map of a piece, 0 to 1, to the pixels of the picture, 0 to 255.

    Args:
        piece: which part of the picture it is.
        strength: (H/2, W/2), one value for each cell.
        size: width and height of the picture.
    """
    left, top, right, bottom = _window(piece, size)
    values = np.rint(255 * strength).astype(np.uint8)
    part = Image.fromarray(values).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    mask = Image.new("L", size)
    mask.paste(part, (left, top))
    return mask


def _window(piece: Piece, size: tuple[int, int]) -> Box:
    """Return the part of a picture, (width, height), that a piece is."""
    left = round(piece.left)
    top = round(piece.top)
    height, width = piece.picture.shape[:2]
    right = min(size[0], round(left + width / piece.scale))
    bottom = min(size[1], round(top + height / piece.scale))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _surroundings(digits: Sequence[Digit], whole: Box) -> Box:
    """Return the box of the writing with some paper around it; of no writing, the whole."""
    if not digits:
        return whole

    boxes = np.array([digit.box for digit in digits])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
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
