"""The pictures that `reading.py` reads: digits in many encodings and sizes, pictures of nothing, and a large photo.

Takes MNIST-like fields (28, 28) uint8, paper 0 to ink 255, or random numbers; returns what `Recogniser.read` takes. Reads nothing.
"""

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from inkdigits.data.synthetic.pages import camera
from inkdigits.data.synthetic.pages.generator import render
from inkdigits.data.synthetic.pages.layout import Mark
from inkdigits.data.synthetic.pages.scene import Scene
from inkdigits.data.synthetic.pages.writing import Pen, random_hand
from inkdigits.reading.preprocessing.picture import Source

Pixels = NDArray[np.uint8]
Way = Callable[[Pixels], Source]  # of handing over one digit

DRAWING = 200  # pixels
SMALLEST, LARGEST = 8, 1000  # pixels of a picture of nothing
WIDER = 1.5  # times; ones stay narrower than the frame, as in USPS
PHOTO = 4000, 3000  # pixels
ORIENTATION = 0x0112  # EXIF's tag


# ---- encodings


def saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    """The bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def _as(format_name: str, mode: str = "L", **options: object) -> Way:
    return lambda pixels: saved(Image.fromarray(pixels).convert(mode), format_name, **options)


def _turned(format_name: str, orientation: int, **options: object) -> Way:
    """As a camera that was held that way stores it. Source: EXIF 2.3, orientation."""
    undo: dict[int, Callable[[Pixels], Pixels]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, -1),
    }

    def encode(pixels: Pixels) -> bytes:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = Image.fromarray(np.ascontiguousarray(undo[orientation](pixels))).convert("RGB")
        return saved(stored, format_name, exif=exif, **options)

    return encode


def strokes_on_nothing(pixels: Pixels) -> bytes:
    """Black ink, as opaque as the field has ink, on transparent paper: what paint programs save."""
    rgba = np.zeros((*pixels.shape, 4), np.uint8)
    rgba[:, :, 3] = pixels
    return saved(Image.fromarray(rgba), "PNG")


def _wide(pixels: Pixels) -> NDArray[np.uint16]:
    """16 bit, exactly as bright."""
    return pixels.astype(np.uint16) * 257  # 65535 / 255


def _wide_rgb(pixels: Pixels) -> bytes:
    return cv2.imencode(".png", np.dstack([_wide(pixels)] * 3))[1].tobytes()  # Pillow writes none


def _any_low_byte(pixels: Pixels) -> NDArray[np.uint16]:
    """16 bit, a little brighter or darker than the 8 bits say, except paper and full ink."""
    low = np.random.default_rng(int(pixels.sum())).integers(0, 256, pixels.shape, dtype=np.uint16)
    return np.where(
        (pixels == 0) | (pixels == 255), _wide(pixels), pixels.astype(np.uint16) * 256 + low
    )


LOSSLESS: dict[str, Way] = {
    "PNG, grey": _as("PNG"),
    "PNG, RGB": _as("PNG", "RGB"),
    "PNG, RGBA": _as("PNG", "RGBA"),
    "PNG, grey and alpha": _as("PNG", "LA"),
    "PNG, palette": _as("PNG", "P"),
    "PNG, black on nothing": strokes_on_nothing,
    "PNG, 16 bit grey": lambda pixels: saved(Image.fromarray(_wide(pixels)), "PNG"),
    "PNG, 16 bit RGB": _wide_rgb,
    "TIFF, grey": _as("TIFF"),
    "TIFF, RGB, LZW": _as("TIFF", "RGB", compression="tiff_lzw"),
    "TIFF, deflate": _as("TIFF", compression="tiff_adobe_deflate"),
    "TIFF, PackBits": _as("TIFF", compression="packbits"),
    "TIFF, 16 bit": lambda pixels: saved(Image.fromarray(_wide(pixels)), "TIFF"),
    **(
        {"AVIF, quality 100": _as("AVIF", quality=100, speed=10, max_threads=1)}
        if features.check("avif")
        else {}
    ),
    "WebP, lossless": _as("WEBP", "RGB", lossless=True),
    "TIFF, CMYK": lambda pixels: saved(
        Image.fromarray(pixels).convert("RGB").convert("CMYK"), "TIFF"
    ),
    "GIF, interlaced": _as("GIF", interlace=1),
    "BMP, palette": _as("BMP"),
    "BMP, RGB": _as("BMP", "RGB"),
    "PGM": _as("PPM"),
    "PPM": _as("PPM", "RGB"),
    **{f"PNG, EXIF orientation {side}": _turned("PNG", side) for side in range(2, 9)},
    "TIFF, EXIF orientation 6": _turned("TIFF", 6),
    "WebP, EXIF orientation 8": _turned("WEBP", 8, lossless=True),
    "a PIL image": Image.fromarray,
    "an array, float 0-1": lambda pixels: pixels.astype(np.float32) / 255,
    "an array, RGB": lambda pixels: np.dstack([pixels] * 3),
}
ROUNDED: dict[str, Way] = {  # 16 bits that are no multiples of 257: each pixel may be a level off
    "PNG, 16 bit, shifted": lambda pixels: saved(
        Image.fromarray(pixels.astype(np.uint16) << 8), "PNG"
    ),
    "PNG, 16 bit, any second byte": lambda pixels: saved(
        Image.fromarray(_any_low_byte(pixels)), "PNG"
    ),
}
LOSSY: dict[str, Way] = {
    "JPEG, quality 90": _as("JPEG", quality=90),
    "WebP, quality 80": _as("WEBP", "RGB", quality=80),
}


# ---- sizes


def enlarged(pixels: Pixels, side: int, interpolation: int) -> Pixels:
    """A drawing, square."""
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=interpolation), np.uint8)


def _with_margin(pixels: Pixels) -> Pixels:
    """The digit off the middle of a sheet of DRAWING pixels."""
    small = enlarged(pixels, DRAWING - 60, cv2.INTER_CUBIC)
    return np.asarray(
        cv2.copyMakeBorder(small, 45, 15, 10, 50, cv2.BORDER_CONSTANT, value=(0,)), np.uint8
    )


DRAWINGS: dict[str, Callable[[Pixels], Pixels]] = {
    "nearest": lambda pixels: enlarged(pixels, DRAWING, cv2.INTER_NEAREST),
    "bilinear": lambda pixels: enlarged(pixels, DRAWING, cv2.INTER_LINEAR),
    "bicubic": lambda pixels: enlarged(pixels, DRAWING, cv2.INTER_CUBIC),
    "Lanczos": lambda pixels: enlarged(pixels, DRAWING, cv2.INTER_LANCZOS4),
    "bicubic, inverted": lambda pixels: 255 - enlarged(pixels, DRAWING, cv2.INTER_CUBIC),
    "bicubic, inverted, off the middle": lambda pixels: 255 - _with_margin(pixels),
}
SMALL: dict[str, Callable[[Pixels], Pixels]] = {  # digits of few pixels, light on dark
    "as they are": lambda pixels: pixels,
    "inverted": lambda pixels: 255 - pixels,
    "enlarged to 160 px, bicubic": lambda pixels: enlarged(pixels, 160, cv2.INTER_CUBIC),
    "enlarged to 160 px, nearest, inverted": lambda pixels: (
        255 - enlarged(pixels, 160, cv2.INTER_NEAREST)
    ),
}


def like_usps(field: Pixels, side: int = 16, *, stretched: bool = False) -> Pixels:
    """A field's tight box in (side, side), which it fills one way; stretched, it is up to WIDER times as wide."""
    left, top, width, height = cv2.boundingRect(field)
    tight = field[top : top + height, left : left + width]
    scale = side / max(width, height)
    wider = WIDER if stretched and width < height else 1.0
    size = min(side, max(1, round(width * scale * wider))), max(1, round(height * scale))
    small = np.asarray(cv2.resize(tight, size, interpolation=cv2.INTER_AREA), np.uint8)
    above, before = (side - size[1]) // 2, (side - size[0]) // 2
    square = np.zeros((side, side), np.uint8)
    square[above : above + size[1], before : before + size[0]] = small
    return square


