"""What is handed over in `inputs`: one photo of a number, in every way that people have it."""

import base64
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import SAMPLE
from inkdigits.core.errors import InkdigitsError
from inkdigits.reading.paths import read_paths
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import cached_recogniser

TEXT = "27354"  # what is written in the photo
REFUSED = "refused"
DIGITS_TO_ADD = 8  # times that the photo's digits are in a table, so that it has rows enough


@dataclass(frozen=True)
class Outcome:
    """What an input gave: the digits or `refused`, and the sentences beside them."""

    gives: str
    says: str = ""


class Materials:
    """One photo of a number and its digits, in a folder for what is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recogniser = cached_recogniser("default")

    @cached_property
    def image(self) -> Image.Image:
        """The photo, half as large."""
        photo = Image.open(SAMPLE).convert("RGB")
        return photo.reduce(2)

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """The photo, (H, W, 3)."""
        return np.asarray(self.image)

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """The photo, (H, W)."""
        return np.asarray(self.image.convert("L"))

    @cached_property
    def digits(self) -> NDArray[np.uint8]:
        """The five digits of the photo with MNIST's geometry, (5, 28, 28)."""
        digits = self.recogniser.read(SAMPLE).digits
        return np.stack([digit.image for digit in digits if digit.image is not None])

    def encoded(self, kind: str, pages: int = 1, mode: str = "RGB", **options: Any) -> bytes:
        """Return the photo as a file of one or several equal pages."""
        file = io.BytesIO()
        image = self.image.convert(mode)
        others = [image.rotate(0.5 * page, fillcolor="grey") for page in range(1, pages)]
        more = {"save_all": True, "append_images": others} if others else {}
        image.save(file, kind, **more, **options)
        return file.getvalue()

    def heic(self) -> bytes:
        """Return the photo as a HEIC."""
        import pillow_heif

        file = io.BytesIO()
        pillow_heif.from_pillow(self.image).save(file, quality=90)
        return file.getvalue()

    def file(self, name: str, content: bytes | str) -> str:
        """Write a file into the folder and return its path."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def jpeg(self) -> str:
        """Return the path of the photo as a JPEG."""
        return self.file("a.jpg", self.encoded("JPEG"))

    @property
    def rows(self) -> NDArray[np.uint8]:
        """The digits as rows of pixels, (5, 784)."""
        return self.digits.reshape(5, -1)

    @property
    def many(self) -> NDArray[np.int64]:
        """The digits several times, (N, 784)."""
        return np.tile(self.rows, (DIGITS_TO_ADD, 1)).astype(np.int64)

    def csv(
        self,
        separator: str = ",",
        *,
        header: bool = True,
        label: bool = True,
        label_last: bool = False,
        digits: NDArray[Any] | None = None,
        form: str = "{}",
        point: str = ".",
    ) -> Outcome:
        """Read a table of the digits, (N, 784), as the command does."""
        names = ["label"] * label + [f"pixel{number}" for number in range(784)]
        lines = [names] if header else []
        for number, row in enumerate(self.many if digits is None else digits):
            fields = [form.format(value).replace(".", point) for value in row.tolist()]
            label_field = [TEXT[number % 5]] * label
            lines.append([*fields, *label_field] if label_last else [*label_field, *fields])

        return self.command(self.file("a.csv", "\n".join(map(separator.join, lines))))

    # ---- the ways in

    def read(self, source: Any) -> Outcome:
        """Read one picture with `read`."""
        return _outcome(lambda: [self.recogniser.read(source)])

    def read_many(self, sources: Any) -> Outcome:
        """Read several pictures with `read_many`."""
        return _outcome(lambda: self.recogniser.read_many(sources))

    def command(self, path: str) -> Outcome:
        """Read a path as the command does."""
        return _outcome(lambda: [t.reading for _, t in read_paths(self.recogniser, [path])])

    def classify(self, images: Any) -> Outcome:
        """Classify images of one digit each."""
        try:
            best = self.recogniser.classify(images).argmax(axis=1)
        except InkdigitsError as error:
            return Outcome(REFUSED, str(error))

        return Outcome("".join(map(str, best)))


def _outcome(read: Callable[[], Iterable[Reading]]) -> Outcome:
    """Return what readings give together; equal ones are counted."""
    try:
        readings = list(read())
    except InkdigitsError as error:
        return Outcome(REFUSED, str(error))

    texts = [REFUSED if reading.error else str(reading.text) for reading in readings]
    said = [
        str(reading.error) if reading.error else "; ".join(reading.warnings) for reading in readings
    ]
    is_of_digits = len(texts) > 3 and all(len(text) == 1 for text in texts)
    gives = "".join(texts) if is_of_digits else ", ".join(texts)
    return Outcome(gives, "; ".join(dict.fromkeys(filter(None, said))))


def tensor(array: NDArray[Any], *, gradient: bool = False) -> Any:
    """Return a torch tensor of an array."""
    import torch

    tensor = torch.from_numpy(array.copy())
    return tensor.float().div(255).requires_grad_() if gradient else tensor


def frame(digits: NDArray[Any], *names: str) -> Any:
    """Return a pandas DataFrame of digits, with further columns in front."""
    import pandas as pd

    frame = pd.DataFrame(digits.reshape(len(digits), -1))
    for name in names:
        frame.insert(0, name, [int(digit) for digit in TEXT])
    return frame


def at_end(data: bytes) -> io.BytesIO:
    """Return a file in memory that somebody has just written to."""
    file = io.BytesIO()
    file.write(data)
    return file


def data_url(data: bytes) -> str:
    """Return a PNG as browsers write it into pages."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def pickled() -> bytes:
    """Return a .npy that holds an object."""
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    return file.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    """Return an array as .npy."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png(pixels: NDArray[Any]) -> bytes:
    """Return pixels as a PNG of 1 bit, 8 or 16."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
