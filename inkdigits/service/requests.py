"""What requests say and answers look like: bodies to pictures and images, readings and refusals to JSON.

Works on whole bodies, in a worker's thread. Knows forms, JSON and the Open Inference Protocol; nothing of connections or time.
"""

import base64
import contextlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.candidate import Box
from inkdigits.reading.preprocessing.picture import FORMATS
from inkdigits.reading.recogniser import Reading, Recogniser
from inkdigits.service.connections import MAX_BODY

# Pixels of a picture that is decoded whole. A JPEG is decoded at a fraction of its size, and may have 64 million.
MAX_PIXELS = 24_000_000  # grey or colour, 0.2 s
MAX_PIXELS_BEYOND = 8_000_000  # with transparency or more than 8 bits: 60 bytes and 0.3 us each
PLAIN_MODES = ("1", "L", "P", "RGB")
MAX_SCANS = 100  # of a JPEG; usual are 1 to 12, and each goes over the whole picture: 97 bytes and 4 ms where that is large
START_OF_SCAN = b"\xff\xda"  # a marker that cannot occur within a scan
MAX_TEXT = 1 << 20  # bytes of a PPM in letters, which Pillow takes apart in Python: 0.2 s
MAX_PARTS = 100  # of a form, at 8 us each

MAX_ID = 256  # characters of what is echoed
BYTES = "application/octet-stream"


class Refused(Exception):
    """An answer that is no success, and why."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


def finder_of(content_type: str) -> Callable[[bytes], bytes]:
    """What finds the picture in a body of this type. Raises Refused."""
    kind, parameters = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        return partial(file_of_form, boundary=parameters.get(b"boundary"))
    if kind.startswith(b"image/") or kind == BYTES.encode():
        return bytes
    known = f"image/png, image/jpeg and their like, {BYTES} or multipart/form-data"
    raise Refused(415, "unsupported_media_type", f"the content type should be {known}")


def file_of_form(body: bytes, boundary: bytes | None) -> bytes:
    """The content of the field `file` of a multipart form. Raises Refused."""
    found: list[bytes] = []

    def keep(part: Any) -> None:
        if part.field_name == b"file":
            found.append(
                part.value or b"" if hasattr(part, "value") else _content(part.file_object)
            )

    options: Any = {"MAX_MEMORY_FILE_SIZE": MAX_BODY}
    try:
        if not boundary:
            raise FormParserError  # else the parser would write into the log
        if body.count(b"--" + boundary) > MAX_PARTS:
            raise Refused(400, "bad_form", f"the form has more than {MAX_PARTS} parts")
        parser = FormParser("multipart/form-data", keep, keep, boundary=boundary, config=options)
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Refused(400, "bad_form", "this is no multipart/form-data body") from None
    if len(found) != 1:
        raise Refused(400, "bad_form", f"the form should have one field 'file', not {len(found)}")
    return found[0]


def _content(file: Any) -> bytes:
    file.seek(0)
    return file.read()


def read_picture(recogniser: Recogniser, data: bytes, single: bool) -> Reading:
    """Read a picture that is no larger than the service can afford. Raises BadPicture."""
    refuse_large(data)
    return recogniser.read(data, single)


def refuse_large(data: bytes) -> None:
    """Raise BadPicture where a picture would take too long or too much memory."""
    counts: list[tuple[int, int, str]] = []
    # What is wrong with it, reading will say.
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        counts = list(_counts(image, data))
    for count, limit, what in counts:
        if count > limit:
            raise BadPicture(
                "too_large",
                f"the picture has {count:,} {what}; at most {limit:,} of its kind are read here",
            )


def _counts(image: Image.Image, data: bytes) -> Iterator[tuple[int, int, str]]:
    """What makes this picture expensive: how many of it there are, how many are allowed, what they are."""
    jpeg = image.format in ("JPEG", "MPO")
    if jpeg:
        yield data.count(START_OF_SCAN), MAX_SCANS, "scans"
    if not jpeg or _takes_several_scans(image, data):
        plain = image.mode in PLAIN_MODES and not image.has_transparency_data
        yield image.width * image.height, MAX_PIXELS if plain else MAX_PIXELS_BEYOND, "pixels"
    if image.format == "PPM" and data[1:2] in b"123":
        yield len(data), MAX_TEXT, "bytes of text"


def _takes_several_scans(image: Any, jpeg: bytes) -> bool:
    """Whether a JPEG is progressive, or has its colours one after another: then all of it is kept in memory until the last scan."""
    first = jpeg.rfind(START_OF_SCAN, 0, image.fp.tell())  # Pillow has read up to the first scan
    return "progressive" in image.info or jpeg[first + 4] < image.layers


def encoded(reading: Reading, explain: bool = False) -> bytes:
    """The object of `read --json` without a path. explain: each digit also with its probabilities and what the network saw."""
    seen = reading.as_dict()
    if explain:
        for entry, digit in zip(seen["digits"], reading.digits, strict=True):
            assert digit.probabilities is not None
            assert digit.image is not None
            entry["probabilities"] = rounded(digit.probabilities)
            entry["field"] = base64.b64encode(digit.image.tobytes()).decode()
    return json.dumps(seen, ensure_ascii=False).encode()


def parse_field(body: bytes) -> NDArray[np.uint8]:
    """What a network sees, (28, 28) uint8, paper 0 to ink 255. Raises Refused."""
    if len(body) != 784:
        raise Refused(
            400,
            "bad_field",
            f"the body should be a field, 28 rows of 28 bytes, and not {len(body)} bytes",
        )
    return np.frombuffer(body, np.uint8).reshape(28, 28)


def parse_flags(parameters: list[tuple[str, str]], *names: str) -> Iterator[bool]:
    """The values of true-or-false parameters, false where they are not given. Raises Refused."""
    for name, value in parameters:
        if name not in names or value not in ("true", "false"):
            raise Refused(
                400, "bad_parameter", f"parameters are {' and '.join(names)}, each true or false"
            )
    return (dict(parameters).get(name) == "true" for name in names)


def parse_label(parameters: Mapping[str, str]) -> tuple[int, Box | None]:
    """What a digit is said to be, and which one is meant. Raises Refused."""
    box = parameters.get("box")
    found = re.fullmatch(
        r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})", "0,0,0,0" if box is None else box, re.ASCII
    )
    if (
        not re.fullmatch("[0-9]", parameters.get("label", ""))
        or not found
        or parameters.keys() - {"label", "box"}
    ):
        raise Refused(
            400,
            "bad_parameter",
            "parameters are label, a digit, and box, left,top,right,bottom as /v1/read gives them",
        )
    left, top, right, bottom = map(int, found.groups())
    return int(parameters["label"]), None if box is None else (left, top, right, bottom)


def rounded(values: NDArray[np.float32]) -> list[float]:
    """As numbers of JSON; what differs beyond six places is the processor's business."""
    return [round(value, 6) for value in values.tolist()]


