"""Pictures of drawn digits in every encoding, and the bodies that carry them. Made here, the same in every run."""

import io
import json
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.data.synthetic.pages.writing import DIGITS, Pen, draw, parse

READ, INFER = "/v1/read", "/v2/models/default/infer"
FORM = "multipart/form-data; boundary=edge"
HEIGHT = 60.0  # pixels of a digit


@cache
def digits(text: str = "27", height: float = HEIGHT) -> NDArray[np.uint8]:
    """Black digits side by side on white paper, uint8 (H, W)."""
    rng, pen = np.random.default_rng(0), Pen("soak", 0.1)
    ink = [
        np.pad(
            draw(parse(next(iter(DIGITS[int(digit)].values()))), height, pen, rng),
            round(height / 3),
        )
        for digit in text
    ]
    tallest = max(len(one) for one in ink)
    ink = [np.pad(one, ((0, tallest - len(one)), (0, 0))) for one in ink]
    return np.rint(255 * (1 - np.concatenate(ink, axis=1))).astype(np.uint8)


@cache
def field() -> NDArray[np.uint8]:
    """One digit as MNIST has it, ink 255 on paper 0, uint8 (28, 28)."""
    small = Image.fromarray(255 - digits("3")).resize((28, 28), Image.Resampling.BOX)
    return np.asarray(small)


def encoded(
    picture: Image.Image | NDArray[np.uint8], kind: str = "PNG", **options: object
) -> bytes:
    """The bytes of a file of that kind."""
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, kind, **options)
    return file.getvalue()


def form(*fields: tuple[str, bytes], boundary: str = "edge") -> bytes:
    """A multipart form of fields (what follows `form-data; `, content)."""
    parts = [
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
        for name, value in fields
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def tensor(images: NDArray[np.uint8], **other: object) -> dict[str, object]:
    """A request of the Open Inference Protocol for images (N, 28, 28). other: in place of the input's own keys."""
    data = images.ravel().tolist()
    return {
        "inputs": [
            {"name": "images", "datatype": "UINT8", "shape": list(images.shape), "data": data}
            | other
        ]
    }


def inference(images: NDArray[np.uint8]) -> bytes:
    """The same as bytes, with nothing of it changed."""
    return json.dumps(tensor(images)).encode()
