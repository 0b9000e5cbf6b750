"""A training history or an Evaluation's curves in, drawings out, for the report and for notebooks.

Each function takes plain results and returns a Drawing of its own, in the colours of `style`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from inkdigits.core.digits import Array
from inkdigits.core.errors import BadValue
from inkdigits.evaluation.metrics import Bin, wilson_interval
from inkdigits.evaluation.plots.drawing import (
    Band,
    Bar,
    Drawing,
    Line,
    Panel,
    Shape,
    Words,
    nameless,
    range_of,
    ticks,
)
from inkdigits.evaluation.plots.style import BLUE, FONT, INK, MUTED, ORANGE
from inkdigits.evaluation.selective import RiskCoverage

FEW_EPOCHS = 5  # with more, the axis has room for the later ones only
MOST_MARKED_EPOCHS = 20  # with more, points would hide the line
MARKED_RISK = 1 / 1000  # the error rate that the risk-coverage curve marks
MOST_POINTS = 400  # of a curve: more than the page has pixels for it
DASHED = "5.5 2.4"
DOTTED = "1.2 2.2"

# Per cent of the images at which the risk-coverage axis may begin.
AXIS_STARTS = (0, 50, 60, 70, 80, 90, 95, 96, 97, 98, 99)


def learning_curves(*histories: Sequence[Mapping[str, Any]]) -> Drawing:
    """Draw loss and accuracy after each epoch, of the training and the validation images.

    A curve has gaps where a value is missing or not finite. Of more than five epochs, the first
    may be outside the axes. Of several runs, the line is their mean, and the band is one standard
    deviation either way, as far as all runs go.

    Args:
        histories: one or more runs that differ in their seed, each a mapping an epoch, as
            `train --json` prints them.

    Raises:
        BadValue: a history has no epochs.
    """
    runs = [[record for record in history if "epoch" in record] for history in histories]
    if not runs or not all(runs):
        raise BadValue("no learning curves: the history has no epochs")

    loss = _curves(runs, "loss", "Loss (nats an image)", scale=1)
    accuracy = _curves(runs, "accuracy", "Accuracy (%)", scale=100)
    loss.legend = f"mean ± sd of {len(runs)} runs" if len(runs) > 1 else ""
    loss.x_ticks = nameless(loss.x_ticks)
    accuracy.x_label = "epoch"
    # One legend is enough: that of the panel above.
    accuracy.shapes = [
        replace(shape, label="") if isinstance(shape, Line) and loss.lines else shape
        for shape in accuracy.shapes
    ]
    return Drawing((loss, accuracy))


def _curves(
    runs: Sequence[Sequence[Mapping[str, Any]]], kind: str, title: str, *, scale: float
) -> Panel:
    """Draw one figure of the training and of the validation images."""
    epochs = np.array([record["epoch"] for record in min(runs, key=len)], np.float64)
    marker = "o" if len(epochs) <= MOST_MARKED_EPOCHS else ""
    means: list[Array] = []
    ends: list[Array] = []  # of the bands
    bands: list[Shape] = []
    lines: list[Shape] = []

    for split, colour, dash, label in (
        ("train", ORANGE, DASHED, "training"),
        ("validation", BLUE, "", "validation"),
    ):
        values = scale * _values(runs, f"{split}_{kind}")
        mean = values.mean(0)
        means.append(mean)
        if not np.isfinite(mean).any():
            continue

        lines.append(Line(epochs, mean, colour, dash=dash, marker=marker, label=label))
        if len(runs) > 1:
            spread = values.std(0, ddof=1)
            low, high = mean - spread, mean + spread
            ends += [low, high]
            bands.append(Band(epochs, low, high, colour))

    # Beside the first of many epochs all others would look alike.
    shown = np.array([*means, *ends])[:, int(len(epochs) > FEW_EPOCHS) :]
    x = range_of(epochs) if len(epochs) > 1 else (epochs[0] - 0.5, epochs[0] + 0.5)
    y = range_of(shown)
    return Panel(
        title,
        x,
        y,
        [*bands, *lines],
        x_ticks=ticks(*x, whole=True),
        y_ticks=ticks(*y),
        clipped=True,
    )


def _values(runs: Sequence[Sequence[Mapping[str, Any]]], key: str) -> Array:
    """Return one figure of each run and epoch, (runs, epochs), as far as all runs go.

    Where it is missing or not finite there is nan, which is a gap in the curve.
    """
    epochs = min(map(len, runs))
    found = [[record.get(key) for record in run[:epochs]] for run in runs]
    values = np.array(found, np.float64)
    values[np.isinf(values)] = np.nan
    return values


def reliability_diagram(bins: Sequence[Bin]) -> Drawing:
    """Draw accuracy against confidence with 95 % intervals, and below it the images in each bin.

    On the diagonal confidence is exactly as good as it says; empty bins have no point.

    Args:
        bins: from `metrics.reliability`.
    """
    filled = [each for each in bins if each.n]
    confidence = np.array([100 * each.confidence for each in filled])
    shares = np.array([100 * each.accuracy for each in filled])
    low, high = _intervals([each.correct for each in filled], [each.n for each in filled])

    whole = (0.0, 102.0)
    places = ticks(0, 100)
    diagonal = np.array([0.0, 100.0])
    accuracy = Panel(
        "Accuracy (%), with 95 % intervals",
        whole,
        whole,
        [
            Line(diagonal, diagonal, MUTED, 1, dash=DOTTED, label="confidence = accuracy"),
            _uprights(confidence, low, high),
            Line(confidence, shares, BLUE, width=0, marker="o"),
        ],
        x_ticks=nameless(places),
        y_ticks=places,
        grid="both",
        height=180,
    )
    counts = Panel(
        "Images, log scale",
        whole,
        (math.log10(0.6), math.log10(8 * max(each.n for each in bins))),
        _counts(bins),
        x_ticks=places,
        grid="",
        x_label="confidence (%)",
        height=64,
    )
    return Drawing((accuracy, counts))


def _intervals(counts: Iterable[int], totals: Iterable[int]) -> Array:
    """Return the 95 % intervals of shares, in per cent: the low and the high ends, (2, N)."""
    pairs = zip(counts, totals, strict=True)
    return 100 * np.array([wilson_interval(int(count), int(total)) for count, total in pairs]).T


def _uprights(x: Array, low: Array, high: Array) -> Line:
    """Return upright lines, with gaps between them."""
    gaps = np.full(len(x), np.nan)
    return Line(np.repeat(x, 3), np.stack([low, high, gaps], axis=1).ravel(), BLUE, width=1.2)


def _counts(bins: Sequence[Bin]) -> list[Shape]:
    """Draw a bar a bin with its number of images, on a logarithmic axis."""
    shapes = list[Shape]()
    for each in filter(lambda each: each.n, bins):
        centre = 50 * (each.low + each.high)
        half = 43 * (each.high - each.low)
        top = math.log10(each.n)
        shapes.append(Bar((centre - half, centre + half), (math.log10(0.6), top), BLUE, 0.55))
        shapes.append(Words(centre, top, f"{each.n:,}", INK, FONT - 2.5, shift=(0, -3)))

    return shapes


def risk_coverage_curve(curve: RiskCoverage) -> Drawing:
    """Draw the error rate of the images that are read against their share, the surest first.

    The band is the 95 % interval. Where errors are few they are close to 100 %, so the axis begins
    shortly before the last nine tenths of them.

    Args:
        curve: from `selective.risk_coverage`.
    """
    start = _axis_start(curve)
    shown = _evenly_spread(100 * curve.coverage, start)
    share = 100 * curve.coverage[shown]
    rate = 100 * curve.risk[shown]
    low, high = _intervals(curve.wrong[shown], curve.accepted[shown])

    everything = rate[-1]
    all_read = f"all read: {everything:.2f} %"
    across = np.array([start, 100.0])
    inside = share >= start
    y = (0.0, 1.05 * float(max(high[inside].max(), rate[inside].max())))
    return Drawing(
        (
            Panel(
                "Errors (%), with 95 % intervals",
                (start, 100),
                y,
                [
                    Band(share[inside], low[inside], high[inside], BLUE),
                    Line(share[inside], rate[inside], BLUE, width=1.8),
                    Line(across, np.full(2, everything), MUTED, 1, dash=DOTTED),
                    Words(start, everything, all_read, starts=True, shift=(6, -4)),
                    _uprights(np.array([100.0]), low[-1:], high[-1:]),
                    Line(share[-1:], rate[-1:], BLUE, width=0, marker="o"),
                    *_marked_risk(curve, start),
                ],
                x_ticks=ticks(start, 100),
                y_ticks=ticks(*y),
                grid="both",
                x_label="images read, the surest first (%)",
                height=250,
            ),
        )
    )


def _marked_risk(curve: RiskCoverage, start: float) -> list[Shape]:
    """Mark the place where one error in 1,000 is left, if the axis has it."""
    coverage = curve.coverage_at(MARKED_RISK)
    if not start < 100 * coverage < 100:
        return []

    place = np.array([100 * coverage])
    rate = 100 * curve.risk[curve.coverage <= coverage][-1:]
    label = f"{100 * coverage:.2f} %: at most 1 error in {1 / MARKED_RISK:,.0f}"
    return [Line(place, rate, ORANGE, width=0, marker="D", label=label)]


def _axis_start(curve: RiskCoverage) -> int:
    """Find the last of AXIS_STARTS before which there is at most a tenth of the errors."""
    wrong = curve.wrong[-1]
    if not wrong:
        return 0

    before = 100 * curve.coverage[curve.wrong <= wrong // 10].max(initial=0)
    return max(start for start in AXIS_STARTS if start <= before)


def _evenly_spread(share: Array, start: float) -> Array:
    """Choose at most MOST_POINTS indexes of rising per cents, from shortly before `start` on."""
    return np.unique(np.searchsorted(share[:-1], np.linspace(start, 100, MOST_POINTS)))
