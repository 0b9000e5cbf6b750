"""Signs beside digits: of what the page reader takes for one, those that belong to a line.

A speck far from any digit looks like a full stop, and a dash of the form like a minus.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from inkdigits.core.digits import CLASSES
from inkdigits.reading.page.find import SIGNS, Box
from inkdigits.reading.page.reader import Page
from inkdigits.reading.symbols import Digit, Sign

# Set by hand.
AWAY = 1.2  # heights of a digit that may lie between it and a sign of its line
BEYOND = 0.6  # heights by which a sign may stand above or below that digit
LEAST_CONFIDENCE = 0.5  # a sign is likelier than anything else


def signs_beside(page: Page, digits: Sequence[Digit]) -> tuple[Sign, ...]:
    """Return the signs of a page that stand beside accepted digits, in reading order.

    Args:
        page: what was found in a picture.
        digits: of it, with boxes in pixels of the upright original.
    """
    accepted = [digit for digit in digits if digit.accepted]
    signs = [sign for sign in _signs_on(page) if _is_beside(sign, accepted)]
    whole: list[Sign] = []
    for sign in sorted(signs, key=lambda sign: (sign.line, sign.box[0])):
        if whole and _is_in_place_of(sign, whole[-1]):
            whole[-1] = _as_one(whole[-1], sign)
        else:
            whole.append(sign)

    return tuple(whole)


def _signs_on(page: Page) -> Iterator[Sign]:
    """Yield what is likely to be a sign."""
    for find in page.signs:
        kind = int(find.chances.argmax())
        confidence = float(find.chances[kind])
        if confidence > LEAST_CONFIDENCE:
            sign = SIGNS[kind - CLASSES]
            yield Sign(sign, confidence, page.in_original(find.box), find.line)


def _is_in_place_of(sign: Sign, before: Sign) -> bool:
    """Tell whether a sign has no room of its own beside the one before it, so that both are one."""
    return sign.line == before.line and sign.box[0] <= before.box[2]


def _as_one(sign: Sign, other: Sign) -> Sign:
    """Return the one sign that two in the same place are parts of.

    Where one stands above the other, it is a colon, whose dots were found one by one.
    """
    above = sign.box[3] <= other.box[1] or other.box[3] <= sign.box[1]
    likelier = max(sign, other, key=lambda one: (one.sign == ":", one.confidence))
    left, top, right, bottom = zip(sign.box, other.box, strict=True)
    return replace(
        likelier,
        sign=":" if above else likelier.sign,
        box=(min(left), min(top), max(right), max(bottom)),
    )


def _is_beside(sign: Sign, digits: Iterable[Digit]) -> bool:
    """Tell whether a sign stands near a digit of its line."""
    return any(_is_near(sign.box, digit) for digit in digits if digit.line == sign.line)


def _is_near(box: Box, digit: Digit) -> bool:
    left, top, right, bottom = digit.box
    gap = max(left - box[2], box[0] - right)
    middle = (box[1] + box[3]) / 2
    beyond = max(top - middle, middle - bottom)
    return gap <= AWAY * digit.height and beyond <= BEYOND * digit.height
