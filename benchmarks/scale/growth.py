"""What a digit costs in training and in reading, by batch, digits, passes, parameters and threads.

Every point is timed once a round, for a moment, rounds in turn; a point is the median. Training is
our loop with one thing changed at a time, reading a shipped model in ONNX Runtime; decoding a
digit's file is compared with both. A billion is multiplied, not run: docs/scale.md has read a
million.

    python -m benchmarks.scale.growth --write docs/benchmarks.md
"""

import dataclasses
import io
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import (
    command_line,
    encoded,
    in_words,
    machine,
    publish,
    spread,
    table,
    turns,
    use_processors,
)
from inkdigits.core.formats import iter_images
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.plots.style import BLUE, FONT, MUTED, ORANGE, dress, figure_of
from inkdigits.reading.model_files import shipped_models
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.checkpoint import load_run
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.models import count_parameters
from inkdigits.training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECIPE = "two-conv"  # whose batch, passes and threads are varied
MODEL = "tiny"  # whose digits are, and which reads
NETWORKS = ("nano", "batchnorm", "tiny", "lenet", "two-conv", "dropout", "best")
BATCHES = (8, 32, 128, 512, 2048)
DIGITS = (2_000, 10_000, 55_000, 220_000)
PASSES = (1, 2, 4, 8)
PANELS = ("digits a batch", "digits", "passes", "threads", "parameters")
BLOCK = 1024  # digits that are read at once, as `inkdigits read` does
BILLION_HOURS = 10**9 / 3600
Pixels = NDArray[np.uint8]


