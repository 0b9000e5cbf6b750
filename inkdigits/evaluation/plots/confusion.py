"""An Evaluation in, a drawing of its confusion matrix out."""

from collections.abc import Sequence

import numpy as np

from inkdigits.core.digits import DIGITS
from inkdigits.evaluation.metrics import Evaluation
from inkdigits.evaluation.plots.drawing import Bar, Drawing, Panel, Shape, Words
from inkdigits.evaluation.plots.style import FONT, GRID, INK, MUTED, ORANGE

# Opacity of the rarest and of the commonest confusion; ink stays readable on both.
FAINTEST = 0.15
STRONGEST = 0.65
LONGEST_NAME = 14  # characters of a class's name: more would leave no room for the matrix


def confusion_matrix(evaluation: Evaluation, classes: Sequence[str] = DIGITS) -> Drawing:
    """Draw what was read (columns) for each label (rows), as counts.

    Errors are coloured by their share of the row's images, so that they show although nearly all
    images are on the diagonal.

    Args:
        evaluation: the figures.
        classes: the names of the ten classes.
    """
    counts = np.array(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    strength = np.sqrt(shares / (shares.max() or 1))
    opacity = FAINTEST + (STRONGEST - FAINTEST) * strength

    shapes = list[Shape]()
    for (label, read), count in np.ndenumerate(counts):
        if label == read:
            shapes += _cell(label, read, count, GRID, 0.6, MUTED)
        elif count:
            shapes += _cell(label, read, count, ORANGE, opacity[label, read], INK)

    names = [(float(place), _shortened(name)) for place, name in enumerate(classes)]
    panel = Panel(
        "",
        (-0.5, 9.5),
        (9.5, -0.5),
        shapes,
        x_ticks=names,
        y_ticks=names,
        grid="",
        x_label="read as",
        y_label="label",
        height=None,
        slanted=max(len(name) for _, name in names) > 3,
    )
    return Drawing((panel,))


def _shortened(name: str) -> str:
    """Cut a name that is too long."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _cell(
    label: int, read: int, count: int, colour: str, opacity: float, ink: str
) -> tuple[Bar, Words]:
    """Draw one count on its coloured square."""
    square = Bar((read - 0.47, read + 0.47), (label - 0.47, label + 0.47), colour, float(opacity))
    text = f"{count:,}"
    return square, Words(read, label, text, ink, min(FONT, 40 / len(text)), shift=(0, 3.3))
