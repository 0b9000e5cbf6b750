"""A file in eight bits says nearly what the exact one says, or is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from few_digits import few_digits

from inkdigits.command.cli import main
from inkdigits.core.errors import BadModel, BadValue, InkdigitsError, MissingExtra
from inkdigits.reading.layers import compute_layers
from inkdigits.reading.model_files import INT8, quantised_models, resolve_model, shipped_models
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs import export
from inkdigits.runs.export import export_run
from inkdigits.runs.quantisation import quantise


@pytest.fixture(autouse=True)
def _without_mnist(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The digits that come with scikit-learn are always there, and are the same everywhere."""
    monkeypatch.setenv("INKDIGITS_DATA", str(tmp_path_factory.mktemp("empty")))


@pytest.fixture(scope="module", params=shipped_models())
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A shipped model's own file, and the same in eight bits: shipped as well, or made here."""
    exact, quantised = resolve_model(request.param), tmp_path_factory.mktemp("int8") / "model.onnx"
    if request.param + INT8 in quantised_models():
        return exact, resolve_model(request.param + INT8)
    quantised.write_bytes(quantise(exact.read_bytes(), few_digits(500).images))
    return exact, quantised


def test_it_answers_nearly_alike_in_any_batch(both: tuple[Path, Path]) -> None:
    images = few_digits(143, "validation").images
    exact, quantised = (Recogniser(path, threads=1).classify(images) for path in both)
    assert np.abs(exact - quantised).mean() < 6e-3
    assert (exact.argmax(axis=1) != quantised.argmax(axis=1)).mean() <= 0.04, (
        "of hands that `nano` hardly knows"
    )
    assert not np.array_equal(exact, quantised), "nothing was rounded"
    one_by_one = np.concatenate(
        [Recogniser(both[1], threads=1).classify(image[None]) for image in images[:5]]
    )
    assert one_by_one == pytest.approx(quantised[:5], abs=1e-6)


def test_its_weights_are_integers_but_for_the_last_layer_s(both: tuple[Path, Path]) -> None:
    model = onnx.load(both[1])
    onnx.checker.check_model(model, full_check=True)
    large = [
        init for init in model.graph.initializer if len(init.dims) > 1 and np.prod(init.dims) > 1
    ]
    exact = [init for init in large if init.data_type == onnx.TensorProto.FLOAT]
    assert len(exact) == 1, [init.name for init in exact]
    for init in large:
        if init.data_type == onnx.TensorProto.INT8:
            assert np.abs(onnx.numpy_helper.to_array(init).astype(int)).max() <= 64, (
                "eight bits overflow on older processors"
            )


def test_what_the_file_tells_of_itself_is_kept(both: tuple[Path, Path]) -> None:
    before, after = (
        onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map for path in both
    )
    assert after.items() >= (before | {"precision": "int8"}).items()


def test_nobody_is_shown_integers_as_feature_maps(both: tuple[Path, Path]) -> None:
    with pytest.raises(BadModel, match="without int8"):
        compute_layers(Recogniser(both[1]), few_digits(1).images[0])


def test_it_needs_digits(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="no digits"):
        quantise(resolve_model("nano").read_bytes(), few_digits(0).images)


@pytest.mark.slow
def test_the_command_says_what_it_costs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "default.onnx"
    assert main(["export", "default", "-o", str(path), "--int8"]) == 0
    printed, said = capfd.readouterr()
    assert "of 180 digits otherwise" in printed
    assert said == "", "the quantisation's own advice is of no use to a user"
    assert [found.name for found in tmp_path.iterdir()] == ["default.onnx"]


@pytest.mark.slow
def test_a_file_that_reads_too_much_otherwise_is_refused_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(exact: bytes, images: Any) -> bytes:
        """As if its ranges had been set by something else: blank paper."""
        return quantise(exact, np.zeros_like(images))

    monkeypatch.setattr(export, "quantise", worse)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"what was there")
    sentence = (
        r"^in eight bits it would read \d+ of 180 digits otherwise, more than 2%; not written"
    )
    with pytest.raises(InkdigitsError, match=sentence):
        export_run("tiny", path, int8=True)
    assert path.read_bytes() == b"what was there"


def test_without_its_libraries_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match="export"):
        quantise(resolve_model("nano").read_bytes(), few_digits(1).images)
