"""What a digit costs in training and in reading, by batch, digits, passes, parameters and threads; and how a digit's file compares.

Every point is timed once a round, for a moment, rounds in turn; a point is the median. Training is our loop with one thing changed
at a time, reading a shipped model in ONNX Runtime. A billion is multiplied, not run: docs/scale.md has read a million.

    python -m benchmarks.scale.growth --write docs/benchmarks.md
"""

import argparse
import dataclasses
import io
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.training.ladder_workers import use_processors
from benchmarks.training.reference_style import machine, spread, write_section
from inkdigits.core.formats import iter_images
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.plots.style import BLUE, FONT, MUTED, ORANGE, dress, figure_of
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.model_files import shipped_models
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.checkpoint import load_run
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.models import count_parameters
from inkdigits.training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADING = "## What a digit costs"
RECIPE, MODEL = "two-conv", "tiny"  # whose batch, digits, passes and threads are varied
NETWORKS = (
    "nano",
    "batchnorm",
    "tiny",
    "lenet",
    "two-conv",
    "dropout",
    "best",
)  # whose parameters are
BATCHES = (8, 32, 128, 512, 2048)
DIGITS = (2_000, 10_000, 55_000, 220_000)
PASSES = (1, 2, 4, 8)
BLOCK = 1024  # digits that are read at once, as `inkdigits read` does
MOMENT = 0.6  # seconds of a training in one round
BILLION = 10**9
Pixels = NDArray[np.uint8]


