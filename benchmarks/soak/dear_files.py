"""Files of pictures that are small and dear to take apart: each has very many very small pieces.

No encoder writes these. The tests and the soak both read them.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

GREY = np.full((64, 64), 200, np.uint8)
EXIF = b"Exif\0\0"


def encoded(kind: str, **options: object) -> bytes:
    """Return a small grey picture as a file."""
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, data: bytes = b"") -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 255, marker, len(data) + 2) + data


def jpeg(more: bytes) -> bytes:
    """Return a JPEG with more at its beginning."""
    plain = encoded("JPEG")
    return plain[:2] + more + plain[2:]


def chunk(name: bytes, data: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
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


def strips(rows: int, head: bytes = b"II*\0") -> bytes:
    """Return a TIFF with a strip for each row of one pixel."""
    places = struct.pack(f"<{rows}I", *range(3000, 3000 + rows))
    lengths = struct.pack("<I", 1) * rows
    entries = [(256, 4, 1, 1), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, rows, 3000 + rows), (277, 3, 1, 1), (278, 4, 1, 1)]
    entries += [(279, 4, rows, 3000 + 5 * rows)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head += struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    return head.ljust(3000, b"\0") + b"\xc8" * rows + places + lengths


def avif(exif: bytes) -> bytes:
    """Return an AVIF that is turned, and whose Exif data, a TIFF, are in two pieces."""
    turned = Image.Exif()
    turned.update({274: 6, 270: "a"})  # Pillow writes no Exif data for the first alone
    plain = encoded("AVIF", exif=turned)
    begin = plain.index(b"iloc") + 12  # where the picture is, and where the Exif data are
    picture, size = struct.unpack_from(">II", plain, begin + 6)

    data = bytes(4) + exif
    end = len(plain) + 16  # 8 bytes more for the second piece, 8 for the head of its box
    places = struct.pack(">HHHII", 1, 0, 1, picture + 8, size)
    places += struct.pack(">HHHIIII", 2, 0, 2, end, 5, end + 6, len(data) - 5)
    file = bytearray(plain[:begin] + places + plain[begin + 28 :])
    for box in (b"meta", b"iloc"):
        place = file.index(box) - 4
        file[place : place + 4] = (int.from_bytes(file[place : place + 4]) + 8).to_bytes(4)

    return bytes(file) + struct.pack(">I4s", 9 + len(data), b"free") + data[:5] + b"\0" + data[5:]


def dear_files(pieces: int) -> Mapping[str, Callable[[], bytes]]:
    """Return what makes each dear file, by its name.

    Args:
        pieces: how many there are in those whose pieces are of a few bytes.
    """
    text = zlib.compress(b"a" * 1000)
    return {
        "JPEG of empty Exif segments": lambda: jpeg(segment(0xE1, EXIF) * pieces),
        "JPEG of full Exif segments": lambda: jpeg(segment(0xE1, EXIF + bytes(65000)) * 99),
        "JPEG of empty segments": lambda: jpeg(segment(0xE5) * pieces),
        "JPEG of padding": lambda: jpeg(b"\xff" * pieces),
        "JPEG of tables": lambda: jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 999) * 99),
        "JPEG of scans": lambda: jpeg(b"") + segment(0xDA) * 100,
        "PNG of empty chunks before": lambda: png(chunk(b"abCd") * pieces),
        "PNG of empty chunks within": lambda: png(within=chunk(b"IDAT") * pieces),
        "PNG of one large chunk": lambda: png(chunk(b"eXIf", bytes(4 << 20))),
        "PNG of packed texts": lambda: png(chunk(b"zTXt", b"a\0\0" + text) * 17),
        "GIF of comments": lambda: gif(b"!\xfe\1a\0" * pieces),
        "GIF of one long comment": lambda: gif(b"!\xfe" + b"\1a" * pieces + b"\0"),
        "GIF of large comments": lambda: gif(b"!\xfe" + b"\xff".ljust(256) * 20000 + b"\0"),
        "GIF of comments behind": lambda: gif(after=b"!\xfe\1a\0" * pieces),
        "GIF of rubbish behind": lambda: gif(after=b"x" * pieces),
        "BMP of one long row": lambda: bmp(2_000_000, 1, b"\1\1\0\0"),
        "BMP of moves to nowhere": lambda: bmp(64, 64, b"\0\2\0\0" * pieces),
        "BMP of runs beyond the row": lambda: bmp(64, 64, b"\x40\1" + b"\1\1" * pieces),
        "PGM with an unusual maximum": lambda: b"P5 1001 1000 254\n" + bytes(1_001_000),
        "PPM with an unusual maximum": lambda: b"P6 900 900 254\n" + bytes(2_430_000),
        "PGM with a long comment": lambda: b"P5 #" + b"a" * pieces + b"\n1 1 255\na",
        "PGM with much space": lambda: b"P5" + b" " * pieces + b"1 1 255\na",
        "PGM in many letters": lambda: b"P2 500 500 255\n" + b"1    " * 250_000,
        "PBM of comments": lambda: b"P1 9 9\n" + b"#\n" * 101,
        "TIFF of strips of one row": lambda: strips(20_001),
        "TIFF of many numbers": lambda: tiff((258, 3, 50_000, 0), tail=bytes(10**6)),
        "TIFF of many entries": lambda: tiff(*((40_000 + n, 3, 900, 8) for n in range(50))),
        "TIFF of directories in a ring": lambda: tiff((34665, 4, 1, 8)),
        "big TIFF of many numbers": lambda: struct.pack(
            "<2sHHHQQHHQQ", b"II", 43, 8, 0, 16, 1, 258, 3, 50_000, 0
        ),
        "TIFF of strips of one row, its head reversed": lambda: strips(60_000, b"II\0*"),
        "AVIF of many numbers in two pieces": lambda: avif(
            struct.pack("<4sIHHHII", b"II*\0", 8, 1, 40_000, 5, pieces // 8, 26)
            + bytes(4)
            + bytes(range(1, 9)) * (pieces // 8)
        ),
    }
