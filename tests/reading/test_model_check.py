"""Models from elsewhere are tried before they are used, and refused with one sentence."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkdigits.core.errors import BadModel
from inkdigits.reading import model_check
from inkdigits.reading.model_check import check_model, stop_checks
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.network import Network

onnx = pytest.importorskip("onnx", reason="the extra train is not installed")
helper, FLOAT, UINT8, INT64 = onnx.helper, 1, 2, 7

NODE = helper.make_node
OUTPUT = "probabilities"


def tensor(name: str, values: Any, kind: int = FLOAT) -> Any:
    array = np.asarray(values)
    return helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


def model(
    nodes: Sequence[Any],
    initializers: Sequence[Any] = (),
    outputs: Sequence[Any] = ("N", 10),
    images: Sequence[Any] = ("N", 28, 28),
    **more: Any,
) -> bytes:
    """Return a model; `row` in it is (N, 10) of equal probabilities."""
    row = [
        NODE("Cast", ["images"], ["floats"], to=FLOAT),
        NODE("Flatten", ["floats"], ["flat"]),
        NODE("MatMul", ["flat", "zeros"], ["logits"]),
        NODE("Softmax", ["logits"], ["row"]),
    ]
    graph = helper.make_graph(
        [*row, *nodes],
        "graph",
        [helper.make_tensor_value_info("images", UINT8, images)],
        [helper.make_tensor_value_info(OUTPUT, FLOAT, outputs)],
        [tensor("zeros", np.zeros((784, 10))), *initializers],
    )
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("stranger", 1)]
    return helper.make_model(
        graph, opset_imports=versions, ir_version=9, **more
    ).SerializeToString()


def by(operator: str, value: float) -> bytes:
    return model([NODE(operator, ["row", "value"], [OUTPUT])], [tensor("value", value)])


def endless() -> bytes:
    body = helper.make_graph(
        [NODE("Identity", ["go"], ["on"]), NODE("Identity", ["before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", 9, []),
            helper.make_tensor_value_info("before", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", 9, []),
            helper.make_tensor_value_info("after", FLOAT, None),
        ],
    )
    loop = NODE("Loop", ["", "yes", "row"], [OUTPUT], body=body)
    return model([loop], [tensor("yes", True, 9)])


def loop_in_a_function() -> bytes:
    inner = onnx.load_model_from_string(endless()).graph.node[-1]
    function = helper.make_function(
        "stranger",
        "Calm",
        ["yes", "row"],
        [inner.output[0]],
        [inner],
        [helper.make_opsetid("", 17)],
    )
    call = NODE("Calm", ["yes", "row"], [OUTPUT], domain="stranger")
    return model([call], [tensor("yes", True, 9)], functions=[function])


def large() -> bytes:
    nodes = [
        NODE("ConstantOfShape", ["size"], ["much"]),
        NODE("ReduceSum", ["much"], ["sum"], keepdims=0),
        NODE("Add", ["row", "sum"], [OUTPUT]),
    ]
    return model(nodes, [tensor("size", [900_000_000], INT64)])


def slow() -> bytes:
    nodes = [NODE("MatMul", ["flat", "wide"], ["x0"])]
    nodes += [NODE("MatMul", [f"x{i}", "square"], [f"x{i + 1}"]) for i in range(20_000)]
    nodes += [
        NODE("ReduceSum", ["x20000"], ["sum"], keepdims=0),
        NODE("Add", ["row", "sum"], [OUTPUT]),
    ]
    return model(
        nodes, [tensor("wide", np.zeros((784, 512))), tensor("square", np.zeros((512, 512)))]
    )


def elsewhere() -> bytes:
    weights = onnx.TensorProto(name="value", data_type=FLOAT, dims=[10], data_location=1)
    weights.external_data.add(key="location", value="weights.bin")
    return model([NODE("Add", ["row", "value"], [OUTPUT])], [weights])


def named(text: str) -> bytes:
    return model([NODE(text, ["row"], [OUTPUT], domain="stranger")])


SHIPPED = resolve_model("nano").read_bytes()
TO_PROBABILITIES = [NODE("Identity", ["row"], [OUTPUT])]
NAN = float("nan")
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "a loop": (endless, "has an operator 'Loop' with a graph of its own"),
    "a loop in a function": (loop_in_a_function, "has an operator 'Loop'"),
    "3.6 GB": (large, "cannot read 1 images at once|damaged or not an ONNX model"),
    "slow": (slow, "took too long"),
    "other files": (elsewhere, "is damaged or not an ONNX model: .*External data"),
    "custom operator": (lambda: named("Evil"), "stranger:Evil.* is not a registered function/op"),
    "escapes": (lambda: named("\x1b[2J\nEvil"), "is not a registered function/op"),
    "NaN": (lambda: by("Mul", NAN), "answers with no probabilities"),
    "infinite": (lambda: by("Mul", float("inf")), "answers with no probabilities"),
    "too much": (lambda: by("Mul", 1.5), "answers with no probabilities"),
    "negative": (lambda: model(
        [NODE("Add", ["row", "value"], [OUTPUT])], [tensor("value", [1, -1, *[0] * 8])]
    ), "answers with no probabilities"),
    "12 classes": (lambda: model(
        [NODE("Concat", ["row", "two"], [OUTPUT], axis=1)], [tensor("two", np.zeros((1, 2)))],
        ("N", 12),
    ), "was made for something else"),
    "another shape than said": (lambda: model(
        [NODE("ReduceSum", ["row", "axis"], [OUTPUT], keepdims=0)], [tensor("axis", [0], INT64)],
        ("N", 10),
    ), "was made for|damaged|answers 1 images with"),
    "one image": (
        lambda: model(TO_PROBABILITIES, (), (1, 10), (1, 28, 28)), "cannot read 3 images at once"
    ),
    "empty": (lambda: b"", "is damaged or not an ONNX model"),
    "cut": (lambda: SHIPPED[:9000], "is damaged or not an ONNX model"),
    "text": (lambda: b"not a model", "is damaged or not an ONNX model"),
    "zeros": (lambda: bytes(10_000), "is damaged or not an ONNX model"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_model_of_no_use_is_refused_with_one_sentence(name: str, tmp_path: Path) -> None:
    make, why = BAD[name]
    (tmp_path / "weights.bin").write_bytes(bytes(40))
    with pytest.raises(BadModel, match=why) as error:
        check_model(make(), tmp_path / "model.onnx")

    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_model_in_a_folder_whose_name_is_no_text_is_read(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model(TO_PROBABILITIES))
    assert Network(folder / "model.onnx", 1).outputs == 10

    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(BadModel, match="is damaged or not an ONNX model"):
        Network(folder / "model.onnx", 1)


def test_a_model_from_elsewhere_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(TO_PROBABILITIES))
    images = np.zeros((2, 28, 28), np.uint8)
    assert Network(path, 1).answer(images) == pytest.approx(np.full((2, 10), 0.1))

    monkeypatch.setattr(model_check, "_try", lambda *_: pytest.fail("it is tried again"))
    assert Network(path, 1).outputs == 10


def test_a_trial_can_be_stopped(tmp_path: Path) -> None:
    """As when the service is told to stop meanwhile."""
    with ThreadPoolExecutor() as pool:
        trial = pool.submit(check_model, slow(), tmp_path / "model.onnx")
        while not (trial.done() or model_check._running):
            time.sleep(0.01)

        stop_checks()
        with pytest.raises(BadModel, match="took too long, or ended the process"):
            trial.result()


def test_shipped_models_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_check, "_try", lambda *_: pytest.fail("it is tried"))
    assert Network(resolve_model("nano"), 1).outputs == 10


def test_what_is_no_number_is_no_confidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial cannot see every image."""
    monkeypatch.setattr("inkdigits.reading.model_check.check_model", lambda *_: None)
    path = tmp_path / "model.onnx"
    for value in (NAN, float("inf")):
        path.write_bytes(by("Mul", value))
        assert not Network(path, 1).answer(np.zeros((2, 28, 28), np.uint8)).any()


def test_nothing_is_imported_from_the_folder_where_a_model_is_tried(tmp_path: Path) -> None:
    for name in ("numpy", "onnxruntime", "inkdigits"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")

    (tmp_path / "model.onnx").write_bytes(model(TO_PROBABILITIES))
    read = "from inkdigits.reading.network import Network; from pathlib import Path; "
    read += "Network(Path('model.onnx'), 1)"
    subprocess.run([sys.executable, "-P", "-c", read], cwd=tmp_path, check=True)
    assert not (tmp_path / "ran").exists()
