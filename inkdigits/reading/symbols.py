"""What a picture holds: digits and signs, each with its box, in lines, with spaces between."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from math import prod
from statistics import median, quantiles
from typing import Any

from inkdigits.core.digits import Pixels
from inkdigits.reading.network import Probabilities
from inkdigits.reading.page.find import Box

# A gap is a space from so many heights of digits on, and from so many times the usual gap of its
# line, the lower quartile. Set by hand.
SPACE = 0.8
WIDER = 2.0
FEWEST_GAPS = 3  # of a line, without which it has no usual gap

# The power of the product of all confidences that is the text's, where the least is not lower. Of
# 166 generated numbers, none of a benchmark, the calibration error is 2.3 % so, and 5.3 % with 1.
INDEPENDENCE = 0.5


@dataclass(frozen=True)
class Digit:
    """One candidate, accepted or not.

    Attributes:
        digit: the best guess, 0 to 9.
        confidence: the calibrated probability that it is right, 0 to 1.
        accepted: whether it counts as a digit of the text.
        box: left, top, right, bottom in pixels of the upright picture.
        reason: why it was not accepted; None if it was.
        line: the number of its line of writing.
        probabilities: (10,) float32, of each digit, provided that it is one.
        image: (28, 28) uint8, what the network saw.
    """

    digit: int
    confidence: float
    accepted: bool
    box: Box
    reason: str | None = None
    line: int = field(default=0, repr=False)
    probabilities: Probabilities | None = field(default=None, repr=False, compare=False)
    image: Pixels | None = field(default=None, repr=False, compare=False)

    @property
    def character(self) -> str:
        """The digit as a character."""
        return str(self.digit)

    @property
    def height(self) -> int:
        """The height of the box in pixels of the upright picture."""
        return self.box[3] - self.box[1]

    @property
    def confidence_text(self) -> str:
        """The confidence as text, such as "87.2%"; at most "99.9%", since nothing is certain."""
        return confidence_text(self.confidence)

    def as_dict(self) -> dict[str, Any]:
        """Return the digit as `read --json` prints it."""
        printed = {
            "digit": self.digit,
            "confidence": round(self.confidence, 6),
            "accepted": self.accepted,
            "box": list(self.box),
        }
        if not self.accepted:
            printed["reason"] = self.reason

        return printed


@dataclass(frozen=True)
class Sign:
    """A sign beside digits.

    Attributes:
        sign: one of `. , - / :`.
        confidence: the probability that it is this sign, 0 to 1.
        box: left, top, right, bottom in pixels of the upright picture.
        line: the number of its line of writing.
    """

    sign: str
    confidence: float
    box: Box
    line: int = field(default=0, repr=False)

    @property
    def character(self) -> str:
        """The sign."""
        return self.sign

    def as_dict(self) -> dict[str, Any]:
        """Return the sign as `read --json` prints it."""
        return {
            "sign": self.sign,
            "confidence": round(self.confidence, 6),
            "box": list(self.box),
        }


def confidence_of(digits: Sequence[Digit]) -> float:
    """Return the probability that all candidates are judged rightly, 0 to 1.

    The doubts of neighbours are not independent: they share a pen, a hand and a camera.

    Args:
        digits: one at the least; one that was refused is judged rightly if it is no digit.
    """
    sure = [digit.confidence if digit.accepted else 1 - digit.confidence for digit in digits]
    return min(*sure, prod(sure) ** INDEPENDENCE)


def confidence_text(confidence: float) -> str:
    """Return a confidence as text, such as "87.2%"; at most "99.9%", since nothing is certain."""
    return f"{min(confidence, 0.999):.1%}"


def text_of(digits: Iterable[Digit]) -> str:
    """Return the accepted digits, lines of writing separated by line feeds."""
    accepted = (digit for digit in digits if digit.accepted)
    lines = groupby(accepted, key=lambda digit: digit.line)
    return "\n".join("".join(str(digit.digit) for digit in line) for _, line in lines)


def lines_of(digits: Iterable[Digit], signs: Iterable[Sign]) -> list[list[Digit | Sign]]:
    """Return the symbols of each line, from left to right.

    Args:
        digits: in reading order.
        signs: of lines that have digits.
    """
    lines: dict[int, list[Digit | Sign]] = {}
    for digit in digits:
        lines.setdefault(digit.line, []).append(digit)
    for sign in signs:
        lines[sign.line].append(sign)

    for line in lines.values():
        line.sort(key=lambda symbol: symbol.box[0] + symbol.box[2])

    return list(lines.values())


def with_spaces(
    line: Sequence[Digit | Sign], wider: float = WIDER
) -> Iterator[Digit | Sign | None]:
    """Yield the symbols of a line, and None where the gap between two is a space.

    Args:
        line: from left to right, with a digit at the least.
        wider: by how much a space is wider than the usual gap; with 0, digits that stand in boxes
            of their own are apart as well.
    """
    gaps = [after.box[0] - before.box[2] for before, after in pairwise(line)]
    tall = median(symbol.height for symbol in line if isinstance(symbol, Digit))
    usual = quantiles(gaps, n=4)[0] if len(gaps) >= FEWEST_GAPS else 0
    least = max(SPACE * tall, wider * usual)
    for symbol, gap in zip(line, [0, *gaps], strict=True):
        if gap > least:
            yield None
        yield symbol
