"""From a picture as a user has it, a file, bytes, a PIL image or an array, to upright 8-bit pixels.

This module is about formats, colour modes, transparency, orientation and how large a picture may
be. Decoding is Pillow's, from an allow-list of formats, and the size is checked before a pixel is
decoded. What an array means is decided in `core.pixels`, and a PDF is drawn by `pdf`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadPicture, BadValue
from inkdigits.core.pixels import to_array, to_picture, to_pictures, to_uint8
from inkdigits.reading.preprocessing.frames import (
    FORMATS,
    MAX_PIXELS,
    Check,
    check_size,
    open_frames,
)
from inkdigits.reading.preprocessing.pdf import PDF_HEAD, PdfPages
from inkdigits.reading.preprocessing.picture_file import MAX_HEAD
from inkdigits.reading.preprocessing.source import SourceFile, read_source

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Check",
    "Picture",
    "Source",
    "each_picture",
    "from_image",
    "from_page",
    "open_pdf",
    "open_picture",
    "turn_left",
]

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
DRAFT_SIDE = 1600  # pixels; a JPEG is decoded at 1/2, 1/4 or 1/8 while its longer side keeps this
WORK_SIDE = 1600  # pixels; larger pictures are reduced: a 4 mm digit on an A4 page keeps 21 px
# Of Pillow's filters the nearest to averages over areas: 0.1 to 0.3 levels off for a photo of 1,700
# to 4,000 pixels, where BOX, which takes pixels as a whole or not at all, is 0.3 to 0.6 off.
REDUCING = Image.Resampling.HAMMING
COLOURS = 100_000  # visible pixels of a transparent picture that say which paper suits it
LIGHTEST_ON_WHITE = 160  # mean level of strokes; lighter ones get black paper


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


Source = (
    str
    | PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | Image.Image
    | NDArray[Any]
    | Picture
    | Any  # a torch tensor, a data frame, nested lists: what NumPy takes for an array
)


def open_picture(source: Source, check: Check | None = None) -> Picture:
    """Decode a picture into upright pixels, at most WORK_SIDE on a side.

    Args:
        source: a path, which may end in the index of a page or frame, as in `scan.pdf[3]`; the
            bytes of a file, an open file or a data URL; a PIL image; or an array as
            `core.pixels.to_picture` takes it. A Picture is returned as it is.
        check: called with each image that is opened from a file, before its pixels are decoded; it
            raises what it likes. PDF and HEIC, which it cannot see into, are then refused.

    Raises:
        BadPicture: with the code not_found, unreadable, empty, not_a_picture, unsupported,
            truncated, too_large or missing_extra.
    """
    if isinstance(source, Picture):
        return source

    if isinstance(source, Image.Image):
        return from_image(source, "the image")

    file = read_source(source)
    return _from_array(source) if file is None else _from_file(file, check)


def each_picture(several: Iterable[Source] | NDArray[Any]) -> Iterator[Source]:
    """Yield what holds one picture each.

    Args:
        several: pictures, or an array of pictures as `core.pixels.to_pictures` takes it.

    Raises:
        BadValue: it is one picture.
    """
    one = (str, PathLike, bytes, bytearray, memoryview, Image.Image, Picture)
    if isinstance(several, one) or hasattr(several, "read"):
        kind = type(several).__name__
        raise BadValue(f"a {kind} is one picture: say read(x), or read_many([x])")

    if not hasattr(several, "shape"):
        yield from several
        return

    array = to_pictures(to_array(several))
    yield from map(_from_pixels, to_uint8(array))


def turn_left(picture: Picture, quarters: int) -> Picture:
    """Turn a picture to the left by a number of right angles."""
    pixels = np.ascontiguousarray(np.rot90(picture.pixels, quarters))
    scale = picture.scale[::-1] if quarters % 2 else picture.scale
    return replace(picture, pixels=pixels, scale=scale)


# ---- files and images


def _from_file(file: SourceFile, check: Check | None) -> Picture:
    """Decode the picture in a file, or its page or frame of the index that is asked for."""
    index = file.index or 0
    is_first_of_all = file.index is None
    if file.data.startswith(PDF_HEAD) and check is None:
        with open_pdf(file) as pages:
            picture = from_page(pages, index)
            several = f"{pages.count:,} pages" if pages.count > 1 else ""
    else:
        with open_frames(file.data, file.name, check) as frames:
            frames.go_to(index)
            picture = from_image(frames.image, file.name)
            several = "several frames" if frames.is_animated else ""

    if not (several and is_first_of_all):
        return picture

    return replace(picture, warnings=(f"only the first of {several} is read",))


def open_pdf(file: SourceFile) -> PdfPages:
    """Open a PDF whose pages are drawn as large as pictures are worked on.

    Raises:
        BadPicture: it is damaged or has a password, or the extra `pdf` is not installed.
    """
    return PdfPages(file.data, file.name, WORK_SIDE, MAX_PIXELS)


def from_page(pages: PdfPages, index: int) -> Picture:
    """Return a page of a PDF. Its pixels are those of the page as it is drawn.

    Raises:
        BadPicture: there is no such page, or it cannot be drawn.
    """
    return Picture(_grey_if_grey(pages.draw(index)))


def from_image(image: Image.Image, name: str) -> Picture:
    """Decode an image that Pillow has opened.

    Args:
        image: the frame that is to be decoded is the current one.
        name: what errors call it.

    Raises:
        BadPicture: with the code empty, truncated or too_large.
    """
    width, height = image.size
    check_size(width, height, name)
    if width * height == 0:
        raise BadPicture("empty", f"{name} has no pixels: {width} x {height}")

    try:
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

    return _picture(pixels, (width, height))


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
    if len(image.info.get("exif") or b"") > MAX_HEAD:
        return image

    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken metadata is no reason to refuse a picture
        return image

    return image if turn is None else image.transpose(turn)


def _pixels(image: Image.Image) -> Pixels:
    """Return the pixels of an upright image, at most WORK_SIDE on a side."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _reduce_pixels(to_uint8(np.asarray(image), has_full_range=True))

    if image.has_transparency_data:
        return _without_alpha(image.convert("RGBA"))

    if image.mode in ("1", "L"):
        grey = image if image.mode == "L" else image.convert("L")  # which would copy it
        return np.asarray(_reduce(grey))

    coloured = image if image.mode == "RGB" else image.convert("RGB")
    return _grey_if_grey(np.asarray(_reduce(coloured)))


# ---- arrays


def _from_array(source: Any) -> Picture:
    try:
        array = to_picture(to_array(source))
        if array.size == 0:
            raise BadPicture("empty", f"the array has no pixels: shape {array.shape}")

        check_size(array.shape[1], array.shape[0], "the array")
        return _from_pixels(to_uint8(array))
    except BadValue as error:
        raise BadPicture("unsupported", str(error)) from None


def _from_pixels(pixels: Pixels) -> Picture:
    """Return the picture of (H, W), (H, W, 3) or (H, W, 4) pixels."""
    height, width = pixels.shape[:2]
    check_size(width, height, "the array")
    if pixels.ndim == 2:
        shown = _reduce_pixels(pixels)
    elif pixels.shape[2] == 3:
        shown = _grey_if_grey(_reduce_pixels(pixels))
    else:
        shown = _without_alpha(Image.fromarray(pixels))

    return _picture(shown, (width, height))


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


def _picture(pixels: Pixels, size: tuple[int, int]) -> Picture:
    """Return the picture of pixels that were reduced from a size, (width, height), and turned."""
    height, width = pixels.shape[:2]
    return Picture(pixels, (size[0] / width, size[1] / height))
