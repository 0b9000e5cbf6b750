"""Several models, settings or corruptions in, a figure that compares them out.

Each function takes names and numbers and returns a matplotlib Figure of its own, in the style of
`style`. Needs the extra `report`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np

from inkdigits.core.errors import BadValue
from inkdigits.evaluation.plots.style import (
    BLUE,
    FONT,
    INK,
    MUTED,
    ORANGE,
    add_legend,
    dress,
    figure_of,
    label_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR_STYLES = ((BLUE, ""), (ORANGE, "////"), (MUTED, "....."))  # colour and hatch, side by side
WIDE_RANGE = 1000  # an axis that spans more than this factor has room for powers of ten only
LEAST_ERRORS = 0.001  # per cent: an axis of their logarithm ends somewhere
LABEL_GAP = 0.055  # of the height of a frontier, from one name to the next
LABEL_WIDTH = 0.4  # powers of ten that a name takes, or a little more

# Per cent of accuracy, on an axis that is logarithmic in the errors.
TICKS = (50, 80, 90, 95, 97, 98, 98.5, 99, 99.2, 99.4, 99.6, 99.7, 99.8, 99.9)


@dataclass(frozen=True)
class Contender:
    """One model at a frontier.

    Attributes:
        name: beside its point.
        cost: above 0, in the unit of the axis.
        accuracy: a fraction.
        sd: the standard deviation of the accuracy over runs, a fraction; None of a single run.
    """

    name: str
    cost: float
    accuracy: float
    sd: float | None = None


def frontier(contenders: Sequence[Contender], cost: str) -> "Figure":
    """Draw accuracy against cost on a logarithmic axis, with a line along the unbeaten contenders.

    Bars are a standard deviation either way.

    Args:
        contenders: one or more.
        cost: the axis in words, such as "parameters".

    Raises:
        BadValue: there is no contender, or a cost is not above 0.
        MissingExtra: matplotlib is not installed.
    """
    if not contenders or min(each.cost for each in contenders) <= 0:
        raise BadValue(
            "a frontier takes at least one contender, and costs above 0: its axis is logarithmic"
        )

    figure = figure_of(4.2, 6.4)
    from matplotlib.ticker import LogLocator

    axes = figure.subplots()
    best = unbeaten(contenders)
    costs, shares = zip(*[(each.cost, 100 * each.accuracy) for each in best], strict=True)
    axes.step(costs, shares, where="post", color=BLUE, linewidth=1.2, alpha=0.5, zorder=1)
    for each in contenders:
        colour, marker = (BLUE, "o") if each in best else (MUTED, "s")
        sd = 100 * (each.sd or 0)
        axes.errorbar(
            each.cost,
            100 * each.accuracy,
            sd,
            fmt=marker,
            color=colour,
            markersize=5.5,
            elinewidth=1.2,
        )

    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.1)
    dress(axes, "Accuracy (%)", grid="both")
    low, high = axes.get_xlim()
    ticks = (1, 3) if high < WIDE_RANGE * low else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=ticks))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.minorticks_off()
    label_axes(axes, cost)
    _write_names(axes, contenders, best)
    return figure


def unbeaten(contenders: Sequence[Contender]) -> list[Contender]:
    """List the contenders that no other beats in both accuracy and cost, the cheapest first."""
    found: list[Contender] = []
    for each in sorted(contenders, key=lambda each: (each.cost, -each.accuracy)):
        if not found or each.accuracy > found[-1].accuracy:
            found.append(each)

    return found


def _write_names(axes: "Axes", contenders: Sequence[Contender], best: Sequence[Contender]) -> None:
    """Write the names: of the unbeaten above the stairs at the left, of the others at the right.

    Where two would meet, the upper one gives way upwards.
    """
    low, high = axes.get_ylim()
    gap = LABEL_GAP * (high - low)
    taken = list[tuple[float, float]]()

    for each in sorted(contenders, key=lambda each: each.accuracy):
        left = each in best
        x = math.log10(each.cost) - LABEL_WIDTH * left
        y = 100 * each.accuracy
        while any(abs(x - other) < LABEL_WIDTH and abs(y - below) < gap for other, below in taken):
            y += gap / 4
        taken.append((x, y))

        if left:
            offset, ha, va, colour = (-5, 4), "right", "bottom", INK
        else:
            offset, ha, va, colour = (8, 0), "left", "center", MUTED
        place = each.cost, y
        text = axes.annotate(
            each.name, place, offset, textcoords="offset points", fontsize=FONT, ha=ha, va=va
        )
        text.set(color=colour, parse_math=False)


def rungs(
    names: Sequence[str], accuracies: Sequence[Sequence[float]], notes: Sequence[str] = ()
) -> "Figure":
    """Draw the accuracy of one setting below another.

    There is a dot a run, the mean and standard deviation of several, and a line down from the first
    mean. The axis is logarithmic in the errors: to halve them is as far at 98 % as at 99.5 %.

    Args:
        names: of the settings.
        accuracies: fractions, one a run, one or more for each setting.
        notes: none, or what to write at the right of each line.

    Raises:
        BadValue: there is nothing to draw, or the arguments have different lengths.
        MissingExtra: matplotlib is not installed.
    """
    count = len(names)
    fits = len(accuracies) == count and len(notes) in (0, count)
    if not (count and fits and all(accuracies)):
        raise BadValue(
            f"{count} settings need as many lists of accuracies, none of them empty; "
            f"got {len(accuracies)}"
        )

    figure = figure_of(1.0 + 0.34 * count, 7.2)
    axes = figure.subplots()
    for place, values in enumerate(accuracies):
        runs = [100 * value for value in values]
        spread = stdev(runs) if len(runs) > 1 else 0
        same_row = [place] * len(runs)
        axes.plot(runs, same_row, "o", color=MUTED, markersize=4, alpha=0.6, markeredgewidth=0)
        axes.errorbar(
            fmean(runs), place, xerr=spread, fmt="D", color=BLUE, markersize=5.5, elinewidth=1.8
        )

    first_mean = 100 * fmean(accuracies[0])
    axes.axvline(first_mean, color=MUTED, linewidth=1, linestyle=":", zorder=1)
    dress(axes, "Accuracy (%): runs, mean and standard deviation", grid="x")
    _name_rows(axes, names)
    axes.set_ylim(count - 0.5, -0.5)
    _scale_by_errors(axes)

    for place, note in enumerate(notes):
        axes.annotate(
            note,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=FONT,
            color=MUTED,
            parse_math=False,
        )
    return figure


def _name_rows(axes: "Axes", names: Sequence[str]) -> None:
    """Write a name at the left of each row."""
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.tick_params(axis="y", labelcolor=INK)


def _scale_by_errors(axes: "Axes") -> None:
    """Space per cents of accuracy by the logarithm of what is missing from 100."""
    low, high = axes.get_xlim()
    to_axis = lambda x: -np.log10(np.maximum(100 - x, LEAST_ERRORS))  # noqa: E731
    from_axis = lambda y: 100 - 10.0 ** -np.asarray(y)  # noqa: E731
    axes.set_xscale("function", functions=(to_axis, from_axis))
    axes.set_xlim(low, min(high, 100 - LEAST_ERRORS))

    shown = [tick for tick in TICKS if low <= tick <= high]
    if len(shown) > 2:
        axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    else:  # what matplotlib finds will do
        axes.ticklabel_format(axis="x", useOffset=False)


def corruption_bars(accuracies: Mapping[str, Mapping[str, float]]) -> "Figure":
    """Draw how well models read through corruptions: a bar each, the costliest at the bottom.

    Corruptions are sorted by the models' mean.

    Args:
        accuracies: model -> corruption -> a fraction, of one to three models, with the same
            corruptions for each.

    Raises:
        BadValue: there are no or too many models, or their corruptions differ.
        MissingExtra: matplotlib is not installed.
    """
    models = list(accuracies.values())
    count = len(models)
    if not 1 <= count <= len(BAR_STYLES) or not _share_corruptions(models):
        raise BadValue(
            f"bars are of 1 to {len(BAR_STYLES)} models on the same corruptions, at least one"
        )

    names = sorted(models[0], key=lambda name: -fmean(model[name] for model in models))
    figure = figure_of(1.0 + (0.13 + 0.11 * count) * len(names), 6.4)
    axes = figure.subplots()

    height = 0.8 / count
    first = (1 - count) / 2 * height
    for number, (model, values) in enumerate(accuracies.items()):
        colour, hatch = BAR_STYLES[number]
        bars = axes.barh(
            np.arange(len(names)) + first + number * height,
            [100 * values[name] for name in names],
            0.88 * height,
            color=colour,
            label=model,
            edgecolor="white",
            linewidth=0,
            hatch=hatch,
        )
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=FONT - 2, color=INK)

    dress(axes, "Accuracy (%) through each corruption", grid="x")
    _name_rows(axes, [name.replace("_", " ") for name in names])
    axes.set(xlim=(0, 105), ylim=(len(names) - 0.4, -0.6))
    if count > 1:
        add_legend(figure, loc="outside lower center", ncols=count)
    return figure


def _share_corruptions(models: Sequence[Mapping[str, float]]) -> bool:
    """Tell whether all models have been measured on the same corruptions, at least one."""
    return bool(models[0]) and all(model.keys() == models[0].keys() for model in models)