@dataclass
class Point:
    """One cost, measured round by round.

    Attributes:
        panel: what is varied.
        side: train, read or decode.
        x: the value of what is varied.
        measure: returns seconds a digit.
        name: of a network or a file.
        values: what was measured.
    """

    panel: str
    side: str
    x: float
    measure: Callable[[], float]
    name: str = ""
    values: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Return the median of the seconds a digit."""
        return statistics.median(self.values)

    @property
    def microseconds(self) -> list[float]:
        """Return the microseconds a digit of each round."""
        return [1e6 * value for value in self.values]


def chosen(points: Sequence[Point], panel: str, side: str) -> list[Point]:
    """Return the points of one side in a panel, from left to right."""
    found = [point for point in points if (point.panel, point.side) == (panel, side)]
    return sorted(found, key=lambda point: point.x)


# ---- what is measured


@dataclass(frozen=True)
class Bench:
    """What all measurements share. moment: seconds of a training in one round."""

    train: Split
    threads: int
    moment: float

    def training(self, recipe: Recipe, digits: Split, threads: int, whole: bool = False) -> float:
        """Return the seconds a digit and pass, of a moment in a pass or of the whole training."""
        torch.set_num_threads(threads)
        started = time.perf_counter()
        seen = first = 0.0
        for record in fit(seeded_network(recipe, 0), recipe, digits, digits[:1], device="cpu"):
            now = time.perf_counter()
            if isinstance(record, Epoch):
                seen = record.epoch * len(digits)
                continue

            if whole:
                continue

            seen = (record.epoch - 1 + record.fraction) * len(digits)
            if not first and record.fraction < 1:  # kernels are made by then
                started = now
                first = seen
            elif now - started > self.moment:
                break

        return (time.perf_counter() - started) / (seen - first)

    def reading(self, recogniser: Recogniser, digits: Pixels, block: int) -> float:
        """Return the seconds a digit, over a third of a moment."""
        recogniser.classify(digits[:block])
        started = time.perf_counter()
        seen = 0
        while time.perf_counter() - started < self.moment / 3:
            begin = seen % max(1, len(digits) - block)
            recogniser.classify(digits[begin : begin + block])
            seen += min(block, len(digits))

        return (time.perf_counter() - started) / seen

    def points(self, folder: Path) -> Iterator[Point]:
        """Yield everything that is measured. folder: for files of digits."""
        yield from self._varied()
        yield from self._by_network()
        yield from self._by_file(folder, self.train.images[:20_000])

    def _varied(self) -> Iterator[Point]:
        """Change one thing at a time."""
        recipe = _with(load_recipe(RECIPE), epochs=1)
        reader = Recogniser(MODEL, self.threads)
        some = self.train.images[:10_000]
        for batch in BATCHES:
            other = _with(recipe, batch=batch)
            training = partial(self.training, other, self.train, self.threads)
            yield Point("digits a batch", "train", batch, training)
            reading = partial(self.reading, reader, some, batch)
            yield Point("digits a batch", "read", batch, reading)

        # So that a pass over the most digits reports in time.
        large = _with(load_recipe(MODEL), epochs=1, batch=512, teacher=())
        for count in sorted({min(count, 4 * len(self.train)) for count in DIGITS}):
            digits = self.train[np.arange(count) % len(self.train)]
            training = partial(self.training, large, digits, self.threads, count <= 10_000)
            yield Point("digits", "train", count, training)
            yield Point(
                "digits", "read", count, partial(self.reading, reader, digits.images, BLOCK)
            )

        for passes in PASSES:
            several = _with(recipe, epochs=passes)
            training = partial(self.training, several, self.train[:2000], self.threads, whole=True)
            yield Point("passes", "train", passes, training)

        for count in range(1, self.threads + 1):
            yield Point(
                "threads", "train", count, partial(self.training, recipe, self.train, count)
            )
            reading = partial(self.reading, Recogniser(MODEL, count), some, BLOCK)
            yield Point("threads", "read", count, reading)

    def _by_network(self) -> Iterator[Point]:
        """Train and read with networks of several sizes."""
        for name in NETWORKS:
            recipe = _with(load_recipe(name), epochs=1, teacher=(), batch=128)
            size = count_parameters(seeded_network(recipe, 0))
            training = partial(self.training, recipe, self.train, self.threads)
            yield Point("parameters", "train", size, training, name)

        for size, name in models():
            reader = Recogniser(name, self.threads)
            reading = partial(self.reading, reader, self.train.images[:10_000], BLOCK)
            yield Point("parameters", "read", size, reading, name)

    def _by_file(self, folder: Path, images: Pixels) -> Iterator[Point]:
        """Decode a digit's file, in the system's cache, on one thread, and read on one thread."""
        idx = folder / "digits"
        npy = folder / "digits.npy"
        npz = folder / "digits.npz"
        idx.write_bytes(idx_header(len(images)) + images.tobytes())
        np.save(npy, images)
        np.savez_compressed(npz, images=images)
        pictures = [encoded(image) for image in images[:500]]
        ways: list[tuple[str, Callable[[], Iterator[object]], int]] = [
            ("IDX", partial(iter_images, idx, BLOCK), len(images)),
            ("NPY", partial(iter_images, npy, BLOCK), len(images)),
            ("NPZ, packed", partial(iter_images, npz, BLOCK), len(images)),
            ("PNG, Pillow alone", lambda: map(by_pillow, pictures), len(pictures)),
            ("PNG, with our checks", lambda: map(open_picture, pictures), len(pictures)),
        ]
        for place, (name, decode, count) in enumerate(ways):
            yield Point("file", "decode", place, partial(cost_of_decoding, decode, count), name)

        for place, (_, name) in enumerate(models(), len(ways)):
            reading = partial(self.reading, Recogniser(name, 1), images, BLOCK)
            yield Point("file", "read", place, reading, f"`{name}`")


def models() -> list[tuple[int, str]]:
    """Return the shipped models with their numbers of parameters, the smallest first."""
    return sorted((count_parameters(load_run(name).network), name) for name in shipped_models())


def idx_header(count: int) -> bytes:
    """Return the header of an IDX file of images."""
    return bytes([0, 0, 8, 3]) + np.array([count, 28, 28], ">u4").tobytes()


def by_pillow(data: bytes) -> NDArray[Any]:
    """Decode a picture with Pillow alone."""
    return np.asarray(Image.open(io.BytesIO(data)))


def cost_of_decoding(decode: Callable[[], Iterator[object]], count: int) -> float:
    """Return the seconds a digit when all are decoded."""
    started = time.perf_counter()
    for _ in decode():
        pass

    return (time.perf_counter() - started) / count


def _with(recipe: Recipe, **changes: object) -> Recipe:
    return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


# ---- what is told


def cost_table(points: Sequence[Point], panel: str) -> list[str]:
    """Return microseconds a digit by what is varied."""
    by_side = {side: chosen(points, panel, side) for side in ("train", "read")}
    cells: dict[tuple[float, str], dict[str, str]] = {}
    for side, found in by_side.items():
        for point in found:
            cells.setdefault((point.x, point.name), {})[side] = spread(point.microseconds, ",.1f")

    heads = {"train": "to train, us a digit and pass", "read": "to read, us a digit"}
    sides = [side for side, found in by_side.items() if found]
    rows = []
    for x, name in sorted(cells):
        first = f"{x:,.0f} (`{name}`)" if name else f"{x:,.0f}"
        rows.append([first, *(cells[x, name].get(side, "") for side in sides)])

    return table([panel, *(heads[side] for side in sides)], rows)


def power(points: Sequence[Point], panel: str, side: str) -> float:
    """Return the p for which all digits together cost n^p, by least squares over logarithms."""
    found = chosen(points, panel, side)
    x = np.log([point.x for point in found])
    return 1 + float(np.polyfit(x, np.log([point.cost for point in found]), 1)[0])


def file_table(points: Sequence[Point]) -> list[str]:
    """Return a digit's file against the networks, on one thread."""
    files = chosen(points, "file", "decode")
    networks = chosen(points, "file", "read")
    rows = []
    for point in files:
        shares = [f"{point.cost / network.cost:.2g}" for network in networks]
        rows.append([point.name, spread(point.microseconds, ",.2f"), *shares])

    for network in networks:
        blank = [""] * len(networks)
        rows.append([f"the network {network.name}", spread(network.microseconds, ",.2f"), *blank])

    over = []
    for network in networks:
        longer = [file.name for file in files if file.cost > network.cost]
        over.append(f"{', '.join(longer) or 'nothing'} than the network {network.name}")

    head = ["one thread", "us a digit", *(f"times {network.name}'s" for network in networks)]
    return [*table(head, rows), "", f"Decoding takes longer: {'; '.join(over)}."]


