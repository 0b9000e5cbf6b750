"""The service with one defect planted, which a check of the soak must catch; a check that does not is worth nothing.

    python -m benchmarks.soak.service.faults NAME --port 0

Each function plants one before the service starts; its documentation goes into the table.
"""

import importlib
import io
import os
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np


def _module(name: str) -> Any:
    """One of the service's, with whatever may be changed in it."""
    return importlib.import_module(f"inkdigits.{name}")


def path_in_answers() -> None:
    """A path in the answer to a bad picture."""
    answers, bad_picture = _module("answers"), _module("errors").BadPicture
    answer = answers.HANDLERS[bad_picture]

    async def talkative(request: Any, error: Any) -> Any:
        error.args = (f"{error} ({answers.__file__})",)
        return await answer(request, error)

    answers.HANDLERS[bad_picture] = talkative


def limits_after_decoding() -> None:
    """Pictures are decoded before their size is looked at."""
    import resource

    from PIL import Image

    picture, server = _module("picture"), _module("server")
    resource.setrlimit(
        resource.RLIMIT_AS, (4 << 30, 4 << 30)
    )  # so that nobody else on this machine has to go
    Image.MAX_IMAGE_PIXELS = None
    read = server.read_picture

    def decoded_first(recogniser: Any, data: bytes, single: bool) -> Any:
        try:
            with Image.open(io.BytesIO(data), formats=picture.FORMATS) as image:
                image.load()
        except Exception:  # what is wrong, reading will say
            pass
        return read(recogniser, data, single)

    server.read_picture = decoded_first


def unforeseen_bytes() -> None:
    """One body in a hundred raises an error that nobody expects."""
    server = _module("server")
    read = server.read_picture

    def unlucky(recogniser: Any, data: bytes, single: bool) -> Any:
        if zlib.crc32(data) % 100 == 0:
            raise ZeroDivisionError
        return read(recogniser, data, single)

    server.read_picture = unlucky


def other_answers_than_described() -> None:
    """An endpoint answers another object than /openapi.json promises."""
    from starlette.responses import JSONResponse

    async def other(*_: object) -> JSONResponse:
        return JSONResponse({"state": "alive"})

    _module("server").Service.healthz = other


def sixteen_bits_clipped() -> None:
    """Of 16-bit pictures all that is above 255 is white."""
    picture = _module("picture")
    whole = picture._to_bytes
    picture._to_bytes = lambda array: whole(
        np.minimum(array, 255).astype(np.uint8) if array.dtype == np.uint16 else array
    )


def no_deadline() -> None:
    """A request may take forever to arrive."""
    _module("connections").Connection._give_up = lambda _: None


def descriptor_kept() -> None:
    """Of each client that vanishes a descriptor is kept."""
    connection = _module("connections").Connection
    made, lost = connection.connection_made, connection.connection_lost

    def keep(self: Any, transport: Any) -> None:
        self.kept = os.dup(transport.get_extra_info("socket").fileno())
        made(self, transport)

    def forget(self: Any, exc: Exception | None) -> None:
        if exc is None and self.cycle is not None and self.cycle.response_complete:
            os.close(self.kept)
        lost(self, exc)

    connection.connection_made, connection.connection_lost = keep, forget


def leak() -> None:
    """8 KB are kept of each request."""
    metrics, kept = _module("metrics").Metrics, []
    count = metrics.count

    def keep(self: Any, *arguments: Any) -> None:
        kept.append(bytearray(os.urandom(8192)))
        count(self, *arguments)

    metrics.count = keep


def slow_reading() -> None:
    """Each picture takes 20 ms longer."""
    preprocessing = _module("preprocessing")
    prepare = preprocessing.prepare

    def slowly(*arguments: Any) -> Any:
        time.sleep(0.02)
        return prepare(*arguments)

    preprocessing.prepare = slowly


def endless_queue() -> None:
    """Any number of requests may wait."""
    _module("workers").MAX_WAITING = 1 << 30


def no_drain() -> None:
    """SIGTERM ends it at once, whoever is being read for."""
    import uvicorn

    slow_reading()
    uvicorn.Server.handle_exit = lambda *_: os._exit(0)  # type: ignore[method-assign]


def untested_models() -> None:
    """A new model is used without a test."""
    _module("watch").refuse_unless_it_reads = lambda _: None


def slow_start() -> None:
    """Something takes 1.5 s before it starts."""
    time.sleep(1.5)


FAULTS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        path_in_answers,
        limits_after_decoding,
        unforeseen_bytes,
        other_answers_than_described,
        sixteen_bits_clipped,
        no_deadline,
        descriptor_kept,
        leak,
        slow_reading,
        endless_queue,
        no_drain,
        untested_models,
        slow_start,
    )
}


def main() -> int:
    """Plant it, then serve as the command does."""
    from inkdigits.command import cli

    name, *arguments = sys.argv[1:]
    FAULTS[name]()
    return cli.main(["serve", *arguments])


if __name__ == "__main__":
    sys.exit(main())
