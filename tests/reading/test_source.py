"""Files are refused by their size and their first bytes; what may be a picture is read whole."""

import io
import os
import struct
import sys
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing import source
from inkdigits.reading.preprocessing.frames import FORMATS, READABLE_HEADS
from inkdigits.reading.preprocessing.picture_file import MAX_HEAD, MAX_PIECES
from inkdigits.reading.preprocessing.source import CHUNK, MAX_FILE, read_open_file, read_source

HUGE = 60_000  # pixels on a side
# The same starts that Pillow knows, beside those of the files that it writes.
OTHER_HEADS = (b"P1\n", b"P2\n", b"P3\n", b"Pf\n", b"MM\0*", b"II+\0", b"MM\0+", b"%PDF-1.7")


class Endless:
    """A device: it starts with some bytes, and zeros follow."""

    def __init__(self, start: bytes) -> None:
        self.start = start
        self.given = 0

    def read(self, size: int) -> bytes:
        given = self.start[self.given : self.given + size]
        self.given += size
        return given.ljust(size, b"\0")


def code_of(file: object) -> str:
    with pytest.raises(BadPicture) as caught:
        read_open_file(file, "the file")
    return caught.value.code


def png_of(side: int) -> bytes:
    """Return a PNG that ends where its pixels should begin."""
    size = struct.pack(">LLBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">L4s", 13, b"IHDR") + size
        + struct.pack(">L", zlib.crc32(b"IHDR" + size))
        + struct.pack(">L4s", 1 << 30, b"IDAT")
    )  # fmt: skip


def encoded(name: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(file, name)
    return file.getvalue()


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"", "not_a_picture"),
        (b"text", "not_a_picture"),
        (b"PK\3\4", "not_a_picture"),
        (b"8BPS", "unsupported"),
        (png_of(HUGE), "too_large"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * (MAX_PIECES + 1), "too_large"),
        (b"P1\n" + b"#\n" * 101, "too_large"),
    ],
    ids=["zeros", "text", "zip", "Photoshop", "pixels", "pieces", "comments"],
)
def test_what_never_ends_is_refused_by_its_first_bytes(start: bytes, code: str) -> None:
    file = Endless(start)

    assert code_of(file) == code
    assert file.given <= MAX_HEAD + CHUNK


def test_a_picture_that_never_ends_is_read_as_far_as_the_limit() -> None:
    file = Endless(png_of(28))

    assert code_of(file) == "too_large"
    assert file.given <= MAX_FILE + CHUNK


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    class Unread(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError(f"{size} bytes were asked for")

    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE + 1)

    with Unread(path) as unread:
        assert code_of(unread) == "too_large"
    with pytest.raises(BadPicture, match=r"sparse\.png has more than the 268,435,456 bytes"):
        read_source(path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no FIFOs")
def test_a_fifo_is_left_as_soon_as_its_first_bytes_are_no_picture(tmp_path: Path) -> None:
    fifo = tmp_path / "endless.png"
    os.mkfifo(fifo)
    written = 0

    def write() -> None:
        nonlocal written
        with suppress(BrokenPipeError), fifo.open("wb", buffering=0) as file:
            while written < MAX_FILE:
                written += file.write(bytes(CHUNK))

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(BadPicture, match="is not a picture"):
        read_source(fifo)
    writer.join()

    assert written <= MAX_HEAD + 2 * CHUNK


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(BadPicture, match="/dev/zero is not a picture"):
        read_source("/dev/zero")


@pytest.mark.parametrize("name", FORMATS)
def test_a_picture_with_much_behind_it_is_read_whole(name: str) -> None:
    whole = encoded(name) + bytes(MAX_HEAD + CHUNK)

    assert read_open_file(io.BufferedReader(io.BytesIO(whole)), "it") == whole


def test_all_that_pillow_takes_for_a_picture_is_read() -> None:
    Image.init()
    for head in (*map(encoded, FORMATS), *OTHER_HEADS):
        taken = [name for name in FORMATS if Image.OPEN[name][1](head[:16])]

        assert taken or head.startswith(b"%PDF")
        assert READABLE_HEADS.match(head)


def test_a_file_in_memory_is_read_whole_wherever_it_stands() -> None:
    file = io.BytesIO(encoded("PNG"))
    file.seek(10)

    assert read_open_file(file, "the file") == encoded("PNG")
    assert file.tell() == 10


def test_pieces_that_arrive_one_by_one_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 7)

    assert read_open_file(io.BufferedReader(io.BytesIO(encoded("PNG"))), "it") == encoded("PNG")
