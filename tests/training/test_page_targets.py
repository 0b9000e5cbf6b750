"""Targets agree with a slow answer cell by cell; losses of perfect maps are nearly nothing."""

import numpy as np
import pytest
import torch
from torch import Tensor

from inkdigits.training.page.losses import WEIGHTS, heatmap_loss, page_losses
from inkdigits.training.page.network import PageMaps
from inkdigits.training.page.pages import stack_pages
from inkdigits.training.page.targets import NO_KIND, PageTargets, line_heights, page_targets

SIDE = 96  # pixels
BOXES = [(9, 12, 30, 46), (30, 15, 51, 44), (60, 61, 64, 66), (3, 90, 9, 95), (70, 20, 77, 47)]
KINDS = [3, 7, 11, 5, 1]  # two that touch, a comma, a digit that is too small, and a one
TOO_SMALL = 3


@pytest.fixture(scope="module")
def owner() -> np.ndarray:
    owner = np.zeros((SIDE, SIDE), np.int16)
    for number, (left, top, right, bottom) in enumerate(BOXES, 1):
        owner[top:bottom, left:right] = number
    return owner


@pytest.fixture(scope="module")
def targets(owner: np.ndarray) -> PageTargets:
    return page_targets(owner, np.array(KINDS, np.int8), np.array(BOXES, np.float32))