@dataclass
class Point:
    """One cost, measured round by round. panel: what is varied; side: train, read or decode; measure: seconds a digit."""

    panel: str
    side: str
    x: float
    measure: Callable[[], float]
    name: str = ""
    values: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Seconds a digit, the median."""
        return statistics.median(self.values)


def repeated(split: Split, count: int) -> Split:
    """`count` digits, over again where there are not as many."""
    return split[np.arange(count) % len(split)]


def cost_of_training(recipe: Recipe, digits: Split, threads: int, whole: bool = False) -> float:
    """Seconds a digit and pass: of a moment in the middle of a pass, or of the whole training with all that belongs to it."""
    torch.set_num_threads(threads)
    started = time.perf_counter()
    seen, first = 0.0, 0.0
    for record in fit(seeded_network(recipe, 0), recipe, digits, digits[:1], device="cpu"):
        now = time.perf_counter()
        if isinstance(record, Epoch):
            seen = record.epoch * len(digits)
        elif not whole:
            seen = (record.epoch - 1 + record.fraction) * len(digits)
            if not first and record.fraction < 1:
                started, first = now, seen  # the first report of several: kernels are made by then
            elif now - started > MOMENT:
                break
    return (time.perf_counter() - started) / (seen - first)


def cost_of_reading(recogniser: Recogniser, digits: Pixels, block: int) -> float:
    """Seconds a digit, over MOMENT / 3 or all digits."""
    recogniser.classify(digits[:block])
    started, seen = time.perf_counter(), 0
    while time.perf_counter() - started < MOMENT / 3:
        begin = seen % max(1, len(digits) - block)
        recogniser.classify(digits[begin : begin + block])
        seen += min(block, len(digits))
    return (time.perf_counter() - started) / seen


def varied(train: Split, threads: int) -> Iterator[Point]:
    """Training and reading, one thing changed at a time."""
    recipe, reader = _with(load_recipe(RECIPE), epochs=1), Recogniser(MODEL, threads)
    some = train.images[:10_000]
    for batch in BATCHES:
        yield Point(
            "digits a batch",
            "train",
            batch,
            partial(cost_of_training, _with(recipe, batch=batch), train, threads),
        )
        yield Point("digits a batch", "read", batch, partial(cost_of_reading, reader, some, batch))
    large = _with(
        load_recipe(MODEL), epochs=1, batch=512, teacher=()
    )  # so that a pass over the most digits gives reports in time
    for count in sorted({min(count, 4 * len(train)) for count in DIGITS}):
        digits = repeated(train, count)
        whole = len(digits) <= 10_000
        yield Point(
            "digits", "train", len(digits), partial(cost_of_training, large, digits, threads, whole)
        )
        yield Point(
            "digits", "read", len(digits), partial(cost_of_reading, reader, digits.images, BLOCK)
        )
    for passes in PASSES:
        several = _with(recipe, epochs=passes)
        yield Point(
            "passes",
            "train",
            passes,
            partial(cost_of_training, several, train[:2000], threads, whole=True),
        )
    for count in range(1, threads + 1):
        yield Point("threads", "train", count, partial(cost_of_training, recipe, train, count))
        yield Point(
            "threads",
            "read",
            count,
            partial(cost_of_reading, Recogniser(MODEL, count), some, BLOCK),
        )


def by_network(train: Split, threads: int) -> Iterator[Point]:
    """Training and reading of networks of several sizes."""
    for name in NETWORKS:
        recipe = _with(load_recipe(name), epochs=1, teacher=(), batch=128)
        size = count_parameters(seeded_network(recipe, 0))
        yield Point(
            "parameters", "train", size, partial(cost_of_training, recipe, train, threads), name
        )
    for name, size in models():
        reader = Recogniser(name, threads)
        yield Point(
            "parameters",
            "read",
            size,
            partial(cost_of_reading, reader, train.images[:10_000], BLOCK),
            name,
        )


def models() -> list[tuple[str, int]]:
    """Those that are shipped, with their numbers of parameters, the smallest first."""
    return sorted(
        ((name, count_parameters(load_run(name).network)) for name in shipped_models()),
        key=lambda item: item[1],
    )


def decoding(folder: Path, images: Pixels) -> Iterator[Point]:
    """From a digit's file, in the system's cache, to uint8 pixels, on one thread; and the networks on one thread beside it."""
    idx, npy, npz = (folder / name for name in ("digits", "digits.npy", "digits.npz"))
    idx.write_bytes(
        bytes([0, 0, 8, 3]) + np.array([len(images), 28, 28], ">u4").tobytes() + images.tobytes()
    )
    np.save(npy, images)
    np.savez_compressed(npz, images=images)
    pictures = [as_png(image) for image in images[:500]]
    ways: dict[str, tuple[Callable[[], Iterator[object]], int]] = {
        "IDX": (lambda: iter_images(idx, BLOCK), len(images)),
        "NPY": (lambda: iter_images(npy, BLOCK), len(images)),
        "NPZ, packed": (lambda: iter_images(npz, BLOCK), len(images)),
        "PNG, Pillow alone": (
            lambda: (np.asarray(Image.open(io.BytesIO(data))) for data in pictures),
            len(pictures),
        ),
        "PNG, with our checks": (lambda: map(open_picture, pictures), len(pictures)),
    }
    for place, (name, (decode, count)) in enumerate(ways.items()):
        yield Point("file", "decode", place, partial(cost_of_decoding, decode, count), name)
    for place, (name, _) in enumerate(models(), len(ways)):
        yield Point(
            "file",
            "read",
            place,
            partial(cost_of_reading, Recogniser(name, 1), images, BLOCK),
            f"the network `{name}`",
        )


def as_png(image: Pixels) -> bytes:
    """The file of one digit, (28, 28)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def cost_of_decoding(decode: Callable[[], Iterator[object]], count: int) -> float:
    """Seconds a digit of all of them."""
    started = time.perf_counter()
    for _ in decode():
        pass
    return (time.perf_counter() - started) / count


def _with(recipe: Recipe, **changes: object) -> Recipe:
    return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


def measure(points: Sequence[Point], rounds: int) -> None:
    """Every point once a round, every second round backwards."""
    for number in range(rounds):
        for point in points if number % 2 == 0 else points[::-1]:
            point.values.append(point.measure())
        print(f"round {number + 1} of {rounds}", file=sys.stderr)


