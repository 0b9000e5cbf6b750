"""The service: pictures over HTTP in, what `read --json` prints out; also the draw page, and arrays by the Open Inference Protocol.

Starlette takes care of routes, uvicorn of the protocol, `connections` of slow clients, `messages` of bodies, `workers` of time and
`recogniser` of digits. Here are the endpoints, with limits before anything is parsed. The event loop never computes.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from python_multipart.multipart import parse_options_header
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import inkdigits
from inkdigits.connections import MAX_BODY, MAX_CONNECTIONS, Connection
from inkdigits.errors import BadPicture, BadValue
from inkdigits.messages import Refused, encoded, file_of_form, parse_inference, read_picture, rounded
from inkdigits.metrics import Metrics
from inkdigits.openapi import describe
from inkdigits.recogniser import Recogniser, processors
from inkdigits.workers import RETRY_AFTER, Workers, busy

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
KNOWN_ENOUGH = 8  # of ten drawn digits are read right by a model that is ready

PICTURE_STATUS = {"empty": 400, "not_a_picture": 415, "unsupported": 415, "truncated": 422, "too_large": 413}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Service:
    """A model behind HTTP. Its methods with a request are the endpoints; `routes` lists them."""

    def __init__(self, recogniser: Recogniser, name: str) -> None:
        self.recogniser, self.name = recogniser, name
        self.workers = Workers(processors())
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
        posts: dict[str, Handler] = {"/v1/read": self.read}
        for path in (model, f"{model}/versions/{{version}}"):
            gets |= {path: self.v2_model, f"{path}/ready": self.v2_model_ready}
            posts |= {f"{path}/infer": self.v2_infer}
        return [
            *(Route(path, handler, methods=["GET"]) for path, handler in gets.items()),
            *(Route(path, handler, methods=["POST"]) for path, handler in posts.items()),
        ]

    def application(self) -> ASGIApp:
        """What uvicorn runs."""
        handlers: Any = {
            Refused: _refused,
            BadPicture: _bad_picture,
            HTTPException: _no_route,
            ClientDisconnect: _gone,
            Exception: _bug,
        }
        app = Starlette(routes=self.routes(), exception_handlers=handlers, lifespan=self._lifespan)
        app.router.redirect_slashes = False
        return self._measured(app)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        testing = asyncio.create_task(self._self_test())
        yield
        testing.cancel()
        self.workers.close()

    async def _self_test(self) -> None:
        """Ready from the moment when drawn digits, which everybody can read, are read right."""
        try:
            right = await self.workers.run(known_digits_read, self.recogniser)
            self.ready, self.why_not = right >= KNOWN_ENOUGH, f"the model reads only {right} of 10 known digits"
        except Exception as error:  # whatever it is, the service is not ready, and says so
            self.why_not = f"the self-test failed: {type(error).__name__}"
        if not self.ready:
            print(f"inkdigits: not ready: {self.why_not}", file=sys.stderr, flush=True)  # noqa: T201

    def _measured(self, app: ASGIApp) -> ASGIApp:
        """The application, with its answers counted."""

        async def measured(scope: Scope, receive: Receive, send: Send) -> None:
            status, begun = 499, time.perf_counter()  # the client is gone, unless an answer is begun

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
        return Response(path.read_bytes(), media_type=PAGE_TYPES[path.suffix], headers=SAFE | {"Cache-Control": "no-cache"})

    async def healthz(self, _: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        self._refuse_unless_ready()
        return _json({"status": "ready"})

    async def metrics_text(self, _: Request) -> Response:
        gauges = {
            "ready": ("Whether the self-test was passed.", float(self.ready)),
            "waiting": ("Requests in the queue.", float(self.workers.waiting)),
            "held_bytes": ("Bytes of request bodies in memory.", float(self.held)),
            "idle_connections": (f"Connections without a whole request; at most {MAX_CONNECTIONS}.", float(len(self.idle))),
        }
        return Response(self.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def openapi(self, _: Request) -> Response:
        return _json(describe(inkdigits.__version__, MAX_BODY, MAX_JSON))

    def _refuse_unless_ready(self) -> None:
        if not self.ready:
            raise Refused(503, "not_ready", self.why_not, RETRY_AFTER)

    # ---- reading

    async def read(self, request: Request) -> Response:
        """A picture in, the object of `read --json` out."""
        single, explain = _flags(request, "single", "explain")
        kind, parameters = parse_options_header(request.headers.get("content-type", "application/octet-stream"))
        if kind == b"multipart/form-data":
            find: Callable[[bytes], bytes] = partial(file_of_form, boundary=parameters.get(b"boundary"))
        elif kind.startswith(b"image/") or kind == b"application/octet-stream":
            find = bytes
        else:
            known = "image/png, image/jpeg and their like, application/octet-stream or multipart/form-data"
            raise Refused(415, "unsupported_media_type", f"the content type should be {known}")

        def work(body: bytes) -> bytes:
            return encoded(read_picture(self.recogniser, find(body), single), explain)

        async with self._received(request, MAX_BODY) as body:
            return Response(await _unless_gone(request, self.workers.run(work, body)), media_type="application/json")

    @contextlib.asynccontextmanager
    async def _received(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body, once there is a chance that it will be read."""
        self._refuse_unless_ready()
        self.workers.refuse_if_full()
        too_large = Refused(413, "too_large", f"the body has more than the {limit:,} bytes that are allowed")
        if int(request.headers.get("content-length", 0)) > limit:  # digits alone: httptools has refused everything else
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
        return _json({"name": "inkdigits", "version": inkdigits.__version__, "extensions": []})

    async def v2_live(self, _: Request) -> Response:
        return _json({"live": True})

    async def v2_ready(self, _: Request) -> Response:
        self._refuse_unless_ready()
        return _json({"ready": True})

    async def v2_model(self, request: Request) -> Response:
        self._refuse_other_models(request)
        tensors = {
            "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}],
            "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
        }
        return _json({"name": self.name, "versions": ["1"], "platform": "onnxruntime_onnx", **tensors})

    async def v2_model_ready(self, request: Request) -> Response:
        self._refuse_other_models(request)
        self._refuse_unless_ready()
        return _json({"name": self.name, "ready": True})

    async def v2_infer(self, request: Request) -> Response:
        """Images (N, 28, 28) in, probabilities (N, 10) out."""
        self._refuse_other_models(request)

        def work(body: bytes) -> bytes:
            asked = parse_inference(body)
            output = {"name": "probabilities", "datatype": "FP32", "shape": [len(asked[1]), 10]}
            output["data"] = rounded(self.recogniser.classify(asked[1]).ravel())
            return json.dumps({"model_name": self.name, "model_version": "1", **asked[0], "outputs": [output]}).encode()

        async with self._received(request, MAX_JSON) as body:
            return Response(await _unless_gone(request, self.workers.run(work, body)), media_type="application/json")

    def _refuse_other_models(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version", "1")
        if name != self.name or version != "1":
            raise Refused(404, "unknown_model", f"the only model here is {self.name!r}, version 1")


async def _unless_gone(request: Request, working: Coroutine[Any, Any, bytes]) -> bytes:
    """The result; where the client goes away first, the work is dropped. The body has been received."""
    work, gone = asyncio.ensure_future(working), asyncio.ensure_future(_disconnected(request.receive))
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


def known_digits_read(recogniser: Recogniser) -> int:
    """How many of ten drawn digits a model reads right."""
    from inkdigits.pages.writing import DIGITS, Pen, draw, parse  # not above: the first answer need not wait for it

    rng, pen = np.random.default_rng(0), Pen("self-test", 0.1)
    right = 0
    for digit, ways in DIGITS.items():
        ink = draw(parse(next(iter(ways.values()))), 60.0, pen, rng)
        read = recogniser.read(np.rint(255 * (1 - np.pad(ink, 20))).astype(np.uint8), single=True)
        right += read.text == str(digit)
    return right


# ---- answers


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, headers, "application/json")


