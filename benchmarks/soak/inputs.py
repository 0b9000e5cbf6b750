"""Does reading survive every file? A million damaged and hostile IDX, .npy, .npz and CSV files, against other readers of them.

    python -m benchmarks.soak.inputs                                # about a quarter of an hour on one processor
    python -m benchmarks.soak.inputs --quick                        # some of them
    python -m benchmarks.soak.inputs --write docs/reliability.md    # what came out, between markers

Each file has to be refused with a typed error, or read as NumPy, struct and csv read it, within bounds of memory and time.
Then the same in short with a fault planted, which has to be noticed. Exit status 1 where either is not so. What fails is named
by its number, from which `mutations.mutant` makes it again.
"""

import bz2
import csv
import ctypes
import gzip
import io
import mmap
import os
import resource
import signal
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.frame import SHOWN, WHOLE, Checks, Fault, Found, child, ending, put, soak
from benchmarks.soak.mutations import BOMB, TRAP, Mutant, mutant
from inkdigits.core import arrays, tables
from inkdigits.core.errors import BadData, InkdigitsError
from inkdigits.core.formats import iter_images, read_images
from inkdigits.data.datasets import load_dataset

MEMORY = 192 << 20  # bytes of address space that reading may add
SECONDS = 1.0  # of processor time for one file
BATCH = 10_000  # files a process
COMPLAINTS = "complaints"  # the file that they are gathered in

Images = NDArray[np.uint8]
Pair = tuple[Images, Images | None]  # images and labels


# ---- the other readers: obvious, and of no use where a file is hostile, so only for what was read


def expected(content: bytes) -> Pair:
    """What is in a file of images. Raises whatever it likes."""
    stream: Any = io.BytesIO(content)
    if content[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
    elif content[:3] == b"BZh":
        stream = bz2.BZ2File(stream)
    content = stream.read()
    if content[:2] == b"\0\0":
        return _fields(_idx(content)), None
    if content[:2] == b"PK":
        stream.seek(0)
        return _npz(stream)
    return (_fields(_npy(content)), None) if content[:1] == b"\x93" else _csv(content)


def _idx(content: bytes) -> NDArray[Any]:
    types = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content[4 + 4 * len(shape) :], types[content[2]]).reshape(shape)


def _npy(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    assert not stream.read(), "there is more"
    return array


def _npz(stream: IO[bytes]) -> Pair:
    found = np.load(stream, allow_pickle=False)
    names = found.zip.namelist()
    pairs = [
        ("images", "labels"),
        ("x_train", "y_train"),
        ("x_test", "y_test"),
        ("x", "y"),
        ("arr_0", "arr_1"),
    ]
    pairs = [
        (f"{images}.npy", f"{labels}.npy") for images, labels in pairs if f"{images}.npy" in names
    ]
    images = np.concatenate([_fields(found[name]) for name, _ in pairs])
    if not all(labels in names for _, labels in pairs):
        return images, None
    return images, np.concatenate(
        [found[labels].astype(np.uint8).reshape(-1) for _, labels in pairs]
    )


def _csv(content: bytes) -> Pair:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors="replace")
    first, *others = [
        row for row in csv.reader(text, skipinitialspace=True) if "".join(row).strip()
    ]
    names = [field.strip().lower() for field in first]
    named = [names[place] == "label" for place in (0, -1)]
    label = {784: None, 785: 784 if named == [False, True] else 0}[len(first)]
    headed = any(named) or sum(map(_is_number, names)) < len(names) / 2
    table = np.array(
        [
            [float(field.strip()) for field in row]
            for row in (others if headed else [first, *others])
        ]
    )
    assert (table == table.astype(np.uint8)).all(), "not bytes"
    table = table.astype(np.uint8)
    return (
        (_fields(table), None)
        if label is None
        else (_fields(np.delete(table, label, 1)), table[:, label])
    )


def _is_number(field: str) -> bool:
    try:
        return bool(np.isfinite(float(field)))
    except ValueError:
        return False


