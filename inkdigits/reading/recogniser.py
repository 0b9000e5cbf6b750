"""From a picture to a Reading: its digits, how sure each one is, and why a candidate was refused.

A picture comes in as a path, bytes, a PIL image or an array. One that has MNIST's geometry, or only
a few pixels, goes straight to the digit classifier. In all others the page reader (page/reader.py)
finds the symbols and says what they may be; a model other than `default` says so itself, of the
symbols cut out.
All networks run on ONNX Runtime, without torch.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES, NOT_A_DIGIT, SIDE, Pixels
from inkdigits.core.errors import BadModel, BadPicture, BadValue
from inkdigits.core.pixels import on_light_paper, rows_of_digits, to_digits
from inkdigits.reading.backends import ONNXRUNTIME, load_network
from inkdigits.reading.cascade import Cascade
from inkdigits.reading.model_files import (
    DEFAULT_MODEL,
    ModelName,
    is_default,
    resolve_model,
    split_models,
)
from inkdigits.reading.network import Probabilities, processors
from inkdigits.reading.page.find import Box, Find
from inkdigits.reading.page.reader import Page, page_reader
from inkdigits.reading.page.survey import Survey
from inkdigits.reading.page.warnings import LIGHT_INK, SMALL
from inkdigits.reading.preprocessing.fields import as_is, bounding_box, to_field
from inkdigits.reading.preprocessing.picture import (
    Picture,
    Source,
    each_picture,
    open_picture,
)
from inkdigits.reading.preprocessing.repeated import in_own_pixels
from inkdigits.reading.preprocessing.tiny import Tiny, from_tiny
from inkdigits.reading.reading import Reading
from inkdigits.reading.signs import signs_beside
from inkdigits.reading.symbols import Digit, text_of
from inkdigits.reading.trace import Trace, unreadable_trace
from inkdigits.reading.turning import Steps, trace_way_up

DEFAULT_THRESHOLD = 0.5  # the least confidence of an accepted digit; a model's file may set its own
DARK_INK = "dark ink on light paper, where MNIST's is light on dark: read as its negative"
LEAST_CHANCE = np.float32(1e-30)  # of a digit: their sum is divided by
REFUSED_BY_NETWORK = "not a digit"  # the reason if the eleventh output is above one half


@lru_cache(maxsize=4)
def cached_recogniser(model: str) -> "Recogniser":
    """Return the recogniser of a model, which stays loaded for the next call.

    Raises:
        UnknownName, BadModel: as `Recogniser` does.
    """
    return Recogniser(model)


def read(picture: Source, model: ModelName = DEFAULT_MODEL, single: bool = False) -> Reading:
    """Read the digits in a picture with a model that stays loaded.

    Args:
        picture: a path, the bytes of a file, an open file, a data URL, a PIL image, or an array,
            tensor or data frame. [What they may be](inputs.md) is a table of its own.
        model: a shipped name, a folder made by `inkdigits train`, or an .onnx file.
        single: whether the picture holds at most one digit.

    Raises:
        BadPicture: the picture cannot be read; `code` says why.
        UnknownName, BadModel: there is no such model, or it is damaged.

    Examples:
        >>> read("photo.jpg").text
        '42'
    """
    return cached_recogniser(os.fspath(model)).read(picture, single)


class Recogniser:
    """A reader of pictures, with one model that is loaded once. Several threads may share it.

    Args:
        model: a shipped name, such a name with -int8, a folder made by `train`, or an .onnx file;
            or several of them joined by `+`, the fastest first: each one answers what those before
            it were not sure of (cascade.py).
        threads: how many one call may use; None for one per processor of this process.
        backend: what runs the model: onnxruntime, or openvino (the extra of this name), which reads
            thousands of images faster in eight bits. Pages are always read on ONNX Runtime.

    Raises:
        UnknownName: there is no such model or backend.
        BadModel: the model's file is damaged, or was made for something else.
        BadValue: `threads` is less than 1.
        MissingExtra: the backend is not installed.
    """

    def __init__(
        self,
        model: ModelName = DEFAULT_MODEL,
        threads: int | None = None,
        backend: str = ONNXRUNTIME,
    ) -> None:
        if threads is not None and threads < 1:
            raise BadValue(f"threads must be 1 or more, not {threads}")

        paths = [resolve_model(part) for part in split_models(model)]
        networks = [load_network(path, threads or processors(), backend) for path in paths]
        self._network = Cascade(networks) if len(networks) > 1 else networks[0]
        self._pages = page_reader(threads or processors())
        self._believes_pages = all(map(is_default, paths))  # also where the service gives its path

        self.path = self._network.path
        self.metadata = self._network.metadata  # of its file, or of the last one's
        self.trained_on = self.metadata.get("data")  # a dataset as `train --data` names it
        self.threshold = _threshold(self.metadata, self.path)

    @property
    def onnx(self) -> bytes:
        """The bytes of the model's file. Raises BadModel for a cascade, which has several files."""
        return self._network.onnx

    def read(self, picture: Source, single: bool = False) -> Reading:
        """Read the digits in one picture.

        Args:
            picture: as for the function `read`.
            single: whether the picture holds at most one digit.

        Raises:
            BadPicture: the picture cannot be read; `code` says why.
        """
        return self.trace(picture, single).reading

    def read_many(
        self, pictures: Iterable[Source] | NDArray[Any], single: bool = False
    ) -> Iterator[Reading]:
        """Read pictures one after the other.

        Args:
            pictures: what `read` takes, several; or an array (N, H, W), (N, H, W, 3) or
                (N, 3, H, W); or digits as rows of 784 pixels, in an array or a data frame.
            single: whether each picture holds at most one digit.

        Yields:
            A Reading for each picture. If it could not be read, `error` says why.

        Raises:
            BadValue: it is one picture, or an array of another shape.
        """
        return (trace.reading for trace in self.trace_many(pictures, single))

    def trace_many(
        self, pictures: Iterable[Source] | NDArray[Any], single: bool = False
    ) -> Iterator[Trace]:
        """Read pictures as `read_many` does, and keep what led to each reading."""
        digits = rows_of_digits(pictures)
        if digits is not None:
            yield from map(Trace, self.read_images(digits))
            return

        for picture in each_picture(pictures):
            try:
                trace = self.trace(picture, single)
            except BadPicture as error:
                trace = unreadable_trace(error)

            yield trace

    def trace(self, picture: Source, single: bool = False) -> Trace:
        """Read one picture as `read` does, and keep what led to the reading.

        Raises:
            BadPicture: the picture cannot be read; `code` says why.
        """
        digits = _one_row(picture)
        if digits is not None:
            return Trace(next(self.read_images(digits)))

        opened = open_picture(picture)
        field = as_is(opened.pixels)
        if field is None:
            opened = in_own_pixels(opened)
            field = as_is(opened.pixels)
        if field is not None:
            return Trace(self._read_field(field, opened), picture=opened)

        tiny = from_tiny(opened.pixels)
        if tiny is not None:
            return Trace(self._read_tiny(tiny, opened), picture=opened)

        if single:
            return self._trace(opened, single=True)

        steps = Steps(self._pages.survey, self._trace, self._read_part)
        return trace_way_up(steps, opened)

    def _read_field(self, field: Pixels, picture: Picture) -> Reading:
        """Read a picture that has MNIST's geometry as it is, or after it was inverted."""
        warnings = picture.warnings
        if field is picture.pixels:
            warnings = (*warnings, LIGHT_INK)

        left, top, right, bottom = bounding_box(field > 0)
        x, y = picture.scale
        box = (round(left * x), round(top * y), round(right * x), round(bottom * y))
        return self._read_one(field, box, warnings)

    def _read_tiny(self, tiny: Tiny, picture: Picture) -> Reading:
        """Read a picture of a few pixels as one digit."""
        width, height = picture.original_size
        longest = round(max(width, height))
        warnings = picture.warnings
        if longest < SMALL:
            warnings = (*warnings, f"upscaled from {longest} px")
        if tiny.is_light:
            warnings = (*warnings, LIGHT_INK)

        return self._read_one(tiny.field, (0, 0, round(width), round(height)), warnings)

    def _read_one(self, field: Pixels, box: Box, warnings: tuple[str, ...]) -> Reading:
        """Read the one digit of a picture."""
        (probabilities,), (doubt,) = self._answer(field[None])
        digit = self._digit(field, probabilities, doubt, box)
        return Reading(text_of([digit]), (digit,), warnings)

    def _trace(
        self, picture: Picture, surveyed: Survey | None = None, single: bool = False
    ) -> Trace:
        """Read an upright picture. surveyed: what `survey` says of it, if it was asked before."""
        return self._trace_page(self._pages.read(picture, single, surveyed))

    def _read_part(self, pixels: Pixels, most: int) -> Reading:
        """Read so many digits in a part of a picture, as `read_part` of the page reader does."""
        return self._trace_page(self._pages.read_part(pixels, most)).reading

    def _trace_page(self, page: Page) -> Trace:
        """Read what was found on a page."""
        read_finds = self._believe if self._believes_pages else self._judge
        digits = tuple(
            replace(digit, box=page.in_original(digit.box), line=find.line)
            for digit, find in zip(read_finds(page.candidates), page.candidates, strict=True)
        )
        signs = signs_beside(page, digits)
        reading = Reading(text_of(digits), digits, page.warnings, None, signs)
        return Trace(reading, page, page.picture)

    def _believe(self, finds: Sequence[Find]) -> list[Digit]:
        """Return the digits that the page reader takes finds for."""
        return [_digit_of(find) for find in finds]

    def _judge(self, finds: Sequence[Find]) -> list[Digit]:
        """Return the digits that the model takes finds for; the page reader says if they are any.

        The model sees each one's own ink, brought to MNIST's geometry.
        """
        fields = np.zeros((len(finds), SIDE, SIDE), np.uint8)
        for image, find in zip(fields, finds, strict=True):
            strokes = find.strokes
            if strokes.any():
                image[:] = to_field(strokes)

        probabilities, doubts = self._answer(fields)
        no_digit = np.array([1 - find.digit_chance for find in finds], np.float32)
        doubts = 1 - (1 - doubts) * (1 - no_digit)
        found = zip(finds, fields, probabilities, doubts, strict=True)
        return [
            self._digit(image, chances, doubt, find.box) for find, image, chances, doubt in found
        ]

    def read_images(self, images: Pixels) -> Iterator[Reading]:
        """Read MNIST-style images as they are, one digit in each.

        Args:
            images: (N, 28, 28) uint8, paper 0 to ink 255, or as `classify` takes them. Those that
                are dark on light are read as their negatives.

        Yields:
            N readings; those of images without ink have no digit.

        Raises:
            BadValue: the images have another shape, or numbers in an unclear range.
        """
        images = to_digits(images)
        is_dark_on_light = on_light_paper(images)
        if is_dark_on_light.any():
            images = np.where(is_dark_on_light[:, None, None], ~images, images)

        answers = zip(images, *self._answer(images), is_dark_on_light, strict=True)
        for image, probabilities, doubt, is_negative in answers:
            if image.any():
                digit = self._digit(image, probabilities, doubt)
                yield Reading(text_of([digit]), (digit,), (DARK_INK,) if is_negative else ())
            else:
                yield Reading("", warnings=("nothing is drawn in it",))

    def classify(self, images: Any) -> Probabilities:
        """Return how likely each MNIST-style image shows each digit.

        Args:
            images: (N, 28, 28) or (28, 28) uint8, paper 0 to ink 255; also floats from 0 to 1 or -1
                to 1, bool, rows of 784 pixels, torch tensors and data frames
                (`core.pixels.to_digits`).

        Returns:
            (N, 10) float32; each row adds up to 1.

        Raises:
            BadValue: the images have another shape, or numbers in an unclear range.
        """
        return self._answer(to_digits(images))[0]

    def sureness(self, images: Pixels) -> NDArray[np.float32]:
        """Return how sure the model is that each image shows one digit, whichever that is.

        Args:
            images: as for `classify`.

        Returns:
            (N,) float32, 0 to 1.

        Raises:
            BadValue: the images have another shape, or numbers in an unclear range.
        """
        probabilities, doubts = self._answer(to_digits(images))
        return probabilities.max(axis=1, initial=0) * (1 - doubts)

    def _answer(self, images: Pixels) -> tuple[Probabilities, NDArray[np.float32]]:
        """Return the probabilities of the ten digits, (N, 10), and of none of them, (N,)."""
        outputs = self._network.answer(images)
        if self._network.outputs == CLASSES:
            return outputs, np.zeros(len(outputs), np.float32)

        digits = np.maximum(outputs[:, :CLASSES], LEAST_CHANCE)
        digits /= np.add.reduce(digits, axis=1, keepdims=True)
        return digits, outputs[:, NOT_A_DIGIT]

    def _digit(
        self,
        image: Pixels,
        probabilities: Probabilities,
        doubt: np.float32,
        box: Box = (0, 0, SIDE, SIDE),
    ) -> Digit:
        """Return the Digit of a candidate: the best guess, and why it is refused, if it is."""
        best = int(probabilities.argmax())
        confidence = float(probabilities[best]) * (1 - float(doubt))

        reason = None
        if doubt > 0.5:
            reason = REFUSED_BY_NETWORK
        elif confidence < self.threshold:
            reason = f"too doubtful: {confidence:.0%} sure of {best}"

        return Digit(best, confidence, reason is None, box, reason, 0, probabilities, image)


