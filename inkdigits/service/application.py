"""The application: every endpoint of the service, and the model behind them.

Requests come in through ASGI, the interface between Python's web servers and applications, and
responses go out. Limits are checked before anything is parsed. The event loop only receives and
sends: the threads of `lanes` do the computing.
"""

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

import inkdigits
from inkdigits.core.errors import BadModel, BadValue, MissingExtra
from inkdigits.reading.layers import look_inside
from inkdigits.reading.network import processors
from inkdigits.reading.preprocessing.picture import Check, open_picture
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.admission import LOOPBACK, RESPONSE_HEADERS, Admission
from inkdigits.service.bodies import Bodies
from inkdigits.service.connections import MAX_BODY, MAX_CONNECTIONS, Connection
from inkdigits.service.feedback import Correction, Feedback, find_correction, is_full
from inkdigits.service.inference import parse_inference
from inkdigits.service.lanes import Lanes
from inkdigits.service.metrics import Metrics
from inkdigits.service.model_file import ModelFile, refuse_unless_it_reads
from inkdigits.service.openapi import describe
from inkdigits.service.page_files import PageFiles
from inkdigits.service.requests import (
    BYTES,
    choose_extractor,
    parse_field,
    parse_flags,
    parse_label,
)
from inkdigits.service.responses import (
    HANDLERS,
    RETRY_AFTER,
    Refused,
    encode_reading,
    respond,
    respond_with_refusal,
    round_probabilities,
)
from inkdigits.service.turnstile import Turnstile

MAX_JSON = 4 << 20  # bytes; holds over 1,000 images; parsing it blocks other threads for 50 ms
MODEL_CHECK_INTERVAL = 1.0  # seconds between looks at the model's file


