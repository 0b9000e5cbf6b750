"""A running service for tests: `inkdigits serve` as a process, asked over real sockets."""

import contextlib
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drawn import line, written
from PIL import Image

from inkdigits.reading.recogniser import cached_recogniser

PATIENCE = 30  # seconds; a loaded machine is no reason to fail

# Serve with limits that are reached quickly. Arguments of this program: a file in which it notes
# what it is reading, Python code to run first, and options of `inkdigits serve`. A body that starts
# with "sleep" stands for a picture that takes so many tenths of a second: "sleep08" takes 0.8 s.
HASTY = """
import sys, time
from inkdigits.command import cli
from inkdigits.reading.reading import Reading
from inkdigits.service import application, connections, model_file, workers

connections.DEADLINE = 1.0
connections.MAX_CONNECTIONS = 20
application.MODEL_CHECK_INTERVAL = 0.05
application.processors = lambda: 1
workers.MAX_WAITING = 2
workers.DEADLINE = 2.0

log = open(sys.argv[1], "ab", 0)
read_picture = application.read_picture

def read(recogniser, picture, *more):
    if bytes(picture[:5]) != b"sleep":
        return read_picture(recogniser, picture, *more)
    log.write(bytes(picture) + b";")
    time.sleep(int(picture[5:7]) / 10)
    return Reading("slept")

application.read_picture = read
exec(sys.argv[2])
sys.exit(cli.main(["serve", "--port", "0", *sys.argv[3:]]))
"""


@dataclass(frozen=True)
class Answer:
    """What the service has answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of a refusal, which holds nothing else."""
        assert list(self.json) == ["error"]
        assert list(self.json["error"]) == ["code", "message"]
        return self.status, self.json["error"]["code"], self.json["error"]["message"]


@dataclass(frozen=True)
class Server:
    """A running service."""

    process: subprocess.Popen[str]
    port: int

    @property
    def address(self) -> str:
        """Where the draw page is."""
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request and return its answer. kind: the content type of the body."""
        if kind:
            headers["Content-Type"] = kind

        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(client):
            client.request(method, path, body, headers)
            return read_answer(client.getresponse())

    def get(self, path: str) -> Answer:
        """Send a GET request."""
        return self.ask("GET", path)

    def post(
        self, body: bytes, path: str = "/v1/read", kind: str = "application/octet-stream"
    ) -> Answer:
        """Send a POST request."""
        return self.ask("POST", path, body, kind)

    def metrics(self) -> str:
        """Return the counters, a line each."""
        return self.get("/metrics").body.decode()

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Open a connection and send these bytes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(sent)
        return connection

    def raw(self, sent: bytes) -> Answer:
        """Send these bytes over a connection of their own."""
        with self.connect(sent) as connection:
            return receive_answer(connection)

    def said(self) -> str:
        """Wait for the next line of the service's log."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()


def read_answer(response: http.client.HTTPResponse) -> Answer:
    """Read an answer to its end."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def receive_answer(connection: socket.socket) -> Answer:
    """Wait for the next answer on a connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return read_answer(response)


@contextlib.contextmanager
def running(*command: object, ready: bool = True) -> Iterator[Server]:
    """Run Python with this command line, which serves on a free port; yield it once it listens.

    ready: whether to wait until it is ready to read, too.
    """
    arguments = [sys.executable, *map(str, command)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        told = re.fullmatch(
            r"inkdigits: draw at http://127\.0\.0\.1:(\d+)/ or post pictures to \S+/v1/read\n", said
        )
        assert told, said

        server = Server(process, int(told[1]))
        if ready:
            wait_until(lambda: server.get("/readyz").status == 200)
        yield server
    finally:
        process.terminate()
        complained = process.communicate(timeout=PATIENCE)[1]
        assert "Traceback" not in complained, complained


@contextlib.contextmanager
def serving(*options: object) -> Iterator[Server]:
    """Run `inkdigits serve` with these options."""
    with running("-m", "inkdigits", "serve", "--port", "0", *options) as server:
        yield server


@contextlib.contextmanager
def serving_hastily(
    log: Path, *options: object, first: str = "", ready: bool = True
) -> Iterator[Server]:
    """Run HASTY. first: Python code that it runs first, such as one that breaks something."""
    with running("-c", HASTY, log, first, *options, ready=ready) as server:
        yield server


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail if it never does."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def place_model(name: str, path: Path) -> Path:
    """Put a shipped model at a path, in one step, so that no half-written file is seen there."""
    beside = path.with_suffix(".new")
    beside.write_bytes(cached_recogniser(name).onnx)
    return beside.replace(path)


def encode_picture(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    """Return the bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def form(*fields: tuple[str, bytes], boundary: str = "edge") -> bytes:
    """Return a multipart form. fields: parameters such as `name="file"`, and the value."""
    parts = [
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
        for name, value in fields
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


FORM = "multipart/form-data; boundary=edge"
DIGITS = written(line("27"))
PICTURE = encode_picture(Image.fromarray(DIGITS))
