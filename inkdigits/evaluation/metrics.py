"""Predictions -> Evaluation: how many are right, how sure that is, what is confused with what, and what confidence is worth.

Takes probabilities and labels as arrays, returns plain numbers and text. Knows nothing of networks, training or report pages;
only `predict` loads a model, and imports what that needs there, so that measuring needs nothing but numpy.
"""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkdigits.core.digits import CLASSES, DIGITS
from inkdigits.core.errors import BadValue
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.evaluation.selective import auroc, risk_coverage

Array = NDArray[Any]

BINS = 15  # equal widths of top-class confidence, as in Guo et al. 2017 (arXiv 1706.04599), sec. 2
Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
SMALLEST = float(
    np.finfo(np.float32).tiny
)  # probability 0 costs 87.3 nats: finite, and below what any float32 network outputs
SUM_TOLERANCE = 0.01  # a softmax in bfloat16 sums to 1 within this; logits do not
COLUMNS = 80  # of a terminal
CONFUSIONS = 8  # listed in the summary


@dataclass(frozen=True)
class ClassScore:
    """One class: precision, recall and F1 in [0, 1], 0 where undefined; support: its images in the data."""

    digit: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """One model on one split. Fractions in [0, 1]; nll in nats an image; `confusion[label][what was read]` counts images.

    aurc: area under the risk-coverage curve. auroc_errors: of confidence telling right from wrong answers, None where all are one
    of these. coverage_...: the largest share of the images, the surest first, of which none, or at most 1 in 1,000, is read wrong.
    auroc_no_digit: of sureness telling the images from n_no_digit other things in the split, None where there are none.
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
        """Images that were read wrong."""
        return self.n - self.correct

    def to_json(self) -> dict[str, Any]:
        """The object that `evaluate --json` prints: the fields in their order, lists for tuples."""
        record = asdict(self)
        record["accuracy_ci95"] = list(self.accuracy_ci95)
        record["per_class"] = list(record["per_class"])
        record["confusion"] = [list(row) for row in self.confusion]
        return record


@dataclass(frozen=True)
class Bin:
    """The n images with a top-class confidence in (low, high]: their mean confidence and accuracy, 0 where n is 0."""

    low: float
    high: float
    n: int
    correct: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Predictions:
    """What a model said about a split. images: uint8 (N, 28, 28); labels: (N,), 0 to 9; probabilities: float32 (N, 10).

    sureness: where the split also holds M things that are no digits, how sure the model is of a digit: (N,) of the images, and (M,)
    of these.
    """

    model: str
    data: str
    split: str
    classes: tuple[str, ...]
    images: Array
    labels: Array
    probabilities: Array
    sureness: tuple[Array, Array] | None = None


def evaluate(
    model: str | Path = "default",
    data: str | Path = "mnist",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
) -> Evaluation:
    """Measure a model on a dataset, whole: `inkdigits evaluate`.

    model: a shipped model's name, a folder made by training, or an .onnx file. data: a dataset's name or path.
    split: unless given, what `default_split` says.
    Raises UnknownName, BadModel, BadData or DownloadFailed.
    """
    return evaluate_predictions(predict(model, data, split, data_dir=data_dir))


def predict(
    model: str | Path = "default",
    data: str | Path = "mnist",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    progress: ProgressCallback | None = None,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> Predictions:
    """What the model says about every digit of the split, for a report. Arguments and errors as for `evaluate`.

    progress: as for `load_dataset`. change: what becomes of the images (N, 28, 28) before the model sees them.
    """
    from inkdigits.reading.recogniser import Recogniser

    recogniser = Recogniser(model)  # first, as it may not exist and the data may have to be fetched
    dataset = load_dataset(data, data_dir=data_dir, progress=progress)
    split = split or default_split(dataset, recogniser.trained_on)
    seen = dataset[split]
    shown = change(seen.images) if change else seen.images
    digit = (
        seen.labels < CLASSES
    )  # which digit the other things of `handwriting` are is no question
    images, others = shown[digit], shown[~digit]
    return Predictions(
        model=str(model),
        data=dataset.name,
        split=split,
        classes=dataset.classes[:CLASSES],
        images=images,
        labels=seen.labels[digit],
        probabilities=recogniser.classify(images),
        sureness=(recogniser.sureness(images), recogniser.sureness(others))
        if len(others)
        else None,
    )


def default_split(dataset: Dataset, trained_on: str | None = None) -> str:
    """What to measure on: "test", or "all" of data that came as one heap and that the model has not learned from.

    trained_on: the name of what it has learned from, where that is known.
    """
    ours, learned = (
        {Path(part).resolve() for part in name.split("+") if part}
        for name in (dataset.name, trained_on or "")
    )
    return "all" if "all" in dataset.splits and not ours & learned else "test"


def evaluate_predictions(seen: Predictions) -> Evaluation:
    """The figures of what a model said."""
    figures = evaluate_probabilities(
        seen.probabilities, seen.labels, model=seen.model, data=seen.data, split=seen.split
    )
    if seen.sureness is None:
        return figures
    return replace(figures, n_no_digit=len(seen.sureness[1]), auroc_no_digit=auroc(*seen.sureness))


def evaluate_probabilities(
    probabilities: ArrayLike, labels: ArrayLike, *, model: str = "", data: str = "", split: str = ""
) -> Evaluation:
    """Every figure of an Evaluation from what a model said and what is true, but for those about things that are no digits.

    probabilities: float (N, 10), rows sum to 1; labels: integer (N,), 0 to 9; N >= 1. Of equal probabilities the first is read.
    F1 is averaged over the classes that occur in the labels or were read, as scikit-learn does.
    Raises BadValue for anything else, NaN included.
    """
    probabilities, labels = _checked(probabilities, labels)
    n, read, confidence = len(labels), probabilities.argmax(1), probabilities.max(1)
    right = read == labels
    surest_first = risk_coverage(confidence, right)
    confusion = confusion_counts(labels, read)
    correct = int(confusion.trace())
    scores = class_scores(confusion)
    occurs = (confusion.sum(0) + confusion.sum(1)) > 0
    return Evaluation(
        model=model,
        data=data,
        split=split,
        n=n,
        correct=correct,
        accuracy=correct / n,
        accuracy_ci95=wilson_interval(correct, n),
        nll=float(-np.log(np.maximum(probabilities[np.arange(n), labels], SMALLEST)).mean()),
        ece=sum(
            bin_.n * abs(bin_.accuracy - bin_.confidence)
            for bin_ in reliability(probabilities, labels)
        )
        / n,
        f1_macro=float(np.mean([score.f1 for score in scores if occurs[score.digit]])),
        per_class=scores,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        aurc=surest_first.area,
        auroc_errors=auroc(confidence[right], confidence[~right]),
        coverage_no_error=surest_first.coverage_at(0),
        coverage_one_error_in_1000=surest_first.coverage_at(1 / 1000),
    )


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Both as arrays that the figures can rely on: float64 (N, 10) and int64 (N,). Raises BadValue."""
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.shape[1] != CLASSES:
        raise BadValue(
            f"probabilities have shape {probabilities.shape}; they should be (N, {CLASSES})"
        )
    if labels.shape != probabilities.shape[:1]:
        raise BadValue(
            f"labels have shape {labels.shape}; probabilities of shape {probabilities.shape} need one a row"
        )
    if not len(labels):
        raise BadValue("nothing to evaluate: the split has no images")
    if probabilities.dtype.kind not in "fiu" or labels.dtype.kind not in "iu":
        raise BadValue(
            f"probabilities are {probabilities.dtype} and labels {labels.dtype}; they should be floats and integers"
        )
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise BadValue(
            f"labels run from {labels.min()} to {labels.max()}; they should lie in 0 to {CLASSES - 1}"
        )
    probabilities = probabilities.astype(np.float64)
    if not np.isfinite(probabilities).all():
        row = np.flatnonzero(~np.isfinite(probabilities).all(1))[0]
        raise BadValue(
            f"the probabilities of image {row} are not numbers; the model is broken or its training diverged"
        )
    if probabilities.min() < 0 or np.abs(probabilities.sum(1) - 1).max() > SUM_TOLERANCE:
        raise BadValue(
            "the rows are not probabilities: they should be >= 0 and sum to 1 (logits need a softmax first)"
        )
    return probabilities, labels.astype(np.int64)


