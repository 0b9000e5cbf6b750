"""What was read in pictures -> how good that is: accuracy, edit distance, rejection, calibration, risk by coverage.

Takes outcomes, returns figures. Knows nothing of pictures, models and pages. Fractions are in [0, 1].
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from inkdigits.evaluation.metrics import BINS, Bin, percent, wilson_interval
from inkdigits.evaluation.selective import auroc

KINDS = ("single", "crop", "string", "reject")
ONE_DIGIT = ("single", "crop")
LOOKS = ("kind", "polarity", "background", "size")  # what the accuracy of digits is split by
FALSE_REJECTS = 0.01  # of the digits may be refused where rejection is measured at a threshold of the benchmark's own
COVERAGES = (1.0, 0.99, 0.98, 0.95, 0.9, 0.8)  # printed; the plot shows all


@dataclass(frozen=True)
class Outcome:
    """What was made of one picture. kind, content, writer: the truth.

    digit and confidence: of the most confident candidate, None and 0 where there is none. text: the accepted digits, rows joined
    by "-". accepted: whether any was, and as_page: whether any was where the picture was not said to hold one digit at most.
    milliseconds: of processor time, from the file to the reading. polarity, background, size: how the picture looks. error: why it
    was not read.
    """

    file: str
    kind: str
    content: str
    writer: str
    digit: int | None = None
    confidence: float = 0.0
    text: str = ""
    accepted: bool = False
    as_page: bool = False
    milliseconds: float = 0.0
    polarity: str = ""
    background: str = ""
    size: str = ""
    error: str | None = None

    @property
    def right(self) -> bool:
        """One digit: the best guess, accepted or not. A string: every digit, in reading order. No digit: nothing accepted."""
        if self.kind in ONE_DIGIT:
            return str(self.digit) == self.content
        if self.kind == "string":
            return digits_of(self.text) == digits_of(self.content)
        return not self.accepted and not self.as_page


def digits_of(text: str) -> str:
    """Without the marks between rows."""
    return text.replace("-", "")


@dataclass(frozen=True)
class Share:
    """So many of n."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        """The fraction, None of nothing."""
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval, Wilson's."""
        return wilson_interval(self.count, self.n) if self.n else None

    def __str__(self) -> str:
        if self.value is None or self.interval is None:
            return "-"
        low, high = self.interval
        return f"{percent(self.value)} ({self.count} of {self.n}; {100 * low:.1f}-{100 * high:.1f})"


@dataclass(frozen=True)
class Figures:
    """Everything that is measured. What there were no pictures for is 0 of 0, empty or None.

    digits: best guesses that are right, and `by` kind, polarity, background, size and writer; writers_mean: the mean over writers.
    accepted: digits accepted as shipped, and trusted: of these the right ones. strings: read exactly, in reading order, and rows:
    with the same rows; edits of string_digits make the character error rate. rejected: non-digits refused as shipped, told that
    there is one digit at most, and rejected_as_page without that; rejected_at: below `threshold`, below which no more than
    FALSE_REJECTS of the digits lie. auroc: of confidence as a sign that there is a digit. ece, bins: of confidence as the
    probability to be right. risk: the share of errors among the k most confident digits, k = 1, 2, ... milliseconds: the median
    and the 95th percentile by kind.
    """

    digits: Share
    by: Mapping[str, Mapping[str, Share]]
    writers_mean: float | None
    accepted: Share
    trusted: Share
    strings: Share
    rows: Share
    edits: int
    string_digits: int
    rejected: Share
    rejected_as_page: Share
    threshold: float | None
    rejected_at: Share
    auroc: float | None
    ece: float | None
    bins: tuple[Bin, ...]
    risk: tuple[float, ...]
    milliseconds: Mapping[str, tuple[float, float]]

    @property
    def character_error_rate(self) -> float | None:
        """Digits to insert, delete or change, for each digit that was written."""
        return self.edits / self.string_digits if self.string_digits else None

    def risk_at(self, coverage: float) -> float | None:
        """The share of errors among this share of the digits, the most confident ones."""
        return self.risk[max(1, round(coverage * len(self.risk))) - 1] if self.risk else None

    def record(self) -> dict[str, Any]:
        """For JSON."""
        plain = {
            name: _record(value)
            for name, value in vars(self).items()
            if name not in ("by", "bins", "risk", "milliseconds")
        }
        return plain | {
            "by": {
                group: {name: _record(share) for name, share in shares.items()}
                for group, shares in self.by.items()
            },
            "character_error_rate": self.character_error_rate,
            "bins": [asdict(bin_) for bin_ in self.bins],
            "risk_at_coverage": {str(coverage): self.risk_at(coverage) for coverage in COVERAGES},
            "milliseconds": {
                kind: {"median": median, "p95": high}
                for kind, (median, high) in self.milliseconds.items()
            },
        }


