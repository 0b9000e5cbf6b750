"""The layers shown are those of torch, and the pixels that mattered are those whose loss hurts."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from serving import (
    PICTURE,
    Answer,
    Server,
    place_model,
    serving,
    serving_hastily,
    wait_until,
)

from inkdigits.core.errors import BadModel
from inkdigits.reading.layers import (
    PATCH,
    STEP,
    Layer,
    compute_layers,
    look_inside,
    measure_occlusion,
)
from inkdigits.reading.model_files import resolve_model, shipped_models
from inkdigits.reading.recogniser import Recogniser, cached_recogniser

DIGIT = few_digits(3).images[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--model", "nano") as running:
        yield running


def ask(server: Server, body: bytes, kind: str = "application/octet-stream") -> Answer:
    return server.post(body, "/v1/inside", kind)


def maps_of(layer: dict) -> np.ndarray:
    """The feature maps of an answer, in the layer's own values."""
    grey = np.frombuffer(base64.b64decode(layer["maps"]), np.uint8).reshape(
        layer["shown"], *layer["shape"][1:]
    )
    return layer["lowest"] + grey * ((layer["highest"] - layer["lowest"]) / 255)


# ---- layers


@pytest.mark.parametrize("model", shipped_models())
def test_every_shipped_model_can_be_looked_into(model: str) -> None:
    seen = look_inside(cached_recogniser(model), DIGIT)

    assert len(seen["layers"]) >= (3 if model == "fast-99.3" else 6)
    assert len(json.dumps(seen)) < 1_000_000
    assert np.allclose(
        seen["probabilities"], cached_recogniser(model).classify(DIGIT)[0], atol=1e-6
    )

    for layer in seen["layers"]:
        assert layer["lowest"] == 0 < layer["highest"]
        channels, *places = layer["shape"]
        assert layer["shown"] == min(512 if places == [1, 1] else 32, channels)


def test_the_maps_are_those_of_the_network_in_torch(trained: Path) -> None:
    torch = pytest.importorskip("torch")
    from inkdigits.runs.checkpoint import load_checkpoint
    from inkdigits.training.predictions import to_ink

    network, outputs = load_checkpoint(trained).network.eval(), []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(lambda *seen: outputs.append(seen[2].relu()))
    with torch.no_grad():
        network(to_ink(torch.from_numpy(DIGIT[None])))
    shown = compute_layers(Recogniser(trained), DIGIT)

    assert len(shown) == len(outputs) - 1 > 1  # the last gives no features, but the digit

    for layer, output in zip(shown, outputs[:-1], strict=True):
        expected = torch.nn.functional.max_pool2d(output, 2) if output.ndim == 4 else output
        assert np.allclose(layer.maps.ravel(), expected.ravel(), atol=1e-4), layer.name


def test_greys_go_from_the_lowest_value_to_the_highest() -> None:
    maps = np.linspace(-1, 3, 40 * 4).reshape(40, 2, 2).astype(np.float32)
    told = Layer("layer 1", maps).as_dict()

    assert told["shape"] == [40, 2, 2]
    assert np.allclose(maps_of(told), maps[:32], atol=4 / 255)
    assert set(
        base64.b64decode(Layer("layer 1", np.zeros((1, 2, 2), np.float32)).as_dict()["maps"])
    ) == {0}


# ---- pixels that matter


