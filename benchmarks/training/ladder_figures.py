"""What the ladder's trainings amount to: statistics, ratios, tables in Markdown, and the figure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.common import ratios as divided
from benchmarks.common import spread, table
from benchmarks.training.ladder_workers import Contender, Outcome
from inkdigits.evaluation.plots.style import BLUE, FONT, GRID, INK, MUTED, ORANGE, dress, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = (90, 95, 97, 98, 98.5, 99, 99.3, 99.5, 99.7, 99.8)  # per cent
LINE = 0.042  # height of a name, as a share of the figure's


@dataclass(frozen=True)
class Accuracies:
    """Accuracies of several seeds, fractions; at least one."""

    values: Sequence[float]

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Return the standard deviation of one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def error(self) -> float | None:
        """Return the standard error of the mean."""
        return None if self.deviation is None else self.deviation / math.sqrt(len(self.values))

    def share_from(self, mark: float) -> float:
        """Return the share of seeds at or above the mark.

        They are counted in whole digits of 10,000, as 0.99 is no binary number.
        """
        return statistics.fmean(round(1e4 * value) >= round(1e4 * mark) for value in self.values)


@dataclass
class Row:
    """A contender's results: accuracies by seed, and timed rounds."""

    contender: Contender
    runs: Mapping[str, Outcome] = field(default_factory=dict)
    rounds: list[Outcome] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Return the seconds of each timed round."""
        return [outcome.seconds for outcome in self.rounds]

    @property
    def median(self) -> float:
        """Return the median of the timed rounds."""
        return statistics.median(self.seconds)

    def accuracies(self, split: str) -> Accuracies | None:
        """Return accuracies on a split, of the timed rounds where no seeds were trained for it."""
        runs = list(self.runs.values()) or self.rounds
        values = [getattr(run, split) for run in runs]
        found = [value for value in values if value is not None]
        return Accuracies(found) if found else None

    @property
    def accuracy(self) -> float | None:
        """Return the accuracy that was measured, else the published one."""
        measured = self.accuracies("test")
        return measured.mean if measured else self.contender.published


def mark_of(name: str) -> float | None:
    """Return the mark in a recipe's name: 0.993 for fast-99.3."""
    try:
        return float(name.removeprefix("fast-")) / 100
    except ValueError:
        return None


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction in per cent, nothing for None."""
    return "" if value is None else f"{100 * value:.{digits}f}"


def short(seconds: float) -> str:
    """Return seconds with three digits or so."""
    if seconds < 10:
        return f"{seconds:.2f}"

    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def time_table(rows: Sequence[Row]) -> list[str]:
    """Return seconds and accuracy of everyone, the fastest first."""
    timed = sorted((row for row in rows if row.rounds), key=lambda row: row.median)
    head = ("", "s, median (range)", "rounds", "with compiling, s", "test accuracy, %", "seeds")
    return table(head, map(_time_row, timed))


def _time_row(row: Row) -> list[object]:
    contender = row.contender
    first = row.rounds[0]
    compiled = short(row.median + first.compiling) if first.compiling else ""
    accuracy = f"{percent(contender.published)} published" if contender.published else ""
    measured = row.accuracies("test")
    if measured:
        accuracy = percent(measured.mean)
        if measured.deviation is not None:
            accuracy += f" ± {percent(measured.deviation)}"

    return [
        _name_with_notes(row),
        f"{short(row.median)} ({short(min(row.seconds))}-{short(max(row.seconds))})",
        len(row.rounds),
        compiled,
        accuracy,
        len(measured.values) if measured else "",
    ]


def _name_with_notes(row: Row) -> str:
    name = row.contender.name
    part = min(each.part for each in row.rounds)
    notes = [f"{100 * part:.2g} % of it timed"] if part < 1 else []
    notes += filter(None, [row.rounds[0].note])
    name = f"**{name}**" if row.contender.is_ours else name
    return f"{name} ({'; '.join(notes)})" if notes else name


def seeds_table(rows: Sequence[Row]) -> list[str]:
    """Return what the recipes of the ladder reach, seed by seed."""
    found = []
    for row in rows:
        test = row.accuracies("test")
        validation = row.accuracies("validation")
        if not row.contender.is_ours or test is None or validation is None:
            continue

        mark = mark_of(row.contender.name)
        above = "" if mark is None else f"{100 * test.share_from(mark):.0f} %"
        figures = [percent(value, 3) for value in (test.mean, test.deviation, test.error)]
        name = f"`{row.contender.name}`"
        found.append([name, len(test.values), *figures, above, percent(validation.mean, 3)])

    head = ("recipe", "seeds", "test, mean", "sd", "standard error")
    return table([*head, "seeds at or above the mark", "validation, mean"], found)


def ratios(rows: Sequence[Row], pairs: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return how many times as long opponents take, round by round.

    Of several manners of an opponent the fastest counts.
    """
    by_name = {row.contender.name: row for row in rows if row.rounds}
    found = []
    for ours, theirs in pairs:
        there = [by_name[name] for name in theirs if name in by_name]
        if ours in by_name and there:
            best = min(there, key=lambda row: row.median)
            values = divided(best.seconds, by_name[ours].seconds)
            fastest = ", the fastest of its manners" if len(theirs) > 1 else ""
            name = best.contender.name + fastest
            found.append((f"`{ours}`", name, spread(values, ".1f"), len(values)))

    head = ("", "against", "times as fast, median (range)", "rounds")
    return table(head, found) if found else []