def _fields(array: NDArray[Any]) -> Images:
    assert array.dtype.kind in "bui" or array.dtype == np.uint8, f"of type {array.dtype}"
    assert not array.size or 0 <= array.min() <= array.max() <= 255, "not bytes"
    return array.astype(np.uint8).reshape(-1, 28, 28)


def refused_wrongly(content: bytes) -> bool:
    """Whether these are whole numbers from 0 to 255 in an IDX file that is in order. Other files are not judged."""
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if content[:2] != b"\0\0":
            return False
        array = _idx(content)
        return (
            len(_fields(array)) > 0
            and [n for n in array.shape[1:] if n != 1] in ([28, 28], [784])
            and array.ndim <= 4
        )
    except Exception:  # any error says that it was right to refuse it
        return False


# ---- reading


def ours(made: Mutant, way: int, path: Path) -> Pair | None:
    """What our readers make of it; None where that is not to be compared. Raises what they raise.

    way: every eighth file is read in blocks, and another eighth as a dataset.
    """
    if way == 0 and made.kind != "npz":
        return np.concatenate(list(iter_images(path, 2))), None
    if way == 1:
        splits = load_dataset(path).splits
        assert all(
            len(split.images) == len(split.labels) and split.labels.max(initial=0) <= 9
            for split in splits.values()
        )
        everything = splits.get("all")
        return (everything.images, everything.labels) if everything and made.kind != "npz" else None
    found = read_images(path).values()
    images = np.concatenate([images for images, _ in found])
    labels = [labels for _, labels in found if labels is not None]
    return images, np.concatenate(labels) if len(labels) == len(found) else None


