"""The pictures that the benchmark of reading reads: encodings, sizes, pictures of nothing, a photo.

MNIST-like fields (28, 28) uint8, paper 0 to ink 255, or random numbers come in; what
`Recogniser.read` takes goes out.
"""

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from benchmarks.common import encoded
from inkdigits.data.synthetic.pages import camera
from inkdigits.data.synthetic.pages.generator import render
from inkdigits.data.synthetic.pages.layout import Mark
from inkdigits.data.synthetic.pages.scene import Scene
from inkdigits.data.synthetic.pages.writing import Pen, random_hand
from inkdigits.reading.preprocessing.picture import Source

Pixels = NDArray[np.uint8]
Way = Callable[[Pixels], Source]  # hands over one digit
File = Callable[[Pixels], bytes]

DRAWING = 200  # pixels
SMALLEST = 8  # pixels of a picture of nothing
LARGEST = 1000
WIDER = 1.5  # times; ones stay narrower than the frame, as in USPS
PHOTO = 4000, 3000  # pixels
ORIENTATION = 0x0112  # EXIF's tag
UNTURNED = {  # EXIF's orientation, and what a camera that was held that way does to the picture
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ADAM7 = (  # x, y, steps of the seven passes of an interlaced PNG
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


# ---- encodings


def _as(kind: str, mode: str = "L", **options: object) -> File:
    return lambda pixels: encoded(Image.fromarray(pixels).convert(mode), kind, **options)


def _turned(kind: str, orientation: int, **options: object) -> File:
    """Store a picture as a turned camera does. Source: EXIF 2.3, orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    way = UNTURNED[orientation]
    return lambda pixels: encoded(
        Image.fromarray(pixels).convert("RGB").transpose(way), kind, exif=exif, **options
    )


def _stroked(kind: str, mode: str = "RGBA", **options: object) -> File:
    """Draw black ink, as opaque as there is ink, on transparent paper, as paint programs do."""

    def way(ink: Pixels) -> bytes:
        black = np.zeros((*ink.shape, 3), np.uint8)
        return encoded(Image.fromarray(np.dstack([black, ink])).convert(mode), kind, **options)

    return way


def _wide(pixels: Pixels) -> NDArray[np.uint16]:
    """Return 16 bits, exactly as bright: 257 is 65535 / 255."""
    return pixels.astype(np.uint16) * 257


def _wide_png(*channels: NDArray[np.uint16]) -> bytes:
    """Encode 16-bit colours, which Pillow does not write."""
    return cv2.imencode(".png", np.dstack(channels))[1].tobytes()


def _wide_strokes(ink: Pixels) -> bytes:
    black = np.zeros(ink.shape, np.uint16)
    return _wide_png(black, black, black, _wide(ink))


def _wide_pgm(pixels: Pixels) -> bytes:
    return b"P5 %d %d 65535\n" % pixels.shape[::-1] + _wide(pixels).astype(">u2").tobytes()


def _interlaced(pixels: Pixels) -> bytes:
    """Encode a PNG in seven passes, which Pillow does not write. Source: PNG, 8.1."""
    lines = (row for x, y, dx, dy in ADAM7 for row in pixels[y::dy, x::dx] if row.size)
    header = struct.pack(">IIBBBBB", *pixels.shape[::-1], 8, 0, 0, 0, 1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in lines))
    return png_file((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))


def png_file(*chunks: tuple[bytes, bytes]) -> bytes:
    """Join chunks (kind, data) to a PNG file."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _any_low_byte(pixels: Pixels) -> NDArray[np.uint16]:
    """Return 16 bits, a little off from what 8 bits say, except paper and full ink."""
    low = np.random.default_rng(int(pixels.sum())).integers(0, 256, pixels.shape, dtype=np.uint16)
    is_extreme = (pixels == 0) | (pixels == 255)
    return np.where(is_extreme, _wide(pixels), pixels.astype(np.uint16) * 256 + low)


STROKES: dict[str, File] = {
    "PNG, black on nothing": _stroked("PNG"),
    "PNG, black on nothing, grey and alpha": _stroked("PNG", "LA"),
    "PNG, black on nothing, 16 bit": _wide_strokes,
    "WebP, black on nothing": _stroked("WEBP", lossless=True, exact=True),
    "TIFF, black on nothing": _stroked("TIFF"),
}
FILES: dict[str, File] = {
    "PNG, grey": _as("PNG"),
    "PNG, RGB": _as("PNG", "RGB"),
    "PNG, RGBA": _as("PNG", "RGBA"),
    "PNG, grey and alpha": _as("PNG", "LA"),
    "PNG, palette": _as("PNG", "P"),
    "PNG, interlaced": _interlaced,
    "PNG, 16 bit grey": lambda pixels: encoded(_wide(pixels)),
    "PNG, 16 bit RGB": lambda pixels: _wide_png(*[_wide(pixels)] * 3),
    "PNG, 16 bit RGBA": lambda pixels: _wide_png(
        *[_wide(pixels)] * 3, np.full(pixels.shape, 65535, np.uint16)
    ),
    "TIFF, grey": _as("TIFF"),
    "TIFF, RGB, LZW": _as("TIFF", "RGB", compression="tiff_lzw"),
    "TIFF, deflate": _as("TIFF", compression="tiff_adobe_deflate"),
    "TIFF, PackBits": _as("TIFF", compression="packbits"),
    "TIFF, 16 bit": lambda pixels: encoded(_wide(pixels), "TIFF"),
    "TIFF, floats": lambda pixels: encoded(pixels.astype(np.float32) / 255, "TIFF"),
    "TIFF, CMYK": lambda pixels: encoded(
        Image.fromarray(pixels).convert("RGB").convert("CMYK"), "TIFF"
    ),
    "WebP, lossless": _as("WEBP", "RGB", lossless=True),
    "GIF": _as("GIF"),
    "GIF, interlaced": _as("GIF", interlace=1),
    "BMP, palette": _as("BMP"),
    "BMP, RGB": _as("BMP", "RGB"),
    "BMP, RGBA": _as("BMP", "RGBA"),
    "PGM": _as("PPM"),
    "PGM, 16 bit": _wide_pgm,
    "PPM": _as("PPM", "RGB"),
    **{f"PNG, EXIF orientation {side}": _turned("PNG", side) for side in UNTURNED},
    "TIFF, EXIF orientation 6": _turned("TIFF", 6),
    "WebP, EXIF orientation 8": _turned("WEBP", 8, lossless=True),
}
HANDED: dict[str, Way] = {  # no files
    "a PIL image": Image.fromarray,
    "an array, float 0-1": lambda pixels: pixels.astype(np.float32) / 255,
    "an array, RGB": lambda pixels: np.dstack([pixels] * 3),
    "an array": lambda pixels: pixels,
    "an array, inverted": lambda pixels: 255 - pixels,
}
if features.check("avif"):
    HANDED["AVIF, quality 100"] = _as("AVIF", quality=100, speed=10, max_threads=1)

LOSSLESS: dict[str, Way] = {**FILES, **STROKES, **HANDED}
ROUNDED: dict[str, Way] = {  # 16 bits, no multiples of 257: each pixel may be a level off
    "PNG, 16 bit, shifted": lambda pixels: encoded(pixels.astype(np.uint16) << 8),
    "PNG, 16 bit, any second byte": lambda pixels: encoded(_any_low_byte(pixels)),
}
LOSSY: dict[str, Way] = {
    "JPEG, quality 90": _as("JPEG", quality=90),
    "WebP, quality 80": _as("WEBP", "RGB", quality=80),
}


# ---- sizes


def _enlarged(interpolation: int, side: int = DRAWING) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.asarray(
        cv2.resize(pixels, (side, side), interpolation=interpolation), np.uint8
    )


def _inverted(way: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
    return lambda pixels: 255 - way(pixels)


def _with_margin(pixels: Pixels) -> Pixels:
    """Put the digit off the middle of a sheet of DRAWING pixels."""
    small = _enlarged(cv2.INTER_CUBIC, DRAWING - 60)(pixels)
    return np.pad(small, ((45, 15), (10, 50)))


DRAWINGS: dict[str, Callable[[Pixels], Pixels]] = {
    "nearest": _enlarged(cv2.INTER_NEAREST),
    "bilinear": _enlarged(cv2.INTER_LINEAR),
    "bicubic": _enlarged(cv2.INTER_CUBIC),
    "Lanczos": _enlarged(cv2.INTER_LANCZOS4),
    "bicubic, inverted": _inverted(_enlarged(cv2.INTER_CUBIC)),
    "bicubic, inverted, off the middle": _inverted(_with_margin),
}
SMALL: dict[str, Callable[[Pixels], Pixels]] = {  # digits of few pixels, light on dark
    "as they are": np.copy,
    "inverted": _inverted(np.copy),
    "enlarged to 160 px, bicubic": _enlarged(cv2.INTER_CUBIC, 160),
    "enlarged to 160 px, nearest, inverted": _inverted(_enlarged(cv2.INTER_NEAREST, 160)),
}


def like_usps(field: Pixels, side: int = 16, *, stretched: bool = False) -> Pixels:
    """Put a field's tight box into (side, side), which it fills in one direction.

    stretched: make it up to WIDER times as wide.
    """
    left, top, width, height = cv2.boundingRect(field)
    tight = field[top : top + height, left : left + width]
    scale = side / max(width, height)
    wider = WIDER if stretched and width < height else 1.0
    size = min(side, max(1, round(width * scale * wider))), max(1, round(height * scale))
    small = cv2.resize(tight, size, interpolation=cv2.INTER_AREA)
    above = (side - size[1]) // 2
    before = (side - size[0]) // 2
    square = np.zeros((side, side), np.uint8)
    square[above : above + size[1], before : before + size[0]] = small
    return square


# ---- nothing


def _paint(kind: str, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.generic]:
    """Paint a picture without digits; values may be beyond 0 to 255."""
    match kind:
        case "one grey":
            return np.full(size, rng.integers(256))
        case "one colour":
            return np.full((*size, 3), rng.integers(0, 256, 3))
        case "uniform noise":
            return rng.integers(0, 256, size, dtype=np.uint8)
        case "Gaussian noise":
            return rng.normal(rng.uniform(60, 200), rng.uniform(5, 80), size)
        case "coloured noise":
            return rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        case "blurred noise":  # as bright and dark as before the blur of up to three pixels
            soft = cv2.GaussianBlur(rng.normal(0, 1, size), (0, 0), rng.uniform(0.5, 3))
            return 128 + rng.uniform(10, 60) * soft / max(float(soft.std()), 1e-6)
        case "salt and pepper":
            pixels = np.full(size, rng.integers(256))
            chance = rng.random(size)
            share = rng.uniform(0.01, 0.5)
            pixels[chance < share] = 255
            pixels[chance < share / 2] = 0
            return pixels
        case _:
            return _blank_paper(size, rng)


def _blank_paper(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Paint unevenly lit paper with a sensor's grain."""
    across, down = np.meshgrid(np.linspace(-1, 1, size[1]), np.linspace(-1, 1, size[0]))
    brightest = rng.uniform(120, 250)
    darkening = rng.uniform(0, 0.4)
    distance = np.hypot(across - rng.uniform(-1, 1), down - rng.uniform(-1, 1))
    light = brightest * (1 - darkening * distance / 3)
    return light + rng.normal(0, rng.uniform(0, 4), size)


NOTHING = (
    "one grey",
    "one colour",
    "blank paper, uneven light, grain",
    "uniform noise",
    "Gaussian noise",
    "salt and pepper",
    "coloured noise",
    "blurred noise",
)


def nothing(kind: str, number: int) -> Pixels:
    """Return the picture of nothing with this number.

    Its longer side has SMALLEST to LARGEST pixels; its shape is anything up to one to two.
    """
    rng = np.random.default_rng([NOTHING.index(kind), number])
    side = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
    shorter = max(SMALLEST, round(side * rng.uniform(0.5, 1)))
    height, width = (round(side), shorter) if rng.random() < 0.5 else (shorter, round(side))
    return _to_bytes(_paint(kind, (height, width), rng))


def _to_bytes(values: NDArray[np.generic]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


# ---- photos


def photo(print_: str | None, seed: int = 0) -> bytes:
    """Return a phone's photo of twelve million pixels as a JPEG.

    It shows three lines of eight digits on a sheet in a lamp's light. print_: what is printed on
    the sheet, as Scene has it.
    """
    rng = np.random.default_rng(seed)
    pen = Pen("ballpoint", 0.05, 0.25, opacity=0.95)
    scene = Scene(
        pen,
        110,
        (1.5, 1.5, 1.5, 1.5),
        0.4,
        2.0,
        ground="sheet",
        paper=(0.93, 0.93, 0.92),
        ink=(0.08, 0.12, 0.5),
        print=print_,
        uneven=0.4,
    )
    rows = [[Mark(str(digit)) for digit in rng.integers(0, 10, 8)] for _ in range(3)]
    page = render(rows, scene, random_hand(rng, mnist=0), None, rng).picture
    large = cv2.resize(page, PHOTO, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = rng.normal(0, 3, large.shape[:2]).astype(np.float32)  # grey levels
    return camera.encoded(_to_bytes(large + grain[:, :, None]), quality=90)
