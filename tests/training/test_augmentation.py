"""Digits move as SciPy says they should, by amounts that are spread as the docstrings say.

Each function draws from its own generator.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from few_digits import few_digits
from numpy.typing import NDArray
from scipy import ndimage, stats
from torch import Generator, Tensor

from inkdigits.training import augmentation
from inkdigits.training.augmentation import (
    ELASTIC_SIGMA,
    Augmentation,
    add_noise,
    affine_grid,
    augment,
    clutter,
    elastic_field,
    erase,
    filter_at_random,
)
from inkdigits.training.predictions import to_ink

EVERYTHING = Augmentation(rotation=20, shear=10, zoom=0.15, shift=3, elastic=1.5, erasing=8)


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def digits(count: int) -> Tensor:
    return to_ink(torch.from_numpy(few_digits(count).images))


def sources(grid: Tensor) -> NDArray[np.float64]:
    """Return a grid (N, H, W, 2) of (x, y) in [-1, 1] as rows and columns, (N, 2, H, W)."""
    _, height, width, _ = grid.shape
    x, y = grid.double().numpy().transpose(3, 0, 1, 2)
    return np.stack([((y + 1) * height - 1) / 2, ((x + 1) * width - 1) / 2], axis=1)


def affine_maps(
    amount: Augmentation, count: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrices (N, 2, 2) and shifts (N, 2) from a place in the result to its source.

    Both are counted from the middle.
    """
    grid = affine_grid(torch.zeros(count, 1, 28, 28), amount, seeded(seed))
    places = np.stack(np.mgrid[:28, :28], axis=-1).reshape(-1, 2) - 13.5
    unknowns = np.column_stack([places, np.ones(784)])
    matrices, shifts = [], []
    for source in sources(grid):
        answer, *_ = np.linalg.lstsq(unknowns, source.reshape(2, -1).T - 13.5)
        assert np.allclose(unknowns @ answer, source.reshape(2, -1).T - 13.5, atol=1e-4), (
            "the map is affine"
        )
        matrices.append(answer[:2].T)
        shifts.append(answer[2])
    return np.array(matrices), np.array(shifts)


