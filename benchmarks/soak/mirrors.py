"""A server on this machine that delivers one file, and every fault that mirrors have.

The tests and the soak both ask it. The last part of an address is what is done: /good, /404, /drip,
... /asked says how often each has been asked for.
"""

import bz2
import gzip
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import ClassVar

CONTENT = bytes(range(256)) * 200  # 51 KB
PACKED = gzip.compress(CONTENT)
RIGHT = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 100_000
PAUSE = 0.05  # s between the bytes of what drips
ENDLESS = 12.0  # s after which even those end who never do

GOOD = ("good", "unpacked", "unannounced", "chunked", "moved", "slow", "steady")
SLOW_FAULTS = ("silent", "hang", "drip", "drip_head", "drip_chunk", "continue")
# What is answered in the place of the packed file, and its headers; None leaves one out.
ANSWERS: dict[str, tuple[bytes, dict[str, str | None]]] = {
    "unpacked": (CONTENT, {}),
    "unannounced": (PACKED, {"Content_Length": None}),
    "long_head": (PACKED, {"X": "x" * 70_000}),
    "many_heads": (PACKED, {"X": "x\r\nX: " * 200}),
    "html": (b"<!DOCTYPE html><title>Sign in</title>", {"Content_Type": "text/html"}),
    "empty": (b"", {}),
    "flipped": (gzip.compress(CONTENT[:-1] + b"\0"), {}),
    "broken": (PACKED[:-20], {}),
    "packed_twice": (gzip.compress(PACKED), {"Content_Encoding": "gzip"}),
    "padded": (PACKED + b"rubbish", {}),
    "large": (bytes(LIMIT + 1), {}),
    "flood": (bytes(10 * LIMIT), {"Content_Length": None}),
    "truncated": (PACKED[:100], {"Content_Length": str(len(PACKED))}),
    "cut": (PACKED[:100], {"Content_Length": None}),
    "short_length": (PACKED, {"Content_Length": "100"}),
    "no_number": (PACKED[:-1], {"Content_Length": "-1e9"}),
    "huge_length": (PACKED, {"Content_Length": "9" * 5000}),
}
REDIRECTS = {
    "moved": "/good",
    "to_file": "file:///etc/hostname",
    "nowhere": "http://[::1",
    "loop": "/loop",
}
FAULTS = (
    *("400", "403", "404", "410", "429", "500", "502", "503"),
    *("no_content", "partial", "garbage", "other_protocol", "long_head", "many_heads", "html"),
    *("empty", "flipped", "broken", "packed_twice", "padded", "bomb", "bz2_bomb", "large", "flood"),
    *("truncated", "cut", "cut_chunk", "bad_chunk", "short_length", "no_number", "huge_length"),
    *("closed", "reset", "reset_later"),
    *("elsewhere", "to_file", "nowhere", "no_address", "loop", "chain"),
    *SLOW_FAULTS,
)


@cache
def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    """Pack a hundred times the bytes that are allowed."""
    return pack(bytes(100 * LIMIT))


class Mirror(BaseHTTPRequestHandler):
    """Answers each request with what its address names, and then closes the connection."""

    asked: ClassVar[Counter[str]] = Counter()
    release = threading.Event()

    def do_GET(self) -> None:
        name = self.path.strip("/").split("?")[0]
        Mirror.asked[name] += 1
        if self.headers["Host"].startswith("localhost"):
            Mirror.asked["untrusted"] += 1

        method = getattr(self, f"do_{name}", None)
        with suppress(ConnectionError):
            if name.isdecimal():
                self.send_error(int(name))
            elif name in REDIRECTS:
                self.redirect(REDIRECTS[name])
            elif method:
                method()
            else:
                body, headers = ANSWERS.get(name, (PACKED, {}))
                self.answer(body, 200, **headers)

    def answer(self, body: bytes, status: int = 200, **headers: str | None) -> None:
        """Send an answer.

        Underscores in the names of headers are hyphens; None leaves one out.
        """
        headers = {"Content_Type": "application/gzip", "Content_Length": str(len(body)), **headers}
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, pieces: Iterator[bytes]) -> None:
        """Send pieces until they are over, or have taken long enough."""
        end = time.monotonic() + ENDLESS
        for piece in pieces:
            self.wfile.write(piece)
            if Mirror.release.wait(PAUSE) or time.monotonic() > end:
                return

    # good ones

    def do_asked(self) -> None:
        self.answer(json.dumps(Mirror.asked).encode())

    def do_chunked(self) -> None:
        self.chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(PACKED), PACKED))

    def do_slow(self) -> None:
        time.sleep(0.2)
        self.answer(PACKED)

    def do_steady(self) -> None:
        """Take a quarter of a second from the first byte to the last one."""
        self.answer(b"", Content_Length=str(len(CONTENT)))
        for begin in range(0, len(CONTENT), 2048):
            self.wfile.write(CONTENT[begin : begin + 2048])
            time.sleep(0.01)

    # answers that are none

    def do_no_content(self) -> None:
        self.answer(b"", 204)

    def do_partial(self) -> None:
        self.answer(PACKED[:100], 206)

    def do_garbage(self) -> None:
        self.wfile.write(random.Random(0).randbytes(5000))

    def do_other_protocol(self) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")

    # other bytes

    def do_bomb(self) -> None:
        self.answer(bomb(gzip.compress))

    def do_bz2_bomb(self) -> None:
        self.answer(bomb(bz2.compress))

    # too few bytes

    def do_cut_chunk(self) -> None:
        self.chunked(b"%x\r\n%b" % (len(PACKED), PACKED[:100]))

    def do_bad_chunk(self) -> None:
        self.chunked(b"zz\r\n" + PACKED)

    def chunked(self, body: bytes) -> None:
        self.protocol_version = "HTTP/1.1"
        self.answer(body, Content_Length=None, Transfer_Encoding="chunked", Connection="close")

    def do_closed(self) -> None:
        pass

    def do_reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def do_reset_later(self) -> None:
        self.answer(PACKED[:100], Content_Length=str(len(PACKED)))
        time.sleep(PAUSE)
        self.do_reset()

    # other addresses

    def do_elsewhere(self) -> None:
        self.redirect(f"http://localhost:{self.connection.getsockname()[1]}/good")

    def do_no_address(self) -> None:
        self.answer(b"", 302)

    def do_chain(self) -> None:
        self.redirect(f"/chain?{time.monotonic_ns()}")

    def redirect(self, to: str) -> None:
        self.answer(b"", 302, Location=to)

    # never an end

    def do_silent(self) -> None:
        Mirror.release.wait(ENDLESS)

    def do_hang(self) -> None:
        self.answer(b"", Content_Length="1000")
        Mirror.release.wait(ENDLESS)

    def do_drip(self) -> None:
        self.answer(b"", Content_Length=None)
        self.drip(repeat(b"\0"))

    def do_drip_head(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self.drip(repeat(b"x"))

    def do_drip_chunk(self) -> None:
        self.chunked(b"")
        self.drip(repeat(b"0"))

    def do_continue(self) -> None:
        self.drip(repeat(b"HTTP/1.1 100 Continue\r\n\r\n"))

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a crowd comes at once

    def handle_error(self, *_: object) -> None:
        """Ignore clients that hang up halfway."""


@contextmanager
def serving() -> Iterator[str]:
    """Start a server in threads of this process; yield its address."""
    with _Server(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        Mirror.release.set()
        server.shutdown()
