"""What the ladder's trainings amount to: statistics, ratios, tables in Markdown, and the figure. Measures nothing."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.training.ladder_workers import Contender, Outcome
from benchmarks.training.reference_style import spread
from inkdigits.evaluation.plots.style import BLUE, FONT, GRID, INK, MUTED, ORANGE, dress, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = (90, 95, 97, 98, 98.5, 99, 99.3, 99.5, 99.7, 99.8)  # per cent


@dataclass(frozen=True)
class Accuracies:
    """Of several seeds, fractions; at least one."""

    values: Sequence[float]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def error(self) -> float | None:
        """Standard error of the mean."""
        return None if self.deviation is None else self.deviation / math.sqrt(len(self.values))

    def share_from(self, mark: float) -> float:
        """Of seeds at or above the mark, a fraction; counted in whole digits of 10,000, as 0.99 is no binary number."""
        return statistics.fmean(round(1e4 * value) >= round(1e4 * mark) for value in self.values)


@dataclass
class Row:
    """A contender's results: accuracies of seeds, timed rounds."""

    contender: Contender
    runs: Mapping[str, Outcome] = field(default_factory=dict)  # by seed
    rounds: list[Outcome] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Of each timed round."""
        return [outcome.seconds for outcome in self.rounds]

    def accuracies(self, split: str) -> Accuracies | None:
        """On the test or validation split; of the timed rounds where no seeds were trained for it."""
        values = [
            value
            for run in self.runs.values() or self.rounds
            if (value := getattr(run, split)) is not None
        ]
        return Accuracies(values) if values else None

    @property
    def accuracy(self) -> float | None:
        """Measured, else published."""
        measured = self.accuracies("test")
        return measured.mean if measured else self.contender.published


def mark_of(name: str) -> float | None:
    """fast-99.3 -> 0.993."""
    try:
        return float(name.removeprefix("fast-")) / 100
    except ValueError:
        return None


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction in per cent; nothing for nothing."""
    return "" if value is None else f"{100 * value:.{digits}f}"


def short(seconds: float) -> str:
    """Three digits or so."""
    return (
        f"{seconds:.2f}"
        if seconds < 10
        else f"{seconds:.1f}"
        if seconds < 100
        else f"{seconds:,.0f}"
    )


