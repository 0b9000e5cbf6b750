"""Files whose headers promise what they do not hold: nobody's encoder writes these."""

import struct
import zlib

import numpy as np

from benchmarks.soak.service.samples import encoded


def png(
    width: int, height: int, colour: int = 0, pixels: bytes = b"", *more: tuple[bytes, bytes]
) -> bytes:
    """A PNG that promises what it may not hold. colour: 0 for grey, 6 with transparency; pixels: compressed; more: chunks."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *more, (b"IDAT", pixels or zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def zeros(size: int) -> bytes:
    """So many zero bytes, packed."""
    packing, block = zlib.compressobj(), bytes(1 << 20)
    parts = [packing.compress(block) for _ in range(size >> 20)]
    return b"".join((*parts, packing.compress(bytes(size % (1 << 20))), packing.flush()))


def gif(width: int, height: int, frames: int) -> bytes:
    """Frames of one pixel on a large canvas."""
    frame = b"\x21\xf9\x04\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\x02\x02\x44\x01\0"
    palette = b"\0\0\0\xff\xff\xff"
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + palette
        + frame * frames
        + b";"
    )


def bmp(width: int, height: int) -> bytes:
    """A header alone."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def webp(width: int, height: int, flags: int = 0) -> bytes:
    """The extended header alone. flags: 2 for animated."""
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    chunk = b"VP8X" + struct.pack("<IB3x", 10, flags) + size
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def tiff(width: int, height: int) -> bytes:
    """A grey strip that lies nowhere."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def jpeg(width: int, height: int, progressive: bool = False) -> bytes:
    """A small one whose header says that it is large."""
    small = encoded(np.zeros((16, 16, 3), np.uint8), "JPEG", progressive=progressive)
    start = small.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    return small[:start] + struct.pack(">HH", height, width) + small[start + 4 :]


def passes(side: int, count: int) -> bytes:
    """A progressive JPEG that goes over all of its blocks again and again, in a hundred bytes each time: nothing changes in any."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 255, marker, len(data) + 2) + data

    blocks, run = (-(-side // 8)) ** 2, 32767
    bits = ("0" + 14 * "1") * -(
        -blocks // run
    )  # "the next 32,767 blocks have no more coefficients"
    bits += "1" * (-len(bits) % 8)
    unchanged = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    head = (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC2, struct.pack(">BHHB3s", 8, side, side, 1, b"\1\x11\0"))
    )
    table = segment(
        0xC4, b"\x10\1" + bytes(15) + b"\xe0"
    )  # one code, of one bit: a run of 2^14 blocks and what 14 bits add
    return head + table + (segment(0xDA, b"\1\1\0\1\x3f\0") + unchanged) * count + b"\xff\xd9"
