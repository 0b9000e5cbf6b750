"""From a picture to a Reading: the digits in it, how sure each one is, and why one was refused.

Runs an exported network on ONNX Runtime, without torch. Knows models and what their output means; pictures are
preprocessing's business.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES, NOT_A_DIGIT
from inkdigits.core.errors import BadModel, BadPicture, BadValue, UnknownName
from inkdigits.reading.cascade import Cascade
from inkdigits.reading.network import Network, processors
from inkdigits.reading.preprocessing import fields as preprocessing
from inkdigits.reading.preprocessing.candidate import Box
from inkdigits.reading.preprocessing.fields import Page
from inkdigits.reading.preprocessing.picture import Picture, Source, open_picture, turned_left

WEIGHTS = Path(__file__).with_name("weights")
DEFAULT_MODEL = "default"
INT8, INT8_FILE = (
    "-int8",
    "int8.onnx",
)  # `tiny-int8` is what `export tiny --int8` wrote into the folder of `tiny`
THRESHOLD = (
    0.5  # the confidence from which a digit is accepted, where the model's metadata say nothing
)
OTHER = "not a digit"
TURNED_FROM = 3  # candidates can tell that a page lies on its side
WORD_FROM = 3  # candidates of similar size make a word
WORD_SHARE = 0.5  # where so many of them are no digits,
TEXT_FROM = 10  # or a text
TEXT_SHARE = 0.3  # where so many of them are no digits; pages of digits with letters among them have up to 0.2

_to_json = json.JSONEncoder(
    ensure_ascii=False
).encode  # made once: json.dumps would make one for each picture


@dataclass(frozen=True)
class Digit:
    """One candidate. digit: the best guess, 0-9. confidence: the probability that it is right, 0-1.

    box: left, top, right, bottom in pixels of the upright picture. reason: why it was not accepted.
    probabilities: (10,) float32. image: (28, 28) uint8, what the network saw.
    """

    digit: int
    confidence: float
    accepted: bool
    box: Box
    reason: str | None = None
    line: int = field(default=0, repr=False)
    probabilities: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    image: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    @property
    def sureness(self) -> str:
        """The confidence in words, "99.9%" at most: nothing is certain."""
        return f"{min(self.confidence, 0.999):.1%}"

    def as_dict(self) -> dict[str, Any]:
        """The digit as `read --json` prints it."""
        seen: dict[str, Any] = {
            "digit": self.digit,
            "confidence": round(self.confidence, 6),
            "accepted": self.accepted,
            "box": list(self.box),
        }
        return seen if self.accepted else seen | {"reason": self.reason}


@dataclass(frozen=True)
class Reading:
    """What a picture says. text: the accepted digits, lines of writing separated by line feeds; None where it could not be read.

    digits: every candidate in reading order, also those that are not accepted. error: why the picture could not be read.
    """

    text: str | None
    digits: tuple[Digit, ...] = ()
    warnings: tuple[str, ...] = ()
    error: BadPicture | None = None

    def as_dict(self, path: str | None = None) -> dict[str, Any]:
        """The object that `read --json` prints; path is left out where it is None."""
        error = self.error and {"code": self.error.code, "message": str(self.error)}
        return ({} if path is None else {"path": path}) | {
            "text": self.text,
            "digits": [digit.as_dict() for digit in self.digits],
            "warnings": list(self.warnings),
            "error": error,
        }

    def to_json(self, path: str | None = None) -> str:
        """One line of JSON."""
        return _to_json(self.as_dict(path))


@dataclass(frozen=True)
class Trace:
    """A reading together with what led to it, for whoever asks why. page: None where the network saw the picture as it was."""

    reading: Reading
    page: Page | None = None


class Recogniser:
    """Reads pictures with one model, loaded once. Safe to call from several threads.

    model: a shipped name, such a name with -int8, a folder made by `train`, or an .onnx file; or several of them joined by +, the
    quickest first, each of which answers what those before it were not sure of (cascade.py). threads: of one call; None takes one
    per processor that this process may use. Raises UnknownName or BadModel.
    """

    def __init__(
        self, model: str | os.PathLike[str] = DEFAULT_MODEL, threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise BadValue(f"{threads} threads make no sense; wanted is 1 or more")
        networks = [Network(resolve_model(part), threads or processors()) for part in _parts(model)]
        self._network = Cascade(networks) if len(networks) > 1 else networks[0]
        self.path = self._network.path
        self.metadata = self._network.metadata  # of its file, or of the last one's
        self.trained_on: str | None = self.metadata.get(
            "data"
        )  # a dataset's name or path, as `train --data` was given it
        self.threshold = _threshold(self.metadata, self.path)

    @property
    def onnx(self) -> bytes:
        """The bytes of the model's file, which was read once. Raises BadModel where there are several."""
        return self._network.onnx

    def classify(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """MNIST-style images, (N, 28, 28) or (28, 28) uint8, paper 0 to ink 255 -> (N, 10) float32 chances. Raises BadValue."""
        return self._judge(images)[0]

    def sureness(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How sure it is that each image is one digit, whichever: images as for `classify` -> (N,) float32. Raises BadValue."""
        probabilities, doubts = self._judge(images)
        return probabilities.max(axis=1, initial=0) * (1 - doubts)

    def read(self, picture: Source, single: bool = False) -> Reading:
        """Read the digits in a path, bytes, a PIL image or an array. single: it holds at most one digit. Raises BadPicture."""
        return self.trace(picture, single).reading

    def read_many(self, pictures: Iterable[Source], single: bool = False) -> Iterator[Reading]:
        """Read pictures one after the other; one that cannot be read yields a Reading whose error says why."""
        for picture in pictures:
            try:
                yield self.read(picture, single)
            except BadPicture as error:
                yield Reading(None, error=error)

    def read_images(self, images: NDArray[np.uint8]) -> Iterator[Reading]:
        """Read MNIST-style images, (N, 28, 28) uint8, as they are: one digit each, none where there is no ink. Raises BadValue."""
        chances_and_doubts = self._judge(images)  # first: it checks them
        for image, most_ink, chances, doubt in zip(
            images, images.max(axis=(1, 2)), *chances_and_doubts, strict=True
        ):
            digits = (
                (self._digit((0, 0, 28, 28), 0, image, chances, float(doubt)),) if most_ink else ()
            )
            yield Reading(_text(digits), digits, () if digits else ("nothing is drawn in it",))

    def trace(self, picture: Source, single: bool = False) -> Trace:
        """Read a picture and keep what led to the reading. Raises BadPicture."""
        opened = open_picture(picture)
        trace = self._traced(opened, single)
        return trace if single or not _looks_turned(trace.reading) else self._turned(opened, trace)

    def _turned(self, picture: Picture, trace: Trace) -> Trace:
        """The trace of a page that makes sense only when it is turned by a right angle; else the one that is given."""
        best = trace
        for quarters, words in ((1, "to the left"), (3, "to the right")):
            turned = self._traced(turned_left(picture, quarters))
            if _makes_sense(turned.reading) and _mean_confidence(turned.reading) > _mean_confidence(
                best.reading
            ):
                height, width = picture.pixels.shape[:2]
                size = width * picture.scale[0], height * picture.scale[1]
                digits = tuple(
                    replace(digit, box=_turned_back(digit.box, quarters, size))
                    for digit in turned.reading.digits
                )
                warnings = (*turned.reading.warnings, f"read turned {words}")
                best = Trace(replace(turned.reading, digits=digits, warnings=warnings), turned.page)
        return best

    def _traced(self, picture: Picture, single: bool = False) -> Trace:
        page = preprocessing.prepare(picture, single, self.sureness)
        probabilities, doubts = self._judge(page.fields)
        digits = tuple(
            self._digit(
                _original(candidate.box, page.picture.scale),
                candidate.line,
                image,
                chances,
                float(doubt),
                flaw,
            )
            for candidate, image, chances, doubt, flaw in zip(
                page.candidates, page.fields, probabilities, doubts, page.flaws, strict=True
            )
        )
        digits = _without_print(digits)
        return Trace(Reading(_text(digits), digits, page.warnings), page)

    def _judge(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, 10) probabilities of the digits, and (N,) that it is none."""
        raw = self._network.answer(_checked(images))
        if self._network.outputs == CLASSES:
            return raw, np.zeros(len(raw), np.float32)
        digits = np.maximum(raw[:, :CLASSES], np.float32(1e-30))
        return digits / digits.sum(axis=1, keepdims=True), raw[:, NOT_A_DIGIT]

    def _digit(
        self,
        box: Box,
        line: int,
        image: NDArray[np.uint8],
        probabilities: NDArray[np.float32],
        doubt: float,
        flaw: str | None = None,
    ) -> Digit:
        reason = None
        best = int(probabilities.argmax())
        confidence = float(probabilities[best]) * (1 - doubt)
        if flaw is not None:
            reason = flaw
        elif doubt > 0.5:
            reason = OTHER
        elif confidence < self.threshold:
            reason = f"too doubtful: {confidence:.0%} sure of {best}"
        return Digit(best, confidence, reason is None, box, reason, line, probabilities, image)


@lru_cache(maxsize=4)
def loaded(model: str) -> Recogniser:
    """The recogniser of a model, which stays loaded. Raises UnknownName or BadModel."""
    return Recogniser(model)


def read(
    picture: Source, model: str | os.PathLike[str] = DEFAULT_MODEL, single: bool = False
) -> Reading:
    """Read the digits in a path, bytes, a PIL image or an array. The model stays loaded. Raises BadPicture, UnknownName, BadModel.

    >>> read("photo.jpg").text
    '42'
    """
    return loaded(os.fspath(model)).read(picture, single)


def shipped_models() -> list[str]:
    """The names of the models that came with the package."""
    return sorted(path.parent.name for path in WEIGHTS.glob("*/model.onnx"))


def quantised_models() -> list[str]:
    """The names of those of them that came in eight bits as well: the model's own and an ending."""
    return sorted(path.parent.name + INT8 for path in WEIGHTS.glob(f"*/{INT8_FILE}"))


def shipped_folder(model: str) -> Path | None:
    """The folder of a shipped model: laid out as `inkdigits train` leaves one. None where no model has that name."""
    return WEIGHTS / model if model in shipped_models() else None


def resolve_model(model: str | os.PathLike[str]) -> Path:
    """The .onnx file that a shipped name, a run folder or a path means. Raises UnknownName or BadModel."""
    if len(parts := _parts(model)) > 1:
        raise BadModel(f"{os.fspath(model)!r} is {len(parts)} models, and one is wanted here")
    if os.fspath(model) in quantised_models():
        return WEIGHTS / os.fspath(model).removesuffix(INT8) / INT8_FILE
    path = shipped_folder(os.fspath(model)) or Path(model)
    if path.is_dir():
        if not (path / "model.onnx").is_file():
            raise BadModel(
                f"the folder {str(path)!r} holds no model.onnx; a folder made by `inkdigits train` does"
            )
        return path / "model.onnx"
    if path.is_file():
        if path.suffix != ".onnx":
            raise BadModel(f"{str(path)!r} is no .onnx file; `inkdigits export` makes one")
        return path
    known = [
        *shipped_models(),
        *quantised_models(),
        "a folder made by `inkdigits train`",
        "an .onnx file",
    ]
    raise UnknownName("model", os.fspath(model), known)


def _parts(model: str | os.PathLike[str]) -> list[str]:
    """The models that a name joins by +; a file or folder may have one in its own name."""
    name = os.fspath(model)
    return [name] if Path(name).exists() else name.split("+")


def _threshold(metadata: dict[str, str], path: Path) -> float:
    try:
        threshold = float(metadata.get("threshold", THRESHOLD))
    except ValueError:
        threshold = -1.0
    if not 0 < threshold < float("inf"):
        raise BadModel(
            f"{str(path)!r} has threshold {metadata['threshold']!r} in its metadata; wanted is a positive number"
        )
    return threshold


def _checked(images: NDArray[Any]) -> NDArray[np.uint8]:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (2, 3) or images.shape[-2:] != (28, 28):
        raise BadValue(
            f"images of shape {images.shape} and type {images.dtype} cannot be classified; "
            "wanted are uint8 (N, 28, 28) or (28, 28), ink 255 on paper 0"
        )
    return np.ascontiguousarray(images.reshape(-1, 28, 28))


def _original(box: Box, scale: tuple[float, float]) -> Box:
    (x, y), (left, top, right, bottom) = scale, box
    return round(left * x), round(top * y), round(right * x), round(bottom * y)


def _turned_back(box: Box, quarters: int, size: tuple[float, float]) -> Box:
    """The box that was found after a picture of this size (width, height) was turned left by 1 or 3 quarters, in the picture."""
    left, top, right, bottom = map(float, box)
    width, height = size
    if quarters == 1:
        left, top, right, bottom = width - bottom, left, width - top, right
    else:
        left, top, right, bottom = top, height - right, bottom, height - left
    return round(left), round(top), round(right), round(bottom)


def _looks_turned(reading: Reading) -> bool:
    """Whether there are several candidates that make hardly any sense: digits on their side look like none, or like others."""
    return len(reading.digits) >= TURNED_FROM and _mean_confidence(reading) < 0.7


def _makes_sense(reading: Reading) -> bool:
    accepted = sum(digit.accepted for digit in reading.digits)
    return (
        accepted >= max(TURNED_FROM, 0.8 * len(reading.digits)) and _mean_confidence(reading) > 0.8
    )


def _mean_confidence(reading: Reading) -> float:
    return sum(digit.confidence for digit in reading.digits) / max(1, len(reading.digits))


def _without_print(digits: tuple[Digit, ...]) -> tuple[Digit, ...]:
    """The same digits, all refused where the page is a text: among letters, an l looks like a 1 and an o like a 0."""
    heights = sorted(digit.box[3] - digit.box[1] for digit in digits if digit.accepted)
    if not heights or len(digits) < WORD_FROM:
        return digits
    usual = heights[len(heights) // 2]
    others = sum(
        digit.reason == OTHER and digit.box[3] - digit.box[1] > 0.5 * usual for digit in digits
    )
    total = len(heights) + others
    if total < WORD_FROM or others < (WORD_SHARE if total < TEXT_FROM else TEXT_SHARE) * total:
        return digits
    return tuple(
        replace(digit, accepted=False, reason=digit.reason or "stands in a text")
        for digit in digits
    )


def _text(digits: Iterable[Digit]) -> str:
    lines: dict[int, str] = {}
    for digit in digits:
        if digit.accepted:
            lines[digit.line] = lines.get(digit.line, "") + str(digit.digit)
    return "\n".join(lines.values())
