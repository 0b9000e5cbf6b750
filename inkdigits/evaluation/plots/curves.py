"""Evaluation and training history -> figures, for the report and for notebooks.

What a network is made of is drawn by `plots_inside`, what tells several apart by `plots_compared`, all in the style of `style.py`.
Each function takes plain results and returns a matplotlib Figure of its own: no pyplot, so no global state, nothing to close, and
safe in threads. Knows nothing of files or pages. Needs the extra `report`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue
from inkdigits.evaluation.metrics import Bin, Evaluation, errors, wilson_interval
from inkdigits.evaluation.plots.style import (
    BLUE,
    FONT,
    GRID,
    INK,
    MUTED,
    ORANGE,
    WIDTH,
    dress,
    figure_of,
)
from inkdigits.evaluation.selective import RiskCoverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAINTEST, STRONGEST = (
    0.15,
    0.65,
)  # opacity of a single and of the commonest confusion; ink stays readable on both
POINTS = 400  # of a curve: more than the page has pixels for it
STARTS = (
    0,
    50,
    60,
    70,
    80,
    90,
    95,
    96,
    97,
    98,
    99,
)  # per cent at which an axis of what is read may begin
FEW_EPOCHS = 5  # more have room for the later ones only
FEW = 1 / 1000  # the error rate that the risk-coverage curve marks
LONGEST = 14  # characters of a class's name at an axis: more would leave no room for the matrix


def learning_curves(*histories: Sequence[Mapping[str, Any]]) -> "Figure":
    """Loss and accuracy after each epoch, of the training and the validation images.

    histories: of one run, or of several that differ in their seed; each a mapping an epoch, as `train --json` prints them. Of
    several the line is the mean and the band its standard deviation either way, as far as all runs go. A curve has gaps where a
    value is missing or not finite; of more than five epochs the first may lie outside. Raises
    BadValue where there is no epoch, MissingExtra without matplotlib.
    """
    runs = [[record for record in history if "epoch" in record] for history in histories]
    if not runs or not all(runs):
        raise BadValue("no learning curves: the history has no epochs")
    figure = figure_of(4.9)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    for axes, kind, scale in ((loss, "loss", 1), (accuracy, "accuracy", 100)):
        _curves(axes, runs, kind, scale=scale)
    dress(loss, "Loss (nats an image)")
    dress(accuracy, "Accuracy (%)")
    several = (
        {"title": f"mean ± sd of {len(runs)} runs", "title_fontsize": FONT} if len(runs) > 1 else {}
    )
    loss.legend(frameon=False, fontsize=FONT, labelcolor=INK, **several)
    accuracy.set_xlabel("epoch", fontsize=FONT, color=MUTED)
    accuracy.xaxis.get_major_locator().set_params(integer=True)
    accuracy.ticklabel_format(axis="y", useOffset=False)
    return figure


def _curves(
    axes: "Axes", runs: Sequence[Sequence[Mapping[str, Any]]], kind: str, *, scale: float
) -> None:
    import numpy as np

    shortest = min(runs, key=len)
    epochs = [record["epoch"] for record in shortest]
    marker, later = "o" if len(epochs) <= 20 else "", list[float]()
    for part, colour, line in (("train", ORANGE, "--"), ("validation", BLUE, "-")):
        values = np.array(
            [
                [scale * _number(record.get(f"{part}_{kind}")) for record in run[: len(epochs)]]
                for run in runs
            ]
        )
        middle = values.mean(0)
        later += middle[1:][np.isfinite(middle[1:])].tolist()
        label = "training" if part == "train" else part
        if np.isfinite(middle).any():
            axes.plot(
                epochs, middle, line, marker=marker, markersize=3.5, color=colour, label=label
            )
            if len(runs) > 1:
                spread = values.std(0, ddof=1)
                axes.fill_between(
                    epochs, middle - spread, middle + spread, color=colour, alpha=0.18, linewidth=0
                )
    if later and len(epochs) > FEW_EPOCHS:  # beside the first pass all others would look alike
        margin = 0.06 * (max(later) - min(later) or 1)
        axes.set_ylim(min(later) - margin, max(later) + margin)


def _number(value: object) -> float:
    """A gap in the curve, nan, for what is no finite number."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def confusion_matrix(evaluation: Evaluation, classes: Sequence[str] = DIGITS) -> "Figure":
    """What was read (columns) for each label (rows), as counts.

    Only errors are coloured, by their share of the row's images, so that they show although nearly all images lie on the
    diagonal. Raises MissingExtra without matplotlib.
    """
    figure = figure_of(WIDTH)
    axes = figure.subplots()
    shares = dict(_error_shares(evaluation))
    strongest = max(shares.values(), default=1.0)
    for label, row in enumerate(evaluation.confusion):
        for read, count in enumerate(row):
            if label == read:
                _cell(axes, label, read, count, GRID, 0.6, MUTED)
            elif count:
                opacity = FAINTEST + (STRONGEST - FAINTEST) * math.sqrt(
                    shares[label, read] / strongest
                )
                _cell(axes, label, read, count, ORANGE, opacity, INK)
    dress(axes, "", grid="")
    axes.set(xlim=(-0.5, 9.5), ylim=(9.5, -0.5), aspect="equal")
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in classes]
    axes.set_xticks(
        range(10), names, rotation=0 if max(map(len, names)) <= 3 else 55, parse_math=False
    )
    axes.set_yticks(range(10), names, parse_math=False)
    axes.set_xlabel("read as", fontsize=FONT, color=MUTED)
    axes.set_ylabel("label", fontsize=FONT, color=MUTED)
    return figure


