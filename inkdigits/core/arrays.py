"""Binary files of arrays: IDX, and NumPy's .npy and .npz.

A path comes in, uint8 images and labels go out. What a header promises is compared with the file's
size, so that no damaged or hostile file makes us allocate memory for data it does not contain.
Pickles are refused. Of NumPy only the reader of headers is used: `np.load` allocates first, and
does not notice extra bytes after the array.
"""

import hashlib
import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from inkdigits.core.digits import PIXELS, SIDE, Labels, Pixels
from inkdigits.core.errors import BadData, listed
from inkdigits.core.unpacking import UNPACKED_CHUNK, refuse_bombs, unpacked

LabelledImages = tuple[Pixels, Labels | None]  # labels where the file has them

# Source: "The IDX file format" on LeCun's MNIST page. A file starts with two zero bytes, the type
# of its values, the number of dimensions, and the dimensions.
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

NPY_MAGIC = b"\x93NUMPY"
NPY_HEADERS = {
    NPY_MAGIC + b"\1\0": npy_format.read_array_header_1_0,
    NPY_MAGIC + b"\2\0": npy_format.read_array_header_2_0,
}

# The names that arrays of images and their labels have in .npz files: ours, Keras's, and NumPy's
# where none was given.
NPZ_NAMES = {
    "images": "labels",
    "x_train": "y_train",
    "x_test": "y_test",
    "x": "y",
    "arr_0": "arr_1",
}
ZIP_RATIO = 20  # of a gzipped zip file; reading its directory takes ten times its size in memory


@dataclass(frozen=True)
class StoredArray:
    """An array whose header has been read from a stream, and whose values come next in it."""

    stream: io.BufferedIOBase
    name: str  # what errors call it
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool = False  # Fortran's order, which NumPy may write

    def read(self) -> NDArray[Any]:
        """Return the whole array in the machine's byte order.

        Raises:
            BadData: it is cut short, or has more bytes than its header promises.
        """
        shape = self.shape[::-1] if self.columns_first else self.shape
        array = self._next(shape)
        self._refuse_more()
        return array.transpose() if self.columns_first else array

    def images(self, rows: int) -> Iterator[Pixels]:
        """Yield the array's images in blocks.

        Args:
            rows: the most images in a block.

        Yields:
            uint8 (n, 28, 28).

        Raises:
            BadData: it is cut short, has more bytes than its header promises, or holds something
                else.
        """
        _refuse_other_shapes(self.shape, self.name)
        count = self.shape[0]

        if self.columns_first:  # the pixels of each image are spread over the whole file
            images = as_images(self.read(), self.name)
            for start in range(0, count, rows):
                yield images[start : start + rows]
            return

        for start in range(0, count, rows):
            block = self._next((min(rows, count - start), *self.shape[1:]))
            yield as_images(block, self.name)

        self._refuse_more()

    def _next(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the next values in the stream, in the machine's byte order."""
        array = np.empty(shape, self.dtype)
        content: Any = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]

        filled = 0
        while count := self.stream.readinto(content[filled : filled + UNPACKED_CHUNK]):
            filled += count

        if filled < len(content):
            raise BadData(
                f"{self.name} is cut short: its header promises {shape}, "
                f"but {len(content) - filled:,} bytes of that are missing"
            )

        return array.astype(self.dtype.newbyteorder("="), copy=False)

    def _refuse_more(self) -> None:
        """Refuse further bytes."""
        if self.stream.read(1):  # at the end, gzip and zip also compare their checksums
            raise BadData(f"{self.name} has more bytes than its header promises")


# ---- IDX and .npy: a header, then the values


def is_idx(head: bytes) -> bool:
    """Tell whether a file that starts with these bytes is an IDX file."""
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 1 <= head[3] <= 4


def iter_array(path: Path, rows: int) -> Iterator[Pixels]:
    """Yield the images in an IDX or .npy file in blocks, as `StoredArray.images` does."""
    with unpacked(path) as stream:
        yield from read_header(stream, str(path), path.stat().st_size).images(rows)


