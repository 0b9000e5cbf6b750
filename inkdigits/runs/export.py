"""A checkpoint in, one self-contained ONNX file out.

The file takes uint8 digits and returns calibrated probabilities. It is compared with the torch
network on real digits before it gets its name, so a file that differs is never left behind.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inkdigits import __version__
from inkdigits.core.digits import CONFIG_FILE, SIDE, Pixels
from inkdigits.core.errors import BadData, BadModel, BadValue, InkdigitsError
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.reading.model_check import trust
from inkdigits.runs.checkpoint import load_run
from inkdigits.runs.onnx.graph import set_metadata, to_onnx
from inkdigits.runs.quantisation import in_blocks, quantise
from inkdigits.training.models import SharedNet
from inkdigits.training.predictions import to_ink

Probabilities = NDArray[np.float32]

MOST_COMPARED = 1000  # digits
TOLERANCE = 1e-4  # the largest difference of a probability
MOST_READ_OTHERWISE = 0.02  # of the digits, by a file in eight bits

# ONNX Runtime's fast convolutions take channels by fours: with 32 channels, `tiny` is 1.7 times as
# fast as with its own 30.
LANES = 4


class ExportedNetwork(nn.Module):
    """What the ONNX file computes: calibrated probabilities of uint8 digits."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        """Calculate probabilities.

        Args:
            images: uint8 (N, 28, 28), paper 0 to ink 255.

        Returns:
            float32 (N, 10) whose rows sum to 1.
        """
        logits: Tensor = self.network(to_ink(images))
        return torch.softmax(logits / self.temperature, dim=1)


@dataclass(frozen=True)
class Export:
    """What `inkdigits export` prints: the file, and how far it is from the network.

    Attributes:
        path: of the file.
        bytes: its size.
        precision: "float32" or "int8".
        largest_difference: of a probability, on digits that nothing was tuned on.
        read_otherwise: how many of these digits the file reads otherwise; 0 in float32.
        compared: the number of these digits.
        compared_on: the name of their dataset.
    """

    path: str
    bytes: int
    precision: str
    largest_difference: float
    read_otherwise: int
    compared: int
    compared_on: str


def export_run(
    model: str | Path, path: Path, *, int8: bool = False, data_dir: str | Path | None = None
) -> Export:
    """Write the network of a shipped model or a run folder as one ONNX file.

    It is compared with the network on MNIST's validation digits if they are at hand, else on those
    of optdigits. If anything fails, a file that was at `path` stays as it is.

    Args:
        model: a shipped model's name, or a folder made by training.
        path: of the ONNX file.
        int8: whether to quantise to eight bits; the training digits of the same set calibrate this.
        data_dir: the folder with the datasets; None for the default one.

    Raises:
        BadModel: the model is missing or damaged.
        CannotWrite: the file cannot be written.
        MissingExtra: onnx is not installed.
        InkdigitsError: the file would differ too much from the network.
    """
    checkpoint = load_run(model)
    config = checkpoint.config
    try:
        facts = {
            "recipe": checkpoint.recipe.name,
            "data": config["data"]["name"],
            "seed": config["seed"],
            "inkdigits": __version__,
        }
        temperature = float(config["temperature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"the {CONFIG_FILE} of {model} is damaged: no good {error}") from error

    try:
        digits = load_dataset("mnist", data_dir=data_dir, download=False)
    except BadData:
        digits = load_dataset("optdigits")
    compared = digits.validation.images
    if not int8:
        compared = compared[:MOST_COMPARED]

    read_otherwise = 0
    content, difference = _exported(checkpoint.network, compared, temperature, facts)
    if int8:
        exact = content
        content = quantise(exact, digits.train.images)
        difference, read_otherwise = _compare_int8(exact, content, compared)

    write_whole(path, content)
    return Export(
        path=str(path),
        bytes=path.stat().st_size,
        precision="int8" if int8 else "float32",
        largest_difference=difference,
        read_otherwise=read_otherwise,
        compared=len(compared),
        compared_on=digits.name,
    )


def export_onnx(
    network: nn.Module,
    path: Path,
    images: Pixels,
    *,
    temperature: float = 1.0,
    facts: Mapping[str, Any] | None = None,
) -> float:
    """Write a network as one ONNX file, once it agrees with torch on real digits.

    Args:
        network: stays as it is and where it is.
        path: of the ONNX file.
        images: uint8 (N, 28, 28), real digits; the first 1,000 are compared.
        temperature: the logits are divided by it, which calibrates the confidence.
        facts: what the file's metadata says besides.

    Returns:
        The largest difference of a probability between the file and torch.

    Raises:
        InkdigitsError: the two differ by more than 1e-4.
        BadValue: there are no digits to compare them on.
        CannotWrite: the file cannot be written.
        MissingExtra: onnx is not installed.
    """
    content, difference = _exported(network, images, temperature, facts or {})
    write_whole(path, content)
    return difference


def _compare_int8(exact: bytes, content: bytes, compared: Pixels) -> tuple[float, int]:
    """Compare an ONNX file in eight bits with the exact one, on digits that did not calibrate it.

    Returns:
        The largest difference of a probability, and how many digits are read otherwise.

    Raises:
        InkdigitsError: more than 2 % are read otherwise.
    """
    before = _probabilities(exact, compared)
    after = _probabilities(content, compared)
    read_otherwise = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
    if read_otherwise > MOST_READ_OTHERWISE * len(compared):
        raise InkdigitsError(
            f"in eight bits it would read {read_otherwise:,} of {len(compared):,} digits "
            f"otherwise, more than {MOST_READ_OTHERWISE:.0%}; not written. "
            "Without --int8 it can be exported"
        )

    return float(np.abs(before - after).max()), read_otherwise


def _exported(
    network: nn.Module, images: Pixels, temperature: float, facts: Mapping[str, Any]
) -> tuple[bytes, float]:
    """Return the content of an ONNX file, and its largest difference from torch."""
    if not len(images):
        raise BadValue(
            "no digits to compare the exported file with the network on; at least one is needed"
        )

    exported = ExportedNetwork(copy.deepcopy(network).cpu(), temperature).eval()
    # torch's stubs leave this call out.
    exported.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    quick = copy.deepcopy(exported)
    empty = fill_lanes(quick)

    model = _graph(quick)
    metadata = {key: str(value) for key, value in facts.items()}
    if empty:
        metadata["empty_channels"] = str(empty)  # the last ones of each layer
    metadata["softmax_temperature"] = str(temperature)
    set_metadata(model, metadata)
    content = model.SerializeToString()

    difference = largest_difference(exported, content, images[:MOST_COMPARED])
    if not difference <= TOLERANCE:
        raise InkdigitsError(
            f"the exported file differs from the network by {difference:.1e}, "
            f"more than {TOLERANCE:.0e}; not written"
        )

    trust(content)
    return content, difference


def fill_lanes(network: nn.Module) -> int:
    """Give each SharedNet in a network empty channels, up to a multiple of LANES.

    What the network says stays the same.

    Returns:
        How many empty channels the last SharedNet got.
    """
    empty = 0
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SharedNet):
                channels = child.linear.in_features
                empty = -channels % LANES
                setattr(parent, name, _widened(child, channels + empty))

    return empty


def _widened(network: SharedNet, channels: int) -> SharedNet:
    """Copy a network into one with more channels, all of whose weights are 0."""
    wide = SharedNet(channels).eval()
    weights = wide.state_dict()
    for name, values in network.state_dict().items():
        weights[name].fill_(name.endswith("running_var"))  # a variance of 0 would be divided by
        weights[name][tuple(map(slice, values.shape))] = values

    return wide


def _graph(exported: ExportedNetwork) -> Any:
    """Return the network as an ONNX model that takes any number of images."""
    images = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    return to_onnx(exported, {"images": images}, ["probabilities"], {0: "N"})


def largest_difference(exported: ExportedNetwork, content: bytes, images: Pixels) -> float:
    """Return the largest difference of a probability between torch and ONNX Runtime.

    Args:
        exported: the network in torch.
        content: of the ONNX file.
        images: uint8 (N, 28, 28).
    """
    with torch.no_grad():
        in_torch = exported(torch.from_numpy(images)).numpy()
    return float(np.abs(in_torch - _probabilities(content, images)).max())


def _probabilities(content: bytes, images: Pixels) -> Probabilities:
    """Return ONNX Runtime's probabilities, float32 (N, 10)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    answers = [session.run(None, {"images": block})[0] for block in in_blocks(images)]
    return np.concatenate(answers)
