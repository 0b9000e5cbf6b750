"""Requests taken apart: pictures out of bodies and forms, parameters, fields, and arrays.

Whole bodies and the text of parameters come in, values go out. What cannot be understood raises
`Refused`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from inkdigits.core.digits import Pixels
from inkdigits.reading.page.find import Box
from inkdigits.service.connections import MAX_BODY
from inkdigits.service.responses import Refused

BYTES = "application/octet-stream"
MAX_PARTS = 100  # of a form, at 8 us each
BadInference = partial(Refused, 400, "bad_inference")  # a request that cannot be understood
MAX_ID = 256  # characters of an inference request's id, which is sent back

BOX = re.compile(r"\d{1,9}(,\d{1,9}){3}", re.ASCII)


def choose_extractor(content_type: str) -> Callable[[bytes], bytes]:
    """Return the function that extracts the picture from a body of this content type.

    Raises:
        Refused: bodies of this type are not read.
    """
    kind, parameters = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        return partial(extract_file, boundary=parameters.get(b"boundary"))

    if kind.startswith(b"image/") or kind == BYTES.encode():
        return bytes

    known = f"image/png, image/jpeg and their like, {BYTES} or multipart/form-data"
    raise Refused(415, "unsupported_media_type", f"the content type should be {known}")


def extract_file(body: bytes, boundary: bytes | None) -> bytes:
    """Return the content of the field `file` of a multipart form.

    Args:
        body: the form.
        boundary: what separates its parts, as the content type says.

    Raises:
        Refused: the form is damaged, too large, or does not have one such field.
    """
    found: list[bytes] = []

    def keep(part: Any) -> None:
        if part.field_name == b"file":
            found.append(_read_part(part))

    options: Any = {"MAX_MEMORY_FILE_SIZE": MAX_BODY}
    try:
        if not boundary:
            raise FormParserError  # the parser would write into the log
        if body.count(b"--" + boundary) > MAX_PARTS:
            raise Refused(400, "bad_form", f"the form has more than {MAX_PARTS} parts")

        parser = FormParser("multipart/form-data", keep, keep, boundary=boundary, config=options)
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Refused(400, "bad_form", "the body is not valid multipart/form-data") from None

    if len(found) != 1:
        raise Refused(400, "bad_form", f"the form should have one field 'file', not {len(found)}")

    return found[0]


def _read_part(part: Any) -> bytes:
    """Return the content of a form's part: a field holds its value, a file is read."""
    if hasattr(part, "value"):
        return part.value or b""

    part.file_object.seek(0)
    return part.file_object.read()


def parse_field(body: bytes) -> Pixels:
    """Return a field, which is what a network sees of a digit.

    Returns:
        (28, 28) uint8, paper 0 to ink 255.

    Raises:
        Refused: the body has not 784 bytes.
    """
    if len(body) != 784:
        expected = "the body should be a field, 28 rows of 28 bytes"
        raise Refused(400, "bad_field", f"{expected}, and not {len(body)} bytes")

    return np.frombuffer(body, np.uint8).reshape(28, 28)


def parse_flags(parameters: list[tuple[str, str]], *names: str) -> list[bool]:
    """Return the values of parameters that are true or false; false where one is not given.

    Args:
        parameters: the names and values in the query.
        names: the parameters that there are.

    Raises:
        Refused: there is another parameter, or another value.
    """
    for name, value in parameters:
        if name not in names or value not in ("true", "false"):
            message = f"parameters are {' and '.join(names)}, each true or false"
            raise Refused(400, "bad_parameter", message)

    given = dict(parameters)
    return [given.get(name) == "true" for name in names]


def parse_label(parameters: Mapping[str, str]) -> tuple[int, Box | None]:
    """Return what a digit is said to be, and the box that says which digit is meant.

    Args:
        parameters: those of the query.

    Returns:
        The label, 0 to 9, and the box in pixels of the upright picture, if one is given.

    Raises:
        Refused: a parameter is missing, unknown or malformed.
    """
    label = parameters.get("label", "")
    box = parameters.get("box", "0,0,0,0")
    known = parameters.keys() <= {"label", "box"}
    if not (known and re.fullmatch("[0-9]", label) and BOX.fullmatch(box)):
        raise Refused(
            400,
            "bad_parameter",
            "parameters are label, a digit, and box, left,top,right,bottom as /v1/read gives them",
        )

    if "box" not in parameters:
        return int(label), None

    left, top, right, bottom = map(int, box.split(","))
    return int(label), (left, top, right, bottom)


def parse_inference(body: bytes) -> tuple[dict[str, str], Pixels]:
    """Parse an inference request of the Open Inference Protocol, version 2.

    Returns:
        What is sent back as it came (the id, if there is one), and the images, (N, 28, 28) uint8.

    Raises:
        Refused: the body is not JSON, or not such a request.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "the body is not JSON") from None

    tensor = _only_input(asked)
    if tensor.get("datatype") != "UINT8":
        raise BadInference("the input's datatype should be UINT8")

    identity = asked.get("id", "")
    if not isinstance(identity, str) or len(identity) > MAX_ID:
        raise BadInference(f"id should be a string of at most {MAX_ID} characters")

    outputs = asked.get("outputs", [])
    if not isinstance(outputs, list) or not all(map(_is_probabilities, outputs)):
        raise BadInference("the only output is 'probabilities'")

    echoed = {"id": identity} if "id" in asked else {}
    return echoed, _parse_images(tensor.get("shape"), tensor["data"])


def _only_input(asked: Any) -> dict[str, Any]:
    """Return the one input of an inference request."""
    inputs = asked.get("inputs") if isinstance(asked, dict) else None
    tensor = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else None
    if isinstance(tensor, dict) and tensor.get("name") == "images" and "data" in tensor:
        return tensor

    raise BadInference(
        "the body should be an object with one input 'images' of datatype UINT8, shape "
        "[N, 28, 28], and its data"
    )


def _is_probabilities(output: Any) -> bool:
    """Tell whether an output that is asked for is the one that there is."""
    return isinstance(output, dict) and output.get("name") == "probabilities"


def _parse_images(shape: Any, data: Any) -> Pixels:
    """Return the images of a tensor, (N, 28, 28) uint8."""
    if not _is_shape(shape):
        raise BadInference("the input's shape should be [N, 28, 28] with N of at least 1")

    try:
        array = np.asarray(data)
    except (ValueError, OverflowError):
        raise BadInference("the input's data should be a flat or evenly nested list") from None

    if array.dtype.kind not in "iu" or array.size == 0 or array.min() < 0 or array.max() > 255:
        raise BadInference("the input's data should be whole numbers from 0 to 255")

    size = math.prod(shape)
    if array.size != size:
        message = f"the input's data are {array.size:,} numbers; its shape takes {size:,}"
        raise BadInference(message)

    return array.astype(np.uint8).reshape(shape)


def _is_shape(shape: Any) -> bool:
    """Tell whether this is the shape [N, 28, 28], and N a whole number from 1 on."""
    if not isinstance(shape, list) or len(shape) != 3 or shape[1:] != [28, 28]:
        return False

    return type(shape[0]) is int and shape[0] > 0
