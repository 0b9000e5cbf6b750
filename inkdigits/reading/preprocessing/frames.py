"""The frames of a picture file: bytes come in, and images that Pillow has opened go out.

Which formats there are, how they begin, and what is said of others. Frames are gone through one
after the other, each within the limits of a picture (picture_file.py), and none is decoded here.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image

from inkdigits.core.errors import BadPicture, MissingExtra
from inkdigits.reading.preprocessing.pdf import PDF_HEAD
from inkdigits.reading.preprocessing.picture_file import (
    TIFF_HEADS,
    PictureFile,
    TooDear,
    refuse_dear_directory,
    refuse_dear_pixels,
    tiff_directories,
)

Check = Callable[[Image.Image], None]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF", "AVIF")
READABLE = "PNG, JPEG, BMP, GIF, WebP, TIFF, PPM and AVIF"
OF_SEVERAL = ("TIFF", "GIF")  # the formats of which each frame is a picture of its own
HEIC_HEADS = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftypmif1")
# What files begin with that may be read, also with an extra; a part of what begins so cannot be.
READABLE_HEADS = re.compile(
    rb"\x89PNG|\xff\xd8|BM|GIF8|P[0-6fy]|RIFF....WEBP|%PDF|....ftyp|" + TIFF_HEADS.pattern,
    re.DOTALL,
)
# What people try that is not read here: first bytes, where they are, name.
FOREIGN = (
    *((head, 4, "HEIC") for head in HEIC_HEADS[:-1]),
    (HEIC_HEADS[-1], 4, "HEIF"),
    (PDF_HEAD, 0, "PDF"),
    (b"<svg", 0, "SVG"),
    (b"<?xml", 0, "XML or SVG"),
    (b"\x00\x00\x01\x00", 0, "ICO"),
    (b"8BPS", 0, "Photoshop"),
    (b"II\x2a\x00\x10\x00\x00\x00CR", 0, "CR2 raw"),
)
MAX_PIXELS = 64_000_000  # 192 MB once decoded; phones make 12 to 50 million
SUBFILE_TYPE = 254  # a TIFF's tag whose lowest bit says that a frame is another one made small


class Frames:
    """A picture file that is open at one of its frames.

    Attributes:
        image: open, with the current frame not decoded yet.
        is_animated: whether there are several frames; a JPEG with previews has one.
        has_several: whether these are pictures of their own.

    Raises:
        BadPicture: the beginning of the second frame is damaged.
    """

    def __init__(self, image: Image.Image, file: PictureFile, name: str) -> None:
        self.image = image
        try:
            self.is_animated = image.format != "MPO" and getattr(image, "is_animated", False)
        except Exception as error:  # a GIF's parser goes on to the second frame
            raise _damaged(error, name) from error

        self.has_several = self.is_animated and image.format in OF_SEVERAL
        self._file = file
        self._name = name
        data = file.getvalue()
        self._directories = tiff_directories(data) if TIFF_HEADS.match(data) else iter(())
        next(self._directories, None)

    @property
    def is_preview(self) -> bool:
        """Whether the current frame of a TIFF is another one made small."""
        tags = getattr(self.image, "tag_v2", {})
        try:
            kind = tags.get(SUBFILE_TYPE, 0)
        except Exception:  # a damaged tag says nothing
            return False

        return isinstance(kind, int) and bool(kind & 1)

    def go_to(self, index: int) -> None:
        """Go on to a frame.

        Args:
            index: from 0; no frame before the current one.

        Raises:
            BadPicture: there is no such frame, or what is before it is damaged.
            TooDear: one would take too long to take apart.
        """
        while (current := self.image.tell()) < index:
            if not self.go_on():
                count = "1 frame" if current == 0 else f"{current + 1:,} frames"
                raise BadPicture("not_found", f"{self._name}: it has {count}, counted from 0")

    def go_on(self) -> bool:
        """Go on to the next frame, and tell whether there is one.

        Raises:
            BadPicture: it is damaged.
            TooDear: it would take too long to take apart.
        """
        if not self.has_several:
            return False

        self._file.begin_frame()
        directory = next(self._directories, None)
        if directory:
            refuse_dear_directory(self._file.getvalue(), directory)

        try:
            self.image.seek(self.image.tell() + 1)
        except EOFError:
            return False
        except Exception as error:  # Pillow raises all kinds of exceptions for damaged data
            raise _damaged(error, self._name) from error

        refuse_dear_pixels(self.image, len(self._file.getvalue()))
        self._file.end_head()
        return True


def refuse_by_head(head: bytes, name: str) -> None:
    """Refuse a file whose first bytes say that the rest need not be read.

    Args:
        head: the first MAX_HEAD bytes, which are all that a parser may read before the pixels.
        name: what errors call the file.

    Raises:
        BadPicture: it is not a picture, has too many pixels, or takes too long to take apart.
    """
    if not READABLE_HEADS.match(head):
        raise _not_a_picture(head, name)

    try:
        opened = PictureFile(head)
    except TooDear as dear:
        raise _too_dear(dear, name) from None

    try:
        with Image.open(opened, formats=FORMATS) as image:
            check_size(image.width, image.height, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(name) from None
    except BadPicture:
        raise
    except Exception:  # what else is wrong is said when all of it is there
        if opened.refused:
            raise _too_dear(opened.refused, name) from None


@contextmanager
def open_frames(data: bytes, name: str, check: Check | None = None) -> Iterator[Frames]:
    """Open a picture file at its first frame.

    Args:
        data: the bytes of the file.
        name: what errors call it.
        check: called with the image before its pixels are decoded; HEIC is then refused.

    Raises:
        BadPicture: as `open_picture` does; also what the `with` raises because there is too much in
            the file says so.
    """
    if not data:
        raise BadPicture("empty", f"{name} is empty: 0 bytes")

    opened: PictureFile | None = None
    try:
        opened = PictureFile(data)
        with _open_image(opened, name, with_heic=check is None) as image:
            if check:
                check(image)
            refuse_dear_pixels(image, len(data))
            opened.end_head()
            yield Frames(image, opened, name)
    except (BadPicture, TooDear) as error:
        dear = error if isinstance(error, TooDear) else opened and opened.refused
        if dear:
            raise _too_dear(dear, name) from None
        raise


def check_size(width: int, height: int, name: str) -> None:
    """Raise BadPicture if a picture has too many pixels."""
    if width * height > MAX_PIXELS:
        raise BadPicture(
            "too_large", f"{name} has {width} x {height} pixels; at most {MAX_PIXELS:,} are read"
        )


def _open_image(file: PictureFile, name: str, with_heic: bool) -> Image.Image:
    """Let Pillow read a file up to its pixels."""
    head = file.getvalue()[:16]
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(name) from None
    except Exception as error:  # a parser that trips over foreign bytes may raise anything
        if with_heic and head[4:].startswith(HEIC_HEADS):
            return _open_heic(file, name)
        raise _not_a_picture(head, name) from error


def _open_heic(file: PictureFile, name: str) -> Image.Image:
    """Open a HEIC as Pillow opens other pictures. Its pixels are decoded when they are needed."""
    try:
        from pillow_heif import HeifImageFile
    except ModuleNotFoundError:
        missing = MissingExtra(f"{name} is HEIC, and reading that", "heic")
        raise BadPicture(missing.code, str(missing)) from None

    file.seek(0)
    try:
        image: Image.Image = HeifImageFile(file)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise _damaged(error, name) from error

    return image


def _damaged(error: Exception, name: str) -> BadPicture:
    return BadPicture("truncated", f"{name} is cut short or damaged: {error}")


def _too_dear(dear: TooDear, name: str) -> BadPicture:
    return BadPicture("too_large", f"{name} has {dear}")


def _too_many_pixels(name: str) -> BadPicture:
    return BadPicture(
        "too_large", f"{name} has more than the {MAX_PIXELS:,} pixels that are allowed"
    )


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
