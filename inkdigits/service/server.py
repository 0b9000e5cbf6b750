"""The service: pictures over HTTP in, what `read --json` prints out; also the draw page, and arrays by the Open Inference Protocol.

Starlette takes care of routes, uvicorn of the protocol, `connections` of slow clients, `messages` of bodies, `workers` of time,
`watch` of the model's file and `recogniser` of digits. Here are the endpoints, with limits before anything is parsed. The event
loop never computes.
"""

import asyncio
import contextlib
import ctypes
import json
import logging
import select
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import inkdigits
from inkdigits.core.errors import BadModel, BadValue, MissingExtra
from inkdigits.reading.layers import look_inside
from inkdigits.reading.network import processors
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.connections import LAST_BYTES, MAX_BODY, MAX_CONNECTIONS, Connection
from inkdigits.service.feedback import Feedback, corrected, is_full
from inkdigits.service.metrics import Metrics
from inkdigits.service.model_file import Watch, refuse_unless_it_reads
from inkdigits.service.openapi import describe
from inkdigits.service.requests import (
    BYTES,
    Refused,
    encoded,
    finder_of,
    parse_field,
    parse_flags,
    parse_inference,
    parse_label,
    read_picture,
    refuse_large,
    rounded,
)
from inkdigits.service.responses import HANDLERS, as_bytes, as_json, refused
from inkdigits.service.workers import RETRY_AFTER, Workers, busy, refusal

PAGE = Path(__file__).with_name("page")
PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

