"""A training history or an Evaluation's curves in, figures out, for the report and for notebooks.

Each function takes plain results and returns a matplotlib Figure of its own, in the style of
`style`. No pyplot is involved, so there is no global state, nothing to close, and threads are safe.
Needs the extra `report`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inkdigits.core.digits import Array
from inkdigits.core.errors import BadValue
from inkdigits.evaluation.metrics import Bin, wilson_interval
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
from inkdigits.evaluation.selective import RiskCoverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FEW_EPOCHS = 5  # with more, the axis has room for the later ones only
MOST_MARKED_EPOCHS = 20  # with more, points would hide the line
MARKED_RISK = 1 / 1000  # the error rate that the risk-coverage curve marks
MOST_POINTS = 400  # of a curve: more than the page has pixels for it

# Per cent of the images at which the risk-coverage axis may begin.
AXIS_STARTS = (0, 50, 60, 70, 80, 90, 95, 96, 97, 98, 99)


def learning_curves(*histories: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw loss and accuracy after each epoch, of the training and the validation images.

    A curve has gaps where a value is missing or not finite. Of more than five epochs, the first
    may be outside the axes. Of several runs, the line is their mean, and the band is one standard
    deviation either way, as far as all runs go.

    Args:
        histories: one or more runs that differ in their seed, each a mapping an epoch, as
            `train --json` prints them.

    Raises:
        BadValue: a history has no epochs.
        MissingExtra: matplotlib is not installed.
    """
    runs = [[record for record in history if "epoch" in record] for history in histories]
    if not runs or not all(runs):
        raise BadValue("no learning curves: the history has no epochs")

    figure = figure_of(4.9)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    _draw_curves(loss, runs, "loss", scale=1)
    _draw_curves(accuracy, runs, "accuracy", scale=100)
    dress(loss, "Loss (nats an image)")
    dress(accuracy, "Accuracy (%)")

    if len(runs) > 1:
        add_legend(loss, title=f"mean ± sd of {len(runs)} runs", title_fontsize=FONT)
    else:
        add_legend(loss)
    label_axes(accuracy, "epoch")
    accuracy.xaxis.get_major_locator().set_params(integer=True)
    accuracy.ticklabel_format(axis="y", useOffset=False)
    return figure


def _draw_curves(
    axes: "Axes", runs: Sequence[Sequence[Mapping[str, Any]]], kind: str, *, scale: float
) -> None:
    """Draw one figure of the training and of the validation images."""
    epochs = [record["epoch"] for record in min(runs, key=len)]
    marker = "o" if len(epochs) <= MOST_MARKED_EPOCHS else ""
    training = scale * _values(runs, f"train_{kind}")
    validation = scale * _values(runs, f"validation_{kind}")

    for values, label, colour, line in (
        (training, "training", ORANGE, "--"),
        (validation, "validation", BLUE, "-"),
    ):
        mean = values.mean(0)
        if not np.isfinite(mean).any():
            continue

        axes.plot(epochs, mean, line, marker=marker, markersize=3.5, color=colour, label=label)
        if len(runs) > 1:
            spread = values.std(0, ddof=1)
            band = mean - spread, mean + spread
            axes.fill_between(epochs, *band, color=colour, alpha=0.18, linewidth=0)

    # Beside the first epoch all others would look alike.
    later = np.concatenate([training.mean(0)[1:], validation.mean(0)[1:]])
    later = later[np.isfinite(later)]
    if len(later) and len(epochs) > FEW_EPOCHS:
        margin = 0.06 * (np.ptp(later) or 1)
        axes.set_ylim(later.min() - margin, later.max() + margin)


def _values(runs: Sequence[Sequence[Mapping[str, Any]]], key: str) -> Array:
    """Return one figure of each run and epoch, (runs, epochs), as far as all runs go.

    Where it is missing or not finite there is nan, which is a gap in the curve.
    """
    epochs = min(map(len, runs))
    found = [[record.get(key) for record in run[:epochs]] for run in runs]
    values = np.array(found, np.float64)
    values[np.isinf(values)] = np.nan
    return values


