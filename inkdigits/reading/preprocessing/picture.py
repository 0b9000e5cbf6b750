"""From a picture as a user has it, a file, bytes, a PIL image or an array, to upright 8-bit pixels.

This module is about formats, colour modes, transparency, orientation and how large a picture may
be. Decoding is Pillow's, from an allow-list of formats, and the size is checked before a pixel is
decoded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.picture_file import (
    MAX_HEAD,
    PictureFile,
    TooDear,
    refuse_dear_pixels,
)

Check = Callable[[Image.Image], None]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF", "AVIF")
READABLE = "PNG, JPEG, BMP, GIF, WebP, TIFF, PPM and AVIF"
ORIENTATION = 0x0112  # the EXIF tag that says which way is up
UPRIGHT = {  # what brings a picture into its upright position, by the value of that tag
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MAX_PIXELS = 64_000_000  # 192 MB once decoded; phones make 12 to 50 million
MAX_FILE = 256 << 20  # bytes; 64 million pixels take less, even uncompressed
DRAFT_SIDE = 1600  # pixels; a JPEG is decoded at 1/2, 1/4 or 1/8 while its longer side keeps this
WORK_SIDE = 1600  # pixels; larger pictures are reduced: a 4 mm digit on an A4 page keeps 21 px
# Of Pillow's filters the nearest to averages over areas: 0.1 to 0.3 levels off for a photo of 1,700
# to 4,000 pixels, where BOX, which takes pixels as a whole or not at all, is 0.3 to 0.6 off.
REDUCING = Image.Resampling.HAMMING
COLOURS = 100_000  # visible pixels of a transparent picture that say which paper suits it
LIGHTEST_ON_WHITE = 160  # mean level of strokes; lighter ones get black paper

# What people try that Pillow's core formats do not cover: first bytes, where they are, name.
FOREIGN = (
    (b"ftypheic", 4, "HEIC"),
    (b"ftypheix", 4, "HEIC"),
    (b"ftypmif1", 4, "HEIF"),
    (b"%PDF", 0, "PDF"),
    (b"<svg", 0, "SVG"),
    (b"<?xml", 0, "XML or SVG"),
    (b"\x00\x00\x01\x00", 0, "ICO"),
    (b"8BPS", 0, "Photoshop"),
    (b"II\x2a\x00\x10\x00\x00\x00CR", 0, "CR2 raw"),
)


@dataclass(frozen=True)
class Picture:
    """Upright pixels, ready to look for ink in.

    Attributes:
        pixels: uint8, (H, W) if the picture is grey, else (H, W, 3) red, green, blue.
        scale: pixels of the upright original per pixel here, (x, y); (1, 1) unless it was reduced.
    """

    pixels: Pixels
    scale: tuple[float, float] = (1.0, 1.0)
    warnings: tuple[str, ...] = ()

    @property
    def rgb(self) -> Pixels:
        """The pixels in colour, (H, W, 3) uint8: red, green, blue."""
        if self.pixels.ndim == 3:
            return self.pixels

        return np.repeat(self.pixels[:, :, None], 3, axis=2)

    @property
    def original_size(self) -> tuple[float, float]:
        """The width and height of the upright original in pixels."""
        height, width = self.pixels.shape[:2]
        return width * self.scale[0], height * self.scale[1]


Source = str | PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[Any] | Picture


def open_picture(source: Source, check: Check | None = None) -> Picture:
    """Decode a picture into upright pixels, at most WORK_SIDE on a side.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array (H, W), (1, H, W), (H, W, 1),
            (H, W, 3) or (H, W, 4) of bool, integers 0-255, uint16 or floats (0-1, or 0-255 where a
            value is above 1). A Picture is returned as it is.
        check: called with each image that is opened from a file, before its pixels are decoded; it
            raises what it likes.

    Raises:
        BadPicture: with the code not_found, unreadable, empty, not_a_picture, unsupported,
            truncated or too_large.
    """
    if isinstance(source, Picture):
        return source

    if isinstance(source, Image.Image):
        return _from_image(source, "the image")

    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), "the data", check)

    if isinstance(source, str | PathLike):
        return _from_bytes(_read_file(Path(source)), str(Path(source)), check)

    return _from_array(np.asarray(source))


def turn_left(picture: Picture, quarters: int) -> Picture:
    """Turn a picture to the left by a number of right angles."""
    pixels = np.ascontiguousarray(np.rot90(picture.pixels, quarters))
    scale = picture.scale[::-1] if quarters % 2 else picture.scale
    return replace(picture, pixels=pixels, scale=scale)


# ---- files and images


def _read_file(path: Path) -> bytes:
    """Return the bytes of a file that may be a picture."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise BadPicture("not_found", f"no file {str(path)!r}") from None
    except IsADirectoryError:
        raise BadPicture("not_a_picture", f"{str(path)!r} is a folder, not a picture") from None
    except (ValueError, OSError) as error:
        raise BadPicture("unreadable", f"{str(path)!r} cannot be read: {error}") from None

    if len(data) > MAX_FILE:
        raise BadPicture("too_large", f"{path} has more than the {MAX_FILE:,} bytes that are read")
    return data