MAX_JSON = 4 << 20  # bytes; more than 1,000 images, and parsing holds everything up for 40 ms
MAX_HELD = 256 << 20  # bytes of all bodies that are being received or read
DRAIN = 8  # seconds for what is being received or read when the server is told to stop
LOOK = 1.0  # seconds between looks at the model's file

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Service:
    """A model behind HTTP. Its methods with a request are the endpoints; `routes` lists them."""

    def __init__(
        self,
        recogniser: Recogniser,
        name: str,
        watch: Watch | None = None,
        collected: Feedback | None = None,
    ) -> None:
        self.recogniser, self.name, self.collected = recogniser, name, collected
        self.watch = watch or Watch(recogniser.path)
        self.workers = Workers(processors())
        self._full = refused(refusal())
        self._full_bytes = as_bytes(self._full)
        self._heard = 0  # requests to read in this turn of the loop
        self.metrics = Metrics()
        self.idle: dict[Connection, None] = {}
        self.held = 0
        self.ready = False
        self.why_not = "the self-test is still running"

    def routes(self) -> list[Route]:
        """Every endpoint: path, method, what answers. Described one by one in `openapi`."""
        model = "/v2/models/{name}"
        gets: dict[str, Handler] = {
            "/": self.page,
            "/page/{file}": self.page,
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics_text,
            "/openapi.json": self.openapi,
            "/v2": self.v2_server,
            "/v2/health/live": self.v2_live,
            "/v2/health/ready": self.v2_ready,
        }
        posts: dict[str, Handler] = {
            "/v1/read": self.read,
            "/v1/inside": self.inside,
            "/v1/feedback": self.feedback,
        }
        for path in (model, f"{model}/versions/{{version}}"):
            gets |= {path: self.v2_model, f"{path}/ready": self.v2_model_ready}
            posts |= {f"{path}/infer": self.v2_infer}
        return [
            *(Route(path, handler, methods=["GET"]) for path, handler in gets.items()),
            *(Route(path, handler, methods=["POST"]) for path, handler in posts.items()),
        ]

    def no_room(self) -> bytes | None:
        """The answer to a request to read for which there will be no room; None where there is some.

        A turn of the loop first hears of many requests, and starts them afterwards: those heard of before count.
        """
        if self._heard >= self.workers.room:
            return self._full_bytes
        if not self._heard:
            asyncio.get_running_loop().call_soon(self._start_turn)
        self._heard += 1
        return None

    def _start_turn(self) -> None:
        self._heard = 0

    def application(self) -> ASGIApp:
        """What uvicorn runs."""
        app = Starlette(routes=self.routes(), exception_handlers=HANDLERS, lifespan=self._lifespan)
        app.router.redirect_slashes = False
        return self._measured(app)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        tending = asyncio.create_task(self._tend())
        yield
        tending.cancel()
        self.workers.close()

    async def _tend(self) -> None:
        """Ready once drawn digits are read right; from then on, the model's file as it is, or as it was where it is of no use."""
        try:
            await self.workers.run(refuse_unless_it_reads, self.recogniser)
            self.ready = True
        except Exception as error:  # whatever it is, the service is not ready, and says so
            self.why_not = (
                str(error)
                if isinstance(error, BadModel)
                else f"the self-test failed: {type(error).__name__}"
            )
            _say(f"not ready: {self.why_not}")
        while True:
            await asyncio.sleep(LOOK)
            try:
                found = await asyncio.to_thread(self.watch.look)
            except BadModel as error:
                self.metrics.reloads["refused"] += 1
                _say(f"the model's file has changed, but is not used: {error}")
                continue
            if found:  # who reads with the one before goes on with it
                self.recogniser, self.ready = found, True
                self.metrics.reloads["loaded"] += 1
                _say("the model's file has changed, and is used from now on")

    def _measured(self, app: ASGIApp) -> ASGIApp:
        """The application, with its answers counted; without it where the queue is full by now."""

        async def measured(scope: Scope, receive: Receive, send: Send) -> None:
            if not self.workers.room and scope["type"] == "http" and scope["method"] == "POST":
                self.metrics.count("none", self._full.status_code)
                return await self._full(scope, receive, send)
            status, begun = (
                499,
                time.perf_counter(),
            )  # the client is gone, unless an answer is begun

            async def sending(message: Message) -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            try:
                await app(scope, receive, sending)
            finally:
                if scope["type"] == "http":
                    endpoint = getattr(scope.get("endpoint"), "__name__", "unknown")
                    self.metrics.count(endpoint, status, time.perf_counter() - begun)

        return measured

    # ---- pages and state

    async def page(self, request: Request) -> Response:
        """The draw page, and the files that it asks for."""
        files = {path.name: path for path in PAGE.glob("*") if path.suffix in PAGE_TYPES}
        path = files.get(request.path_params.get("file", "index.html"))
        if path is None:
            raise Refused(404, "not_found", "there is no such page")
        content = path.read_bytes()
        if self.collected:
            content = content.replace(b"<body>", b"<body data-collects>")
        return Response(
            content,
            media_type=PAGE_TYPES[path.suffix],
            headers=SAFE | {"Cache-Control": "no-cache"},
        )

    async def healthz(self, _: Request) -> Response:
        return as_json({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        self._refuse_unless_ready()
        return as_json({"status": "ready"})

    async def metrics_text(self, _: Request) -> Response:
        gauges = {
            "ready": ("Whether the self-test was passed.", float(self.ready)),
            "waiting": ("Requests in the queue.", float(self.workers.waiting)),
            "held_bytes": ("Bytes of request bodies in memory.", float(self.held)),
            "idle_connections": (
                f"Connections without a whole request; at most {MAX_CONNECTIONS}.",
                float(len(self.idle)),
            ),
        }
        return Response(self.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def openapi(self, _: Request) -> Response:
        return as_json(describe(inkdigits.__version__, MAX_BODY, MAX_JSON))

    def _refuse_unless_ready(self) -> None:
        if not self.ready:
            raise Refused(503, "not_ready", self.why_not, RETRY_AFTER)

    # ---- reading

    async def read(self, request: Request) -> Response:
        """A picture in, the object of `read --json` out."""
        single, explain = parse_flags(request.query_params.multi_items(), "single", "explain")
        find = finder_of(request.headers.get("content-type", BYTES))

        def work(body: bytes) -> bytes:
            return encoded(read_picture(self.recogniser, find(body), single), explain)

        return await self._worked(request, work, MAX_BODY)

    async def inside(self, request: Request) -> Response:
        """What the network saw in, what its layers made of it and which pixels mattered out."""
        if request.headers.get("content-type", BYTES) != BYTES:
            raise Refused(415, "unsupported_media_type", f"the content type should be {BYTES}")

        def work(body: bytes) -> bytes:
            try:
                return json.dumps(look_inside(self.recogniser, parse_field(body))).encode()
            except (MissingExtra, BadModel) as error:
                _say(str(error))
                raise Refused(
                    501, error.code, "nobody can look inside here; the log says why"
                ) from None

        return await self._worked(request, work, 784)

    async def feedback(self, request: Request) -> Response:
        """A picture in, and what a digit in it is."""
        if self.collected is None:
            raise Refused(
                404,
                "not_collecting",
                "nothing is stored here; a service that is started with --collect FILE does",
            )
        collected, (label, box) = self.collected, parse_label(request.query_params)
        find = finder_of(request.headers.get("content-type", BYTES))

        def work(body: bytes) -> bytes:
            refuse_large(picture := find(body))
            try:
                correction = corrected(
                    picture, self.recogniser.trace(picture), label, box, self.name
                )
                return json.dumps({"stored": True, "count": collected.store(correction)}).encode()
            except BadValue as error:
                raise Refused(422, "no_such_digit", str(error)) from None
            except (sqlite3.Error, OSError) as error:
                _say(f"a correction could not be stored: {error}")
                if is_full(error):
                    raise Refused(507, "full", "there is no more room for corrections") from None
                raise Refused(
                    503,
                    "not_stored",
                    "the correction could not be stored; the log says why",
                    RETRY_AFTER,
                ) from None

        return await self._worked(request, work, MAX_BODY)

    async def _worked(
        self, request: Request, work: Callable[[bytes], bytes], limit: int
    ) -> Response:
        """What a worker makes of the body: JSON."""
        async with self._received(request, limit) as body:
            return Response(
                await _unless_gone(request, self.workers.run(work, body)),
                media_type="application/json",
            )

    @contextlib.asynccontextmanager
    async def _received(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body, once there is a chance that it will be read."""
        self._refuse_unless_ready()
        too_large = Refused(
            413, "too_large", f"the body has more than the {limit:,} bytes that are allowed"
        )
        if (
            int(request.headers.get("content-length", 0)) > limit
        ):  # digits alone: httptools has refused everything else
            raise too_large
        chunks, size = [], 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self.held += len(chunk)
                if size > limit:
                    raise too_large
                if self.held > MAX_HELD:
                    raise busy("too many large requests at once")
                chunks.append(chunk)
            yield b"".join(chunks)
        finally:
            self.held -= size

    # ---- Open Inference Protocol, version 2

    async def v2_server(self, _: Request) -> Response:
        return as_json({"name": "inkdigits", "version": inkdigits.__version__, "extensions": []})

    async def v2_live(self, _: Request) -> Response:
        return as_json({"live": True})

    async def v2_ready(self, _: Request) -> Response:
        self._refuse_unless_ready()
        return as_json({"ready": True})

    async def v2_model(self, request: Request) -> Response:
        self._refuse_other_models(request)
        tensors = {
            "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}],
            "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
        }
        return as_json(
            {"name": self.name, "versions": ["1"], "platform": "onnxruntime_onnx", **tensors}
        )

    async def v2_model_ready(self, request: Request) -> Response:
        self._refuse_other_models(request)
        self._refuse_unless_ready()
        return as_json({"name": self.name, "ready": True})

    async def v2_infer(self, request: Request) -> Response:
        """Images (N, 28, 28) in, probabilities (N, 10) out."""
        self._refuse_other_models(request)

        def work(body: bytes) -> bytes:
            asked = parse_inference(body)
            output = {"name": "probabilities", "datatype": "FP32", "shape": [len(asked[1]), 10]}
            output["data"] = rounded(self.recogniser.classify(asked[1]).ravel())
            return json.dumps(
                {"model_name": self.name, "model_version": "1", **asked[0], "outputs": [output]}
            ).encode()

        return await self._worked(request, work, MAX_JSON)

    def _refuse_other_models(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version", "1")
        if name != self.name or version != "1":
            raise Refused(404, "unknown_model", f"the only model here is {self.name!r}, version 1")


async def _unless_gone(request: Request, working: Coroutine[Any, Any, bytes]) -> bytes:
    """The result; where the client goes away first, the work is dropped. The body has been received."""
    work, gone = (
        asyncio.ensure_future(working),
        asyncio.ensure_future(_disconnected(request.receive)),
    )
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        work.cancel()
        gone.cancel()


async def _disconnected(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# ---- the server


def _say(message: str) -> None:
    """One line for whoever runs the service."""
    print(f"inkdigits: {' '.join(message.split())}", file=sys.stderr, flush=True)  # noqa: T201


def serve(
    model: str, host: str, port: int, ready: Callable[[str], None], collect: Path | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, and then finish what is being read.

    ready: is told the address. collect: where corrections are stored. Raises BadModel, BadValue, CannotWrite.
    """
    watch = Watch(resolve_model(model))
    recogniser = Recogniser(watch.path, threads=1)
    collected = Feedback(collect) if collect else None
    listening = _listen(host, port)
    service = Service(recogniser, _public_name(watch.path), watch, collected)
    refused = partial(service.metrics.count, "none")
    config = uvicorn.Config(
        service.application(),
        http=partial(Connection, refused=refused, idle=service.idle, no_room=service.no_room),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=DRAIN,
        backlog=1024,
    )
    for talkative in ("uvicorn", "python_multipart"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # uvicorn drains first and then raises the signal again
    shown, bound = (f"[{host}]" if ":" in host else host), listening.getsockname()[1]
    ready(f"http://{shown}:{bound}/")
    _give_memory_back()
    _Server(config).run([listening])


class _Server(uvicorn.Server):
    """uvicorn's, but who has connected already is let in before the door is closed, which would reset the connection."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        until = time.monotonic() + LAST_BYTES
        while sockets and select.select(sockets, [], [], 0)[0] and time.monotonic() < until:
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def _give_memory_back() -> None:
    """Ask glibc to hand the pages of large pictures back; else it learns to keep them, and 30 MiB more are never seen again."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-3, 1 << 18)  # M_MMAP_THRESHOLD: what is larger is mapped, and unmapped
        libc.mallopt(-1, 1 << 20)  # M_TRIM_THRESHOLD
        libc.mallopt(-8, 2)  # M_ARENA_MAX


def _public_name(path: Path) -> str:
    """What a model is called to strangers: nothing of where it lies."""
    return path.parent.name if path.name == "model.onnx" else path.stem


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 65536:
        raise BadValue(
            f"there is no port {port}; ports are 0 to 65535, and 0 takes any that is free"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[
            0
        ]  # which would say the address again
        raise BadValue(
            f"cannot listen on port {port} of {host!r}: {reason}; --port 0 takes any that is free"
        ) from None
