"""The ONNX file says what the torch network says; a file that would not is not left behind."""

import copy
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from few_digits import TRAINED, few_digits
from numpy.typing import NDArray
from scipy import special
from torch import nn

from inkdigits.core.errors import BadValue, CannotWrite, InkdigitsError, MissingExtra
from inkdigits.data.datasets import Split
from inkdigits.reading.layers import compute_layers
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs import export
from inkdigits.runs.export import ExportedNetwork, export_onnx, largest_difference
from inkdigits.training.loop import seeded_network
from inkdigits.training.predictions import predict_logits, to_ink
from inkdigits.training.recipe import Recipe, load_recipe

pytestmark = pytest.mark.slow  # networks are trained

TEMPERATURE = 1.7


@dataclass(frozen=True)
class Exported:
    recipe: Recipe
    network: nn.Module
    path: Path
    difference: float


def sure(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Recipe, nn.Module]:
    """Make a network that is sure of what it says: flat probabilities would hide differences."""
    recipe = load_recipe(name, settings)
    network = seeded_network(recipe, 0)
    ink = to_ink(torch.from_numpy(few_digits(256).images))
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        network.train()(ink)  # so that batch normalisation has statistics of its own
        last.weight.mul_(16 / network.eval()(ink).std())

    return recipe, network


