"""Files whose headers promise what they do not hold; no encoder writes these."""

import struct
import zlib

import numpy as np

from benchmarks.common import encoded
from benchmarks.reading.pictures import png_file


def png(
    width: int, height: int, colour: int = 0, pixels: bytes = b"", *more: tuple[bytes, bytes]
) -> bytes:
    """Return a PNG of any size.

    Args:
        width: what the header says.
        height: what the header says.
        colour: 0 for grey, 6 for transparency.
        pixels: compressed rows.
        more: further chunks.
    """
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = pixels or zlib.compress(b"")
    return png_file((b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b""))


def zeros(size: int) -> bytes:
    """Compress this many zero bytes, without holding them."""
    packing = zlib.compressobj()
    block = bytes(1 << 20)
    parts = [packing.compress(block) for _ in range(size >> 20)]
    return b"".join((*parts, packing.compress(bytes(size % (1 << 20))), packing.flush()))


def gif(width: int, height: int, frames: int) -> bytes:
    """Return frames of one pixel on a large canvas."""
    frame = b"\x21\xf9\x04\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\x02\x02\x44\x01\0"
    palette = b"\0\0\0\xff\xff\xff"
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return header + palette + frame * frames + b";"


def bmp(width: int, height: int) -> bytes:
    """Return a header alone."""
    file = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
    return file + struct.pack("<IiiHH24x", 40, width, height, 1, 24)


def webp(width: int, height: int, flags: int = 0) -> bytes:
    """Return the extended header alone. flags: 2 for animated."""
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    chunk = b"VP8X" + struct.pack("<IB3x", 10, flags) + size
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def tiff(width: int, height: int) -> bytes:
    """Return the tags of a grey strip that is not in the file."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def jpeg(width: int, height: int, progressive: bool = False) -> bytes:
    """Return a small picture whose header says that it is large."""
    small = encoded(np.zeros((16, 16, 3), np.uint8), "JPEG", progressive=progressive)
    start = small.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    return small[:start] + struct.pack(">HH", height, width) + small[start + 4 :]


def passes(side: int, count: int) -> bytes:
    """Return a progressive JPEG that goes over all of its blocks again and again.

    Each pass takes a hundred bytes, and changes nothing.
    """
    runs = -(-((-(-side // 8)) ** 2) // 32767)
    bits = ("0" + 14 * "1") * runs  # "the next 32,767 blocks have no more coefficients"
    bits += "1" * (-len(bits) % 8)
    unchanged = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = struct.pack(">BHHB3s", 8, side, side, 1, b"\1\x11\0")
    # One code, of one bit: a run of 2^14 blocks and what 14 bits add.
    table = _segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")
    head = b"\xff\xd8" + _segment(0xDB, b"\0" + b"\1" * 64) + _segment(0xC2, frame) + table
    return head + (_segment(0xDA, b"\1\1\0\1\x3f\0") + unchanged) * count + b"\xff\xd9"


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, len(data) + 2) + data
