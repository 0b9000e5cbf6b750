"""Probabilities and labels in, the figures of an Evaluation out.

Accuracy with its interval, loss, calibration, F1, the confusion matrix, and how well confidence
tells right from wrong answers. Works on plain arrays; `measurement` obtains them from a model and
a dataset, and `text` writes the figures for a terminal.
"""

import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inkdigits.core.digits import CLASSES, Array
from inkdigits.core.errors import BadValue
from inkdigits.evaluation.selective import auroc, risk_coverage

BINS = 15  # equal widths of top-class confidence, as in Guo et al. 2017 (arXiv 1706.04599), sec. 2
Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
SUM_TOLERANCE = 0.01  # a softmax in bfloat16 sums to 1 within this; logits do not

# A probability of 0 costs 87.3 nats: finite, and below what any float32 network outputs.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class ClassScore:
    """How well one class is read.

    Attributes:
        digit: 0 to 9.
        precision: the share of the images read as this class that belong to it, in [0, 1].
        recall: the share of the images of this class that were read as it, in [0, 1].
        f1: the harmonic mean of both. All three are 0 where they are undefined.
        support: the number of images of this class.
    """

    digit: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model on one split. Shares are fractions in [0, 1], not per cent.

    Attributes:
        model: the name or path of the model.
        data: the name of the dataset.
        split: the name of the split.
        n: the number of images.
        correct: how many of them were read right.
        accuracy: `correct / n`.
        accuracy_ci95: the 95 % interval of the accuracy, low and high.
        nll: the mean negative log-likelihood, in nats an image.
        ece: the expected calibration error of the top-class confidence.
        f1_macro: the mean F1 of the classes that occur.
        per_class: one score a class, in the order of the digits.
        confusion: `confusion[label][read]` counts the images with this label read as that class.
        aurc: the area under the risk-coverage curve.
        auroc_errors: how well confidence tells right from wrong answers; None if all answers are
            right or all are wrong.
        coverage_no_error: the largest share of the images, the surest first, without an error.
        coverage_one_error_in_1000: the same with at most one error in 1,000.
        n_no_digit: the number of things in the split that are not digits.
        auroc_no_digit: how well sureness tells digits from these; None if there are none.
    """

    model: str
    data: str
    split: str
    n: int
    correct: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    nll: float
    ece: float
    f1_macro: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    aurc: float
    auroc_errors: float | None
    coverage_no_error: float
    coverage_one_error_in_1000: float
    n_no_digit: int = 0
    auroc_no_digit: float | None = None

    @property
    def errors(self) -> int:
        """The number of images that were read wrong."""
        return self.n - self.correct

    def to_json(self) -> dict[str, Any]:
        """Return the object that `evaluate --json` prints: the fields in order, as JSON's types."""
        return json.loads(json.dumps(asdict(self)))


@dataclass(frozen=True)
class Bin:
    """The images whose top-class confidence is in (low, high].

    Attributes:
        low: the lower edge, in [0, 1].
        high: the upper edge, in [0, 1].
        n: the number of images.
        correct: how many of them were read right.
        confidence: their mean confidence, 0 if there are none.
        accuracy: the share that was read right, 0 if there are none.
    """

    low: float
    high: float
    n: int
    correct: int
    confidence: float
    accuracy: float