def assert_uniform(values: NDArray[np.float64], limit: float) -> None:
    assert np.abs(values).max() <= limit * (1 + 1e-4)
    assert stats.kstest(values, stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.001


def test_nothing_changes_where_every_amount_is_zero() -> None:
    ink, generator = digits(5), seeded()
    before = generator.get_state()
    assert torch.equal(augment(ink, Augmentation(), generator), ink)
    assert torch.equal(generator.get_state(), before)
    assert not Augmentation().bends
    assert not Augmentation(erasing=3).bends
    assert not Augmentation(shift=2).bends
    assert Augmentation(shift=0.5).bends, "half a pixel is no whole one"


def test_a_grid_of_no_change_takes_every_pixel_from_its_own_place() -> None:
    source = sources(affine_grid(torch.zeros(2, 1, 28, 20), Augmentation(), seeded()))
    assert np.allclose(source, np.mgrid[:28, :20], atol=1e-5)


def test_rotation_is_scipy_s_about_the_middle_either_way_uniformly() -> None:
    amount, ink = Augmentation(rotation=30), digits(400)
    matrices, shifts = affine_maps(amount, 400)
    angles = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert np.allclose(shifts, 0, atol=1e-4)
    assert_uniform(angles, 30)
    rotated = augment(ink, amount, seeded()).numpy()
    for n in range(40):
        expected = ndimage.rotate(
            ink[n, 0].numpy(), angles[n], reshape=False, order=1, mode="grid-constant"
        )
        assert np.allclose(rotated[n, 0], expected, atol=1e-4)


def test_zoom_is_a_factor_about_the_middle_either_way_uniformly() -> None:
    matrices, shifts = affine_maps(Augmentation(zoom=0.2), 400)
    assert np.allclose(shifts, 0, atol=1e-4)
    assert np.allclose(matrices[:, [0, 1], [1, 0]], 0, atol=1e-5)
    assert np.allclose(matrices[:, 0, 0], matrices[:, 1, 1], atol=1e-5)
    assert_uniform(1 / matrices[:, 0, 0] - 1, 0.2)


def test_a_digit_is_larger_where_its_zoom_is_above_1() -> None:
    amount = Augmentation(zoom=0.3)
    factors = 1 / affine_maps(amount, 20)[0][:, 0, 0]
    rows, columns = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    blob = torch.exp(-(rows**2 + columns**2) / 18).expand(20, 1, 28, 28)
    zoomed = augment(blob, amount, seeded())
    assert np.allclose(
        (zoomed.sum((1, 2, 3)) / blob.sum((1, 2, 3))).sqrt().numpy(), factors, rtol=0.01
    )


def test_shear_slants_and_moves_no_pixel_out_of_its_row() -> None:
    amount = Augmentation(shear=25)
    matrices, shifts = affine_maps(amount, 400)
    assert np.allclose(shifts, 0, atol=1e-4)
    assert np.allclose(matrices[:, 0], [1, 0], atol=1e-5)  # rows come from themselves
    assert np.allclose(matrices[:, 1, 1], 1, atol=1e-5)
    assert_uniform(np.degrees(np.arctan(matrices[:, 1, 0])), 25)

    bar = torch.zeros(400, 1, 28, 28)
    bar[..., 13:15] = 1
    slanted = augment(bar, amount, seeded())[:, 0].numpy()
    columns = (slanted * np.arange(28)).sum(2) / slanted.sum(2)  # where the bar lies in each row
    expected = 13.5 - matrices[:, 1, 0, None] * (np.arange(28) - 13.5)
    assert np.allclose(columns, expected, atol=1e-3)


def test_slant_and_rotation_together_keep_the_area_and_zoom_alone_changes_it() -> None:
    matrices, _ = affine_maps(Augmentation(rotation=30, shear=25), 200)
    assert np.allclose(np.linalg.det(matrices), 1, atol=1e-4)
    zoomed, _ = affine_maps(Augmentation(rotation=30, shear=25, zoom=0.2), 400)
    assert_uniform(np.linalg.det(zoomed) ** -0.5 - 1, 0.2)


def test_shift_is_uniform_on_both_axes_and_independent() -> None:
    matrices, shifts = affine_maps(Augmentation(shift=3), 400)
    assert np.allclose(matrices, np.eye(2), atol=1e-5)
    assert_uniform(shifts[:, 0], 3)
    assert_uniform(shifts[:, 1], 3)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.15


def test_the_largest_shift_moves_by_whole_pixels_and_paper_comes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.ones(*shape))
    ink = digits(3) * 0.5 + 0.5  # no paper anywhere
    shifted = augment(ink, Augmentation(shift=3, zoom=1e-9), seeded())
    by_hand = torch.zeros_like(ink)
    by_hand[..., :-3, :-3] = ink[..., 3:, 3:]
    assert torch.allclose(shifted, by_hand, atol=1e-5)


def test_a_shift_alone_copies_whole_pixels_and_every_place_is_as_likely() -> None:
    ink = digits(1).expand(5000, 1, 28, 28) + 0.5  # no paper anywhere
    moved = augment(ink, Augmentation(shift=2), seeded())
    surrounded = np.pad(ink[0, 0].numpy(), 2)
    places = [surrounded[y : y + 28, x : x + 28] for y in range(5) for x in range(5)]
    counts = [int((moved[:, 0].numpy() == place).all((1, 2)).sum()) for place in places]
    assert sum(counts) == 5000
    assert stats.chisquare(counts).pvalue > 0.001


def test_all_moves_together_are_scipy_s_resampling_at_the_places_of_both_grids() -> None:
    ink, amount = digits(30), Augmentation(rotation=20, shear=10, zoom=0.15, shift=3, elastic=1.5)
    generator = seeded(5)
    places = sources(affine_grid(ink, amount, generator) + elastic_field(ink, 1.5, generator))
    moved = augment(ink, amount, seeded(5))
    for n in range(30):
        expected = ndimage.map_coordinates(
            ink[n, 0].numpy(), places[n], order=1, mode="grid-constant"
        )
        assert np.allclose(moved[n, 0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("displacement", [0.5, 3.0])
@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 32)])
def test_elastic_displacement_has_the_length_that_was_asked_for_everywhere(
    displacement: float, height: int, width: int
) -> None:
    field = elastic_field(torch.zeros(1500, 1, height, width), displacement, seeded()).numpy() * [
        width / 2,
        height / 2,
    ]
    squares = (field**2).sum(-1)  # (N, H, W)
    assert math.sqrt(squares.mean()) == pytest.approx(displacement, rel=0.02)
    assert np.sqrt(squares.mean(0)) == pytest.approx(
        np.full((height, width), displacement), rel=0.08
    )
    assert np.abs(field.mean(0)).max() < 6 * displacement / math.sqrt(2 * 1500)
    across, down = field[..., 0], field[..., 1]
    assert across.std() == pytest.approx(down.std(), rel=0.03), "no direction is preferred"
    assert abs(np.corrcoef(across[:, 10, 14], down[:, 10, 14])[0, 1]) < 0.08


