"""Bad requests by name, and what is answered to each, word for word.

The tests and the soak both send them. A message that ends in three dots goes on with what the
decoder has to say.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.common import SAMPLE, encoded
from benchmarks.soak.service.promises import bmp, gif, jpeg, passes, png
from benchmarks.soak.service.samples import (
    FORM,
    INFER,
    READ,
    digits,
    form,
    request,
    tensor,
)
from inkdigits.reading.preprocessing.picture_file import MAX_PIECES
from inkdigits.service.connections import MAX_BODY

PIECES = "pieces (segments, chunks, strips, comments, runs)"


@dataclass(frozen=True)
class Refusal:
    """What is answered."""

    status: int
    code: str
    message: str

    def matches(self, status: int, body: bytes) -> bool:
        """Tell whether this is the answer, whole and in the only shape that errors have."""
        try:
            answer = json.loads(body)
            code, message = answer["error"]["code"], answer["error"]["message"]
        except (ValueError, KeyError, TypeError):
            return False
        same = (
            message.startswith(self.message[:-3])
            if self.message.endswith("...")
            else message == self.message
        )
        return (
            same
            and (status, code) == (self.status, self.code)
            and answer == {"error": {"code": code, "message": message}}
        )


READABLE = "PNG, JPEG, BMP, GIF, WebP, TIFF, PPM and AVIF"
NO_PICTURE = Refusal(
    415, "not_a_picture", f"the data is not a picture that can be read; readable are {READABLE}"
)
DAMAGED = Refusal(422, "truncated", "the data is cut short or damaged: ...")


@dataclass(frozen=True)
class BadInput:
    """A request, whole or as much of it as is ever sent."""

    name: str
    sent: bytes
    refusal: Refusal


def bad_inputs() -> list[BadInput]:
    """List all bad requests, for a service whose model is called `default`."""
    return [
        *_pictures(),
        *_forms(),
        *_kinds_and_fields(),
        *_paths(),
        *_parameters(),
        *_protocol(),
        *_arrays(),
    ]


def _half(kind: str) -> bytes:
    """Return the first half of a picture's file. kind: Pillow's name of the format."""
    whole = encoded(digits(), kind)
    return whole[: len(whole) // 2]


def _pictures() -> Iterator[BadInput]:
    def foreign(name: str) -> Refusal:
        return Refusal(
            415,
            "unsupported",
            f"the data is {name}, which is not read here; save it as one of {READABLE}",
        )

    def too_large(count: int, limit: int) -> Refusal:
        return Refusal(
            413,
            "too_large",
            f"the picture has {count:,} pixels; at most {limit:,} of its kind are read here",
        )

    def too_dear(limit: int, what: str) -> Refusal:
        message = f"the data has more than {limit:,} {what}; save it anew, as PNG"
        return Refusal(413, "too_large", message)

    beyond = Refusal(
        413, "too_large", "the data has more than the 64,000,000 pixels that are allowed"
    )
    for name, body, refusal in (
        ("no bytes", b"", Refusal(400, "empty", "the data is empty: 0 bytes")),
        ("one byte", b"\x89", NO_PICTURE),
        ("text", b"hello", NO_PICTURE),
        ("CSV", b"a,b\n1,2\n", NO_PICTURE),
        ("JSON", b"{}", NO_PICTURE),
        ("zeros", bytes(5000), NO_PICTURE),
        ("a zip file", b"PK\x03\x04" + bytes(60), NO_PICTURE),
        ("a pickle", b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94", NO_PICTURE),
        (
            "EPS, which would start Ghostscript",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            NO_PICTURE,
        ),
        ("PNG: its signature alone", b"\x89PNG\r\n\x1a\n", NO_PICTURE),
        ("PNG: width 0", png(0, 30), NO_PICTURE),
        ("PDF", b"%PDF-1.7 ...", foreign("PDF")),
        ("SVG", b"<svg></svg>", foreign("SVG")),
        ("XML", b"<?xml version='1.0'?><a/>", foreign("XML or SVG")),
        ("HEIC", b"\x00\x00\x00\x18ftypheic\x00\x00", foreign("HEIC")),
        ("HEIF", b"\x00\x00\x00\x18ftypmif1\x00\x00", foreign("HEIF")),
        ("ICO", b"\x00\x00\x01\x00\x01\x00\x10\x10", foreign("ICO")),
        ("Photoshop", b"8BPS\x00\x01", foreign("Photoshop")),
        (
            "PNG: 25 million grey pixels promised",
            png(5000, 5000),
            too_large(25_000_000, 24_000_000),
        ),
        (
            "PNG: 9 million transparent pixels promised",
            png(3000, 3000, 6),
            too_large(9_000_000, 8_000_000),
        ),
        ("PNG: 3.6 billion pixels promised", png(60_000, 60_000), beyond),
        ("JPEG: 65500 x 65500 promised", jpeg(65_500, 65_500), beyond),
        (
            "JPEG: progressive, 8000 x 8000 promised",
            jpeg(8000, 8000, progressive=True),
            too_large(64_000_000, 12_000_000),
        ),
        ("JPEG: 101 scans", passes(80, 101), too_dear(100, "scans")),
        (
            "PPM: a megabyte in letters",
            b"P3 600 600 255 " + b"0 " * (1 << 19),
            too_dear(1 << 20, "bytes of text"),
        ),
        (
            "GIF: comments of a byte",
            gif(30, 30, 1).replace(b",", b"!\xfe\1a\0" * MAX_PIECES + b",", 1),
            too_dear(MAX_PIECES, PIECES),
        ),
        (
            "BMP: run lengths of a million pixels and one",
            bmp(1_000_001, 1).replace(b"\x18\0" + bytes(4), b"\x08\0\1\0\0\0") + bytes(1028),
            too_dear(1_000_000, "pixels as BMP has them here"),
        ),
        (
            "PGM: a maximum of 254",
            b"P5 2000 2000 254 " + bytes(4_000_000),
            too_dear(1_000_000, "pixels as PPM has them here"),
        ),
        ("PNG: nothing but a header", png(30, 30), DAMAGED),
        ("PNG: cut in half", _half("PNG"), DAMAGED),
        ("JPEG: cut short", SAMPLE.read_bytes()[:9000], DAMAGED),
        ("GIF: cut in half", _half("GIF"), DAMAGED),
        ("BMP: cut in half", _half("BMP"), DAMAGED),
        ("WebP: cut in half", _half("WEBP"), NO_PICTURE),
        ("TIFF: cut in half", _half("TIFF"), DAMAGED),
    ):
        yield BadInput(name, request("POST", READ, body, "application/octet-stream"), refusal)


def _forms() -> Iterator[BadInput]:
    no_form = Refusal(400, "bad_form", "the body is not valid multipart/form-data")
    whole = form(('name="file"', encoded(digits())))

    def fields(number: int) -> Refusal:
        return Refusal(400, "bad_form", f"the form should have one field 'file', not {number}")

    for name, body, kind, refusal in (
        ("form: empty body", b"", FORM, fields(0)),
        ("form: no form at all", b"no form", FORM, no_form),
        ("form: no boundary said", whole, "multipart/form-data", no_form),
        ("form: another boundary said", whole, "multipart/form-data; boundary=other", no_form),
        ("form: cut in half", whole[: len(whole) // 2], FORM, fields(0)),
        ("form: no field", b"--edge--\r\n", FORM, fields(0)),
        ("form: another field", form(('name="image"', b"1")), FORM, fields(0)),
        ("form: two files", form(('name="file"', b"1"), ('name="file"', b"2")), FORM, fields(2)),
        (
            "form: 101 parts",
            form(*[('name="file"', b"1")] * 101),
            FORM,
            Refusal(400, "bad_form", "the form has more than 100 parts"),
        ),
        (
            "form: a file that is no picture",
            form(('name="file"; filename="a.png"', b"text")),
            FORM,
            NO_PICTURE,
        ),
        (
            "form: an empty file",
            form(('name="file"; filename="a.png"', b"")),
            FORM,
            Refusal(400, "empty", "the data is empty: 0 bytes"),
        ),
    ):
        yield BadInput(name, request("POST", READ, body, kind), refusal)


def _kinds_and_fields() -> Iterator[BadInput]:
    known = "image/png, image/jpeg and their like, application/octet-stream or multipart/form-data"
    refusal = Refusal(415, "unsupported_media_type", f"the content type should be {known}")
    for kind in (
        "text/plain",
        "application/json",
        "application/x-www-form-urlencoded",
        "imagepng",
        "multipart/mixed",
        ";",
    ):
        yield BadInput(
            f"content type `{kind}`", request("POST", READ, encoded(digits()), kind), refusal
        )
    refusal = Refusal(
        415, "unsupported_media_type", "the content type should be application/octet-stream"
    )
    yield BadInput(
        "field: content type `image/png`",
        request("POST", "/v1/inside", bytes(784), "image/png"),
        refusal,
    )
    refusal = Refusal(
        400, "bad_field", "the body should be a field, 28 rows of 28 bytes, and not 783 bytes"
    )
    yield BadInput("field: a byte too few", request("POST", "/v1/inside", bytes(783)), refusal)
    refusal = Refusal(413, "too_large", "the body has more than the 784 bytes that are allowed")
    yield BadInput("field: a byte too many", request("POST", "/v1/inside", bytes(785)), refusal)
    refusal = Refusal(
        404,
        "not_collecting",
        "this service stores no corrections; start it with --collect FILE to store them",
    )
    yield BadInput(
        "a correction that nobody asked for",
        request("POST", "/v1/feedback?label=3", encoded(digits()), "image/png"),
        refusal,
    )


def _paths() -> Iterator[BadInput]:
    nothing = Refusal(
        404, "not_found", "there is nothing at this path; /openapi.json lists what there is"
    )
    no_page = Refusal(404, "not_found", "there is no such page")
    no_model = Refusal(404, "unknown_model", "the only model here is 'default', version 1")

    def method(method: str, allowed: str) -> Refusal:
        return Refusal(
            405, "method_not_allowed", f"{method} is not for this path; it takes {allowed}"
        )

    for line, refusal in (
        ("GET /nothing", nothing),
        ("GET /v1/read/", nothing),
        ("GET //", nothing),
        ("GET /%00", nothing),
        ("GET /page/a/../../server.py", nothing),
        ("GET /page/%2e%2e%2fserver.py", nothing),
        ("GET /page/..", no_page),
        ("GET /page/..%5cserver.py", no_page),
        ("GET /page/none.js", no_page),
        ("GET /page/page.js%00.css", no_page),
        ("GET /v1/read", method("GET", "POST")),
        ("DELETE /v1/read", method("DELETE", "POST")),
        ("OPTIONS /v1/read", method("OPTIONS", "POST")),
        ("GET /v2/models/other", no_model),
        ("GET /v2/models/default/versions/2", no_model),
        ("GET /v2/models/other/ready", no_model),
        ("POST /v2/models/other/infer", no_model),
    ):
        asked, path = line.split(" ")
        yield BadInput(f"`{line}`", request(asked, path), refusal)


def _parameters() -> Iterator[BadInput]:
    refusal = Refusal(
        400, "bad_parameter", "parameters are single, explain and table, each true or false"
    )
    for query in (
        "single=yes",
        "single=",
        "single=True",
        "singel=true",
        "single=true&single=1",
        "%00=true",
    ):
        yield BadInput(f"`/v1/read?{query}`", request("POST", f"{READ}?{query}", b""), refusal)


def _protocol() -> Iterator[BadInput]:
    no_http = Refusal(400, "bad_request", "this is not HTTP/1.1")
    head_too_large = Refusal(
        431, "head_too_large", "request line and headers have more than 32,768 bytes"
    )
    post = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n"

    def too_large(limit: int) -> Refusal:
        return Refusal(
            413, "too_large", f"the body has more than the {limit:,} bytes that are allowed"
        )

    for name, sent, refusal in (
        ("no HTTP", b"hello\r\n\r\n", no_http),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01", no_http),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", no_http),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\n\r\n", no_http),
        ("a header without a colon", b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", no_http),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", no_http),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", no_http),
        ("bytes beyond ASCII in the path", b"GET /\xff\xfe HTTP/1.1\r\n\r\n", no_http),
        ("Content-Length: -1", post + b"Content-Length: -1\r\n\r\n", no_http),
        ("Content-Length: many", post + b"Content-Length: many\r\n\r\n", no_http),
        (
            "Content-Length beyond 64 bits",
            post + b"Content-Length: 99999999999999999999\r\n\r\n",
            no_http,
        ),
        ("Content-Length twice", post + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", no_http),
        (
            "Content-Length and chunks",
            post + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            no_http,
        ),
        ("a chunk without a length", post + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", no_http),
        ("a head of 100,000 bytes", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, head_too_large),
        ("a path of 100,000 bytes", b"GET /" + b"x" * 100_000, head_too_large),
        (
            "a picture of 32 MiB and a byte promised",
            post + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1),
            too_large(MAX_BODY),
        ),
        (
            "JSON of 5 million bytes promised",
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
            % INFER.encode(),
            too_large(4 << 20),
        ),
    ):
        yield BadInput(name, sent, refusal)


def _arrays() -> Iterator[BadInput]:
    one = np.zeros((1, 28, 28), np.uint8)
    no_json = Refusal(400, "bad_json", "the body is not JSON")

    def bad(message: str) -> Refusal:
        return Refusal(400, "bad_inference", message)

    wanted = bad(
        "the body should be an object with one input 'images' of datatype UINT8, "
        "shape [N, 28, 28], and its data"
    )
    shape = bad("the input's shape should be [N, 28, 28] with N of at least 1")
    numbers = bad(
        "the input's data should be whole numbers from 0 to 255, flat or nested as its shape"
    )
    none = bad("the input's data are 0 numbers; its shape takes 784")
    for name, body, refusal in (
        ("empty body", b"", no_json),
        ("`{`", b"{", no_json),
        ("bytes that are no UTF-8", b"\xff\xfe", no_json),
        ("100,000 brackets", b"[" * 100_000, wanted),
        ("100,000 objects in each other", b'{"a":' * 100_000, no_json),
        ("a number of 5,000 digits", b"1" * 5000, wanted),
        ("`null`", b"null", wanted),
        ("`{}`", {}, wanted),
        ("no inputs", {"inputs": []}, wanted),
        ("an input that is a number", {"inputs": [1]}, wanted),
        ("two inputs", {"inputs": [tensor(one), tensor(one)]}, wanted),
        ("an input called pixels", tensor(one, name="pixels"), wanted),
        (
            "datatype FP32",
            tensor(one, datatype="FP32"),
            bad("the input's datatype should be UINT8"),
        ),
        ("shape [1, 784]", tensor(one, shape=[1, 784]), shape),
        ("shape [-1, 28, 28]", tensor(one, shape=[-1, 28, 28]), shape),
        ("shape [0, 28, 28]", tensor(one, shape=[0, 28, 28]), shape),
        ("shape [true, 28, 28]", tensor(one, shape=[True, 28, 28]), shape),
        ("shape [1, 28.0, 28]", tensor(one, shape=[1, 28.0, 28]), shape),
        ("a shape of 4,300 digits", tensor(one, shape=[10**4299, 28, 28]), shape),
        ("no shape", tensor(one, shape=None), shape),
        (
            "shape [2, 28, 28] of one image",
            tensor(one, shape=[2, 28, 28]),
            bad("the input's data are 784 numbers; its shape takes 1,568"),
        ),
        ("256", tensor(one, data=[256] * 784), numbers),
        ("-1", tensor(one, data=[-1] * 784), numbers),
        ("0.5", tensor(one, data=[0.5] * 784), numbers),
        ("NaN", tensor(one, data=[float("nan")] * 784), no_json),
        ("letters", tensor(one, data=["a"] * 784), numbers),
        ("10^30", tensor(one, data=[10**30] * 784), numbers),
        ("10^4299", tensor(one, data=[10**4299] * 784), numbers),
        ("no data", tensor(one, data=[]), none),
        ("data that is an object", tensor(one, data={"a": 1}), numbers),
        ("ragged data", tensor(one, data=[[1], [1, 2]]), numbers),
        ("a wide string among numbers", tensor(one, data=["a" * 100_000] + [0] * 783), numbers),
        (
            "an id that is a number",
            tensor(one) | {"id": 7},
            bad("id should be a string of at most 256 characters"),
        ),
        (
            "an id that is long",
            tensor(one) | {"id": "é" * 257},
            bad("id should be a string of at most 256 characters"),
        ),
        (
            "another output",
            tensor(one) | {"outputs": [{"name": "logits"}]},
            bad("the only output is 'probabilities'"),
        ),
    ):
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        yield BadInput(f"array: {name}", request("POST", INFER, sent, "application/json"), refusal)
