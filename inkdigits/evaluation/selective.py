"""What confidence is good for: how wrong a model is where its least sure answers are refused, and what sureness tells apart.

Takes a confidence an answer, and which answers are right; or the sureness of two kinds of things. Returns plain numbers. Knows
nothing of probabilities, digits or networks. Only the order of confidences counts here; whether they are honest is calibration.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkdigits.core.errors import BadValue

Array = NDArray[Any]


@dataclass(frozen=True)
class RiskCoverage:
    """What is accepted where answers below a threshold are refused, for each threshold that makes a difference, highest first.

    confidence: float64 (K,), the thresholds; accepted: int64 (K,), answers at least that sure, all of them in the end; wrong:
    int64 (K,), how many of these are. Equally sure answers are accepted together: nothing could refuse one of them only.
    """

    confidence: Array
    accepted: Array
    wrong: Array

    @property
    def coverage(self) -> Array:
        """float64 (K,): the share of all answers that is accepted, rising to 1."""
        return self.accepted / self.accepted[-1]

    @property
    def risk(self) -> Array:
        """float64 (K,): the error rate among the accepted, in [0, 1]; in the end that of all answers."""
        return self.wrong / self.accepted

    @property
    def area(self) -> float:
        """AURC, in [0, 1], the less the better: the mean over all answers of the error rate among those at least as sure.

        Source: Geifman, Uziel & El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural classifiers" (arXiv
        1805.08206).
        """
        newly_accepted = np.diff(self.accepted, prepend=0)
        return float(newly_accepted @ self.risk / self.accepted[-1])

    def coverage_at(self, risk: float) -> float:
        """The largest share that can be accepted with an error rate of at most `risk`, in [0, 1]; 0 where none can be.

        Raises BadValue for what is no error rate.
        """
        if not 0 <= risk <= 1:
            raise BadValue(f"{risk} is no error rate; wanted is a number in 0 to 1")
        return float(self.coverage[self.risk <= risk].max(initial=0))


def risk_coverage(confidence: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """What is gained by refusing the least sure answers first.

    confidence: numbers (N,), the higher the surer; right: bool (N,), whether each answer is; N >= 1. Raises BadValue.
    Source: Geifman & El-Yaniv 2017, "Selective classification for deep neural networks" (arXiv 1705.08500).
    """
    confidence, right = _numbers(confidence, "confidences"), np.asarray(right)
    if right.shape != confidence.shape or right.dtype != bool:
        raise BadValue(
            f"right is {right.dtype} {right.shape}; {len(confidence)} confidences need a bool each"
        )
    if not len(confidence):
        raise BadValue("no answers, so none to accept or refuse; wanted is at least one")
    falling, place = np.unique(-confidence, return_inverse=True)
    return RiskCoverage(
        confidence=-falling,
        accepted=np.bincount(place).cumsum(),
        wrong=np.bincount(place[~right], minlength=len(falling)).cumsum(),
    )


def auroc(expected_higher: ArrayLike, expected_lower: ArrayLike) -> float | None:
    """The chance that one of the first is the higher of a pair, equals counting half: 1 tells them apart, 0.5 is a coin.

    Both: numbers (N,) and (M,), such as the confidence of right and of wrong answers. None where one of them is empty: then
    there is nothing to tell apart. Raises BadValue.
    Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating characteristic (ROC) curve".
    """
    higher, lower = _numbers(expected_higher, "values"), np.sort(_numbers(expected_lower, "values"))
    if not len(higher) or not len(lower):
        return None
    below, not_above = (
        np.searchsorted(lower, higher, "left"),
        np.searchsorted(lower, higher, "right"),
    )
    return float((below.sum() + not_above.sum()) / (2 * len(higher) * len(lower)))


def _numbers(values: ArrayLike, what: str) -> Array:
    """As float64 (N,). Raises BadValue."""
    numbers = np.asarray(values)
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "fiu"):
        raise BadValue(f"{what} are {numbers.dtype} {numbers.shape}; they should be numbers (N,)")
    if np.isnan(numbers := numbers.astype(np.float64)).any():
        raise BadValue(
            f"of the {what} {np.isnan(numbers).sum():,} are not numbers, and so neither high nor low"
        )
    return numbers
