"""Risk and coverage equal a slow look at each threshold; the AUROC is scikit-learn's."""

import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inkdigits.core.errors import BadValue
from inkdigits.evaluation.selective import auroc, risk_coverage


def answers(seed, n=300, levels=None):
    """Return confidences, the higher the more often right, and levels make ties."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    right = rng.random(n) < 0.4 + 0.6 * confidence
    return (np.round(confidence * levels) / levels if levels else confidence), right


def slow_curve(confidence, right):
    """(threshold, accepted, wrong) of each confidence that occurs, the highest first."""
    curve = []
    for threshold in sorted(set(confidence.tolist()), reverse=True):
        accepted = [
            each
            for sure, each in zip(confidence.tolist(), right.tolist(), strict=True)
            if sure >= threshold
        ]
        curve.append((threshold, len(accepted), accepted.count(False)))
    return curve


@pytest.mark.parametrize("levels", [None, 100, 7, 1])
@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_what_each_threshold_accepts(seed, levels):
    confidence, right = answers(seed, levels=levels)
    ours, slow = risk_coverage(confidence, right), slow_curve(confidence, right)
    assert (
        list(
            zip(ours.confidence.tolist(), ours.accepted.tolist(), ours.wrong.tolist(), strict=True)
        )
        == slow
    )
    assert ours.coverage.tolist() == pytest.approx([accepted / 300 for _, accepted, _ in slow])
    assert ours.risk.tolist() == pytest.approx([wrong / accepted for _, accepted, wrong in slow])


@pytest.mark.parametrize("levels", [None, 7])
def test_the_area_is_the_mean_error_rate_among_those_at_least_as_sure(levels):
    confidence, right = answers(3, levels=levels)
    slow = [np.mean(~right[confidence >= sure]) for sure in confidence]
    assert risk_coverage(confidence, right).area == pytest.approx(np.mean(slow))


@pytest.mark.parametrize("levels", [None, 7])
@pytest.mark.parametrize("risk", [0, 0.01, 0.1, 0.2, 0.5, 1])
def test_the_coverage_at_a_risk_is_the_largest_that_keeps_it(risk, levels):
    confidence, right = answers(4, levels=levels)
    slow = [
        accepted / 300
        for _, accepted, wrong in slow_curve(confidence, right)
        if wrong / accepted <= risk
    ]
    assert risk_coverage(confidence, right).coverage_at(risk) == max(slow, default=0)


def test_an_early_error_does_not_end_the_search():
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6, 0.5], [False, True, True, True, False])
    assert curve.coverage_at(0) == 0
    assert curve.coverage_at(0.25) == 0.8


def test_one_in_a_thousand_allows_one_in_a_thousand():
    right = np.arange(3000) % 1000 != 999
    assert risk_coverage(-np.arange(3000.0), right).coverage_at(1 / 1000) == 1


def test_of_equally_sure_answers_all_are_accepted_or_none():
    curve = risk_coverage([0.9, 0.9, 0.9, 0.5], [True, False, True, True])
    assert (curve.accepted.tolist(), curve.wrong.tolist()) == ([3, 4], [1, 1])
    assert curve.coverage_at(0) == 0, "however the equals lie in the data"
    assert curve.area == pytest.approx((3 * 1 / 3 + 1 / 4) / 4)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_answers_changes_nothing(seed):
    confidence, right = answers(5, levels=20)
    order = np.random.default_rng(seed).permutation(len(right))
    shuffled, ours = (
        risk_coverage(confidence[order], right[order]),
        risk_coverage(confidence, right),
    )
    assert (shuffled.accepted.tolist(), shuffled.wrong.tolist()) == (
        ours.accepted.tolist(),
        ours.wrong.tolist(),
    )
    assert shuffled.area == ours.area


@pytest.mark.parametrize(("right", "area", "flawless"), [(True, 0, 1), (False, 1, 0)])
def test_all_right_and_all_wrong_are_the_ends_of_the_scale(right, area, flawless):
    curve = risk_coverage(np.linspace(0, 1, 9), np.full(9, right))
    assert (curve.area, curve.coverage_at(0)) == (area, flawless)


@pytest.mark.parametrize("levels", [None, 100, 7, 1])
@pytest.mark.parametrize("seed", range(3))
def test_auroc_is_scikit_learns(seed, levels):
    confidence, right = answers(seed, levels=levels)
    assert auroc(confidence[right], confidence[~right]) == pytest.approx(
        roc_auc_score(right, confidence), abs=1e-12
    )
    assert auroc(confidence[~right], confidence[right]) == pytest.approx(
        1 - roc_auc_score(right, confidence), abs=1e-12
    )


@pytest.mark.parametrize(
    ("higher", "lower", "says"),
    [
        ([3, 4], [1, 2], 1),
        ([1, 2], [3, 4], 0),
        ([1, 1], [1], 0.5),
        ([1, 2], [1], 0.75),
        ([math.inf], [0], 1),
    ],
)
def test_auroc_counts_pairs_and_equals_half(higher, lower, says):
    assert auroc(higher, lower) == says


def test_where_there_is_one_kind_only_nothing_can_be_told_apart():
    assert auroc([0.5], []) is auroc([], [0.5]) is auroc([], []) is None


@pytest.mark.parametrize(
    ("confidence", "right", "says"),
    [
        ([], [], "no answers"),
        ([0.5, 0.6], [True], r"bool \(1,\); 2 confidences"),
        ([0.5, 0.6], [1, 0], r"int64 \(2,\)"),
        ([[0.5]], [[True]], r"float64 \(1, 1\)"),
        (["sure"], [True], "confidences are <U4"),
        ([0.5, math.nan, math.nan], [True, True, False], "of the confidences 2 are not numbers"),
    ],
)
def test_what_makes_no_curve_is_refused(confidence, right, says):
    with pytest.raises(BadValue, match=says):
        risk_coverage(confidence, right or np.array([], bool))


def test_what_is_neither_high_nor_low_is_refused():
    for higher, lower in (
        [[0.5, math.nan], [0.5]],
        [[0.5], [math.nan]],
        [[[0.5]], [0.5]],
        [0.5, [0.5]],
        [[0.5], ["low"]],
    ):
        with pytest.raises(BadValue, match="numbers"):
            auroc(higher, lower)


@pytest.mark.parametrize("risk", [-0.1, 1.1, math.nan])
def test_what_is_no_error_rate_is_refused(risk):
    with pytest.raises(BadValue, match="expected an error rate"):
        risk_coverage([0.5], [True]).coverage_at(risk)


def test_nothing_but_numpy_is_needed():
    program = (
        "import sys, inkdigits.evaluation.selective\n"
        "heavy = {'torch', 'onnxruntime', 'cv2', 'sklearn', 'matplotlib'}\n"
        "assert not heavy & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
