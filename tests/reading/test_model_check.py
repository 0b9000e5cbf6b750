"""Models from elsewhere are tried before they are used, and refused with one sentence."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from inkdigits.core.errors import BadModel
from inkdigits.reading import model_check
from inkdigits.reading.model_check import check_model, stop_checks
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.network import Network

onnx = pytest.importorskip("onnx", reason="the extra train is not installed")

from benchmarks.soak.stranger_models import (  # noqa: E402 (it needs onnx)
    CONTENTS,
    INPUT,
    INT64,
    NAN,
    OUTPUT,
    by,
    equal,
    in_sevens,
    model,
    node,
    slow,
    tensor,
)

pytestmark = pytest.mark.slow  # models are tried in processes of their own

DAMAGED = "is damaged or not an ONNX model"
OTHER = "was made for something else"
NO_PROBABILITIES = "answers with no probabilities"
LIBRARY = "has an operator '.*' of another library"
UNBOUNDED = "has an operator 'ConstantOfShape' whose size may depend on pixels"
BAD = {
    "a loop": "has an operator 'Loop' with a graph of its own",
    "a loop in a function": "has an operator 'Loop'",
    "a loop in another format": "is in a format of ONNX Runtime's own",
    "3.6 GB": f"cannot read 1 images at once|{DAMAGED}",
    "slow": "took too long",
    "much memory for a digit": UNBOUNDED,
    "much time for a digit": UNBOUNDED,
    "other files": f"{DAMAGED}: .*External data",
    "custom operator": LIBRARY,
    "escapes": LIBRARY,
    "NaN": NO_PROBABILITIES,
    "infinite": NO_PROBABILITIES,
    "too much": NO_PROBABILITIES,
    "negative": NO_PROBABILITIES,
    "12 classes": OTHER,
    "another shape than said": f"{OTHER}|{DAMAGED}|answers 1 images with",
    "one image": "cannot read 3 images at once",
    "empty": DAMAGED,
    "cut": DAMAGED,
    "text": DAMAGED,
    "zeros": DAMAGED,
}


@pytest.mark.parametrize("name", BAD)
def test_a_model_of_no_use_is_refused_with_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(40))
    with pytest.raises(BadModel, match=BAD[name]) as error:
        check_model(CONTENTS[name](), tmp_path / "model.onnx")

    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_model_in_a_folder_whose_name_is_no_text_is_read(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "model.onnx").write_bytes(equal())
    assert Network(folder / "model.onnx", 1).outputs == 10

    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(BadModel, match="is damaged or not an ONNX model"):
        Network(folder / "model.onnx", 1)


def test_a_model_from_elsewhere_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(equal())
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


def framed(field: int, content: bytes) -> bytes:
    """Return a field of a protocol buffer."""
    return bytes([field << 3 | 2]) + in_sevens(len(content), 4) + content


@pytest.mark.parametrize("before", [b"", b'"\x05Shape'], ids=["two graphs", "two names"])
def test_what_has_no_bound_cannot_be_hidden(before: bytes, tmp_path: Path) -> None:
    """Parts of a graph make one graph, and of two names of an operator the second counts."""
    whole = onnx.load_model_from_string(CONTENTS["much memory for a digit"]())
    nodes = [framed(1, before + each.SerializeToString()) for each in whole.graph.node]
    del whole.graph.node[:]
    hidden = whole.SerializeToString() + framed(7, b"".join(nodes))
    assert len(onnx.load_model_from_string(hidden).graph.node) == len(nodes)
    with pytest.raises(BadModel, match=UNBOUNDED):
        check_model(hidden, tmp_path / "model.onnx")


def test_sizes_may_depend_on_the_number_of_images(tmp_path: Path) -> None:
    nodes = [
        node("Shape", [INPUT], ["three"]),
        node("Slice", ["three", "zero", "one"], ["count"]),
        node("Concat", ["count", "ten"], ["shape"], axis=0),
        node("Reshape", ["row", "shape"], [OUTPUT]),
    ]
    constants = [tensor(name, [n], INT64) for name, n in (("zero", 0), ("one", 1), ("ten", 10))]
    check_model(model(nodes, constants), tmp_path / "model.onnx")


def test_an_error_for_some_pictures_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENTS["an error for a digit"]())
    network = Network(path, 1)
    network.answer(np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(BadModel, match=r"cannot read these images: .*out of data bounds"):
        network.answer(np.full((2, 28, 28), 30, np.uint8))


def test_a_model_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BadModel, match="it has more than 134,217,728 bytes"):
        Network(tmp_path / "model.onnx", 1)


def test_nothing_is_imported_from_the_folder_where_a_model_is_tried(tmp_path: Path) -> None:
    for name in ("numpy", "onnxruntime", "inkdigits"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")

    (tmp_path / "model.onnx").write_bytes(equal())
    read = "from inkdigits.reading.network import Network; from pathlib import Path; "
    read += "Network(Path('model.onnx'), 1)"
    subprocess.run([sys.executable, "-P", "-c", read], cwd=tmp_path, check=True)
    assert not (tmp_path / "ran").exists()