def _from_bytes(data: bytes, name: str, check: Check | None) -> Picture:
    if not data:
        raise BadPicture("empty", f"{name} is empty: 0 bytes")

    file: PictureFile | None = None
    try:
        file = PictureFile(data)
        with _open_image(file, name) as image:
            if check:
                check(image)
            refuse_dear_pixels(image, len(data))
            file.end_head()
            return _from_image(image, name)
    except (BadPicture, TooDear) as error:
        dear = error if isinstance(error, TooDear) else file and file.refused
        if dear:
            raise BadPicture("too_large", f"{name} has {dear}") from None
        raise


def _open_image(file: PictureFile, name: str) -> Image.Image:
    """Let Pillow read a file up to its pixels."""
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPicture(
            "too_large", f"{name} has more than the {MAX_PIXELS:,} pixels that are allowed"
        ) from None
    except Exception as error:  # a parser that trips over foreign bytes may raise anything
        raise _not_a_picture(file.getvalue()[:16], name) from error


def _not_a_picture(head: bytes, name: str) -> BadPicture:
    for magic, offset, format_name in FOREIGN:
        if head[offset:].startswith(magic):
            return BadPicture(
                "unsupported",
                f"{name} is {format_name}, which is not read here; save it as one of {READABLE}",
            )

    return BadPicture(
        "not_a_picture", f"{name} is not a picture that can be read; readable are {READABLE}"
    )


def _check_size(width: int, height: int, name: str) -> None:
    """Raise BadPicture if a picture has too many pixels."""
    if width * height > MAX_PIXELS:
        raise BadPicture(
            "too_large", f"{name} has {width} x {height} pixels; at most {MAX_PIXELS:,} are read"
        )


def _from_image(image: Image.Image, name: str) -> Picture:
    width, height = image.size
    _check_size(width, height, name)
    if width * height == 0:
        raise BadPicture("empty", f"{name} has no pixels: {width} x {height}")

    try:
        # An MPO is a JPEG with several sizes of one picture; n_frames would go through all frames.
        is_animated = image.format != "MPO" and getattr(image, "is_animated", False)
        if image.format in ("JPEG", "MPO"):
            image.draft(None, _draft_size(width, height))

        image.load()
        upright = _upright(image)
        pixels = _pixels(upright)
    except MemoryError:
        raise BadPicture(
            "too_large", f"{name}: {width} x {height} pixels do not fit into memory"
        ) from None
    except Exception as error:  # Pillow raises all kinds of exceptions for damaged data
        raise BadPicture("truncated", f"{name} is cut short or damaged: {error}") from error

    if (upright.width > upright.height) != (image.width > image.height):
        width, height = height, width

    warnings = ("only the first of several frames is read",) if is_animated else ()
    return _picture(pixels, (width, height), warnings)


def _draft_size(width: int, height: int) -> tuple[int, int]:
    if width == height:
        return DRAFT_SIDE, DRAFT_SIDE

    return _fit(width, height, DRAFT_SIDE)


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the size with the same proportions whose longer side is `side`."""
    scale = side / max(width, height)
    return max(1, int(width * scale)), max(1, int(height * scale))


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its metadata say. Pillow's own function also writes them anew."""
    if len(image.info.get("exif", b"")) > MAX_HEAD:
        return image

    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken metadata is no reason to refuse a picture
        return image

    return image if turn is None else image.transpose(turn)


