"""Files of 28x28 images: IDX, .npz, .npy or CSV, packed or not, as the first bytes tell.

A path comes in, uint8 images come out, with their labels where the file has them. `arrays` reads
the binary formats and `tables` the text.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from inkdigits.core import arrays, tables
from inkdigits.core.arrays import LabelledImages
from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadData
from inkdigits.core.unpacking import unpacked

Kind = Literal["idx", "npz", "npy", "csv"]

# A line of names or numbers with commas, semicolons or tabs between them, or of many numbers with
# spaces: no picture, page or program starts like this.
CSV_START = re.compile(
    rb'(\xef\xbb\xbf)?([\w .+"-]+([,;\t][\w .+"-]*)+(\r?\n|\Z)|([\d.e+-]+ +){9})'
)


def kind_of(path: Path) -> Kind | None:
    """Return the format of a file of arrays, or None for anything else, such as a picture.

    Raises:
        BadData: the file cannot be read.
    """
    head = _first_bytes(path)
    if arrays.is_idx(head):
        return "idx"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if head.startswith(arrays.NPY_MAGIC):
        return "npy"

    return "csv" if CSV_START.match(head) else None


def _first_bytes(path: Path) -> bytes:
    with unpacked(path) as stream:
        return stream.read(256)


def read_images(path: Path) -> dict[str, LabelledImages]:
    """Return all images of a file and their labels, by the name of the array.

    Args:
        path: the file.

    Returns:
        For each array uint8 (N, 28, 28), and its labels uint8 (N,), or None where it has none. An
        .npz file may have several arrays, such as `x_train` and `x_test`; in other formats the only
        one is called `images`.

    Raises:
        BadData: the file is damaged, of another format, or holds no images.
    """
    match kind_of(path):
        case "npz":
            found = arrays.read_npz(path)
        case "csv":
            found = {"images": tables.read_csv(path)}
        case "idx" | "npy":
            found = {"images": (arrays.as_images(arrays.read_array(path), str(path)), None)}
        case None:
            raise _unknown(path)

    if not any(len(images) for images, _ in found.values()):
        raise BadData(f"{path} holds no images")

    return found


def iter_images(path: Path, rows: int = 8192) -> Iterator[Pixels]:
    """Yield the images of a file in blocks, with one block in memory at a time.

    Args:
        path: the file.
        rows: the most images in a block.

    Yields:
        uint8 (n, 28, 28), the same images in the same order as `read_images`.

    Raises:
        BadData: the file is damaged, of another format, or holds no images.
    """
    match kind_of(path):
        case "npz":
            blocks = arrays.iter_npz(path, rows)
        case "csv":
            blocks = (images for images, _ in tables.iter_csv(path, rows))
        case "idx" | "npy":
            blocks = arrays.iter_array(path, rows)
        case None:
            raise _unknown(path)

    empty = True
    for images in blocks:
        empty = False
        yield images

    if empty:
        raise BadData(f"{path} holds no images")


def _unknown(path: Path) -> BadData:
    """Return the error that says what an unknown file starts with."""
    head = _first_bytes(path)[:8]
    if not head:
        return BadData(f"{path} is empty")
    return BadData(f"{path} is neither IDX, .npz, .npy nor CSV: it starts with {head!r}")