def test_elastic_displacement_is_as_smooth_as_its_gaussian() -> None:
    field = elastic_field(torch.zeros(500, 1, 40, 40), 1.0, seeded()).numpy()
    for distance in (2, 4, 8):
        here, there = field[:, 12:-12, 12:20], field[:, 12:-12, 12 + distance : 20 + distance]
        correlation = np.corrcoef(here.flatten(), there.flatten())[0, 1]
        assert correlation == pytest.approx(
            math.exp(-((distance / (2 * ELASTIC_SIGMA)) ** 2)), abs=0.03
        )


@pytest.mark.parametrize("side", [1, 4, 7])
def test_erasing_hides_one_square_clipped_at_the_border_and_nothing_else(side: int) -> None:
    height, width = 12, 16
    erased = erase(torch.ones(3000, 1, height, width), side, seeded())
    assert set(erased.unique().tolist()) == {0.0, 1.0}

    seen = {tuple(map(tuple, picture[0].numpy().astype(int))) for picture in erased}
    allowed = set()
    for row in range(height):
        for column in range(width):
            picture = np.ones((height, width), int)
            top, left = row - side // 2, column - side // 2
            picture[max(0, top) : top + side, max(0, left) : left + side] = 0
            allowed.add(tuple(map(tuple, picture)))
    assert seen == allowed, "each place occurs, and nothing but these"


def test_erasing_leaves_the_other_pixels_as_they_were_and_rounds_its_side() -> None:
    ink = digits(50) + 1  # so that paper is no longer 0
    erased = augment(ink, Augmentation(erasing=5.4), seeded())
    hidden = erased == 0
    assert torch.equal(erased[~hidden], ink[~hidden])
    assert hidden.sum((1, 2, 3)).max() == 25
    assert torch.equal(augment(ink, Augmentation(erasing=0.4), seeded()), ink)


def test_erasing_comes_after_the_moves() -> None:
    erased = augment(
        torch.ones(200, 1, 28, 28), Augmentation(rotation=45, zoom=0.3, erasing=9), seeded()
    )
    moved = augment(torch.ones(200, 1, 28, 28), Augmentation(rotation=45, zoom=0.3), seeded())
    changed = (erased != moved)[:, 0]
    on_the_digit = changed.any((1, 2)).nonzero().flatten()
    assert len(on_the_digit) > 100
    for n in on_the_digit:
        rows, columns = torch.nonzero(changed[n], as_tuple=True)
        box = erased[n, 0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert torch.equal(box, torch.zeros_like(box)), "the square is not turned with the digit"


FUNCTIONS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "augment": lambda ink, generator: augment(ink, EVERYTHING, generator),
    "affine_grid": lambda ink, generator: affine_grid(ink, EVERYTHING, generator),
    "elastic_field": lambda ink, generator: elastic_field(ink, 2.0, generator),
    "erase": lambda ink, generator: erase(ink, 6, generator),
    "filter_at_random": lambda ink, generator: filter_at_random(ink, 1.0, generator),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_result_depends_on_the_generator_s_seed_and_on_no_other_randomness(name: str) -> None:
    function, ink = FUNCTIONS[name], digits(16)
    torch.manual_seed(1)
    first = function(ink, seeded(7))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(function(ink, seeded(7)), first)
    assert not torch.equal(function(ink, seeded(8)), first)
    assert torch.equal(torch.get_rng_state(), state), "torch's global generator is left alone"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_digit_of_a_batch_has_a_draw_of_its_own(name: str) -> None:
    same = digits(1).expand(8, 1, 28, 28) + 1
    changed = FUNCTIONS[name](same, seeded())
    assert all(not torch.equal(changed[i], changed[j]) for i in range(8) for j in range(i))


def test_a_digit_does_not_rub_off_on_its_neighbours() -> None:
    ink, other = digits(6), digits(6)
    other[2] = 1 - other[2]
    a, b = augment(ink, EVERYTHING, seeded()), augment(other, EVERYTHING, seeded())
    assert not torch.equal(a[2], b[2])
    assert torch.equal(a[[0, 1, 3, 4, 5]], b[[0, 1, 3, 4, 5]])


@pytest.mark.parametrize("amount", [EVERYTHING, Augmentation(clutter=1, filtering=1, noise=0.5)])
@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (2, 1, 28, 28), (7, 1, 32, 20)])
def test_shape_type_and_range_stay_and_the_given_ink_is_not_touched(
    shape: tuple[int, ...], amount: Augmentation
) -> None:
    ink = torch.rand(shape)
    before = ink.clone()
    changed = augment(ink, amount, seeded())
    assert torch.equal(ink, before)
    assert changed.shape == ink.shape
    assert changed.dtype == ink.dtype
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6


