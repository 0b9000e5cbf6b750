"""The same picture in every lossless encoding, which has to be read the same; 16-bit and transparent ones are read right."""

import asyncio
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.soak.service.harness import Answer, Check, Client, Outcome, Serve, Server, request
from benchmarks.soak.service.samples import FORM, READ, digits, encoded, form

Grey = NDArray[np.uint8]
TEXTS = ("27", "3", "0123456789", "61850", "49")
UNTURNED = {  # EXIF's orientation, and what a camera that writes it did to the picture
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def lossless(serve: Serve, quick: bool) -> Outcome:
    """Drawn digits as PNG, GIF, BMP, WebP, TIFF, PPM and in a form: grey, RGB, RGBA, palette, 1 to 16 bits, interlaced, turned."""
    texts = TEXTS[:1] if quick else TEXTS
    with serve() as server:
        failures, count, names = asyncio.run(_compare(server, texts))
    result = f"{count - len(failures)} read as the plain PNG is"
    details = f"Encodings of `lossless`: {', '.join(names)}."
    return Outcome(
        not failures,
        f"{len(names)} encodings of {len(texts)} pictures",
        result,
        "all, to the byte",
        tuple(failures),
        details,
    )


async def _compare(server: Server, texts: tuple[str, ...]) -> tuple[list[str], int, list[str]]:
    failures, count, names = [], 0, []
    async with Client(server) as client:
        for text in texts:
            for family in (_grey_levels(digits(text)), _black_and_white(digits(text))):
                expected = b""
                for name, body in family:
                    kind = FORM if name == "form" else "application/octet-stream"
                    answer = await client.send(request("POST", READ, body, kind))
                    expected = expected or answer.body
                    count += 1
                    names += [name] if name not in names else []
                    if answer.body != expected or _text(answer) != text:
                        failures.append(
                            f"{text!r} as {name}: {answer.status} {answer.body[:150]!r}"
                        )
    return failures, count, names


def _text(answer: Answer) -> str | None:
    found: str = answer.body.partition(b'"text": "')[2].partition(b'"')[0].decode()
    return found if answer.status == 200 else None


def _grey_levels(grey: Grey) -> Iterator[tuple[str, bytes]]:
    image, wide = Image.fromarray(grey), grey.astype(np.uint16) * 257
    strokes = Image.fromarray(
        np.dstack([np.zeros((*grey.shape, 3), np.uint8), 255 - grey])
    )  # black of varying opacity
    yield "PNG", encoded(image)
    yield "form", form(('name="file"; filename="a.png"', encoded(image)))
    for mode in ("RGB", "RGBA", "LA", "P"):
        yield f"PNG {mode}", encoded(image.convert(mode))
    yield "PNG interlaced", interlaced(grey)
    yield "PNG 16 bits", encoded(Image.fromarray(wide))
    yield "PNG 16 bits RGB", _by_opencv(".png", np.dstack([wide] * 3))
    yield (
        "PNG 16 bits RGBA",
        _by_opencv(".png", np.dstack([*[wide] * 3, np.full_like(wide, 65535)])),
    )
    yield "PNG transparent", encoded(strokes)
    yield "PNG LA transparent", encoded(strokes.convert("LA"))
    yield (
        "PNG 16 bits transparent",
        _by_opencv(".png", np.dstack([*[np.zeros_like(wide)] * 3, 65535 - wide])),
    )
    yield "WebP transparent", encoded(strokes, "WEBP", lossless=True, exact=True)
    yield "TIFF transparent", encoded(strokes, "TIFF")
    yield "GIF", encoded(image, "GIF")
    yield "GIF interlaced", encoded(image, "GIF", interlace=True)
    for mode in ("L", "RGB", "P"):
        yield f"BMP {mode}", encoded(image.convert(mode), "BMP")
    yield "BMP RGBA", encoded(image.convert("RGBA"), "BMP")
    yield "WebP", encoded(image, "WEBP", lossless=True)
    yield "PPM", encoded(image.convert("RGB"), "PPM")
    yield "PGM", encoded(image, "PPM")
    yield "PGM 16 bits", b"P5 %d %d 65535\n" % image.size + wide.astype(">u2").tobytes()
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        yield f"TIFF {compression}", encoded(image, "TIFF", compression=compression)
    yield "TIFF 16 bits", encoded(Image.fromarray(wide), "TIFF")
    yield "TIFF floats", encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF")
    for orientation, way in UNTURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"PNG turned {orientation}", encoded(image.transpose(way), exif=exif)
        yield (
            f"WebP turned {orientation}",
            encoded(image.transpose(way), "WEBP", lossless=True, exif=exif),
        )


def _black_and_white(grey: Grey) -> Iterator[tuple[str, bytes]]:
    plain = np.where(grey < 128, 0, 255).astype(np.uint8)
    image, two = (
        Image.fromarray(plain),
        Image.fromarray(plain).convert("1", dither=Image.Dither.NONE),
    )
    yield "PNG black and white", encoded(image)
    yield "PNG 1 bit", encoded(two)
    palette = Image.fromarray((plain > 0).astype(np.uint8))
    palette.putpalette([0, 0, 0, 255, 255, 255])
    for bits in (1, 2, 4, 8):
        yield f"PNG palette of {bits} bits", encoded(palette, bits=bits)
    clear = palette.copy()
    clear.info["transparency"] = 1
    yield "PNG palette transparent", encoded(clear)
    yield "GIF transparent", encoded(clear, "GIF", transparency=1)
    for kind in ("BMP", "GIF", "PPM", "TIFF"):
        yield f"{kind} 1 bit", encoded(two, kind)
    yield "TIFF fax", encoded(two, "TIFF", compression="group4")


def interlaced(grey: Grey) -> bytes:
    """As PNG in seven passes, which Pillow reads but does not write. Source: PNG specification, 8.1."""
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )  # x, y, steps
    rows = b"".join(
        b"\0" + row.tobytes() for x, y, dx, dy in passes for row in grey[y::dy, x::dx] if row.size
    )
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", *grey.shape[::-1], 8, 0, 0, 0, 1)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _by_opencv(kind: str, pixels: NDArray[np.uint16]) -> bytes:
    """For what Pillow does not write."""
    written, data = cv2.imencode(kind, pixels)
    assert written
    return data.tobytes()


CHECKS = {"lossless": Check(lossless, "sixteen_bits_clipped")}
