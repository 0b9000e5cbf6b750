"""Files that are dear to take apart are refused; unusual ones that are not are read."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing import picture_file
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.preprocessing.picture_file import MAX_HEAD, MAX_PIECES, PictureFile, TooDear

GREY = np.full((64, 64), 200, np.uint8)
PIECES = f"more than {MAX_PIECES:,} pieces"
HEAD = f"more than {MAX_HEAD:,} bytes before its pixels"
NUMBERS = "more than 40,000 numbers in its directories"
PYTHON = "more than 1,000,000 pixels as"


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, data: bytes = b"") -> bytes:
    return struct.pack(">BBH", 255, marker, len(data) + 2) + data


def jpeg(more: bytes) -> bytes:
    """Return a JPEG with more at its beginning."""
    plain = encoded("JPEG")
    return plain[:2] + more + plain[2:]


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(before: bytes = b"", within: bytes = b"") -> bytes:
    """Return a PNG with more chunks before its pixels, and among them."""
    plain = encoded("PNG")
    start = plain.index(b"IDAT") - 4
    pixels = zlib.compress((b"\0" + GREY[0].tobytes()) * 64)
    parts = [chunk(b"IDAT", pixels[:9]), within, chunk(b"IDAT", pixels[9:]), chunk(b"IEND")]
    return plain[:start] + before + b"".join(parts)


def gif(before: bytes = b"", after: bytes = b"") -> bytes:
    """Return a GIF with more before its pixels, and behind them."""
    plain = encoded("GIF")
    start = 13 + 3 * 2 ** ((plain[10] & 7) + 1)
    return plain[:start] + before + plain[start:-1] + after + b";"


def bmp(width: int, height: int, runs: bytes) -> bytes:
    """Return a BMP in run lengths."""
    start = 54 + 1024
    file = struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start)
    sizes = struct.pack("<IiiHHII16x", 40, width, height, 1, 8, 1, len(runs))
    return file + sizes + bytes(1020) + b"\xff\0\xff\0" + runs


def tiff(*more: tuple[int, int, int, int], tail: bytes = b"", next_to: bytes = b"II*\0") -> bytes:
    """Return a TIFF of one strip. more: entries (tag, type, count, value or place)."""
    entries = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 1000), (277, 3, 1, 1), (278, 4, 1, 64), (279, 4, 1, 4096), *more]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = next_to + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    return head.ljust(1000, b"\0") + GREY.tobytes() + tail


def strips(rows: int) -> bytes:
    """Return a TIFF with a strip for each row of one pixel."""
    places = struct.pack(f"<{rows}I", *range(3000, 3000 + rows))
    lengths = struct.pack("<I", 1) * rows
    entries = [(256, 4, 1, 1), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, rows, 3000 + rows), (277, 3, 1, 1), (278, 4, 1, 1)]
    entries += [(279, 4, rows, 3000 + 5 * rows)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + packed + bytes(4)
    return head.ljust(3000, b"\0") + b"\xc8" * rows + places + lengths


EXIF = b"Exif\0\0"
MANY = 300_000  # pieces
TEXT = zlib.compress(b"a" * 1000)
DEAR = {
    "JPEG of empty Exif segments": (lambda: jpeg(segment(0xE1, EXIF) * MANY), PIECES),
    "JPEG of full Exif segments": (lambda: jpeg(segment(0xE1, EXIF + bytes(65000)) * 99), HEAD),
    "JPEG of empty segments": (lambda: jpeg(segment(0xE5) * MANY), PIECES),
    "JPEG of padding": (lambda: jpeg(b"\xff" * MANY), PIECES),
    "JPEG of tables": (lambda: jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 999) * 99), HEAD),
    "JPEG of scans": (lambda: jpeg(b"") + segment(0xDA) * 100, "more than 100 scans"),
    "PNG of empty chunks before": (lambda: png(chunk(b"abCd") * MANY), PIECES),
    "PNG of empty chunks within": (lambda: png(within=chunk(b"IDAT") * MANY), PIECES),
    "PNG of one large chunk": (lambda: png(chunk(b"eXIf", bytes(MAX_HEAD))), HEAD),
    "PNG of packed texts": (
        lambda: png(chunk(b"zTXt", b"a\0\0" + TEXT) * 17),
        "more than 16 packed texts",
    ),
    "GIF of comments": (lambda: gif(b"!\xfe\1a\0" * MANY), PIECES),
    "GIF of one long comment": (lambda: gif(b"!\xfe" + b"\1a" * MANY + b"\0"), PIECES),
    "GIF of large comments": (lambda: gif(b"!\xfe" + b"\xff".ljust(256) * 20000 + b"\0"), HEAD),
    "GIF of comments behind": (lambda: gif(after=b"!\xfe\1a\0" * MANY), PIECES),
    "GIF of rubbish behind": (lambda: gif(after=b"x" * MANY), PIECES),
    "BMP of one long row": (lambda: bmp(2_000_000, 1, b"\1\1\0\0"), PYTHON),
    "BMP of moves to nowhere": (lambda: bmp(64, 64, b"\0\2\0\0" * MANY), PIECES),
    "BMP of runs beyond the row": (lambda: bmp(64, 64, b"\x40\1" + b"\1\1" * MANY), PIECES),
    "PGM with an unusual maximum": (lambda: b"P5 1001 1000 254\n" + bytes(1_001_000), PYTHON),
    "PPM with an unusual maximum": (lambda: b"P6 900 900 254\n" + bytes(2_430_000), PIECES),
    "PGM with a long comment": (lambda: b"P5 #" + b"a" * MANY + b"\n1 1 255\na", PIECES),
    "PGM with much space": (lambda: b"P5" + b" " * MANY + b"1 1 255\na", PIECES),
    "PGM in many letters": (
        lambda: b"P2 500 500 255\n" + b"1    " * 250_000,
        "more than 1,048,576 bytes of text",
    ),
    "PBM of comments": (lambda: b"P1 9 9\n" + b"#\n" * 101, "more than 100 comments"),
    "TIFF of strips of one row": (lambda: strips(20_001), NUMBERS),
    "TIFF of many numbers": (lambda: tiff((258, 3, 50_000, 0), tail=bytes(10**6)), NUMBERS),
    "TIFF of many entries": (
        lambda: tiff(*((40_000 + n, 3, 900, 8) for n in range(50))),
        NUMBERS,
    ),
    "TIFF of directories in a ring": (lambda: tiff((34665, 4, 1, 8)), NUMBERS),
    "big TIFF of many numbers": (
        lambda: struct.pack("<2sHHHQQHHQQ", b"II", 43, 8, 0, 16, 1, 258, 3, 50_000, 0),
        NUMBERS,
    ),
}


@pytest.mark.parametrize(("build", "why"), DEAR.values(), ids=DEAR)
def test_a_dear_file_is_refused_with_a_sentence(
    build: Callable[[], bytes], why: str, tmp_path: Path
) -> None:
    data = build()
    path = tmp_path / "dear"
    path.write_bytes(data)
    for source, name in ((data, "the data"), (path, str(path))):
        with pytest.raises(BadPicture, match=f"^{re.escape(name)} has {re.escape(why)}.*") as error:
            open_picture(source)
        assert error.value.code == "too_large"
        assert str(error.value).endswith("; save it anew, as PNG")


USUAL = {
    "JPEG with Exif, profile and comment": jpeg(
        segment(0xE1, EXIF + b"II*\0\x08" + bytes(9)) + segment(0xE2, bytes(60000)) * 20
    ),
    "PNG of chunks of a hundred bytes": png(within=chunk(b"IDAT") * 999),
    "GIF with a comment": gif(b"!\xfe\5hello\0"),
    "BMP in run lengths": bmp(64, 64, b"\x40\xff\0\0" * 64 + b"\0\1"),
    "PGM with an unusual maximum": b"P5 64 64 100\n" + bytes([78]) * 4096,
    "PGM in letters": b"P2 64 64 255\n# made by hand\n" + b"200 " * 4096,
    "TIFF with a strip for each of 8,000 rows": strips(8000),
    "TIFF with Exif": tiff((34665, 4, 1, 6000), tail=bytes(2000)),
}


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL)
def test_an_unusual_file_is_read(data: bytes) -> None:
    pixels = open_picture(data).pixels
    assert np.abs(pixels.astype(int).mean() - 200) < 60


def test_a_limit_that_a_parser_hides_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_file, "MAX_PIECES", 3)
    file = PictureFile(bytes(9))
    for _ in range(3):
        assert file.read(1) == b"\0"
    for _ in range(2):
        with pytest.raises(TooDear, match="more than 3 pieces"):
            file.read(1)
    assert file.refused is not None


def test_pixels_do_not_count_as_head() -> None:
    file = PictureFile(bytes(MAX_HEAD + 100))
    file.end_head()
    assert len(file.read(MAX_HEAD + 1)) == MAX_HEAD + 1
    assert file.refused is None


def test_a_file_that_is_read_whole_has_no_head() -> None:
    assert len(PictureFile(bytes(MAX_HEAD + 1)).read()) == MAX_HEAD + 1


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_picture_is_turned_as_pillow_turns_it(turned: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turned
    pixels = np.arange(64 * 48, dtype=np.int64).reshape(64, 48).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(open_picture(file.getvalue()).pixels, expected)
