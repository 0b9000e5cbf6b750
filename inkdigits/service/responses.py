"""Responses: JSON for results, and one shape of JSON for every kind of error.

Readings and exceptions come in, responses go out. They tell nothing of the code or the machine
behind the service.
"""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from inkdigits.core.errors import BadPicture
from inkdigits.reading.reading import Reading

PICTURE_STATUS = {
    "empty": 400,
    "not_a_picture": 415,
    "unsupported": 415,
    "truncated": 422,
    "too_large": 413,
}
RETRY_AFTER = {"Retry-After": "1"}  # seconds


class Refused(Exception):
    """A request that is refused: the status of the response, and the code and message in it."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


class Busy(Refused):
    """A request that is refused because there is too much to do."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "busy", f"{message}; try again in a second", RETRY_AFTER)


def respond(content: object, status: int = 200, headers: Any = None) -> Response:
    """Return a response that holds this content as JSON."""
    return Response(json.dumps(content, ensure_ascii=False), status, headers, "application/json")


def respond_with_error(status: int, code: str, message: str, headers: Any = None) -> Response:
    """Return a response that says what went wrong."""
    return respond({"error": {"code": code, "message": message}}, status, headers)


def respond_with_refusal(refused: Refused) -> Response:
    """Return the response to a refused request. It can be sent any number of times."""
    return respond_with_error(refused.status, refused.code, str(refused), refused.headers)


def encode_response(response: Response) -> bytes:
    """Return a response as it is sent, for connections that answer without the application."""
    head = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
    return STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body)


def encode_reading(reading: Reading, explain: bool = False, table: bool = False) -> bytes:
    """Return the JSON of a reading: the object of `read --json`, without a path.

    Args:
        reading: what was read in a picture.
        explain: whether each digit also gets its ten probabilities and the field that the network
            saw, 28 rows of 28 bytes in base64.
        table: whether the numbers are there in rows and columns as well.
    """
    content = reading.as_dict()
    if table:
        content["table"] = reading.table().as_lists()
    if explain:
        for entry, digit in zip(content["digits"], reading.digits, strict=True):
            assert digit.probabilities is not None
            assert digit.image is not None
            entry["probabilities"] = round_probabilities(digit.probabilities)
            entry["field"] = base64.b64encode(digit.image.tobytes()).decode()

    return json.dumps(content, ensure_ascii=False).encode()


def round_probabilities(probabilities: NDArray[np.float32]) -> list[float]:
    """Round probabilities to six places; processors differ in those beyond."""
    return [round(probability, 6) for probability in probabilities.tolist()]


async def _handle_refused(_: Request, refused: Refused) -> Response:
    return respond_with_refusal(refused)


async def _handle_bad_picture(_: Request, error: BadPicture) -> Response:
    return respond_with_error(PICTURE_STATUS.get(error.code, 400), error.code, str(error))


async def _handle_no_route(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not for this path; it takes {allowed}"
        return respond_with_error(405, "method_not_allowed", message, error.headers)

    message = "there is nothing at this path; /openapi.json lists what there is"
    return respond_with_error(error.status_code, "not_found", message)


async def _handle_disconnect(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=499)  # it is counted, but there is no client to send it to


async def _handle_bug(_: Request, __: Exception) -> Response:
    return respond_with_error(500, "internal", "something went wrong here; the log says what")


HANDLERS: Any = {  # what Starlette calls for each class of exception
    Refused: _handle_refused,
    BadPicture: _handle_bad_picture,
    HTTPException: _handle_no_route,
    ClientDisconnect: _handle_disconnect,
    Exception: _handle_bug,
}
