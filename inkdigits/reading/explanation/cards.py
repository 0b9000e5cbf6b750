"""A card for each candidate: what the network saw, its best guess, and what else it thought of."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from inkdigits.core.digits import NOT_A_DIGIT
from inkdigits.reading.explanation.text import (
    ACCEPTED,
    BACKGROUND,
    CARD,
    CARD_WIDTH,
    CARDS_IN_ROW,
    GAP,
    NOTE,
    QUIET,
    REFUSED,
    RULE,
    TEXT,
    UNUSED,
    Row,
    draw_rows,
    wrap,
    writable,
    write,
)
from inkdigits.reading.symbols import Digit

MOST_CARDS = 96  # of more candidates, those are shown that are the least sure

# All sizes are in pixels.
CARD_HEIGHT = 186
STRIP = 24  # the height of a card's coloured title
FIELD = 140  # the 28x28 image, five times enlarged
REASON_LINE = 22
BAR_HEIGHT = 70
FIGURE = 12  # of the letters at the bars

Numbered = tuple[int, Digit]


def draw_cards(digits: Sequence[Digit], width: int) -> list[Image.Image]:
    """Draw rows of cards, below a line that says which candidates they show if not all."""
    if not digits:
        return [draw_rows([Row("There is nothing that could be a digit.")], width)]

    sections = []
    numbered = list(enumerate(digits, start=1))
    if len(digits) > MOST_CARDS:
        words = f"the {MOST_CARDS} least sure of {len(digits)} candidates"
        sections = [draw_rows([Row(words, colour=QUIET)], width)]
        by_sureness = sorted(numbered, key=lambda one: (one[1].accepted, one[1].confidence))
        numbered = sorted(by_sureness[:MOST_CARDS])

    for start in range(0, len(numbered), CARDS_IN_ROW):
        sections.append(_draw_row(numbered[start : start + CARDS_IN_ROW], width))

    return sections


def _draw_row(row: Sequence[Numbered], width: int) -> Image.Image:
    reasons = [
        wrap(writable(digit.reason), NOTE, CARD_WIDTH - 24) if digit.reason else []
        for _, digit in row
    ]
    height = CARD_HEIGHT + REASON_LINE * max(map(len, reasons))
    image = Image.new("RGB", (width, height), BACKGROUND)
    for column, ((number, digit), reason) in enumerate(zip(row, reasons, strict=True)):
        card = _draw_card(digit, number, reason, height)
        image.paste(card, (column * (CARD_WIDTH + GAP), 0))

    return image


def _draw_card(digit: Digit, number: int, reason: Sequence[str], height: int) -> Image.Image:
    image = Image.new("RGB", (CARD_WIDTH, height), CARD)
    draw = ImageDraw.Draw(image)

    colour = ACCEPTED if digit.accepted else REFUSED
    verdict = "accepted" if digit.accepted else "refused"
    draw.rectangle((0, 0, CARD_WIDTH - 1, height - 1), outline=RULE)
    draw.rectangle((0, 0, CARD_WIDTH - 1, STRIP - 1), colour)
    write(draw, (12, STRIP - 7), str(number), CARD)
    write(draw, (CARD_WIDTH - 12, STRIP - 7), verdict, CARD, anchor="rs")

    if digit.image is not None:
        field = Image.fromarray(digit.image)
        image.paste(field.resize((FIELD, FIELD), Image.Resampling.NEAREST), (12, STRIP + 10))

    write(draw, (162, STRIP + 46), str(digit.digit), colour, 48)
    write(draw, (198, STRIP + 28), digit.confidence_text, TEXT, 18)
    if digit.probabilities is not None:
        _draw_bars(draw, chances(digit), digit.digit, colour)

    for line, words in enumerate(reason):
        write(draw, (12, CARD_HEIGHT + 8 + REASON_LINE * line), words, REFUSED)

    return image


def chances(digit: Digit) -> list[float]:
    """Return the probability of each of the ten digits and of none of them; together 1."""
    assert digit.probabilities is not None
    sure = digit.confidence / float(digit.probabilities[digit.digit])
    return [*(digit.probabilities * sure).tolist(), max(0.0, 1 - sure)]


def _draw_bars(
    draw: ImageDraw.ImageDraw,
    chances: Sequence[float],
    best: int,
    colour: tuple[int, int, int],
) -> None:
    """Draw a bar for each chance, and write the runner-up's as a figure."""
    others = [guess for guess in range(len(chances)) if guess != best]
    second = max(others, key=lambda guess: chances[guess])
    if chances[second] >= 0.0005:
        name = "none" if second == NOT_A_DIGIT else f"or {second}"
        write(draw, (198, STRIP + 46), f"{name}: {chances[second]:.1%}", QUIET, FIGURE)

    foot = STRIP + 132
    for guess, chance in enumerate(chances):
        left = 162 + 9 * guess
        name = str(guess)
        if guess == NOT_A_DIGIT:
            left += 6
            name = "no"

        top = foot - max(1, round(BAR_HEIGHT * chance))
        draw.rectangle((left, top, left + 6, foot), colour if guess == best else UNUSED)
        shade = TEXT if guess == best else QUIET
        write(draw, (left + 3, foot + 16), name, shade, FIGURE, "ms")
