"""The figures of benchmarks/reading/inference.py as sections of docs/benchmarks.md, and its bars."""

from statistics import median
from typing import TYPE_CHECKING

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
from benchmarks.training.reference_style import spread
from inkdigits.evaluation.plots.style import BLUE, FONT, INK, MUTED, dress, figure_of
from inkdigits.reading.cascade import SURE_ENOUGH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WANTED = 200_000  # images a second of `tiny`: what it would take
SHOWN = ("tiny", "default")  # in the figure


def ratios(values: list[float], by: list[float]) -> str:
    """Round by round, one over the other."""
    return spread([value / other for value, other in zip(values, by, strict=True)], ".2f")


def row(timing: Timing, reference: Timing, first: str) -> str:
    """A line of a table. first: what stands in front of it."""
    cells = [
        first,
        timing.side,
        spread(timing.one, ",.0f"),
        f"{median(timing.one_p99):,.0f}",
        ratios(timing.one, reference.one),
    ]
    cells += [spread(timing.bulk, ",.0f"), ratios(reference.bulk, timing.bulk)]
    difference = "-" if timing.difference is None else f"{timing.difference:.0e}"
    return f"| {' | '.join([*cells, timing.setting, difference])} |"


HEAD = [
    "| | | one image, us | p99, us | ours is faster | bulk, images/s | ours is faster | setting | differs by |",
    "|---|---|---|---|---|---|---|---|---|",
]


def runtimes_section(figures: Figures) -> str:
    """The shipped models in several runtimes."""
    rounds = len(figures.timings[0].bulk)
    lines = [
        "## Reading: against other runtimes",
        "",
        f"Medians of {rounds} rounds in turn (lowest-highest); ratios round by round. uint8 images in, probabilities out.",
        "One image: a call with one image, the median of a round's calls; p99 likewise. Bulk: one call with many images.",
        "Differs by: the largest difference of a probability from ours. OpenVINO's own precision is bfloat16 where the",
        "processor has it, which is faster and less exact.",
        f"Measured by `benchmarks/reading/inference.py`, {', '.join(map(': '.join, figures.machine.items()))}.",
        "",
        f"![images a second of each runtime, {THREADS[-1]} threads](images/inference.png)",
    ]
    for threads in THREADS:
        lines += ["", f"### {threads} thread{'s' * (threads > 1)}", "", *HEAD]
        for model in MODELS:
            found = figures.of(model, threads)
            lines += [row(timing, found[0], f"`{model}`") for timing in found]
    return "\n".join([*lines, ""])


def peak_section(figures: Figures) -> str:
    """How much of what the machine can multiply each model's multiplications take."""
    peak = {threads: max(values) for threads, values in figures.peak.items()}
    said = ", ".join(f"{values:,.0f} GFLOP/s with {threads}" for threads, values in peak.items())
    lines = [
        "## Reading: share of the machine's peak",
        "",
        f"In the same run the best product of two float32 matrices of {SIDE}x{SIDE} reached, by threads: {said}.",
        "A multiplication is counted with its addition, of convolutions and linear layers alone; the rest of the network",
        "takes time, but no share.",
        "",
        f"| model | multiplications | {' | '.join(f'share, threads: {threads}' for threads in THREADS)} |",
        "|---|---|" + "---|" * len(THREADS),
    ]
    for model, count in figures.multiplications.items():
        shares = []
        for threads in THREADS:
            reached = [
                2e-9 * count * rate / peak[threads]
                for rate in figures.of(model, threads, "inkdigits")[0].bulk
            ]
            shares.append(spread(reached, ".0%"))
        lines.append(f"| `{model}` | {count:,} | {' | '.join(shares)} |")
    if "tiny" in figures.multiplications:
        needed = 2e-9 * figures.multiplications["tiny"] * WANTED
        lines += [
            "",
            f"{WANTED:,} images a second of `tiny` would take {needed:,.0f} GFLOP/s:",
            f"{needed / peak[THREADS[-1]]:.1f} times that peak.",
        ]
    return "\n".join([*lines, ""])