def billion_table(points: Sequence[Point], threads: int) -> list[str]:
    """Return the hours of one pass of training, and of one reading, of a billion digits."""
    rows = []
    for side, what in (("train", "one training pass of"), ("read", "read by")):
        for point in chosen(points, "parameters", side):
            taken = hours(point.cost)
            rows.append((f"{what} `{point.name}`", f"{taken:,.1f}", f"{threads * taken:,.1f}"))

    for point in chosen(points, "file", "decode"):
        if point.name in ("IDX", "PNG, with our checks"):
            alone = f"{hours(point.cost):,.1f}"
            rows.append((f"decoded, {point.name}, one thread", alone, alone))

    return table((f"a billion digits, {threads} threads", "hours", "core-hours"), rows)


def hours(cost: float) -> float:
    """Return the hours of a billion digits at so many seconds a digit."""
    return cost * BILLION_HOURS


def figure(points: Sequence[Point]) -> "Figure":
    """Draw small multiples: microseconds a digit against what is varied, both logarithmic."""
    drawing = figure_of(8.2, 7.2)
    grid = drawing.subplots(3, 2)
    for axes, panel in zip(grid.flat, PANELS, strict=False):
        draw_panel(axes, points, panel)

    draw_files(grid.flat[-1], [point for point in points if point.panel == "file"])
    grid.flat[0].legend(frameon=False, fontsize=FONT - 1)
    drawing.supylabel("microseconds a digit", fontsize=FONT, color=MUTED)
    return drawing


