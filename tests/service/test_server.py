"""The service through real sockets: right answers, one kind of error, no client blocks others."""

import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from drawn import line
from few_digits import few_digits
from PIL import Image
from serving import (
    DIGITS,
    FORM,
    PATIENCE,
    PICTURE,
    Answer,
    Server,
    encode_picture,
    form,
    place_model,
    read_answer,
    receive_answer,
    running,
    serving,
    serving_hastily,
    wait_until,
)

import inkdigits
from benchmarks.soak.service.bad_inputs import BadInput, bad_inputs
from inkdigits.reading.recogniser import cached_recogniser
from inkdigits.service.known_digits import known_digits
from inkdigits.service.model_file import ModelFile, count_known_digits_read

pytestmark = pytest.mark.slow  # services are started

ASSETS = Path(__file__).parents[1] / "assets"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Server]:
    with serving_hastily(tmp_path / "log") as server:
        yield server


# ---- reading


@pytest.mark.parametrize("name", ["sample.jpg", "transparent.png", "turned-phone.jpg"])
def test_a_picture_is_read_as_the_command_reads_it(server: Server, name: str) -> None:
    data = (ASSETS / name).read_bytes()
    expected = inkdigits.read(data).as_dict()
    assert expected["text"]
    assert server.post(data, kind="image/jpeg").json == expected
    assert server.post(form(('name="file"; filename="a.png"', data)), kind=FORM).json == expected
    assert (
        server.post(form(('name="note"', b"hello"), ('name="file"', data)), kind=FORM).json
        == expected
    )


def test_single_takes_the_picture_for_one_digit(server: Server) -> None:
    assert len(server.post(PICTURE, "/v1/read?single=true").json["digits"]) == 1
    assert len(server.post(PICTURE, "/v1/read?single=false").json["digits"]) == 2


def test_table_adds_rows_and_columns(server: Server) -> None:
    as_table, plain = server.post(PICTURE, "/v1/read?table=true").json, server.post(PICTURE).json
    table = as_table.pop("table")
    assert as_table == plain
    assert table == inkdigits.read(PICTURE).table().as_lists()
    assert "".join(cell["written"] for row in table for cell in row if cell) == "27"


def test_explain_adds_what_the_network_saw(server: Server) -> None:
    explained, plain = server.post(PICTURE, "/v1/read?explain=true").json, server.post(PICTURE).json
    assert explained["text"] == plain["text"] == "27"
    reading = inkdigits.read(PICTURE)
    for entry, digit in zip(explained["digits"], reading.digits, strict=True):
        assert np.array_equal(
            np.frombuffer(base64.b64decode(entry.pop("field")), np.uint8).reshape(28, 28),
            digit.image,
        )
        assert np.allclose(entry.pop("probabilities"), digit.probabilities, atol=1e-6)

    assert explained == plain


def test_every_encoding_of_a_picture_gives_the_same_answer(server: Server) -> None:
    grey = Image.fromarray(DIGITS)
    clear = np.dstack([np.zeros_like(DIGITS)] * 3 + [line("27")])
    turned = Image.Exif()
    turned[0x0112] = 3
    same = [
        *(encode_picture(grey.convert(mode)) for mode in ("RGB", "RGBA", "LA", "P")),
        *(encode_picture(grey, format_name) for format_name in ("GIF", "BMP", "TIFF", "PPM")),
        encode_picture(grey, "WEBP", lossless=True),
        encode_picture(Image.fromarray(DIGITS.astype(np.uint16) * 257)),
        encode_picture(grey.rotate(180), exif=turned),
    ]
    expected = server.post(PICTURE).json
    assert expected["text"] == "27"
    assert [server.post(data).json for data in same] == [expected] * len(same)
    assert server.post(encode_picture(Image.fromarray(clear))).json["text"] == "27"


