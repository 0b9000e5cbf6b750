"""Pages are the same whoever draws them; in mosaics boxes and owners stay together."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from inkdigits.data.store import default_data_dir
from inkdigits.data.synthetic.training_pages.generator import TrainingPage, training_page
from inkdigits.training.page.pages import (
    CROP,
    MOST_PARTS,
    PARTS_OF_MOSAICS,
    Pages,
    mosaic,
    stack_pages,
)
from inkdigits.training.page.targets import PageTargets

pytestmark = [
    pytest.mark.slow,  # draws what all training pages share
    pytest.mark.skipif(
        not (default_data_dir() / "mnist" / "train-images-idx3-ubyte.gz").exists(),
        reason="MNIST is not in the folder of datasets",
    ),
    pytest.mark.xdist_group("glyphs"),  # one process builds the bank of glyphs
]


def test_a_batch_is_the_same_whether_drawn_here_or_by_another_process_in_another_order() -> None:
    pages = Pages(3, "validation", mosaics=0.5)
    pictures, targets = stack_pages([pages[number] for number in (4, 1, 0)])
    loader = DataLoader(
        Pages(3, "validation", mosaics=0.5),
        batch_size=3,
        sampler=[4, 1, 0],
        collate_fn=stack_pages,
        num_workers=1,
    )
    [(theirs, their_targets)] = loader
    assert pictures.shape == (3, 3, CROP, CROP)
    assert torch.equal(pictures, theirs)
    for name in PageTargets._fields:
        assert torch.equal(targets[name], their_targets[name]), name


def test_mosaics_can_be_all_pages_or_none() -> None:
    plain = training_page(3, 2, split="validation")
    np.testing.assert_array_equal(Pages(3, "validation").page(2).picture, plain.picture)
    all_mosaics = Pages(3, "validation", mosaics=1.0)
    candidates = [mosaic(3, 2, across=across, split="validation") for across in (2, 3)]
    drawn = all_mosaics.page(2).picture
    assert sum(np.array_equal(drawn, candidate.picture) for candidate in candidates) == 1


@pytest.mark.parametrize("across", [2, 3])
def test_a_mosaic_s_boxes_owners_and_kinds_are_those_of_its_parts(across: int) -> None:
    whole = mosaic(5, 1, across=across, split="validation")
    side = CROP // across
    first = 0
    for number in range(across**2):
        part = training_page(5, PARTS_OF_MOSAICS + MOST_PARTS + number, split="validation")
        left, top = number % across * side, number // across * side
        last = first + len(part.kinds)
        np.testing.assert_array_equal(whole.kinds[first:last], part.kinds)

        there = whole.owner[top : top + side, left : left + side]
        assert set(np.unique(there)) <= {0, *range(first + 1, last + 1)}
        assert (there > 0).sum() <= (part.owner > 0).sum()
        first = last

    assert first == len(whole.kinds) == len(whole.boxes)
    check_boxes(whole)


def check_boxes(page: TrainingPage) -> None:
    """All ink of a symbol lies within its box, of which a pixel may be touched only in part."""
    for number, (left, top, right, bottom) in enumerate(page.boxes, 1):
        rows, columns = np.nonzero(page.owner == number)
        if len(rows):
            assert left - 1 < columns.min()
            assert columns.max() < right + 1
            assert top - 1 < rows.min()
            assert rows.max() < bottom + 1
