"""Requests of the Open Inference Protocol, version 2: JSON comes in, images go out.

Types and ranges are checked while the JSON is parsed, so that parsing ends at the first value that
does not belong, and what is not asked for is skipped. So a megabyte of any JSON costs no more than
a megabyte of pixels does.
"""

import math
import re
from functools import partial
from itertools import chain
from typing import Annotated, Literal, NoReturn

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType

from inkdigits.core.digits import SIDE, Pixels
from inkdigits.service.responses import Refused

MAX_ID = 256  # characters of an inference request's id, which is sent back
MAX_IMAGES = 1 << 20  # a body holds fewer; a shape that says more is none

BadInference = partial(Refused, 400, "bad_inference")  # a request that cannot be understood

Id = Annotated[str, Meta(max_length=MAX_ID)]
Count = Annotated[int, Meta(ge=1, le=MAX_IMAGES)]
Side = Literal[28]
Pixel = Annotated[int, Meta(ge=0, le=255)]
Row = Annotated[list[Pixel], Meta(min_length=SIDE, max_length=SIDE)]
Image = Annotated[list[Row], Meta(min_length=SIDE, max_length=SIDE)]

# Sentences for the fields whose value is not as it should be; the default is for all others.
EXPECTED = {
    "datatype": "the input's datatype should be UINT8",
    "shape": "the input's shape should be [N, 28, 28] with N of at least 1",
    "id": f"id should be a string of at most {MAX_ID} characters",
    "outputs": "the only output is 'probabilities'",
}
EXPECTED_REQUEST = (
    "the body should be an object with one input 'images' of datatype UINT8, shape "
    "[N, 28, 28], and its data"
)
EXPECTED_DATA = (
    "the input's data should be whole numbers from 0 to 255, flat or nested as its shape"
)


class _Tensor(Struct):
    """The input of a request. data: not parsed yet, since it has two forms."""

    name: Literal["images"]
    datatype: Literal["UINT8"]
    shape: tuple[Count, Side, Side]
    data: msgspec.Raw


class _Output(Struct):
    """An output that is asked for."""

    name: Literal["probabilities"]


class _Inference(Struct):
    """A request, as the protocol has it."""

    inputs: Annotated[list[_Tensor], Meta(min_length=1, max_length=1)]
    id: Id | UnsetType = UNSET
    outputs: list[_Output] | UnsetType = UNSET


_REQUEST = msgspec.json.Decoder(_Inference)
_FLAT = msgspec.json.Decoder(list[Pixel])
_NESTED = msgspec.json.Decoder(list[Image])


def parse_inference(body: bytes) -> tuple[dict[str, str], Pixels]:
    """Parse an inference request.

    Returns:
        What is sent back as it came (the id, if there is one), and the images, (N, 28, 28) uint8.

    Raises:
        Refused: the body is not JSON, or not such a request.
    """
    try:
        asked = _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        _refuse(error)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refused(400, "bad_json", "the body is not JSON") from None

    tensor = asked.inputs[0]
    pixels = _parse_data(tensor.data)
    size = math.prod(tensor.shape)
    if len(pixels) != size:
        message = f"the input's data are {len(pixels):,} numbers; its shape takes {size:,}"
        raise BadInference(message)

    echoed = {} if asked.id is UNSET else {"id": asked.id}
    return echoed, np.frombuffer(pixels, np.uint8).reshape(tensor.shape)


def _refuse(error: msgspec.ValidationError) -> NoReturn:
    """Refuse a request with a sentence about the first field that is not as it should be."""
    path = str(error).rpartition("`$")[2]
    field = re.match(r"(?:\.inputs\[0\])?\.(\w+)", path)
    name = field[1] if field else ""
    raise BadInference(EXPECTED.get(name, EXPECTED_REQUEST)) from None


def _parse_data(data: msgspec.Raw) -> bytes:
    """Return the pixels of all images, row by row, from a flat or nested list of numbers."""
    text = bytes(data)
    is_nested = re.match(rb"\[\s*\[", text)
    try:
        if not is_nested:
            return bytes(_FLAT.decode(text))

        rows = chain.from_iterable(_NESTED.decode(text))
        return b"".join(map(bytes, rows))
    except (msgspec.DecodeError, RecursionError):
        raise BadInference(EXPECTED_DATA) from None