def _record(value: object) -> object:
    return (
        asdict(value) | {"value": value.value, "ci95": value.interval}
        if isinstance(value, Share)
        else value
    )


def figures(outcomes: Sequence[Outcome]) -> Figures:
    """Everything that follows from what was read."""
    digits = [outcome for outcome in outcomes if outcome.kind in ONE_DIGIT]
    strings = [outcome for outcome in outcomes if outcome.kind == "string"]
    others = [outcome for outcome in outcomes if outcome.kind == "reject"]
    confidence, doubtful = (
        [outcome.confidence for outcome in digits],
        [outcome.confidence for outcome in others],
    )
    right = [outcome.right for outcome in digits]
    threshold = threshold_for(confidence, FALSE_REJECTS) if digits else None
    bins = calibration(confidence, right)
    writers = grouped(digits, "writer")
    accepted = [outcome for outcome in digits if outcome.accepted]
    return Figures(
        digits=rights(digits),
        by={group: grouped(digits, group) for group in LOOKS} | {"writer": writers},
        writers_mean=statistics.fmean(share.value or 0.0 for share in writers.values())
        if writers
        else None,
        accepted=Share(len(accepted), len(digits)),
        trusted=rights(accepted),
        strings=rights(strings),
        rows=Share(sum(outcome.text == outcome.content for outcome in strings), len(strings)),
        edits=sum(
            edit_distance(digits_of(outcome.text), digits_of(outcome.content))
            for outcome in strings
        ),
        string_digits=sum(len(digits_of(outcome.content)) for outcome in strings),
        rejected=Share(sum(not outcome.accepted for outcome in others), len(others)),
        rejected_as_page=Share(sum(not outcome.as_page for outcome in others), len(others)),
        threshold=threshold,
        rejected_at=Share(0, 0)
        if threshold is None
        else Share(sum(value < threshold for value in doubtful), len(doubtful)),
        auroc=auroc(confidence, doubtful),
        ece=sum(bin_.n * abs(bin_.accuracy - bin_.confidence) for bin_ in bins) / len(digits)
        if digits
        else None,
        bins=bins,
        risk=risk_by_coverage(confidence, right),
        milliseconds={
            kind: (float(np.median(times)), float(np.percentile(times, 95)))
            for kind in KINDS
            if (times := [outcome.milliseconds for outcome in outcomes if outcome.kind == kind])
        },
    )


def rights(outcomes: Sequence[Outcome]) -> Share:
    """How many were read right."""
    return Share(sum(outcome.right for outcome in outcomes), len(outcomes))


def grouped(outcomes: Iterable[Outcome], attribute: str) -> dict[str, Share]:
    """How many were read right, by what they have in common."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(getattr(outcome, attribute) or "not read", []).append(outcome)
    return {name: rights(groups[name]) for name in sorted(groups)}


def edit_distance(read: str, truth: str) -> int:
    """Characters to insert, delete or change to turn one into the other. Source: Wagner & Fischer 1974."""
    row = list(range(len(truth) + 1))
    for place, character in enumerate(read, start=1):
        before, row[0] = row[0], place
        for column, wanted in enumerate(truth, start=1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (character != wanted)),
            )
    return row[-1]


def threshold_for(confidence: Sequence[float], allowed: float) -> float:
    """The highest threshold that no more than this share of the values lie below."""
    return sorted(confidence)[int(allowed * len(confidence))]


def calibration(confidence: Sequence[float], right: Sequence[bool]) -> tuple[Bin, ...]:
    """Bins of equal width, as `inkdigits.evaluation.metrics.reliability` has them, of a confidence that need not be the largest of ten."""
    values, hits = np.asarray(confidence, np.float64), np.asarray(right, bool)
    edges = np.linspace(0, 1, BINS + 1)
    place = np.searchsorted(
        edges[1:-1], values
    )  # a confidence on an edge belongs to the bin below it
    return tuple(
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            n=int(inside.sum()),
            correct=int(hits[inside].sum()),
            confidence=float(values[inside].mean()) if inside.any() else 0.0,
            accuracy=float(hits[inside].mean()) if inside.any() else 0.0,
        )
        for i in range(BINS)
        for inside in [place == i]
    )


def risk_by_coverage(confidence: Sequence[float], right: Sequence[bool]) -> tuple[float, ...]:
    """The share of errors among the k most confident, for k = 1 to n. Equals share their errors: their order means nothing.

    Source: El-Yaniv & Wiener 2010, "On the foundations of noise-free selective classification".
    """
    values, wrong = np.asarray(confidence, np.float64), 1 - np.asarray(right, np.float64)
    _, group, sizes = np.unique(-values, return_inverse=True, return_counts=True)
    errors = np.bincount(group, wrong, len(sizes)) / np.maximum(sizes, 1)
    return tuple((np.cumsum(np.repeat(errors, sizes)) / np.arange(1, len(values) + 1)).tolist())
