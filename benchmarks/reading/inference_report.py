"""The figures of `inference.py` as sections of docs/benchmarks.md, and its bars."""

from collections.abc import Iterable, Iterator
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.common import in_words, ratios, spread, table
from benchmarks.reading.inference import (
    LEARNED_FROM,
    MODELS,
    OTHERS,
    THREADS,
    TOGETHER,
    Figures,
    Timing,
)
from benchmarks.reading.inference_opponents import INT8_SIDE
from benchmarks.reading.peak import SIDE
from inkdigits.evaluation.plots.style import BLUE, FONT, INK, MUTED, dress, figure_of
from inkdigits.reading.cascade import SURE_ENOUGH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WANTED = 200_000  # images a second of `tiny`: what it would take
SHOWN = ("tiny", "default")  # in the figure
FASTER = "ours is faster"
HEAD = (
    "",
    "",
    "one image, us",
    "p99, us",
    FASTER,
    "bulk, images/s",
    FASTER,
    "setting",
    "differs by",
)
SPLITS = ("validation", "test")
JUDGED = ("validation errors", "NLL", "test errors", "NLL")
INT8_AGAINST = {  # what is compared with our own in eight bits, and what the table calls it
    "inkdigits": "float32",
    "torch": "torch",
    "OpenVINO, f32": "OpenVINO, f32",
    "OpenVINO, its own precision": "its own precision",
    "OpenVINO, int8": "int8",
}


def ratio(values: list[float], by: list[float]) -> str:
    """Divide round by round."""
    return spread(ratios(values, by), ".2f")


def threads_of(count: int) -> str:
    """Return `1 thread` or `2 threads`."""
    return f"{count} thread{'s' * (count > 1)}"


def row(timing: Timing, reference: Timing, first: str) -> list[str]:
    """Return the cells of a timing. first: what is in front of them."""
    return [
        first,
        timing.side,
        spread(timing.one),
        f"{median(timing.one_p99):,.0f}",
        ratio(timing.one, reference.one),
        spread(timing.bulk),
        ratio(reference.bulk, timing.bulk),
        timing.setting,
        "-" if timing.difference is None else f"{timing.difference:.0e}",
    ]


def timing_tables(figures: Figures, groups: Iterable[str], title: str) -> Iterator[str]:
    """Yield a table for each number of threads. title: behind its heading."""
    for threads in THREADS:
        rows = []
        for group in groups:
            found = figures.of(group, threads)
            first = f"`{group}`" if group in MODELS else ""
            rows += [row(timing, found[0], first) for timing in found]

        yield from ("", f"### {threads_of(threads)}{title}", "", *table(HEAD, rows))


def runtimes_section(figures: Figures) -> list[str]:
    """Return the shipped models in several runtimes."""
    rounds = len(figures.timings[0].bulk)
    return [
        "## Reading: against other runtimes",
        "",
        f"Medians of {rounds} rounds in turn (lowest-highest); ratios round by round. uint8 images "
        "in, probabilities out.",
        "One image: a call with one image, the median of a round's calls; p99 likewise. Bulk: one "
        "call with many images.",
        "Differs by: the largest difference of a probability from ours. OpenVINO's own precision "
        "is bfloat16 where the",
        "processor has it, which is faster and less exact.",
        f"Measured by `benchmarks/reading/inference.py`, {in_words(figures.machine)}.",
        "",
        f"![images a second of each runtime, {THREADS[-1]} threads](images/inference.png)",
        *timing_tables(figures, MODELS, ""),
    ]


def peak_section(figures: Figures) -> list[str]:
    """Return how much of what the machine can multiply each model's multiplications take."""
    peak = {threads: max(values) for threads, values in figures.peak.items()}
    said = ", ".join(f"{value:,.0f} GFLOP/s with {threads}" for threads, value in peak.items())
    rows = []
    for model, count in figures.multiplications.items():
        cells = [f"`{model}`", f"{count:,}"]
        for threads in THREADS:
            rates = figures.of(model, threads)[0].bulk
            unit = peak[threads] / (2e-9 * count)
            cells.append(spread(rates, ".0%", unit))

        rows.append(cells)

    shares = [f"share, threads: {threads}" for threads in THREADS]
    lines = [
        "## Reading: share of the machine's peak",
        "",
        f"In the same run the best product of two float32 matrices of {SIDE}x{SIDE} reached, by "
        f"threads: {said}.",
        "A multiplication is counted with its addition, of convolutions and linear layers alone; "
        "the rest of the network",
        "takes time, but no share.",
        "",
        *table(["model", "multiplications", *shares], rows),
    ]
    if "tiny" in figures.multiplications:
        needed = 2e-9 * figures.multiplications["tiny"] * WANTED
        lines += [
            "",
            f"{WANTED:,} images a second of `tiny` would take {needed:,.0f} GFLOP/s:",
            f"{needed / peak[THREADS[-1]]:.1f} times that peak.",
        ]

    return lines