def figure(rows: Sequence[Row]) -> "Figure":
    """Draw accuracy against seconds, both logarithmic: accuracy in the errors that are left."""
    import numpy as np

    shown = sorted((row for row in rows if row.rounds and row.accuracy), key=lambda row: row.median)
    drawing = figure_of(4.8, 7.2)
    axes = drawing.subplots()
    axes.set_xscale("log")
    to_errors = (
        lambda y: -np.log10(np.maximum(100 - y, 1e-3)),
        lambda z: 100 - 10.0 ** -np.asarray(z),
    )
    axes.set_yscale("function", functions=to_errors)
    for row in shown:
        draw_point(axes, row)

    own = [row for row in shown if row.contender.is_ours]
    seconds = [row.median for row in own]
    axes.plot(seconds, list(map(_height, own)), color=BLUE, linewidth=1.2, alpha=0.5, zorder=1)
    axes.margins(x=0.16, y=0.08)
    dress(axes, "Test accuracy (%) against seconds of training", grid="both")
    low, high = axes.get_ylim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.minorticks_off()
    text = "seconds, logarithmic; hollow: accuracy as published, not measured"
    axes.set_xlabel(text, fontsize=FONT, color=MUTED)
    drawing.draw_without_rendering()  # so that the places of the points are known
    write_names(axes, shown)
    return drawing


def draw_point(axes: Any, row: Row) -> None:
    """Draw a contender with the range of its times and the deviation of its accuracy."""
    measured = row.accuracies("test")
    deviation = measured.deviation if measured else None
    colour, marker = (BLUE, "o") if row.contender.is_ours else (ORANGE, "s")
    across = [[row.median - min(row.seconds)], [max(row.seconds) - row.median]]
    style = {"color": colour, "mfc": colour if measured else "white", "elinewidth": 1.1}
    up = 100 * (deviation or 0)
    axes.errorbar(row.median, _height(row), up, across, fmt=marker, markersize=6, **style)


def _height(row: Row) -> float:
    """Return the accuracy in per cent."""
    return 100 * (row.accuracy or 0)


def write_names(axes: Any, rows: Sequence[Row]) -> None:
    """Write a name beside each point, from top to bottom, and none into the line of another."""
    height = axes.bbox.height
    point = axes.figure.dpi / 72
    taken = math.inf
    for row in sorted(rows, key=_height, reverse=True):
        x, y = axes.transData.transform((max(row.seconds), _height(row)))
        taken = min(y, taken - LINE * height)
        is_left = x > 0.6 * axes.bbox.width + axes.bbox.x0
        end = min(row.seconds) if is_left else max(row.seconds)
        ours = row.contender.is_ours
        axes.annotate(
            row.contender.name,
            (end, _height(row)),
            (-8 if is_left else 8, (taken - y) / point),
            arrowprops={"arrowstyle": "-", "color": GRID} if taken < y else None,
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="center",
            fontsize=FONT - 1,
            color=INK if ours else MUTED,
            fontweight="bold" if ours else "normal",
            parse_math=False,
        )
