"""Requests taken apart: pictures out of bodies and forms, parameters, and fields.

Whole bodies and the text of parameters come in, values go out. What cannot be understood raises
`Refused`.
"""

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
            known = f"{', '.join(names[:-1])} and {names[-1]}"
            message = f"parameters are {known}, each true or false"
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
