"""Digits in, figures that show them out: side by side, those read wrong, or pixel by pixel.

Needs the extra `report`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from inkdigits.core.errors import BadValue
from inkdigits.evaluation.metrics import errors
from inkdigits.evaluation.plots.style import (
    BLUE,
    FONT,
    GRID,
    INK,
    ORANGE,
    add_legend,
    dress,
    figure_of,
    grid_of,
    show_map,
    write_captions,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DARK_PIXEL = 120  # numbers are white from this value on


def digit_grid(images: ArrayLike, captions: Sequence[str] = (), *, columns: int = 8) -> "Figure":
    """Draw images side by side, dark ink on light paper, each with its caption below.

    Args:
        images: uint8 (N, 28, 28), paper 0 to ink 255.
        captions: none, or one an image.
        columns: the most images in a row.

    Raises:
        BadValue: the arguments have other shapes.
        MissingExtra: matplotlib is not installed.
    """
    pictures = np.asarray(images)
    count = len(pictures) if pictures.ndim == 3 else 0
    if not count or len(captions) not in (0, count):
        arrived = f"{len(captions)} captions on images of shape {pictures.shape}"
        raise BadValue(f"cannot draw {arrived}; expected (N, 28, 28), and none or N captions")

    height = 1.15 if captions else 0.95
    figure, places = grid_of(count, columns, height, 0.95)
    for axes, picture in zip(places.flat, pictures, strict=False):
        show_map(axes, picture, 255)

    write_captions(places, captions, y=-0.28)
    return figure


def error_gallery(
    images: ArrayLike,
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    most: int = 24,
    columns: int = 8,
) -> "Figure":
    """Draw the digits that were read wrong, the surest first, as "label → read  confidence".

    Args:
        images: uint8 (N, 28, 28), paper 0 to ink 255.
        labels: (N,) integers.
        probabilities: (N, 10) floats.
        most: how many to draw.
        columns: the most images in a row.

    Raises:
        BadValue: nothing was read wrong, or the arguments do not fit together.
        MissingExtra: matplotlib is not installed.
    """
    pictures = np.asarray(images)
    known = np.asarray(labels)
    said = np.asarray(probabilities)

    wrong = errors(said, known)[:most]
    if not len(wrong):
        raise BadValue("no error gallery: everything was read right")

    captions = [f"{known[i]} → {said[i].argmax()}  {said[i].max():.0%}" for i in wrong]
    return digit_grid(pictures[wrong], captions, columns=columns)


def pixel_values(image: ArrayLike) -> "Figure":
    """Draw one image as a network gets it: a number a pixel.

    The bounding box of the ink and its centre of mass are marked. Coordinates count from the left
    and upper edges of the image.

    Args:
        image: uint8 (28, 28), paper 0 to ink 255, not blank.

    Raises:
        BadValue: the image has another shape, or no ink.
        MissingExtra: matplotlib is not installed.
    """
    pixels = np.asarray(image)
    if pixels.ndim != 2 or not pixels.any():
        raise BadValue(
            f"cannot draw the pixels of an image of shape {pixels.shape} without ink; "
            "expected one digit (28, 28)"
        )

    height, width = pixels.shape
    figure = figure_of(6.4, 5.8)
    axes = figure.subplots()
    show_map(axes, pixels, 255, extent=(0, width, height, 0))

    size = FONT - 4.3
    for (row, column), value in np.ndenumerate(pixels):
        colour = INK if 0 < value < DARK_PIXEL else "white" if value else GRID
        place = column + 0.5, row + 0.52
        axes.text(*place, str(value), ha="center", va="center", fontsize=size, color=colour)

    _mark_box_and_mass(axes, pixels)
    dress(axes, "", grid="")
    axes.set_xticks(range(0, width + 1, 4))
    axes.set_yticks(range(0, height + 1, 4))
    add_legend(figure, loc="outside lower center", ncols=2)
    return figure


def _mark_box_and_mass(axes: "Axes", pixels: Any) -> None:
    """Draw the bounding box of the ink, and a cross at its centre of mass."""
    from matplotlib.patches import Rectangle

    rows, columns = pixels.nonzero()
    left = columns.min()
    top = rows.min()
    width = 1 + columns.max() - left
    height = 1 + rows.max() - top
    label = f"tight box: {width} x {height} pixels"
    corner = left, top
    axes.add_patch(
        Rectangle(corner, width, height, fill=False, edgecolor=BLUE, linewidth=1.8, label=label)
    )

    shares = pixels[rows, columns] / pixels.sum()
    x = (columns + 0.5) @ shares
    y = (rows + 0.5) @ shares
    label = f"centre of mass: {x:.1f}, {y:.1f}"
    axes.plot(
        [x],
        [y],
        "P",
        color=ORANGE,
        markeredgecolor="white",
        markersize=11,
        linestyle="",
        label=label,
    )