def calibrated(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the file should say, without the exporter and in double precision behind the logits."""
    split = Split(images, np.zeros(len(images), np.uint8))
    probabilities: NDArray[np.float64] = special.softmax(
        predict_logits(network, split).double().numpy() / TEMPERATURE, axis=1
    )
    return probabilities


def run(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    (probabilities,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"images": images}
    )
    return probabilities


@pytest.fixture(scope="module", params=TRAINED)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    recipe, network = sure(request.param)
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    facts = {"recipe": recipe.name, "seed": 0}
    return Exported(
        recipe,
        network,
        path,
        export_onnx(network, path, few_digits(1437).images, temperature=TEMPERATURE, facts=facts),
    )


@pytest.fixture(scope="module")
def lenet() -> nn.Module:
    return sure("lenet")[1]


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_the_file_gives_the_network_s_calibrated_probabilities_in_any_batch(
    exported: Exported, count: int
) -> None:
    images = few_digits(count).images
    probabilities, expected = run(exported.path, images), calibrated(exported.network, images)
    assert (probabilities.shape, probabilities.dtype) == (expected.shape, np.float32)
    assert np.abs(probabilities - expected).max() <= 1e-4
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert expected[0].max() > 0.5, "probabilities that are all alike would prove nothing"


def test_the_reported_difference_is_the_true_one_and_small(exported: Exported) -> None:
    assert 0 <= exported.difference <= 1e-4
    digits = few_digits(1000)
    with torch.no_grad():
        torch_s = (
            ExportedNetwork(exported.network, TEMPERATURE)
            .eval()(torch.from_numpy(digits.images))
            .numpy()
        )
    assert exported.difference == pytest.approx(
        np.abs(run(exported.path, digits.images) - torch_s).max(), abs=1e-6
    )


def test_the_file_is_one_and_whole_and_says_what_it_takes_and_gives(exported: Exported) -> None:
    onnx.checker.check_model(os.fspath(exported.path), full_check=True)
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("images", "tensor(uint8)", [28, 28])
    classes = exported.recipe.options.get("classes", 10)
    assert (given.name, given.type, given.shape[1:]) == (
        "probabilities",
        "tensor(float)",
        [classes],
    )
    assert isinstance(taken.shape[0], str), "any number of images"
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["recipe"] == exported.recipe.name
    assert metadata["seed"] == "0"
    assert metadata["softmax_temperature"] == str(TEMPERATURE)


def test_the_file_does_not_say_where_on_this_machine_it_was_made(exported: Exported) -> None:
    content = exported.path.read_bytes()
    for module in (export, torch):
        assert os.fsencode(Path(str(module.__file__)).parent) not in content


def test_the_recogniser_reads_it_and_applies_the_temperature_once(exported: Exported) -> None:
    images = few_digits(200).images
    expected = calibrated(exported.network, images)[:, :10]
    expected /= expected.sum(axis=1, keepdims=True)  # where an eleventh class is left out
    assert np.abs(Recogniser(exported.path, threads=1).classify(images) - expected).max() <= 1e-4


def test_exporting_leaves_the_network_as_it_is_and_prints_nothing(
    tmp_path: Path, lenet: nn.Module, capfd: pytest.CaptureFixture[str]
) -> None:
    network = copy.deepcopy(lenet).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    before = copy.deepcopy(network.state_dict())
    strides = [parameter.stride() for parameter in network.parameters()]
    export_onnx(network, tmp_path / "model.onnx", few_digits(10).images)
    assert network.training
    assert [parameter.stride() for parameter in network.parameters()] == strides
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert capfd.readouterr() == ("", "")


# ---- what is not written: here the exporter gives `lenet`'s program whatever it is asked to export


@pytest.fixture(scope="module")
def program(lenet: nn.Module) -> Any:
    return export._graph(ExportedNetwork(lenet, 1.0).eval())


@pytest.fixture
def faulty_exporter(monkeypatch: pytest.MonkeyPatch, program: Any) -> None:
    monkeypatch.setattr(export, "_graph", lambda _: program)


def altered(network: nn.Module, amount: float) -> nn.Module:
    """The same network but for one of its last biases."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        list(changed.parameters())[-1][0] += amount
    return changed


@pytest.mark.usefixtures("faulty_exporter")
@pytest.mark.parametrize("before", [None, b"the file that was there"])
def test_a_file_that_differs_is_refused_and_what_was_there_stays(
    tmp_path: Path, lenet: nn.Module, before: bytes | None
) -> None:
    path = tmp_path / "model.onnx"
    if before:
        path.write_bytes(before)
    sentence = (
        r"^the exported file differs from the network by \d\.\de-0\d, more than 1e-04; not written$"
    )
    with pytest.raises(InkdigitsError, match=sentence):
        export_onnx(altered(lenet, 1.0), path, few_digits(256).images)
    assert [found.read_bytes() for found in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.usefixtures("faulty_exporter")
def test_a_difference_within_rounding_is_let_through_and_reported(
    tmp_path: Path, lenet: nn.Module
) -> None:
    difference = export_onnx(altered(lenet, 1e-4), tmp_path / "model.onnx", few_digits(256).images)
    assert 1e-6 < difference <= 1e-4
    assert (tmp_path / "model.onnx").is_file()


@pytest.mark.usefixtures("faulty_exporter")
def test_a_network_that_gives_no_numbers_is_refused(tmp_path: Path, lenet: nn.Module) -> None:
    with pytest.raises(InkdigitsError, match="differs from the network by nan"):
        export_onnx(altered(lenet, float("nan")), tmp_path / "model.onnx", few_digits(10).images)
    assert list(tmp_path.iterdir()) == []


def test_without_digits_nothing_could_be_compared_and_nothing_is_written(
    tmp_path: Path, lenet: nn.Module
) -> None:
    with pytest.raises(BadValue, match="no digits to compare"):
        export_onnx(lenet, tmp_path / "model.onnx", few_digits(0).images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("faulty_exporter")
def test_at_most_the_first_thousand_digits_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lenet: nn.Module
) -> None:
    compared: list[NDArray[np.uint8]] = []

    def watch(exported: ExportedNetwork, content: bytes, images: NDArray[np.uint8]) -> float:
        compared.append(images)
        return largest_difference(exported, content, images)

    monkeypatch.setattr(export, "largest_difference", watch)
    images = few_digits(1437).images
    export_onnx(lenet, tmp_path / "model.onnx", images)
    assert np.array_equal(compared[0], images[:1000])


@pytest.mark.usefixtures("faulty_exporter")
def test_a_full_disk_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lenet: nn.Module
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match=r"cannot write .*model\.onnx: No space left on device"):
        export_onnx(lenet, tmp_path / "model.onnx", few_digits(10).images)
    assert list(tmp_path.iterdir()) == []


def test_without_the_exporter_s_libraries_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lenet: nn.Module
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "onnx"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtra, match=r"^exporting a model needs more .*'inkdigits\[export\]'$"
    ):
        export_onnx(lenet, tmp_path / "model.onnx", few_digits(10).images)
    assert list(tmp_path.iterdir()) == []


# ---- channels in fours


@pytest.mark.parametrize(("channels", "empty"), [(12, 0), (13, 3)])
def test_a_shared_network_gets_empty_channels_that_change_nothing(
    tmp_path: Path, channels: int, empty: int
) -> None:
    _, network = sure("nano", {"options": {"channels": channels}})
    images = few_digits(100).images
    assert export_onnx(network, tmp_path / "model.onnx", images) <= 1e-5
    recogniser = Recogniser(tmp_path / "model.onnx", threads=1)
    assert int(recogniser.metadata.get("empty_channels", 0)) == empty
    assert {len(layer.maps) for layer in compute_layers(recogniser, images[0])} == {channels}, (
        "nobody is shown what holds nothing"
    )
    kernels = [
        init.dims[0]
        for init in onnx.load(tmp_path / "model.onnx").graph.initializer
        if len(init.dims) == 4
    ]
    assert set(kernels) == {channels + empty}