def range_of(seconds: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return (
        f"{short(statistics.median(seconds))} ({short(min(seconds))}-{short(max(seconds))})"
        if seconds
        else ""
    )


def time_table(rows: Sequence[Row]) -> list[str]:
    """Seconds and accuracy of everyone, the fastest first."""
    lines = [
        "| | s, median (range) | rounds | with compiling, s | test accuracy, % | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(
        (row for row in rows if row.rounds), key=lambda row: statistics.median(row.seconds)
    ):
        measured, first = row.accuracies("test"), row.rounds[0]
        name = f"**{row.contender.name}**" if row.contender.module == "ours" else row.contender.name
        part = min(each.part for each in row.rounds)
        notes = [f"{100 * part:.2g} % of it timed" if part < 1 else "", first.note]
        note = f" ({'; '.join(filter(None, notes))})" if any(notes) else ""
        compiled = (
            short(statistics.median(row.seconds) + first.compiling) if first.compiling else ""
        )
        accuracy = (
            f"{percent(row.contender.published)} published" if row.contender.published else ""
        )
        if measured:
            deviation = "" if measured.deviation is None else f" ± {percent(measured.deviation)}"
            accuracy = f"{percent(measured.mean)}{deviation}"
        seeds = len(measured.values) if measured else ""
        lines.append(
            f"| {name}{note} | {range_of(row.seconds)} | {len(row.rounds)} | {compiled} | {accuracy} | {seeds} |"
        )
    return lines


def seeds_table(rows: Sequence[Row]) -> list[str]:
    """What the recipes of the ladder reach, seed by seed."""
    lines = [
        "| recipe | seeds | test, mean | sd | standard error | seeds at or above the mark | validation, mean |"
    ]
    lines.append("|---" * 7 + "|")
    for row in rows:
        test, validation = row.accuracies("test"), row.accuracies("validation")
        if row.contender.module != "ours" or test is None or validation is None:
            continue
        mark = mark_of(row.contender.name)
        above = "" if mark is None else f"{100 * test.share_from(mark):.0f} %"
        cells = [
            f"`{row.contender.name}`",
            str(len(test.values)),
            percent(test.mean, 3),
            percent(test.deviation, 3),
        ]
        lines.append(
            "| "
            + " | ".join([*cells, percent(test.error, 3), above, percent(validation.mean, 3)])
            + " |"
        )
    return lines


def ratios(rows: Sequence[Row], pairs: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """How many times as long the opponent takes, round by round; of several manners of an opponent the fastest counts."""
    by_name = {row.contender.name: row for row in rows if row.rounds}
    lines = ["| | against | times as fast, median (range) | rounds |", "|---|---|---|---|"]
    for ours, theirs in pairs:
        there = [by_name[name] for name in theirs if name in by_name]
        if ours not in by_name or not there:
            continue
        best = min(there, key=lambda row: statistics.median(row.seconds))
        values = [
            other / own for other, own in zip(best.seconds, by_name[ours].seconds, strict=False)
        ]
        fastest = ", the fastest of its manners" if len(theirs) > 1 else ""
        lines.append(
            f"| `{ours}` | {best.contender.name}{fastest} | {spread(values, '.1f')} | {len(values)} |"
        )
    return lines if len(lines) > 2 else []


def figure(rows: Sequence[Row]) -> "Figure":
    """Accuracy against seconds, both logarithmic: accuracy in the errors that are left."""
    import numpy as np

    shown = [row for row in rows if row.rounds and row.accuracy]
    drawing = figure_of(4.8, 7.2)
    axes = drawing.subplots()
    axes.set_xscale("log")
    axes.set_yscale(
        "function",
        functions=(
            lambda y: -np.log10(np.maximum(100 - y, 1e-3)),
            lambda z: 100 - 10.0 ** -np.asarray(z),
        ),
    )
    for row in shown:
        ours, measured = row.contender.module == "ours", row.accuracies("test")
        colour, marker = (BLUE, "o") if ours else (ORANGE, "s")
        x, y = statistics.median(row.seconds), 100 * (row.accuracy or 0)
        across = [[x - min(row.seconds)], [max(row.seconds) - x]]
        up = 100 * ((measured and measured.deviation) or 0)
        face = colour if measured else "white"
        axes.errorbar(
            x, y, up, across, fmt=marker, color=colour, markersize=6, elinewidth=1.1, mfc=face
        )
    own = sorted(
        (statistics.median(row.seconds), 100 * (row.accuracy or 0))
        for row in shown
        if row.contender.module == "ours"
    )
    if own:
        axes.plot(*zip(*own, strict=True), color=BLUE, linewidth=1.2, alpha=0.5, zorder=1)
    axes.margins(x=0.16, y=0.08)
    dress(axes, "Test accuracy (%) against seconds of training", grid="both")
    low, high = axes.get_ylim()
    axes.set_yticks(
        ticks := [tick for tick in TICKS if low <= tick <= high], [f"{tick:g}" for tick in ticks]
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.minorticks_off()
    drawing.draw_without_rendering()  # so that it is known where the points lie
    axes.set_xlabel(
        "seconds, logarithmic; hollow: accuracy as published, not measured",
        fontsize=FONT,
        color=MUTED,
    )
    write_names(axes, shown)
    return drawing


def write_names(axes: object, rows: Sequence[Row]) -> None:
    """Beside each point; where a name would meet another or a point, it gives way downwards and a line leads to it."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    width, height, point = axes.bbox.width, axes.bbox.height, axes.figure.dpi / 72

    def place(row: Row, seconds: float) -> tuple[float, float]:
        return tuple(axes.transData.transform((seconds, 100 * (row.accuracy or 0))))

    ends = [
        (place(row, min(row.seconds))[0], *place(row, max(row.seconds))) for row in rows
    ]  # of the bars; y
    taken = [
        (first - 5 * point, last + 5 * point, y) for first, last, y in ends
    ]  # left, right, middle
    for row, (first, last, y) in sorted(zip(rows, ends, strict=True), key=lambda item: -item[1][2]):
        length = 0.0125 * width * len(row.contender.name)
        left = last + 8 * point + length > axes.bbox.x1
        begin, shift = (first - length - 8 * point if left else last + 8 * point), 0.0
        end = begin + length
        while any(
            abs(y + shift - other) < 0.042 * height and begin < right and start < end
            for start, right, other in taken
        ):
            shift -= 0.01 * height
        taken.append((begin, end, y + shift))
        ours = row.contender.module == "ours"
        axes.annotate(
            row.contender.name,
            ((min if left else max)(row.seconds), 100 * (row.accuracy or 0)),
            (-8 if left else 8, shift / point),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=FONT - 1,
            color=INK if ours else MUTED,
            fontweight="bold" if ours else "normal",
            arrowprops={"arrowstyle": "-", "color": GRID, "shrinkB": 4} if shift else None,
            parse_math=False,
        )
