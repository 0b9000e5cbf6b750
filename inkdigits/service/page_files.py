"""The draw page's files over HTTP, and those with which it reads on the device that shows it.

The name of a file comes in; a response goes out, with headers that keep other sites out of it.
"""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import MappingProxyType

from starlette.responses import Response

from inkdigits.service.responses import Refused

PAGE = Path(__file__).with_name("page")
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".safetensors": "application/octet-stream",
}
OWN = (".html", ".js", ".css")  # the page itself, without its reader
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
    "payment=(), usb=()",
    "Cache-Control": "no-cache",
}
FOR_READER = ("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'")
NO_FILES: Mapping[Path, bytes] = MappingProxyType({})


class PageFiles:
    """The files of the draw page."""

    def __init__(self, collects: bool = False, reader: Mapping[Path, bytes] = NO_FILES) -> None:
        """Take what the page offers besides reading over HTTP.

        Args:
            collects: whether corrections are stored.
            reader: what reading in a browser takes, by path, as `site.reader_files` returns it.
        """
        self._collects = collects
        self._reader = {
            path.relative_to("page/reading").as_posix(): reader[path] for path in reader
        }
        self._packed = {name: gzip.compress(self._reader[name]) for name in self._reader}
        self._headers = dict(HEADERS)
        if reader:
            policy = HEADERS["Content-Security-Policy"].replace(*FOR_READER)
            self._headers["Content-Security-Policy"] = policy

    @property
    def offers_local(self) -> bool:
        """Whether the page can read on the device that shows it."""
        return bool(self._reader)

    def page(self, name: str) -> Response:
        """Return a file of the page itself.

        Raises:
            Refused: there is no such file.
        """
        files = {path.name: path for path in PAGE.glob("*") if path.suffix in OWN}
        if name not in files:
            raise Refused(404, "not_found", "there is no such page")

        body = "<body"
        if self._collects:
            body += " data-collects"
        if self.offers_local:
            body += " data-offers-local"
        content = files[name].read_bytes().replace(b"<body", body.encode())
        return Response(content, headers=self._headers, media_type=_type(name))

    def reader(self, name: str, asked: Mapping[str, str]) -> Response:
        """Return a file of the reader, only if it has changed: all are 15 MB, and packed 6 MB.

        Args:
            name: its path below `page/reading/`.
            asked: the headers of the request.

        Raises:
            Refused: there is no such file.
        """
        content = self._reader.get(name)
        if content is None:
            raise Refused(404, "not_found", "there is no such page")

        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {**self._headers, "ETag": tag, "Vary": "Accept-Encoding"}
        if asked.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)

        if "gzip" in asked.get("accept-encoding", ""):
            content = self._packed[name]
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type=_type(name))


def _type(name: str) -> str:
    return TYPES[PurePath(name).suffix]
