"""Each corruption does what MNIST-C's definition says: a slow obvious version, given the same
draws, comes to the same pixels.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from few_digits import few_digits
from scipy import ndimage, stats

from inkdigits.core.errors import UnknownName
from inkdigits.data.synthetic.corruptions import (
    CORRUPTIONS,
    DIGITS_AT_A_TIME,
    corrupt,
    plasma,
)

DIGITS = few_digits(40).images
BLANK = np.zeros((40, 28, 28), np.uint8)
# ink up to the border
NOISE = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
WITHOUT_CHANCE = ("scale", "brightness", "stripe", "canny_edges")


def ink(images=DIGITS):
    return (images / 255).astype(np.float32)


def pixels(ink):
    return np.rint(255 * np.clip(ink, 0, 1)).astype(int)


def differ(ours, theirs):
    """The largest difference of two sets of pixels, in grey levels; float32 may round a pixel to
    the next one.
    """
    return np.abs(ours.astype(int) - theirs.astype(int)).max()


def drawn(**draws):
    """A generator that has drawn already."""
    return SimpleNamespace(
        **{name: lambda *args, result=result, **kwargs: result for name, result in draws.items()}
    )


# ---- all of them


def test_the_corruptions_are_the_fifteen_of_the_paper():
    assert list(CORRUPTIONS) == [
        *(
            "shot_noise",
            "impulse_noise",
            "glass_blur",
            "motion_blur",
            "shear",
            "scale",
            "rotate",
            "brightness",
        ),
        *("translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges"),
    ]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_seed_decides_every_draw(name):
    before = DIGITS.copy()
    first = corrupt(DIGITS, name, seed=1)
    assert (first.shape, first.dtype) == (DIGITS.shape, np.uint8)
    assert np.array_equal(DIGITS, before), "the digits themselves are left alone"
    assert np.array_equal(first, corrupt(DIGITS, name, seed=1))
    assert np.array_equal(first, corrupt(DIGITS, name, seed=2)) == (name in WITHOUT_CHANCE)
    assert not np.array_equal(first, DIGITS)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_digit_has_a_draw_of_its_own_in_every_block(name):
    copies = np.repeat(DIGITS[:1], 2 * DIGITS_AT_A_TIME + 1, axis=0)
    corrupted = corrupt(copies, name)
    kinds = len(np.unique(corrupted.reshape(len(copies), -1), axis=0))
    few = {"shear": 2, "rotate": 2, "translate": 4} | dict.fromkeys(WITHOUT_CHANCE, 1)
    assert kinds == few[name] if name in few else kinds > 50
    assert np.array_equal(corrupted[:DIGITS_AT_A_TIME], corrupted[DIGITS_AT_A_TIME:-1]) == (
        name in WITHOUT_CHANCE
    ), "blocks share no draws"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_empty_array_of_digits_stays_empty(name):
    assert corrupt(DIGITS[:0], name).shape == (0, 28, 28)


def test_an_unknown_corruption_is_refused():
    with pytest.raises(
        UnknownName, match=r"no corruption 'frog'; known: shot_noise, .*, canny_edges"
    ):
        corrupt(DIGITS, "frog")


# ---- noise


@pytest.mark.parametrize("grey", [0, 40, 128, 255])
def test_shot_noise_counts_photons(grey):
    seen = corrupt(np.full((300, 28, 28), grey, np.uint8), "shot_noise")
    assert set(np.unique(seen)) <= {0, 85, 170, 255}, "none, one, two, or three and more"
    for photons in range(3):
        expected = stats.poisson(3 * grey / 255).pmf(photons)
        assert (seen == 85 * photons).mean() == pytest.approx(
            expected, abs=5 * 0.5 / math.sqrt(seen.size)
        )


def test_impulse_noise_makes_17_percent_of_pixels_white_or_black():
    grey = np.arange(1, 255, dtype=np.uint8)[np.arange(300 * 784) % 254].reshape(300, 28, 28)
    seen = corrupt(grey, "impulse_noise")
    white, black = seen == 255, seen == 0
    assert (white.mean(), black.mean()) == pytest.approx(
        (0.085, 0.085), abs=5 * 0.28 / math.sqrt(seen.size)
    )
    assert np.array_equal(seen[~white & ~black], grey[~white & ~black])


# ---- blur


def test_glass_blur_is_its_loop_over_pixels():
    draws = np.random.default_rng(3).integers(8, size=(2 * 26 * 26, 12))
    ours = CORRUPTIONS["glass_blur"](ink(DIGITS[:12]), drawn(integers=draws))
    for number, digit in enumerate(ink(DIGITS[:12])):
        field = ndimage.gaussian_filter1d(digit.astype(float), 0.7, axis=0, mode="nearest")
        choices = iter(draws[:, number])
        for _ in range(2):
            for row in range(27, 1, -1):
                for column in range(27, 1, -1):
                    exchange, up, left = (int(bit) for bit in f"{next(choices):03b}")
                    if exchange:
                        here, there = (row, column), (row - up, column - left)
                        field[here], field[there] = field[there], field[here]
        expected = ndimage.gaussian_filter1d(field, 0.7, axis=0, mode="nearest")
        assert ours[number] == pytest.approx(expected, abs=1e-6)


def test_motion_blur_is_a_correlation_with_half_a_gaussian():
    angles = np.linspace(-45, 45, 10)
    ours = CORRUPTIONS["motion_blur"](ink(DIGITS[:10]), drawn(uniform=angles))
    for number, angle in enumerate(np.radians(angles)):
        kernel = np.zeros((41, 41))
        for step in range(21):
            row = math.ceil(step * math.sin(angle) - 0.5)
            column = math.ceil(step * math.cos(angle) - 0.5)
            kernel[20 + row, 20 + column] += math.exp(-(step**2) / 18)
        expected = ndimage.correlate(
            ink()[number].astype(float), kernel / kernel.sum(), mode="nearest"
        )
        assert ours[number] == pytest.approx(expected, abs=1e-6)


def test_motion_blur_goes_every_way_up_to_45_degrees():
    dots = np.zeros((1000, 28, 28), np.uint8)
    dots[:, 14, 20] = 255
    angles = []
    for blurred in corrupt(dots, "motion_blur"):
        (row, column), _ = moments(blurred.astype(float))
        angles.append(math.degrees(math.atan2(14 - row, 20 - column)))
    assert (min(angles), max(angles)) == pytest.approx((-45, 45), abs=2)
    assert stats.kstest(angles, stats.uniform(-45, 90).cdf).statistic < 0.1, (
        "near enough to uniform, for whole pixels"
    )


# ---- geometry

SIN, COS = math.sin(0.4), math.cos(0.4)


@pytest.mark.parametrize(
    ("name", "matrices"),  # of (row, column)
    [
        ("shear", ([[COS, 0], [-SIN, 1]], [[COS, 0], [SIN, 1]])),
        ("rotate", ([[COS, SIN], [-SIN, COS]], [[COS, -SIN], [SIN, COS]])),
        ("scale", ([[1 / 0.7, 0], [0, 1 / 0.7]],)),
    ],
)
def test_shear_scale_and_rotate_agree_with_scipy(name, matrices):
    fields = np.concatenate([DIGITS, NOISE])
    found = []
    for digit, warped in zip(ink(fields), corrupt(fields, name), strict=True):
        ways = [
            pixels(
                ndimage.affine_transform(
                    digit,
                    matrix,
                    13.5 - np.array(matrix) @ [13.5, 13.5],
                    order=1,
                    mode="grid-constant",
                )
            )
            for matrix in matrices
        ]
        found.append(next(number for number, way in enumerate(ways) if differ(warped, way) <= 1))
    assert set(found) == set(range(len(matrices))), "digits go both ways"


def moments(image):
    """Centre (row, column), and the second moments about it: row row, row column, column column."""
    weights = image / image.sum()
    rows, columns = np.indices(image.shape)
    centre = (weights * rows).sum(), (weights * columns).sum()
    down, across = rows - centre[0], columns - centre[1]
    return centre, (
        (weights * down**2).sum(),
        (weights * down * across).sum(),
        (weights * across**2).sum(),
    )


def test_a_bar_is_turned_by_0_4_radians_about_the_middle():
    bar = np.zeros((20, 28, 28), np.uint8)
    bar[:, 13:15, 5:23] = 255
    for turned in corrupt(bar, "rotate"):
        centre, (down, both, across) = moments(turned.astype(float))
        assert centre == pytest.approx((13.5, 13.5), abs=1e-3)
        assert abs(0.5 * math.atan2(2 * both, across - down)) == pytest.approx(0.4, abs=0.005)


def test_scale_leaves_70_percent_of_a_square():
    square = np.zeros((1, 28, 28), np.uint8)
    square[:, 4:24, 4:24] = 255
    small = corrupt(square, "scale")[0]
    assert small.sum() / 255 == pytest.approx((0.7 * 20) ** 2, rel=0.02)
    assert moments(small.astype(float))[0] == pytest.approx((13.5, 13.5))


def test_translate_moves_the_centre_of_mass_by_3_pixels_both_ways():
    inner = DIGITS.copy()
    inner[:, :4], inner[:, -4:], inner[:, :, :4], inner[:, :, -4:] = (
        0,
        0,
        0,
        0,
    )  # nothing to be lost
    moves = set()
    for before, after in zip(inner, corrupt(inner, "translate"), strict=True):
        (row, column), (new_row, new_column) = (
            moments(before.astype(float))[0],
            moments(after.astype(float))[0],
        )
        moves.add((round(new_row - row, 6), round(new_column - column, 6)))
    assert moves == {(down, across) for down in (-3, 3) for across in (-3, 3)}


def test_ink_that_translate_pushes_over_the_border_is_lost():
    lost = corrupt(np.full((30, 28, 28), 255, np.uint8), "translate")
    assert set(np.count_nonzero(lost, axis=(1, 2))) == {25 * 25}


# ---- light and weather


def test_brightness_adds_a_half():
    expected = np.minimum(255, np.rint(DIGITS + 127.5))
    assert differ(corrupt(DIGITS, "brightness"), expected) <= 1


def test_stripe_inverts_columns_0_to_6_and_21_to_27():
    striped = corrupt(DIGITS, "stripe")
    for column in range(28):
        inverted = column <= 6 or column >= 21
        assert np.array_equal(
            striped[:, :, column], 255 - DIGITS[:, :, column] if inverted else DIGITS[:, :, column]
        )


def test_clouds_are_the_diamond_square_algorithm_on_a_grid():
    ours = plasma(1, np.random.default_rng(5))[0]
    generator, heights = np.random.default_rng(5), np.zeros((256, 256))
    step, roughness = 256, 1.0
    while step > 1:
        half, count = step // 2, 256 // step
        diamonds = (((-half, -half), (-half, half), (half, -half), (half, half)), half, half)
        squares = [
            (((-half, 0), (half, 0), (0, -half), (0, half)), *start)
            for start in ((0, half), (half, 0))
        ]
        for neighbours, row, column in (diamonds, *squares):
            noise = roughness * (2 * generator.random((1, count, count), np.float32)[0] - 1)
            new = {
                (i, j): sum(heights[(i + di) % 256, (j + dj) % 256] for di, dj in neighbours) / 4
                + noise[i // step, j // step]
                for i in range(row, 256, step)
                for j in range(column, 256, step)
            }
            for place, height in new.items():
                heights[place] = height
        step, roughness = half, roughness / 1.4**2
    expected = (heights - heights.min()) / (heights.max() - heights.min())
    assert ours == pytest.approx(expected, abs=1e-5)


def test_fog_leaves_a_quarter_of_the_contrast():
    dots = BLANK.copy()
    dots[:, 20, 20] = 255
    black = np.full_like(BLANK, 255)
    difference = corrupt(black, "fog").astype(int) - corrupt(
        dots, "fog"
    )  # the same clouds before both
    difference[:, 20, 20] += 64
    assert np.isin(difference, (63, 64, 65)).all(), "255 / 4, but where both have ink"
    assert not corrupt(BLANK, "fog").any(), "as the benchmark has it: as dense as the digit is dark"


def test_fog_is_the_upper_left_corner_of_the_clouds():
    clouds = plasma(8, np.random.default_rng(0))[:, :28, :28]
    ours = CORRUPTIONS["fog"](np.full((8, 28, 28), 0.5, np.float32), np.random.default_rng(0))
    assert ours == pytest.approx((0.5 + 3 * clouds) * 0.5 / 3.5, abs=1e-6)


def test_spatter_is_mud_where_blurred_noise_exceeds_its_mean():
    noise = np.random.default_rng(7).normal(0.65, 0.3, (40, 28, 28))
    ours = CORRUPTIONS["spatter"](ink(), drawn(normal=noise))
    for digit, layer, seen in zip(ink().astype(float), noise, ours, strict=True):
        drops = (ndimage.gaussian_filter(layer, 1, mode="nearest") > 0.65).astype(float)
        mud = ndimage.gaussian_filter(drops, 1.5, mode="nearest")
        mud = np.where(mud < 0.8, 0, mud)
        assert seen == pytest.approx(digit * (1 - mud) + 63 / 255 * mud, abs=1e-6)


def test_spatters_noise_has_the_benchmarks_spread():
    asked = []
    CORRUPTIONS["spatter"](
        ink(), SimpleNamespace(normal=lambda *args: asked.append(args) or np.zeros(args[2]))
    )
    assert asked == [(0.65, 0.3, (40, 28, 28))]


# ---- lines


def slow_line(left, top, right, bottom):
    """Pixel by pixel: 1 + log(1 - distance / 2.3), at least 0, in columns from floor(left) to
    before ceil(right).
    """
    field = np.zeros((28, 28))
    for column in range(math.floor(left), min(28, math.ceil(right))):
        for row in range(28):
            distance = abs(row - (top + (bottom - top) / (right - left) * (column - left)))
            if distance < 2.3:
                field[row, column] = max(0, 1 + math.log(1 - distance / 2.3))
    return field


def test_dotted_line_is_two_columns_of_every_four():
    rows = np.array([[0, 26, 5, 13], [26, 0, 5, 20]])
    ours = CORRUPTIONS["dotted_line"](np.zeros((4, 28, 28), np.float32), drawn(integers=rows))
    for field, left, right in zip(ours, *rows, strict=True):
        expected = slow_line(0, left, 27, right)
        expected[:, [column for column in range(28) if column % 4 in (0, 1)]] = 0
        assert field == pytest.approx(expected, abs=1e-9)


def slow_zigzag(top, rise):
    """The corners as complex numbers along the axis from (2, top), turned onto it at once."""
    axis = complex(23, rise)
    corners = [
        0,
        *(complex(2 + 4 * tooth, 2 * (-1) ** tooth) for tooth in range(6)),
        complex(abs(axis), -1 / (abs(axis) - 20)),
    ]
    places = [complex(2, top) + corner * axis / abs(axis) for corner in corners]
    return sum(slow_line(a.real, a.imag, b.real, b.imag) for a, b in itertools.pairwise(places))


def test_zigzag_has_six_teeth_of_2_pixels():
    tops, rises = [0, 13, 26, 7, 20], [0, -5, 4, 2, -1]
    asked = iter([np.array(tops), np.array(rises)])
    ours = CORRUPTIONS["zigzag"](
        np.zeros((5, 28, 28), np.float32), SimpleNamespace(integers=lambda *a, **k: next(asked))
    )
    for field, top, rise in zip(ours, tops, rises, strict=True):
        assert field == pytest.approx(slow_zigzag(top, rise), abs=1e-9)


@pytest.mark.parametrize(("name", "kinds"), [("dotted_line", 27 * 27), ("zigzag", 27 * 10)])
def test_every_position_of_a_line_is_drawn_sooner_or_later(name, kinds):
    many = corrupt(np.zeros((30 * kinds, 28, 28), np.uint8), name)
    assert len({field.tobytes() for field in many}) == kinds


@pytest.mark.parametrize("name", ["dotted_line", "zigzag"])
def test_lines_are_drawn_over_the_digit(name):
    with_digit, alone = (corrupt(images, name).astype(int) for images in (DIGITS, BLANK))
    assert alone.any(axis=(1, 2)).all()
    assert differ(with_digit, np.minimum(255, DIGITS.astype(int) + alone)) <= 1


def slow_canny(ink):
    """Canny's steps with SciPy's filters; slopes beside a pixel are read by interpolation, edges
    are grown by labels.
    """
    smooth = ndimage.gaussian_filter(ink, 1, mode="constant") / ndimage.gaussian_filter(
        np.ones_like(ink), 1, mode="constant"
    )
    down, across = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    slope = np.hypot(down, across)
    weak = np.zeros(ink.shape, bool)
    for i in range(1, 27):
        for j in range(1, 27):
            if slope[i, j] < 0.1:
                continue
            reach = max(abs(down[i, j]), abs(across[i, j]))
            step = np.array([down[i, j], across[i, j]]) / reach
            beside = ndimage.map_coordinates(
                slope,
                np.transpose([(i + step[0], j + step[1]), (i - step[0], j - step[1])]),
                order=1,
            )
            weak[i, j] = beside.max() <= slope[i, j] + 1e-9
    labels, _ = ndimage.label(weak, np.ones((3, 3)))
    return np.isin(labels, np.unique(labels[weak & (slope >= 0.2)])) & weak


def test_canny_edges_are_those_of_a_slow_version():
    faint = [
        150 * ndimage.gaussian_filter(field / 255, 1) for field in NOISE
    ]  # slopes on both sides of the thresholds
    fields = np.concatenate([DIGITS, np.rint(faint).astype(np.uint8)])
    ours = corrupt(fields, "canny_edges")
    assert set(np.unique(ours)) == {0, 255}
    for field, edges in zip(fields, ours, strict=True):
        assert np.array_equal(edges == 255, slow_canny(field / 255))


def test_canny_draws_faint_lines_only_where_they_lead_to_strong_ones():
    faint = np.zeros((3, 28, 28), np.uint8)
    faint[:2, 8:20, 4:14] = 8  # slopes between the two thresholds
    faint[1:, 8:20, 14:24] = 255
    alone, leading, strong = (np.count_nonzero(edges) for edges in corrupt(faint, "canny_edges"))
    assert alone == 0
    assert leading > strong > 0
