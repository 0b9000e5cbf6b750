"""A golden file: what goes into the page reader's networks for one picture, and what comes out.

Who writes a reader in another language compares theirs with it, a step at a time.
"""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Pixels
from inkdigits.reading.page.networks import FOLDER, LOOK_FILE, PAGE_FILE, SWITCH, PixelNetwork
from inkdigits.reading.page.reader import page_reader
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.known_digits import known_digits

SIDES = (128, 160)  # pixels: rows and columns of the picture, multiples of 16
DIGITS = (4, 2)
OUTPUTS = ("ink", "centre", "offset", "size", "kind", "writing", "height")


def golden() -> str:
    """Return the golden file as JSON.

    Arrays are `{"type", "shape", "data"}`, with the data little-endian and in base64: `picture` is
    (H, W, 3) RGB; `page` and `look` hold each network's inputs and outputs by name; `reading` is
    what `read --json` prints.
    """
    picture = open_picture(_drawn())
    page = page_reader(threads=1).read(picture)
    pictures = picture.rgb.transpose(2, 0, 1)[None]
    maps = PixelNetwork(FOLDER / PAGE_FILE)(pictures)

    looks = np.stack([find.look for find in page.candidates])
    logits = np.stack([find.symbol.kind for find in page.candidates])
    (probabilities,) = PixelNetwork(FOLDER / LOOK_FILE)(looks, logits)
    written = {
        "picture": _array(picture.rgb),
        "page": {
            "inputs": {"pictures": _array(pictures), SWITCH: _array(np.array(1, np.uint8))},
            "outputs": {name: _array(map_) for name, map_ in zip(OUTPUTS, maps, strict=True)},
        },
        "look": {
            "inputs": {"looks": _array(looks), "page_logits": _array(logits)},
            "outputs": {"probabilities": _array(probabilities)},
        },
        "reading": Recogniser(threads=1).read(picture).as_dict(),
    }
    return json.dumps(written)


def _drawn() -> Pixels:
    """Return a picture (H, W) of two digits, black on white."""
    digits = dict(known_digits())
    sheet = np.full(SIDES, 255, np.uint8)
    for place, digit in enumerate(DIGITS):
        ink = digits[digit]
        part = sheet[10:, 70 * place :][: ink.shape[0], : ink.shape[1]]
        np.minimum(part, ink[: part.shape[0], : part.shape[1]], out=part)

    return sheet


def _array(values: NDArray[Any]) -> dict[str, Any]:
    data = np.asarray(values, order="C")
    return {
        "type": data.dtype.name,
        "shape": list(data.shape),
        "data": base64.b64encode(data.tobytes()).decode(),
    }
