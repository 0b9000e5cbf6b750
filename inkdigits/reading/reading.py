"""What comes out of a picture: its text, the line as it stands, and how sure all of it is."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from inkdigits.core.errors import BadPicture
from inkdigits.reading.symbols import Digit, Sign, confidence_of, lines_of, with_spaces
from inkdigits.reading.tables import Table, table_of

_encode_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps makes one for each call


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
        return confidence_of(self.digits) if self.accepted else None

    def is_less_sure_than(self, probability: float | None) -> bool:
        """Tell whether the text is less likely to be right; an empty one is never sure.

        Args:
            probability: 0 to 1; nothing is less sure than None.
        """
        if probability is None:
            return False
        return self.confidence is None or self.confidence < probability

    def table(self) -> Table:
        """Return the numbers in rows and columns; a cell with something refused is doubtful."""
        return table_of(self.digits, self.signs)

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


def _as_it_stands(digits: Iterable[Digit], signs: Iterable[Sign]) -> str:
    """Return accepted digits and the signs of their lines, line by line."""
    return "\n".join(
        "".join(symbol.character if symbol else " " for symbol in with_spaces(line))
        for line in lines_of(digits, signs)
    )
