"""What a network is made of and what it makes of digits -> figures: kernels, feature maps, what mattered, embeddings.

Each function takes arrays, or the layers that `inside` gives, and returns a matplotlib Figure of its own, in the style of
`style.py`. Runs no network and knows nothing of files. Needs the extra `report`.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue
from inkdigits.evaluation.plots.style import BLUE, FONT, GRID, INK, MUTED, ORANGE, dress, figure_of
from inkdigits.reading.layers import Layer

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Okabe and Ito's eight, with yellow darkened until it shows on white, and two more; each class is written as its digit, too.
CLASS_COLOURS = (
    "#000000",
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#7f5f00",
    "#8c8c8c",
    "#5e3c99",
)
CELL = 0.62  # inches: a map or kernel
POINT = 40  # square points: a digit in an embedding


def filters(kernels: ArrayLike, *, columns: int = 16) -> "Figure":
    """The kernels of a first layer: orange where they look for ink, blue where they look for paper, white where they do not care.

    kernels: float (K, 1, h, w), as a convolution on one channel holds them, or (K, h, w). All have one scale.
    Raises BadValue for other shapes, MissingExtra without matplotlib.
    """
    import numpy as np

    weights = np.asarray(kernels)
    if weights.ndim == 4 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim != 3 or not weights.size:
        raise BadValue(
            f"cannot draw kernels of shape {weights.shape}; (K, 1, h, w) of one channel, or (K, h, w), would do"
        )
    columns = min(columns, len(weights))
    rows = math.ceil(len(weights) / columns)
    figure = figure_of(0.5 + CELL * rows, CELL * columns)
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    largest = float(np.abs(weights).max()) or 1.0
    places = figure.subplots(rows, columns, squeeze=False)
    for axes, kernel in zip(places.flat, weights, strict=False):
        shown = axes.imshow(
            kernel,
            cmap=_blue_to_orange("white"),
            vmin=-largest,
            vmax=largest,
            interpolation="nearest",
        )
    for axes in places.flat:
        axes.set_axis_off()
    _bar(
        figure,
        shown,
        places,
        [(-largest, "paper"), (0, "0"), (largest, "ink")],
        min(1, 6 / columns),
    )
    return figure


def _bar(
    figure: "Figure", shown: Any, places: Any, meanings: Sequence[tuple[float, str]], length: float
) -> None:
    """What the colours mean, below the axes `places`. length: a share of their width."""
    bar = figure.colorbar(
        shown,
        ax=places,
        location="bottom",
        aspect=45 * length,
        shrink=length,
        fraction=0.05,
        pad=0.03,
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=FONT - 1, labelcolor=MUTED)
    bar.set_ticks([value for value, _ in meanings], labels=[meaning for _, meaning in meanings])


def _blue_to_orange(middle: str) -> "Colormap":
    """Through the colour `middle`, which stands for zero."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "blue to orange", [BLUE, middle, ORANGE], N=257
    )  # odd, so that zero has a colour


def feature_maps(layers: Sequence[Layer], *, most: int = 12) -> "Figure":
    """What each layer makes of one digit: a row a layer, the maps that answer most strongly first, dark where they do.

    layers: from `inside.layers`; those without places, (C, 1, 1), are left out. most: maps a layer. Each row has its own scale.
    Raises BadValue where no layer has places, MissingExtra without matplotlib.
    """
    import numpy as np

    shown = [layer for layer in layers if layer.maps[0].size > 1]
    if not shown:
        raise BadValue("no feature maps: none of the layers has places")
    columns = min(most, max(len(layer.maps) for layer in shown))
    figure = figure_of(CELL * len(shown), 1.35 + CELL * columns)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    ratios = [1.35 / CELL, *[1] * columns]
    for row, layer in zip(
        figure.subplots(len(shown), 1 + columns, squeeze=False, width_ratios=ratios),
        shown,
        strict=True,
    ):
        channels, height, width = layer.maps.shape
        row[0].text(0, 0.62, layer.name, fontsize=FONT, color=INK, va="center")
        row[0].text(
            0, 0.3, f"{channels} x {height} x {width}", fontsize=FONT - 1, color=MUTED, va="center"
        )
        strongest = np.argsort(-layer.maps.max((1, 2)), kind="stable")[:columns]
        highest = max(0.0, float(layer.maps.max())) or 1.0
        for axes, number in zip(row[1:], strongest, strict=False):
            axes.imshow(
                layer.maps[number], cmap="gray_r", vmin=0, vmax=highest, interpolation="nearest"
            )
            _frame(axes)
        for axes in (row[0], *row[1 + len(strongest) :]):
            axes.set_axis_off()
    return figure


