"""Heads of requests: which are refused whatever their bodies are, and which need not be parsed.

A head comes in as the parser has it, or as bytes; a refusal or a judgement goes out.
"""

import re
from collections.abc import Iterable
from typing import Any

from inkdigits.service.responses import Refused

CLOSE = {"Connection": "close"}

# Codings that bodies may have. Others would be read as if they were pictures.
CODINGS = {
    b"transfer-encoding": b"chunked",
    b"content-encoding": b"identity",
}

# The head of a POST that says how long its body is, and nothing else about the connection. While
# there is too much to do, such a request is refused without being parsed.
OTHER_HEADERS = (
    rb"(?i:(?!content-length|transfer-encoding|connection|expect|upgrade)[\w-]+:[^\r\n\0]*\r\n)*"
)
PLAIN_POST = re.compile(
    rb"POST /[!-~]* HTTP/1\.1\r\n"
    + OTHER_HEADERS
    + rb"(?i:content-length): ?(?P<length>\d{1,9})\r\n"
    + OTHER_HEADERS
    + rb"\r\n"
)


def refusal(parser: Any, headers: Iterable[tuple[bytes, bytes]], has_body: bool) -> Refused | None:
    """Return why a request is not for this service, judged by its head; None if it may be."""
    if parser.get_method() == b"CONNECT":
        return Refused(501, "not_a_proxy", "this service is no proxy", CLOSE)

    # The parser takes what comes behind such a head for another protocol.
    if parser.should_upgrade() and has_body:
        message = "this service speaks HTTP/1.1; send a body without the header Upgrade"
        return Refused(501, "no_upgrade", message, CLOSE)

    for name, value in headers:
        known = CODINGS.get(name)
        if known and value.lower() != known:
            status = 501 if name == b"transfer-encoding" else 415
            message = f"the only {name.decode()} that is decoded here is {known.decode()}"
            return Refused(status, "unknown_coding", message)

    return None


def is_plain_post(data: bytearray) -> bool:
    """Tell whether bytes are one whole POST, no less and no more, that needs no parser."""
    head = PLAIN_POST.match(data)
    return head is not None and head.end() + int(head["length"]) == len(data)