class Service:
    """A model behind HTTP, as an ASGI application.

    Methods that take a request are endpoints; `routes` lists them.
    """

    def __init__(
        self,
        name: str,
        recogniser: Recogniser,
        model_file: ModelFile,
        corrections: Feedback | None = None,
        admission: Admission | None = None,
        page_files: PageFiles | None = None,
    ) -> None:
        """Put a model behind HTTP.

        Args:
            name: what the model is called in the Open Inference Protocol.
            recogniser: reads the pictures, until the model's file changes.
            model_file: the file from which the recogniser was loaded.
            corrections: stores corrections of readings; None stores nothing.
            admission: which hosts and origins are answered; None for this machine's loopback.
            page_files: those of the draw page; None for a page that reads over HTTP alone.
        """
        self.name = name
        self.recogniser = recogniser
        self.model_file = model_file
        self.corrections = corrections
        self.admission = admission or Admission(LOOPBACK[0])
        self.page_files = page_files or PageFiles(collects=corrections is not None)

        self.lanes = Lanes(processors())
        self.bodies = Bodies()
        self.metrics = Metrics()
        self.idle: dict[Connection, None] = {}
        self.ready = False
        self.why_not_ready = "the self-test is still running"

        self.turnstile = Turnstile(lambda: self.lanes.digits.free_places)

        self._endpoints = Starlette(
            routes=self.routes(), exception_handlers=HANDLERS, lifespan=self._lifespan
        )
        self._endpoints.router.redirect_slashes = False

    def routes(self) -> list[Route]:
        """Return every endpoint with its path and method; openapi.json describes each of them."""
        get = partial(Route, methods=["GET"])
        post = partial(Route, methods=["POST"])
        # They are tried one after the other, so what is asked most often comes first.
        routes = [
            post("/v1/read", self.read),
            get("/", self.page),
            get("/page/{file}", self.page),
            get("/healthz", self.healthz),
            get("/readyz", self.readyz),
            get("/metrics", self.metrics_text),
            get("/openapi.json", self.openapi),
            post("/v1/inside", self.inside),
            post("/v1/feedback", self.feedback),
            get("/v2", self.v2_server),
            get("/v2/health/live", self.v2_live),
            get("/v2/health/ready", self.v2_ready),
        ]
        if self.page_files.offers_local:
            routes.append(get("/page/reading/{file:path}", self.reader_file))
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes += [
                get(model, self.v2_model),
                get(f"{model}/ready", self.v2_model_ready),
                post(f"{model}/infer", self.v2_infer),
            ]

        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and count the response."""
        if scope["type"] != "http":
            await self._endpoints(scope, receive, send)
            return

        headers = Headers(scope=scope)
        try:
            self.admission.refuse_unknown_host(headers)
        except Refused as refused:
            self.metrics.count("none", refused.status)
            await respond_with_refusal(refused)(scope, receive, send)
            return

        if scope["method"] == "POST" and not self.lanes.digits.free_places:
            self.metrics.count("none", self.turnstile.refusal.status_code)
            await self.turnstile.refusal(scope, receive, send)
            return

        status = 499  # the client has gone, unless a response begins
        begun = time.perf_counter()

        said_to_browsers = [*RESPONSE_HEADERS, *self.admission.shared_with(headers)]

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *said_to_browsers]
            await send(message)

        preflight = self.admission.preflight(scope["method"], headers)
        answer = Response(status_code=204, headers=preflight) if preflight else self._endpoints
        try:
            await answer(scope, receive, send_noting_status)
        finally:
            endpoint = getattr(scope.get("endpoint"), "__name__", "unknown")
            self.metrics.count(endpoint, status, time.perf_counter() - begun)

    # ---- the model

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Test and reload the model in the background for as long as the service runs."""
        tending = asyncio.create_task(self._tend_model())
        yield
        tending.cancel()
        self.lanes.close()

    async def _tend_model(self) -> None:
        """Test the model, then load each new version of its file."""
        await self._test_model()
        while True:
            await asyncio.sleep(MODEL_CHECK_INTERVAL)
            await self._reload_model()

    async def _test_model(self) -> None:
        """Become ready if the model reads drawn digits correctly."""
        try:
            await asyncio.to_thread(refuse_unless_it_reads, self.recogniser)
            self.ready = True
        except BadModel as error:
            self.why_not_ready = str(error)
        except Exception as error:  # of any kind: the service is not ready, and says so
            self.why_not_ready = f"the self-test failed: {type(error).__name__}"

        if not self.ready:
            _log(f"not ready: {self.why_not_ready}")

    async def _reload_model(self) -> None:
        """Use the model's file if it has changed. Requests under way finish with the old model."""
        try:
            changed = await asyncio.to_thread(self.model_file.load_if_changed)
        except BadModel as error:
            self.metrics.reloads["refused"] += 1
            _log(f"the model's file has changed, but is not used: {error}")
            return

        if changed:
            self.recogniser = changed
            self.ready = True
            self.metrics.reloads["loaded"] += 1
            _log("the model's file has changed, and is used from now on")

    def _refuse_unless_ready(self) -> None:
        if not self.ready:
            raise Refused(503, "not_ready", self.why_not_ready, RETRY_AFTER)

    def _refuse_unless_there_is_room(self) -> None:
        """Refuse to be called ready while digits or pages are refused."""
        self._refuse_unless_ready()
        for size in (0, MAX_BODY):
            self.lanes.refuse_if_full(size)

    # ---- pages and state

    async def page(self, request: Request) -> Response:
        """Send the draw page, or one of its files."""
        return self.page_files.page(request.path_params.get("file", "index.html"))

    async def reader_file(self, request: Request) -> Response:
        """Send a file with which the page reads on the device that shows it."""
        return self.page_files.reader(request.path_params["file"], request.headers)

    async def healthz(self, _: Request) -> Response:
        return respond({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        self._refuse_unless_there_is_room()
        return respond({"status": "ready"})

    async def metrics_text(self, _: Request) -> Response:
        """Send the counters, and gauges of the current state, in Prometheus' format."""
        idle = f"Connections without a whole request; at most {MAX_CONNECTIONS}."
        gauges = {
            "ready": ("Whether the self-test was passed.", self.ready),
            "waiting": ("Requests in the queues.", self.lanes.waiting),
            "held_bytes": ("Bytes of request bodies in memory.", self.bodies.held),
            "idle_connections": (idle, len(self.idle)),
        }
        return Response(self.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def openapi(self, _: Request) -> Response:
        return respond(describe(inkdigits.__version__, MAX_BODY, MAX_JSON))

    # ---- reading

    async def read(self, request: Request) -> Response:
        """Read a picture: the answer is the object of `read --json`."""
        asked = request.query_params.multi_items()
        single, explain, table = parse_flags(asked, "single", "explain", "table")
        extract = choose_extractor(_content_type(request))

        def work(body: bytes, check: Check) -> bytes:
            reading = read_picture(self.recogniser, extract(body), single, check)
            return encode_reading(reading, explain, table)

        return await self._process(request, partial(self.lanes.run, work), MAX_BODY)

    async def inside(self, request: Request) -> Response:
        """Show what each layer of the network makes of a field: 28x28 bytes, one digit."""
        if _content_type(request) != BYTES:
            raise Refused(415, "unsupported_media_type", f"the content type should be {BYTES}")

        def work(body: bytes) -> bytes:
            field = parse_field(body)
            try:
                return json.dumps(look_inside(self.recogniser, field)).encode()
            except (MissingExtra, BadModel) as error:
                _log(str(error))
                message = "this service cannot look inside its network; its log says why"
                raise Refused(501, error.code, message) from None

        return await self._process(request, partial(self.lanes.inside.run, work), 784)

    async def feedback(self, request: Request) -> Response:
        """Store a correction: which digit a part of a picture really shows."""
        self.admission.refuse_other_origins(request.headers)
        corrections = self.corrections
        if corrections is None:
            message = (
                "this service stores no corrections; start it with --collect FILE to store them"
            )
            raise Refused(404, "not_collecting", message)

        label, box = parse_label(request.query_params)
        extract = choose_extractor(_content_type(request))

        def find(body: bytes, check: Check) -> Correction:
            picture = extract(body)
            trace = self.recogniser.trace(open_picture(picture, check))
            try:
                return find_correction(picture, trace, label, box, self.name)
            except BadValue as error:
                raise Refused(422, "no_such_digit", str(error)) from None

        async def store(finding: Coroutine[Any, Any, Correction]) -> bytes:
            count = await self.lanes.storing.run(_store, corrections, await finding)
            return json.dumps({"stored": True, "count": count}).encode()

        def run(body: bytes) -> Coroutine[Any, Any, bytes]:
            return store(self.lanes.run(find, body))

        return await self._process(request, run, MAX_BODY)

    async def _process(
        self, request: Request, run: Callable[[bytes], Coroutine[Any, Any, bytes]], limit: int
    ) -> Response:
        """Receive a body of at most `limit` bytes, and answer with the JSON that `run` makes."""
        self._refuse_unless_ready()
        self.lanes.refuse_if_full(int(request.headers.get("content-length", 0)))
        async with self.bodies.receive(request, limit) as body:
            content = await _unless_gone(request, run(body))
            return Response(content, media_type="application/json")

    # ---- Open Inference Protocol, version 2

    async def v2_server(self, _: Request) -> Response:
        return respond({"name": "inkdigits", "version": inkdigits.__version__, "extensions": []})

    async def v2_live(self, _: Request) -> Response:
        return respond({"live": True})

    async def v2_ready(self, _: Request) -> Response:
        self._refuse_unless_there_is_room()
        return respond({"ready": True})

    async def v2_model(self, request: Request) -> Response:
        """Describe the model's input and output."""
        self._refuse_other_models(request)
        images = {"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}
        probabilities = {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}
        return respond(
            {
                "name": self.name,
                "versions": ["1"],
                "platform": "onnxruntime_onnx",
                "inputs": [images],
                "outputs": [probabilities],
            }
        )

    async def v2_model_ready(self, request: Request) -> Response:
        self._refuse_other_models(request)
        self._refuse_unless_there_is_room()
        return respond({"name": self.name, "ready": True})

    async def v2_infer(self, request: Request) -> Response:
        """Classify images, (N, 28, 28): the answer is their probabilities, (N, 10)."""
        self._refuse_other_models(request)

        def work(body: bytes, _: Check) -> bytes:
            echoed, images = parse_inference(body)
            output = {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [len(images), 10],
                "data": round_probabilities(self.recogniser.classify(images).ravel()),
            }
            model = {"model_name": self.name, "model_version": "1"}
            return json.dumps(model | echoed | {"outputs": [output]}).encode()

        return await self._process(request, partial(self.lanes.run, work), MAX_JSON)

    def _refuse_other_models(self, request: Request) -> None:
        name = request.path_params["name"]
        version = request.path_params.get("version", "1")
        if name != self.name or version != "1":
            raise Refused(404, "unknown_model", f"the only model here is {self.name!r}, version 1")


def read_picture(recogniser: Recogniser, picture: bytes, single: bool, check: Check) -> Reading:
    """Read a picture, unless it is larger than is allowed.

    Raises:
        BadPicture: it is too large, or not a picture that can be read.
    """
    return recogniser.read(open_picture(picture, check), single)


def _store(corrections: Feedback, correction: Correction) -> int:
    """Store a correction, and return how many there are."""
    try:
        return corrections.store(correction)
    except (sqlite3.Error, OSError) as error:
        _log(f"a correction could not be stored: {error}")
        if is_full(error):
            raise Refused(507, "full", "there is no more room for corrections") from None
        message = "the correction could not be stored; the log says why"
        raise Refused(503, "not_stored", message, RETRY_AFTER) from None


def _content_type(request: Request) -> str:
    """Return the content type of a request; plain bytes if it has none."""
    return request.headers.get("content-type", BYTES)


async def _unless_gone(request: Request, working: Coroutine[Any, Any, bytes]) -> bytes:
    """Return the result of work for a request. The work is cancelled if the client disconnects.

    The body has been received already, so the next message can only be the disconnection.
    """
    work = asyncio.ensure_future(working)
    gone = asyncio.ensure_future(_wait_until_gone(request.receive))
    gone.add_done_callback(lambda _: work.cancel())
    try:
        return await work
    except asyncio.CancelledError:
        if gone.done() and not gone.cancelled():
            raise ClientDisconnect from None
        raise
    finally:
        work.cancel()
        gone.cancel()


async def _wait_until_gone(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _log(message: str) -> None:
    """Print one line on standard error, for the operator of the service."""
    printable = "".join(letter if letter.isprintable() else " " for letter in message)
    line = " ".join(printable.split())
    print(f"inkdigits: {line}", file=sys.stderr, flush=True)  # noqa: T201
