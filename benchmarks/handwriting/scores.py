"""What a reader said of the pictures of a row -> how good that is. Fractions are in [0, 1]."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.handwriting.figures import (
    Share,
    calibration,
    calibration_error,
    digits_of,
    edit_distance,
    share_of,
)
from benchmarks.handwriting.readers import Answer
from benchmarks.handwriting.rows import Case, Row

Answers = Mapping[Case, Answer]


@dataclass(frozen=True)
class Score:
    """How well a reader reads the pictures of one row.

    Attributes:
        exact: pictures of which the text is right; of pictures without a digit, that it is empty.
        edits: characters to insert, delete or change, over all pictures.
        written: characters in all pictures.
        oversegmented: digits read more than are written, summed over the pictures with more.
        undersegmented: digits read fewer than are written, summed over the pictures with fewer.
        wrong: pictures of which the text is wrong, among those with any text.
        milliseconds: the median of processor time.
    """

    exact: Share
    edits: int
    written: int
    oversegmented: int
    undersegmented: int
    wrong: Share
    milliseconds: float

    @property
    def character_error_rate(self) -> float | None:
        """Return the edits for each character that is written, None where none is."""
        return self.edits / self.written if self.written else None


def score(row: Row, answers: Answers) -> Score | None:
    """Score what was said of a row's pictures; None where none of them was shown to the reader."""
    shown = [case for case in row.cases if case in answers]
    if not shown:
        return None

    pairs = [(_text(answers[case].text, row), _text(case.content, row)) for case in shown]
    times = [answers[case].milliseconds for case in shown]
    return score_pairs(pairs, times)


def score_pairs(pairs: Sequence[tuple[str, str]], milliseconds: Sequence[float]) -> Score:
    """Score texts that were read.

    Args:
        pairs: what was read and what is written, picture by picture.
        milliseconds: as many.
    """
    surplus = [len(digits_of(said)) - len(digits_of(truth)) for said, truth in pairs]
    return Score(
        exact=share_of(said == truth for said, truth in pairs),
        edits=sum(edit_distance(said, truth) for said, truth in pairs),
        written=sum(len(truth) for _, truth in pairs),
        oversegmented=sum(max(more, 0) for more in surplus),
        undersegmented=sum(max(-more, 0) for more in surplus),
        wrong=share_of(said != truth for said, truth in pairs if said),
        milliseconds=statistics.median(milliseconds),
    )


def _text(text: str, row: Row) -> str:
    """Return what counts of a text: its rows of writing, or its digits alone."""
    return text if row.rows_count else digits_of(text)


@dataclass(frozen=True)
class Calibration:
    """How well confidence says how often accepted digits are right.

    Attributes:
        right: the accepted digits that are right.
        error: the expected calibration error; None without digits.
    """

    right: Share
    error: float | None


def calibrate(cases: Iterable[Case], answers: Answers) -> Calibration:
    """Compare the confidence of accepted digits with the truth.

    Args:
        cases: of which those count where as many digits were read as are written, since only there
            it is known which digit is which.
        answers: of a reader that tells its confidence.
    """
    confidence: list[float] = []
    right: list[bool] = []
    for case in dict.fromkeys(cases):
        written = digits_of(case.content)
        digits = answers[case].digits if case in answers else ()
        if len(digits) == len(written):
            confidence += [sure for _, sure in digits]
            right += [str(digit) == is_ for (digit, _), is_ in zip(digits, written, strict=True)]

    return Calibration(share_of(right), calibration_error(calibration(confidence, right)))


def by_fault(row: Row, answers: Answers) -> dict[str, Score]:
    """Score the drawn pictures of each kind of fault."""
    faults: dict[str, list[Case]] = {}
    for case in row.cases:
        if case.fault:
            faults.setdefault(case.fault, []).append(case)

    found = {}
    for fault in sorted(faults):
        scored = score(Row(fault, tuple(faults[fault]), row.rows_count), answers)
        if scored:
            found[fault] = scored

    return found


def median_milliseconds(cases: Sequence[Case], answers: Answers) -> float | None:
    """Return the median processor time of those that were shown; None without any."""
    times = [answers[case].milliseconds for case in cases if case in answers]
    return statistics.median(times) if times else None
