"""Pictures of drawn digits, and the requests that carry them, the same in every run."""

import json
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import encoded
from inkdigits.data.synthetic.glyphs import DIGIT_GLYPHS, parse
from inkdigits.data.synthetic.pages.writing import Pen, draw

READ = "/v1/read"
INFER = "/v2/models/default/infer"
JSON = "application/json"
FORM = "multipart/form-data; boundary=edge"
HEIGHT = 60.0  # pixels of a digit


@cache
def digits(text: str = "27", height: float = HEIGHT) -> NDArray[np.uint8]:
    """Draw black digits side by side on white paper, uint8 (H, W)."""
    rng = np.random.default_rng(0)
    pen = Pen("soak", 0.1)
    shapes = [next(iter(DIGIT_GLYPHS[int(digit)].values())) for digit in text]
    ink = [np.pad(draw(parse(shape), height, pen, rng), round(height / 3)) for shape in shapes]
    tallest = max(map(len, ink))
    ink = [np.pad(one, ((0, tallest - len(one)), (0, 0))) for one in ink]
    return np.rint(255 * (1 - np.concatenate(ink, axis=1))).astype(np.uint8)


@cache
def field() -> NDArray[np.uint8]:
    """Return one digit as MNIST has it, ink 255 on paper 0, uint8 (28, 28)."""
    small = Image.fromarray(255 - digits("3")).resize((28, 28), Image.Resampling.BOX)
    return np.asarray(small)


def form(*fields: tuple[str, bytes]) -> bytes:
    """Return a multipart form of fields (what follows `form-data; `, content)."""
    head = "--edge\r\nContent-Disposition: form-data; %s\r\n\r\n"
    parts = (b"%s%s\r\n" % ((head % name).encode(), content) for name, content in fields)
    return b"".join(parts) + b"--edge--\r\n"


def tensor(images: NDArray[np.uint8], **other: object) -> dict[str, object]:
    """Return a request of the Open Inference Protocol for images (N, 28, 28).

    other: in place of the input's own keys.
    """
    data = images.ravel().tolist()
    own = {"name": "images", "datatype": "UINT8", "shape": list(images.shape), "data": data}
    return {"inputs": [own | other]}


def request(
    method: str, path: str, body: bytes | None = None, kind: str = "", headers: Iterable[str] = ()
) -> bytes:
    """Return the bytes of a request. kind: its content type; headers: whole lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if kind:
        lines.append(f"Content-Type: {kind}")

    if body is not None:
        lines.append(f"Content-Length: {len(body)}")

    return "\r\n".join((*lines, "", "")).encode("latin-1") + (body or b"")


def read_request(body: bytes | None = None, kind: str = "image/png") -> bytes:
    """Return a request to read a picture, of two digits by default."""
    return request("POST", READ, encoded(digits()) if body is None else body, kind)


def infer_request(images: NDArray[np.uint8], **other: object) -> bytes:
    """Return a request to classify images (N, 28, 28). other: further keys of the object."""
    return request("POST", INFER, json.dumps(tensor(images) | other).encode(), JSON)
