"""What a digit costs in training and in reading, by how many there are.

Every point is timed once a round, for a moment, rounds in turn; a point is the median. Training is
our loop, reading a shipped model in ONNX Runtime. docs/scale.md has read a million through the
whole command.

    python -m benchmarks.scale.growth --write docs/benchmarks.md
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    command_line,
    in_words,
    machine,
    publish,
    spread,
    table,
    turns,
    use_processors,
)
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.reading.recogniser import Recogniser
from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.recipe import load_recipe

MODEL = "tiny"  # whose digits are varied
BATCH = 512  # of its training, so that a pass over the most digits reports in time
DIGITS = (2_000, 10_000, 55_000, 220_000)
WHOLE = 10_000  # digits at most, over which a whole pass is timed
BLOCK = 1024  # digits that are read at once, as `inkdigits read` does
THREADS = 2
Pixels = NDArray[np.uint8]


@dataclass
class Point:
    """One cost, measured round by round.

    Attributes:
        side: train or read.
        count: how many digits there are.
        measure: returns seconds a digit.
        values: what was measured.
    """

    side: str
    count: int
    measure: Callable[[], float]
    values: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Return the median of the seconds a digit."""
        return statistics.median(self.values)


def chosen(points: Sequence[Point], side: str) -> list[Point]:
    """Return the points of one side, in the order of measuring."""
    return [point for point in points if point.side == side]


# ---- what is measured


def training(digits: Split, moment: float) -> float:
    """Return the seconds a digit, of a whole pass over few, of a moment in it over many."""
    recipe = dataclasses.replace(load_recipe(MODEL), epochs=1, batch=BATCH, teacher=())
    started = time.perf_counter()
    seen = first = 0.0
    for record in fit(seeded_network(recipe, 0), recipe, digits, digits[:1], device="cpu"):
        now = time.perf_counter()
        if isinstance(record, Epoch):
            seen = len(digits)
        elif len(digits) > WHOLE:
            seen = record.fraction * len(digits)
            if not first and record.fraction < 1:  # kernels are made by then
                started = now
                first = seen
            elif now - started > moment:
                break

    return (time.perf_counter() - started) / (seen - first)


def reading(recogniser: Recogniser, digits: Pixels, moment: float) -> float:
    """Return the seconds a digit, over a third of a moment."""
    recogniser.classify(digits[:BLOCK])
    started = time.perf_counter()
    seen = 0
    while time.perf_counter() - started < moment / 3:
        begin = seen % max(1, len(digits) - BLOCK)
        recogniser.classify(digits[begin : begin + BLOCK])
        seen += min(BLOCK, len(digits))

    return (time.perf_counter() - started) / seen


def by_count(train: Split, moment: float) -> Iterator[Point]:
    """Train and read with more and more digits."""
    reader = Recogniser(MODEL, THREADS)
    for count in sorted({min(count, 4 * len(train)) for count in DIGITS}):
        digits = train[np.arange(count) % len(train)]
        yield Point("train", count, partial(training, digits, moment))
        yield Point("read", count, partial(reading, reader, digits.images, moment))


# ---- what is told


def count_table(points: Sequence[Point]) -> list[str]:
    """Return microseconds a digit by how many there are."""
    pairs = zip(chosen(points, "train"), chosen(points, "read"), strict=True)
    rows = [
        (f"{one.count:,}", spread(one.values, ",.1f", 1e-6), spread(two.values, ",.1f", 1e-6))
        for one, two in pairs
    ]
    return table(("digits", "to train, us a digit and pass", "to read, us a digit"), rows)


def power(points: Sequence[Point], side: str) -> float:
    """Return the p for which all digits together cost n^p, by least squares over logarithms."""
    found = chosen(points, side)
    x = np.log([point.count for point in found])
    return 1 + float(np.polyfit(x, np.log([point.cost for point in found]), 1)[0])


def section(points: Sequence[Point], rounds: int) -> str:
    """Return the section of docs/benchmarks.md."""
    facts = machine("torch", "numpy", threads=THREADS, device="cpu")
    to_train, to_read = (power(points, side) for side in ("train", "read"))
    lines = "\n".join(count_table(points))
    return f"""## What a digit costs

{rounds} rounds of a moment each, in turn: median (range). `{MODEL}` trains in batches of {BATCH}
and reads in blocks of {BLOCK:,}, with {THREADS} threads. Measured by `benchmarks/scale/growth.py`,
{in_words(facts)}.

{lines}

All digits together cost n^{to_train:.2f} to train and n^{to_read:.2f} to read: with a power of one,
as many times the digits are as many times the time; below one, what a training costs once still
shows.

[scale.md](scale.md) reads a million through the whole command.
"""


def main() -> None:
    """Measure, print, and write where asked."""
    parser = command_line(__doc__, rounds=5, quick="one round, short moments: does it work?")
    options = parser.parse_args()
    use_processors(THREADS)
    train = load_dataset("mnist").train
    moment = 0.6
    rounds = options.rounds
    if options.quick:
        train = train[:1000]
        moment = 0.02
        rounds = 1

    points = list(by_count(train, moment))
    for _, point in turns(points, rounds - 1):
        point.values.append(point.measure())

    publish(section(points, rounds), options.write)


if __name__ == "__main__":
    main()
