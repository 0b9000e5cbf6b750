"""What reading promises, measured: MNIST through pictures, other sets of digits, pictures of nothing, time and memory.

MNIST's test images are measured here; nothing is chosen by them. Everything goes through `Recogniser.read`, on one thread of one
processor. A promise that is not kept is a MISS, and the exit status is 1.

    python -m benchmarks.reading.promises --write docs/reading.md
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.handwriting.measure import machine, write_section
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
    saved,
)
from inkdigits.core.errors import InkdigitsError
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.data.store import at_hand, default_data_dir, entry_of, read_checked
from inkdigits.evaluation.metrics import percent, wilson_interval
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Recogniser

MOST_LOST = 0.05  # points of accuracy against `classify`
LEAST_OF_OTHERS = 0.97  # of the digits of other sets
LONGEST_SMALL, LONGEST_PHOTO = 0.2, 250.0  # milliseconds
MOST_MEMORY = 400.0  # MiB, of a process that reads one photo
PRINTS = (None, "ruled", "squared", "boxed")  # on the sheet in the photo
READS = 1000  # of 28x28 pixels, a round
TITLE = """# Reading

What reading promises, and whether it keeps it. Measured by `benchmarks/reading/promises.py`, which says how, through `Recogniser.read` on
one thread of one processor. MNIST's test images are measured here; nothing was chosen by them.
"""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, on n pictures. kept: whether it is as `wanted`; None where nothing is promised."""

    what: str
    n: int
    measured: str
    wanted: str = ""
    kept: bool | None = None

    @property
    def verdict(self) -> str:
        """PASS, MISS or nothing."""
        return "" if self.kept is None else "PASS" if self.kept else "MISS"


@dataclass(frozen=True)
class Sizes:
    """How many pictures: of MNIST, of MNIST where reading takes long, of other sets, of each kind of nothing; and rounds timed."""

    mnist: int = 10_000
    drawings: int = 10_000
    others: int = 2_000
    nothing: int = 250
    rounds: int = 7


QUICK = Sizes(mnist=12, drawings=6, others=6, nothing=6, rounds=1)


@dataclass(frozen=True)
class Answers:
    """What was read in pictures of one digit each. digits: (N,) best guesses, -1 where nothing was found. accepted: (N,) bool.

    probabilities: (N, 10), zeros where nothing was found.
    """

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    probabilities: NDArray[np.float32]

    def accuracy(self, labels: NDArray[np.uint8]) -> float:
        """The share of best guesses that are right."""
        return float((self.digits == labels).mean())


def answers(recogniser: Recogniser, images: Pixels, way: Way, *, single: bool = True) -> Answers:
    """Read each image, handed over in this way. Of several candidates on a page the surest counts."""
    digits, accepted = np.full(len(images), -1), np.zeros(len(images), np.bool_)
    probabilities = np.zeros((len(images), 10), np.float32)
    for number, image in enumerate(images):
        best = max(
            recogniser.read(way(image), single).digits,
            key=lambda digit: digit.confidence,
            default=None,
        )
        if best is not None and best.probabilities is not None:
            digits[number], accepted[number], probabilities[number] = (
                best.digit,
                best.accepted,
                best.probabilities,
            )
    return Answers(digits, accepted, probabilities)


# ---- MNIST as pictures