def evaluate_probabilities(
    probabilities: ArrayLike, labels: ArrayLike, *, model: str = "", data: str = "", split: str = ""
) -> Evaluation:
    """Compute every figure of an Evaluation, except those about things that are not digits.

    Of equal probabilities the first class is read. F1 is averaged over the classes that occur in
    the labels or were read, as scikit-learn does.

    Args:
        probabilities: (N, 10) floats whose rows sum to 1, N >= 1.
        labels: (N,) integers, 0 to 9.
        model: the name to put into the result.
        data: the name to put into the result.
        split: the name to put into the result.

    Raises:
        BadValue: the arrays do not fit together, or hold something else, NaN included.
    """
    probabilities, labels = _checked(probabilities, labels)
    n = len(labels)
    read = probabilities.argmax(1)
    confidence = probabilities.max(1)
    right = read == labels

    confusion = confusion_counts(labels, read)
    correct = int(confusion.trace())
    scores = class_scores(confusion)
    occurs = confusion.sum(0) + confusion.sum(1) > 0

    given_to_label = np.maximum(probabilities[np.arange(n), labels], SMALLEST_PROBABILITY)
    bins = reliability(probabilities, labels)
    surest_first = risk_coverage(confidence, right)

    return Evaluation(
        model=model,
        data=data,
        split=split,
        n=n,
        correct=correct,
        accuracy=correct / n,
        accuracy_ci95=wilson_interval(correct, n),
        nll=float(-np.log(given_to_label).mean()),
        ece=sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / n,
        f1_macro=float(np.mean([score.f1 for score in scores if occurs[score.digit]])),
        per_class=scores,
        confusion=tuple(map(tuple, confusion.tolist())),
        aurc=surest_first.area,
        auroc_errors=auroc(confidence[right], confidence[~right]),
        coverage_no_error=surest_first.coverage_at(0),
        coverage_one_error_in_1000=surest_first.coverage_at(1 / 1000),
    )


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Return both as float64 (N, 10) and int64 (N,), or raise BadValue."""
    probabilities = np.asarray(probabilities)
    labels = np.asarray(labels)
    _check_shapes(probabilities, labels)

    if probabilities.dtype.kind not in "fiu" or labels.dtype.kind not in "iu":
        arrived = f"probabilities are {probabilities.dtype} and labels {labels.dtype}"
        raise BadValue(f"{arrived}; expected floats and integers")
    if labels.min() < 0 or labels.max() >= CLASSES:
        arrived = f"{labels.min()} to {labels.max()}"
        raise BadValue(f"labels run from {arrived}; they should be in 0 to {CLASSES - 1}")

    probabilities = probabilities.astype(np.float64)
    finite = np.isfinite(probabilities).all(1)
    if not finite.all():
        raise BadValue(
            f"the probabilities of image {finite.argmin()} are not numbers; the model is broken "
            "or its training diverged"
        )
    if probabilities.min() < 0 or np.abs(probabilities.sum(1) - 1).max() > SUM_TOLERANCE:
        raise BadValue(
            "the rows are not probabilities: they should be >= 0 and sum to 1 "
            "(logits need a softmax first)"
        )

    return probabilities, labels.astype(np.int64)


def _check_shapes(probabilities: Array, labels: Array) -> None:
    """Raise BadValue unless there is a row of ten probabilities for each label, and a label."""
    shape = probabilities.shape
    if shape[1:] != (CLASSES,):
        raise BadValue(f"probabilities have shape {shape}; expected (N, {CLASSES})")
    if labels.shape != shape[:1]:
        raise BadValue(
            f"labels have shape {labels.shape}; probabilities of shape {shape} need one a row"
        )
    if not len(labels):
        raise BadValue("nothing to evaluate: the split has no images")


def confusion_counts(labels: Array, read: Array) -> Array:
    """Count how often each label was read as each class.

    Args:
        labels: (N,) integers, 0 to 9.
        read: (N,) integers, 0 to 9.

    Returns:
        (10, 10) int64: images with the row's label that were read as the column's class.
    """
    return np.bincount(labels * CLASSES + read, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def class_scores(confusion: Array) -> tuple[ClassScore, ...]:
    """Calculate precision, recall and F1 of each class from a (10, 10) confusion matrix."""
    hits = confusion.diagonal()
    support = confusion.sum(1)
    read = confusion.sum(0)

    return tuple(
        ClassScore(
            digit,
            precision=_ratio(hits[digit], read[digit]),
            recall=_ratio(hits[digit], support[digit]),
            f1=_ratio(2 * hits[digit], support[digit] + read[digit]),
            support=int(support[digit]),
        )
        for digit in range(CLASSES)
    )


def _ratio(part: float, whole: int) -> float:
    """Divide, with 0 for nothing of nothing."""
    return float(part / whole) if whole else 0.0


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the accuracies, low and high, that `correct` of `n` does not contradict at 5 %.

    Unlike accuracy +- 2 standard errors, the interval stays within [0, 1] and does not shrink to
    nothing at 100 %.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Args:
        correct: 0 to n.
        n: 1 or more.
    """
    p = correct / n
    z2 = Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n**2))

    low = max(0.0, centre - half) if correct else 0.0
    high = min(1.0, centre + half) if correct < n else 1.0
    return low, high


def reliability(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Bin, ...]:
    """Sort the answers into 15 equally wide bins of top-class confidence.

    Where a bin's mean confidence equals its accuracy, confidence can be trusted. The expected
    calibration error is the bins' mean difference of the two, weighted by their images.

    Source: Guo et al. 2017, "On calibration of modern neural networks", sec. 2.

    Args:
        probabilities: as for `evaluate_probabilities`.
        labels: as for `evaluate_probabilities`.

    Returns:
        The bins from confidence 0 to 1, empty ones included.

    Raises:
        BadValue: as for `evaluate_probabilities`.
    """
    probabilities, labels = _checked(probabilities, labels)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels

    edges = np.linspace(0, 1, BINS + 1)
    # A confidence on an edge belongs to the bin below it.
    place = np.searchsorted(edges[1:-1], confidence)

    return tuple(
        _bin(low, high, confidence[place == number], right[place == number])
        for number, (low, high) in enumerate(pairwise(edges.tolist()))
    )


def _bin(low: float, high: float, confidence: Array, right: Array) -> Bin:
    """Make a bin of the answers in it."""
    n = len(right)
    correct = int(right.sum())
    mean_confidence = _ratio(confidence.sum(), n)
    return Bin(low, high, n, correct, confidence=mean_confidence, accuracy=_ratio(correct, n))


def errors(probabilities: ArrayLike, labels: ArrayLike) -> Array:
    """Find the images that were read wrong, the most confident first.

    Args:
        probabilities: as for `evaluate_probabilities`.
        labels: as for `evaluate_probabilities`.

    Returns:
        int64: their indexes; equally confident ones in the order of the data.

    Raises:
        BadValue: as for `evaluate_probabilities`.
    """
    probabilities, labels = _checked(probabilities, labels)
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]


def confusions(evaluation: Evaluation) -> list[tuple[int, int, int]]:
    """List (label, class that was read, images) of every confusion, the most frequent first."""
    happened = [
        (label, read, count)
        for label, row in enumerate(evaluation.confusion)
        for read, count in enumerate(row)
        if count and read != label
    ]
    return sorted(happened, key=lambda confusion: -confusion[2])


def percent(fraction: float) -> str:
    """Format a fraction in [0, 1] as it is printed everywhere: 0.99310 as "99.31 %"."""
    return f"{100 * fraction:.2f} %"
