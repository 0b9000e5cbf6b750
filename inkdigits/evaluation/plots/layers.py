"""A network's inside and what it makes of digits in, figures out.

Kernels, feature maps, what mattered to the answer, embeddings. Each function takes arrays, or the
layers that `reading.layers` gives, and returns a matplotlib Figure of its own, in the style of
`style`. Needs the extra `report`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue
from inkdigits.evaluation.plots.style import (
    BLUE,
    FONT,
    GRID,
    INK,
    MUTED,
    ORANGE,
    add_legend,
    dress,
    figure_of,
    grid_of,
    show_map,
    write_captions,
)
from inkdigits.reading.layers import Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Okabe and Ito's eight, with yellow darkened until it shows on white, and two more. Each class is
# also written as its digit.
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
MAP_SIZE = 0.62  # inches: a map or kernel
NAME_WIDTH = 1.35  # inches: the name of a layer
POINT_AREA = 40  # square points: a digit in an embedding


def filters(kernels: ArrayLike, *, columns: int = 16) -> "Figure":
    """Draw the kernels of a first layer, all on one scale.

    They are orange where they look for ink, blue where they look for paper, and white where they
    do not care.

    Args:
        kernels: (K, 1, h, w) floats, as a convolution on one channel holds them, or (K, h, w).
        columns: the most kernels in a row.

    Raises:
        BadValue: the kernels have another shape.
        MissingExtra: matplotlib is not installed.
    """
    weights = np.asarray(kernels)
    if weights.ndim == 4 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim != 3 or not weights.size:
        raise BadValue(
            f"cannot draw kernels of shape {weights.shape}; "
            "expected (K, 1, h, w) of one channel, or (K, h, w)"
        )

    figure, places = grid_of(len(weights), columns, MAP_SIZE, MAP_SIZE, below=0.5)
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)

    largest = float(np.abs(weights).max()) or 1.0
    colours = _blue_to_orange("white")
    for axes, kernel in zip(places.flat, weights, strict=False):
        shown = axes.imshow(
            kernel, interpolation="nearest", cmap=colours, vmin=-largest, vmax=largest
        )

    meanings = {-largest: "paper", 0: "0", largest: "ink"}
    _explain_colours(figure, shown, places, meanings, min(1, 6 / places.shape[1]))
    return figure


def _explain_colours(
    figure: "Figure", shown: Any, places: Any, meanings: Mapping[Any, str], length: float
) -> None:
    """Draw a bar below the axes `places` that says what the colours mean.

    Args:
        figure: to draw in.
        shown: an image with these colours.
        places: the axes above the bar.
        meanings: what to write at values of the image.
        length: a share of the width of the axes, 0 to 1.
    """
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
    bar.set_ticks(list(meanings), labels=list(meanings.values()))


def _blue_to_orange(middle: str) -> "Colormap":
    """Make a scale of colours through `middle`, which stands for zero."""
    from matplotlib.colors import LinearSegmentedColormap

    # An odd number, so that zero has a colour.
    return LinearSegmentedColormap.from_list("blue to orange", [BLUE, middle, ORANGE], N=257)


def feature_maps(layers: Sequence[Layer], *, most: int = 12) -> "Figure":
    """Draw what each layer makes of one digit: a row a layer, the strongest maps first.

    Maps are dark where they answer. Each row has a scale of its own.

    Args:
        layers: from `reading.layers`; those without places, (C, 1, 1), are left out.
        most: maps of a layer.

    Raises:
        BadValue: no layer has places.
        MissingExtra: matplotlib is not installed.
    """
    shown = [layer for layer in layers if layer.maps[0].size > 1]
    if not shown:
        raise BadValue("no feature maps: none of the layers has places")

    columns = min(most, max(len(layer.maps) for layer in shown))
    figure = figure_of(MAP_SIZE * len(shown), NAME_WIDTH + MAP_SIZE * columns)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    ratios = [NAME_WIDTH / MAP_SIZE, *[1] * columns]
    rows = figure.subplots(len(shown), 1 + columns, squeeze=False, width_ratios=ratios)
    for row, layer in zip(rows, shown, strict=True):
        _draw_layer(row, layer)

    return figure


def _draw_layer(row: Sequence["Axes"], layer: Layer) -> None:
    """Draw the name of a layer, and its strongest maps beside it."""
    name, *places = row
    size = " x ".join(map(str, layer.maps.shape))
    name.text(0, 0.62, layer.name, fontsize=FONT, color=INK, va="center")
    name.text(0, 0.3, size, fontsize=FONT - 1, color=MUTED, va="center")
    name.set_axis_off()

    strongest = np.argsort(-layer.maps.max((1, 2)), kind="stable")[: len(places)]
    highest = max(0.0, float(layer.maps.max())) or 1.0
    for axes, number in zip(places, strongest, strict=False):
        show_map(axes, layer.maps[number], highest)
        # A faint edge, so that a map without an answer shows, too.
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=GRID, linewidth=0.8)
    for axes in places[len(strongest) :]:
        axes.set_axis_off()


def what_mattered(
    images: ArrayLike, drops: ArrayLike, captions: Sequence[str] = (), *, columns: int = 5
) -> "Figure":
    """Draw digits, their strokes coloured by what covering them does to the answer.

    Covering an orange stroke makes the answer less sure, covering a blue one makes it surer. All
    digits have one scale.

    Args:
        images: uint8 (N, 28, 28), paper 0 to ink 255.
        drops: (N, 28, 28) floats, how much the best probability falls, from
            `reading.layers.occluded`.
        captions: none, or one an image.
        columns: the most digits in a row.

    Raises:
        BadValue: the arguments do not fit together.
        MissingExtra: matplotlib is not installed.
    """
    pictures = np.asarray(images)
    falls = np.asarray(drops)
    count = len(pictures) if pictures.ndim == 3 else 0
    if not count or falls.shape != pictures.shape or len(captions) not in (0, count):
        raise BadValue(
            f"images {pictures.shape}, drops {falls.shape} and {len(captions)} captions "
            "are not of the same digits"
        )

    height = 1.3 if captions else 1.1
    figure, places = grid_of(count, columns, height, 1.15, below=0.5)
    write_captions(places, captions)

    # The root shows weak effects, too.
    largest = float(np.abs(falls).max()) or 1.0
    strength = np.sign(falls) * np.sqrt(np.abs(falls) / largest)
    colours = _blue_to_orange("#808080")
    for axes, values, picture in zip(places.flat, strength, pictures, strict=False):
        opacity = picture / 255
        shown = axes.imshow(
            values, alpha=opacity, interpolation="nearest", cmap=colours, vmin=-1, vmax=1
        )

    meanings = {-1: "surer without it", 0: "no matter", 1: "less sure without it"}
    _explain_colours(figure, shown, places, meanings, 0.72)
    return figure


def embedding(
    points: ArrayLike, labels: ArrayLike, wrong: ArrayLike = (), *, title: str = ""
) -> "Figure":
    """Draw digits as points of a plane, each written as its label; errors are ringed.

    Args:
        points: (N, 2) floats, from PCA, t-SNE or the like, whose axes have no unit.
        labels: (N,) integers, 0 to 9.
        wrong: none, or (N,) bool, which digits were read wrong.
        title: above the figure.

    Raises:
        BadValue: the arguments do not fit together.
        MissingExtra: matplotlib is not installed.
    """
    places = np.asarray(points)
    known = np.asarray(labels)
    ringed = np.asarray(wrong, bool)
    count = len(known)
    if not count or places.shape != (count, 2) or len(ringed) not in (0, count):
        raise BadValue(
            f"points {places.shape}, labels {known.shape} and wrong {ringed.shape} "
            "are not of the same digits"
        )

    figure = figure_of(5.6, 6.2)
    axes = figure.subplots()
    for digit, name in enumerate(DIGITS):
        colour = CLASS_COLOURS[digit]
        x, y = places[known == digit].T
        axes.scatter(x, y, POINT_AREA, marker=f"${name}$", color=colour, linewidths=0.2)

    if ringed.any():
        x, y = places[ringed].T
        axes.scatter(
            x,
            y,
            4 * POINT_AREA,
            facecolors="none",
            edgecolors=INK,
            linewidths=1.2,
            label=f"read wrong: {ringed.sum()}",
        )
        add_legend(figure, loc="outside lower left")

    dress(axes, title, grid="")
    axes.set(xticks=[], yticks=[])
    return figure