def int8_section(figures: Figures) -> str:
    """What eight bits are worth, and what they cost."""
    lines = [
        "## Reading: in eight bits",
        "",
        "What `inkdigits export MODEL --int8` makes, in the rounds above: how many times as fast as our own float32 and as",
        "others, with one image, then with many. OpenVINO's int8 is the same file. Errors and NLL: in float32, then in",
        "eight bits.",
        "",
        "| model, threads | bytes | float32 | torch | OpenVINO, f32 | its own precision | int8 "
        "| validation errors | NLL | test errors | NLL |",
        "|---|" + "---|" * 10,
    ]
    for facts in figures.int8:
        for threads in THREADS:
            found = {timing.side: timing for timing in figures.of(facts["model"], threads)}
            own = found[INT8_SIDE]
            cells = [f"`{facts['model']}`, {threads}", f"{facts['bytes']:,}"]
            for side in (
                "inkdigits",
                "torch",
                "OpenVINO, f32",
                "OpenVINO, its own precision",
                "OpenVINO, int8",
            ):
                timing = found.get(side)
                cells.append(
                    f"{ratios(timing.one, own.one)}, {ratios(own.bulk, timing.bulk)}"
                    if timing
                    else "-"
                )
            for split in ("validation", "test"):
                before, after = facts[split], facts["int8"][split]
                cells += [
                    f"{before['errors']}, {after['errors']} of {before['n']:,}",
                    f"{before['nll']:.4f}, {after['nll']:.4f}",
                ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def others_section(figures: Figures) -> str:
    """Other networks beside `tiny`."""
    lines = [
        "## Reading: other networks",
        "",
        "What people compare with, in the same rounds: the reference recipes' networks in ONNX Runtime with its own settings",
        "(fresh weights, on which speed does not depend), and scikit-learn's, which learned from",
        f"{LEARNED_FROM:,} digits and say digits, not probabilities. Ours is `tiny`.",
    ]
    for threads in THREADS:
        lines += ["", f"### {threads} thread{'s' * (threads > 1)}, other networks", "", *HEAD]
        found = figures.of(OTHERS, threads)
        lines += [row(timing, found[0], "") for timing in found]
    return "\n".join([*lines, ""])


def cascades_section(figures: Figures) -> str:
    """Speed and accuracy of cascades beside the last of their networks."""
    lines = [
        "## Cascades",
        "",
        f"Models joined by `+`: a digit goes on to the next where the one before gives no digit a probability of {SURE_ENOUGH}.",
        "That was chosen on the validation digits; the test digits were read afterwards. Handed on: the share of the",
        "validation digits that reaches each network after the first. Bulk: images a second of validation digits, as above.",
        "",
        "| model | "
        + " | ".join(
            f"bulk, {threads} thread{'s' * (threads > 1)} | times `best`" for threads in THREADS
        )
        + " | handed on | validation errors | NLL | test errors | NLL |",
        "|---|" + "---|" * (2 * len(THREADS) + 5),
    ]
    for facts in figures.cascades:
        cells = [f"`{facts['model']}`"]
        for threads in THREADS:
            best, own = (
                figures.of(TOGETHER, threads, str(name))[0] for name in ("best", facts["model"])
            )
            cells += [spread(own.bulk, ",.0f"), ratios(own.bulk, best.bulk)]
        cells.append(", ".join(f"{share:.1%}" for share in facts["handed_on"]) or "-")
        for split in ("validation", "test"):
            seen = facts[split]
            cells += [f"{seen['errors']} of {seen['n']:,}", f"{seen['nll']:.4f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def sections(figures: Figures) -> list[str]:
    """All that is written."""
    made = (runtimes_section, peak_section, int8_section, others_section, cascades_section)
    return [section(figures) for section in made]


def throughput_bars(figures: Figures) -> "Figure":
    """Images a second of each runtime with the most threads, a panel a model; bars of medians, lines from lowest to highest."""
    shown = [model for model in SHOWN if figures.of(model, THREADS[-1])]
    figure = figure_of(1.9 * len(shown), 6.4)
    for axes, model in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
        found = figures.of(model, THREADS[-1])[::-1]
        middle = [median(timing.bulk) for timing in found]
        reach = [
            [value - min(timing.bulk) for value, timing in zip(middle, found, strict=True)],
            [max(timing.bulk) - value for value, timing in zip(middle, found, strict=True)],
        ]
        colours = [BLUE if timing.side.startswith("inkdigits") else MUTED for timing in found]
        axes.barh(
            [timing.side for timing in found],
            middle,
            xerr=reach,
            color=colours,
            height=0.62,
            ecolor=INK,
        )
        for place, (value, timing) in enumerate(zip(middle, found, strict=True)):
            axes.annotate(
                f"{value:,.0f}",
                (max(timing.bulk), place),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=FONT,
            )
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        dress(axes, f"{model}: images a second, {THREADS[-1]} threads", grid="x")
    return figure
