"""Many pictures: memory and speed of `inkdigits read`, and of a local Ray cluster of two workers.

The digits are MNIST's 70,000, over and over again up to a million. Rounds alternate; answers are
compared on the way. A billion is multiplied, not read. Memory can be measured on a busy machine,
speed cannot.

    python -m benchmarks.scale.cluster --write docs/scale.md
"""

import bz2
import gzip
import itertools
import logging
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import (
    command_line,
    in_turn,
    in_words,
    machine,
    run_measured,
    spread,
    table,
    write_between,
)
from inkdigits.data.datasets import load_dataset
from inkdigits.data.synthetic.pages import write_pages
from inkdigits.reading.cluster import DigitReader, find_shards, read_dataset
from inkdigits.reading.network import processors

Images = NDArray[np.uint8]
Writer = Callable[[Path, Images, int], object]

WORKERS = 2
SHARD = 10_000  # digits in a Parquet file
FAST = "nano"  # for memory, which no model of ours changes by much
PNGS = 4000  # MNIST's as files, a round
PAGES = 40  # drawn, a round
PRICE = 0.04  # assumed dollars a core-hour
COMMAND = "from inkdigits.command.cli import main; import sys; assert not main(sys.argv[1:])"
ALONE = "the shards one after another, without Ray"


# ---- files of digits


def repeated(digits: Images, count: int) -> Iterator[Images]:
    """Yield `count` digits, in blocks of at most all of them."""
    for start in range(0, count, len(digits)):
        yield digits[: count - start]


def write_idx(
    path: Path, digits: Images, count: int, pack: Callable[[bytes], bytes] = bytes
) -> None:
    """Write an IDX file, packed block by block, as gzip and bzip2 both allow."""
    with path.open("wb") as file:
        header = bytes([0, 0, 8, 3]) + np.array([count, 28, 28], ">u4").tobytes()
        file.write(pack(header))
        whole = pack(digits.tobytes())
        for block in repeated(digits, count):
            file.write(whole if len(block) == len(digits) else pack(block.tobytes()))


def write_csv(path: Path, digits: Images, count: int) -> None:
    """Write 784 pixels a line, as Kaggle has them."""
    lines = [",".join(map(str, image.tolist())) + "\n" for image in digits.reshape(-1, 784)]
    with path.open("w") as file:
        file.write(",".join(f"pixel{index}" for index in range(784)) + "\n")
        for block in repeated(digits, count):
            file.writelines(lines[: len(block)])


