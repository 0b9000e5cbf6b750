"""The bytes of a file, with gzip and bzip2 unpacked on the way; decompression bombs are refused.

A path comes in, a stream of bytes goes out. What goes wrong while the stream is read is raised as
BadData, in a sentence that names the file.
"""

import bz2
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkdigits.core.errors import BadData, shortened

# Bytes unpacked at a time: still in the cache when they are hashed and copied.
UNPACKED_CHUNK = 1 << 20

# Deflate packs real digits to a fifth of their size, and blank images to a thousandth at the very
# best.
DEFLATE_RATIO = 1032
LARGEST_RATIO = 100  # beyond it, something large is a bomb and not digits
LARGE_FILE = 256 << 20  # bytes


@contextmanager
def unpacked(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, and unpack it if its first bytes, not its name, say gzip or bzip2.

    Args:
        path: the file.

    Yields:
        A seekable stream of the unpacked bytes.

    Raises:
        BadData: the file is missing, cannot be read, or turns out to be damaged while it is read.
    """
    try:
        with path.open("rb") as file:
            head = file.peek(3)
            if head.startswith(b"\x1f\x8b"):
                yield gzip.GzipFile(fileobj=file)
            elif head.startswith(b"BZh"):
                yield bz2.BZ2File(file)
            else:
                yield file
    except FileNotFoundError:
        raise BadData(f"no file {shortened(path)}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise BadData(f"{shortened(path)} is damaged or cut short: {problem}") from None
    except OSError as problem:  # a folder, no permission, or damaged bzip2
        reason = problem.strerror or problem
        raise BadData(f"{shortened(path)} cannot be read: {reason}") from None


def sha256(path: Path, *, unpack: bool, limit: int) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Args:
        path: the file.
        unpack: hash the unpacked bytes of a gzip or bzip2 file instead of the file's own.
        limit: the most bytes that are allowed.

    Returns:
        The digest in lower case.

    Raises:
        BadData: the file is damaged or has more than `limit` bytes.
        OSError: a file that is not to be unpacked cannot be read.
    """
    digest = hashlib.sha256()
    with unpacked(path) if unpack else path.open("rb") as stream:
        while chunk := stream.read(UNPACKED_CHUNK):
            digest.update(chunk)
            limit -= len(chunk)
            if limit < 0:
                raise BadData(f"{path} is larger than it should be")

    return digest.hexdigest()


def refuse_bombs(claimed: int, packed: int, name: str) -> None:
    """Refuse data that claims more bytes than its file can hold, or than packed digits would have.

    Args:
        claimed: bytes of the unpacked data, as far as they are known.
        packed: bytes of the file on the disk.
        name: what the error calls the data.

    Raises:
        BadData: there are too many.
    """
    ratio = LARGEST_RATIO if claimed > LARGE_FILE else DEFLATE_RATIO
    if claimed > packed * ratio:
        raise BadData(
            f"{name} claims to hold {claimed:,} bytes in a file of {packed:,}: "
            "damaged, or not digits"
        )