def test_ink_and_votes_and_sizes_are_those_of_the_pixels_owner(
    owner: np.ndarray, targets: PageTargets
) -> None:
    for row in range(SIDE // 2):
        for column in range(SIDE // 2):
            here = max(owner[2 * row + y, 2 * column + x] for y in (0, 1) for x in (0, 1))
            is_ink = here > 0 and here - 1 != TOO_SMALL
            assert targets.ink[row, column] == is_ink
            if not is_ink:
                assert (targets.offset[:, row, column] == 0).all()
                continue

            left, top, right, bottom = BOXES[here - 1]
            x, y = targets.offset[:, row, column]
            assert column + 0.5 + x == pytest.approx((left + right) / 4)
            assert row + 0.5 + y == pytest.approx((top + bottom) / 4)
            width, height = 2 ** targets.size[:, row, column]
            assert (width, height) == pytest.approx(((right - left) / 2, (bottom - top) / 2))
            assert targets.core[row, column] == 1


def test_each_symbol_that_can_be_told_has_one_peak_with_its_kind(targets: PageTargets) -> None:
    peaks = {(int(row), int(column)) for row, column in np.argwhere(targets.centre == 1)}
    told = [number for number in range(len(BOXES)) if number != TOO_SMALL]
    expected = {}
    for number in told:
        left, top, right, bottom = BOXES[number]
        expected[int((top + bottom) / 4), int((left + right) / 4)] = KINDS[number]

    assert peaks == expected.keys()
    for (row, column), kind in expected.items():
        assert targets.kind[row // 2, column // 2] == kind
    assert set(np.unique(targets.kind)) == {NO_KIND, *(KINDS[number] for number in told)}


def test_the_heatmap_is_the_highest_of_all_symbols_gaussians(targets: PageTargets) -> None:
    slow = np.zeros_like(targets.centre)
    for number, (left, top, right, bottom) in enumerate(BOXES):
        if number == TOO_SMALL:
            continue
        size = np.array([right - left, bottom - top]) / 2
        x_spread, y_spread = np.maximum(0.12 * np.maximum(size, size.max() / 2), 0.8)
        peak_x, peak_y = (left + right) // 4, (top + bottom) // 4
        for row in range(SIDE // 2):
            for column in range(SIDE // 2):
                x, y = (column - peak_x) / x_spread, (row - peak_y) / y_spread
                slow[row, column] = max(slow[row, column], np.exp(-(x * x + y * y) / 2))

    # Beyond three deviations nothing is drawn; exp(-4.5) is 0.011.
    np.testing.assert_allclose(targets.centre, slow, atol=0.012)


def test_coarse_cells_that_writing_touches_know_its_height_even_if_it_is_too_small(
    targets: PageTargets,
) -> None:
    heights = [34, 29, 27, 6, 27]  # the comma's is that of the nearest digit, the one
    for row in range(SIDE // 8):
        for column in range(SIDE // 8):
            touching = [
                number
                for number, (left, top, right, bottom) in enumerate(BOXES)
                if left < 8 * column + 8
                and right > 8 * column
                and top < 8 * row + 8
                and bottom > 8 * row
            ]
            assert targets.writing[row, column] == bool(touching)
            if touching:
                height = 2 ** targets.height[row, column]
                assert height == pytest.approx(heights[touching[-1]], rel=1e-5)


def test_signs_alone_are_taken_as_part_of_taller_writing() -> None:
    boxes = np.array([(0, 0, 4, 5), (20, 0, 24, 3)], np.float32)
    assert line_heights(np.array([10, 14], np.int8), boxes).tolist() == [20, 16]


def test_a_blank_page_asks_for_nothing() -> None:
    nothing = np.zeros(0, np.int8), np.zeros((0, 4), np.float32)
    targets = page_targets(np.zeros((32, 48), np.int16), *nothing)
    assert (targets.kind == NO_KIND).all()
    for name in set(PageTargets._fields) - {"kind"}:
        assert not getattr(targets, name).any(), name


# ---- losses


def batch(targets: PageTargets) -> dict[str, Tensor]:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    return stack_pages([(picture, targets)] * 2)[1]


def perfect(targets: dict[str, Tensor]) -> PageMaps:
    """The maps of a network that is right and sure."""
    kinds = targets["kind"].clamp(min=0)
    return PageMaps(
        ink=40 * targets["ink"] - 20,
        centre=40 * (targets["centre"] == 1).float() - 20,
        offset=targets["offset"].clone(),
        size=targets["size"].clone(),
        kind=20 * torch.nn.functional.one_hot(kinds, 16).permute(0, 3, 1, 2).float(),
        writing=40 * targets["writing"] - 20,
        height=targets["height"].clone(),
    )


def test_losses_of_perfect_maps_are_nearly_nothing(targets: PageTargets) -> None:
    asked = batch(targets)
    losses = page_losses(perfect(asked), asked)
    assert losses.keys() == WEIGHTS.keys()
    assert max(loss.item() for loss in losses.values()) < 1e-3


@pytest.mark.parametrize(
    ("field", "blamed"),
    [
        ("ink", ("ink", "overlap")),
        ("centre", ("centre",)),
        ("offset", ("offset",)),
        ("size", ("size",)),
        ("kind", ("kind",)),
        ("writing", ("writing",)),
        ("height", ("height",)),
    ],
)
def test_a_planted_error_is_seen_by_its_loss_alone_and_a_larger_one_costs_more(
    targets: PageTargets, field: str, blamed: tuple[str, ...]
) -> None:
    asked = batch(targets)
    good = perfect(asked)
    error = torch.randn(getattr(good, field).shape, generator=torch.Generator().manual_seed(0))
    before = page_losses(good, asked)
    losses = [
        page_losses(good._replace(**{field: getattr(good, field) + size * error}), asked)
        for size in (20.0, 80.0)
    ]
    for name in WEIGHTS:
        if name in blamed:
            assert before[name] < losses[0][name] < losses[1][name]
        else:
            assert before[name] == losses[0][name] == losses[1][name]


def test_a_centre_missed_costs_more_than_one_taken_for_it_next_door(targets: PageTargets) -> None:
    target = torch.from_numpy(targets.centre)
    sure = torch.where(target == 1, 0.999, 0.001)
    missed, beside, far = sure.clone(), sure.clone(), sure.clone()
    row, column = np.argwhere(targets.centre == 1)[0]
    missed[row, column] = 0.001
    beside[row, column + 1] = 0.999
    far[-1, 0] = 0.999
    good, besides, fars, misses = (
        heatmap_loss(heat, target).item() for heat in (sure, beside, far, missed)
    )
    assert good < besides < fars
    assert besides < misses


def test_a_page_without_symbols_has_finite_losses_and_gradients() -> None:
    nothing = np.zeros(0, np.int8), np.zeros((0, 4), np.float32)
    asked = batch(page_targets(np.zeros((SIDE, SIDE), np.int16), *nothing))
    maps = PageMaps(*(torch.zeros_like(each).requires_grad_() for each in perfect(asked)))
    loss = torch.stack(list(page_losses(maps, asked).values())).sum()
    loss.backward()
    assert torch.isfinite(loss)
    for each in maps:
        assert torch.isfinite(each.grad).all()