def test_what_comes_from_outside_the_field_is_paper() -> None:
    amount = Augmentation(shift=40, zoom=1e-9)
    moved = augment(torch.ones(50, 1, 28, 28), amount, seeded())
    shifts = affine_maps(amount, 50)[1]
    covered = np.maximum(0, 28 - np.abs(shifts)).prod(1)
    assert np.allclose(moved.sum((1, 2, 3)).numpy(), covered, atol=0.51 * 28)
    gone = (np.abs(shifts) > 29).any(1)
    assert gone.any()
    assert (moved[torch.from_numpy(gone)] == 0).all()


# ---- what lies about, what it is seen through, and noise


def test_clutter_is_a_piece_of_the_digit_before_that_was_moved_and_no_ink_is_lost() -> None:
    ink = digits(200)
    cluttered = clutter(ink, 0.5, seeded())
    assert (cluttered >= ink).all()
    draw = seeded()
    moved = torch.randint(-14, 15, (2,), generator=draw).tolist()
    other = ink.roll(1, 0).roll(moved, (2, 3))
    added = cluttered > ink
    strengths = [
        (cluttered[n][added[n]] / other[n][added[n]]) for n in range(200) if added[n].any()
    ]
    assert all(
        torch.allclose(strength, strength[0].expand_as(strength), atol=1e-5)
        for strength in strengths
    )
    assert all(0.5 <= strength[0] <= 1 for strength in strengths)
    assert 0.1 < len(strengths) / 200 < 0.5, "of those chosen, some have nothing under their window"
    assert torch.equal(clutter(ink, 0.0, seeded()), ink)


def test_a_random_filter_is_scipy_s_correlation_stretched_to_the_whole_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ink = digits(40)
    for side in (3, 5):
        monkeypatch.setattr(augmentation, "FILTER_SIDES", (side,))
        seen = augmentation._convolved(ink, seeded(3))
        draw = seeded(3)
        torch.randint(1, (1,), generator=draw)
        kernels = torch.randn(40, 1, side, side, generator=draw) / side
        edges = torch.rand(40, 1, 1, 1, generator=draw) < 0.5
        folded = torch.rand(40, 1, 1, 1, generator=draw) < 0.5
        assert 0 < edges.sum() < 40
        assert 0 < folded.sum() < 40
        for n in range(40):
            kernel = kernels[n, 0].double().numpy()
            answer = ndimage.correlate(
                ink[n, 0].double().numpy(),
                kernel - edges[n].item() * kernel.mean(),
                mode="constant",
            )
            answer = np.abs(answer) if folded[n] else answer
            expected = (answer - answer.min()) / (answer.max() - answer.min())
            assert np.allclose(seen[n, 0], expected, atol=2e-3)


def test_a_filter_of_one_pixel_shows_the_digit_or_its_negative(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(augmentation, "FILTER_SIDES", (1,))
    ink = digits(100)
    seen = augmentation._filtered(ink, seeded())
    alike, negative = ((seen - other).abs().amax((1, 2, 3)) < 0.02 for other in (ink, 1 - ink))
    assert (alike | negative).float().mean() > 0.95, "but where the two mixed to nearly nothing"
    assert 0.1 < negative.float().mean() < 0.4


def test_a_share_of_the_digits_is_filtered_and_half_of_all_in_part() -> None:
    ink = digits(1000)
    for share in (0.0, 0.4):
        same = (filter_at_random(ink, share, seeded()) - ink).abs().amax((1, 2, 3)) < 1e-6
        assert same.float().mean().item() == pytest.approx((1 - share) / 2, abs=0.05)


def test_noise_is_gaussian_and_up_to_the_given_strength_on_half_of_the_digits() -> None:
    ink = torch.full((4000, 1, 28, 28), 0.5)
    spread = (add_noise(ink, 0.1, seeded()) - ink).std((1, 2, 3)).numpy()
    assert np.mean(spread == 0) == pytest.approx(0.5, abs=0.03)
    assert stats.kstest(spread[spread > 0], stats.uniform(0, 0.1).cdf).pvalue > 0.001
    assert add_noise(torch.rand(50, 1, 28, 28), 2.0, seeded()).aminmax() == (0, 1)