def _error(status: int, code: str, message: str, headers: Any = None) -> Response:
    return _json({"error": {"code": code, "message": message}}, status, headers)


def _flags(request: Request, *names: str) -> Iterator[bool]:
    """The values of true-or-false parameters, false where they are not given. Raises Refused."""
    given = request.query_params.multi_items()
    for name, value in given:
        if name not in names or value not in ("true", "false"):
            raise Refused(400, "bad_parameter", f"parameters are {' and '.join(names)}, each true or false")
    return (dict(given).get(name) == "true" for name in names)


async def _refused(_: Request, error: Refused) -> Response:
    return _error(error.status, error.code, str(error), error.headers)


async def _bad_picture(_: Request, error: BadPicture) -> Response:
    return _error(PICTURE_STATUS.get(error.code, 400), error.code, str(error))


async def _no_route(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return _error(405, "method_not_allowed", f"{request.method} is not for this path; it takes {allowed}", error.headers)
    return _error(error.status_code, "not_found", "there is nothing at this path; /openapi.json lists what there is")


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=499)  # to nobody


async def _bug(_: Request, __: Exception) -> Response:
    return _error(500, "internal", "something went wrong here; the log says what")


# ---- the server


def serve(model: str, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, and then finish what is being read. ready: is told the address. Raises BadModel, BadValue."""
    recogniser = Recogniser(model, threads=1)
    listening = _listen(host, port)
    service = Service(recogniser, _public_name(recogniser.path))
    refused = partial(service.metrics.count, "none")
    config = uvicorn.Config(
        service.application(),
        http=partial(Connection, refused=refused, idle=service.idle),  # type: ignore[arg-type]
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn drains first and then raises the signal again
    shown, bound = (f"[{host}]" if ":" in host else host), listening.getsockname()[1]
    ready(f"http://{shown}:{bound}/")
    uvicorn.Server(config).run([listening])


def _public_name(path: Path) -> str:
    """What a model is called to strangers: nothing of where it lies."""
    return path.parent.name if path.name == "model.onnx" else path.stem


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 65536:
        raise BadValue(f"there is no port {port}; ports are 0 to 65535, and 0 takes any that is free")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]  # which would say the address again
        raise BadValue(f"cannot listen on port {port} of {host!r}: {reason}; --port 0 takes any that is free") from None
