"""Figures show the numbers they were given, at the right places, without a warning."""

import re
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_hex

from inkdigits.core.errors import BadValue
from inkdigits.evaluation.plots import compared, curves, galleries, layers, style
from inkdigits.evaluation.plots.compared import Contender, unbeaten
from inkdigits.evaluation.plots.drawing import (
    EDGE,
    WIDTH,
    Band,
    Drawing,
    Line,
    Panel,
    Words,
    ticks,
)
from inkdigits.reading.layers import Layer


def digit() -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 10:15] = 50
    image[4:8, 10:20] = 200
    return image


def drawn(figure):
    """Return the figure once it is drawn; a warning of matplotlib's fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


def written(axes):
    return [text.get_text() for text in axes.texts]


def pictures(figure):
    """The arrays shown, in reading order; colour bars have none."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


# ---- runs and digits


def history(bend):
    return [
        {
            "epoch": e,
            "train_loss": bend / e,
            "train_accuracy": 0.9,
            "validation_loss": bend / e,
            "validation_accuracy": 0.95,
        }
        for e in range(1, 5)
    ]


def test_curves_of_several_runs_are_their_mean_within_a_standard_deviation():
    loss, _ = curves.learning_curves(history(1), history(2), history(6)[:3]).panels
    line = next(each for each in loss.lines if each.label == "validation")
    assert line.x.tolist() == [1, 2, 3]  # as far as all runs go
    np.testing.assert_allclose(line.y, [3 / e for e in (1, 2, 3)])
    bands = [shape for shape in loss.shapes if isinstance(shape, Band)]
    assert (bands[1].low[1], bands[1].high[1]) == pytest.approx(
        (1.5 - np.std([0.5, 1, 3], ddof=1), 1.5 + np.std([0.5, 1, 3], ddof=1))
    )
    assert loss.legend == "mean ± sd of 3 runs"


def test_curves_of_one_run_have_no_band():
    drawing = curves.learning_curves(history(1))
    assert not any(isinstance(shape, Band) for panel in drawing.panels for shape in panel.shapes)
    assert drawing.panels[0].legend == ""


def test_a_long_run_shows_all_but_its_first_pass():
    long = [
        {"epoch": e, "train_loss": 9.0 if e == 1 else 1 / e, "validation_loss": 0.5}
        for e in range(1, 9)
    ]
    low, high = curves.learning_curves(long).panels[0].y
    assert low < 1 / 8
    assert 0.5 < high < 9