def _error_shares(evaluation: Evaluation) -> Iterator[tuple[tuple[int, int], float]]:
    """((label, read), share of the label's images) of each confusion that happened."""
    for label, row in enumerate(evaluation.confusion):
        yield from (
            ((label, read), count / sum(row))
            for read, count in enumerate(row)
            if count and read != label
        )


def _cell(
    axes: "Axes", label: int, read: int, count: int, colour: str, opacity: float, ink: str
) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (read - 0.47, label - 0.47), 0.94, 0.94, facecolor=colour, alpha=opacity, linewidth=0
        )
    )
    text = f"{count:,}"
    axes.text(
        read, label, text, ha="center", va="center", color=ink, fontsize=min(FONT, 40 / len(text))
    )


def reliability_diagram(bins: Sequence[Bin]) -> "Figure":
    """Accuracy against confidence, bin by bin with 95 % intervals, and below it how many images each bin holds.

    bins: from `evaluation.reliability`. On the diagonal confidence is exactly as good as it says; empty bins have no point.
    Raises MissingExtra without matplotlib.
    """
    figure = figure_of(4.9)
    accuracy, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.3])
    filled = [bin_ for bin_ in bins if bin_.n]
    low_high = [wilson_interval(bin_.correct, bin_.n) for bin_ in filled]
    confidence = [100 * bin_.confidence for bin_ in filled]
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
    accuracy.vlines(
        confidence,
        [100 * low for low, _ in low_high],
        [100 * high for _, high in low_high],
        color=BLUE,
        linewidth=1.2,
    )
    accuracy.plot(
        confidence, [100 * bin_.accuracy for bin_ in filled], "o", color=BLUE, markersize=5
    )
    accuracy.set(xlim=(0, 102), ylim=(0, 102))
    dress(accuracy, "Accuracy (%), with 95 % intervals", grid="both")
    _count_bars(counts, bins)
    dress(counts, "Images, log scale", grid="")
    counts.set_xlabel("confidence (%)", fontsize=FONT, color=MUTED)
    return figure


def _count_bars(axes: "Axes", bins: Sequence[Bin]) -> None:
    for bin_ in bins:
        centre, width = 50 * (bin_.low + bin_.high), 100 * (bin_.high - bin_.low)
        axes.bar(centre, bin_.n, 0.86 * width, color=BLUE, alpha=0.55, linewidth=0)
        if bin_.n:
            axes.text(
                centre,
                bin_.n * 1.3,
                f"{bin_.n:,}",
                ha="center",
                va="bottom",
                fontsize=FONT - 2.5,
                color=INK,
            )
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(0.6, 8 * max(bin_.n for bin_ in bins))
    axes.set_yticks([])
    axes.minorticks_off()


