"""Intervals and p-values are SciPy's, which the core install does not have."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from inkdigits.core.errors import BadValue
from inkdigits.evaluation import significance
from inkdigits.evaluation.significance import (
    mcnemar_p,
    mean_interval,
    permutation_p,
    smallest_p,
    student_cdf,
    student_quantile,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 29, 100, 1001])
def test_students_distribution_is_scipys(degrees):
    for t in (0.0, 0.1, 1.0, 2.5, 12.7, 300.0):
        assert student_cdf(t, degrees) == pytest.approx(stats.t.cdf(t, degrees), abs=1e-12)
    for probability in (0.5, 0.6, 0.9, 0.975, 0.995):
        assert student_quantile(probability, degrees) == pytest.approx(
            stats.t.ppf(probability, degrees), rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("runs", [2, 3, 10])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_interval_of_a_mean_is_scipys(runs, confidence):
    values = np.random.default_rng(runs).normal(0.997, 0.0003, runs)
    expected = stats.t.interval(confidence, runs - 1, values.mean(), stats.sem(values))
    assert mean_interval(values.tolist(), confidence) == pytest.approx(expected, rel=1e-12)


def test_one_run_has_no_interval():
    with pytest.raises(BadValue, match="mean of 1 has no interval"):
        mean_interval([0.99])


def slow_permutation(first, second):
    """Try every way to choose the first group's runs, in fractions, so that equals are equal."""
    everyone = [*first, *second]

    def difference(chosen):
        rest = [run for index, run in enumerate(everyone) if index not in chosen]
        return abs(
            Fraction(sum(everyone[index] for index in chosen), len(chosen))
            - Fraction(sum(rest), len(rest))
        )

    found = difference(range(len(first)))
    differences = [difference(chosen) for chosen in combinations(range(len(everyone)), len(first))]
    return sum(each >= found for each in differences) / len(differences)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([9921, 9925, 9919], [9940, 9931, 9938]),
        ([9921, 9940, 9925], [9922, 9941, 9925]),
        ([9930], [9928, 9925, 9929, 9931]),
        ([9930, 9930], [9930, 9930]),
        ([9930, 9921], [9928, 9925, 9929, 9931, 9920]),
        ([9921, 9925, 9919, 9930, 9924, 9918, 9922], [9926, 9931, 9923, 9929, 9921]),
    ],
)
def test_the_permutation_test_is_the_slow_one(first, second):
    assert permutation_p(first, second) == slow_permutation(first, second)
    assert permutation_p(second, first) == slow_permutation(first, second)


def test_groups_of_one_size_have_scipys_p():
    def statistic(a, b, axis):
        return np.mean(a, axis=axis) - np.mean(b, axis=axis)

    first, second = np.random.default_rng(5).integers(9960, 9990, (2, 5))
    expected = stats.permutation_test(
        (first, second), statistic, vectorized=True, n_resamples=np.inf
    ).pvalue
    assert permutation_p(first.tolist(), second.tolist()) == pytest.approx(expected)


def test_many_runs_are_shuffled_to_nearly_the_same_p(monkeypatch):
    first, second = [9921, 9925, 9919, 9930, 9924, 9918], [9926, 9931, 9923, 9929, 9921]
    exact = permutation_p(first, second)
    monkeypatch.setattr(significance, "EXACT_UP_TO", math.comb(11, 6) - 1)
    shuffled = permutation_p(first, second)
    assert (
        exact != shuffled == pytest.approx(exact, abs=5 * math.sqrt(exact / significance.SHUFFLES))
    )
    assert shuffled == permutation_p(first, second), "the same shuffles every time"


@pytest.mark.parametrize(("first", "second"), [(3, 3), (1, 3), (5, 3), (1, 1), (9, 9), (15, 15)])
def test_the_smallest_p_is_that_of_groups_that_do_not_overlap(first, second):
    assert permutation_p(
        [9900 + i for i in range(first)], [9950 + i for i in range(second)]
    ) == smallest_p(first, second)


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (0, 1), (3, 3), (0, 6), (18, 85), (31, 20), (400, 500)]
)
def test_mcnemars_test_is_the_binomial_one(first, second):
    expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1
    assert mcnemar_p(first, second) == pytest.approx(expected)
    assert mcnemar_p(second, first) == mcnemar_p(first, second)


def test_mcnemars_test_takes_any_number_of_digits():
    assert mcnemar_p(5_000, 5_000) == 1
    assert mcnemar_p(4_800, 5_200) == pytest.approx(stats.binomtest(4_800, 10_000, 0.5).pvalue)
    assert mcnemar_p(0, 10_000) == 0, "below what a float can hold"
