"""Does reading survive every file? A million damaged and hostile IDX, .npy, .npz and CSV files.

    python -m benchmarks.soak.inputs                                # a quarter of an hour
    python -m benchmarks.soak.inputs --quick                        # some of them
    python -m benchmarks.soak.inputs --write docs/reliability.md    # between markers

Each file has to be refused with a typed error, or read as NumPy, struct and csv read it, within
bounds of memory and time. Then the same in short with a fault planted, which has to be noticed.
Exit status 1 where either is not so. What fails is named by its number, from which
`mutations.mutant` makes it again.
"""

import bz2
import contextlib
import csv
import ctypes
import gzip
import io
import os
import resource
import signal
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.frame import (
    SHOWN,
    WHOLE,
    Check,
    Outcome,
    Suite,
    Trial,
    child,
    ending,
    main,
    outcome_of,
    put,
    shared,
)
from benchmarks.soak.mutations import BOMB, TRAP, Mutant, mutant
from inkdigits.core import arrays, tables
from inkdigits.core.arrays import IDX_TYPES, NPZ_NAMES
from inkdigits.core.errors import BadData, InkdigitsError
from inkdigits.core.formats import iter_images, read_images
from inkdigits.data.datasets import load_dataset

MEMORY = 192 << 20  # bytes of address space that reading may add
SECONDS = 1.0  # of processor time for one file
BATCH = 10_000  # files a process

Images = NDArray[np.uint8]
Pair = tuple[Images, Images | None]  # images and labels


# ---- the other readers: obvious, and only for files that ours have accepted


def expected(content: bytes) -> Pair:
    """Return what is in a file of images. Raises anything."""
    stream: Any = io.BytesIO(content)
    if content[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
    elif content[:3] == b"BZh":
        stream = bz2.BZ2File(stream)

    content = stream.read()
    match content[:2]:
        case b"\0\0":
            return _fields(_idx(content)), None
        case b"\x93N":
            return _fields(_npy(content)), None
        case b"PK":
            stream.seek(0)
            return _npz(stream)
        case _:
            return _csv(content)


def _idx(content: bytes) -> NDArray[Any]:
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content[4 + 4 * len(shape) :], IDX_TYPES[content[2]]).reshape(shape)


def _npy(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    assert not stream.read(), "there is more"
    return array


def _npz(stream: IO[bytes]) -> Pair:
    found = np.load(stream, allow_pickle=False)
    names = found.zip.namelist()
    pairs = [
        (f"{images}.npy", f"{labels}.npy")
        for images, labels in NPZ_NAMES.items()
        if f"{images}.npy" in names
    ]
    images = np.concatenate([_fields(found[name]) for name, _ in pairs])
    if not all(labels in names for _, labels in pairs):
        return images, None

    labels = [found[labels].astype(np.uint8).reshape(-1) for _, labels in pairs]
    return images, np.concatenate(labels)


def _csv(content: bytes) -> Pair:
    rows = _csv_rows(content)
    names = [field.strip().lower() for field in rows[0]]
    named = [names[place] == "label" for place in (0, -1)]
    label = {784: None, 785: 784 if named == [False, True] else 0}[len(names)]
    is_headed = any(named) or sum(map(_is_number, names)) < len(names) / 2
    table = np.array([[float(field.strip()) for field in row] for row in rows[is_headed:]])
    values = table.astype(np.uint8)
    assert (table == values).all(), "not bytes"
    if label is None:
        return _fields(values), None

    return _fields(np.delete(values, label, 1)), values[:, label]


def _csv_rows(content: bytes) -> list[list[str]]:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors="replace")
    separator = max(",;\t", key=lambda one: content.count(one.encode()))
    rows = csv.reader(text, delimiter=separator, skipinitialspace=True)
    filled = [row for row in rows if "".join(row).strip()]
    if separator == ",":
        return filled

    return [[field.replace(",", ".") for field in row] for row in filled]  # decimal commas


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
    """Tell whether an IDX file is in order: whole numbers from 0 to 255.

    Other files are not judged.
    """
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if content[:2] != b"\0\0":
            return False

        array = _idx(content)
        sides = [n for n in array.shape[1:] if n != 1]
        return len(_fields(array)) > 0 and sides in ([28, 28], [784]) and array.ndim <= 4
    except Exception:  # any error says that it was right to refuse it
        return False


# ---- reading


def ours(made: Mutant, way: int, path: Path) -> Pair | None:
    """Read a file with our readers; None where that is not to be compared. Raises what they raise.

    way: every eighth file is read in blocks, and another eighth as a dataset.
    """
    if way == 0 and made.kind != "npz":
        return np.concatenate(list(iter_images(path, 2))), None

    if way == 1:
        splits = load_dataset(path).splits
        for split in splits.values():
            assert len(split.images) == len(split.labels)
            assert split.labels.max(initial=0) <= 9

        everything = splits.get("all")
        return (everything.images, everything.labels) if everything and made.kind != "npz" else None

    found = read_images(path).values()
    images = np.concatenate([images for images, _ in found])
    labels = [labels for _, labels in found if labels is not None]
    return images, np.concatenate(labels) if len(labels) == len(found) else None