def risk_coverage_curve(curve: RiskCoverage) -> "Figure":
    """The error rate of the images that are read against their share, the surest first, with 95 % intervals.

    curve: from `doubt.risk_coverage`. Where errors are few they lie close to 100 %, so the axis begins shortly before the last
    nine tenths of them. Raises MissingExtra without matplotlib.
    """
    share, rate = 100 * curve.coverage, 100 * curve.risk
    start = _where_errors_begin(curve)
    shown = _evenly_spread(share, start)
    low_high = [wilson_interval(int(curve.wrong[i]), int(curve.accepted[i])) for i in shown]
    figure = figure_of(4.9)
    axes = figure.subplots()
    low, high = ([100 * bound for bound in bounds] for bounds in zip(*low_high, strict=True))
    axes.fill_between(share[shown], low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(share[shown], rate[shown], color=BLUE, linewidth=1.8)
    axes.axhline(rate[-1], color=MUTED, linewidth=1, linestyle=":")
    axes.annotate(
        f"all read: {rate[-1]:.2f} %",
        (start, rate[-1]),
        (6, 3),
        textcoords="offset points",
        color=MUTED,
        fontsize=FONT - 1,
    )
    axes.vlines(100, low[-1], high[-1], color=BLUE, linewidth=1.2, clip_on=False)
    axes.plot(share[-1:], rate[-1:], "o", color=BLUE, markersize=5, clip_on=False)
    if start < (few := 100 * curve.coverage_at(FEW)) < 100:
        label = f"{few:.2f} %: at most 1 error in {1 / FEW:,.0f}"
        axes.plot(
            [few], [rate[share <= few][-1]], "D", color=ORANGE, markersize=5, zorder=3, label=label
        )
        axes.legend(
            loc="upper left", frameon=False, handletextpad=0, fontsize=FONT - 1, labelcolor=INK
        )
    axes.set(xlim=(start, 100), ylim=(0, 1.05 * max(high[-1], *rate[shown])))
    dress(axes, "Errors (%), with 95 % intervals", grid="both")
    axes.tick_params(axis="x", pad=7)  # or both zeros meet in the corner
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("images read, the surest first (%)", fontsize=FONT, color=MUTED)
    return figure


def _where_errors_begin(curve: RiskCoverage) -> int:
    """Per cent of the images, from STARTS, among which there is no more than a tenth of the errors; 0 where there are no errors."""
    errors = curve.wrong[-1]
    before = 100 * curve.coverage[curve.wrong <= errors // 10].max(initial=0) if errors else 0
    return max(start for start in STARTS if start <= before)


def _evenly_spread(share: Any, start: float) -> Any:
    """Indexes of at most POINTS of these rising per cents, from shortly before `start` to 100."""
    import numpy as np

    return np.unique(np.searchsorted(share[:-1], np.linspace(start, 100, POINTS)))


def digit_grid(images: ArrayLike, captions: Sequence[str] = (), *, columns: int = 8) -> "Figure":
    """Images side by side, dark ink on light paper, each with its caption below.

    images: uint8 (N, 28, 28), paper 0 to ink 255; captions: none, or one an image.
    Raises BadValue for other shapes, MissingExtra without matplotlib.
    """
    import numpy as np

    pictures = np.asarray(images)
    if pictures.ndim != 3 or not len(pictures) or len(captions) not in (0, len(pictures)):
        raise BadValue(
            f"cannot draw {len(captions)} captions on images of shape {pictures.shape}; (N, 28, 28) and N captions would do"
        )
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = figure_of(rows * (1.15 if captions else 0.95), columns * 0.95)
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if place < len(pictures):
            axes.imshow(pictures[place], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(
                captions[place] if captions else "",
                fontsize=FONT,
                color=INK,
                y=-0.28,
                parse_math=False,
            )
    return figure


def error_gallery(
    images: ArrayLike,
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    most: int = 24,
    columns: int = 8,
) -> "Figure":
    """What was read wrong, the surest first: each digit with its label, what it was read as, and how sure that was.

    images: uint8 (N, 28, 28); labels: integer (N,); probabilities: float (N, 10). Raises BadValue where nothing was read wrong or
    these do not fit together, MissingExtra without matplotlib.
    """
    import numpy as np

    pictures, known, said = np.asarray(images), np.asarray(labels), np.asarray(probabilities)
    wrong = errors(said, known)[:most]
    if not len(wrong):
        raise BadValue("no error gallery: everything was read right")
    captions = [f"{known[i]} → {said[i].argmax()}  {said[i].max():.0%}" for i in wrong]
    return digit_grid(pictures[wrong], captions, columns=columns)


def pixel_values(image: ArrayLike) -> "Figure":
    """One image as a network gets it, a number a pixel, with the tight box of its ink and its centre of mass.

    image: uint8 (28, 28), paper 0 to ink 255, not blank. Coordinates count from the left and upper edges of the field.
    Raises BadValue for anything else, MissingExtra without matplotlib.
    """
    import numpy as np

    pixels = np.asarray(image)
    if pixels.ndim != 2 or not pixels.any():
        raise BadValue(
            f"cannot draw the pixels of an image of shape {pixels.shape} without ink; one digit (28, 28) would do"
        )
    figure = figure_of(6.4, 5.8)
    axes = figure.subplots()
    axes.imshow(
        pixels,
        cmap="gray_r",
        vmin=0,
        vmax=255,
        interpolation="nearest",
        extent=(0, pixels.shape[1], pixels.shape[0], 0),
    )
    for (row, column), value in np.ndenumerate(pixels):
        colour = GRID if value == 0 else INK if value < 120 else "white"
        axes.text(
            column + 0.5,
            row + 0.52,
            str(value),
            ha="center",
            va="center",
            fontsize=FONT - 4.3,
            color=colour,
        )
    _mark_box_and_mass(axes, pixels)
    dress(axes, "", grid="")
    axes.set_xticks(range(0, pixels.shape[1] + 1, 4))
    axes.set_yticks(range(0, pixels.shape[0] + 1, 4))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=FONT, labelcolor=INK)
    return figure


def _mark_box_and_mass(axes: "Axes", pixels: Any) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = pixels.nonzero()
    left, top, width, height = (
        columns.min(),
        rows.min(),
        1 + columns.max() - columns.min(),
        1 + rows.max() - rows.min(),
    )
    size = f"tight box: {width} x {height} pixels"
    axes.add_patch(
        Rectangle((left, top), width, height, fill=False, edgecolor=BLUE, linewidth=1.8, label=size)
    )
    shares = pixels[rows, columns] / pixels.sum()
    x, y = (columns + 0.5) @ shares, (rows + 0.5) @ shares
    place = f"centre of mass: {x:.1f}, {y:.1f}"
    axes.plot(
        [x],
        [y],
        "P",
        color=ORANGE,
        markeredgecolor="white",
        markersize=11,
        linestyle="",
        label=place,
    )