def reliability_diagram(bins: Sequence[Bin]) -> "Figure":
    """Draw accuracy against confidence with 95 % intervals, and below it the images in each bin.

    On the diagonal confidence is exactly as good as it says; empty bins have no point.

    Args:
        bins: from `metrics.reliability`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure = figure_of(4.9)
    accuracy, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.3])

    accuracy.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=":")
    accuracy.text(
        2,
        6,
        "confidence = accuracy",
        color=MUTED,
        fontsize=FONT - 1,
        rotation=45,
        transform_rotates_text=True,
    )

    filled = [each for each in bins if each.n]
    confidence = [100 * each.confidence for each in filled]
    low, high = _intervals([each.correct for each in filled], [each.n for each in filled])
    shares = [100 * each.accuracy for each in filled]
    accuracy.vlines(confidence, low, high, color=BLUE, linewidth=1.2)
    accuracy.plot(confidence, shares, "o", color=BLUE, markersize=5)
    accuracy.set(xlim=(0, 102), ylim=(0, 102))
    dress(accuracy, "Accuracy (%), with 95 % intervals", grid="both")

    _draw_counts(counts, bins)
    dress(counts, "Images, log scale", grid="")
    label_axes(counts, "confidence (%)")
    return figure


def _intervals(counts: Iterable[int], totals: Iterable[int]) -> Array:
    """Return the 95 % intervals of shares, in per cent: the low and the high ends, (2, N)."""
    pairs = zip(counts, totals, strict=True)
    return 100 * np.array([wilson_interval(int(count), int(total)) for count, total in pairs]).T


def _draw_counts(axes: "Axes", bins: Sequence[Bin]) -> None:
    """Draw a bar a bin with its number of images, on a logarithmic axis."""
    for each in bins:
        centre = 50 * (each.low + each.high)
        width = 86 * (each.high - each.low)
        axes.bar(centre, each.n, width, color=BLUE, alpha=0.55, linewidth=0)
        if each.n:
            axes.text(
                centre,
                each.n * 1.3,
                f"{each.n:,}",
                ha="center",
                va="bottom",
                fontsize=FONT - 2.5,
                color=INK,
            )

    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(0.6, 8 * max(each.n for each in bins))
    axes.set_yticks([])
    axes.minorticks_off()


def risk_coverage_curve(curve: RiskCoverage) -> "Figure":
    """Draw the error rate of the images that are read against their share, the surest first.

    The band is the 95 % interval. Where errors are few they are close to 100 %, so the axis begins
    shortly before the last nine tenths of them.

    Args:
        curve: from `selective.risk_coverage`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    start = _axis_start(curve)
    shown = _evenly_spread(100 * curve.coverage, start)
    share = 100 * curve.coverage[shown]
    rate = 100 * curve.risk[shown]
    low, high = _intervals(curve.wrong[shown], curve.accepted[shown])

    figure = figure_of(4.9)
    axes = figure.subplots()
    axes.fill_between(share, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(share, rate, color=BLUE, linewidth=1.8)

    everything = rate[-1]
    axes.axhline(everything, color=MUTED, linewidth=1, linestyle=":")
    axes.annotate(
        f"all read: {everything:.2f} %",
        (start, everything),
        (6, 3),
        textcoords="offset points",
        color=MUTED,
        fontsize=FONT - 1,
    )
    axes.vlines(100, low[-1], high[-1], color=BLUE, linewidth=1.2, clip_on=False)
    axes.plot(share[-1:], rate[-1:], "o", color=BLUE, markersize=5, clip_on=False)
    _mark_risk(axes, curve, start)

    axes.set(xlim=(start, 100), ylim=(0, 1.05 * max(high[-1], *rate)))
    dress(axes, "Errors (%), with 95 % intervals", grid="both")
    axes.tick_params(axis="x", pad=7)  # or both zeros meet in the corner
    axes.locator_params(axis="x", nbins=5)
    label_axes(axes, "images read, the surest first (%)")
    return figure


def _mark_risk(axes: "Axes", curve: RiskCoverage, start: float) -> None:
    """Mark the place where one error in 1,000 is left, if the axis has it."""
    coverage = curve.coverage_at(MARKED_RISK)
    if not start < 100 * coverage < 100:
        return

    rate = 100 * curve.risk[curve.coverage <= coverage][-1]
    label = f"{100 * coverage:.2f} %: at most 1 error in {1 / MARKED_RISK:,.0f}"
    axes.plot(
        [100 * coverage],
        [rate],
        "D",
        color=ORANGE,
        markersize=5,
        zorder=3,
        clip_on=False,
        label=label,
    )
    add_legend(axes, loc="upper left", handletextpad=0, fontsize=FONT - 1)


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
