"""Why a picture was read as it was: one image that shows the picture, the ink found in it, and what the network saw and thought.

Takes a trace; returns a PIL image. Knows how to draw; decides nothing.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inkdigits.recogniser import Digit, Trace
from inkdigits.segmentation import Box

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BACKGROUND, CARD, RULE = (246, 246, 243), (255, 255, 255), (222, 222, 216)
TEXT, QUIET = (32, 33, 36), (118, 118, 112)
ACCEPTED, REFUSED = (0, 105, 168), (205, 88, 20)  # blue and vermilion: told apart by every kind of eye

MARGIN = 24  # pixels, as are all sizes here
PANEL = 468  # side of the two pictures above
SEEN = 112  # the 28x28 field, four times enlarged
CARD_WIDTH, CARD_HEIGHT, REASON_HEIGHT = 228, 138, 36
GAP = 16
AROUND = 0.2  # of the writing's size is shown around it
COLUMNS = 4
MOST_CARDS = 48  # more candidates are counted, not drawn
WIDTH = 2 * MARGIN + COLUMNS * CARD_WIDTH + (COLUMNS - 1) * GAP


def explain(trace: Trace) -> Image.Image:
    """Draw what led to a reading: the picture and its ink with boxes, then each candidate as the network saw it. RGB, 1008 wide."""
    digits = trace.reading.digits
    header = _header(trace)
    panels = _panels(trace)
    height = CARD_HEIGHT + (0 if all(digit.accepted for digit in digits) else REASON_HEIGHT)
    cards = [_card(digit, number, height) for number, digit in enumerate(digits[:MOST_CARDS], start=1)]
    rows = -(-len(cards) // COLUMNS)
    top = header.height + panels.height + MARGIN
    sheet = Image.new("RGB", (WIDTH, top + rows * (height + GAP) + MARGIN), BACKGROUND)
    sheet.paste(header, (0, 0))
    sheet.paste(panels, (0, header.height))
    for index, card in enumerate(cards):
        row, column = divmod(index, COLUMNS)
        sheet.paste(card, (MARGIN + column * (CARD_WIDTH + GAP), top + row * (height + GAP)))
    if len(digits) > MOST_CARDS:
        note = f"and {len(digits) - MOST_CARDS} more"
        ImageDraw.Draw(sheet).text((MARGIN, sheet.height - MARGIN - 4), note, QUIET, _font(14))
    return sheet


def _header(trace: Trace) -> Image.Image:
    """What was read, how many candidates were refused, and the warnings."""
    lines = (trace.reading.text or "").split("\n")
    refused = sum(not digit.accepted for digit in trace.reading.digits)
    found = len(trace.reading.digits) - refused
    size = 44 if len(lines) == 1 else 28
    shown = lines[:6] + (["…"] if len(lines) > 6 else [])
    notes = [f"{_counted(found, 'digit')} read" + (f", {_counted(refused, 'candidate')} refused" if refused else "")]
    notes += list(trace.reading.warnings)
    height = MARGIN + round(size * 1.2) * len(shown) + 12 + 24 * len(notes) + 12
    image = Image.new("RGB", (WIDTH, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    y = MARGIN
    for line in shown:
        draw.text((MARGIN, y), line or "nothing read", TEXT if line else QUIET, _font(size))
        y += round(size * 1.2)
    y += 12
    for number, note in enumerate(notes):
        if number:
            draw.ellipse((MARGIN, y + 5, MARGIN + 8, y + 13), REFUSED)
        draw.text((MARGIN + (18 if number else 0), y), note, QUIET if number == 0 else TEXT, _font(15))
        y += 24
    return image


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _panels(trace: Trace) -> Image.Image:
    """The part of the picture that has the writing and its ink side by side, with a box around each candidate."""
    page = trace.page
    ink = _on_white(np.where(_grown(page.ink.mask), page.ink.strength, np.uint8(0)))
    left, top, _, _ = window = _window([candidate.box for candidate in page.candidates], page.picture.pixels.shape)
    pixels = Image.fromarray(page.picture.pixels).convert("RGB").crop(window)
    scale = min(PANEL / pixels.width, PANEL / pixels.height)
    size = max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale))
    boxes = [
        ((c.box[0] - left, c.box[1] - top, c.box[2] - left, c.box[3] - top), digit)
        for c, digit in zip(page.candidates, trace.reading.digits, strict=True)
    ]
    image = Image.new("RGB", (WIDTH, 28 + size[1]), BACKGROUND)
    draw = ImageDraw.Draw(image)
    titles = "the picture, upright", "the ink that was found in it"
    for x, title, panel in zip((MARGIN, WIDTH - MARGIN - PANEL), titles, (pixels, Image.fromarray(ink).crop(window)), strict=True):
        draw.text((x, 0), title, QUIET, _font(14))
        image.paste(_with_boxes(_resized(panel, size), boxes, scale), (x, 26))
        draw.rectangle((x - 1, 25, x + size[0], 26 + size[1]), outline=RULE)
    return image


def _window(boxes: list[Box], shape: tuple[int, ...]) -> Box:
    """The boxes with some paper around; the whole picture where there are none."""
    height, width = shape[:2]
    if not boxes:
        return 0, 0, width, height
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    margin = round(AROUND * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return cv2.dilate(mask.view(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _on_white(strength: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ink as people know it, dark on white, (H, W, 3)."""
    return np.repeat(255 - strength[:, :, None], 3, axis=2)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    smaller = size[0] < image.width
    return image.resize(size, Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)


