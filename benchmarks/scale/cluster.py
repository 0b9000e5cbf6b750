"""Many pictures: the memory and the speed of `inkdigits read`, and of a local Ray cluster of two workers, on a million digits.

The digits are MNIST's 70,000, one after the other and over again. Rounds alternate; answers are compared on the way. A billion is
multiplied, not read. Memory can be measured on a busy machine, speed cannot.

    python -m benchmarks.scale.cluster --write docs/scale.md
"""

import argparse
import bz2
import gzip
import itertools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from benchmarks.handwriting.measure import machine
from inkdigits.core.errors import BadData
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.data.synthetic.pages import write_pages
from inkdigits.reading.cluster import DigitReader, Shard, find_shards, read_dataset
from inkdigits.reading.network import processors

Images = NDArray[np.uint8]

WORKERS = 2
SHARD = 10_000  # digits in a Parquet file
FAST = "nano"  # for memory, which no model of ours changes by much
PNGS, PAGES = 4000, 40  # pictures a round: MNIST's as files, and drawn pages
# Peak memory as the process itself sees it: what a parent is told of a child counts what the parent had when it started it.
CHILD = """
import re, sys
from pathlib import Path
from inkdigits.command.cli import main
status = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(status)
"""


def repeated(digits: Images, count: int) -> Iterator[Images]:
    """`count` digits, in blocks of at most all of them."""
    for start in range(0, count, len(digits)):
        yield digits[: count - start]


def idx_header(count: int) -> bytes:
    """Of an IDX file of images."""
    return bytes([0, 0, 8, 3]) + np.array([count, 28, 28], ">u4").tobytes()


def write_idx(
    path: Path, digits: Images, count: int, pack: Callable[[bytes], bytes] = bytes
) -> None:
    """Packed block by block: gzip and bzip2 both take what is packed in parts for one file."""
    with path.open("wb") as file:
        file.write(pack(idx_header(count)))
        whole = pack(digits.tobytes())
        for block in repeated(digits, count):
            file.write(whole if len(block) == len(digits) else pack(block.tobytes()))


def write_csv(path: Path, digits: Images, count: int) -> None:
    """784 pixels a line, as Kaggle has them."""
    lines = [",".join(map(str, image.tolist())) + "\n" for image in digits.reshape(-1, 784)]
    with path.open("w") as file:
        file.write(",".join(f"pixel{index}" for index in range(784)) + "\n")
        for block in repeated(digits, count):
            file.writelines(lines[: len(block)])


def write_npz(path: Path, digits: Images, count: int) -> None:
    """Compressed."""
    np.savez_compressed(path, images=np.concatenate(list(repeated(digits, count))))


