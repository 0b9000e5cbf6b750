"""The result of reading: its digits and signs, how sure each is, and the text as it stands."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadPicture
from inkdigits.reading.network import Probabilities
from inkdigits.reading.page.find import Box

# A gap is a space from so many heights of digits on, and from so many times the usual gap of its
# line. Set by hand.
SPACE = 0.8
WIDER = 2.0
FEWEST_GAPS = 3  # of a line, without which it has no usual gap

_encode_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps makes one for each call


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

    def as_dict(self) -> dict[str, Any]:
        """Return the sign as `read --json` prints it."""
        return {
            "sign": self.sign,
            "confidence": round(self.confidence, 6),
            "box": list(self.box),
        }


@dataclass(frozen=True)
class Reading:
    """The digits in a picture, and the signs beside them.

    Attributes:
        text: the accepted digits, lines of writing separated by line feeds; None where the picture
            could not be read.
        digits: every candidate in reading order, also those that are not accepted.
        warnings: sentences on what may have gone wrong.
        error: why the picture could not be read.
        signs: those that stand beside accepted digits, in reading order.
        written: the text as it stands, with its signs, and spaces where gaps are wide. It is made
            of the boxes unless it is given, as for a page that was turned and turned back.
    """

    text: str | None
    digits: tuple[Digit, ...] = ()
    warnings: tuple[str, ...] = ()
    error: BadPicture | None = None
    signs: tuple[Sign, ...] = ()
    written: str | None = None

    def __post_init__(self) -> None:
        if self.written is None and self.text is not None:
            is_plain = len(self.digits) <= 1 and not self.signs
            written = self.text if is_plain else _as_it_stands(self.accepted, self.signs)
            object.__setattr__(self, "written", written)

    @property
    def accepted(self) -> tuple[Digit, ...]:
        """The accepted digits, in reading order."""
        return tuple(digit for digit in self.digits if digit.accepted)

    @property
    def confidence(self) -> float | None:
        """The probability that the text is right as a whole; None where nothing was read.

        All accepted digits have to be right, and no candidate that was refused may be a digit.
        """
        if not self.accepted:
            return None

        sure = 1.0
        for digit in self.digits:
            sure *= digit.confidence if digit.accepted else 1 - digit.confidence

        return sure

    def is_less_sure_than(self, probability: float | None) -> bool:
        """Tell whether the text is less likely to be right; an empty one is never sure.

        Args:
            probability: 0 to 1; nothing is less sure than None.
        """
        if probability is None:
            return False
        return self.confidence is None or self.confidence < probability

    def as_dict(self, path: str | None = None) -> dict[str, Any]:
        """Return the object that `read --json` prints, with the path if there is one."""
        error = None
        if self.error:
            error = {"code": self.error.code, "message": str(self.error)}

        confidence = self.confidence
        printed = {
            "text": self.text,
            "digits": [digit.as_dict() for digit in self.digits],
            "warnings": list(self.warnings),
            "error": error,
            "written": self.written,
            "signs": [sign.as_dict() for sign in self.signs],
            "confidence": None if confidence is None else round(confidence, 6),
        }
        return printed if path is None else {"path": path, **printed}

    def to_json(self, path: str | None = None) -> str:
        """Return the object of `as_dict` as one line of JSON."""
        return _encode_json(self.as_dict(path))


def confidence_text(confidence: float) -> str:
    """Return a confidence as text, such as "87.2%"; at most "99.9%", since nothing is certain."""
    return f"{min(confidence, 0.999):.1%}"


def text_of(digits: Iterable[Digit]) -> str:
    """Return the accepted digits, lines of writing separated by line feeds."""
    accepted = (digit for digit in digits if digit.accepted)
    lines = groupby(accepted, key=lambda digit: digit.line)
    return "\n".join("".join(str(digit.digit) for digit in line) for _, line in lines)


def _as_it_stands(digits: Iterable[Digit], signs: Iterable[Sign]) -> str:
    """Return accepted digits and the signs of their lines, line by line."""
    lines: dict[int, list[Digit | Sign]] = {}
    for digit in digits:
        lines.setdefault(digit.line, []).append(digit)
    for sign in signs:
        lines[sign.line].append(sign)

    return "\n".join(_line_as_it_stands(line) for line in lines.values())


def _line_as_it_stands(symbols: list[Digit | Sign]) -> str:
    """Return the symbols of a line from left to right, with spaces where gaps are wide."""
    symbols.sort(key=lambda symbol: symbol.box[0] + symbol.box[2])
    gaps = [after.box[0] - before.box[2] for before, after in pairwise(symbols)]
    heights = [symbol.height for symbol in symbols if isinstance(symbol, Digit)]
    usual = median(gaps) if len(gaps) >= FEWEST_GAPS else 0
    least = max(SPACE * median(heights), WIDER * usual) if heights else 0
    return "".join(_with_spaces(symbols, gaps, least))


def _with_spaces(
    symbols: Sequence[Digit | Sign], gaps: Sequence[float], least: float
) -> Iterator[str]:
    """Yield the characters of symbols, and a space for each gap of at least so many pixels."""
    for symbol, gap in zip(symbols, [0, *gaps], strict=True):
        if gap > least:
            yield " "
        yield str(symbol.digit) if isinstance(symbol, Digit) else symbol.sign
