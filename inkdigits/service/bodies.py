"""Admission control for bodies: how large one may be, and how much all of them may hold together.

Requests come in whose bodies are still on their way; whole bodies go out.
"""

import contextlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from inkdigits.service.responses import Busy, Refused

MAX_HELD = 256 << 20  # bytes of all bodies that are being received or read


class Bodies:
    """The bodies that are in memory. held: their bytes."""

    def __init__(self) -> None:
        self.held = 0

    @contextlib.asynccontextmanager
    async def receive(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """Receive a body. It counts as held until the end of the `with`.

        Args:
            request: the request that has it.
            limit: how many bytes it may have.

        Yields:
            The whole body.

        Raises:
            Refused: it has more bytes, as the request says or as they arrive.
            Busy: too much is held already.
            ClientDisconnect: the client has gone.
        """
        message = f"the body has more than the {limit:,} bytes that are allowed"
        too_large = Refused(413, "too_large", message)

        # These are digits: httptools has refused everything else.
        if int(request.headers.get("content-length", 0)) > limit:
            raise too_large

        chunks = list[bytes]()
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self.held += len(chunk)
                if size > limit:
                    raise too_large
                if self.held > MAX_HELD:
                    raise Busy("too many large requests at once")
                chunks.append(chunk)

            yield b"".join(chunks)
        finally:
            self.held -= size
