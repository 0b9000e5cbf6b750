"""A reading tells the text as it stands, and how sure it is of all of it."""

import pytest

from inkdigits.core.errors import BadPicture
from inkdigits.reading.reading import Reading
from inkdigits.reading.symbols import INDEPENDENCE, Digit, Sign


def digits(*lefts: int, line: int = 0, wide: int = 20) -> tuple[Digit, ...]:
    """Return sevens 40 pixels tall that begin at some pixels of a line."""
    top = 100 * line
    return tuple(Digit(7, 0.9, True, (x, top, x + wide, top + 40), line=line) for x in lefts)


def sign(character: str, left: int, line: int = 0) -> Sign:
    """Return a sign four pixels wide on the foot of a line."""
    top = 100 * line + 34
    return Sign(character, 0.9, (left, top, left + 4, top + 6), line)


def written(shown: tuple[Digit, ...], *signs: Sign) -> str | None:
    return Reading("", shown, signs=signs).written


def test_signs_stand_where_they_are_written() -> None:
    assert written(digits(0, 40, 80), sign(",", 63), sign(".", 22)) == "7.7,7"
    assert written(digits(20, 50), sign("-", 4)) == "-77"
    assert written(digits(0), sign("-", 30)) == "7-"


@pytest.mark.parametrize(
    ("lefts", "text"),
    [
        ((0, 25, 50), "777"),
        ((0, 25, 90), "77 7"),
        ((0, 25, 50, 110, 135), "777 77"),
        ((0, 60, 120, 180), "7777"),  # as in boxes
        ((0, 60, 120, 280), "777 7"),
    ],
)
def test_a_wide_gap_is_a_space(lefts: tuple[int, ...], text: str) -> None:
    assert written(digits(*lefts)) == text


def test_each_line_of_writing_is_a_line() -> None:
    shown = digits(0, 25) + digits(0, 25, line=1)
    assert written(shown, sign(":", 21, line=1)) == "77\n7:7"


def test_what_is_not_accepted_is_not_written() -> None:
    refused = Digit(3, 0.3, False, (25, 0, 45, 40), "not a digit")
    assert written((*digits(0, 50), refused)) == "77"


def test_the_text_is_never_surer_than_its_least_sure_digit() -> None:
    refused = Digit(3, 0.25, False, (25, 0, 45, 40), "not a digit")
    assert Reading("7", digits(0)).confidence == pytest.approx(0.9)
    assert Reading("77", (*digits(0, 50), refused)).confidence == pytest.approx(0.75)


def test_many_doubts_are_more_than_one() -> None:
    many = Reading("77777777", digits(*range(0, 400, 50))).confidence
    assert many == pytest.approx(0.9 ** (8 * INDEPENDENCE))
    assert many < 0.9


def test_nothing_is_as_sure_as_none() -> None:
    refused = Digit(3, 0.25, False, (25, 0, 45, 40), "not a digit")
    assert Reading("", (refused,)).confidence is None
    assert Reading("").written == ""
    broken = Reading(None, error=BadPicture("truncated", "cut short"))
    assert broken.written is None
    assert broken.confidence is None
