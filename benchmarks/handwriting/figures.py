"""What was read in pictures -> how good that is: accuracy, rejection, calibration, risk.

Outcomes come in, figures go out. Fractions are in [0, 1].
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from inkdigits.evaluation.metrics import BINS, Bin, percent, wilson_interval
from inkdigits.evaluation.selective import auroc

ONE_DIGIT = ("single", "crop")
SEVERAL_DIGITS = ("string", "amount", "lines")
KINDS = (*ONE_DIGIT, *SEVERAL_DIGITS, "reject")
LOOKS = ("kind", "polarity", "background", "size")  # what the accuracy of digits is split by
FALSE_REJECTS = 0.01  # of the digits may be refused by a threshold of the benchmark's own
COVERAGES = (1.0, 0.99, 0.98, 0.95, 0.9, 0.8)


@dataclass(frozen=True)
class Outcome:
    """What was made of one picture.

    Attributes:
        file: its name.
        kind: of KINDS; this, content and writer are the truth.
        content: digits, rows joined by "-".
        writer: who wrote it.
        digit: of the most confident candidate; None without one.
        confidence: of the same, 0 without one.
        text: the accepted digits, rows joined by "-".
        accepted: whether any digit was.
        as_page: whether any was when the picture was not said to hold one digit at most.
        milliseconds: of processor time, from the file to the reading.
        polarity: how the picture looks, as are background and size.
        background: see `measure.look`.
        size: see `measure.look`.
        error: why it was not read.
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
        """Tell whether it was read right.

        One digit: the best guess, accepted or not. A string: every digit, in reading order. No
        digit: nothing accepted.
        """
        if self.kind in ONE_DIGIT:
            return str(self.digit) == self.content

        if self.kind in SEVERAL_DIGITS:
            return digits_of(self.text) == digits_of(self.content)

        return not self.accepted and not self.as_page


def digits_of(text: str) -> str:
    """Return a text without the marks between rows."""
    return text.replace("-", "")


@dataclass(frozen=True)
class Share:
    """A count out of n."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        """Return the fraction, None of nothing."""
        return self.count / self.n if self.n else None

    def __str__(self) -> str:
        if not self.n:
            return "-"

        low, high = wilson_interval(self.count, self.n)
        interval = f"{100 * low:.1f}-{100 * high:.1f}"
        return f"{percent(self.count / self.n)} ({self.count} of {self.n}; {interval})"


def share_of(flags: Iterable[bool]) -> Share:
    """Count how many are true."""
    values = list(flags)
    return Share(sum(values), len(values))


@dataclass(frozen=True)
class Figures:
    """Everything that is measured. Without pictures of a kind it is 0 of 0, empty or None.

    Attributes:
        digits: best guesses that are right.
        by: the same by kind, polarity, background, size and writer.
        writers_mean: the mean over writers.
        accepted: digits accepted as shipped.
        trusted: of these the right ones.
        strings: read exactly, in reading order.
        rows: and with the same rows.
        edits: of string_digits, which make the character error rate.
        string_digits: how many were written.
        rejected: non-digits refused as shipped, told that there is one digit at most.
        rejected_as_page: non-digits refused as shipped, without that.
        threshold: below which no more than FALSE_REJECTS of the digits are.
        rejected_at: non-digits below that threshold.
        auroc: of confidence as a sign that there is a digit.
        ece: of confidence as the probability to be right.
        risk: the share of errors among the k most confident digits, k = 1, 2, ...
        milliseconds: the median and the 95th percentile by kind.
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
    risk: tuple[float, ...]
    milliseconds: Mapping[str, tuple[float, float]]

    @property
    def character_error_rate(self) -> float | None:
        """Return the digits to insert, delete or change, for each digit that was written."""
        return self.edits / self.string_digits if self.string_digits else None

    def risk_at(self, coverage: float) -> float | None:
        """Return the share of errors among this share of the digits, the most confident ones."""
        return self.risk[max(1, round(coverage * len(self.risk))) - 1] if self.risk else None


def figures(outcomes: Sequence[Outcome]) -> Figures:
    """Compute everything that follows from what was read."""
    by_kind = {kind: [each for each in outcomes if each.kind == kind] for kind in KINDS}
    digits = by_kind["single"] + by_kind["crop"]
    strings = by_kind["string"] + by_kind["amount"] + by_kind["lines"]
    confidence = [outcome.confidence for outcome in digits]
    doubtful = [outcome.confidence for outcome in by_kind["reject"]]
    threshold = threshold_for(confidence, FALSE_REJECTS)
    refused = [] if threshold is None else [value < threshold for value in doubtful]
    return Figures(
        **_digit_figures(digits, confidence),
        **_string_figures(strings),
        rejected=share_of(not outcome.accepted for outcome in by_kind["reject"]),
        rejected_as_page=share_of(not outcome.as_page for outcome in by_kind["reject"]),
        threshold=threshold,
        rejected_at=share_of(refused),
        auroc=auroc(confidence, doubtful),
        milliseconds={kind: _times(each) for kind, each in by_kind.items() if each},
    )


