"""Signs beside digits: of what the page reader takes for separators, those that belong to a line.

A speck far from any digit looks like a full stop, and a dash of the form like a minus.
"""

from collections.abc import Iterable, Iterator, Sequence

from inkdigits.core.digits import CLASSES
from inkdigits.reading.page.find import SEPARATORS, Box
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
    whole = [sign for sign in signs if not _is_half_a_colon(sign, signs)]
    return tuple(sorted(whole, key=lambda sign: (sign.line, sign.box[0])))


def _signs_on(page: Page) -> Iterator[Sign]:
    """Yield what is likely to be a sign."""
    for find in page.separators:
        kind = int(find.chances.argmax())
        confidence = float(find.chances[kind])
        if confidence > LEAST_CONFIDENCE:
            sign = SEPARATORS[kind - CLASSES]
            yield Sign(sign, confidence, page.in_original(find.box), find.line)


def _is_half_a_colon(sign: Sign, signs: Iterable[Sign]) -> bool:
    """Tell whether a dot stands right above or below a colon, which has lost one of its two."""
    left, _, right, _ = sign.box
    middle = (left + right) / 2
    colons = [one.box for one in signs if one.sign == ":" and one.line == sign.line]
    return sign.sign == "." and any(box[0] <= middle <= box[2] for box in colons)


def _is_beside(sign: Sign, digits: Iterable[Digit]) -> bool:
    """Tell whether a sign stands near a digit of its line."""
    return any(_is_near(sign.box, digit) for digit in digits if digit.line == sign.line)


def _is_near(box: Box, digit: Digit) -> bool:
    left, top, right, bottom = digit.box
    gap = max(left - box[2], box[0] - right)
    middle = (box[1] + box[3]) / 2
    beyond = max(top - middle, middle - bottom)
    return gap <= AWAY * digit.height and beyond <= BEYOND * digit.height