def write_folder(path: Path, digits: Images, count: int) -> None:
    """Write a tenth as many PNG files; a thousand different ones, each under many names."""
    path.mkdir()
    for index in range(count // 10):
        name = path / f"{index:07}.png"
        if index < 1000:
            Image.fromarray(digits[index]).save(name)
        else:
            name.hardlink_to(path / f"{index % 1000:07}.png")


def whole(digits: Images, count: int) -> Images:
    """Return `count` digits in one array."""
    return np.concatenate(list(repeated(digits, count)))


def gzipped(data: bytes) -> bytes:
    """Pack quickly."""
    return gzip.compress(data, 1)


def bzipped(data: bytes) -> bytes:
    """Pack quickly."""
    return bz2.compress(data, 1)


KINDS: dict[str, Writer] = {
    "digits-ubyte": write_idx,
    "digits-ubyte.gz": lambda path, digits, count: write_idx(path, digits, count, gzipped),
    "digits-ubyte.bz2": lambda path, digits, count: write_idx(path, digits, count, bzipped),
    "digits.npy": lambda path, digits, count: np.save(path, whole(digits, count)),
    "digits.npz": lambda path, digits, count: np.savez_compressed(
        path, images=whole(digits, count)
    ),
    "digits.csv": write_csv,
    "folder": write_folder,
}


def write_shards(folder: Path, digits: Images, count: int) -> Path:
    """Write Parquet files of SHARD digits each."""
    folder.mkdir()
    every = itertools.cycle(digits)
    for index, start in enumerate(range(0, count, SHARD)):
        images = [image.tobytes() for image in itertools.islice(every, min(SHARD, count - start))]
        shard = pa.table({"image": pa.array(images, pa.binary(784))})
        pq.write_table(shard, folder / f"{index:04}.parquet")

    return folder


# ---- measuring


def read(*arguments: object) -> tuple[float, int]:
    """Return seconds and peak bytes of `inkdigits read --json`, in a process of its own."""
    return run_measured(COMMAND, "read", "--json", *arguments)


def rate(count: int, seconds: Sequence[float]) -> str:
    """Return images per second."""
    return spread(count / value for value in seconds)


def memory(folder: Path, digits: Images, count: int) -> list[str]:
    """Measure the peak memory for a tenth and for all, with each kind of file."""
    rows = []
    for kind, write in KINDS.items():
        path = folder / kind
        peaks = []
        for some in (count // 10, count):
            write(path, digits, some)
            peaks.append(f"{read(path, '--model', FAST)[1] / 1e6:.0f} MB")
            files = list(path.iterdir()) if path.is_dir() else [path]
            size = sum(file.stat().st_size for file in files)
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)

        name = f"`{kind}`"
        if kind == "folder":
            name = f"a folder of {count // 100:,} and {count // 10:,} PNG files"

        rows.append((name, *peaks, f"{size / 1e6:,.0f} MB"))

    title = f"Peak memory of `inkdigits read --json --model {FAST}`, {processors()} threads:"
    head = ("", f"{count // 10:,} digits", f"{count:,} digits", "on disk")
    return [title, "", *table(head, rows)]


def jobs(folder: Path, digits: Images, count: int, rounds: int) -> list[str]:
    """Measure what two threads gain, by kind of input."""
    write_idx(folder / "digits-ubyte", digits, count)
    write_folder(folder / "png", digits, 10 * PNGS)
    write_pages(folder / "pages", PAGES)
    pages = sum(path.suffix in (".jpg", ".png") for path in (folder / "pages").rglob("*"))
    rows = []
    for what, name, number in (
        (f"{count:,} digits in an IDX file", "digits-ubyte", count),
        (f"{PNGS:,} PNG files of 28x28", "png", PNGS),
        (f"{pages} pictures of handwriting", "pages", pages),
    ):
        path = folder / name
        sides = {
            "1": lambda path=path: read(path, "--jobs", 1)[0],
            "2": lambda path=path: read(path, "--jobs", 2)[0],
        }
        one, two = in_turn(sides, rounds).values()
        ratio = statistics.median(one) / statistics.median(two)
        rows.append((what, rate(number, one), rate(number, two), f"{ratio:.2f}"))

    title = (
        "`inkdigits read --json`, pictures per second, start of the process included; median "
        f"(range) of {rounds}:"
    )
    return [title, "", *table(("", "`--jobs 1`", "`--jobs 2`", "ratio of medians"), rows)]


def empty(folder: Path) -> Path:
    """Delete what is finished in a folder."""
    for path in folder.glob("*.parquet"):
        path.unlink()

    return folder


def one_after_another(shards: Path, out: Path) -> float:
    """Return the seconds that one process, with one thread, takes for shards."""
    started = time.perf_counter()
    reader = DigitReader()
    for shard in find_shards(shards, out):
        shard.read(reader)

    return time.perf_counter() - started


def start_ray() -> None:
    """Start a quiet cluster of WORKERS processors on 127.0.0.1 alone."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    quiet = logging.ERROR
    logging.getLogger("ray.data").setLevel(quiet)
    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level=quiet, log_to_driver=False)


def cluster(folder: Path, digits: Images, part: int, count: int, rounds: int) -> list[str]:
    """Compare two Ray workers with one process without Ray, and with the command."""
    start_ray()
    some = write_shards(folder / "some", digits, part)
    everything = write_shards(folder / "all", digits, count)
    out = folder / "out"
    alone = folder / "alone"
    idx = folder / "some-ubyte"
    write_idx(idx, digits, part)
    sides: dict[str, Callable[[], float]] = {
        "`inkdigits read --json`, 2 threads": lambda: read(idx, "--jobs", WORKERS)[0],
        ALONE: lambda: one_after_another(some, empty(alone)),
        f"`read_dataset`, {WORKERS} workers": lambda: (
            read_dataset(some, empty(out), workers=WORKERS).seconds
        ),
    }
    taken = in_turn(sides, rounds)
    pairs = [(pq.read_table(path), pq.read_table(alone / path.name)) for path in out.glob("*.p*")]
    same = all(one.equals(other) for one, other in pairs)
    base = statistics.median(taken[ALONE])
    rows = [
        (name, rate(part, seconds), f"{base / statistics.median(seconds):.2f}")
        for name, seconds in taken.items()
    ]

    summary = read_dataset(everything, empty(out), workers=WORKERS)
    assert summary.pictures == count, summary
    again = read_dataset(everything, out, workers=WORKERS)
    hours = summary.seconds / count * 1e9 * WORKERS / 3600
    return [
        f"{part:,} digits in {-(-part // SHARD)} Parquet files, digits per second; median (range) "
        f"of {rounds}:",
        "",
        *table(("", "digits/s", "ratio"), rows),
        "",
        f"Answers of the last two: {'the same, row by row' if same else 'DIFFERENT'}.",
        "",
        f"All {count:,}, in {summary.shards} files, once: {summary.seconds:.0f} s, "
        f"{count / summary.seconds:,.0f} digits/s.",
        f"Started again, it found {again.finished_before} of them finished and was done after "
        f"{again.seconds:.1f} s. A billion at",
        f"this rate: {hours:,.0f} core-hours, at an assumed {PRICE:.2f} dollars each "
        f"{hours * PRICE:,.2f} dollars.",
    ]


def main() -> None:
    """Measure, print, and write where asked."""
    names = ("memory", "jobs", "cluster")
    parser = command_line(__doc__, rounds=5)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--images", type=int, default=1_000_000, help="digits (default: a million)")
    parser.add_argument("--part", type=int, default=100_000, help="of a round (default: 100,000)")
    options = parser.parse_args()
    mnist = load_dataset("mnist", download=False)
    digits = np.concatenate([mnist[split].images for split in ("train", "validation", "test")])
    facts = machine("onnxruntime", "opencv-python-headless", "numpy", "pyarrow", "ray")
    made = f"Measured by `benchmarks/scale/cluster.py`, {in_words(facts)}."
    measure: dict[str, Callable[[Path], list[str]]] = {
        "memory": lambda folder: memory(folder, digits, options.images),
        "jobs": lambda folder: jobs(folder, digits, options.part, options.rounds),
        "cluster": lambda folder: cluster(
            folder, digits, options.part, options.images, options.rounds
        ),
    }
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            lines = measure[name](Path(folder))

        print("\n".join(lines), flush=True)
        if options.write:
            write_between(options.write, name, "\n".join([*lines, "", made]))


if __name__ == "__main__":
    main()
