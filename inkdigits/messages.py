"""What requests say and answers look like: bodies to pictures and images, readings and refusals to JSON.

Works on whole bodies, in a worker's thread. Knows forms, JSON and the Open Inference Protocol; nothing of connections or time.
"""

import base64
import contextlib
import io
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError

from inkdigits.connections import MAX_BODY
from inkdigits.errors import BadPicture
from inkdigits.picture import FORMATS
from inkdigits.recogniser import Reading, Recogniser

# Pixels of a picture that is decoded whole. A JPEG is decoded at a fraction of its size, and may have 64 million.
MAX_PIXELS = 24_000_000  # grey or colour, 0.2 s
MAX_PIXELS_BEYOND = 8_000_000  # with transparency or more than 8 bits: 60 bytes and 0.3 us each
PLAIN_MODES = ("1", "L", "P", "RGB")


class Refused(Exception):
    """An answer that is no success, and why."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


def file_of_form(body: bytes, boundary: bytes | None) -> bytes:
    """The content of the field `file` of a multipart form. Raises Refused."""
    found: list[bytes] = []

    def keep(part: Any) -> None:
        if part.field_name == b"file":
            found.append(part.value or b"" if hasattr(part, "value") else _content(part.file_object))

    options: Any = {"MAX_MEMORY_FILE_SIZE": MAX_BODY}
    try:
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
    pixels = limit = 0
    # What is wrong with it, reading will say.
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        pixels = 0 if image.format in ("JPEG", "MPO") else image.width * image.height
        plain = image.mode in PLAIN_MODES and not image.has_transparency_data
        limit = MAX_PIXELS if plain else MAX_PIXELS_BEYOND
    if pixels > limit:
        raise BadPicture("too_large", f"the picture has {pixels:,} pixels; at most {limit:,} of its kind are read here")
    return recogniser.read(data, single)


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
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), list) or len(asked["inputs"]) != 1:
        raise wanted
    tensor, outputs = asked["inputs"][0], asked.get("outputs", [])
    if not isinstance(tensor, dict) or tensor.get("name") != "images" or "data" not in tensor:
        raise wanted
    if tensor.get("datatype") != "UINT8":
        raise _BadInference("the input's datatype should be UINT8")
    if not isinstance(asked.get("id", ""), str):
        raise _BadInference("id should be a string")
    if not isinstance(outputs, list) or any(not isinstance(o, dict) or o.get("name") != "probabilities" for o in outputs):
        raise _BadInference("the only output is 'probabilities'")
    return {"id": asked["id"]} if "id" in asked else {}, _images(tensor.get("shape"), tensor["data"])


class _BadInference(Refused):
    def __init__(self, message: str) -> None:
        super().__init__(400, "bad_inference", message)


def _images(shape: Any, data: Any) -> NDArray[np.uint8]:
    if not isinstance(shape, list) or len(shape) != 3 or shape[1:] != [28, 28] or type(shape[0]) is not int or shape[0] < 1:
        raise _BadInference("the input's shape should be [N, 28, 28] with N of at least 1")
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError):
        raise _BadInference("the input's data should be a flat or evenly nested list") from None
    if array.dtype.kind not in "iu" or array.size == 0 or array.min() < 0 or array.max() > 255:
        raise _BadInference("the input's data should be whole numbers from 0 to 255")
    if array.size != math.prod(shape):
        raise _BadInference(f"the input's data are {array.size:,} numbers; its shape takes {math.prod(shape):,}")
    return array.astype(np.uint8).reshape(shape)
