"""Several models, settings or corruptions beside each other -> figures: who is better, by how much, and what it costs.

Each function takes names and numbers and returns a matplotlib Figure of its own, in the style of `style.py`. Measures nothing and
knows nothing of files. Needs the extra `report`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from inkdigits.core.errors import BadValue
from inkdigits.evaluation.plots.style import BLUE, FONT, INK, MUTED, ORANGE, dress, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = ((BLUE, ""), (ORANGE, "////"), (MUTED, "....."))  # colour and hatch of bars side by side
WIDE = 1000  # times: an axis that spans more has room for powers of ten only
LEAST = 0.001  # per cent of errors: an axis of their logarithm ends somewhere
TICKS = (
    50,
    80,
    90,
    95,
    97,
    98,
    98.5,
    99,
    99.2,
    99.4,
    99.6,
    99.7,
    99.8,
    99.9,
)  # per cent, at such an axis
LABEL_GAP = 0.055  # of the height of a frontier, from one name to the next
LABEL_WIDTH = 0.4  # powers of ten that a name takes, or a little more


@dataclass(frozen=True)
class Contender:
    """One model at a frontier. cost: above 0, in the unit of the axis; accuracy, sd: fractions; sd: over runs, None of one."""

    name: str
    cost: float
    accuracy: float
    sd: float | None = None


def frontier(contenders: Sequence[Contender], cost: str) -> "Figure":
    """Accuracy against what it costs, on a logarithmic axis; a line along those that nobody beats at both.

    cost: the axis in words, such as "parameters". Bars are a standard deviation either way.
    Raises BadValue without a contender or for a cost that is not above 0, MissingExtra without matplotlib.
    """
    if not contenders or min(each.cost for each in contenders) <= 0:
        raise BadValue(
            "a frontier takes at least one contender, and costs above 0: its axis is logarithmic"
        )
    figure = figure_of(4.2, 6.4)
    from matplotlib.ticker import LogLocator

    axes = figure.subplots()
    best = unbeaten(contenders)
    axes.plot(*_steps(best), color=BLUE, linewidth=1.2, alpha=0.5, zorder=1)
    for each in contenders:
        colour, marker = (BLUE, "o") if each in best else (MUTED, "s")
        axes.errorbar(
            each.cost,
            100 * each.accuracy,
            100 * (each.sd or 0),
            fmt=marker,
            color=colour,
            markersize=5.5,
            elinewidth=1.2,
        )
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.1)
    dress(axes, "Accuracy (%)", grid="both")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < WIDE * low else (1,)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.minorticks_off()
    axes.set_xlabel(cost, fontsize=FONT, color=MUTED)
    _name(axes, contenders, best)
    return figure


def unbeaten(contenders: Sequence[Contender]) -> list[Contender]:
    """Those for whom no other is both cheaper (or as cheap) and more accurate (or as accurate), the cheapest first."""
    found: list[Contender] = []
    for each in sorted(contenders, key=lambda each: (each.cost, -each.accuracy)):
        if not found or each.accuracy > found[-1].accuracy:
            found.append(each)
    return found


def _steps(best: Sequence[Contender]) -> tuple[list[float], list[float]]:
    """The corners of the stairs that the unbeaten make."""
    x, y = [best[0].cost], [100 * best[0].accuracy]
    for each in best[1:]:
        x += [each.cost, each.cost]
        y += [y[-1], 100 * each.accuracy]
    return x, y


def _name(axes: "Axes", contenders: Sequence[Contender], best: Sequence[Contender]) -> None:
    """Names: of the unbeaten above the stairs, at the left; of the others at the right. Where two would meet, one gives way."""
    low, high = axes.get_ylim()
    gap, taken = LABEL_GAP * (high - low), list[tuple[float, float]]()
    for each in sorted(
        contenders, key=lambda each: each.accuracy
    ):  # so that those above give way upwards
        left = each in best
        x, y = math.log10(each.cost) - LABEL_WIDTH * left, 100 * each.accuracy
        while any(abs(x - other) < LABEL_WIDTH and abs(y - below) < gap for other, below in taken):
            y += gap / 4
        taken.append((x, y))
        text = axes.annotate(
            each.name,
            (each.cost, y),
            (-5, 4) if left else (8, 0),
            textcoords="offset points",
            fontsize=FONT,
        )
        text.set(
            ha="right" if left else "left",
            va="bottom" if left else "center",
            color=INK if left else MUTED,
            parse_math=False,
        )


def rungs(
    names: Sequence[str], accuracies: Sequence[Sequence[float]], notes: Sequence[str] = ()
) -> "Figure":
    """Accuracy of one setting below another: a dot a run, mean and standard deviation of several, a line down from the first mean.

    The axis is logarithmic in the errors: to halve them is as far at 98 % as at 99.5 %.

    accuracies: of each setting, fractions, one a run, at least one; notes: none, or what to write at the right of each line.
    Raises BadValue where there is nothing to draw, MissingExtra without matplotlib.
    """
    if (
        not names
        or len(accuracies) != len(names)
        or not all(accuracies)
        or len(notes) not in (0, len(names))
    ):
        raise BadValue(
            f"{len(names)} settings need as many lists of accuracies, none of them empty; got {len(accuracies)}"
        )
    figure = figure_of(1.0 + 0.34 * len(names), 7.2)
    axes = figure.subplots()
    for place, values in enumerate(accuracies):
        runs = [100 * value for value in values]
        axes.plot(
            runs, [place] * len(runs), "o", color=MUTED, markersize=4, alpha=0.6, markeredgewidth=0
        )
        spread = stdev(runs) if len(runs) > 1 else 0
        axes.errorbar(
            fmean(runs), place, xerr=spread, fmt="D", color=BLUE, markersize=5.5, elinewidth=1.8
        )
    axes.axvline(100 * fmean(accuracies[0]), color=MUTED, linewidth=1, linestyle=":", zorder=1)
    dress(axes, "Accuracy (%): runs, mean and standard deviation", grid="x")
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
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


def _scale_by_errors(axes: "Axes") -> None:
    """Per cent of accuracy from left to right, spaced by the logarithm of what is missing from 100; 99.999 and more are one."""
    import numpy as np

    low, high = axes.get_xlim()
    axes.set_xscale(
        "function",
        functions=(
            lambda x: -np.log10(np.maximum(100 - x, LEAST)),
            lambda y: 100 - 10.0 ** -np.asarray(y),
        ),
    )
    axes.set_xlim(low, min(high, 100 - LEAST))
    shown = [tick for tick in TICKS if low <= tick <= high]
    if len(shown) > 2:  # else what matplotlib finds will do
        axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    else:
        axes.ticklabel_format(axis="x", useOffset=False)


def corruption_bars(accuracies: Mapping[str, Mapping[str, float]]) -> "Figure":
    """How well models read through corruptions: a bar each, the corruption that costs most at the bottom.

    accuracies: model -> corruption -> a fraction; one to three models, the same corruptions for each. Sorted by the models' mean.
    Raises BadValue for anything else, MissingExtra without matplotlib.
    """
    models = list(accuracies.values())
    if (
        not 1 <= len(models) <= len(SERIES)
        or any(model.keys() != models[0].keys() for model in models)
        or not models[0]
    ):
        raise BadValue(
            f"bars are of 1 to {len(SERIES)} models on the same corruptions, at least one"
        )
    names = sorted(models[0], key=lambda name: -fmean(model[name] for model in models))
    figure = figure_of(1.0 + (0.13 + 0.11 * len(models)) * len(names), 6.4)
    axes = figure.subplots()
    height = 0.8 / len(models)
    for number, ((model, values), (colour, hatch)) in enumerate(
        zip(accuracies.items(), SERIES, strict=False)
    ):
        places = [place + (number - (len(models) - 1) / 2) * height for place in range(len(names))]
        lengths = [100 * values[name] for name in names]
        bars = axes.barh(
            places,
            lengths,
            0.88 * height,
            color=colour,
            label=model,
            edgecolor="white",
            linewidth=0,
            hatch=hatch,
        )
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=FONT - 2, color=INK)
    dress(axes, "Accuracy (%) through each corruption", grid="x")
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], parse_math=False)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set(xlim=(0, 105), ylim=(len(names) - 0.4, -0.6))
    if len(models) > 1:
        figure.legend(
            loc="outside lower center",
            ncols=len(models),
            frameon=False,
            fontsize=FONT,
            labelcolor=INK,
        )
    return figure
