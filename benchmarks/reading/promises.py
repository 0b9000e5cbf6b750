"""What reading promises, measured: MNIST as pictures, other digits, pictures of nothing, and cost.

MNIST's test images are measured here; nothing is chosen by them. Everything goes through
`Recogniser.read`, on one thread of one processor. A promise that is not kept is a MISS, and the
exit status is 1.

    python -m benchmarks.reading.promises --write docs/reading.md
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import (
    command_line,
    encoded,
    in_words,
    machine,
    run_measured,
    table,
    use_processors,
    write_section,
)
from benchmarks.reading.pictures import (
    DRAWINGS,
    LOSSLESS,
    LOSSY,
    NOTHING,
    ROUNDED,
    SMALL,
    Pixels,
    Way,
    like_usps,
    nothing,
    photo,
)
from inkdigits.core.errors import InkdigitsError
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import percent, wilson_interval
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Recogniser

MOST_LOST = 0.05  # points of accuracy against `classify`
LEAST_OF_OTHERS = 0.97  # of the digits of other sets
LONGEST_SMALL = 0.2  # milliseconds
LONGEST_PHOTO = 250.0  # milliseconds
MOST_MEMORY = 400.0  # MiB, of a process that reads one photo
PRINTS = (None, "ruled", "squared", "boxed")  # on the sheet in the photo
READS = 1000  # of 28x28 pixels, a round
READ_ALONE = """
import sys
from inkdigits.reading.recogniser import Recogniser
Recogniser(sys.argv[2], threads=1).read(sys.argv[1])
"""
TITLE = """# Reading

What reading promises, and whether it keeps it. Measured by `benchmarks/reading/promises.py`, which
says how, through `Recogniser.read` on one thread of one processor. MNIST's test images are measured
here; nothing was chosen by them.
"""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured on n pictures.

    kept: whether it is as expected; None where nothing is promised.
    """

    what: str
    n: int
    measured: str
    expected: str = ""
    kept: bool | None = None

    @property
    def verdict(self) -> str:
        """Return PASS, MISS or nothing."""
        return {True: "PASS", False: "MISS", None: ""}[self.kept]


@dataclass(frozen=True)
class Sizes:
    """How many pictures.

    Attributes:
        mnist: of MNIST.
        drawings: of MNIST where reading takes long.
        others: of other sets.
        nothing: of each kind of nothing.
        rounds: that are timed.
    """

    mnist: int = 10_000
    drawings: int = 10_000
    others: int = 2_000
    nothing: int = 250
    rounds: int = 7


QUICK = Sizes(mnist=12, drawings=6, others=6, nothing=6, rounds=1)


@dataclass(frozen=True)
class Answers:
    """What was read in pictures of one digit each.

    Attributes:
        digits: (N,) best guesses, -1 where nothing was found.
        accepted: (N,) bool.
        probabilities: (N, 10), zeros where nothing was found.
    """

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    probabilities: NDArray[np.float32]

    def accuracy(self, labels: NDArray[np.uint8]) -> float:
        """Return the share of best guesses that are right."""
        return float((self.digits == labels).mean())


def answers(recogniser: Recogniser, images: Pixels, way: Way, *, single: bool = True) -> Answers:
    """Read each image, handed over in this way. Of several candidates the surest counts."""
    digits = np.full(len(images), -1)
    accepted = np.zeros(len(images), np.bool_)
    probabilities = np.zeros((len(images), 10), np.float32)
    for number, image in enumerate(images):
        found = recogniser.read(way(image), single).digits
        best = max(found, key=lambda digit: digit.confidence, default=None)
        if best is not None and best.probabilities is not None:
            digits[number] = best.digit
            accepted[number] = best.accepted
            probabilities[number] = best.probabilities

    return Answers(digits, accepted, probabilities)


# ---- MNIST as pictures


