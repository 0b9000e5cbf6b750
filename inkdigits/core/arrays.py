"""Binary files of arrays -> uint8 digits: IDX, NumPy's .npy and .npz, gzipped or not.

Takes a path, returns arrays or raises BadData with a sentence that says what arrived. Whether a file is gzipped is read from
its first bytes, not from its name. A header is believed only as far as the bytes behind it can bear out, so that no damaged or
hostile file makes us allocate what it does not contain.
"""

import bz2
import gzip
import hashlib
import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import PIXELS, SIDE, Labels, Pixels
from inkdigits.core.errors import BadData

CHUNK = 1 << 20  # bytes unpacked at a time: still in the cache when they are hashed and copied

# "The IDX file format", LeCun's MNIST page: two zero bytes, the type, the number of dimensions, the dimensions.
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NPY_MAGIC = b"\x93NUMPY"
NPY_TYPES = re.compile(r"[|<>](b1|[iu][1248]|f[248])")
NPY_SIZE = r"(?:0|[1-9]\d{0,19})"
NPY_HEADER = re.compile(
    r"{ *'descr': *'([^']*)', *'fortran_order': *(True|False), *'shape': *"
    rf"\(((?:{NPY_SIZE}, *){{1,32}}{NPY_SIZE}?|)\) *,? *}}[ \n]*",
    re.ASCII,
)
LARGEST_NPY_HEADER = 1 << 12  # bytes; NumPy writes 128
NPZ_NAMES = (
    ("images", "labels"),
    ("x_train", "y_train"),
    ("x_test", "y_test"),
    ("x", "y"),
    ("arr_0", "arr_1"),
)

# Deflate packs real digits to a fifth of their size, and blank fields to a thousandth at the very best.
DEFLATE_RATIO = 1032
LARGEST_RATIO = 100  # beyond which something large is a bomb, not digits
LARGE = 256 << 20  # bytes
ZIP_RATIO = 20  # of a zip file that is packed once more; its directory takes ten times as much memory as it has bytes


class Hashed:
    """A stream that also takes the SHA-256 of what is read through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        chunk = self.stream.read(size)
        self.digest.update(chunk)
        return chunk


Stream = IO[bytes] | Hashed


@dataclass(frozen=True)
class Header:
    """What the first bytes of an array promise."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool = False  # Fortran's order, which NumPy may write

    @property
    def nbytes(self) -> int:
        """Bytes of all values; a dimension of 0 counts as 1, as it must not hide absurd ones."""
        return math.prod(max(1, n) for n in self.shape) * self.dtype.itemsize


