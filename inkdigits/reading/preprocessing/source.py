"""A file as it is handed over, a path, bytes, an open file or a data URL; its bytes go out.

What its size or its first bytes rule out is not read: an endless device, a film, a gigabyte. A path
may end in an index, as in `scan.pdf[3]`, which asks for one page or frame, counted from 0.
"""

import base64
import binascii
import io
import os
import re
import stat
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from inkdigits.core.errors import BadPicture, quoted, shortened
from inkdigits.reading.preprocessing.frames import refuse_by_head
from inkdigits.reading.preprocessing.picture_file import MAX_HEAD

MAX_FILE = 256 << 20  # bytes; 64 million pixels take less, even uncompressed
CHUNK = 1 << 20  # bytes read at a time
DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
INDEXED = re.compile(r"(.+)\[(\d{1,9})\]", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class SourceFile:
    """The bytes of a file.

    Attributes:
        data: all of them.
        name: what errors call the file, without the index.
        index: of the page or frame that is asked for, from 0; None for the file as it is.
    """

    data: bytes
    name: str
    index: int | None = None


def read_source(source: Any) -> SourceFile | None:
    """Return the file that somebody hands over, or None for anything else, such as an array.

    Args:
        source: a path, the bytes of a file, a data URL, or a file that is open for reading bytes.

    Raises:
        BadPicture: with the code not_found, unreadable, not_a_picture or too_large.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return SourceFile(bytes(source), "the data")
    if isinstance(source, str) and source.startswith("data:"):
        return SourceFile(_decode_data_url(source), "the data URL")
    if isinstance(source, str | PathLike):
        path, index = split_index(fspath(source))
        return SourceFile(_read_file(Path(path)), shortened(path), index)
    if hasattr(source, "read"):
        return SourceFile(read_open_file(source, "the open file"), "the open file")

    return None


def split_index(path: str) -> tuple[str, int | None]:
    """Return the path of a file and the index behind it, as in `scan.pdf[3]`; None without one.

    A file whose own name ends so is that file.
    """
    match = INDEXED.fullmatch(path)
    if match and not is_file(path) and is_file(match[1]):
        return match[1], int(match[2])

    return path, None


def is_file(path: str) -> bool:
    """Tell whether there is a file; a name that no file can have is none."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _read_file(path: Path) -> bytes:
    """Return the bytes of a file that may be a picture."""
    name = quoted(path)
    try:
        with path.open("rb") as file:
            return read_open_file(file, shortened(path))
    except (FileNotFoundError, NotADirectoryError):
        raise BadPicture("not_found", f"no file {name}") from None
    except IsADirectoryError:
        raise BadPicture("not_a_picture", f"{name} is a folder, not a picture") from None
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadPicture("unreadable", f"{name} cannot be read: {reason}") from None


def read_open_file(file: Any, name: str) -> bytes:
    """Return the bytes of an open file; of one in memory all, wherever it was left standing.

    Args:
        file: open for reading bytes: a file, a pipe, a device, or what behaves like one.
        name: what errors call it.

    Raises:
        BadPicture: it is open for text; or its size, or its first bytes, say that it is too large
            or no picture. Then the rest is not read.
        OSError: it cannot be read.
    """
    if _size(file) > MAX_FILE:
        raise _too_large(name)
    if isinstance(file, io.BytesIO):
        return file.getvalue()

    read = io.BytesIO()
    while chunk := file.read(CHUNK):
        if isinstance(chunk, str):
            raise BadPicture("not_a_picture", "the file is open for text; open it with mode 'rb'")
        before = read.tell()
        read.write(chunk)
        if before < MAX_HEAD <= read.tell():
            refuse_by_head(bytes(read.getbuffer()[:MAX_HEAD]), name)
        if read.tell() > MAX_FILE:
            raise _too_large(name)

    return read.getvalue()


def _size(file: Any) -> int:
    """Return the bytes of an open file, or 0 if they are not known, as there may be no end."""
    if isinstance(file, io.BytesIO):
        return file.getbuffer().nbytes

    try:
        facts = os.fstat(file.fileno())
    except (AttributeError, OSError):
        return 0

    return facts.st_size if stat.S_ISREG(facts.st_mode) else 0


def _too_large(name: str) -> BadPicture:
    return BadPicture("too_large", f"{name} has more than the {MAX_FILE:,} bytes that are read")


def _decode_data_url(url: str) -> bytes:
    """Return the bytes in a data URL as browsers make them, `data:image/png;base64,...`."""
    head = DATA_URL.match(url)
    if not head:
        raise BadPicture(
            "not_a_picture", "the data URL is not data:image/...;base64, with base64 behind it"
        )

    packed = url[head.end() :]
    if len(packed) > MAX_FILE * 4 // 3:
        raise BadPicture("too_large", f"the data URL has more than {MAX_FILE:,} bytes")

    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise BadPicture(
            "not_a_picture", "the data URL is damaged: what follows `base64,` is no base64"
        ) from None