def cost_table(points: Sequence[Point], panel: str) -> list[str]:
    """Microseconds a digit by what is varied."""
    chosen = [point for point in points if point.panel == panel]
    sides = [side for side in ("train", "read") if any(point.side == side for point in chosen)]
    head = [
        panel,
        *(f"to {side}, us a digit" + (" and pass" if side == "train" else "") for side in sides),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for key in sorted({(point.x, point.name) for point in chosen}):
        cells = []
        for side in sides:
            found = [
                point for point in chosen if (point.x, point.name) == key and point.side == side
            ]
            cells.append(
                spread([1e6 * value for value in found[0].values], ",.1f") if found else ""
            )
        lines.append(
            f"| {key[0]:,.0f}{f' (`{key[1]}`)' if key[1] else ''} | " + " | ".join(cells) + " |"
        )
    return lines


def power(points: Sequence[Point], panel: str, side: str) -> float:
    """The p for which all digits together cost n^p, by least squares over the logarithms."""
    chosen = [point for point in points if (point.panel, point.side) == (panel, side)]
    x, y = (np.log([getattr(point, name) for point in chosen]) for name in ("x", "cost"))
    return 1 + float(np.polyfit(x, y, 1)[0])


def file_table(points: Sequence[Point]) -> list[str]:
    """A digit's file against the networks, one thread."""
    files = [point for point in points if point.side == "decode"]
    networks = [point for point in points if point.panel == "file" and point.side == "read"]
    head = [
        "one thread",
        "us a digit",
        *(f"times {point.name.removeprefix('the network ')}'s" for point in networks),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for point in [*files, *networks]:
        shares = [
            f"{point.cost / network.cost:.2g}" if point.side == "decode" else ""
            for network in networks
        ]
        lines.append(
            "| "
            + " | ".join(
                [point.name, spread([1e6 * value for value in point.values], ",.2f"), *shares]
            )
            + " |"
        )
    over = [
        f"{', '.join(f.name for f in files if f.cost > n.cost) or 'nothing'} than {n.name}"
        for n in networks
    ]
    return [*lines, "", "Decoding takes longer: " + "; ".join(over) + "."]


def billion_table(points: Sequence[Point], threads: int) -> list[str]:
    """One pass of training, and one reading, of a billion digits."""
    lines = [f"| a billion digits, {threads} threads | hours | core-hours |", "|---|---|---|"]
    files = {point.name: point for point in points if point.side == "decode"}
    for point in points:
        if point.panel == "parameters":
            what = "one training pass of" if point.side == "train" else "read by"
            lines.append(
                f"| {what} `{point.name}` | {hours(point.cost):,.1f} | {threads * hours(point.cost):,.1f} |"
            )
    decoded = [(name, hours(files[name].cost)) for name in ("IDX", "PNG, with our checks")]
    return lines + [
        f"| decoded, {name}, one thread | {cost:,.1f} | {cost:,.1f} |" for name, cost in decoded
    ]


def hours(cost: float) -> float:
    """Of a billion digits at so many seconds a digit."""
    return cost * BILLION / 3600


def figure(points: Sequence[Point]) -> "Figure":
    """Small multiples: microseconds a digit against what is varied, both logarithmic."""
    drawing = figure_of(8.2, 7.2)
    from matplotlib.ticker import LogLocator

    grid = drawing.subplots(3, 2)
    for axes, panel in zip(
        grid.flat, ("digits a batch", "digits", "passes", "parameters", "threads"), strict=False
    ):
        for side, colour, marker in (("train", BLUE, "o"), ("read", ORANGE, "s")):
            chosen = sorted(
                (point for point in points if (point.panel, point.side) == (panel, side)),
                key=lambda point: point.x,
            )
            if chosen:
                x, y = [point.x for point in chosen], [1e6 * point.cost for point in chosen]
                bars = [
                    [1e6 * (p.cost - min(p.values)) for p in chosen],
                    [1e6 * (max(p.values) - p.cost) for p in chosen],
                ]
                axes.errorbar(
                    x,
                    y,
                    bars,
                    fmt=marker,
                    color=colour,
                    markersize=4,
                    elinewidth=1,
                    label=f"to {side}",
                )
                if panel != "parameters":  # which are not all that tells networks apart
                    axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.6)
        axes.set(xscale="log", yscale="log")
        dress(axes, panel, grid="both")
        ticks = sorted({point.x for point in points if point.panel == panel})
        if panel in ("passes", "threads"):
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        else:
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.minorticks_off()
        axes.margins(x=0.12, y=0.15)
        low, high = axes.get_ylim()
        axes.set_ylim(
            min(low, math.sqrt(low * high) / 3), max(high, math.sqrt(low * high) * 3)
        )  # what hardly varies looks so
    draw_files(grid.flat[-1], [point for point in points if point.panel == "file"])
    grid.flat[0].legend(frameon=False, fontsize=FONT - 1)
    drawing.supylabel("microseconds a digit", fontsize=FONT, color=MUTED)
    return drawing


def draw_files(axes: object, points: Sequence[Point]) -> None:
    """Bars of a digit's file and of the networks."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    names = [point.name.removeprefix("the network ").strip("`") for point in points]
    colours = [MUTED if point.side == "decode" else ORANGE for point in points]
    axes.barh(range(len(points)), [1e6 * point.cost for point in points], color=colours, height=0.7)
    axes.set_xscale("log")
    dress(axes, "file, or network", grid="x")
    axes.set_yticks(range(len(points)), names, parse_math=False)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.minorticks_off()


def section(points: Sequence[Point], facts: dict[str, str], threads: int, rounds: int) -> str:
    """Tables and figure."""
    panels = ("digits a batch", "digits", "passes", "threads", "parameters")
    to_train, to_read = (power(points, "digits", side) for side in ("train", "read"))
    return "\n".join(
        [
            HEADING,
            "",
            f"{rounds} rounds of a moment each, in turn: median (range). Unless it is varied, training is that of `{RECIPE}` in",
            f"its own batches (digits: `{MODEL}`, 512 a batch; parameters: 128 a batch), reading that of `{MODEL}` in blocks",
            f"of {BLOCK:,}, with {threads} threads. Measured by `benchmarks/scale/growth.py`,",
            ", ".join(map(": ".join, facts.items())) + ".",
            "",
            "![cost of a digit against batch, digits, passes, parameters and threads](images/scaling.png)",
            "",
            *itertools.chain.from_iterable([*cost_table(points, panel), ""] for panel in panels),
            f"All digits together cost n^{to_train:.2f} to train and n^{to_read:.2f} to read: with a power of one, as many times",
            "the digits are as many times the time; below one, what a training costs once still shows.",
            "",
            *file_table(points),
            "",
            *billion_table(points, threads),
            "",
            "That is arithmetic on what was measured; [scale.md](scale.md) reads a million through the whole command.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="of every point (default: 5)"
    )
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="at most (default: 2)")
    parser.add_argument(
        "--quick", action="store_true", help="one round, short moments: does it work?"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of tables"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE.md",
        help="put the section into this file, and the figure beside it",
    )
    options = parser.parse_args()
    use_processors(options.threads)
    train, rounds = load_dataset("mnist").train, options.rounds
    if options.quick:
        globals()["MOMENT"], train, rounds = 0.02, train[:1000], 1
    with tempfile.TemporaryDirectory() as folder:
        files = decoding(Path(folder), train.images[:20_000])
        points = [*varied(train, options.threads), *by_network(train, options.threads), *files]
        measure(points, rounds)
    facts = machine(torch.device("cpu")) | {"threads": str(options.threads)}
    text = section(points, facts, options.threads, rounds)
    if options.json:
        found = [
            {"panel": p.panel, "side": p.side, "x": p.x, "name": p.name, "seconds": p.values}
            for p in points
        ]
        print(json.dumps({"machine": facts, "points": found}))
    else:
        print(text)
    if options.write:
        write_section(options.write, text)
        (options.write.parent / "images").mkdir(exist_ok=True)
        figure(points).savefig(options.write.parent / "images" / "scaling.png", dpi=160)


if __name__ == "__main__":
    main()