def read_array(path: Path, *, sha256: str | None = None) -> NDArray[Any]:
    """Return the array in an IDX or .npy file, packed or not.

    Args:
        path: the file.
        sha256: the expected hash of an IDX file's unpacked bytes; None leaves it unchecked.

    Returns:
        The array in the file's shape and type, in the machine's byte order.

    Raises:
        BadData: the file is not exactly one whole array, or its hash is not the expected one.
    """
    with unpacked(path) as packed:
        stream = Hashed(packed) if sha256 else packed
        array = read_header(stream, str(path), path.stat().st_size).read()

    if isinstance(stream, Hashed) and stream.digest.hexdigest() != sha256:
        raise BadData(
            f"{path} is complete, but its content is not the expected one: "
            f"SHA-256 {stream.digest.hexdigest()}"
        )

    return array


class Hashed(io.BufferedIOBase):
    """A stream that computes the SHA-256 of what is read through it."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int | None = -1) -> bytes:
        chunk = self.stream.read(size)
        self.digest.update(chunk)
        return chunk


def read_header(stream: io.BufferedIOBase, name: str, packed: int) -> StoredArray:
    """Read the header of an IDX or .npy array.

    Args:
        stream: the array's bytes, from their start.
        name: what errors call the array.
        packed: bytes of the file on the disk.

    Returns:
        The array, with the stream behind its header.

    Raises:
        BadData: the header is damaged, promises values that are not plain numbers, or promises more
            than the file can hold.
    """
    head = stream.read(4)
    if is_idx(head):
        array = _read_idx_header(stream, name, head)
    else:
        array = _read_npy_header(stream, name, head + stream.read(4))

    count = math.prod(max(1, size) for size in array.shape)  # a 0 must not hide absurd dimensions
    refuse_bombs(count * array.dtype.itemsize, packed, name)
    return array


def _read_idx_header(stream: io.BufferedIOBase, name: str, head: bytes) -> StoredArray:
    dimensions = head[3]
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise BadData(f"{name} is cut short: its header alone takes {4 + 4 * dimensions} bytes")

    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    return StoredArray(stream, name, shape, np.dtype(IDX_TYPES[head[2]]))


def _read_npy_header(stream: io.BufferedIOBase, name: str, head: bytes) -> StoredArray:
    if head not in NPY_HEADERS:
        raise BadData(f"{name} is neither an IDX file nor a NumPy array: it starts with {head!r}")

    try:
        with warnings.catch_warnings(action="error"):
            shape, columns_first, dtype = NPY_HEADERS[head](stream)

        if dtype.kind not in "biuf":
            raise ValueError(f"it holds values of type {dtype.str!r}")
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape is {shape}")
    except Exception as problem:  # NumPy lets Python parse it, which raises many kinds of errors
        raise BadData(f"{name} is not an array of plain numbers: {problem}") from None

    return StoredArray(stream, name, shape, dtype, columns_first)


# ---- .npz: a zip file of .npy files


class OpenNpz:
    """The arrays of an open .npz file, each of which is opened when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self.archive = archive
        self.path = path
        self.members = {
            member.filename.removesuffix(".npy"): member
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }
        self.images = [name for name in NPZ_NAMES if name in self.members]
        if not self.images:
            raise BadData(
                f"{path} holds {listed(archive.namelist())}; "
                "expected images[, labels] or x_train, y_train, x_test, y_test"
            )

    def array(self, name: str) -> StoredArray:
        """Open one array.

        Raises:
            BadData: its header is damaged, or it is packed in a way that NumPy does not use.
        """
        member = self.members[name]
        title = f"{name} in {self.path}"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadData(
                f"{title} is packed in an unusual way; write it with numpy.savez_compressed"
            )

        stream: Any = self.archive.open(member)
        return read_header(stream, title, self.path.stat().st_size)


