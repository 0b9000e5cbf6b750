"""The service with one defect planted, which a check of the soak must catch.

    python -m benchmarks.soak.service.faults NAME --port 0

Each function plants one before the service starts; its documentation goes into the table.
"""

import io
import json
import os
import resource
import sys
import time
import zlib
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from starlette.responses import JSONResponse

from benchmarks.soak.frame import put
from inkdigits.command import cli
from inkdigits.core import pixels
from inkdigits.core.errors import BadPicture
from inkdigits.reading.page.reader import PageReader
from inkdigits.reading.preprocessing import picture, picture_file
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service import (
    application,
    connections,
    inference,
    lanes,
    metrics,
    model_file,
    responses,
    workers,
)


def path_in_answers() -> None:
    """Put a path into the answer to a bad picture."""
    answer = responses.HANDLERS[BadPicture]

    async def talkative(request: Any, error: Any) -> Any:
        error.args = (f"{error} ({responses.__file__})",)
        return await answer(request, error)

    responses.HANDLERS[BadPicture] = talkative


def limits_after_decoding() -> None:
    """Decode pictures before their size is looked at."""
    read = application.read_picture

    def decoded_first(recogniser: Any, data: bytes, *more: Any) -> Any:
        try:
            with Image.open(io.BytesIO(data), formats=picture.FORMATS) as image:
                image.load()
        except Exception:  # reading will say what is wrong
            pass

        return read(recogniser, data, *more)

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # other processes need room, too
    Image.MAX_IMAGE_PIXELS = None
    put(application, "read_picture", decoded_first)


def unforeseen_bytes() -> None:
    """Raise an error that is not foreseen for one body in a hundred."""
    read = application.read_picture

    def unlucky(recogniser: Any, data: bytes, *more: Any) -> Any:
        if zlib.crc32(data) % 100 == 0:
            raise ZeroDivisionError

        return read(recogniser, data, *more)

    put(application, "read_picture", unlucky)


def other_answers_than_described() -> None:
    """Answer another object than /openapi.json promises."""

    async def other(*_: object) -> JSONResponse:
        return JSONResponse({"state": "alive"})

    put(application.Service, "healthz", other)


def sixteen_bits_clipped() -> None:
    """Make everything above 255 white in 16-bit pictures."""
    whole = pixels.to_uint8

    def clipped(array: Any, **options: Any) -> Any:
        if array.dtype == np.uint16:
            array = np.minimum(array, 255).astype(np.uint8)

        return whole(array, **options)

    put(picture, "to_uint8", clipped)


def no_deadline() -> None:
    """Let a request take forever to arrive."""
    put(connections.Connection, "_give_up", lambda _: None)


def descriptor_kept() -> None:
    """Keep a descriptor of each client that vanishes."""
    connection: Any = connections.Connection
    made = connection.connection_made
    lost = connection.connection_lost

    def keep(self: Any, transport: Any) -> None:
        self.kept = os.dup(transport.get_extra_info("socket").fileno())
        made(self, transport)

    def forget(self: Any, exc: Exception | None) -> None:
        if exc is None and self.cycle is not None and self.cycle.response_complete:
            os.close(self.kept)

        lost(self, exc)

    put(connection, "connection_made", keep)
    put(connection, "connection_lost", forget)


def leak() -> None:
    """Keep 8 KB of each request."""
    kept = []
    count = metrics.Metrics.count

    def keep(*arguments: Any, **options: Any) -> None:
        kept.append(bytearray(os.urandom(8192)))
        count(*arguments, **options)

    put(metrics.Metrics, "count", keep)


def slow_reading() -> None:
    """Take 20 ms longer for each picture."""
    read = Recogniser.read

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.02)
        return read(*arguments, **options)

    put(Recogniser, "read", slowly)


def endless_queue() -> None:
    """Let any number of requests wait."""
    put(workers, "MAX_WAITING", 1 << 30)


def no_drain() -> None:
    """End at once on SIGTERM, although requests are being read."""
    slow_reading()
    put(uvicorn.Server, "handle_exit", lambda *_: os._exit(0))


def any_pieces() -> None:
    """Let parsers read any number of pieces."""
    put(picture_file, "MAX_PIECES", 1 << 60)


def loose_json() -> None:
    """Parse JSON whole, and make an array of whatever its data are."""

    def parse(body: bytes) -> Any:
        data = json.loads(body)["inputs"][0]["data"]
        if np.asarray(data).dtype.kind not in "iu":
            raise inference.BadInference("the input's data should be whole numbers")

        return inference.parse_inference(body)

    put(application, "parse_inference", parse)


def one_queue() -> None:
    """Let digits, pages, looks inside and corrections wait in one queue."""
    make = lanes.Lanes.__init__

    def make_one(all_lanes: Any, processors: int) -> None:
        make(all_lanes, processors)
        all_lanes.digits = all_lanes.inside = all_lanes.storing = all_lanes.pages

    put(lanes.Lanes, "__init__", make_one)


def pages_twelve_times() -> None:
    """Read each page twelve times."""
    read = PageReader.read

    def again(*arguments: Any) -> Any:
        return [read(*arguments) for _ in range(12)][-1]

    put(PageReader, "read", again)


def untested_models() -> None:
    """Use a new model without a test."""
    put(model_file, "refuse_unless_it_reads", lambda _: None)


def slow_start() -> None:
    """Do something for 1.5 s before the start."""
    time.sleep(1.5)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    globals()[name]()
    sys.exit(cli.main(["serve", *arguments]))
