"""Selective classification: confidences in, what refusing the least sure answers would gain out.

Takes the confidence of each answer and whether it is right, or the scores of two groups; returns
plain numbers. Only the order of the confidences counts here, not whether they are honest: that is
calibration, in `metrics`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inkdigits.core.digits import Array
from inkdigits.core.errors import BadValue


@dataclass(frozen=True)
class RiskCoverage:
    """The answers that are accepted at each threshold of confidence, the highest threshold first.

    Equally sure answers are accepted together: no threshold could refuse only one of them.

    Attributes:
        confidence: float64 (K,), the thresholds.
        accepted: int64 (K,), how many answers are at least that sure; in the end all of them.
        wrong: int64 (K,), how many of these are wrong.
    """

    confidence: Array
    accepted: Array
    wrong: Array

    @property
    def coverage(self) -> Array:
        """The share of all answers that is accepted, float64 (K,), rising to 1."""
        return self.accepted / self.accepted[-1]

    @property
    def risk(self) -> Array:
        """The error rate among the accepted answers, float64 (K,), in [0, 1]."""
        return self.wrong / self.accepted

    @property
    def area(self) -> float:
        """The area under the curve (AURC), in [0, 1]; less is better.

        It is the mean, over all answers, of the error rate among those at least as sure.

        Source: Geifman, Uziel & El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep
        neural classifiers" (arXiv 1805.08206).
        """
        newly_accepted = np.diff(self.accepted, prepend=0)
        return float(newly_accepted @ self.risk / self.accepted[-1])

    def coverage_at(self, risk: float) -> float:
        """Find the largest share that can be accepted with an error rate of at most `risk`.

        Args:
            risk: an error rate, 0 to 1.

        Returns:
            A fraction in [0, 1], 0 if even the surest answers are wrong too often.

        Raises:
            BadValue: `risk` is not an error rate.
        """
        if not 0 <= risk <= 1:
            raise BadValue(f"expected an error rate from 0 to 1, got {risk}")

        return float(self.coverage[self.risk <= risk].max(initial=0))


def risk_coverage(confidence: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """Calculate what is gained by refusing the least sure answers first.

    Source: Geifman & El-Yaniv 2017, "Selective classification for deep neural networks"
    (arXiv 1705.08500).

    Args:
        confidence: (N,) numbers, the higher the surer; N >= 1.
        right: (N,) bool, whether each answer is right.

    Raises:
        BadValue: the two do not fit together, or hold something else.
    """
    confidence = _numbers(confidence, "confidences")
    right = np.asarray(right)
    if right.shape != confidence.shape or right.dtype != bool:
        raise BadValue(
            f"right is {right.dtype} {right.shape}; {len(confidence)} confidences need a bool each"
        )
    if not len(confidence):
        raise BadValue("no answers to accept or refuse; expected at least one")

    falling, place = np.unique(-confidence, return_inverse=True)
    accepted = np.bincount(place).cumsum()
    wrong = np.bincount(place[~right], minlength=len(falling)).cumsum()
    return RiskCoverage(-falling, accepted, wrong)


def auroc(expected_higher: ArrayLike, expected_lower: ArrayLike) -> float | None:
    """Calculate how well a score tells two groups apart: 1 does always, 0.5 is a coin.

    It is the chance that the first of a pair, one of each group, has the higher score; equal
    scores count half.

    Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve".

    Args:
        expected_higher: (N,) numbers, such as the confidence of right answers.
        expected_lower: (M,) numbers, such as the confidence of wrong answers.

    Returns:
        A fraction in [0, 1]; None if one of the groups is empty.

    Raises:
        BadValue: something else than numbers arrived, NaN included.
    """
    higher = _numbers(expected_higher, "values")
    lower = np.sort(_numbers(expected_lower, "values"))
    if not len(higher) or not len(lower):
        return None

    below = np.searchsorted(lower, higher, "left").sum()
    not_above = np.searchsorted(lower, higher, "right").sum()
    return float((below + not_above) / (2 * len(higher) * len(lower)))


def _numbers(values: ArrayLike, name: str) -> Array:
    """Return the values as float64 (N,), or raise BadValue."""
    numbers = np.asarray(values)
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "fiu"):
        raise BadValue(f"{name} are {numbers.dtype} {numbers.shape}; expected numbers (N,)")

    numbers = numbers.astype(np.float64)
    missing = np.isnan(numbers).sum()
    if missing:
        raise BadValue(f"of the {name} {missing:,} are not numbers, and so neither high nor low")

    return numbers