def mnist_as_pictures(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """MNIST's test images as files and as drawings, against `classify`, which is given each image alone."""
    test = load_dataset("mnist", download=False).test
    images, labels = test.images[: sizes.mnist], test.labels[: sizes.mnist]
    probabilities = np.concatenate([recogniser.classify(image) for image in images])
    right = probabilities.argmax(axis=1) == labels
    yield Figure("`classify`", len(images), percent(float(right.mean())))
    ways: dict[str, Way] = {
        "an array": lambda pixels: pixels,
        "an array, inverted": lambda pixels: 255 - pixels,
    }
    for name, way in (ways | LOSSLESS).items():
        read = answers(recogniser, images, way)
        differ = int((read.probabilities != probabilities).any(axis=1).sum())
        yield _against(
            right,
            read,
            labels,
            f"28x28, {name}",
            f", {differ} with other probabilities",
            "none",
            kept=differ == 0,
        )
    for name, way in ROUNDED.items():
        off = max(_levels_off(image, way) for image in images)
        said = f", pixels up to {off} grey level off"
        yield _against(
            right,
            answers(recogniser, images, way),
            labels,
            f"28x28, {name}",
            said,
            "1 level",
            kept=off <= 1,
        )
    for name, way in LOSSY.items():
        read = answers(recogniser, images[: sizes.others], way)
        yield _information(right, read, labels, f"28x28, {name}")
    images, labels, right = (
        images[: sizes.drawings],
        labels[: sizes.drawings],
        right[: sizes.drawings],
    )
    for name, drawn in DRAWINGS.items():
        yield _against(right, answers(recogniser, images, drawn), labels, f"200 px, {name}")
    for name, drawn in DRAWINGS.items():
        read = answers(recogniser, images[: sizes.others], drawn, single=False)
        yield _information(right, read, labels, f"200 px, {name}, as a page")


def _against(
    right: NDArray[np.bool_],
    read: Answers,
    labels: NDArray[np.uint8],
    what: str,
    also: str = "",
    wish: str = "",
    *,
    kept: bool = True,
) -> Figure:
    """The accuracy against that of `classify`. right: where the latter is. also, wish, kept: what else is promised."""
    lost = 100 * (float(right.mean()) - read.accuracy(labels))
    wanted = f"loss <= {MOST_LOST}" + (f", {wish}" if wish else "")
    measured = f"{percent(read.accuracy(labels))}, loss {lost:+.2f}{also}"
    return Figure(what, len(labels), measured, wanted, kept and lost <= MOST_LOST + 1e-9)


def _information(
    right: NDArray[np.bool_], read: Answers, labels: NDArray[np.uint8], what: str
) -> Figure:
    count = len(read.digits)
    lost = 100 * (float(right[:count].mean()) - read.accuracy(labels[:count]))
    return Figure(what, count, f"{percent(read.accuracy(labels[:count]))}, loss {lost:+.2f}")


def _levels_off(image: Pixels, way: Way) -> int:
    return int(np.abs(open_picture(way(image)).pixels.astype(int) - image).max())


# ---- other sets


def other_sets(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Small digits that fill their picture, as files of their own size and enlarged."""
    for name, (images, labels) in _small_digits(sizes).items():
        for how, shown in SMALL.items():
            read = answers(
                recogniser,
                images,
                lambda pixels, shown=shown: saved(Image.fromarray(shown(pixels)), "PNG"),
            )  # type: ignore[misc]
            accuracy = read.accuracy(labels)
            low, high = wilson_interval(round(accuracy * len(labels)), len(labels))
            measured = f"{percent(accuracy)} ({100 * low:.1f}-{100 * high:.1f}), {percent(float(read.accepted.mean()))} accepted"
            yield Figure(
                f"{name}, {how}",
                len(labels),
                measured,
                f">= {LEAST_OF_OTHERS:.0%}",
                accuracy >= LEAST_OF_OTHERS,
            )


def _small_digits(sizes: Sizes) -> dict[str, tuple[Pixels, NDArray[np.uint8]]]:
    """Light digits on dark by name of the set. USPS's own are among them where its file lies at hand."""
    from sklearn.datasets import load_digits

    digits, test = load_digits(), load_dataset("mnist", download=False).test[: sizes.others]
    sets = {
        "optdigits (8x8)": (
            (digits.images * (255 / 16)).round().astype(np.uint8),
            digits.target.astype(np.uint8),
        ),
        "USPS-like (16x16)": (np.array([like_usps(image) for image in test.images]), test.labels),
        "USPS-like, stretched (16x16)": (
            np.array([like_usps(image, stretched=True) for image in test.images]),
            test.labels,
        ),
    }
    file, folder = entry_of("usps").files[1], default_data_dir() / "usps"
    if at_hand(folder, file):
        rows = read_checked(folder, file)[0]  # the label 1 to 10, then pixels from -1 to 1
        sets["USPS (16x16)"] = (
            np.rint((rows[:, 1:] + 1) * 127.5).astype(np.uint8).reshape(-1, 16, 16),
            (rows[:, 0] - 1).astype(np.uint8),
        )
    return {
        name: (images[: sizes.others], labels[: sizes.others])
        for name, (images, labels) in sets.items()
    }


# ---- nothing


def pictures_of_nothing(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Nothing is accepted where there is nothing, whether or not there may be several digits."""
    for kind in NOTHING:
        accepted = {True: 0, False: 0}
        for number in range(sizes.nothing):
            for single in accepted:
                accepted[single] += any(
                    digit.accepted
                    for digit in recogniser.read(nothing(kind, number), single).digits
                )
        measured = f"{accepted[True]} accepted with --single, {accepted[False]} without"
        yield Figure(kind, sizes.nothing, measured, "0", not any(accepted.values()))


# ---- cost


def cost(recogniser: Recogniser, sizes: Sizes) -> Iterator[Figure]:
    """Milliseconds of processor time and MiB of memory. Who else uses the machine makes little difference to the former."""
    images = load_dataset("mnist", download=False).test.images[: READS if sizes.rounds > 1 else 50]
    for name, way in {"28x28, arrays": None, "28x28, PNG": LOSSLESS["PNG, grey"]}.items():
        sources = [way(image) if way else image for image in images]
        yield _timed(
            name,
            [partial(recogniser.read, source, single=True) for source in sources],
            LONGEST_SMALL,
            sizes.rounds,
        )
    for print_ in PRINTS:
        name = f"12-megapixel photo, {print_ or 'blank'} sheet"
        file = photo(print_)
        for single in (False, True):
            how = f"{name}, --single" if single else name
            yield _timed(
                how, [partial(recogniser.read, file, single=single)], LONGEST_PHOTO, sizes.rounds
            )
        used = _memory(file, recogniser.path)
        yield Figure(
            f"{name}, memory",
            1,
            f"{used:.0f} MiB",
            f"<= {MOST_MEMORY:.0f} MiB",
            used <= MOST_MEMORY,
        )


def _timed(what: str, calls: Sequence[Callable[[], object]], limit: float, rounds: int) -> Figure:
    """The median over the calls, of which each round makes all once; of the rounds the median, the lowest and the highest."""
    calls[0]()
    medians = [statistics.median(_milliseconds(call) for call in calls) for _ in range(rounds)]
    middle = statistics.median(medians)
    measured = f"{middle:.3g} ms ({min(medians):.3g}-{max(medians):.3g})"
    return Figure(what, len(calls) * rounds, measured, f"<= {limit:g} ms", middle <= limit)


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return 1000 * (time.thread_time() - start)


READ_ALONE = """
import resource, sys
from pathlib import Path
from inkdigits.reading.recogniser import Recogniser
Recogniser(sys.argv[2], threads=1).read(sys.argv[1])
status = Path("/proc/self/status")
if status.is_file():
    print(int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""  # Linux hands ru_maxrss on from the process that starts another; VmHWM is the new one's own. macOS counts bytes


def _memory(file: bytes, model: Path) -> float:
    """The most MiB that a new process has in memory that reads this file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(file)
        command = [sys.executable, "-c", READ_ALONE, str(path), str(model)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# ---- all of it


GROUPS: dict[str, Callable[[Recogniser, Sizes], Iterator[Figure]]] = {
    "cost": cost,
    "MNIST as pictures": mnist_as_pictures,
    "other sets of digits": other_sets,
    "pictures of nothing": pictures_of_nothing,
}


def section(name: str, model: str, figures: Sequence[Figure]) -> str:
    """A group's figures as a section of docs/reading.md."""
    facts = ", ".join(map(": ".join, machine().items()))
    lines = [
        f"## {name}",
        "",
        f"Model `{model}`. {facts}.",
        "",
        "| what | n | measured | wanted | |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {item.what} | {item.n:,} | {item.measured} | {item.wanted} | {item.verdict} |"
        for item in figures
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write where asked. Returns 0 where all promises are kept, 1 where one is not, 2 on errors."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "--model",
        default="default",
        metavar="M",
        help="a shipped model's name, a run folder, or an .onnx file",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=GROUPS,
        metavar="GROUP",
        help=f"one of {', '.join(GROUPS)}; repeatable",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few pictures of each kind, to see that everything works",
    )
    parser.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="draw at most N of MNIST's test images, which takes longest",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the figures into this file, too"
    )
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except InkdigitsError as error:
        print(f"reading.py: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """Everything that the options ask for, group by group."""
    use_one_processor()
    recogniser = Recogniser(options.model, threads=1)
    sizes = QUICK if options.quick else Sizes()
    sizes = replace(sizes, drawings=min(sizes.drawings, options.count or sizes.drawings))
    measured: dict[str, list[Figure]] = {}
    for name in options.only or GROUPS:
        measured[name] = []
        for figure in GROUPS[name](recogniser, sizes):
            measured[name].append(figure)
            if not options.json:
                print(
                    f"{figure.verdict or '-':4}  {name}: {figure.what}, n {figure.n:,}: {figure.measured}",
                    flush=True,
                )
        if options.write:
            if not options.write.is_file():
                write_whole(options.write, TITLE)
            write_section(options.write, section(name, options.model, measured[name]))
    missed = [figure for figures in measured.values() for figure in figures if figure.kept is False]
    if options.json:
        groups = {
            name: [asdict(figure) for figure in figures] for name, figures in measured.items()
        }
        print(
            json.dumps(
                {
                    "model": options.model,
                    "machine": machine(),
                    "missed": len(missed),
                    "groups": groups,
                }
            )
        )
    else:
        print(
            f"{len(missed)} of {sum(f.kept is not None for fs in measured.values() for f in fs)} promises missed"
        )
    return 1 if missed else 0


def use_one_processor() -> None:
    """For this process and those that it starts, where the system can."""
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    sys.exit(main())
