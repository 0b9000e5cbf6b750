"""Networks on OpenVINO answer as they do on ONNX Runtime, whatever the number of images."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from toy_network import save_toy_network

from inkdigits.command.cli import main
from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadModel, MissingExtra, UnknownName
from inkdigits.reading.backends import OPENVINO, load_network
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.openvino_network import MANY
from inkdigits.reading.preprocessing.fields import to_field
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.known_digits import known_digits

INT8 = "default-int8"


def moved_digits(count: int) -> Pixels:
    """Ten digits again and again, each moved by up to two pixels: (count, 28, 28)."""
    fields = [to_field(255 - picture) for _, picture in known_digits()]
    rng = np.random.default_rng(0)
    moves = rng.integers(-2, 3, (count, 2)).tolist()
    return np.stack([np.roll(fields[n % 10], move, (0, 1)) for n, move in enumerate(moves)])


@pytest.fixture
def openvino() -> None:
    """Skip where OpenVINO is not installed."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("model", "within"), [("fast-99.3", 1e-5), (INT8, 0.05)])
def test_many_images_are_answered_as_on_onnx_runtime(
    model: str, within: float, threads: int
) -> None:
    images = moved_digits(MANY + 77)
    path = resolve_model(model)
    expected = load_network(path, threads).answer(images)
    answers = load_network(path, threads, OPENVINO).answer(images)
    assert (answers.shape, answers.dtype) == (expected.shape, np.float32)
    assert np.abs(answers - expected).max() < within
    assert np.array_equal(answers.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("count", [0, 1, MANY - 1])
def test_few_images_are_answered_by_onnx_runtime_to_the_bit(count: int) -> None:
    images = moved_digits(count) if count else np.zeros((0, 28, 28), np.uint8)
    path = resolve_model(INT8)
    answers = load_network(path, 1, OPENVINO).answer(images)
    assert np.array_equal(answers, load_network(path, 1).answer(images))


@pytest.mark.usefixtures("openvino")
def test_several_callers_share_a_network() -> None:
    network = load_network(resolve_model("fast-99.3"), 2, OPENVINO)
    images = moved_digits(MANY)
    parts = [np.roll(images, shift, axis=0) for shift in range(6)]
    expected = [network.answer(part) for part in parts]
    with ThreadPoolExecutor(6) as callers:
        for answers, one in zip(callers.map(network.answer, parts), expected, strict=True):
            assert np.allclose(answers, one, atol=1e-5)


@pytest.mark.usefixtures("openvino")
def test_a_strangers_file_is_not_shown_to_openvino(tmp_path: Path) -> None:
    path = save_toy_network(tmp_path / "toy.onnx")
    with pytest.raises(BadModel, match=r"takes shipped models only, not .*toy\.onnx"):
        load_network(path, 1, OPENVINO)


def test_without_openvino_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"inkdigits\[openvino\]"):
        Recogniser(INT8, backend=OPENVINO)


def test_an_unknown_backend_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UnknownName, match=r"tensorrt.*onnxruntime, openvino"):
        Recogniser(backend="tensorrt")


@pytest.mark.usefixtures("openvino")
def test_the_command_reads_a_file_of_digits_on_openvino(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "digits.npy"
    np.save(path, moved_digits(MANY + 1))
    texts = []
    for backend in ("onnxruntime", "openvino"):
        assert main(["read", str(path), "--model", INT8, "--backend", backend, "--json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        texts.append([json.loads(line)["text"] for line in lines])

    assert len(texts[0]) == MANY + 1
    assert texts[0] == texts[1]