def theirs(made: Mutant, way: int) -> Pair:
    """The same by the other readers."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that an array seems old to NumPy is none of our readers' doing
        images, labels = expected(made.content)
    if way == 0 and made.kind != "npz":
        return images, None
    return images, _idx(made.labels) if way == 1 and labels is None else labels


def same(one: Pair, other: Pair) -> bool:
    """Whether they hold the same images and labels."""
    labels = one[1] is None or other[1] is None or np.array_equal(one[1], other[1])
    return np.array_equal(one[0], other[0]) and labels and (one[1] is None) == (other[1] is None)


class Tally(ctypes.Structure):
    """What has come of the files so far, and the number of the one that is being read."""

    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in ("number", "read", "refused", "different", "untyped", "opened", "ended")
        ),
        ("slowest", ctypes.c_double),
    )


def read_all(numbers: range, plant: Fault, tally: Tally, folder: Path) -> None:
    """Read the files with these numbers, and count what comes of them. Runs in a process of its own."""
    plant()
    warnings.simplefilter("error")
    os.chdir(folder)  # where the trap would appear
    path, complaints = folder / "images-idx3-ubyte", folder / COMPLAINTS
    for tally.number in numbers:
        made, way = mutant(tally.number), tally.number % 8
        path.write_bytes(made.content)
        path.with_name("labels-idx1-ubyte").write_bytes(made.labels)
        if complaint := judged(made, way, path, tally):
            with complaints.open("a") as file:
                file.write(f"{tally.number} ({made.kind}): {complaint}\n")
            if len(complaints.read_text().splitlines()) >= SHOWN:
                return


def judged(made: Mutant, way: int, path: Path, tally: Tally) -> str:
    """Read one file, count it, and say what is wrong with that, if anything."""
    try:
        with bounded(tally):
            found = ours(made, way, path)
    except InkdigitsError as error:
        tally.refused += 1
        if way != 1 and refused_wrongly(made.content):
            tally.different += 1
            return f"refused, though it is in order: {error}"
    except Exception as error:
        tally.untyped += 1
        return f"{type(error).__name__}: {error}"[:300]
    else:
        tally.read += 1
        try:
            right = found is None or same(found, theirs(made, way))
        except Exception as error:
            tally.different += 1
            return f"read, though other readers say {type(error).__name__}: {error}"[:300]
        if not right:
            tally.different += 1
            return "read with another content than by other readers"
    if Path(TRAP).exists():
        Path(TRAP).rmdir()
        tally.opened += 1
        return "a pickle was opened"
    return ""


@contextmanager
def bounded(tally: Tally) -> Iterator[None]:
    """More memory is refused, and a process that takes more time is ended."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, most))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    begun = time.process_time()
    try:
        yield
    finally:
        tally.slowest = max(tally.slowest, time.process_time() - begun)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def inputs(n: int, folder: Path, plant: Fault) -> Found:
    """Damaged and hostile IDX, .npy, .npz and CSV files, plain, gzipped and packed with bzip2, made from seeds: bytes and fields
    changed, cut, inserted, repeated and spliced.
    """
    tally, complaints, begin = (
        Tally.from_buffer(mmap.mmap(-1, ctypes.sizeof(Tally))),
        folder / COMPLAINTS,
        0,
    )
    complaints.touch()
    while begin < n and len(complaints.read_text().splitlines()) < SHOWN:
        numbers = range(begin, min(n, begin + BATCH))
        status = ending(child(partial(read_all, numbers, plant, tally, folder)))
        begin = numbers.stop
        if status != WHOLE:  # the next one goes on behind the file that this one ended with
            tally.ended += 1
            begin = tally.number + 1
            with complaints.open("a") as file:
                file.write(f"{tally.number}: ended the process with status {status}\n")
    failures = tuple(complaints.read_text().splitlines())
    figures = (
        f"{tally.read:,} read as others read them, {tally.refused:,} refused with a typed error; {tally.different} read otherwise, "
        f"{tally.untyped} other errors (too much memory among them), {tally.ended} that took too long or crashed, {tally.opened} "
        f"pickles opened; at most {tally.slowest:.2f} s"
    )
    return Found(not failures and tally.read > n // 20, f"{begin:,}", figures, failures)


# ---- what is planted


def believed_count() -> None:
    """The number of values in a header is believed."""
    put(arrays, "refuse_bombs", lambda *_: None)


def endless_table() -> None:
    """A table may have any number of blank lines."""
    put(tables, "MOST_BLANK", sys.maxsize)


def filled_up() -> None:
    """Missing values are taken for zeros."""
    whole = arrays.StoredArray._next

    def padded(array: arrays.StoredArray, shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            return whole(array, shape)
        except BadData:
            return np.zeros(shape, array.dtype)

    put(arrays.StoredArray, "_next", padded)


def opened_pickles() -> None:
    """Pickles are opened."""

    def read(path: Path, **_: object) -> NDArray[Any]:
        try:
            return np.load(path, allow_pickle=True)
        except Exception as error:
            raise BadData(str(error)) from None

    put(arrays, "read_array", read)


def swallowed_errors() -> None:
    """What is no number in a table is a zero."""

    strict = tables._parse_row

    def lenient(line: str, largest: NDArray[np.int_], place: str) -> list[int]:
        fields = line.strip().split(",")
        valid = [field.isdecimal() and int(field) < 256 for field in fields]
        mended = [field if right else "0" for field, right in zip(fields, valid, strict=True)]
        return strict(",".join(mended), largest, place)

    put(tables, "_parse_row", lenient)


def unread_end() -> None:
    """What follows the values, and the checksum at the end, is not looked at."""
    put(arrays.StoredArray, "_refuse_more", lambda _: None)


CHECKS: Checks = {
    inputs: (
        1_000_000,
        1_000,
        (believed_count, endless_table, filled_up, opened_pickles, swallowed_errors, unread_end),
    )
}
TOLD = (
    f"Each with one of `read_images`, `iter_images` and `load_dataset`, which may add {MEMORY >> 20} MiB of address space and take "
    f"{SECONDS:.0f} s of a processor; bombs unpack to as much as {BOMB // 10**6} MB. What is read is compared with what struct, "
    "NumPy and csv make of it."
)

if __name__ == "__main__":
    sys.exit(soak(CHECKS, description=__doc__, title="Inputs", told=TOLD))
