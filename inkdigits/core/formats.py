"""Any file or folder of 28x28 digits -> uint8 arrays.

What a file is, is read from its first bytes, not from its name. Knows nothing of dataset names, splits or networks, and never
loads torch.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from inkdigits.core.arrays import (
    NPY_MAGIC,
    as_images,
    is_idx,
    iter_idx,
    iter_npy,
    iter_npz,
    read_idx,
    read_npy,
    read_npz,
    unpacked,
)
from inkdigits.core.digits import Labels, Pixels
from inkdigits.core.errors import BadData
from inkdigits.core.tables import iter_csv

Kind = Literal["idx", "npz", "npy", "csv"]

PICTURE_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".avif",
    ]
)


def kind_of(path: Path) -> Kind | None:
    """What array file lies at `path`, judged by its first bytes; None for anything else, such as a picture. Raises BadData."""
    with unpacked(path) as stream:
        head = stream.read(256)
    if is_idx(head):
        return "idx"
    if head[:4] == b"PK\x03\x04":
        return "npz"
    if head[:6] == NPY_MAGIC:
        return "npy"
    # A line of names or numbers with commas between them: no picture, page or program starts like this.
    return "csv" if re.match(rb'(\xef\xbb\xbf)?[\w .+"-]+(,[\w .+"-]*)+(\r?\n|\Z)', head) else None


def read_images(path: Path) -> tuple[Pixels, Labels | None]:
    """All images of one IDX, .npz, .npy or CSV file: uint8 (N, 28, 28), with labels uint8 (N,) where the file has them.

    Of an .npz with `x_train` and `x_test` it is all of them, in this order. Raises BadData, also where there are no images.
    """
    match kind_of(path):
        case "idx":
            return _joined([(as_images(read_idx(path), path), None)], path)
        case "npy":
            return _joined([(as_images(read_npy(path), path), None)], path)
        case "npz":
            return _joined(read_npz(path).values(), path)
        case "csv":
            return _joined(iter_csv(path), path)
    raise _unknown(path)


def _joined(
    parts: Iterable[tuple[Pixels, Labels | None]], path: Path
) -> tuple[Pixels, Labels | None]:
    """One pair of arrays; labels only where every part has them."""
    parts = list(parts)
    if not any(len(images) for images, _ in parts):
        raise BadData(f"{path} holds no images")
    if len(parts) == 1:
        return parts[0]
    labels = [labels for _, labels in parts if labels is not None]
    return np.concatenate([images for images, _ in parts]), np.concatenate(labels) if len(
        labels
    ) == len(parts) else None


def iter_images(path: Path, block: int = 8192) -> Iterator[Pixels]:
    """The images of `read_images`, at most `block` at a time: uint8 (n, 28, 28). Holds one block in memory. Raises BadData."""
    empty = True
    for images in _blocks(path, block):
        empty = False
        yield images
    if empty:
        raise BadData(f"{path} holds no images")


def _blocks(path: Path, rows: int) -> Iterator[Pixels]:
    match kind_of(path):
        case "idx":
            return iter_idx(path, rows)
        case "npy":
            return iter_npy(path, rows)
        case "npz":
            return iter_npz(path, rows)
        case "csv":
            return (images for images, _ in iter_csv(path, rows))
    raise _unknown(path)


def _unknown(path: Path) -> BadData:
    with unpacked(path) as stream:
        head = stream.read(8)
    if not head:
        return BadData(f"{path} is empty")
    return BadData(f"{path} is neither IDX, .npz, .npy nor CSV: it starts with {head!r}")


def pictures_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and the folders in it that is named as a picture is, sorted; hidden ones are left out.

    Holds the names of one folder at a time, and of those around it. Folders that links lead to, or that cannot be listed, are
    passed over.
    """
    inner, pictures = set(), []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner.add(entry.name)
            elif (
                Path(entry.name).suffix.lower() in PICTURE_SUFFIXES
                and not entry.name.startswith(".")
                and Path(entry).is_file()
            ):
                pictures.append(entry.name)
    for name in sorted([*inner, *pictures]):
        if name in inner:
            yield from pictures_below(folder / name)
        else:
            yield folder / name
