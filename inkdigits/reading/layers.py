"""A look inside a network that reads a digit: what each layer computes, which pixels matter.

A Recogniser and a 28x28 image come in; feature maps and an occlusion map go out. Feature maps are
outputs that are added to the model's own ONNX graph, which runs on ONNX Runtime like the model.
"""

import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE, Pixels
from inkdigits.core.errors import BadModel, MissingExtra
from inkdigits.reading.recogniser import Recogniser

PATCH = 6  # pixels; strokes are 2 to 4 wide: a patch covers one and leaves the rest of the digit
STEP = 2  # pixels from one patch to the next

MOST_MAPS = 32  # of a layer; more cannot be told apart by eye
MOST_UNITS = 512  # of a layer whose maps are one pixel each
MOST_BYTES = 640 << 10  # of all maps together; base64 adds a third

# ONNX operators with weights, those that finish a layer, and those that may stand in between.
LEARNED = ("Conv", "Gemm", "MatMul")
ACTIVATIONS = {
    "Elu",
    "Gelu",
    "HardSwish",
    "LeakyRelu",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Tanh",
}
BETWEEN = {
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Dropout",
    "Identity",
    "MaxPool",
    "Mul",
    "Unsqueeze",
}


@dataclass(frozen=True)
class Layer:
    """The feature maps of one layer for one digit.

    Attributes:
        name: "layer 1" and so on, from the input on.
        maps: (C, H, W) float32; (C, 1, 1) of a fully connected layer.
    """

    name: str
    maps: NDArray[np.float32]

    @property
    def shown(self) -> int:
        """The number of maps that are worth showing."""
        most = MOST_UNITS if self.maps[0].size == 1 else MOST_MAPS
        return min(len(self.maps), most)

    def as_dict(self) -> dict[str, Any]:
        """Return the first maps as bytes, from the layer's lowest value, or 0, to its highest."""
        lowest = min(0.0, float(self.maps.min()))
        highest = float(self.maps.max())
        shown = self.maps[: self.shown]
        grey = np.rint((shown - lowest) * (255 / ((highest - lowest) or 1))).astype(np.uint8)
        return {
            "name": self.name,
            "shape": list(self.maps.shape),
            "shown": len(shown),
            "lowest": round(lowest, 6),
            "highest": round(highest, 6),
            "maps": base64.b64encode(grey.tobytes()).decode(),
        }


def look_inside(recogniser: Recogniser, image: Pixels) -> dict[str, Any]:
    """Return what a network thinks of an image, and why: the object of `POST /v1/inside`.

    Args:
        recogniser: of one model, not of a cascade.
        image: (28, 28) uint8, paper 0 to ink 255.

    Raises:
        MissingExtra: onnx is not installed.
        BadModel: the model's layers are quantised, or it has several files.
    """
    layers = compute_layers(recogniser, image)
    probabilities, occlusion = measure_occlusion(recogniser, image)

    shown = []
    room = MOST_BYTES
    for layer in layers:
        room -= layer.maps[: layer.shown].size
        if room < 0:
            break
        shown.append(layer.as_dict())

    return {
        "probabilities": [round(value, 6) for value in probabilities.tolist()],
        "occlusion": [[round(value, 6) for value in row] for row in occlusion.tolist()],
        "layers": shown,
    }