@pytest.mark.parametrize("empty", ["many", "1000"])
def test_a_model_that_says_nonsense_of_its_layers_is_refused(empty: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    made = onnx.load(resolve_model("nano"))
    onnx.helper.set_model_props(made, {"empty_channels": empty})
    onnx.save(made, tmp_path / "model.onnx")
    with pytest.raises(BadModel, match=r"cannot be looked into: (invalid literal|layer 1 has no)"):
        compute_layers(Recogniser(tmp_path / "model.onnx"), DIGIT)


def test_which_pixels_mattered_is_what_a_slow_loop_finds() -> None:
    recogniser = cached_recogniser("nano")
    best = recogniser.classify(DIGIT)[0].argmax()
    whole = recogniser.classify(DIGIT)[0, best]
    falls: list[list[list[float]]] = [[[] for _ in range(28)] for _ in range(28)]
    for y in range(0, 29 - PATCH, STEP):
        for x in range(0, 29 - PATCH, STEP):
            covered = DIGIT.copy()
            covered[y : y + PATCH, x : x + PATCH] = 0
            fall = whole - recogniser.classify(covered)[0, best]
            for pixel in np.ndindex(PATCH, PATCH):
                falls[y + pixel[0]][x + pixel[1]].append(fall)
    expected = [
        [np.mean(fall) if DIGIT[y, x] else 0 for x, fall in enumerate(row)]
        for y, row in enumerate(falls)
    ]

    assert np.allclose(measure_occlusion(recogniser, DIGIT)[1], expected, atol=1e-5)


def test_paper_does_not_matter() -> None:
    assert not measure_occlusion(cached_recogniser("nano"), np.zeros((28, 28), np.uint8))[1].any()

    mattered = measure_occlusion(cached_recogniser("nano"), DIGIT)[1]

    assert not mattered[DIGIT == 0].any()
    assert mattered[DIGIT > 0].any()


# ---- over HTTP


def test_the_service_answers_what_python_does(server: Server) -> None:
    answer = ask(server, DIGIT.tobytes())
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == look_inside(cached_recogniser("nano"), DIGIT)


@pytest.mark.parametrize(
    ("body", "kind", "refused"),
    [
        (
            b"",
            "application/octet-stream",
            (400, "bad_field", "the body should be a field, 28 rows of 28 bytes, and not 0 bytes"),
        ),
        (b"x" * 783, "application/octet-stream", (400, "bad_field", None)),
        (
            b"x" * 785,
            "application/octet-stream",
            (413, "too_large", "the body has more than the 784 bytes that are allowed"),
        ),
        (
            PICTURE,
            "image/png",
            (415, "unsupported_media_type", "the content type should be application/octet-stream"),
        ),
    ],
)
def test_a_body_that_is_no_field_is_refused(
    server: Server, body: bytes, kind: str, refused: tuple[int, str, str | None]
) -> None:
    status, code, message = ask(server, body, kind).error
    assert (status, code) == refused[:2]
    assert refused[2] in (None, message)


def test_a_new_model_is_the_one_that_is_looked_into(tmp_path: Path) -> None:
    model = place_model("nano", tmp_path / "mine.onnx")
    with serving_hastily(tmp_path / "log", "--model", model) as server:
        assert ask(server, DIGIT.tobytes()).json == look_inside(cached_recogniser("nano"), DIGIT)
        place_model("tiny", model)
        wait_until(
            lambda: (
                ask(server, DIGIT.tobytes()).json == look_inside(cached_recogniser("tiny"), DIGIT)
            )
        )


@pytest.mark.parametrize(
    ("fault", "code", "why"),
    [
        (
            "sys.modules['onnx'] = None",
            "missing_extra",
            "looking inside needs more than the core install: pip install 'inkdigits[serve]'",
        ),
        (
            "import onnx; onnx.load_model_from_string = lambda _: 1 / 0",
            "bad_model",
            "this model cannot be looked into: division by zero",
        ),
    ],
)
def test_digits_are_read_even_if_the_layers_cannot_be_looked_into(
    tmp_path: Path, fault: str, code: str, why: str
) -> None:
    with serving_hastily(tmp_path / "log", first=fault) as server:
        assert ask(server, DIGIT.tobytes()).error == (
            501,
            code,
            "this service cannot look inside its network; its log says why",
        )
        assert server.process.stderr.readline() == f"inkdigits: {why}\n"
        assert server.post(PICTURE).json["text"] == "27"
