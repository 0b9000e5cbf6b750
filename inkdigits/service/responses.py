"""What is answered where something went wrong, and the JSON of everything else: one shape of error for every kind of refusal.

Takes exceptions, gives responses that show nothing of where they happened. Knows nothing of what is asked.
"""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from inkdigits.core.errors import BadPicture
from inkdigits.service.requests import Refused

PICTURE_STATUS = {
    "empty": 400,
    "not_a_picture": 415,
    "unsupported": 415,
    "truncated": 422,
    "too_large": 413,
}


def as_json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(json.dumps(content, ensure_ascii=False), status, headers, "application/json")


def _error(status: int, code: str, message: str, headers: Any = None) -> Response:
    return as_json({"error": {"code": code, "message": message}}, status, headers)


def refused(error: Refused) -> Response:
    """The answer to whoever is refused; may be given any number of times."""
    return _error(error.status, error.code, str(error), error.headers)


def as_bytes(answer: Response) -> bytes:
    """As it goes over the wire, for who answers without an application."""
    head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
    return STATUS_LINE[answer.status_code] + head + b"\r\n" + bytes(answer.body)


async def _refused(_: Request, error: Refused) -> Response:
    return refused(error)


async def _bad_picture(_: Request, error: BadPicture) -> Response:
    return _error(PICTURE_STATUS.get(error.code, 400), error.code, str(error))


async def _no_route(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return _error(
            405,
            "method_not_allowed",
            f"{request.method} is not for this path; it takes {allowed}",
            error.headers,
        )
    return _error(
        error.status_code,
        "not_found",
        "there is nothing at this path; /openapi.json lists what there is",
    )


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=499)  # to nobody


async def _bug(_: Request, __: Exception) -> Response:
    return _error(500, "internal", "something went wrong here; the log says what")


HANDLERS: Any = {  # for Starlette
    Refused: _refused,
    BadPicture: _bad_picture,
    HTTPException: _no_route,
    ClientDisconnect: _gone,
    Exception: _bug,
}
