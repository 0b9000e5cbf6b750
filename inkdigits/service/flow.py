"""Back-pressure: a connection is read no faster than its requests are parsed and answers are taken.

uvicorn stops reading while a body is not taken. This also stops while what was read is not parsed,
and while the client does not take what it is sent: else refusals, of which a client can ask for
many in a few bytes, would pile up in memory.
"""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """Reads from the socket unless there are bytes to parse, to hand over, or to be taken."""

    def __init__(self, transport: asyncio.Transport, unread: bytearray) -> None:
        super().__init__(transport)
        self._unread = unread
        self._body_is_full = False

    def pause_reading(self) -> None:
        self._body_is_full = True
        self.update()

    def resume_reading(self) -> None:
        self._body_is_full = False
        self.update()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.update()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.update()

    def update(self) -> None:
        """Read from the socket, or stop reading."""
        if self._transport.is_closing():
            return

        if self._body_is_full or self._unread or self.write_paused:
            super().pause_reading()
        else:
            super().resume_reading()
