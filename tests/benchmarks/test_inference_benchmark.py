"""Timings of reading become ratios round by round, and tables."""

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
    return inference.Figures({"cores": "2"}, timings, cascades, int8)


def test_ratios_are_taken_round_by_round(figures: object) -> None:
    runtimes, int8, cascades = report.sections(figures)
    one, bulk, five = "750 (500-1,000) | 750", "500 (200-800)", "5.00 (5.00-5.00)"
    assert f"| `tiny` | torch | {one} | {five} | {bulk} | {five} |" in runtimes
    judged = "17 of 5,000 | 0.0131 | 17 of 5,000 | 0.0131 |"
    assert f"| `tiny` |  | {judged}\n| in eight bits | 1,234 | {judged}" in int8
    assert "| `nano+best` | 1,250 (500-2,000) | 5.00 (5.00-5.00) |" in cascades
    assert "8.4% | 17 of 5,000 | 0.0131 |" in cascades


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
