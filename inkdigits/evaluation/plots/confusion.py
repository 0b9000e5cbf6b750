"""An Evaluation in, a drawing of its confusion matrix out. Needs the extra `report`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inkdigits.core.digits import CLASSES, DIGITS
from inkdigits.evaluation.metrics import Evaluation
from inkdigits.evaluation.plots.style import (
    FIGURE_WIDTH,
    FONT,
    GRID,
    INK,
    MUTED,
    ORANGE,
    dress,
    figure_of,
    label_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Opacity of the rarest and of the commonest confusion; ink stays readable on both.
FAINTEST = 0.15
STRONGEST = 0.65
LONGEST_NAME = 14  # characters of a class's name: more would leave no room for the matrix


def confusion_matrix(evaluation: Evaluation, classes: Sequence[str] = DIGITS) -> "Figure":
    """Draw what was read (columns) for each label (rows), as counts.

    Errors are coloured by their share of the row's images, so that they show although nearly all
    images are on the diagonal.

    Args:
        evaluation: the figures.
        classes: the names of the ten classes.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure = figure_of(FIGURE_WIDTH)
    axes = figure.subplots()

    counts = np.array(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    strength = np.sqrt(shares / (shares.max() or 1))
    opacity = FAINTEST + (STRONGEST - FAINTEST) * strength
    for (label, read), count in np.ndenumerate(counts):
        if label == read:
            _cell(axes, label, read, count, GRID, 0.6, MUTED)
        elif count:
            _cell(axes, label, read, count, ORANGE, opacity[label, read], INK)

    dress(axes, "", grid="")
    axes.set(xlim=(-0.5, 9.5), ylim=(9.5, -0.5), aspect="equal")
    names = [_shortened(name) for name in classes]
    slanted = max(map(len, names)) > 3
    axes.set_xticks(range(CLASSES), names, rotation=55 if slanted else 0, parse_math=False)
    axes.set_yticks(range(CLASSES), names, parse_math=False)
    label_axes(axes, "read as", "label")
    return figure


def _shortened(name: str) -> str:
    """Cut a name that is too long."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _cell(
    axes: "Axes", label: int, read: int, count: int, colour: str, opacity: float, ink: str
) -> None:
    """Draw one count on its coloured square."""
    from matplotlib.patches import Rectangle

    corner = read - 0.47, label - 0.47
    axes.add_patch(Rectangle(corner, 0.94, 0.94, facecolor=colour, alpha=opacity, linewidth=0))

    text = f"{count:,}"
    size = min(FONT, 40 / len(text))
    axes.text(read, label, text, ha="center", va="center", color=ink, fontsize=size)