# ---- nothing


def _one_grey(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    return np.full(size, rng.integers(256), np.uint8)


def _one_colour(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    return np.full((*size, 3), rng.integers(0, 256, 3), np.uint8)


def _blank_paper(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Unevenly lit, with a sensor's grain."""
    across, down = np.meshgrid(np.linspace(-1, 1, size[1]), np.linspace(-1, 1, size[0]))
    light = rng.uniform(120, 250) * (
        1
        - rng.uniform(0, 0.4)
        * (np.hypot(across - rng.uniform(-1, 1), down - rng.uniform(-1, 1)) / 3)
    )
    return _bytes(light + rng.normal(0, rng.uniform(0, 4), size))


def _uniform(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    return rng.integers(0, 256, size, dtype=np.uint8)


def _gaussian(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    return _bytes(rng.normal(rng.uniform(60, 200), rng.uniform(5, 80), size))


def _salt_and_pepper(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    pixels, chance, share = (
        np.full(size, rng.integers(256), np.uint8),
        rng.random(size),
        rng.uniform(0.01, 0.5),
    )
    pixels[chance < share] = 255
    pixels[chance < share / 2] = 0
    return pixels


def _coloured(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8)


def _blurred(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Noise through a blur of up to three pixels, as bright and dark as before."""
    soft = np.asarray(cv2.GaussianBlur(rng.normal(0, 1, size), (0, 0), rng.uniform(0.5, 3)))
    return _bytes(128 + rng.uniform(10, 60) * soft / max(float(soft.std()), 1e-6))


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


NOTHING = {
    "one grey": _one_grey,
    "one colour": _one_colour,
    "blank paper, uneven light, grain": _blank_paper,
    "uniform noise": _uniform,
    "Gaussian noise": _gaussian,
    "salt and pepper": _salt_and_pepper,
    "coloured noise": _coloured,
    "blurred noise": _blurred,
}


def nothing(kind: str, number: int) -> Pixels:
    """The picture of nothing with this number, SMALLEST to LARGEST pixels on its longer side; any shape up to one to two."""
    rng = np.random.default_rng([list(NOTHING).index(kind), number])
    side = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
    shorter = max(SMALLEST, round(side * rng.uniform(0.5, 1)))
    height, width = (round(side), shorter) if rng.random() < 0.5 else (shorter, round(side))
    return NOTHING[kind]((height, width), rng)


# ---- photos


def photo(print_: str | None, seed: int = 0) -> bytes:
    """Three lines of eight digits on a sheet in a lamp's light, as a phone with twelve million pixels saves them: a JPEG.

    print_: what is printed on the sheet, as Scene has it.
    """
    rng = np.random.default_rng(seed)
    pen = Pen("ballpoint", 0.05, 0.25, opacity=0.95)
    paper = (0.93, 0.93, 0.92)
    scene = Scene(
        pen, 110, (1.5, 1.5, 1.5, 1.5), 0.4, 2.0, ground="sheet", paper=paper, ink=(0.08, 0.12, 0.5), print=print_, uneven=0.4
    )  # fmt: skip
    rows = [[Mark(str(digit)) for digit in rng.integers(0, 10, 8)] for _ in range(3)]
    page = render(rows, scene, random_hand(rng, mnist=0), None, rng).picture
    large = cv2.resize(page, PHOTO, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    large += rng.normal(0, 3, large.shape[:2]).astype(np.float32)[
        :, :, None
    ]  # grey levels of grain
    return camera.encoded(_bytes(large), quality=90)