@contextmanager
def _open_npz(path: Path) -> Iterator[OpenNpz]:
    try:
        with unpacked(path) as file:
            file.seek(ZIP_RATIO * path.stat().st_size)
            if file.read(1):
                raise BadData(
                    f"{path} unpacks to more than {ZIP_RATIO} times its size: "
                    "damaged, or not digits"
                )

            with zipfile.ZipFile(file) as archive:
                yield OpenNpz(archive, path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeError) as problem:
        raise BadData(f"{path} is a damaged or unusual zip file: {problem}") from None


def iter_npz(path: Path, rows: int) -> Iterator[Pixels]:
    """Yield the images in an .npz file in blocks, one array after the other."""
    with _open_npz(path) as npz:
        for name in npz.images:
            yield from npz.array(name).images(rows)


def read_npz(path: Path) -> dict[str, LabelledImages]:
    """Return the arrays of images in an .npz file by name, each with its labels.

    Args:
        path: the file, with arrays named as in NPZ_NAMES; others are ignored.

    Returns:
        For each name, in the order of NPZ_NAMES, uint8 (N, 28, 28), and uint8 (N,) or None where
        labels are missing.

    Raises:
        BadData: the file is damaged, or has no array of images, or one that holds something else.
    """
    found: dict[str, LabelledImages] = {}
    with _open_npz(path) as npz:
        for name in npz.images:
            images = as_images(npz.array(name).read(), f"{name} in {path}")
            labels = None
            if NPZ_NAMES[name] in npz.members:
                stored = npz.array(NPZ_NAMES[name])
                labels = as_labels(stored.read(), len(images), stored.name)
            found[name] = images, labels

    return found


# ---- arrays -> images and labels


def as_images(array: NDArray[Any], name: str) -> Pixels:
    """Return an array of images in the package's own shape and type.

    Args:
        array: whole numbers from 0 to 255 in the shape (N, 28, 28), (N, 784), (N, 28, 28, 1)
            or (N, 1, 28, 28).
        name: what errors call it.

    Returns:
        uint8 (N, 28, 28).

    Raises:
        BadData: it has another shape or other values.
    """
    _refuse_other_shapes(array.shape, name)
    return _to_uint8(array, 255, name).reshape(-1, SIDE, SIDE)


def _refuse_other_shapes(shape: tuple[int, ...], name: str) -> None:
    """Refuse an array that does not hold 28x28 images."""
    if tuple(size for size in shape[1:] if size != 1) not in ((SIDE, SIDE), (PIXELS,)):
        raise BadData(
            f"{name} has the shape {shape}; expected (N, {SIDE}, {SIDE}) or (N, {PIXELS})"
        )


def as_labels(array: NDArray[Any], count: int, name: str) -> Labels:
    """Return an array of labels in the package's own shape and type.

    Args:
        array: whole numbers from 0 to 9 in the shape (N,), (N, 1), or (N, 8) as QMNIST has them,
            the digit first.
        count: N, the number of images.
        name: what errors call it.

    Returns:
        uint8 (N,).

    Raises:
        BadData: it has another shape or other values.
    """
    if array.ndim == 2 and array.shape[1] in (1, 8):
        array = array[:, 0]

    if array.shape != (count,):
        raise BadData(
            f"{name} has the shape {array.shape}; expected {count:,} labels for {count:,} images"
        )

    return _to_uint8(array, 9, name)


def _to_uint8(array: NDArray[Any], largest: int, name: str) -> NDArray[np.uint8]:
    if array.dtype.kind not in "bui":
        raise BadData(
            f"{name} holds values of type {array.dtype}; expected whole numbers from 0 to {largest}"
        )
    if array.size and not 0 <= int(array.min()) <= int(array.max()) <= largest:
        raise BadData(
            f"{name} holds values from {array.min()} to {array.max()}; expected 0 to {largest}"
        )

    return np.ascontiguousarray(array, np.uint8)
