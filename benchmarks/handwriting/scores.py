"""What a reader said of the pictures of a row -> how good that is. Fractions are in [0, 1]."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.handwriting.readers import Answer
from benchmarks.handwriting.rows import Case, Row
from inkdigits.evaluation.metrics import BINS
from inkdigits.evaluation.selective import risk_coverage

Answers = Mapping[Case, Answer]


@dataclass(frozen=True)
class Share:
    """A count out of n."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        """Return the fraction, None of nothing."""
        return self.count / self.n if self.n else None


def share_of(flags: Iterable[bool]) -> Share:
    """Count how many are true."""
    values = list(flags)
    return Share(sum(values), len(values))


# ---- texts


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
    pairs = read_and_written(row, answers)
    if not pairs:
        return None

    return score_pairs(list(pairs.values()), [answers[case].milliseconds for case in pairs])


def misread(row: Row, answers: Answers) -> list[Case]:
    """Return the pictures of a row that were shown to the reader and are not read exactly."""
    pairs = read_and_written(row, answers)
    return [case for case, (said, truth) in pairs.items() if said != truth]


def read_and_written(row: Row, answers: Answers) -> dict[Case, tuple[str, str]]:
    """Return what counts of the text that was read and of the truth, for each picture shown."""
    shown = [case for case in row.cases if case in answers]
    return {case: (_text(answers[case].text, row), _text(case.content, row)) for case in shown}


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


def digits_of(text: str) -> str:
    """Return a text without the marks between rows."""
    return text.replace("-", "")


def edit_distance(read: str, truth: str) -> int:
    """Count the characters to insert, delete or change. Source: Wagner & Fischer 1974."""
    row = list(range(len(truth) + 1))
    for place, character in enumerate(read, start=1):
        before, row[0] = row[0], place
        for column, expected in enumerate(truth, start=1):
            cost = min(row[column] + 1, row[column - 1] + 1, before + (character != expected))
            before, row[column] = row[column], cost

    return row[-1]


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


# ---- confidence


def accepted_digits(cases: Iterable[Case], answers: Answers) -> tuple[list[float], list[bool]]:
    """Return how sure the reader is of each accepted digit, and whether it is right.

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

    return confidence, right


def calibration_error(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """Return the expected calibration error, None without digits.

    Its bins are those of `metrics.reliability`; but confidence need not be the largest of ten
    probabilities here.
    """
    if not right:
        return None

    surplus = np.asarray(confidence) - np.asarray(right)
    edges = np.linspace(0, 1, BINS + 1)
    place = np.searchsorted(edges[1:-1], confidence)  # an edge belongs to the bin below it
    return float(np.abs(np.bincount(place, surplus)).sum() / len(right))


def wrong_among_surest(
    confidence: Sequence[float], right: Sequence[bool], per_cent: float
) -> Share:
    """Count the errors among so many per cent of the digits, the surest.

    Equally sure digits are taken together, so that there may be some more than that.
    """
    if not right:
        return Share(0, 0)

    curve = risk_coverage(confidence, right)
    place = np.searchsorted(curve.accepted, len(right) * per_cent / 100)
    return Share(int(curve.wrong[place]), int(curve.accepted[place]))
