"""Each figure equals an independent answer: scikit-learn's, SciPy's, or a slow obvious one."""

import itertools
import json
import math

import numpy as np
import pytest
from promised import EVALUATION_KEYS
from scipy.stats import binomtest
from sklearn import metrics

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue, UnknownName
from inkdigits.data.datasets import Dataset, Split
from inkdigits.evaluation import measurement
from inkdigits.evaluation.measurement import evaluate, predict
from inkdigits.evaluation.metrics import (
    Evaluation,
    confusions,
    errors,
    evaluate_probabilities,
    reliability,
    wilson_interval,
)
from inkdigits.evaluation.text import describe_evaluation


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def imperfect_model(seed=0, n=700, classes=10, sharpness=2.0):
    """Return float32 probabilities that are too sure, and wrong one time in five, and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n).astype(np.uint8)
    logits = generator.normal(size=(n, 10))
    logits[np.arange(n), labels] += 2.5
    return softmax(sharpness * logits).astype(np.float32), labels


def one_hot(read):
    return np.eye(10, dtype=np.float32)[np.asarray(read)]


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_scikit_learn(seed):
    probabilities, labels = imperfect_model(seed)
    read = probabilities.argmax(1)
    exact = probabilities / probabilities.sum(
        1, keepdims=True, dtype=float
    )  # scikit-learn wants sums of 1 to the last digit
    ours = evaluate_probabilities(probabilities, labels)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, read, labels=range(10)
    )

    assert ours.n == len(labels)
    assert ours.correct == metrics.accuracy_score(labels, read, normalize=False)
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(labels, read))
    assert ours.nll == pytest.approx(metrics.log_loss(labels, exact, labels=range(10)), rel=1e-6)
    assert ours.f1_macro == pytest.approx(metrics.f1_score(labels, read, average="macro"))
    assert ours.confusion == tuple(
        map(tuple, metrics.confusion_matrix(labels, read, labels=range(10)))
    )
    assert [score.digit for score in ours.per_class] == list(range(10))
    assert [score.precision for score in ours.per_class] == pytest.approx(precision)
    assert [score.recall for score in ours.per_class] == pytest.approx(recall)
    assert [score.f1 for score in ours.per_class] == pytest.approx(f1)
    assert [score.support for score in ours.per_class] == support.tolist()


def test_a_class_without_samples_or_never_read_scores_as_in_scikit_learn():
    labels = np.array([0, 0, 1, 1, 2, 2])
    read = np.array([0, 0, 1, 3, 1, 0])  # 2 is never read, 3 never occurs, 4-9 neither
    ours = evaluate_probabilities(one_hot(read), labels)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, read, labels=range(10), zero_division=0
    )

    assert [score.precision for score in ours.per_class] == pytest.approx(precision)
    assert [score.recall for score in ours.per_class] == pytest.approx(recall)
    assert [score.f1 for score in ours.per_class] == pytest.approx(f1)
    assert ours.f1_macro == pytest.approx(
        metrics.f1_score(labels, read, average="macro", zero_division=0)
    )
    assert ours.f1_macro > np.mean(f1), "classes that occur nowhere must not pull the mean down"


def slow_bins(probabilities, labels):
    """(images, correct, confidences) of the 15 bins, one image and one bin at a time."""
    bins = [(0, 0, []) for _ in range(15)]
    for row, label in zip(probabilities.astype(float), labels, strict=True):
        confidence = max(row)
        for i in range(15):
            if i / 15 < confidence <= (i + 1) / 15 or (i == 14 and confidence > 1):
                n, correct, confidences = bins[i]
                bins[i] = (
                    n + 1,
                    correct + int(list(row).index(confidence) == label),
                    [*confidences, confidence],
                )
    return bins


@pytest.mark.parametrize("sharpness", [0.1, 0.5, 2.0, 20.0])
def test_calibration_agrees_with_a_slow_obvious_version(sharpness):
    probabilities, labels = imperfect_model(3, sharpness=sharpness)
    slow = slow_bins(probabilities, labels)
    ece = sum(abs(correct - sum(confidences)) for _, correct, confidences in slow) / len(labels)

    assert evaluate_probabilities(probabilities, labels).ece == pytest.approx(ece)
    for ours, (n, correct, confidences) in zip(
        reliability(probabilities, labels), slow, strict=True
    ):
        assert (ours.n, ours.correct) == (n, correct)
        assert ours.confidence == pytest.approx(sum(confidences) / n if n else 0)
        assert ours.accuracy == pytest.approx(correct / n if n else 0)


@pytest.mark.parametrize("sharpness", [0.5, 2.0, 60.0])
def test_confidence_is_asked_what_it_tells_apart(sharpness):
    probabilities, labels = imperfect_model(4, sharpness=sharpness)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    ours = evaluate_probabilities(probabilities, labels)
    assert ours.auroc_errors == pytest.approx(metrics.roc_auc_score(right, confidence))
    assert ours.aurc == pytest.approx(
        np.mean([np.mean(~right[confidence >= sure]) for sure in confidence])
    )
    flawless = [
        np.mean(confidence >= sure) for sure in confidence if right[confidence >= sure].all()
    ]
    assert ours.coverage_no_error == pytest.approx(max(flawless, default=0))


def test_one_error_in_1000_may_be_accepted():
    labels, probabilities = np.arange(1500) % 10, np.full((1500, 10), 0.01)
    probabilities[np.arange(1500), labels] = np.linspace(0.9, 0.8, 1500)
    labels[[1199, 1400]] = (labels[[1199, 1400]] + 1) % 10
    probabilities /= probabilities.sum(1, keepdims=True)
    ours = evaluate_probabilities(probabilities, labels)
    assert (ours.coverage_no_error, ours.coverage_one_error_in_1000) == (1199 / 1500, 1400 / 1500)


def test_where_all_is_right_or_all_wrong_there_is_nothing_to_tell_apart():
    right, wrong = (evaluate_probabilities(one_hot([3, 4]), labels) for labels in ([3, 4], [4, 3]))
    assert (right.auroc_errors, right.aurc, right.coverage_no_error) == (None, 0, 1)
    assert (wrong.auroc_errors, wrong.aurc, wrong.coverage_no_error) == (None, 1, 0)
    assert "auroc" not in describe_evaluation(right)
    assert json.loads(json.dumps(right.to_json()))["auroc_errors"] is None


def test_bins_touch_and_cover_0_to_1():
    bins = reliability(*imperfect_model())
    assert (bins[0].low, bins[-1].high) == (0, 1)
    assert all(left.high == right.low for left, right in itertools.pairwise(bins))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    probabilities = np.zeros((1, 10))
    probabilities[0, :2] = 0.6, 0.4
    assert [bin_.n for bin_ in reliability(probabilities, [0])].index(1) == 8  # (8/15, 9/15]


@pytest.mark.parametrize(
    ("correct", "n"),
    [(0, 1), (1, 1), (0, 50), (50, 50), (1, 50), (9931, 10_000), (9999, 10_000), (3, 7)],
)
def test_wilson_interval_is_scipys(correct, n):
    expected = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_an_error_that_was_held_impossible_costs_much_but_not_infinity():
    loss = evaluate_probabilities(one_hot([7, 1]), [7, 7]).nll
    assert loss == pytest.approx(-math.log(np.finfo(np.float32).tiny) / 2)


def test_float32_and_float64_give_the_same_figures():
    probabilities, labels = imperfect_model(1)
    assert evaluate_probabilities(probabilities, labels) == evaluate_probabilities(
        probabilities.astype(np.float64), labels.tolist()
    )


def test_a_perfect_model_is_perfect():
    ours = evaluate_probabilities(one_hot(range(10)), np.arange(10))
    assert (ours.accuracy, ours.nll, ours.ece, ours.f1_macro, ours.errors) == (1, 0, 0, 1, 0)
    assert ours.accuracy_ci95[0] < 0.8, "ten images prove little"


@pytest.mark.parametrize(
    ("probabilities", "labels", "says"),
    [
        (np.full((2, 9), 1 / 9), [0, 1], r"\(2, 9\).*\(N, 10\)"),
        (np.full(10, 0.1), [0], r"\(10,\).*\(N, 10\)"),
        (np.full((2, 10), 0.1), [0, 1, 2], r"labels have shape \(3,\)"),
        (np.full((2, 10), 0.1), [[0], [1]], r"labels have shape \(2, 1\)"),
        (np.empty((0, 10)), np.empty(0, int), "no images"),
        (np.full((2, 10), 0.1), [0.0, 1.0], "labels float64"),
        (np.full((2, 10), "x"), [0, 1], "probabilities are <U1"),
        (np.full((2, 10), 0.1), [0, 10], "0 to 10.*0 to 9"),
        (np.full((2, 10), 0.1), [-1, 3], "-1 to 3"),
        (np.array([[0.1] * 10, [np.nan] * 10]), [0, 1], "image 1 are not numbers"),
        (np.full((2, 10), np.inf), [0, 1], "image 0 are not numbers"),
        (np.full((2, 10), 1.0), [0, 1], "softmax"),
        (one_hot([3, 4]) * 3 - 0.2, [3, 4], "softmax"),
    ],
)
def test_what_cannot_be_measured_is_named(probabilities, labels, says):
    for measure in (evaluate_probabilities, reliability, errors):
        with pytest.raises(BadValue, match=says):
            measure(probabilities, labels)


def test_json_has_the_contracts_fields_as_plain_types():
    ours = evaluate_probabilities(*imperfect_model(), model="default", data="mnist", split="test")
    record = ours.to_json()
    assert list(record) == EVALUATION_KEYS
    assert list(record["per_class"][0]) == ["digit", "precision", "recall", "f1", "support"]
    assert (
        json.loads(json.dumps(record, allow_nan=False)) == record
    )  # a tuple or a NumPy number would not survive unchanged
    assert isinstance(record["n"], int)
    assert isinstance(record["accuracy"], float)


def test_errors_come_most_confident_first():
    probabilities, labels = imperfect_model(2)
    found = errors(probabilities, labels)
    confidence = probabilities[found].max(1)
    assert set(found) == {i for i in range(len(labels)) if probabilities[i].argmax() != labels[i]}
    assert (np.diff(confidence) <= 0).all()
    assert errors(one_hot([1, 0, 2, 0]), [0, 0, 0, 1]).tolist() == [0, 2, 3], (
        "equally confident: in the data's order"
    )
    assert errors(one_hot([1, 2]), [1, 2]).tolist() == []


def test_confusions_come_most_frequent_first():
    labels, read = [4, 4, 4, 7, 7, 1, 1], [9, 9, 9, 2, 2, 7, 1]
    assert confusions(evaluate_probabilities(one_hot(read), labels)) == [
        (4, 9, 3),
        (7, 2, 2),
        (1, 7, 1),
    ]


def test_summary_says_it_all_in_80_columns():
    labels = np.repeat(np.arange(10), 1000)
    read = labels.copy()
    read[4000:4012], read[7000:7005] = 9, 2
    text = describe_evaluation(
        evaluate_probabilities(one_hot(read), labels, model="default", data="mnist", split="test")
    )
    assert max(map(len, text.splitlines())) <= 80
    for claim in (
        "default on mnist, test",
        "99.83 %",
        "99.73 % to 99.89 %",
        "17   of 10,000",
        "4 read as 9 (12), 7 read as 2 (5)",
        "0.00 %   without an error, 0.00 % with at most 1 in 1,000",  # all are equally sure
        "0.5000   auroc of confidence",
    ):
        assert claim in text


def test_summary_fits_with_many_errors_and_long_class_names():
    names = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]
    text = describe_evaluation(evaluate_probabilities(*imperfect_model()), names)
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in names)


def test_summary_of_a_perfect_model_lists_no_confusions():
    assert describe_evaluation(evaluate_probabilities(one_hot([3]), [3])).endswith("No errors.")


class Says3:
    """A recogniser that reads every image as 3, and is the surer the more ink there is."""

    trained_on = None

    def __init__(self, model="default"):
        assert model == "some-model"

    def classify(self, images):
        assert images.dtype == np.uint8
        assert images.shape[1:] == (28, 28)
        return one_hot([3] * len(images))

    def sureness(self, images):
        return images.mean((1, 2), dtype=np.float32) / 255


@pytest.fixture
def datasets(monkeypatch):
    """`mnist` with a test split of three images and `mine`, a folder without one; read by Says3."""
    images = np.zeros((5, 28, 28), np.uint8)
    splits = {
        "mnist": {
            "train": Split(images, np.zeros(5, np.uint8)),
            "test": Split(images[:3], np.array([3, 3, 5], np.uint8)),
        },
        "mine": {
            "train": Split(images[:4], np.zeros(4, np.uint8)),
            "all": Split(images, np.array([3, 1, 1, 1, 1], np.uint8)),
        },
    }
    monkeypatch.setattr("inkdigits.reading.recogniser.Recogniser", Says3)
    monkeypatch.setattr(
        measurement, "load_dataset", lambda name, **_: Dataset(name, DIGITS, splits[name])
    )


@pytest.mark.usefixtures("datasets")
def test_evaluate_reads_the_test_split_or_all_where_there_is_none():
    ours = evaluate("some-model")
    assert (ours.model, ours.data, ours.split, ours.n, ours.correct) == (
        "some-model",
        "mnist",
        "test",
        3,
        2,
    )
    assert (evaluate("some-model", "mine").split, evaluate("some-model", "mine").n) == ("all", 5)
    assert evaluate("some-model", "mine", "train").correct == 0
    with pytest.raises(UnknownName, match="'tset'; known: train, test"):
        evaluate("some-model", "mnist", "tset")


@pytest.mark.usefixtures("datasets")
def test_predictions_hold_what_a_report_needs():
    seen = predict("some-model")
    assert isinstance(evaluate_probabilities(seen.probabilities, seen.labels), Evaluation)
    assert len(seen.images) == len(seen.labels) == len(seen.probabilities) == 3
    assert seen.classes == DIGITS


def test_things_that_are_no_digits_count_for_one_figure_only(monkeypatch):
    ink = np.array([9, 5, 7, 3, 6, 7], np.uint8)
    labels = np.array([3, 5, 3, 10, 10, 10], np.uint8)
    split = Split(np.tile(ink[:, None, None], (1, 28, 28)), labels)
    mixed = Dataset(
        "handwriting", (*DIGITS, "not a digit"), {"validation": split, "test": split[:3]}
    )
    monkeypatch.setattr("inkdigits.reading.recogniser.Recogniser", Says3)
    monkeypatch.setattr(measurement, "load_dataset", lambda *_, **__: mixed)

    ours = evaluate("some-model", "handwriting", "validation")
    assert (ours.n, ours.correct, ours.n_no_digit) == (3, 2, 3)
    assert ours.auroc_no_digit == pytest.approx(metrics.roc_auc_score(labels < 10, ink))
    assert "0.7222   auroc of sureness, digits against 3 other things" in describe_evaluation(ours)

    without = evaluate("some-model", "handwriting", "test")
    assert (without.n_no_digit, without.auroc_no_digit) == (0, None)
    assert "other things" not in describe_evaluation(without)
    assert without.to_json() == ours.to_json() | {
        "split": "test",
        "n_no_digit": 0,
        "auroc_no_digit": None,
    }