# ---- bytes


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where they are gzip or bzip2. What goes wrong while they are read is raised as BadData."""
    try:
        with path.open("rb") as file:
            head = file.peek(3)[:3]
            if head[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as stream:
                    yield cast(IO[bytes], stream)
            elif head == b"BZh":
                with bz2.BZ2File(file) as stream:
                    yield stream
            else:
                yield file
    except FileNotFoundError:
        raise BadData(f"no file {path}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise BadData(f"{path} is damaged or cut short: {problem}") from None
    except (
        OSError
    ) as problem:  # a folder, no permission, and damaged bzip2, which has no error of its own
        raise BadData(f"{path} cannot be read: {problem.strerror or problem}") from None


def sha256(path: Path, *, unpack: bool, limit: int) -> str:
    """SHA-256 of a file as it lies there, or of its unpacked bytes, as 64 hexadecimal digits.

    Raises BadData where it is damaged, or has more than `limit` bytes.
    """
    with unpacked(path) if unpack else path.open("rb") as stream:
        hashed = Hashed(stream)
        while chunk := hashed.read(CHUNK):
            limit -= len(chunk)
            if limit < 0:
                raise BadData(f"{path} is larger than it should be")
    return hashed.digest.hexdigest()


def is_idx(head: bytes) -> bool:
    """Whether a file that starts with these bytes is IDX."""
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 1 <= head[3] <= 4


def refuse_bombs(claimed: int, packed: int, name: object) -> None:
    """Raise BadData where so many bytes cannot be, or should not be, in a file of `packed` bytes."""
    if claimed > packed * (LARGEST_RATIO if claimed > LARGE else DEFLATE_RATIO):
        raise BadData(
            f"{name} claims {claimed:,} bytes of values in a file of {packed:,}: damaged, or not digits"
        )


# ---- IDX and NumPy's arrays: a header, then the values


def _idx_header(stream: Stream, name: object) -> Header:
    head = stream.read(4)
    if not is_idx(head):
        raise BadData(
            f"{name} is not an IDX file: it starts with {head!r} where b'\\x00\\x00\\x08\\x03' stands before images"
        )
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise BadData(f"{name} is cut short: its header alone takes {4 + 4 * head[3]} bytes")
    return Header(tuple(int(n) for n in np.frombuffer(sizes, ">u4")), np.dtype(IDX_TYPES[head[2]]))


def _npy_header(stream: Stream, name: object) -> Header:
    """Read by pattern, so that nothing in the file is evaluated. Source: numpy.lib.format."""
    head = stream.read(8)
    width = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}.get(head[6:]) if head[:6] == NPY_MAGIC else None
    if width is None:
        raise BadData(f"{name} is not a NumPy array: it starts with {head!r}")
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, LARGEST_NPY_HEADER)).decode("latin1")
    header = NPY_HEADER.fullmatch(text)
    if not header or len(text) < length:
        raise BadData(
            f"{name} is not an array of plain numbers: its header reads {text.strip()[:80]!r}"
        )
    dtype, order, shape = header.groups()
    if not NPY_TYPES.fullmatch(dtype):
        raise BadData(f"{name} holds values of type {dtype!r}; needs whole numbers, best as uint8")
    return Header(tuple(map(int, re.findall(r"\d+", shape))), np.dtype(dtype), order == "True")


def _read_values(
    stream: Stream, shape: tuple[int, ...], dtype: np.dtype[Any], name: object
) -> NDArray[Any]:
    """The next values of the stream, in the machine's byte order. Raises BadData where it ends before that."""
    array = np.empty(shape, dtype)
    view = memoryview(cast(Any, array.reshape(-1).view(np.uint8)))
    filled = 0
    while filled < len(view) and (chunk := stream.read(min(CHUNK, len(view) - filled))):
        view[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    if filled < len(view):
        raise BadData(
            f"{name} is cut short: its header promises {shape}, but {len(view) - filled:,} bytes of that are missing"
        )
    return array.astype(dtype.newbyteorder("="), copy=False)


def _refuse_more(stream: Stream, name: object) -> None:
    if stream.read(1):  # also makes gzip and zip compare their checksums, which they do at the end
        raise BadData(f"{name} goes on after the values that its header promises")


def _read_whole(stream: Stream, header: Header, packed: int, name: object) -> NDArray[Any]:
    refuse_bombs(header.nbytes, packed, name)
    array = _read_values(
        stream, header.shape[::-1] if header.columns_first else header.shape, header.dtype, name
    )
    _refuse_more(stream, name)
    return array.transpose() if header.columns_first else array


def _blocks(
    stream: Stream, header: Header, packed: int, name: object, rows: int
) -> Iterator[Pixels]:
    refuse_bombs(header.nbytes, packed, name)
    _refuse_other_shapes(header.shape, name)
    if header.columns_first:  # the first image's pixels are strewn over the whole file
        images = as_images(_read_whole(stream, header, packed, name), name)
        yield from (images[start : start + rows] for start in range(0, len(images), rows))
        return
    for start in range(0, header.shape[0], rows):
        shape = (min(rows, header.shape[0] - start), *header.shape[1:])
        yield as_images(_read_values(stream, shape, header.dtype, name), name)
    _refuse_more(stream, name)


def read_idx(path: Path, *, sha256: str | None = None) -> NDArray[Any]:
    """The array in an IDX file, gzipped or not, in the machine's byte order.

    sha256: what the unpacked bytes must have. Raises BadData for anything that is not exactly one whole array.
    """
    with unpacked(path) as stream:
        hashed = Hashed(stream) if sha256 else stream
        array = _read_whole(hashed, _idx_header(hashed, path), path.stat().st_size, path)
    if isinstance(hashed, Hashed) and hashed.digest.hexdigest() != sha256:
        raise BadData(
            f"{path} is whole, but its content is not the expected one: SHA-256 {hashed.digest.hexdigest()}"
        )
    return array


def iter_idx(path: Path, rows: int) -> Iterator[Pixels]:
    """The images of an IDX file, at most `rows` at a time: uint8 (n, 28, 28). Raises BadData."""
    with unpacked(path) as stream:
        yield from _blocks(stream, _idx_header(stream, path), path.stat().st_size, path, rows)


def read_npy(path: Path) -> NDArray[Any]:
    """The array in a .npy file, pickles refused. Raises BadData."""
    with unpacked(path) as stream:
        return _read_whole(stream, _npy_header(stream, path), path.stat().st_size, path)


def iter_npy(path: Path, rows: int) -> Iterator[Pixels]:
    """The images of a .npy file, at most `rows` at a time: uint8 (n, 28, 28). Raises BadData."""
    with unpacked(path) as stream:
        yield from _blocks(stream, _npy_header(stream, path), path.stat().st_size, path, rows)


def read_npz(path: Path) -> dict[str, tuple[Pixels, Labels | None]]:
    """The image arrays of an .npz file by name, each with its labels: uint8 (N, 28, 28) and (N,). Pickles are refused.

    Understood are `images` and `labels`, Keras's `x_train`, `y_train`, `x_test`, `y_test`, and arrays saved without a name.
    Raises BadData.
    """
    with _zipped(path) as archive:
        found = {}
        for images_name, labels_name in _image_arrays(archive, path):
            images = as_images(_read_member(archive, images_name, path), f"{images_name} in {path}")
            labels = None
            if labels_name in _arrays(archive):
                labels = as_labels(
                    _read_member(archive, labels_name, path),
                    len(images),
                    f"{labels_name} in {path}",
                )
            found[images_name] = images, labels
        return found


@contextmanager
def _zipped(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with unpacked(path) as file:
            file.seek(ZIP_RATIO * path.stat().st_size)
            if file.read(1):
                raise BadData(
                    f"{path} unpacks to more than {ZIP_RATIO} times its size: damaged, or not digits"
                )
            with zipfile.ZipFile(file) as archive:
                yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeError) as problem:
        raise BadData(f"{path} is a damaged or unusual zip file: {problem}") from None


def _arrays(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {
        entry.filename.removesuffix(".npy"): entry
        for entry in archive.infolist()
        if entry.filename.endswith(".npy")
    }


def _image_arrays(archive: zipfile.ZipFile, path: Path) -> list[tuple[str, str]]:
    names = [pair for pair in NPZ_NAMES if pair[0] in _arrays(archive)]
    if not names:
        raise BadData(
            f"{path} holds {listed(archive.namelist())}; needs images[, labels] or x_train, y_train, x_test, y_test"
        )
    return names


@contextmanager
def _opened(archive: zipfile.ZipFile, array: str, path: Path) -> Iterator[tuple[IO[bytes], Header]]:
    """The stream of one array behind its header."""
    entry = _arrays(archive)[array]
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadData(
            f"{array} in {path} is packed in an unusual way; write it with numpy.savez_compressed"
        )
    with archive.open(entry) as stream:
        yield stream, _npy_header(stream, f"{array} in {path}")


def _read_member(archive: zipfile.ZipFile, array: str, path: Path) -> NDArray[Any]:
    with _opened(archive, array, path) as (stream, header):
        return _read_whole(stream, header, path.stat().st_size, f"{array} in {path}")


def iter_npz(path: Path, rows: int) -> Iterator[Pixels]:
    """The images of all image arrays of an .npz file, at most `rows` at a time: uint8 (n, 28, 28). Raises BadData."""
    with _zipped(path) as archive:
        for array, _ in _image_arrays(archive, path):
            with _opened(archive, array, path) as (stream, header):
                yield from _blocks(stream, header, path.stat().st_size, f"{array} in {path}", rows)


# ---- arrays -> images and labels


def as_images(array: NDArray[Any], name: object) -> Pixels:
    """uint8 (N, 28, 28) of whole numbers 0-255 in the shape (N, 28, 28), (N, 784), (N, 28, 28, 1) or (N, 1, 28, 28).

    name: what to call the array in the BadData raised where it is anything else.
    """
    _refuse_other_shapes(array.shape, name)
    return _to_uint8(array, 255, name).reshape(-1, SIDE, SIDE)


def _refuse_other_shapes(shape: tuple[int, ...], name: object) -> None:
    if tuple(n for n in shape[1:] if n != 1) not in ((SIDE, SIDE), (PIXELS,)):
        raise BadData(
            f"{name} has the shape {shape}; images are (N, {SIDE}, {SIDE}) or (N, {PIXELS})"
        )


def as_labels(array: NDArray[Any], count: int, name: object) -> Labels:
    """uint8 (N,) of the `count` labels 0-9. Of several columns, as QMNIST has them, the first is the digit. Raises BadData."""
    if array.ndim == 2 and array.shape[1] in (1, 8):
        array = array[:, 0]
    if array.shape != (count,):
        raise BadData(
            f"{name} has the shape {array.shape}; needs {count:,} labels for {count:,} images"
        )
    return _to_uint8(array, 9, name)


def _to_uint8(array: NDArray[Any], largest: int, name: object) -> Pixels:
    if array.dtype.kind not in "bui":
        raise BadData(
            f"{name} holds values of type {array.dtype}; needs whole numbers from 0 to {largest}"
        )
    if array.size and not 0 <= int(array.min()) <= int(array.max()) <= largest:
        raise BadData(
            f"{name} holds values from {array.min()} to {array.max()}; needs 0 to {largest}"
        )
    return np.ascontiguousarray(array, np.uint8)


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first few names, for an error message."""
    names = list(names)
    shown = ", ".join(names[:most]) or "nothing"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