class AgainstClassify:
    """MNIST's test images as pictures, against `classify`, which is given each image alone."""

    def __init__(self, recogniser: Recogniser, test: Split) -> None:
        self.recogniser = recogniser
        self.test = test
        self.probabilities = np.concatenate([recogniser.classify(image) for image in test.images])
        self.right = self.probabilities.argmax(axis=1) == test.labels

    def read(self, way: Way, count: int, single: bool = True) -> tuple[Answers, float, str]:
        """Read the first images; return the answers, the points lost, and both in words."""
        found = answers(self.recogniser, self.test.images[:count], way, single=single)
        accuracy = found.accuracy(self.test.labels[:count])
        lost = 100 * (float(self.right[:count].mean()) - accuracy)
        return found, lost, f"{percent(accuracy)}, loss {lost:+.2f}"

    def promise(
        self, what: str, read: tuple[Answers, float, str], also: str = "", expected: str = ""
    ) -> Figure:
        """Judge a promise: little accuracy lost, and what else is expected."""
        found, lost, told = read
        limit = f"loss <= {MOST_LOST}{expected}"
        return Figure(what, len(found.digits), told + also, limit, lost <= MOST_LOST + 1e-9)


def mnist_as_pictures(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Measure MNIST's test images as files and as drawings."""
    test = load_dataset("mnist", download=False).test[: sizes.mnist]
    against = AgainstClassify(recogniser, test)
    yield Figure("`classify`", len(test), percent(float(against.right.mean())))
    for name, way in LOSSLESS.items():
        read = against.read(way, len(test))
        differ = int((read[0].probabilities != against.probabilities).any(axis=1).sum())
        also = f", {differ} with other probabilities"
        figure = against.promise(f"28x28, {name}", read, also, ", none")
        yield replace(figure, kept=figure.kept and differ == 0)

    for name, way in ROUNDED.items():
        off = max(_levels_off(image, way) for image in test.images)
        also = f", pixels up to {off} grey level off"
        figure = against.promise(f"28x28, {name}", against.read(way, len(test)), also, ", 1 level")
        yield replace(figure, kept=figure.kept and off <= 1)

    for name, way in LOSSY.items():
        found, _, told = against.read(way, sizes.others)
        yield Figure(f"28x28, {name}", len(found.digits), told)

    for name, drawn in DRAWINGS.items():
        yield against.promise(f"200 px, {name}", against.read(drawn, sizes.drawings))

    for name, drawn in DRAWINGS.items():
        count = min(sizes.others, sizes.drawings)
        found, _, told = against.read(drawn, count, single=False)
        yield Figure(f"200 px, {name}, as a page", len(found.digits), told)


def _levels_off(image: Pixels, way: Way) -> int:
    return int(np.abs(open_picture(way(image)).pixels.astype(int) - image).max())


# ---- other sets


def other_sets(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Measure small digits that fill their picture, of their own size and enlarged."""
    for name, (images, labels) in _small_digits(sizes.others).items():
        for how, shown in SMALL.items():
            way = partial(_shown, shown)
            read = answers(recogniser, images[: sizes.others], way)
            count = len(read.digits)
            accuracy = read.accuracy(labels[:count])
            low, high = wilson_interval(round(accuracy * count), count)
            interval = f"{percent(accuracy)} ({100 * low:.1f}-{100 * high:.1f})"
            yield Figure(
                f"{name}, {how}",
                count,
                f"{interval}, {percent(float(read.accepted.mean()))} accepted",
                f">= {LEAST_OF_OTHERS:.0%}",
                accuracy >= LEAST_OF_OTHERS,
            )


def _shown(change: Callable[[Pixels], Pixels], image: Pixels) -> bytes:
    return encoded(change(image))


def _small_digits(count: int) -> dict[str, tuple[Pixels, NDArray[np.uint8]]]:
    """Return light digits on dark by name of the set."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    test = load_dataset("mnist", download=False).test[:count]
    plain = np.array([like_usps(image) for image in test.images])
    wide = np.array([like_usps(image, stretched=True) for image in test.images])
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)
    return {
        "optdigits (8x8)": (pixels, digits.target.astype(np.uint8)),
        "USPS-like (16x16)": (plain, test.labels),
        "USPS-like, stretched (16x16)": (wide, test.labels),
    }


# ---- nothing


def pictures_of_nothing(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Accept nothing in pictures of nothing, whether or not there may be several digits."""
    for kind in NOTHING:
        counts = []
        for single in (True, False):
            # As pictures of Pillow's: an array of 784 columns would be digits, a row each.
            pictures = (Image.fromarray(nothing(kind, number)) for number in range(sizes.nothing))
            readings = (recogniser.read(picture, single) for picture in pictures)
            counts.append(
                sum(any(digit.accepted for digit in reading.digits) for reading in readings)
            )

        measured = f"{counts[0]} accepted with --single, {counts[1]} without"
        yield Figure(kind, sizes.nothing, measured, "0", not any(counts))


# ---- cost


def cost(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Measure milliseconds of processor time, and MiB of memory.

    What else runs on the machine makes little difference to the former.
    """
    count = READS if sizes.rounds > 1 else 50
    images = load_dataset("mnist", download=False).test.images[:count]
    files = [LOSSLESS["PNG, grey"](image) for image in images]
    for name, sources in (("28x28, arrays", list(images)), ("28x28, PNG", files)):
        calls = [partial(recogniser.read, source, single=True) for source in sources]
        yield _timed(name, calls, LONGEST_SMALL, sizes.rounds)

    for print_ in PRINTS:
        name = f"12-megapixel photo, {print_ or 'blank'} sheet"
        file = photo(print_)
        for single, how in ((False, name), (True, f"{name}, --single")):
            call = partial(recogniser.read, file, single=single)
            yield _timed(how, [call], LONGEST_PHOTO, sizes.rounds)

        used = _memory(file, recogniser.path)
        limit = f"<= {MOST_MEMORY:.0f} MiB"
        yield Figure(f"{name}, memory", 1, f"{used:.0f} MiB", limit, used <= MOST_MEMORY)


def _timed(what: str, calls: Sequence[Callable[[], object]], limit: float, rounds: int) -> Figure:
    """Time all calls once a round; of the medians of the rounds tell the median and the range."""
    calls[0]()
    medians = [statistics.median(_milliseconds(call) for call in calls) for _ in range(rounds)]
    middle = statistics.median(medians)
    measured = f"{middle:.3g} ms ({min(medians):.3g}-{max(medians):.3g})"
    return Figure(what, len(calls) * rounds, measured, f"<= {limit:g} ms", middle <= limit)


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return 1000 * (time.thread_time() - start)


def _memory(file: bytes, model: Path) -> float:
    """Return the most MiB that a new process has in memory that reads this file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(file)
        return run_measured(READ_ALONE, path, model)[1] / 2**20


# ---- all of it


GROUPS: dict[str, Callable[[Recogniser, Sizes], Iterator[Figure]]] = {
    "cost": cost,
    "MNIST as pictures": mnist_as_pictures,
    "other sets of digits": other_sets,
    "pictures of nothing": pictures_of_nothing,
}


def section(name: str, model: str, figures: Sequence[Figure]) -> str:
    """Return a group's figures as a section of docs/reading.md."""
    facts = machine("onnxruntime", "opencv-python-headless", "numpy", threads=1)
    rows = [
        (item.what, f"{item.n:,}", item.measured, item.expected, item.verdict) for item in figures
    ]
    lines = table(("what", "n", "measured", "expected", ""), rows)
    return "\n".join([f"## {name}", "", f"Model `{model}`. {in_words(facts)}.", "", *lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write where asked.

    Returns:
        0 where all promises are kept, 1 where one is not, 2 on errors.
    """
    parser = command_line(__doc__, quick="a few pictures of each kind, to see that it works")
    model = "a shipped model's name, a run folder, or an .onnx file"
    parser.add_argument("--model", default="default", metavar="M", help=model)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    count = "draw at most N of MNIST's test images, which takes longest"
    parser.add_argument("--count", type=int, default=Sizes.drawings, metavar="N", help=count)
    options = parser.parse_args(arguments)
    use_processors(1)
    cv2.setNumThreads(1)
    sizes = QUICK if options.quick else replace(Sizes(), drawings=options.count)
    try:
        recogniser = Recogniser(options.model, threads=1)
        verdicts = []
        for name in options.only:
            figures = _measured(name, recogniser, sizes)
            verdicts += [figure.verdict for figure in figures]
            if options.write:
                write_section(options.write, section(name, options.model, figures), TITLE)
    except InkdigitsError as error:
        print(f"promises: {error}", file=sys.stderr)
        return 2

    missed = verdicts.count("MISS")
    print(f"{missed} of {missed + verdicts.count('PASS')} promises missed")
    return 1 if missed else 0


def _measured(name: str, recogniser: Recogniser, sizes: Sizes) -> list[Figure]:
    """Measure a group, and print each figure."""
    figures = []
    for figure in GROUPS[name](recogniser, sizes):
        figures.append(figure)
        told = f"{name}: {figure.what}, n {figure.n:,}: {figure.measured}"
        print(f"{figure.verdict or '-':4}  {told}", flush=True)

    return figures


if __name__ == "__main__":
    sys.exit(main())