def int8_section(figures: Figures) -> list[str]:
    """Return what eight bits are worth, and what they cost."""
    rows = []
    for facts in figures.int8:
        for threads in THREADS:
            found = {timing.side: timing for timing in figures.of(facts["model"], threads)}
            own = found[INT8_SIDE]
            cells = [f"`{facts['model']}`, {threads}", f"{facts['bytes']:,}"]
            for side in INT8_AGAINST:
                timing = found.get(side)
                told = "-"
                if timing:
                    told = f"{ratio(timing.one, own.one)}, {ratio(own.bulk, timing.bulk)}"

                cells.append(told)

            for split in SPLITS:
                before = facts[split]
                after = facts["int8"][split]
                cells.append(f"{before['errors']}, {after['errors']} of {before['n']:,}")
                cells.append(f"{before['nll']:.4f}, {after['nll']:.4f}")

            rows.append(cells)

    return [
        "## Reading: in eight bits",
        "",
        "What `inkdigits export MODEL --int8` makes, in the rounds above: how many times as fast "
        "as our own float32 and as",
        "others, with one image, then with many. OpenVINO's int8 is the same file. Errors and NLL: "
        "in float32, then in",
        "eight bits.",
        "",
        *table(["model, threads", "bytes", *INT8_AGAINST.values(), *JUDGED], rows),
    ]


def others_section(figures: Figures) -> list[str]:
    """Return other networks beside `tiny`."""
    return [
        "## Reading: other networks",
        "",
        "What people compare with, in the same rounds: the reference recipes' networks in ONNX "
        "Runtime with its own settings",
        "(fresh weights, on which speed does not depend), and scikit-learn's, which learned from",
        f"{LEARNED_FROM:,} digits and say digits, not probabilities. Ours is `tiny`.",
        *timing_tables(figures, [OTHERS], ", other networks"),
    ]


def cascades_section(figures: Figures) -> list[str]:
    """Return speed and accuracy of cascades beside the last of their networks."""
    head = ["model"]
    for threads in THREADS:
        head += [f"bulk, {threads_of(threads)}", "times `best`"]

    rows = []
    for facts in figures.cascades:
        cells = [f"`{facts['model']}`"]
        for threads in THREADS:
            by_side = {timing.side: timing.bulk for timing in figures.of(TOGETHER, threads)}
            own = by_side[facts["model"]]
            cells += [spread(own), ratio(own, by_side["best"])]

        cells.append(", ".join(f"{share:.1%}" for share in facts["handed_on"]) or "-")
        for split in SPLITS:
            seen = facts[split]
            cells += [f"{seen['errors']} of {seen['n']:,}", f"{seen['nll']:.4f}"]

        rows.append(cells)

    return [
        "## Cascades",
        "",
        "Models joined by `+`: a digit goes on to the next where the one before gives no digit a "
        f"probability of {SURE_ENOUGH}.",
        "That was chosen on the validation digits; the test digits were read afterwards. Handed "
        "on: the share of the",
        "validation digits that reaches each network after the first. Bulk: images a second of "
        "validation digits, as above.",
        "",
        *table([*head, "handed on", *JUDGED], rows),
    ]


def sections(figures: Figures) -> list[str]:
    """Return all that is written."""
    made = (runtimes_section, peak_section, int8_section, others_section, cascades_section)
    return ["\n".join([*section(figures), ""]) for section in made]


def throughput_bars(figures: Figures) -> "Figure":
    """Draw images a second of each runtime with the most threads, a panel a model.

    Bars are medians, lines go from the lowest to the highest.
    """
    shown = [model for model in SHOWN if figures.of(model, THREADS[-1])]
    figure = figure_of(1.9 * len(shown), 6.4)
    for axes, model in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
        for timing in figures.of(model, THREADS[-1])[::-1]:
            middle = median(timing.bulk)
            most = max(timing.bulk)
            reach = [[middle - min(timing.bulk)], [most - middle]]
            colour = BLUE if timing.side.startswith("inkdigits") else MUTED
            style = {"color": colour, "height": 0.62, "ecolor": INK}
            axes.barh(timing.side, middle, xerr=reach, **style)
            place = {"textcoords": "offset points", "va": "center", "fontsize": FONT}
            axes.annotate(f"{middle:,.0f}", (most, timing.side), (5, 0), **place)

        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        dress(axes, f"{model}: images a second, {THREADS[-1]} threads", grid="x")

    return figure