def draw_panel(axes: Any, points: Sequence[Point], panel: str) -> None:
    """Draw the costs of training and reading against what is varied."""
    from matplotlib.ticker import LogLocator

    for side, colour, marker in (("train", BLUE, "o"), ("read", ORANGE, "s")):
        found = chosen(points, panel, side)
        x = [point.x for point in found]
        y = np.array([statistics.median(point.microseconds) for point in found])
        low = [min(point.microseconds) for point in found]
        high = [max(point.microseconds) for point in found]
        # Parameters are not all that tells networks apart: no line joins them.
        line = "" if panel == "parameters" else "-"
        style = {"color": colour, "marker": marker, "linestyle": line, "label": f"to {side}"}
        axes.errorbar(x, y, [y - low, high - y], markersize=4, linewidth=1.1, **style)

    axes.set(xscale="log", yscale="log")
    dress(axes, panel, grid="both")
    if panel in ("passes", "threads"):
        ticks = sorted({point.x for point in points if point.panel == panel})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.15)
    low, high = axes.get_ylim()
    middle = math.sqrt(low * high)
    axes.set_ylim(min(low, middle / 3), max(high, middle * 3))  # what hardly varies looks so


def draw_files(axes: Any, points: Sequence[Point]) -> None:
    """Draw bars of a digit's file and of the networks."""
    places = range(len(points))
    colours = [MUTED if point.side == "decode" else ORANGE for point in points]
    axes.barh(places, [1e6 * point.cost for point in points], color=colours, height=0.7)
    axes.set_xscale("log")
    dress(axes, "file, or network", grid="x")
    axes.set_yticks(places, [point.name.strip("`") for point in points], parse_math=False)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.minorticks_off()


def section(points: Sequence[Point], threads: int, rounds: int) -> str:
    """Return the section of docs/benchmarks.md."""
    facts = machine("torch", "numpy", threads=threads, device="cpu")
    to_train, to_read = (power(points, "digits", side) for side in ("train", "read"))
    tables = [line for panel in PANELS for line in [*cost_table(points, panel), ""]]
    return "\n".join(
        [
            "## What a digit costs",
            "",
            f"{rounds} rounds of a moment each, in turn: median (range). Unless it is varied, "
            f"training is that of `{RECIPE}` in",
            f"its own batches (digits: `{MODEL}`, 512 a batch; parameters: 128 a batch), reading "
            f"that of `{MODEL}` in blocks",
            f"of {BLOCK:,}, with {threads} threads. Measured by `benchmarks/scale/growth.py`,",
            f"{in_words(facts)}.",
            "",
            "![cost of a digit against batch, digits, passes, parameters and threads]"
            "(images/scaling.png)",
            "",
            *tables,
            f"All digits together cost n^{to_train:.2f} to train and n^{to_read:.2f} to read: with "
            "a power of one, as many times",
            "the digits are as many times the time; below one, what a training costs once still "
            "shows.",
            "",
            *file_table(points),
            "",
            *billion_table(points, threads),
            "",
            "That is arithmetic on what was measured; [scale.md](scale.md) reads a million through "
            "the whole command.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = command_line(__doc__, rounds=5, quick="one round, short moments: does it work?")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="at most (default: 2)")
    options = parser.parse_args()
    use_processors(options.threads)
    train = load_dataset("mnist").train
    bench = Bench(train, options.threads, 0.6)
    if options.quick:
        bench = Bench(train[:1000], options.threads, 0.02)
        options.rounds = 1

    with tempfile.TemporaryDirectory() as folder:
        points = list(bench.points(Path(folder)))
        for _, point in turns(points, options.rounds - 1):
            point.values.append(point.measure())

    text = section(points, options.threads, options.rounds)
    publish(text, options.write, {"scaling": figure(points)})


if __name__ == "__main__":
    main()