def _digit_of(find: Find) -> Digit:
    """Return the digit that the page reader takes a find for."""
    chances = find.chances[:CLASSES]
    best = int(chances.argmax())
    return Digit(
        best,
        confidence=float(chances[best]),
        accepted=find.is_digit,
        box=find.box,
        reason=None if find.is_digit else REFUSED_BY_NETWORK,
        probabilities=chances / chances.sum(),
        image=find.image,
    )


def _threshold(metadata: dict[str, str], path: Path) -> float:
    """Return the least confidence of an accepted digit, from the model's metadata."""
    try:
        threshold = float(metadata.get("threshold", DEFAULT_THRESHOLD))
    except ValueError:
        threshold = -1.0

    if not 0 < threshold < float("inf"):
        raise BadModel(
            f"{str(path)!r} has threshold {metadata['threshold']!r} in its metadata; "
            "expected a positive number"
        )
    return threshold


def _one_row(source: Source) -> Pixels | None:
    """Return a digit, (1, 28, 28), that comes as a row of 784 pixels; None for anything else."""
    try:
        digits = rows_of_digits(source)
        if digits is None or len(digits) == 1:
            return digits
        raise BadValue(
            f"{len(digits):,} rows of 784 pixels are not one picture: say read_many(x) to read "
            "each as a digit; for a picture of 784 columns, read(Image.fromarray(x)) with PIL"
        )
    except BadValue as error:
        raise BadPicture("unsupported", str(error)) from None
