"""The comparison of validation splits: the three sets of digits are apart."""

from pathlib import Path

import pytest

from benchmarks.training.splits import digits, row
from inkdigits.core.errors import BadData


def test_nothing_is_in_two_sets(data_dir: Path) -> None:
    try:
        train, known, strangers = digits()
    except BadData as problem:
        pytest.skip(str(problem))

    sets = [{image.tobytes() for image in split.images} for split in (train, known, strangers)]
    assert sum(map(len, sets)) == len(set().union(*sets)) == 60_000


def test_a_line_has_means_deviations_and_their_ratio() -> None:
    cells = row("some", [(1.0, 2.0), (3.0, 4.0)])
    assert cells == ["`some`", "2.00 ± 1.41", "3.00 ± 1.41", "1.50"]