def _digit_figures(digits: Sequence[Outcome], confidence: Sequence[float]) -> dict[str, Any]:
    right = [outcome.right for outcome in digits]
    by = {group: grouped(digits, group) for group in (*LOOKS, "writer")}
    accuracies = [share.value or 0.0 for share in by["writer"].values()]
    return {
        "digits": share_of(right),
        "by": by,
        "writers_mean": statistics.fmean(accuracies) if accuracies else None,
        "accepted": share_of(outcome.accepted for outcome in digits),
        "trusted": share_of(outcome.right for outcome in digits if outcome.accepted),
        "ece": calibration_error(calibration(confidence, right)),
        "risk": risk_by_coverage(confidence, right),
    }


def _string_figures(strings: Sequence[Outcome]) -> dict[str, Any]:
    written = [digits_of(outcome.content) for outcome in strings]
    read = [digits_of(outcome.text) for outcome in strings]
    return {
        "strings": share_of(outcome.right for outcome in strings),
        "rows": share_of(outcome.text == outcome.content for outcome in strings),
        "edits": sum(map(edit_distance, read, written)),
        "string_digits": sum(map(len, written)),
    }


def _times(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    times = [outcome.milliseconds for outcome in outcomes]
    return float(np.median(times)), float(np.percentile(times, 95))


def grouped(outcomes: Iterable[Outcome], attribute: str) -> dict[str, Share]:
    """Count how many were read right, by what they have in common."""
    groups: dict[str, list[bool]] = {}
    for outcome in outcomes:
        groups.setdefault(getattr(outcome, attribute) or "not read", []).append(outcome.right)

    return {name: share_of(groups[name]) for name in sorted(groups)}


def edit_distance(read: str, truth: str) -> int:
    """Count the characters to insert, delete or change. Source: Wagner & Fischer 1974."""
    row = list(range(len(truth) + 1))
    for place, character in enumerate(read, start=1):
        before, row[0] = row[0], place
        for column, expected in enumerate(truth, start=1):
            cost = min(row[column] + 1, row[column - 1] + 1, before + (character != expected))
            before, row[column] = row[column], cost

    return row[-1]


def threshold_for(confidence: Sequence[float], allowed: float) -> float | None:
    """Return the highest threshold below which no more than this share of the values are."""
    return sorted(confidence)[int(allowed * len(confidence))] if confidence else None


def calibration(confidence: Sequence[float], right: Sequence[bool]) -> list[Bin]:
    """Compare confidence with accuracy in bins of equal width, as `metrics.reliability` does.

    Unlike there, confidence need not be the largest of ten probabilities.
    """
    values = np.asarray(confidence, np.float64)
    hits = np.asarray(right, bool)
    edges = np.linspace(0, 1, BINS + 1)
    places = np.searchsorted(edges[1:-1], values)  # an edge belongs to the bin below it
    bins = []
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = places == number
        n = int(inside.sum())
        means = [float(each[inside].mean()) if n else 0.0 for each in (values, hits)]
        bins.append(Bin(low, high, n, int(hits[inside].sum()), *means))

    return bins


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the mean distance of accuracy from confidence, None without digits."""
    n = sum(each.n for each in bins)
    distances = (each.n * abs(each.accuracy - each.confidence) for each in bins)
    return sum(distances) / n if n else None


def risk_by_coverage(confidence: Sequence[float], right: Sequence[bool]) -> tuple[float, ...]:
    """Return the share of errors among the k most confident, for k = 1 to n.

    Equals share their errors: their order means nothing. Source: El-Yaniv & Wiener 2010, "On the
    foundations of noise-free selective classification".
    """
    values = np.asarray(confidence, np.float64)
    wrong = 1 - np.asarray(right, np.float64)
    _, group, sizes = np.unique(-values, return_inverse=True, return_counts=True)
    errors = np.bincount(group, wrong, len(sizes)) / np.maximum(sizes, 1)
    return tuple((np.cumsum(np.repeat(errors, sizes)) / np.arange(1, len(values) + 1)).tolist())