def parse_inference(body: bytes) -> tuple[dict[str, str], NDArray[np.uint8]]:
    """A request of the Open Inference Protocol: what is echoed, and its images uint8 (N, 28, 28). Raises Refused."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "the body is no JSON") from None
    wanted = _BadInference(
        "the body should be an object with one input 'images' of datatype UINT8, shape [N, 28, 28], and its data"
    )
    if (
        not isinstance(asked, dict)
        or not isinstance(asked.get("inputs"), list)
        or len(asked["inputs"]) != 1
    ):
        raise wanted
    tensor, outputs = asked["inputs"][0], asked.get("outputs", [])
    if not isinstance(tensor, dict) or tensor.get("name") != "images" or "data" not in tensor:
        raise wanted
    if tensor.get("datatype") != "UINT8":
        raise _BadInference("the input's datatype should be UINT8")
    if not isinstance(name := asked.get("id", ""), str) or len(name) > MAX_ID:
        raise _BadInference(f"id should be a string of at most {MAX_ID} characters")
    if not isinstance(outputs, list) or any(
        not isinstance(o, dict) or o.get("name") != "probabilities" for o in outputs
    ):
        raise _BadInference("the only output is 'probabilities'")
    return {"id": asked["id"]} if "id" in asked else {}, _images(
        tensor.get("shape"), tensor["data"]
    )


class _BadInference(Refused):
    def __init__(self, message: str) -> None:
        super().__init__(400, "bad_inference", message)


def _images(shape: Any, data: Any) -> NDArray[np.uint8]:
    if (
        not isinstance(shape, list)
        or len(shape) != 3
        or shape[1:] != [28, 28]
        or type(shape[0]) is not int
        or shape[0] < 1
    ):
        raise _BadInference("the input's shape should be [N, 28, 28] with N of at least 1")
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError):
        raise _BadInference("the input's data should be a flat or evenly nested list") from None
    if array.dtype.kind not in "iu" or array.size == 0 or array.min() < 0 or array.max() > 255:
        raise _BadInference("the input's data should be whole numbers from 0 to 255")
    if array.size != math.prod(shape):
        raise _BadInference(
            f"the input's data are {array.size:,} numbers; its shape takes {math.prod(shape):,}"
        )
    return array.astype(np.uint8).reshape(shape)
