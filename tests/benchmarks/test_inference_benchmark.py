"""Timings of reading become ratios round by round, shares of the peak, and tables."""

import numpy as np
import pytest
from few_digits import few_digits

from benchmarks.reading import inference
from benchmarks.reading import inference_opponents as opponents
from benchmarks.reading import inference_report as report

SPLIT = {"n": 5000, "errors": 17, "nll": 0.0131}


@pytest.fixture
def figures() -> object:
    def timing(group: str, threads: int, side: str, times: float) -> object:
        one, bulk = [100.0 * times, 200.0 * times], [1000.0 / times, 4000.0 / times]
        return inference.Timing(group, threads, side, "as it is", 0.0, one, one, bulk)

    timings = [
        timing(group, threads, side, times)
        for group, sides in {
            "tiny": {"inkdigits": 1, "inkdigits, int8": 0.5, "torch": 5},
            inference.OTHERS: {"inkdigits": 1, "`lenet` in ONNX Runtime": 0.25},
            inference.TOGETHER: {"best": 10, "nano+best": 2},
        }.items()
        for side, times in sides.items()
        for threads in inference.THREADS
    ]
    cascades = [
        {"model": name, "validation": SPLIT, "test": SPLIT, "handed_on": [0.084]}
        for name in ("best", "nano+best")
    ]
    int8 = [
        {"model": "tiny", "validation": SPLIT, "test": SPLIT, "bytes": 1234, "int8": cascades[0]}
    ]
    return inference.Figures(
        {"cores": "2"}, timings, {1: [90.0, 100.0], 2: [200.0]}, {"tiny": 5_000_000}, cascades, int8
    )


def test_ratios_are_taken_round_by_round(figures: object) -> None:
    runtimes, peak, int8, others, cascades = report.sections(figures)
    one, bulk, five = "750 (500-1,000) | 750", "500 (200-800)", "5.00 (5.00-5.00)"
    assert f"| `tiny` | torch | {one} | {five} | {bulk} | {five} |" in runtimes
    twice, ten_times = (
        "2.00 (2.00-2.00), 2.00 (2.00-2.00)",
        "10.00 (10.00-10.00), 10.00 (10.00-10.00)",
    )
    judged = "17, 17 of 5,000 | 0.0131, 0.0131"
    assert f"| `tiny`, 1 | 1,234 | {twice} | {ten_times} | - | - | - | {judged} |" in int8
    assert "| `lenet` in ONNX Runtime | 38 (25-50) | 38 | 0.25 (0.25-0.25) |" in others
    assert "| `nano+best` | 1,250 (500-2,000) | 5.00 (5.00-5.00) |" in cascades
    assert "8.4% | 17 of 5,000 | 0.0131 |" in cascades
    assert "| `tiny` | 5,000,000 | 25% (10%-40%) | 12% (5%-20%) |" in peak
    assert (
        "200,000 images a second of `tiny` would take 2,000 GFLOP/s:\n10.0 times that peak." in peak
    )


def test_bars_are_drawn_of_whatever_was_measured(figures: object) -> None:
    (axes,) = report.throughput_bars(figures).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "torch",
        "inkdigits, int8",
        "inkdigits",
    ]
    assert [bar.get_width() for bar in axes.patches] == [500, 5000, 2500]


def test_blocks_are_put_together_in_their_order() -> None:
    images = np.arange(10 * 784, dtype=np.uint8).reshape(10, 28, 28)
    assert np.array_equal(
        opponents.in_blocks(lambda block: block.sum(axis=(1, 2)), 4, images),
        images.sum(axis=(1, 2)),
    )


def test_a_cascade_hands_on_what_it_doubts() -> None:
    images = few_digits(300).images
    first, second = inference.handed_on("nano+tiny+best", images)
    assert 0 < second <= first <= 1
    assert inference.handed_on("best", images) == []
