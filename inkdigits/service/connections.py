"""What one client may send, and for how long: uvicorn's connection, with deadlines and limits of its own.

A request has to arrive whole within PATIENCE, head and body, however it drips, and its answer has to be taken within as long; idle
connections give way to new ones, so that silent clients starve nobody. Knows bytes and clocks; nothing of digits. Replaces what
uvicorn would answer in plain text.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

PATIENCE = 10.0  # seconds in which a request arrives, from its first byte or the connection's start; in which an answer is taken
MAX_CONNECTIONS = (
    512  # at once; beyond, the one that has waited longest without a whole request is closed
)
MAX_HEAD = 32 << 10  # bytes of request line and headers; browsers send 1 to 2 thousand
MAX_BODY = 32 << 20  # bytes; phones' photos have up to 15 million
MAX_RECEIVED = (
    2 * MAX_BODY
)  # bytes of a request with its chunk sizes, or of a body that nobody reads any more
LAST_BYTES = 1.0  # seconds in which a request that is on its way may arrive, once the server stops
LAST_CALL = 0.3  # seconds in which a connection that is kept open may still bring a request, once the server stops


class _Answered:
    """In the place of uvicorn's cycle, so that it ignores the rest of a request that has been answered before it was all there."""

    response_complete = response_started = True
    keep_alive = disconnected = False
    message_event = asyncio.Event()  # for which nobody waits


class Connection(HttpToolsProtocol):
    """One client. refused: is told the status of each answer that is given here, before an application sees the request.

    no_room: is asked at each POST, and gives the answer where there is too much to do; else None.
    """

    def __init__(
        self,
        *arguments: Any,
        refused: Callable[[int], None],
        idle: "dict[Connection, None]",
        no_room: Callable[[], bytes | None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._refused, self._idle = (
            refused,
            idle,
        )  # the dict is all connections' and keeps them in the order of their waiting
        self._no_room = no_room
        self._deadline: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._open: list[Any] = []  # requests that have not been answered whole
        self._received = 0
        self._in_head = True
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        while len(self.connections) > MAX_CONNECTIONS and self._idle:
            longest = next(iter(self._idle))
            longest._stop_waiting()
            longest.connections.discard(longest)  # here and now: its loss is heard of later
            longest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._taking:
            self._taking.cancel()
        for cycle in (
            self._open
        ):  # of requests that came one behind another, uvicorn would tell the last one only
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, and start the clock with the first byte of whatever it is."""
        self._received += len(data)
        if self._deadline is None and self._is_free():
            self._wait()
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD:
            self.refuse(
                431, "head_too_large", f"request line and headers have more than {MAX_HEAD:,} bytes"
            )
        elif self._received > MAX_RECEIVED:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._is_free() and self.parser.get_method() == b"POST" and (answer := self._no_room()):
            self.cycle = _Answered()  # type: ignore[assignment]
            self.transport.write(answer)
            self._refused(503)
            if self._stopping or not self.parser.should_keep_alive():
                self.transport.close()
            self._await_taking()
            return
        super().on_headers_complete()
        self._open.append(self.cycle)
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._received = True, 0
        self._stop_waiting()
        if self._is_free():  # its answer came before its end; what follows is awaited as ever
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._open = [cycle for cycle in self._open if not cycle.response_complete]
        if self._deadline is None and not self.transport.is_closing():
            self._idle[self] = None  # kept open: uvicorn's own clock runs
        self._await_taking()

    def pause_writing(self) -> None:
        """The client does not take what it has been sent."""
        super().pause_writing()
        self._await_taking()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's sentence is replaced)
        self.refuse(400, "bad_request", "this is not HTTP/1.1")

    def shutdown(self) -> None:
        """Stop, after a last call: who sent a request the moment before has it answered."""
        self._stopping = True
        if self._is_free():
            self.loop.call_later(LAST_CALL, super().shutdown)
            return
        super().shutdown()
        if self._deadline:
            self._deadline.cancel()
            self._deadline = self.loop.call_later(
                LAST_BYTES, self.refuse, 503, "stopping", "the service is stopping"
            )

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer without the application, and close."""
        if self.transport.is_closing():
            return
        if (
            self._is_free() if self._in_head else not self.cycle.response_started
        ):  # else it would be no answer to anything
            content = json.dumps({"error": {"code": code, "message": message}}).encode()
            head = (
                b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
                % len(content)
            )
            self.transport.write(STATUS_LINE[status] + head + content)
            self._refused(status)
        self.transport.close()
        self._await_taking()

    def _await_taking(self) -> None:
        """Start the clock, if there is anything that has not been taken."""
        if self._taking is None and self.transport.get_write_buffer_size():
            self._taking = self.loop.call_later(PATIENCE, self._look_what_is_taken, self.cycle)

    def _look_what_is_taken(self, since: object) -> None:
        """The client that asked again has taken the answer before; of any other, what is still here has lain here all the time."""
        self._taking = None
        if self.cycle is not since:
            self._await_taking()
        elif self.transport.get_write_buffer_size():
            self.transport.abort()

    def _is_free(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._idle[self] = None
        self._deadline = self.loop.call_later(PATIENCE, self._give_up)

    def _stop_waiting(self) -> None:
        self._idle.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._received:
            self.refuse(408, "too_slow", f"the request did not arrive within {PATIENCE:g} s")
        else:
            self.transport.close()  # nothing was asked
