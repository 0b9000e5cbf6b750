"""The page reader's networks, as they come with the package, find and tell digits without torch."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import special

from inkdigits.command import cli
from inkdigits.core.errors import BadModel
from inkdigits.reading.page import reader
from inkdigits.reading.page.decoding import find_symbols
from inkdigits.reading.page.lines import find_lines
from inkdigits.reading.page.look import looks
from inkdigits.reading.page.maps import Pixels, softmax
from inkdigits.reading.page.networks import FOLDER, LOOK_FILE, PAGE_FILE, PixelNetwork
from inkdigits.reading.page.reader import page_reader
from inkdigits.reading.page.survey import find_pieces
from inkdigits.reading.recogniser import Recogniser, cached_recogniser

ASSETS = Path(__file__).parents[1] / "assets"
SAMPLE = ASSETS / "sample.jpg"
LARGEST_FILE = 2_000_000  # bytes of each network


@pytest.fixture(scope="module")
def page() -> PixelNetwork:
    return PixelNetwork(FOLDER / PAGE_FILE)


@pytest.fixture(scope="module")
def look() -> PixelNetwork:
    return PixelNetwork(FOLDER / LOOK_FILE)


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder from which networks are loaded now; its first one is cut in two."""
    for name in (PAGE_FILE, LOOK_FILE):
        shutil.copy(FOLDER / name, tmp_path / name)
    whole = (tmp_path / PAGE_FILE).read_bytes()
    (tmp_path / PAGE_FILE).write_bytes(whole[: len(whole) // 2])

    monkeypatch.setattr(reader, "FOLDER", tmp_path)
    page_reader.cache_clear()
    cached_recogniser.cache_clear()
    yield tmp_path
    page_reader.cache_clear()
    cached_recogniser.cache_clear()


def read_lines(page: PixelNetwork, look: PixelNetwork, picture: Pixels) -> list[str]:
    """The digits in a picture, line by line, by both networks."""
    boxes = []
    kinds = []
    for piece in find_pieces(page, picture):
        symbols = find_symbols(piece.maps)
        if not symbols:
            continue

        page_logits = np.stack([symbol.kind for symbol in symbols])
        (probabilities,) = look(looks(piece, symbols), page_logits)
        corner = np.array([piece.left, piece.top] * 2)
        for symbol, chances in zip(symbols, probabilities, strict=True):
            if chances.argmax() < 10:
                boxes.append(np.array(symbol.box) / piece.scale + corner)
                kinds.append(int(chances.argmax()))

    lines = find_lines(np.array(boxes).reshape(-1, 4))
    return ["".join(str(kinds[number]) for number in line) for line in lines]


def test_a_line_of_handwriting_is_read(page: PixelNetwork, look: PixelNetwork) -> None:
    picture = np.asarray(Image.open(SAMPLE).convert("RGB"))
    assert read_lines(page, look, picture) == ["27354"]


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_on_blank_paper_nothing_is_read(page: PixelNetwork, look: PixelNetwork, grey: int) -> None:
    assert read_lines(page, look, np.full((240, 320, 3), grey, np.uint8)) == []


def test_each_network_is_one_small_file() -> None:
    for name in (PAGE_FILE, LOOK_FILE):
        assert (FOLDER / name).stat().st_size <= LARGEST_FILE


# ---- sizes, threads and memory


def test_a_batch_gives_what_its_pictures_give_one_by_one(look: PixelNetwork) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (7, 6, 32, 32), np.uint8)
    logits = np.random.default_rng(1).normal(0, 3, (7, 16)).astype(np.float32)
    (together,) = look(pictures, logits)
    assert together.shape == (7, 16)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    for number, expected in enumerate(together):
        one = slice(number, number + 1)
        (alone,) = look(pictures[one], logits[one])
        np.testing.assert_allclose(alone[0], expected, atol=1e-5)


def test_pixels_may_lie_in_memory_in_any_order(look: PixelNetwork) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 6), np.uint8)
    turned = pictures.transpose(0, 3, 1, 2)
    assert not turned.flags.c_contiguous
    logits = np.zeros((2, 16), np.float32)
    (expected,) = look(np.ascontiguousarray(turned), logits)
    np.testing.assert_array_equal(look(turned, logits)[0], expected)


@given(
    logits=arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.just(16)),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_softmax_is_scipy_s_and_never_overflows(logits: np.ndarray) -> None:
    expected = special.softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(softmax(logits), expected, atol=1e-5)


def test_the_number_of_threads_changes_nothing_but_rounding(page: PixelNetwork) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 96), np.uint8)
    for one, two in zip(page(picture), PixelNetwork(FOLDER / PAGE_FILE, 2)(picture), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)


# ---- damaged files


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_a_file_that_is_no_network_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "page.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadModel, match=re.escape(f"{str(path)!r} is damaged or not an ONNX model")):
        PixelNetwork(path)


def test_every_recogniser_needs_whole_networks_for_pages(damaged: Path) -> None:
    for model in ("default", "tiny"):
        with pytest.raises(BadModel, match=r"page\.onnx"):
            Recogniser(model, threads=1)

    shutil.copy(FOLDER / PAGE_FILE, damaged / PAGE_FILE)
    assert Recogniser("tiny", threads=1).read(SAMPLE).text == "27354"


def test_the_command_says_which_file_is_damaged_without_a_traceback(
    damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["read", str(SAMPLE)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"inkdigits: {str(damaged / PAGE_FILE)!r} is damaged")
    assert said.err.count("\n") == 1
