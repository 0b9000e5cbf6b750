"""What the ladder's trainings amount to: statistics, ratios, tables in Markdown, and the figure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.common import ratios as divided
from benchmarks.common import spread, table
from benchmarks.training.ladder_workers import Contender, Outcome
from inkdigits.evaluation.plots.style import FONT, add_legend, dress, figure_of, label_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    def share_from(self, mark: float) -> float:
        """Return the share of seeds at or above the mark.

        They are counted in whole digits of 10,000, as 0.99 is no binary number.
        """
        return statistics.fmean(round(1e4 * value) >= round(1e4 * mark) for value in self.values)


@dataclass
class Row:
    """A contender's results: timed rounds, and by split the accuracies of other runs, if any."""

    contender: Contender
    runs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rounds: list[Outcome] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Return the seconds of each timed round."""
        return [outcome.seconds for outcome in self.rounds]

    @property
    def median(self) -> float:
        """Return the median of the timed rounds."""
        return statistics.median(self.seconds)

    def accuracies(self, split: str) -> Accuracies:
        """Return accuracies on a split, of the timed rounds where there are no other runs."""
        values = self.runs.get(split) or [getattr(outcome, split) for outcome in self.rounds]
        return Accuracies(values)


def mark_of(name: str) -> float:
    """Return the mark in a recipe's name: 0.993 for fast-99.3."""
    return float(name.removeprefix("fast-")) / 100


def percent(value: float) -> str:
    """Return a fraction in per cent."""
    return f"{100 * value:.2f}"


def short(seconds: float) -> str:
    """Return seconds with three digits or so."""
    if seconds < 10:
        return f"{seconds:.2f}"

    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def time_table(rows: Sequence[Row]) -> list[str]:
    """Return seconds and accuracy of everyone, the fastest first."""
    timed = sorted(rows, key=lambda row: row.median)
    head = ("", "s, median (range)", "rounds", "with compiling, s", "test accuracy, %", "seeds")
    return table([*head, "at or above the mark"], map(_time_row, timed))


def _time_row(row: Row) -> list[object]:
    contender = row.contender
    first = row.rounds[0]
    compiled = short(row.median + first.compiling) if first.compiling else ""
    name = contender.name
    above = ""
    measured = row.accuracies("test")
    accuracy = percent(measured.mean)
    if measured.deviation is not None:
        accuracy += f" ± {percent(measured.deviation)}"
    if contender.is_ours:
        above = f"{measured.share_from(mark_of(name)):.0%}"
        name = f"**{name}**"

    return [
        name,
        f"{short(row.median)} ({short(min(row.seconds))}-{short(max(row.seconds))})",
        len(row.rounds),
        compiled,
        accuracy,
        len(measured.values),
        above,
    ]


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
    return table(head, found)


def figure(rows: Sequence[Row]) -> "Figure":
    """Draw the errors that are left against seconds, both logarithmic, the best at the top."""
    drawing = figure_of(4.8, 7.2)
    axes = drawing.subplots()
    for row in sorted(rows, key=lambda row: row.median):
        draw_point(axes, row)

    axes.set(xscale="log", yscale="log")
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    dress(axes, "Test errors against seconds of training", grid="both")
    label_axes(axes, "seconds", "test errors, %")
    add_legend(axes, fontsize=FONT - 1)
    return drawing


def draw_point(axes: Any, row: Row) -> None:
    """Draw a contender with the range of its times and the deviation of its accuracy."""
    measured = row.accuracies("test")
    across = [[row.median - min(row.seconds)], [max(row.seconds) - row.median]]
    errors = 100 * (1 - measured.mean)
    axes.errorbar(
        row.median,
        errors,
        yerr=100 * (measured.deviation or 0),
        xerr=across,
        fmt="o" if row.contender.is_ours else "s",
        label=row.contender.name,
    )