def write_folder(path: Path, digits: Images, count: int) -> None:
    """A tenth as many PNG files, in one folder; a thousand different ones, each under many names."""
    path.mkdir()
    for index in range(count // 10):
        name = path / f"{index:07}.png"
        if index < 1000:
            Image.fromarray(digits[index]).save(name)
        else:
            name.hardlink_to(path / f"{index % 1000:07}.png")


KINDS: dict[str, Callable[[Path, Images, int], None]] = {
    "digits-ubyte": write_idx,
    "digits-ubyte.gz": lambda path, digits, count: write_idx(
        path, digits, count, lambda data: gzip.compress(data, 1)
    ),
    "digits-ubyte.bz2": lambda path, digits, count: write_idx(
        path, digits, count, lambda data: bz2.compress(data, 1)
    ),
    "digits.npy": lambda path, digits, count: np.save(
        path, np.concatenate(list(repeated(digits, count)))
    ),
    "digits.npz": write_npz,
    "digits.csv": write_csv,
    "folder": write_folder,
}


def read(*arguments: object) -> tuple[float, float]:
    """Seconds and peak MB of `inkdigits read --json`, in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, "-c", CHILD, "read", "--json", *map(str, arguments)]
    said = subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ).stderr
    return time.perf_counter() - started, int(said.split()[-1]) * 1024 / 1e6


def memory(folder: Path, digits: Images, count: int) -> list[str]:
    """Peak memory of a tenth and of all, for each kind of file."""
    yields = [f"Peak memory of `inkdigits read --json --model {FAST}`, {processors()} threads:", ""]
    yields += [f"| | {count // 10:,} digits | {count:,} digits | on disk |", "|---|---|---|---|"]
    for kind, write in KINDS.items():
        peaks = []
        for some in (count // 10, count):
            path = folder / kind
            write(path, digits, some)
            peaks.append(read(path, "--model", FAST)[1])
            size = (
                sum(file.stat().st_size for file in path.iterdir())
                if path.is_dir()
                else path.stat().st_size
            )
            subprocess.run(["rm", "-r", str(path)], check=True)
        name = (
            f"a folder of {count // 100:,} and {count // 10:,} PNG files"
            if kind == "folder"
            else f"`{kind}`"
        )
        yields.append(f"| {name} | {peaks[0]:.0f} MB | {peaks[1]:.0f} MB | {size / 1e6:,.0f} MB |")
        print(yields[-1], flush=True)
    return yields


def in_turn(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, a value a round, after a round that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(rounds + 1):
        for name, side in sides.items():
            seconds = side()
            if round_:
                taken[name].append(seconds)
    return taken


def rate(count: int, seconds: Sequence[float]) -> str:
    """Median of images per second, and their range."""
    low, high = count / max(seconds), count / min(seconds)
    return f"{count / statistics.median(seconds):,.0f} ({low:,.0f}-{high:,.0f})"


def jobs(folder: Path, digits: Images, count: int, rounds: int) -> list[str]:
    """What two threads gain, by kind of input."""
    write_idx(folder / "digits-ubyte", digits, count)
    write_folder(folder / "png", digits, 10 * PNGS)
    write_pages(folder / "pages", PAGES)
    pages = sum(1 for _ in (folder / "pages").rglob("*.jpg")) + sum(
        1 for _ in (folder / "pages").rglob("*.png")
    )
    inputs = {
        f"{count:,} digits in an IDX file": ("digits-ubyte", count),
        f"{PNGS:,} PNG files of 28x28": ("png", PNGS),
    }
    inputs[f"{pages} pictures of handwriting"] = ("pages", pages)
    yields = [
        f"`inkdigits read --json`, pictures per second, start of the process included; median (range) of {rounds}:",
        "",
    ]
    yields += ["| | `--jobs 1` | `--jobs 2` | ratio of medians |", "|---|---|---|---|"]
    for what, (name, number) in inputs.items():
        path = folder / name
        one, two = in_turn(
            {str(n): lambda n=n, path=path: read(path, "--jobs", n)[0] for n in (1, 2)},  # type: ignore[misc]
            rounds,
        ).values()
        ratio = statistics.median(one) / statistics.median(two)
        yields.append(f"| {what} | {rate(number, one)} | {rate(number, two)} | {ratio:.2f} |")
        print(yields[-1], flush=True)
    return yields


def write_shards(folder: Path, digits: Images, count: int) -> Path:
    """Parquet files of SHARD digits each."""
    folder.mkdir()
    every = itertools.cycle(digits)
    for index, start in enumerate(range(0, count, SHARD)):
        images = [image.tobytes() for image in itertools.islice(every, min(SHARD, count - start))]
        pq.write_table(
            pa.table({"image": pa.array(images, pa.binary(784))}), folder / f"{index:04}.parquet"
        )
    return folder


def clear(folder: Path) -> Path:
    """Nothing in it is finished any more."""
    for path in folder.glob("*.parquet"):
        path.unlink()
    return folder


def one_after_another(shards: Sequence[Shard]) -> float:
    """Seconds that one process, with one thread, takes for shards."""
    started = time.perf_counter()
    reader = DigitReader()
    for shard in shards:
        shard.read(reader)
    return time.perf_counter() - started


def cluster(
    folder: Path, digits: Images, part: int, count: int, rounds: int, price: float
) -> list[str]:
    """Two Ray workers against one process without Ray, and against the command."""
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }  # the latter: on 127.0.0.1 alone
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init(
        num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    some, everything = (
        write_shards(folder / "some", digits, part),
        write_shards(folder / "all", digits, count),
    )
    out, alone = folder / "out", folder / "alone"
    write_idx(folder / "some-ubyte", digits, part)
    sides = {
        "`inkdigits read --json`, 2 threads": lambda: read(
            folder / "some-ubyte", "--jobs", WORKERS
        )[0],
        "the shards one after another, without Ray": lambda: one_after_another(
            find_shards(some, clear(alone))
        ),
        f"`read_dataset`, {WORKERS} workers": lambda: (
            read_dataset(some, clear(out), workers=WORKERS).seconds
        ),
    }
    taken = in_turn(sides, rounds)
    same = all(
        pq.read_table(path).equals(pq.read_table(alone / path.name))
        for path in out.glob("*.parquet")
    )
    yields = [
        f"{part:,} digits in {-(-part // SHARD)} Parquet files, digits per second; median (range) of {rounds}:",
        "",
    ]
    yields += ["| | digits/s | ratio |", "|---|---|---|"]
    base = statistics.median(taken["the shards one after another, without Ray"])
    yields += [
        f"| {name} | {rate(part, seconds)} | {base / statistics.median(seconds):.2f} |"
        for name, seconds in taken.items()
    ]
    yields += [
        "",
        f"Answers of the last two: {'the same, row by row' if same else 'DIFFERENT'}.",
        "",
    ]
    summary = read_dataset(everything, clear(out), workers=WORKERS)
    assert summary.pictures == count, summary
    again = read_dataset(everything, out, workers=WORKERS)
    ray.shutdown()
    hours = summary.seconds / count * 1e9 * WORKERS / 3600
    yields += [
        f"All {count:,}, in {summary.shards} files, once: {summary.seconds:.0f} s, {count / summary.seconds:,.0f} digits/s.",
        f"Started again, it found {again.finished_before} of them finished and was done after {again.seconds:.1f} s. A billion at",
        f"this rate: {hours:,.0f} core-hours, at an assumed {price:.2f} dollars each {hours * price:,.2f} dollars.",
    ]
    print("\n".join(yields), flush=True)
    return yields


def put(path: Path, name: str, lines: Sequence[str]) -> None:
    """Figures between their marks in a page."""
    first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, _, rest = path.read_text(encoding="utf-8").partition(first)
    write_whole(path, before + first + "\n".join(lines) + "\n" + last + rest.partition(last)[2])


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("memory", "jobs", "cluster"),
        default=["memory", "jobs", "cluster"],
    )
    parser.add_argument(
        "--images", type=int, default=1_000_000, metavar="N", help="digits (default: a million)"
    )
    parser.add_argument(
        "--part",
        type=int,
        default=100_000,
        metavar="N",
        help="digits of a round (default: 100,000)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="after one that is not counted (default: 5)",
    )
    parser.add_argument(
        "--price",
        type=float,
        default=0.04,
        metavar="P",
        help="assumed dollars a core-hour (default: 0.04)",
    )
    parser.add_argument(
        "--beside",
        default="nothing",
        metavar="TEXT",
        help="what else ran on the machine, for the record",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the figures into this file, too"
    )
    options = parser.parse_args()
    try:
        mnist = load_dataset("mnist", download=False)
    except BadData as error:
        sys.exit(f"skipped: {error}")
    digits = np.concatenate([mnist[split].images for split in ("train", "validation", "test")])
    facts = machine() | {
        "pyarrow": pa.__version__,
        "ray": version("ray"),
        "beside it ran": options.beside,
    }
    made = f"Measured by `benchmarks/scale/cluster.py`, {', '.join(': '.join(fact) for fact in facts.items() if fact[0] != 'threads')}."
    for name in options.only:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if name == "memory":
                lines = memory(folder, digits, options.images)
            elif name == "jobs":
                lines = jobs(folder, digits, options.part, options.rounds)
            else:
                lines = cluster(
                    folder, digits, options.part, options.images, options.rounds, options.price
                )
        if options.write:
            put(options.write, name, [*lines, "", made])


if __name__ == "__main__":
    main()