def test_many_at_once_are_answered_as_one_alone(server: Server) -> None:
    alone, answers = server.post(PICTURE).body, []
    threads = [
        threading.Thread(target=lambda: answers.append(server.post(PICTURE).body))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()

    for thread in threads:
        thread.join()

    assert answers == [alone] * 20


# ---- bad input: what it is, what is said of it


@pytest.mark.parametrize("bad", bad_inputs(), ids=lambda bad: bad.name)
def test_bad_input_is_refused_with_the_documented_message(server: Server, bad: BadInput) -> None:
    answer = server.raw(bad.sent)
    assert bad.refusal.matches(answer.status, answer.body), answer
    assert ("allow" in answer.headers) == (answer.status == 405)


def test_a_chunked_body_is_refused_once_it_exceeds_the_limit(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(8):
            yield b"x" * (1 << 20)

    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(client):
        client.request(
            "POST",
            "/v2/models/default/infer",
            endless(),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        assert read_answer(client.getresponse()).error[:2] == (413, "too_large")
        client.request("GET", "/healthz")  # and the connection can still be used
        assert read_answer(client.getresponse()).status == 200


def test_none_of_the_requests_above_has_caused_an_internal_error(server: Server) -> None:
    assert 'status="500"' not in server.metrics()


# ---- pages, state, description


def test_the_page_and_its_files_have_a_strict_content_security_policy(server: Server) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/page/page.js", "text/javascript"),
        ("/page/page.css", "text/css"),
    ):
        answer = server.get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        policy = dict(
            part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
        )
        assert (
            policy["default-src"]
            == policy["base-uri"]
            == policy["form-action"]
            == policy["frame-ancestors"]
            == "'none'"
        )
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["img-src"] == "'self' data: blob:"


def test_health_and_readiness_are_reported(server: Server) -> None:
    assert server.get("/healthz").json == {"status": "alive"}
    assert server.get("/readyz").json == {"status": "ready"}
    assert server.ask("HEAD", "/healthz").body == b""


def test_requests_are_counted(server: Server) -> None:
    def counted(name: str) -> float:
        lines = dict(re.findall(r"^(\S+) (\S+)$", server.metrics(), re.MULTILINE))
        return float(lines.get(name, 0))

    names = [
        f'inkdigits_requests_total{{endpoint="read",status="{status}"}}' for status in (200, 415)
    ]
    before = [
        counted(name)
        for name in [*names, 'inkdigits_request_seconds_bucket{endpoint="read",le="+Inf"}']
    ]
    server.post(PICTURE)
    server.post(b"hello")
    after = [
        counted(name)
        for name in [*names, 'inkdigits_request_seconds_bucket{endpoint="read",le="+Inf"}']
    ]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 2]
    assert counted("inkdigits_ready") == 1


def test_the_description_lists_every_endpoint_and_its_references_resolve(server: Server) -> None:
    from inkdigits.service.application import Service

    described = server.get("/openapi.json").json
    recogniser = cached_recogniser("default")
    routes = {
        (path.path, method.lower())
        for path in Service("default", recogniser, ModelFile(recogniser.path)).routes()
        for method in path.methods
    }
    assert {
        (path, method) for path, methods in described["paths"].items() for method in methods
    } == {route for route in routes if route[1] != "head"}
    for kind, name in set(re.findall(r"#/components/(\w+)/(\w+)", json.dumps(described))):
        assert name in described["components"][kind]

    assert set(described["paths"]["/v1/read"]["post"]["responses"]) == {
        *("200", "400", "405", "408", "413", "415", "421", "422", "431", "500", "503", "504")
    }


# ---- Open Inference Protocol


def infer(server: Server, asked: object, path: str = "/v2/models/default/infer") -> Answer:
    return server.post(
        asked if isinstance(asked, bytes) else json.dumps(asked).encode(), path, "application/json"
    )


def tensor(images: np.ndarray, **other: object) -> dict:
    return {
        "inputs": [
            {
                "name": "images",
                "datatype": "UINT8",
                "shape": list(images.shape),
                "data": images.ravel().tolist(),
            }
            | other
        ]
    }


def test_the_inference_protocol_classifies_arrays_as_python_does(
    server: Server,
) -> None:
    images = few_digits(7).images
    answer = infer(server, tensor(images) | {"id": "a1"}).json
    output = answer.pop("outputs")[0]
    assert answer == {"model_name": "default", "model_version": "1", "id": "a1"}
    assert (output["name"], output["datatype"], output["shape"]) == (
        "probabilities",
        "FP32",
        [7, 10],
    )
    assert np.allclose(
        np.reshape(output["data"], (7, 10)),
        cached_recogniser("default").classify(images),
        atol=1e-6,
    )
    nested = infer(
        server, tensor(images, data=images.tolist()), "/v2/models/default/versions/1/infer"
    ).json
    assert nested["outputs"][0] == output
    alone = [infer(server, tensor(image[None])).json["outputs"][0]["data"] for image in images]
    assert [value for row in alone for value in row] == output["data"]


def test_the_model_describes_itself(server: Server) -> None:
    assert server.get("/v2").json == {
        "name": "inkdigits",
        "version": inkdigits.__version__,
        "extensions": [],
    }
    assert server.get("/v2/health/live").json == {"live": True}
    assert server.get("/v2/health/ready").json == {"ready": True}
    for path in ("/v2/models/default", "/v2/models/default/versions/1"):
        model = server.get(path).json
        assert (model["name"], model["versions"]) == ("default", ["1"])
        assert model["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}]
        assert server.get(f"{path}/ready").json == {"name": "default", "ready": True}


# ---- deadlines and backpressure


def post(body: bytes) -> bytes:
    return (
        b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )


def drip(connection: socket.socket, byte: bytes, until: Callable[[], bool]) -> None:
    with contextlib.suppress(OSError):
        while not until():
            connection.sendall(byte)
            time.sleep(0.05)


TOO_SLOW = (408, "too_slow", "the request did not arrive within 1 s")


def slowly(connection: socket.socket, byte: bytes) -> Answer:
    """Return what is answered while one byte after the other arrives."""
    answers: list[Answer] = []
    dripping = threading.Thread(target=drip, args=(connection, byte, lambda: bool(answers)))
    dripping.start()
    try:
        answers.append(receive_answer(connection))
    finally:
        answers or connection.close()
        dripping.join(PATIENCE)

    return answers[0]


@pytest.mark.parametrize(
    ("sent", "byte"),
    [
        (b"GET /healthz HTTP/1.1\r\nX: ", b"x"),
        (b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n", b"x"),
        (
            b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"x",
        ),
        (b"", b"\r\n"),
    ],
)
def test_requests_that_arrive_too_slowly_are_refused(
    hasty: Server, sent: bytes, byte: bytes
) -> None:
    with hasty.connect(sent) as new:
        assert slowly(new, byte).error == TOO_SLOW

    with hasty.connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as kept:
        assert receive_answer(kept).status == 200
        kept.sendall(sent)
        assert slowly(kept, byte).error == TOO_SLOW

    assert hasty.get("/healthz").status == 200


@pytest.mark.skipif(
    not Path("/proc/net/tcp").is_file(), reason="the system does not show who holds a connection"
)
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(1, id="little is left", marks=pytest.mark.slow),  # 15 s
        pytest.param(10, id="sending waits"),
    ],
)
def test_clients_that_do_not_take_their_responses_are_disconnected(
    hasty: Server, times: int
) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        connection.connect(("127.0.0.1", hasty.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * times)
        client = connection.getsockname()[1]
        wait_until(lambda: holds(hasty.port, client))
        wait_until(lambda: not holds(hasty.port, client))


def holds(port: int, client: int) -> bool:
    """Tell whether a process has the connection of this client; the system may have it longer."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = (f":{port:04X}", f":{client:04X}")
    return any(
        line[1].endswith(ends[0]) and line[2].endswith(ends[1]) and line[9] != "0" for line in lines
    )


def test_silent_clients_are_closed(hasty: Server) -> None:
    with hasty.connect() as silent:
        assert silent.recv(1) == b""


def test_silent_clients_give_way_to_new_ones(hasty: Server) -> None:
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(hasty.connect(b"GET / HT" if i % 2 else b"")) for i in range(60)
        ]
        assert hasty.post(PICTURE).json["text"] == "27"
        silent[0].settimeout(
            0.5
        )  # long before its patience is at an end, on a machine that is not asleep
        with contextlib.suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""

        idle = re.search(r"idle_connections (\d+)\n", hasty.metrics())
        assert int(idle[1]) <= 20


def fill(hasty: Server, log: Path, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Send a request that is read for a while, and as many behind it as may wait."""
    busy = [stack.enter_context(hasty.connect(post(b"sleep08")))]
    wait_until(lambda: log.read_bytes() == b"sleep08;")
    busy += [stack.enter_context(hasty.connect(post(b"sleep01"))) for _ in range(2)]
    wait_until(lambda: "waiting 2\n" in hasty.metrics())
    return busy


def test_a_full_queue_is_reported_before_the_body_arrives(hasty: Server, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        busy = fill(hasty, tmp_path / "log", stack)
        answer = hasty.raw(
            b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        )  # of which nothing will come
        assert answer.error == (503, "busy", "2 requests are waiting; try again in a second")
        assert answer.headers["retry-after"] == "1"
        assert hasty.get("/healthz").status == 200  # the event loop is free
        assert [receive_answer(connection).json["text"] for connection in busy] == ["slept"] * 3

    assert hasty.post(PICTURE).json["text"] == "27"


def test_a_refused_client_can_ask_again_over_the_same_connection(
    hasty: Server, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        busy = fill(hasty, tmp_path / "log", stack)
        refused = stack.enter_context(hasty.connect())
        for sent in (post(b"sleep01"), post(b"sleep01")):
            refused.sendall(
                sent[:-3]
            )  # the answer comes before the rest, which is taken and forgotten
            assert receive_answer(refused).status == 503
            refused.sendall(sent[-3:])

        wait_until(lambda: "waiting 2\n" not in hasty.metrics())
        refused.sendall(post(PICTURE))
        assert receive_answer(refused).json["text"] == "27"
        assert [receive_answer(connection).json["text"] for connection in busy] == ["slept"] * 3


def test_a_whole_request_is_refused_with_the_same_answer_and_counted(
    hasty: Server, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        fill(hasty, tmp_path / "log", stack)
        parsed = hasty.raw(post(b"sleep01")[:-3])
        refused = stack.enter_context(hasty.connect())
        for _ in range(3):
            refused.sendall(post(b"sleep01"))
            assert receive_answer(refused) == parsed

        assert 'requests_total{endpoint="none",status="503"} 4\n' in hasty.metrics()
        refused.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert receive_answer(refused).status == 200


def test_waiting_and_reading_have_deadlines(hasty: Server) -> None:
    with hasty.connect(post(b"sleep30")) as long:
        wait_until(lambda: 'endpoint="readyz"' in hasty.metrics())
        time.sleep(0.1)
        late = hasty.post(PICTURE)
        assert late.error == (
            503,
            "busy",
            "no processor became free within 1 s; try again in a second",
        )
        assert late.headers["retry-after"] == "1"
        assert receive_answer(long).error == (504, "too_long", "this took more than 2 s to read")


def test_requests_of_clients_that_have_gone_are_not_read(hasty: Server, tmp_path: Path) -> None:
    with hasty.connect(post(b"sleep08 one")) as first:
        wait_until(lambda: (tmp_path / "log").read_bytes() == b"sleep08 one;")
        gone = hasty.connect(post(b"sleep01 two"))
        wait_until(lambda: "waiting 1\n" in hasty.metrics())
        gone.close()
        wait_until(lambda: "waiting 0\n" in hasty.metrics())
        assert receive_answer(first).json["text"] == "slept"

    assert hasty.post(b"sleep01 three").json["text"] == "slept"
    assert (tmp_path / "log").read_bytes() == b"sleep08 one;sleep01 three;"


# ---- a model's file that changes


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return place_model("nano", tmp_path / "mine.onnx")


def served(server: Server) -> str:
    """Tell the shipped model by the probabilities that are answered."""
    image = few_digits(1).images
    answer = infer(server, tensor(image), "/v2/models/mine/infer").json["outputs"][0]["data"]
    return next(
        name
        for name in ("nano", "tiny")
        if np.allclose(cached_recogniser(name).classify(image)[0], answer, atol=1e-6)
    )


def test_a_new_model_is_used_without_a_pause(model: Path, tmp_path: Path) -> None:
    with serving_hastily(tmp_path / "log", "--model", model) as server:
        assert served(server) == "nano"
        place_model("tiny", model)
        wait_until(lambda: served(server) == "tiny")
        assert server.said() == "inkdigits: the model's file has changed, and is used from now on\n"
        assert server.post(PICTURE).json["text"] == "27"
        assert 'inkdigits_reloads_total{result="loaded"} 1\n' in server.metrics()


def wrong_shapes(model: Path) -> None:
    import onnx

    other = onnx.load(model)
    other.graph.output[0].name = other.graph.node[-1].output[0] = "logits"
    model.write_bytes(other.SerializeToString())


def reads_badly(model: Path) -> None:
    """Rotate the ten columns of the last layer by one."""
    import onnx
    from onnx import numpy_helper

    other = onnx.load(model)
    last = next(node for node in reversed(other.graph.node) if node.op_type == "Gemm")
    for weights in other.graph.initializer:
        if weights.name in last.input[1:]:
            array = numpy_helper.to_array(weights)
            weights.CopyFrom(
                numpy_helper.from_array(np.roll(array, 1, array.shape.index(10)), weights.name)
            )

    model.write_bytes(other.SerializeToString())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            lambda model: model.write_bytes(b"not a model"),
            "'.*' is damaged or not an ONNX model: .*",
        ),
        (
            lambda model: model.write_bytes(model.read_bytes()[:9000]),
            "'.*' is damaged or not an ONNX model: .*",
        ),
        (lambda model: model.write_bytes(b""), "'.*' is damaged or not an ONNX model: .*"),
        (wrong_shapes, "'.*' was made for something else: .*"),
        (reads_badly, r"the model reads only \d of 10 known digits"),
        (Path.unlink, "'.*' is gone"),
    ],
    ids=["foreign", "cut", "empty", "shapes", "bad", "gone"],
)
def test_an_unusable_model_is_reported_once_and_the_old_one_stays(
    model: Path, tmp_path: Path, fault: Callable[[Path], object], why: str
) -> None:
    with serving_hastily(tmp_path / "log", "--model", model) as server:
        fault(model)
        said = server.said()
        assert re.fullmatch(
            f"inkdigits: the model's file has changed, but is not used: {why}\n", said
        ), said
        time.sleep(0.5)  # in which it is looked at ten times
        assert served(server) == "nano"
        assert server.get("/readyz").status == 200
        assert 'inkdigits_reloads_total{result="refused"} 1\n' in server.metrics()
        place_model("tiny", model)
        wait_until(lambda: served(server) == "tiny")


def test_a_file_is_left_alone_while_it_is_being_written(model: Path) -> None:
    file = ModelFile(model)
    assert file.load_if_changed() is None
    whole = cached_recogniser("tiny").onnx
    for share in (1, 2, 3):
        model.write_bytes(whole[: share * len(whole) // 3])
        assert file.load_if_changed() is None

    assert file.load_if_changed().onnx == whole
    assert file.load_if_changed() is None


@pytest.mark.slow
def test_requests_under_way_finish_with_the_model_that_they_began_with(
    model: Path, tmp_path: Path
) -> None:
    with (
        serving_hastily(tmp_path / "log", "--model", model) as server,
        server.connect(post(b"sleep10")) as reading,
    ):
        place_model("tiny", model)
        assert "is used from now on" in server.said()
        assert receive_answer(reading).json["text"] == "slept"


# ---- start and end


def test_accepted_requests_are_answered_before_the_server_stops(hasty: Server) -> None:
    with (
        hasty.connect(post(b"sleep05 one")) as reading,
        hasty.connect(post(b"sleep01 two")) as waiting,
        hasty.connect() as kept,
    ):
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert receive_answer(kept).status == 200
        wait_until(lambda: "waiting 1\n" in hasty.metrics())
        hasty.process.send_signal(signal.SIGTERM)
        assert (
            receive_answer(reading).json["text"] == receive_answer(waiting).json["text"] == "slept"
        )
        assert hasty.process.wait(PATIENCE) == 0
        with pytest.raises(OSError):  # noqa: PT011 (refused or reset)
            hasty.get("/healthz")


def test_a_request_that_never_arrives_does_not_keep_the_server_from_stopping() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving())
        late = stack.enter_context(
            server.connect(
                b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nabc"
            )
        )
        stack.enter_context(server.connect(b"GET /"))
        assert server.get("/healthz").status == 200  # so the others have been heard as well
        server.process.send_signal(signal.SIGTERM)
        assert receive_answer(late).error == (503, "stopping", "the service is stopping")
        assert server.process.wait(PATIENCE) == 0


def test_a_model_that_reads_badly_is_never_ready(tmp_path: Path) -> None:
    worse = "model_file.count_known_digits_read = lambda recogniser: 3"
    with serving_hastily(tmp_path / "log", first=worse, ready=False) as server:
        why = "the model reads only 3 of 10 known digits"
        wait_until(lambda: server.get("/readyz").error[2] == why)
        for answer in (
            server.get("/v2/health/ready"),
            server.get("/v2/models/default/ready"),
            server.post(PICTURE),
        ):
            assert answer.error == (503, "not_ready", why)
            assert answer.headers["retry-after"] == "1"

        assert server.get("/healthz").status == 200


def test_the_light_install_gets_ready_and_reads() -> None:
    program = """
import sys
for name in ("cv2", "torch", "scipy", "sklearn"):
    sys.modules[name] = None
from inkdigits.command.cli import main
sys.exit(main(["serve", "--port", "0"]))
"""
    with running("-c", program) as server:
        assert server.post(PICTURE).json["text"] == "27"


@pytest.mark.parametrize("model", ["default", "tiny"])
def test_all_ten_known_digits_are_read_by_a_model_that_reads_well(model: str) -> None:
    digits = dict(known_digits())
    assert list(digits) == list(range(10))
    assert all(picture.dtype == np.uint8 and picture.min() == 0 for picture in digits.values())
    assert all((picture[[0, -1]] == 255).all() for picture in digits.values())
    assert count_known_digits_read(cached_recogniser(model)) == 10


def test_an_internal_error_reveals_nothing_of_the_code(tmp_path: Path) -> None:
    broken = """
import logging
logging.disable()
application.encode_reading = lambda reading, explain: 1 / 0
"""
    with serving_hastily(tmp_path / "log", first=broken) as server:
        assert server.post(PICTURE).error == (
            500,
            "internal",
            "something went wrong here; the log says what",
        )
        assert server.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--port", "{taken}"),
            r"cannot listen on port \d+ of '127\.0\.0\.1': Address already in use; "
            "--port 0 takes any free one",
        ),
        (
            ("--port", "70000"),
            "there is no port 70000; ports are 0 to 65535, and 0 takes any free one",
        ),
        (
            ("--host", "no.such.host.invalid"),
            r"cannot listen on port 8000 of 'no\.such\.host\.invalid': .*",
        ),
        (("--model", "none"), r"no model 'none'; known: .*"),
    ],
)
def test_wrong_options_give_one_sentence_and_status_2(
    arguments: tuple[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from inkdigits.command import cli

    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = (arguments[0], arguments[1].format(taken=taken.getsockname()[1]))
        assert cli.main(["serve", *arguments]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(f"inkdigits: {says}\n", said.err), said.err


def test_missing_libraries_name_the_extra_to_install() -> None:
    program = """
import sys
sys.modules["starlette"] = None
from inkdigits.command.cli import main
sys.exit(main(["serve"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "inkdigits: serving needs more than the core install: pip install 'inkdigits[serve]'\n"
    )