def _pixels(image: Image.Image) -> Pixels:
    """Return the pixels of an upright image, at most WORK_SIDE on a side."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _reduce_pixels(_to_bytes(np.asarray(image)))

    if image.has_transparency_data:
        return _without_alpha(image.convert("RGBA"))

    if image.mode in ("1", "L"):
        return np.asarray(_reduce(image.convert("L")))

    coloured = image if image.mode == "RGB" else image.convert("RGB")  # which would copy it
    return _grey_if_grey(np.asarray(_reduce(coloured)))


# ---- arrays


def _from_array(array: NDArray[Any]) -> Picture:
    array = _without_single_axis(array)
    is_shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not is_shaped or array.dtype.kind not in "buif":
        raise BadPicture(
            "unsupported",
            f"an array of shape {array.shape} and type {array.dtype} is no picture; "
            "expected numbers of shape (H, W), (H, W, 3) or (H, W, 4)",
        )

    height, width = array.shape[:2]
    if array.size == 0:
        raise BadPicture("empty", f"the array has no pixels: shape {array.shape}")

    _check_size(width, height, "the array")
    pixels = _to_bytes(array)
    if array.ndim == 3 and array.shape[2] == 4:
        pixels = _without_alpha(Image.fromarray(pixels))
    elif array.ndim == 3:
        pixels = _grey_if_grey(_reduce_pixels(pixels))
    else:
        pixels = _reduce_pixels(pixels)

    return _picture(pixels, (width, height))


def _without_single_axis(array: NDArray[Any]) -> NDArray[Any]:
    """Return (1, H, W) and (H, W, 1) as (H, W)."""
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]

    return array


def _to_bytes(array: NDArray[Any]) -> Pixels:
    """Bring numbers to 0-255, by the type's or the values' evident range.

    They are never stretched by their minimum.
    """
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)

    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255

    is_float = array.dtype.kind == "f"
    if is_float and not np.isfinite(array).all():
        raise BadPicture(
            "unsupported", "the picture holds values that are not numbers (NaN or infinity)"
        )

    low = float(array.min())
    high = float(array.max())
    if low < 0 or high > 65535:
        raise BadPicture(
            "unsupported",
            f"the picture holds values from {low:g} to {high:g}; expected 0-1, 0-255 or 0-65535",
        )

    if is_float and high <= 1:
        array = array * 255
    elif high > 255:
        array = array / 257.0  # 65535 / 255

    return np.rint(array).astype(np.uint8)


# ---- colours and size


def _without_alpha(image: Image.Image) -> Pixels:
    """Lay a picture with transparency on paper that its visible part stands out from.

    Strokes alone get white paper, or black if they are light; a picture that is mostly opaque and
    brings its own paper gets more of that. The result has at most WORK_SIDE pixels on a side.
    """
    if image.getchannel("A").getextrema() == (255, 255):
        return _grey_if_grey(np.asarray(_reduce(image.convert("RGB"))))

    image = _reduce(image)  # before anything else, or 8 million pixels would take 2 s
    alpha = np.asarray(image.getchannel("A"))
    visible = alpha >= 128
    if not visible.any():
        visible = alpha > 0
    if not visible.any():
        return np.full(alpha.shape, 255, np.uint8)

    paper = _paper_for(np.asarray(image.convert("RGB"))[visible], float(visible.mean()))
    page = Image.new("RGB", image.size, paper)
    page.paste(image, mask=image.getchannel("A"))
    return _grey_if_grey(np.asarray(page))


def _paper_for(colours: Pixels, share: float) -> tuple[int, int, int]:
    """Choose the colour of the paper for the visible colours, (N, 3), of a share of the picture."""
    colours = colours[:: 1 + len(colours) // COLOURS].astype(np.float32)
    median = np.median(colours, axis=0)
    brings_paper = share > 0.5 and np.abs(colours - median).max(axis=1).mean() > 8  # grey levels
    if brings_paper:
        red, green, blue = np.rint(median).astype(int).tolist()
        return red, green, blue

    return (0, 0, 0) if colours.mean() > LIGHTEST_ON_WHITE else (255, 255, 255)


def _grey_if_grey(rgb: Pixels) -> Pixels:
    red = rgb[:, :, 0]
    if np.array_equal(red, rgb[:, :, 1]) and np.array_equal(red, rgb[:, :, 2]):
        return np.ascontiguousarray(red)

    return rgb


def _reduce_pixels(pixels: Pixels) -> Pixels:
    """Reduce (H, W) or (H, W, 3) to at most WORK_SIDE on a side."""
    if max(pixels.shape[:2]) <= WORK_SIDE:
        return pixels

    return np.asarray(_reduce(Image.fromarray(pixels)))


def _reduce(image: Image.Image) -> Image.Image:
    """Reduce an image to at most WORK_SIDE on a side."""
    if max(image.size) <= WORK_SIDE:
        return image

    return image.resize(_fit(*image.size, WORK_SIDE), REDUCING)


def _picture(pixels: Pixels, size: tuple[int, int], warnings: tuple[str, ...] = ()) -> Picture:
    """Return the picture of pixels that were reduced from a size, (width, height), and turned."""
    height, width = pixels.shape[:2]
    return Picture(pixels, (size[0] / width, size[1] / height), warnings)