def theirs(made: Mutant, way: int) -> Pair:
    """Read the same with the other readers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an array that seems old to NumPy is no concern of ours
        images, labels = expected(made.content)

    if way == 0 and made.kind != "npz":
        return images, None

    return images, _idx(made.labels) if way == 1 and labels is None else labels


def same(one: Pair, other: Pair) -> bool:
    """Tell whether two readers found the same images and labels."""
    if one[1] is None or other[1] is None:
        return one[1] is other[1] and np.array_equal(one[0], other[0])

    return np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


COUNTS = ("number", "read", "refused", "different", "untyped", "opened", "ended")


class Tally(ctypes.Structure):
    """What has come of the files so far, and the number of the one that is being read."""

    _fields_ = (*((name, ctypes.c_int64) for name in COUNTS), ("slowest", ctypes.c_double))


def read_all(numbers: range, trial: Trial, tally: Tally, complaints: Path) -> None:
    """Read the files with these numbers in a process of its own, and count what comes of them."""
    trial.plant()
    warnings.simplefilter("error")
    os.chdir(trial.folder)  # where the trap would appear
    path = trial.folder / "images-idx3-ubyte"
    for tally.number in numbers:
        made = mutant(tally.number)
        path.write_bytes(made.content)
        path.with_name("labels-idx1-ubyte").write_bytes(made.labels)
        if complaint := judged(made, tally.number % 8, path, tally):
            with complaints.open("a") as file:
                file.write(f"{tally.number} ({made.kind}): {complaint[:300]}\n")

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
        return f"{type(error).__name__}: {error}"
    else:
        tally.read += 1
        if complaint := compared(found, made, way):
            tally.different += 1
            return complaint

    if Path(TRAP).exists():
        Path(TRAP).rmdir()
        tally.opened += 1
        return "a pickle was opened"

    return ""


def compared(found: Pair | None, made: Mutant, way: int) -> str:
    """Say what other readers find otherwise, if anything."""
    try:
        is_right = found is None or same(found, theirs(made, way))
    except Exception as error:
        return f"read, though other readers say {type(error).__name__}: {error}"

    return "" if is_right else "read with another content than by other readers"


@contextlib.contextmanager
def bounded(tally: Tally) -> Iterator[None]:
    """Refuse more memory, and end a process that takes more time."""
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


def inputs(trial: Trial) -> Outcome:
    """Read damaged and hostile IDX, .npy, .npz and CSV files, plain, gzipped and bzip2-packed.

    They are made from seeds: bytes and fields changed, cut, inserted, repeated and spliced.
    """
    n = trial.choose(1_000_000, 1_000)
    tally = shared(Tally)
    complaints = trial.folder / "complaints"
    complaints.touch()
    begin = 0
    while begin < n and len(complaints.read_text().splitlines()) < SHOWN:
        numbers = range(begin, min(n, begin + BATCH))
        status = ending(child(partial(read_all, numbers, trial, tally, complaints)))
        begin = numbers.stop
        if status != WHOLE:  # the next one goes on behind the file that this one ended with
            tally.ended += 1
            begin = tally.number + 1
            with complaints.open("a") as file:
                file.write(f"{tally.number}: ended the process with status {status}\n")

    failures = complaints.read_text().splitlines()
    if tally.read <= n // 20:
        failures.append(f"only {tally.read} were read")

    faults = {
        "read otherwise": tally.different,
        "other errors (too much memory among them)": tally.untyped,
        "that took too long or crashed": tally.ended,
        "pickles opened": tally.opened,
    }
    also = (
        f"; {tally.read:,} read as others read them, {tally.refused:,} refused with a typed "
        f"error; at most {tally.slowest:.2f} s"
    )
    return outcome_of(f"{begin:,}", faults, also, failures)


# ---- what is planted


def believed_count() -> None:
    """Believe the number of values in a header."""
    put(arrays, "refuse_bombs", lambda *_: None)


def endless_table() -> None:
    """Allow a table any number of blank lines."""
    put(tables, "MOST_BLANK", sys.maxsize)


def filled_up() -> None:
    """Take missing values for zeros."""
    whole = arrays.StoredArray._next

    def padded(array: arrays.StoredArray, shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            return whole(array, shape)
        except BadData:
            return np.zeros(shape, array.dtype)

    put(arrays.StoredArray, "_next", padded)


def opened_pickles() -> None:
    """Open pickles."""

    def read(path: Path, **_: object) -> NDArray[Any]:
        try:
            return np.load(path, allow_pickle=True)
        except Exception as error:
            raise BadData(str(error)) from None

    put(arrays, "read_array", read)


def swallowed_errors() -> None:
    """Take what is no number in a table for a zero."""
    strict = tables._parse_row

    def lenient(line: str, columns: int, place: str) -> list[float]:
        fields = line.strip().split(",")
        is_byte = [field.isdecimal() and int(field) < 256 for field in fields]
        mended = [field if right else "0" for field, right in zip(fields, is_byte, strict=True)]
        return strict(",".join(mended), columns, place)

    put(tables, "_parse_row", lenient)


def unread_end() -> None:
    """Do not look at what follows the values, nor at the checksum at the end."""
    put(arrays.StoredArray, "_refuse_more", lambda _: None)


SUITE = Suite(
    "Inputs",
    "Each with one of `read_images`, `iter_images` and `load_dataset`, which may add "
    f"{MEMORY >> 20} MiB of address space and take {SECONDS:.0f} s of a processor; bombs unpack to "
    f"as much as {BOMB // 10**6} MB. What is read is compared with what struct, NumPy and csv make "
    "of it.",
    [
        Check(
            inputs,
            "all refused with a typed error, or read as others read them",
            believed_count,
            endless_table,
            filled_up,
            opened_pickles,
            swallowed_errors,
            unread_end,
        )
    ],
    ["numpy"],
)

if __name__ == "__main__":
    sys.exit(main(SUITE, __doc__))
