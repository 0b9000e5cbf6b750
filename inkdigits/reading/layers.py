"""A look inside a network while it reads one digit: what each layer makes of it, and which pixels mattered.

Takes a 28x28 field and a Recogniser. Feature maps are outputs that are added to the model's own ONNX graph; which pixels mattered
is found by covering them. All of it runs on ONNX Runtime. Knows nothing of pictures or HTTP.
"""

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inkdigits.core.errors import BadModel, MissingExtra
from inkdigits.reading.recogniser import Recogniser

PATCH, STEP = (
    6,
    2,
)  # pixels: a stroke is 2 to 4 wide, so that a patch covers it and leaves the rest of the digit
MOST_MAPS = 32  # of a layer; more cannot be told apart by eye
MOST_UNITS = 512  # of a layer whose maps are one pixel each
MOST_BYTES = 640 << 10  # of all maps together; a third more in base64
LEARNED = ("Conv", "Gemm", "MatMul")
ACTIVATIONS = (
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Gelu",
    "HardSwish",
    "Sigmoid",
    "Tanh",
    "Softplus",
)
# What may stand between weights and their activation.
BETWEEN = (
    "Unsqueeze",
    "BatchNormalization",
    "Add",
    "Mul",
    "MaxPool",
    "AveragePool",
    "Identity",
    "Dropout",
)


@dataclass(frozen=True)
class Layer:
    """What one layer makes of one digit: (C, H, W) float32; of one without places, such as a fully connected one, (C, 1, 1)."""

    name: str
    maps: NDArray[np.float32]

    @property
    def shown(self) -> int:
        """How many maps are worth showing."""
        return min(len(self.maps), MOST_UNITS if self.maps[0].size == 1 else MOST_MAPS)

    def as_dict(self) -> dict[str, Any]:
        """The first maps as bytes, from the layer's lowest value, or 0 where that is lower, to its highest."""
        low, high = min(0.0, float(self.maps.min())), float(self.maps.max())
        shown = self.maps[: self.shown]
        grey = np.rint((shown - low) * (255 / ((high - low) or 1))).astype(np.uint8)
        scale = {"shown": len(shown), "lowest": round(low, 6), "highest": round(high, 6)}
        return {
            "name": self.name,
            "shape": list(self.maps.shape),
            **scale,
            "maps": base64.b64encode(grey.tobytes()).decode(),
        }


def look_inside(recogniser: Recogniser, field: NDArray[np.uint8]) -> dict[str, Any]:
    """What the network thinks of a field, (28, 28) uint8, and why: the object of `POST /v1/inside`.

    Raises MissingExtra without onnx, and BadModel where the layers cannot be got at.
    """
    maps = layers(recogniser, field)
    probabilities, mattered = occluded(recogniser, field)
    shown, room = [], MOST_BYTES
    for layer in maps:
        room -= layer.maps[: layer.shown].size
        if room < 0:
            break
        shown.append(layer.as_dict())
    return {
        "probabilities": [round(value, 6) for value in probabilities.tolist()],
        "occlusion": [[round(value, 6) for value in row] for row in mattered.tolist()],
        "layers": shown,
    }


def occluded(
    recogniser: Recogniser, field: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Which pixels mattered: probabilities (10,), and (28, 28) how much the best one falls where paper covers the pixel.

    Of all patches over a pixel of ink, the mean; negative where covering it makes the network surer.
    Source: Zeiler & Fergus 2014, sec. 4.2.
    """
    places = [(y, x) for y in range(0, 29 - PATCH, STEP) for x in range(0, 29 - PATCH, STEP)]
    covered = np.repeat(field[None], 1 + len(places), axis=0)
    for image, (y, x) in zip(covered[1:], places, strict=True):
        image[y : y + PATCH, x : x + PATCH] = 0
    changes = (covered != field).any(axis=(1, 2))  # what covers only paper need not be computed
    changes[0] = True
    found = recogniser.classify(covered[changes])
    best = int(found[0].argmax())
    drops = np.zeros(len(covered), np.float32)
    drops[changes] = found[0, best] - found[:, best]
    total, count = np.zeros((2, 28, 28), np.float32)
    for (y, x), drop in zip(places, drops[1:], strict=True):
        total[y : y + PATCH, x : x + PATCH] += drop
        count[y : y + PATCH, x : x + PATCH] += 1
    return found[0], np.where(field > 0, total / count, 0)  # paper on paper covers nothing


def layers(recogniser: Recogniser, field: NDArray[np.uint8]) -> list[Layer]:
    """What each layer makes of a field, after its activation where it has one. Raises MissingExtra or BadModel."""
    names, session = _opened(recogniser)
    values = session.run(names, {"images": field[None]}) if names else []
    empty = int(recogniser.metadata.get("empty_channels", 0))  # which export.py added
    return [
        Layer(f"layer {place}", _as_maps(value[0, : value.shape[1] - empty]))
        for place, value in enumerate(values, start=1)
    ]


def _as_maps(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return value if value.ndim == 3 else value.reshape(-1, 1, 1)


@lru_cache(maxsize=1)
def _opened(recogniser: Recogniser) -> tuple[list[str], onnxruntime.InferenceSession]:
    """The names of what layers compute, and the model with these as outputs."""
    try:
        import onnx  # only this needs it, and loading it takes a while
    except ModuleNotFoundError as error:
        raise MissingExtra("looking inside", "serve") from error

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        model = onnx.load_model_from_string(recogniser.onnx)
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise BadModel(
                "its layers are integers; the same model without int8 can be looked into"
            )
        names = _outputs_of_layers(model.graph)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        return names, onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # such as weights in another file; the model itself has been loaded
        raise BadModel(f"nobody can look inside this model: {error}") from error


def _outputs_of_layers(graph: Any) -> list[str]:
    """Each activation that follows upon weights; of weights with two dimensions in space that none follows, what they give."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def activated(name: str) -> str | None:
        for node in readers.get(name, ()):
            if node.op_type in ACTIVATIONS:
                return str(node.output[0])
            if node.op_type in BETWEEN and (found := activated(node.output[0])):
                return found
        return None

    found = ((node, activated(node.output[0])) for node in graph.node if node.op_type in LEARNED)
    return list(
        dict.fromkeys(
            name or node.output[0] for node, name in found if name or node.op_type == "Conv"
        )
    )