def _with_boxes(image: Image.Image, boxes: list[tuple[Box, Digit]], scale: float) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for box, digit in boxes:
        left, top, right, bottom = (round(edge * scale) for edge in box)
        colour = ACCEPTED if digit.accepted else REFUSED
        draw.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=colour, width=2)
        if digit.accepted and bottom - top >= 18:
            draw.text((left - 2, top - 5), str(digit.digit), colour, _font(15), anchor="ls", stroke_width=2, stroke_fill=CARD)
    return image


def _card(digit: Digit, number: int, height: int) -> Image.Image:
    """One candidate: what the network saw, its best guess, how sure it was, and why it was refused."""
    image = Image.new("RGB", (CARD_WIDTH, height), CARD)
    draw = ImageDraw.Draw(image)
    colour = ACCEPTED if digit.accepted else REFUSED
    draw.rectangle((0, 0, CARD_WIDTH - 1, height - 1), outline=RULE)
    draw.rectangle((0, 0, CARD_WIDTH - 1, 3), colour)
    if digit.image is not None:
        image.paste(Image.fromarray(digit.image).resize((SEEN, SEEN), Image.Resampling.NEAREST), (10, 14))
    draw.text((134, 8), str(digit.digit), colour, _font(40))
    draw.text((163, 18), f"{digit.confidence:.1%}", TEXT, _font(15))
    draw.text((163, 36), f"number {number}", QUIET, _font(11))
    if digit.probabilities is not None:
        _draw_bars(draw, digit.probabilities, colour)
    for line, words in enumerate(_wrapped(digit.reason or "", 34)):
        draw.text((10, CARD_HEIGHT - 4 + 16 * line), words, REFUSED, _font(13))
    return image


def _draw_bars(draw: ImageDraw.ImageDraw, probabilities: NDArray[np.float32], colour: Colour) -> None:
    """Ten bars; their height is the square root of the probability, so that runners-up of a per cent can be seen."""
    best = int(probabilities.argmax())
    for guess, probability in enumerate(probabilities.tolist()):
        left = 134 + 8 * guess
        draw.rectangle((left, 112 - round(50 * probability**0.5), left + 5, 112), colour if guess == best else RULE)
        draw.text((left + 3, 124), str(guess), TEXT if guess == best else QUIET, _font(10), anchor="ms")


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Two lines at most."""
    words, line, lines = text.split(), "", 0
    for word in words:
        if line and len(line) + len(word) >= width:
            yield line
            line, lines = "", lines + 1
            if lines == 2:
                return
        line = f"{line} {word}".strip()
    if line:
        yield line


def _font(size: int) -> Font:
    return ImageFont.load_default(size)
