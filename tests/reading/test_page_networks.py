"""The page reader's networks, as they come with the package, find and tell digits without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from inkdigits.reading.model_files import WEIGHTS
from inkdigits.reading.page.decoding import find_symbols
from inkdigits.reading.page.finding import find_pieces
from inkdigits.reading.page.lines import find_lines
from inkdigits.reading.page.look import looks
from inkdigits.reading.page.maps import Floats, Pixels

ASSETS = Path(__file__).parents[1] / "assets"
LARGEST_FILE = 2_000_000  # bytes of each network


class Loaded:
    """One of the two networks on ONNX Runtime."""

    def __init__(self, name: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(WEIGHTS / "page" / name), options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    def __call__(self, pixels: Pixels) -> Sequence[Floats]:
        return self.session.run(None, {self.input: np.ascontiguousarray(pixels)})


@pytest.fixture(scope="module")
def page() -> Loaded:
    return Loaded("page.onnx")


@pytest.fixture(scope="module")
def look() -> Loaded:
    return Loaded("look.onnx")


def read_lines(page: Loaded, look: Loaded, picture: Pixels) -> list[str]:
    """The digits in a picture, line by line, by both networks."""
    boxes = []
    kinds = []
    for piece in find_pieces(page, picture):
        symbols = find_symbols(piece.maps)
        if not symbols:
            continue

        (probabilities,) = look(looks(piece, symbols))
        corner = np.array([piece.left, piece.top] * 2)
        for symbol, chances in zip(symbols, probabilities, strict=True):
            if chances.argmax() < 10:
                boxes.append(np.array(symbol.box) / piece.scale + corner)
                kinds.append(int(chances.argmax()))

    lines = find_lines(np.array(boxes).reshape(-1, 4))
    return ["".join(str(kinds[number]) for number in line) for line in lines]


def test_a_line_of_handwriting_is_read(page: Loaded, look: Loaded) -> None:
    picture = np.asarray(Image.open(ASSETS / "sample.jpg").convert("RGB"))
    assert read_lines(page, look, picture) == ["27354"]


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_on_blank_paper_nothing_is_read(page: Loaded, look: Loaded, grey: int) -> None:
    assert read_lines(page, look, np.full((240, 320, 3), grey, np.uint8)) == []


def test_each_network_is_one_small_file() -> None:
    for name in ("page.onnx", "look.onnx"):
        assert (WEIGHTS / "page" / name).stat().st_size <= LARGEST_FILE
