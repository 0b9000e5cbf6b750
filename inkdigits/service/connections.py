"""Connections: uvicorn's, with deadlines and limits for what one client may send and take.

Bytes come in and go out. A request has to arrive whole within a deadline, head and body, however
slowly it drips, and its response has to be taken within one. Requests are taken one at a time: what
a client sends behind one waits in the socket until that is answered. Idle connections give way to
new ones, so that silent clients do not keep others out. Where uvicorn would answer in plain text,
these answer in JSON.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inkdigits.service.flow import Flow
from inkdigits.service.heads import CLOSE, is_plain_post, refusal
from inkdigits.service.responses import (
    encode_response,
    respond_with_error,
    respond_with_refusal,
)

# Seconds in which a request arrives, from its first byte or from the connection's start, and
# seconds in which a response is taken.
DEADLINE = 10.0

MAX_CONNECTIONS = 512  # beyond, the one that has waited longest for a whole request is closed
MAX_HEAD = 32 << 10  # bytes of request line and headers; browsers send 1 to 2 thousand
MAX_HEADERS = 100  # browsers send 15 to 20
MAX_BODY = 32 << 20  # bytes; photos of phones have up to 15 million

# Bytes of a request with its chunk sizes, or of a body that is not read any more.
MAX_RECEIVED = 2 * MAX_BODY

# The parser takes as long for a chunk of one byte as for one of thousands. So chunks are parsed in
# pieces, between which others have a turn, and who sends many tiny ones has to rest in between.
CHUNKED_PIECE = 4 << 10  # bytes
TINY = 256  # bytes of a chunk; clients send 4 to 64 thousand
TINY_CHUNKS = 1000  # between two rests; about 1 ms
REST = 0.1  # seconds

# Seconds after which a request that was sent behind another one is parsed. Without, a client that
# does not wait for answers keeps the interpreter to the event loop, and the threads that read wait.
PIPELINED = 0.005

BLANK_LINE = b"\r\n\r\n"  # ends every head and every chunked body; the parser takes no other end

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
        response_if_full: returns the response to a POST if there is too much to do, as bytes, else
            None, and then counts the POST as announced if it is told to.
        most: connections; beyond, the longest waiting one is closed.
    """

    def __init__(
        self,
        *arguments: Any,
        refused: Callable[[int], None],
        idle: "dict[Connection, None]",
        response_if_full: Callable[[bool], bytes | None],
        most: int,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._refused = refused
        self._idle = idle
        self._response_if_full = response_if_full
        self._most = most
        self._waits_until: float | None = None  # for a request, in seconds of the loop's clock
        self._arrival: asyncio.TimerHandle | None = None  # looks at that clock
        self._taking: asyncio.TimerHandle | None = None  # ends the wait for a response to be taken
        self._stopping = False

        self._unread = bytearray()  # what is not parsed yet; at most what the loop reads at once
        self._last = b""  # the three bytes before it
        self._turn: asyncio.TimerHandle | None = None  # when parsing goes on

        # Of the request that is being parsed.
        self._in_message = False
        self._in_head = True
        self._is_chunked = False
        self._body_left = 0  # bytes of a body whose length was told
        self._received = 0  # bytes
        self._tiny = 0  # chunks since the last rest

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request. Where there are too many connections, close the idlest."""
        super().connection_made(transport)
        self.flow = self._flow = Flow(transport, self._unread)
        self._wait()
        while len(self.connections) > self._most and self._idle:
            longest = next(iter(self._idle))
            longest._stop_waiting()
            longest.connections.discard(longest)  # at once: its loss is heard of later
            longest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_waiting()
        for clock in (self._arrival, self._taking, self._turn):
            if clock:
                clock.cancel()

        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes. The first one starts the clock."""
        self._unread += data
        if self._waits_until is None and self._is_free():
            self._wait()
        if self._turn is None and not self._refuse_unparsed():
            self._read_on()

    def _refuse_unparsed(self) -> bool:
        """Refuse a plain request that is there whole if there is too much to do, and tell if so."""
        expected = not self._in_message and self._is_free() and not self._stopping
        full = self._response_if_full(False) if expected else None
        if not full or not is_plain_post(self._unread):
            return False

        self._unread.clear()
        self._last = b""
        self._unset_keepalive_if_required()
        self.transport.write(full)
        self._refused(503)
        self._stop_waiting()
        self._wait()
        self._await_taking()
        return True

    def _read_on(self) -> None:
        """Parse a head or a piece of a body, and have the rest wait for its turn."""
        self._turn = None
        self._parse_piece()
        if self._body_left:
            self._parse_piece()  # most bodies arrive with their heads

        if self._tiny >= TINY_CHUNKS:
            self._tiny = 0
            self._turn = self.loop.call_later(REST, self._read_on)
        elif self._unread and self._may_parse():
            self._turn = self.loop.call_later(0, self._read_on)
        self._flow.update()

    def _may_parse(self) -> bool:
        """Tell whether the next bytes are of the request that is expected."""
        expected = self._in_message or self._is_free()
        return expected and not (self._flow.write_paused or self.transport.is_closing())

    def _parse_piece(self) -> None:
        """Parse bytes that end no later than a head or a request does, within the limits."""
        if not self._unread or not self._may_parse():
            return

        size = self._piece_size()
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        self._last = (self._last + piece)[-3:]
        self._received += len(piece)
        if self._body_left:
            self._body_left -= len(piece)

        super().data_received(piece)

        if self._in_head and self._received > MAX_HEAD:
            message = f"request line and headers have more than {MAX_HEAD:,} bytes"
            self.refuse(431, "head_too_large", message)
        elif self._received > MAX_RECEIVED:
            self.transport.abort()

    def _piece_size(self) -> int:
        """Return how many bytes to parse next."""
        if self._body_left:
            return self._body_left

        most = CHUNKED_PIECE if self._is_chunked else MAX_HEAD + 1 - self._received
        across = self._last + self._unread[: len(BLANK_LINE) - 1]
        if BLANK_LINE in across:
            return across.index(BLANK_LINE) + len(BLANK_LINE) - len(self._last)

        found = self._unread.find(BLANK_LINE, 0, most)
        return most if found < 0 else found + len(BLANK_LINE)

    def on_message_begin(self) -> None:
        """Start the clock, also for a request right behind another."""
        super().on_message_begin()
        self._in_message = True
        if self._waits_until is None:
            self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header. Those behind a chunked body are counted as chunks, and forgotten."""
        if not self._in_head:
            self._tiny += 1
            return

        if len(self.headers) == MAX_HEADERS:
            message = f"a request has at most {MAX_HEADERS} headers"
            self.refuse(431, "head_too_large", message)
            raise ValueError(message)  # the parser stops

        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer a request, or refuse it before its body arrives."""
        self._begin_answer()
        self._in_head = False  # only now: what fails before is refused as a head

    def _begin_answer(self) -> None:
        told = dict(self.headers)
        self._is_chunked = b"transfer-encoding" in told
        self._body_left = int(told.get(b"content-length", 0))

        refused = refusal(self.parser, self.headers, bool(self._body_left) or self._is_chunked)
        if refused:
            response = respond_with_refusal(refused)
            self._answer_early(refused.status, encode_response(response))
            if response.headers.get("connection") == "close":
                self.transport.close()
            return

        if self.parser.get_method() == b"POST":
            full = self._response_if_full(True)
            if full:
                self._answer_early(503, full)
                return

        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def _answer_early(self, status: int, response: bytes) -> None:
        """Answer a request whose body has not arrived, and keep the connection if possible."""
        self.cycle = _Answered()  # type: ignore[assignment]
        self.transport.write(response)
        self._refused(status)
        if self._stopping or not self.parser.should_keep_alive():
            self.transport.close()
        self._await_taking()

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        self._tiny += self._is_chunked and len(body) < TINY
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is there."""
        super().on_message_complete()
        self._in_message = False
        self._in_head = True
        self._is_chunked = False
        self._received = 0
        self._stop_waiting()
        if self._is_free():  # it was answered before its end, so the next one is awaited
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the response to be taken; uvicorn's own clock runs for the next request."""
        super().on_response_complete()
        if self._waits_until is None and not self.transport.is_closing():
            self._idle[self] = None
            if self._unread and self._turn is None:
                self._wait()
                self._turn = self.loop.call_later(PIPELINED, self._read_on)
        self._await_taking()

    def pause_writing(self) -> None:
        """Start the clock: the client does not take what it has been sent."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """Go on with what the client has sent meanwhile."""
        super().resume_writing()
        if self._unread and self._turn is None:
            self._turn = self.loop.call_later(0, self._read_on)

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
        if self._waits_until is not None and self._arrival:
            self._arrival.cancel()
            self._arrival = None
            self._wait_for(LAST_BYTES)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error, without the application, and close the connection."""
        if self.transport.is_closing():
            return

        # Else the response would belong to no request.
        expected = self._is_free() if self._in_head else not self.cycle.response_started
        if expected:
            response = respond_with_error(status, code, message, CLOSE)
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
        self._wait_for(DEADLINE)

    def _wait_for(self, seconds: float) -> None:
        """Wait for a request, and no longer than some seconds from now."""
        self._idle[self] = None
        self._waits_until = self.loop.time() + seconds
        if self._arrival is None:
            self._arrival = self.loop.call_later(seconds, self._check_arrival)

    def _stop_waiting(self) -> None:
        """Stop the clock for a request; its timer runs on, and is used for the next one."""
        self._idle.pop(self, None)
        self._waits_until = None

    def _check_arrival(self) -> None:
        """Look whether a request has not arrived in time."""
        self._arrival = None
        if self._waits_until is None:
            return

        left = self._waits_until - self.loop.time()
        if left > 0:
            self._arrival = self.loop.call_later(left, self._check_arrival)
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Close a connection whose request has not arrived in time."""
        if not self._received:
            self.transport.close()  # nothing was asked
        elif self._stopping:
            self.refuse(503, "stopping", "the service is stopping")
        else:
            self.refuse(408, "too_slow", f"the request did not arrive within {DEADLINE:g} s")