def _frame(axes: Any) -> None:
    """A faint edge, so that a map without an answer shows, too."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=GRID, linewidth=0.8)


def what_mattered(
    images: ArrayLike, drops: ArrayLike, captions: Sequence[str] = (), *, columns: int = 5
) -> "Figure":
    """Digits side by side, their strokes coloured by what covering them does to the answer.

    images: uint8 (N, 28, 28), paper 0 to ink 255; drops: float (N, 28, 28), how much the best probability falls, from
    `inside.occluded`; captions: none, or one an image. Orange falls, blue rises; one scale for all.
    Raises BadValue where these do not fit together, MissingExtra without matplotlib.
    """
    import numpy as np

    pictures, falls = np.asarray(images), np.asarray(drops)
    if (
        pictures.ndim != 3
        or not len(pictures)
        or falls.shape != pictures.shape
        or len(captions) not in (0, len(pictures))
    ):
        raise BadValue(
            f"images {pictures.shape}, drops {falls.shape} and {len(captions)} captions are not of the same digits"
        )
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = figure_of(0.5 + rows * (1.3 if captions else 1.1), columns * 1.15)
    largest = float(np.abs(falls).max()) or 1.0
    strength = np.sign(falls) * np.sqrt(np.abs(falls) / largest)  # the root shows weak effects, too
    places, colours = figure.subplots(rows, columns, squeeze=False), _blue_to_orange("#808080")
    for axes in places.flat:
        axes.set_axis_off()
    for place, axes in zip(range(len(pictures)), places.flat, strict=False):
        shown = axes.imshow(
            strength[place],
            colours,
            vmin=-1,
            vmax=1,
            alpha=pictures[place] / 255,
            interpolation="nearest",
        )
        axes.set_title(
            captions[place] if captions else "", fontsize=FONT, color=INK, parse_math=False
        )
    _bar(
        figure,
        shown,
        places,
        [(-1, "surer without it"), (0, "no matter"), (1, "less sure without it")],
        0.72,
    )
    return figure


def embedding(
    points: ArrayLike, labels: ArrayLike, wrong: ArrayLike = (), *, title: str = ""
) -> "Figure":
    """Digits as points of a plane, each written as its label; those that were read wrong are ringed.

    points: float (N, 2), from PCA, t-SNE or the like, whose axes have no unit; labels: integer (N,), 0 to 9; wrong: none, or bool
    (N,). Raises BadValue for other shapes, MissingExtra without matplotlib.
    """
    import numpy as np

    places, known, ringed = np.asarray(points), np.asarray(labels), np.asarray(wrong, bool)
    if places.shape != (len(known), 2) or not len(known) or len(ringed) not in (0, len(known)):
        raise BadValue(
            f"points {places.shape}, labels {known.shape} and wrong {ringed.shape} are not of the same digits"
        )
    figure = figure_of(5.6, 6.2)
    axes = figure.subplots()
    for digit, name in enumerate(DIGITS):
        x, y = places[known == digit].T
        axes.scatter(x, y, POINT, marker=f"${name}$", color=CLASS_COLOURS[digit], linewidths=0.2)
    if ringed.any():
        x, y = places[ringed].T
        axes.scatter(
            x,
            y,
            4 * POINT,
            facecolors="none",
            edgecolors=INK,
            linewidths=1.2,
            label=f"read wrong: {ringed.sum()}",
        )
        figure.legend(loc="outside lower left", frameon=False, fontsize=FONT, labelcolor=INK)
    dress(axes, title, grid="")
    axes.set(xticks=[], yticks=[])
    return figure