def confusion_counts(labels: Array, read: Array) -> Array:
    """int64 (10, 10): images with the row's label that were read as the column's. labels, read: integers (N,), 0 to 9."""
    return np.bincount(labels * CLASSES + read, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def class_scores(confusion: Array) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class of a (10, 10) confusion matrix; 0 where there is nothing to divide by."""
    hits, support, read = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
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


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The accuracies, low and high, that `correct` of n >= 1 does not contradict at the 5 % level.

    Unlike accuracy +- 2 standard errors it stays within [0, 1] and does not shrink to nothing at 100 %.
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    p, z2 = correct / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    return (max(0.0, centre - half) if correct else 0.0), (
        min(1.0, centre + half) if correct < n else 1.0
    )


def reliability(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Bin, ...]:
    """15 equal-width bins of top-class confidence: where mean confidence equals accuracy, confidence can be trusted.

    Arguments and errors as for `evaluate_probabilities`. The expected calibration error is the bins' mean difference of the
    two, weighted by their images. Source: Guo et al. 2017, "On calibration of modern neural networks", sec. 2.
    """
    probabilities, labels = _checked(probabilities, labels)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    edges = np.linspace(0, 1, BINS + 1)
    place = np.searchsorted(
        edges[1:-1], confidence
    )  # a confidence on an edge belongs to the bin below it
    return tuple(
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            n=int(inside.sum()),
            correct=int(right[inside].sum()),
            confidence=_ratio(confidence[inside].sum(), inside.sum()),
            accuracy=_ratio(right[inside].sum(), inside.sum()),
        )
        for i in range(BINS)
        for inside in [place == i]
    )


def errors(probabilities: ArrayLike, labels: ArrayLike) -> Array:
    """int64: the indexes of the images read wrong, the most confident first, equals in the data's order.

    Arguments and errors as for `evaluate_probabilities`.
    """
    probabilities, labels = _checked(probabilities, labels)
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]


def confusions(evaluation: Evaluation) -> list[tuple[int, int, int]]:
    """(label, what was read, images) of every confusion that happened, the most frequent first."""
    table = evaluation.confusion
    happened = [
        (i, j, table[i][j])
        for i in range(CLASSES)
        for j in range(CLASSES)
        if i != j and table[i][j]
    ]
    return sorted(happened, key=lambda confusion: -confusion[2])


def summary(evaluation: Evaluation, classes: Sequence[str] = DIGITS) -> str:
    """The evaluation as text for a terminal of 80 columns. classes: the ten names, where they are not digits."""
    headline = "\n".join([_headline(evaluation), *_doubt(evaluation)])
    return "\n\n".join(
        [headline, _class_table(evaluation, classes), _frequent_confusions(evaluation, classes)]
    )


def percent(fraction: float) -> str:
    """A fraction in [0, 1] as it is printed everywhere: 0.99310 as "99.31 %"."""
    return f"{100 * fraction:.2f} %"


def _headline(evaluation: Evaluation) -> str:
    low, high = evaluation.accuracy_ci95
    return f"""{evaluation.model or "model"} on {evaluation.data or "data"}, {evaluation.split or "all"}

  accuracy     {percent(evaluation.accuracy):>9}   95 % interval {percent(low)} to {percent(high)}
  errors       {evaluation.errors:9,}   of {evaluation.n:,}
  loss (nll)   {evaluation.nll:9.4f}   nats an image
  calibration  {percent(evaluation.ece):>9}   expected error of the confidence (ece, {BINS} bins)
  f1 (macro)   {evaluation.f1_macro:9.4f}"""


def _doubt(evaluation: Evaluation) -> list[str]:
    """What confidence is good for, a line each; nothing of what it could not be asked."""
    none, few = (
        percent(evaluation.coverage_no_error),
        percent(evaluation.coverage_one_error_in_1000),
    )
    lines = [f"  surest       {none:>9}   without an error, {few} with at most 1 in 1,000"]
    if evaluation.auroc_errors is not None:
        lines.append(
            f"  doubt        {evaluation.auroc_errors:9.4f}   auroc of confidence, right against wrong answers"
        )
    if evaluation.auroc_no_digit is not None:
        others = f"auroc of sureness, digits against {evaluation.n_no_digit:,} other things"
        lines.append(f"  no digit     {evaluation.auroc_no_digit:9.4f}   {others}")
    return lines


def _class_table(evaluation: Evaluation, classes: Sequence[str]) -> str:
    width = max(len("class"), *map(len, classes))
    lines = [f"  {'class':<{width}}  precision     recall      f1   images   errors"]
    for score in evaluation.per_class:
        missed = score.support - evaluation.confusion[score.digit][score.digit]
        shares = f"{percent(score.precision):>9}  {percent(score.recall):>9}"
        lines.append(
            f"  {classes[score.digit]:<{width}}  {shares}  {score.f1:.4f}  {score.support:7,}  {missed:7,}"
        )
    return "\n".join(lines)


def _frequent_confusions(evaluation: Evaluation, classes: Sequence[str]) -> str:
    happened = confusions(evaluation)
    if not happened:
        return "No errors."
    phrases = [
        f"{classes[label]} read as {classes[read]} ({count:,})"
        for label, read, count in happened[:CONFUSIONS]
    ]
    unbroken = [
        phrase.replace(" ", "\xa0") for phrase in phrases
    ]  # lines break between phrases only
    return textwrap.fill("Most frequent confusions: " + ", ".join(unbroken), COLUMNS).replace(
        "\xa0", " "
    )
