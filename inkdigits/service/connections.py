"""Connections: uvicorn's, with deadlines and limits for what one client may send and take.

Bytes come in and go out. A request has to arrive whole within a deadline, head and body, however
slowly it drips, and its response has to be taken within one. Idle connections give way to new ones,
so that silent clients do not keep others out. Where uvicorn would answer in plain text, these
answer in JSON.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inkdigits.service.responses import encode_response, respond_with_error

# Seconds in which a request arrives, from its first byte or from the connection's start, and
# seconds in which a response is taken.
DEADLINE = 10.0

MAX_CONNECTIONS = 512  # beyond, the one that has waited longest for a whole request is closed
MAX_HEAD = 32 << 10  # bytes of request line and headers; browsers send 1 to 2 thousand
MAX_BODY = 32 << 20  # bytes; photos of phones have up to 15 million

# Bytes of a request with its chunk sizes, or of a body that is not read any more.
MAX_RECEIVED = 2 * MAX_BODY

# Once the server stops: seconds in which a request that is on its way may arrive, and in which a
# connection that is kept open may still begin one.
LAST_BYTES = 1.0
LAST_CALL = 0.3


class _Answered:
    """A request that was answered before all of it arrived: uvicorn ignores the rest."""

    response_complete = True
    response_started = True
    keep_alive = False
    disconnected = False
    message_event = asyncio.Event()  # nothing waits for it


class Connection(HttpToolsProtocol):
    """The connection of one client.

    It takes what uvicorn's takes, and besides:

    Args:
        refused: called with the status of each response that is given here, without the
            application.
        idle: the connections that wait for a whole request, the longest waiting first. All
            connections share it.
        response_if_full: called at each POST; returns the response if there is too much to do, as
            bytes, else None.
    """

    def __init__(
        self,
        *arguments: Any,
        refused: Callable[[int], None],
        idle: "dict[Connection, None]",
        response_if_full: Callable[[], bytes | None],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._refused = refused
        self._idle = idle
        self._response_if_full = response_if_full
        self._arrival: asyncio.TimerHandle | None = None  # ends the wait for a request
        self._taking: asyncio.TimerHandle | None = None  # ends the wait for a response to be taken
        self._open: list[Any] = []  # requests that have not been answered whole
        self._received = 0
        self._in_head = True
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request. Where there are too many connections, close the idlest."""
        super().connection_made(transport)
        self._wait()
        while len(self.connections) > MAX_CONNECTIONS and self._idle:
            longest = next(iter(self._idle))
            longest._stop_waiting()
            longest.connections.discard(longest)  # at once: its loss is heard of later
            longest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all open requests that the client has gone."""
        self._stop_waiting()
        if self._taking:
            self._taking.cancel()

        # Of requests that came one behind another, uvicorn would tell the last one only.
        for cycle in self._open:
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, within the limits. The first one starts the clock."""
        self._received += len(data)
        if self._arrival is None and self._is_free():
            self._wait()
        super().data_received(data)

        if self._in_head and self._received > MAX_HEAD:
            message = f"request line and headers have more than {MAX_HEAD:,} bytes"
            self.refuse(431, "head_too_large", message)
        elif self._received > MAX_RECEIVED:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Start the clock, also for a request right behind another."""
        super().on_message_begin()
        if self._arrival is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """Begin to answer a request, or refuse it before its body arrives."""
        self._in_head = False
        response = None
        if self._is_free() and self.parser.get_method() == b"POST":
            response = self._response_if_full()
        if response:
            self._answer_early(response)
            return

        super().on_headers_complete()
        self._open.append(self.cycle)
        if self._stopping:
            self.cycle.keep_alive = False

    def _answer_early(self, response: bytes) -> None:
        """Answer a request whose body has not arrived, and keep the connection if possible."""
        self.cycle = _Answered()  # type: ignore[assignment]
        self.transport.write(response)
        self._refused(503)
        if self._stopping or not self.parser.should_keep_alive():
            self.transport.close()
        self._await_taking()

    def on_message_complete(self) -> None:
        """Stop the clock: the request is there."""
        super().on_message_complete()
        self._in_head = True
        self._received = 0
        self._stop_waiting()
        if self._is_free():  # it was answered before its end, so the next one is awaited
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the response to be taken; uvicorn's own clock runs for the next request."""
        super().on_response_complete()
        self._open = [cycle for cycle in self._open if not cycle.response_complete]
        if self._arrival is None and not self.transport.is_closing():
            self._idle[self] = None
        self._await_taking()

    def pause_writing(self) -> None:
        """Start the clock: the client does not take what it has been sent."""
        super().pause_writing()
        self._await_taking()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's sentence is replaced)
        """Refuse bytes that are not a request."""
        self.refuse(400, "bad_request", "this is not HTTP/1.1")

    def shutdown(self) -> None:
        """Stop after a last call, so that a request sent the moment before is answered."""
        self._stopping = True
        if self._is_free():
            self.loop.call_later(LAST_CALL, super().shutdown)
            return

        super().shutdown()
        if self._arrival:
            self._arrival.cancel()
            self._arrival = self.loop.call_later(
                LAST_BYTES, self.refuse, 503, "stopping", "the service is stopping"
            )

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error, without the application, and close the connection."""
        if self.transport.is_closing():
            return

        # Else the response would belong to no request.
        expected = self._is_free() if self._in_head else not self.cycle.response_started
        if expected:
            response = respond_with_error(status, code, message, {"Connection": "close"})
            self.transport.write(encode_response(response))
            self._refused(status)

        self.transport.close()
        self._await_taking()

    def _await_taking(self) -> None:
        """Start the clock, if there is anything that the client has not taken."""
        if self._taking is None and self.transport.get_write_buffer_size():
            self._taking = self.loop.call_later(DEADLINE, self._check_taken, self.cycle)

    def _check_taken(self, since: object) -> None:
        """Give a client up that has taken nothing since the clock was started.

        A client that has asked again meanwhile has taken the response before.
        """
        self._taking = None
        if self.cycle is not since:
            self._await_taking()
        elif self.transport.get_write_buffer_size():
            self.transport.abort()

    def _is_free(self) -> bool:
        """Tell whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        """Start the clock for a request."""
        self._idle[self] = None
        self._arrival = self.loop.call_later(DEADLINE, self._give_up)

    def _stop_waiting(self) -> None:
        """Stop the clock for a request."""
        self._idle.pop(self, None)
        if self._arrival:
            self._arrival.cancel()
            self._arrival = None

    def _give_up(self) -> None:
        """Close a connection whose request has not arrived in time."""
        if self._received:
            self.refuse(408, "too_slow", f"the request did not arrive within {DEADLINE:g} s")
        else:
            self.transport.close()  # nothing was asked