@pytest.mark.parametrize(
    ("low", "high", "whole", "names"),
    [
        (0, 100, False, ["0", "20", "40", "60", "80", "100"]),
        (0.96, 1.04, False, ["0.96", "0.98", "1.00", "1.02", "1.04"]),
        (0.5, 1.5, True, ["1"]),
        (1, 5, True, ["1", "2", "3", "4", "5"]),
        (-0.0013, 0.0041, False, ["-0.001", "0.000", "0.001", "0.002", "0.003", "0.004"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low, high, whole, names):
    assert [name for _, name in ticks(low, high, whole=whole)] == names


def test_a_drawing_places_values_on_its_axes():
    line = Line(np.array([0.0, 10.0]), np.array([5.0, 5.0]), style.BLUE, marker="o")
    panel = Panel("", (0, 10), (0, 10), [line], height=100)
    places = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', Drawing((panel,)).svg())
    left, right = ([float(number) for number in place] for place in places)
    assert right[0] - left[0] == pytest.approx(WIDTH - 2 * EDGE, abs=0.1)
    assert left[1] == right[1] == pytest.approx(4 + 50)  # below the margin, halfway down


def test_words_of_a_drawing_are_no_markup():
    words = Words(0, 0, "<script>")
    text = Drawing((Panel("<b>", (0, 1), (0, 1), [words], x_ticks=[(0, "<i>")]),)).svg()
    assert not {"<script", "<b>", "<i>"} & set(re.findall(r"<\w+>?", text))
    assert "&lt;script&gt;" in text


def test_a_notebook_gets_a_whole_picture_in_colours_of_its_own():
    text = curves.learning_curves(history(1))._repr_svg_()
    assert text.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert "var(" not in text


def test_error_gallery_shows_errors_alone_the_surest_first():
    images = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    probabilities = np.full((4, 10), 0.01)
    for image, (read, share) in enumerate([(0, 0.91), (2, 0.61), (2, 0.91), (3, 0.71)]):
        probabilities[image] = (1 - share) / 9
        probabilities[image, read] = share
    figure = drawn(galleries.error_gallery(images, [0, 1, 1, 4], probabilities, most=2))
    assert [axes.get_title() for axes in figure.axes] == ["1 → 2  91%", "4 → 3  71%"]
    assert [picture[0, 0] for picture in pictures(figure)] == [2, 3]
    with pytest.raises(BadValue, match="everything was read right"):
        galleries.error_gallery(images, [0, 2, 2, 3], probabilities)


def test_every_pixel_has_its_number_at_its_place():
    (axes,) = galleries.pixel_values(digit()).axes
    numbers = {
        (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
        for text in axes.texts
    }
    assert numbers == dict(np.ndenumerate(digit()))


def test_box_and_cross_lie_where_the_ink_does():
    (axes,) = galleries.pixel_values(digit()).axes
    (box,), (cross,) = axes.patches, axes.lines
    assert box.get_bbox().bounds == (10, 4, 10, 20)
    places = [
        (column + 0.5, row + 0.5)
        for (row, column), value in np.ndenumerate(digit())
        for _ in range(value)
    ]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == pytest.approx(np.mean(places, axis=0))
    assert box.get_label() == "tight box: 10 x 20 pixels"


@pytest.mark.parametrize("image", [np.zeros((28, 28), np.uint8), np.ones((1, 28, 28), np.uint8)])
def test_what_is_not_one_digit_is_refused(image):
    with pytest.raises(BadValue, match="one digit"):
        galleries.pixel_values(image)


# ---- the network's inside


@pytest.mark.parametrize("shape", [(20, 1, 5, 5), (6, 3, 3), (1, 1, 3, 3)])
def test_kernels_are_shown_on_one_scale_around_zero(shape):
    kernels = np.random.default_rng(0).normal(size=shape)
    figure = drawn(layers.filters(kernels))
    np.testing.assert_allclose(pictures(figure), kernels.reshape(-1, *shape[-2:]))
    limits = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert limits == {(-np.abs(kernels).max(), np.abs(kernels).max())}


def test_kernels_look_for_ink_in_orange_and_for_paper_in_blue():
    (shown,) = (axes.images[0] for axes in layers.filters([[[-1.0, 0.0, 1.0]]]).axes if axes.images)
    assert [to_hex(shown.to_rgba(value)) for value in (-1, 0, 1)] == [
        style.BLUE,
        "#ffffff",
        style.ORANGE,
    ]


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (5, 5), (0, 1, 3, 3)])
def test_kernels_on_several_channels_are_refused(shape):
    with pytest.raises(BadValue, match=r"\(K, 1, h, w\)"):
        layers.filters(np.ones(shape))


def test_feature_maps_are_a_row_a_layer_the_strongest_first():
    maps = np.random.default_rng(0).random((5, 4, 4)).astype(np.float32)
    stack = [
        Layer("layer 1", maps),
        Layer("layer 2", maps[:2, :2, :2]),
        Layer("layer 3", maps[:, :1, :1]),
    ]
    figure = drawn(layers.feature_maps(stack, most=3))
    order = sorted(range(5), key=lambda number: -maps[number].max())[:3]
    shown = pictures(figure)
    np.testing.assert_array_equal(shown[:3], maps[order])
    assert len(shown) == 3 + 2
    said = [text for axes in figure.axes for text in written(axes)]
    assert said == ["layer 1", "5 x 4 x 4", "layer 2", "2 x 2 x 2"]
    with pytest.raises(BadValue, match="none of the layers has places"):
        layers.feature_maps(stack[2:])


def test_a_layer_that_answers_nothing_is_drawn_too():
    (shown,) = pictures(
        drawn(layers.feature_maps([Layer("layer 1", np.zeros((1, 2, 2), np.float32))]))
    )
    assert not shown.any()


def test_what_mattered_has_the_sign_of_the_drop_and_the_ink_of_the_digit():
    drops = np.zeros((2, 28, 28), np.float32)
    drops[0, 5, 12], drops[1, 10, 12] = 0.25, -1
    figure = drawn(layers.what_mattered([digit(), digit()], drops, ["7", "7?"]))
    first, second = pictures(figure)
    assert (first[5, 12], second[10, 12]) == pytest.approx((0.5, -1))  # roots, on one scale
    assert np.count_nonzero([first, second]) == 2
    np.testing.assert_allclose(figure.axes[0].images[0].get_alpha(), digit() / 255)
    with pytest.raises(BadValue, match="not of the same digits"):
        layers.what_mattered([digit()], drops)


def test_an_embedding_has_each_digit_at_its_place_and_rings_the_wrong_ones():
    points, labels = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 10
    wrong = np.isin(np.arange(30), [3, 17])
    (axes,) = drawn(layers.embedding(points, labels, wrong, title="PCA")).axes
    for digit_, cloud in enumerate(axes.collections[:10]):
        np.testing.assert_allclose(cloud.get_offsets(), points[labels == digit_])
    np.testing.assert_allclose(axes.collections[10].get_offsets(), points[[3, 17]])
    assert axes.collections[10].get_label() == "read wrong: 2"
    assert axes.get_title(loc="left") == "PCA"
    with pytest.raises(BadValue, match="not of the same digits"):
        layers.embedding(points, labels[1:])


def test_no_two_classes_share_a_colour():
    assert len({to_hex(colour) for colour in layers.CLASS_COLOURS}) == 10


# ---- several compared


CONTENDERS = [
    Contender("cheap", 10, 0.99, 0.001),
    Contender("beaten", 200, 0.98),
    Contender("good", 100, 0.995, 0.0002),
    Contender("as good but dear", 5000, 0.995),
    Contender("best", 20000, 0.998),
]


def test_the_unbeaten_are_those_that_nobody_beats_at_both():
    def is_beaten(one):
        return any(
            other.cost <= one.cost and other.accuracy >= one.accuracy and other != one
            for other in CONTENDERS
        )

    assert unbeaten(CONTENDERS) == [one for one in CONTENDERS if not is_beaten(one)]


def test_a_frontier_has_every_name_and_a_step_for_each_of_the_unbeaten():
    (axes,) = drawn(compared.frontier(CONTENDERS, "seconds")).axes
    assert sorted(written(axes)) == sorted(each.name for each in CONTENDERS)
    (stairs,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    steps = stairs.get_xydata().tolist()
    assert steps == [[10, 99], [100, pytest.approx(99.5)], [20000, pytest.approx(99.8)]]
    assert axes.get_xlabel() == "seconds"


def test_names_at_a_frontier_give_way_to_each_other():
    close = [Contender(f"model {i}", 100 + i, 0.99 + i * 1e-5) for i in range(4)]
    (axes,) = drawn(compared.frontier(close, "seconds")).axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


@pytest.mark.parametrize("contenders", [[], [Contender("free", 0, 0.99)]])
def test_a_frontier_without_costs_is_refused(contenders):
    with pytest.raises(BadValue, match="above 0"):
        compared.frontier(contenders, "seconds")


def test_rungs_show_every_run_and_their_mean_from_above():
    (axes,) = drawn(
        compared.rungs(["plain", "more"], [[0.98, 0.99], [0.995]], ["98.50", "99.50"])
    ).axes
    points = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert points == [[[98, 0], [99, 0]], [[99.5, 1]]]
    means = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "D"]
    assert means == [[[98.5, 0]], [[99.5, 1]]]
    assert axes.yaxis_inverted()
    assert written(axes) == ["98.50", "99.50"]
    for names, values in [(["one"], [[]]), ([], []), (["one"], [[0.9], [0.9]])]:
        with pytest.raises(BadValue, match="none of them empty"):
            compared.rungs(names, values)


def test_corruption_bars_are_as_long_as_the_models_are_good():
    models = {"one": {"fog": 0.5, "glass_blur": 0.9}, "two": {"fog": 0.6, "glass_blur": 0.7}}
    figure = drawn(compared.corruption_bars(models))
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["glass blur", "fog"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([90, 50, 70, 60])
    assert written(axes) == ["90", "50", "70", "60"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    for wrong in (
        {},
        {"one": {}},
        {**models, "three": {"fog": 1.0}},
        {str(i): models["one"] for i in range(4)},
    ):
        with pytest.raises(BadValue, match="1 to 3 models"):
            compared.corruption_bars(wrong)
