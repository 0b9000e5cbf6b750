"""A request that is refused without being parsed is one that the parser takes for the same."""

import asyncio
import random
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.server import ServerState

from inkdigits.service.connections import TINY_CHUNKS, Connection
from inkdigits.service.heads import is_plain_post

PLAIN = b"POST /v1/read?single=true HTTP/1.1\r\nHost: a\r\ncontent-Length: 3\r\nX-Y: z\r\n\r\nabc"
PARTS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"POST ",
    b"GET ",
    b"/",
    b" HTTP/1.1",
    b" HTTP/1.0",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length:3\r\n",
    b"Content-Length : 3\r\n",
    b"content-length: 0003\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: +3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"X: y\r\n z\r\n",
    b"\xff: y\r\n",
    b"X: \xff\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"\r\n\r\nabc",
)


class Parsed:
    """What httptools makes of bytes, in one piece."""

    def __init__(self, data: bytes) -> None:
        self.messages = 0
        self.body = b""
        self.names: list[bytes] = []
        self.parser = httptools.HttpRequestParser(self)
        self.failed = False
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.failed = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.names.append(name.lower())

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1
        self.method = self.parser.get_method()
        self.is_kept = self.parser.should_keep_alive()


def test_plain_posts_are_what_a_client_sends() -> None:
    assert is_plain_post(bytearray(PLAIN))


@pytest.mark.parametrize("seed", range(10))
def test_no_more_than_one_whole_request_is_taken_for_a_plain_post(seed: int) -> None:
    """Requests are put together of such parts, and compared with the parser's judgement."""
    chance = random.Random(seed)
    plain = 0
    for _ in range(4000):
        data = PLAIN
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(data) + 1)
            end = start + chance.choice([0, 0, 1, 2, 18])
            data = data[:start] + chance.choice(PARTS) + data[end:]

        if is_plain_post(bytearray(data)):
            plain += 1
            parsed = Parsed(data)
            assert not parsed.failed, data
            assert (parsed.messages, parsed.method) == (1, b"POST"), data
            assert parsed.is_kept, data
            assert parsed.names.count(b"content-length") == 1, data
            assert data.endswith(b"\r\n\r\n" + parsed.body), data

    assert plain > 20


@pytest.mark.parametrize(
    "changed",
    [
        PLAIN + b"d",
        PLAIN[:-1],
        PLAIN + PLAIN,
        PLAIN.replace(b"X-Y: z", b"Content-Length: 3"),
        PLAIN.replace(b"X-Y: z", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"X-Y: z", b"Connection: close"),
        PLAIN.replace(b"X-Y: z", b"Expect: 100-continue"),
        PLAIN.replace(b"X-Y: z", b"X-Y: z\r\n folded"),
        PLAIN.replace(b"POST", b"GET"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b": 3", b": 99999999999999999999"),
    ],
)
def test_all_else_is_left_to_the_parser(changed: bytes) -> None:
    assert not is_plain_post(bytearray(changed))


class Transport(asyncio.Transport):
    """A socket that takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        raise AssertionError("the connection rests")

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


def test_small_bodies_of_a_told_length_are_no_chunks() -> None:
    """Else a connection would rest after each thousand of them, as after a thousand chunks."""

    async def answered() -> int:
        async def never(scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError

        config = uvicorn.Config(never, log_config=None, lifespan="off")
        config.load()
        connection = Connection(
            config,
            ServerState(),
            {},
            refused=lambda status: None,
            idle={},
            response_if_full=lambda announce: b"refused" if announce else None,
            most=9,
        )
        transport = Transport()
        connection.connection_made(transport)
        for _ in range(2 * TINY_CHUNKS):
            connection.data_received(PLAIN)
        connection.connection_lost(ConnectionResetError())
        return len(transport.written)

    assert asyncio.run(answered()) == 2 * TINY_CHUNKS