def measure_occlusion(
    recogniser: Recogniser, image: Pixels
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measure which pixels matter, by covering them with paper.

    Source: Zeiler & Fergus 2014, sec. 4.2.

    Args:
        recogniser: of any model.
        image: (28, 28) uint8, paper 0 to ink 255.

    Returns:
        The probabilities of the digits, (10,), and for each pixel of ink by how much the best of
        them falls where a patch covers it, the mean over all patches, (28, 28). It is negative
        where covering the pixel makes the network surer.
    """
    starts = range(0, SIDE + 1 - PATCH, STEP)
    patches = [(slice(y, y + PATCH), slice(x, x + PATCH)) for y in starts for x in starts]
    covered = np.repeat(image[None], 1 + len(patches), axis=0)  # the first stays as it is
    for copy, patch in zip(covered[1:], patches, strict=True):
        copy[patch] = 0

    to_compute = (covered != image).any(axis=(1, 2))  # paper on paper changes nothing
    to_compute[0] = True
    probabilities = recogniser.classify(covered[to_compute])
    best = int(probabilities[0].argmax())
    falls = np.zeros(len(covered), np.float32)
    falls[to_compute] = probabilities[0, best] - probabilities[:, best]

    total = np.zeros((SIDE, SIDE), np.float32)
    count = np.zeros((SIDE, SIDE), np.float32)
    for patch, fall in zip(patches, falls[1:], strict=True):
        total[patch] += fall
        count[patch] += 1

    return probabilities[0], np.where(image > 0, total / count, 0)


def compute_layers(recogniser: Recogniser, image: Pixels) -> list[Layer]:
    """Compute what each layer makes of an image, after its activation if it has one.

    Args:
        recogniser: of one model, not of a cascade.
        image: (28, 28) uint8, paper 0 to ink 255.

    Raises:
        MissingExtra: onnx is not installed.
        BadModel: the model's layers are quantised, or it has several files.
    """
    names, session = _open_layers(recogniser)
    layers = []
    try:
        values = session.run(names, {"images": image[None]}) if names else []
        padding = int(recogniser.metadata.get("empty_channels", 0))  # which export.py added
        for place, value in enumerate(values, start=1):
            maps = value[0, : value.shape[1] - padding]
            if not (maps.size and np.isfinite(maps).all()):
                raise ValueError(f"layer {place} has no maps, or values that are no numbers")

            shaped = maps if maps.ndim == 3 else maps.reshape(-1, 1, 1)
            layers.append(Layer(f"layer {place}", shaped))
    except Exception as error:  # the model may be a stranger's, and say anything of its layers
        raise BadModel(f"this model cannot be looked into: {error}") from error

    return layers


@lru_cache(maxsize=1)
def _open_layers(recogniser: Recogniser) -> tuple[list[str], onnxruntime.InferenceSession]:
    """Return the names of the layers' outputs, and the model with these as its outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    names, model = with_layers(recogniser.onnx)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # such as weights in another file
        raise BadModel(f"this model cannot be looked into: {error}") from error

    return names, session


def with_layers(model: bytes) -> tuple[list[str], bytes]:
    """Return the names of the layers' outputs, and the model with these added to its outputs.

    Args:
        model: in ONNX's format; it has been loaded before.

    Raises:
        MissingExtra: onnx is not installed.
        BadModel: the model's layers are quantised.
    """
    try:
        import onnx  # only this needs it, and loading it takes a while
    except ModuleNotFoundError as error:
        raise MissingExtra("looking inside", "serve") from error

    try:
        loaded = onnx.load_model_from_string(model)
        if any(node.op_type == "QuantizeLinear" for node in loaded.graph.node):
            raise BadModel("its layers are integers; look into the same model without int8")

        names = _find_layers(loaded.graph)
        loaded.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        return names, loaded.SerializeToString()
    except Exception as error:  # of any kind: the model may be a stranger's
        raise BadModel(f"this model cannot be looked into: {error}") from error


def _find_layers(graph: Any) -> list[str]:
    """Return the names of the layers' outputs: of their activations, or of a bare convolution."""
    readers = defaultdict[str, list[Any]](list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)

    names = []
    for node in graph.node:
        if node.op_type in LEARNED:
            name = _find_activation(node.output[0], readers)
            if name is None and node.op_type == "Conv":
                name = node.output[0]

            names.append(name)

    return [name for name in dict.fromkeys(names) if name]


def _find_activation(name: str, readers: Mapping[str, list[Any]]) -> str | None:
    """Return the output of the activation that follows upon a value, or None."""
    for node in readers.get(name, ()):
        output = str(node.output[0])
        if node.op_type in ACTIVATIONS:
            return output

        if node.op_type in BETWEEN:
            found = _find_activation(output, readers)
            if found:
                return found

    return None
