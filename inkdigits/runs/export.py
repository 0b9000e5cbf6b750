"""A checkpoint as one self-contained ONNX file: uint8 digits in, calibrated probabilities out, everything between inside.

The file is compared with the torch network on real digits before it takes its name; a file that differs is never left behind.
"""

import copy
import logging
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inkdigits import __version__
from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import BadData, BadModel, BadValue, InkdigitsError, MissingExtra
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.runs.checkpoint import load_run
from inkdigits.runs.quantisation import BLOCK, quantise
from inkdigits.training.models import SharedNet
from inkdigits.training.predictions import to_ink

COMPARED = 1000  # digits
TOLERANCE = 1e-4  # largest difference of a probability
MOST_OTHERWISE = 0.02  # of the digits that a file in eight bits may read otherwise
LANES = 4  # ONNX Runtime's fast convolutions take channels by fours: with 32, `tiny` is 1.7 times as fast as with its own 30


class ExportedNetwork(nn.Module):
    """What the ONNX file computes: uint8 (N, 28, 28), paper 0 to ink 255 -> float32 probabilities (N, 10)."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        """images: uint8 (N, 28, 28). Returns float32 (N, 10); each row sums to 1."""
        logits: Tensor = self.network(to_ink(images))
        return torch.softmax(logits / self.temperature, dim=1)


def export_onnx(
    network: nn.Module,
    path: Path,
    images: NDArray[np.uint8],
    *,
    temperature: float = 1.0,
    facts: Mapping[str, Any] | None = None,
) -> float:
    """Write `path` and return the largest difference of a probability between it and torch on `images`.

    The network stays as it is and where it is. images: uint8 (N, 28, 28), real digits; the first 1,000 are compared. temperature:
    the logits are divided by it, which is how confidence is calibrated. facts: text that travels in the file's metadata.
    Raises InkdigitsError where the two differ by more than 1e-4, BadValue without digits to compare them on, CannotWrite, and
    MissingExtra without onnx and onnxscript.
    """
    if not len(images):
        raise BadValue(
            "no digits to compare the exported file with the network on; at least one is needed"
        )
    exported = ExportedNetwork(copy.deepcopy(network).cpu(), temperature).eval()
    exported.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stubs leave it out
    quick = copy.deepcopy(exported)
    empty = fill_lanes(quick)
    program = _trace(quick)
    program.model.metadata_props.update({key: str(value) for key, value in (facts or {}).items()})
    if empty:
        program.model.metadata_props["empty_channels"] = str(empty)  # of each layer, the last
    program.model.metadata_props["softmax_temperature"] = str(temperature)
    compared = images[:COMPARED]
    difference = 0.0

    def write_and_compare(temporary: Path) -> None:
        nonlocal difference
        program.save(temporary, external_data=False)
        difference = largest_difference(exported, temporary, compared)
        if not difference <= TOLERANCE:
            raise InkdigitsError(
                f"the exported file differs from the network by {difference:.1e}, more than {TOLERANCE:.0e}; not written"
            )

    write_whole(path, write_and_compare)
    return difference


def fill_lanes(network: nn.Module) -> int:
    """Give each SharedNet in it channels that hold 0, up to a multiple of LANES; what it says stays the same. Returns how many."""
    empty = 0
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SharedNet):
                channels = child.linear.in_features
                empty = -channels % LANES
                setattr(parent, name, _widened(child, channels + empty))
    return empty


def _widened(network: SharedNet, channels: int) -> SharedNet:
    """The same with more channels, all of whose weights are 0."""
    wide = SharedNet(channels).eval()
    weights = wide.state_dict()
    for name, values in network.state_dict().items():
        weights[name].fill_(name.endswith("running_var"))  # a variance of 0 would be divided by
        weights[name][tuple(map(slice, values.shape))] = values
    return wide


def _trace(exported: ExportedNetwork) -> Any:
    """The network as an ONNX program with any number of images. Two images, because one would be taken for a constant."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it tells of operators of packages that are not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # onnxscript uses parts of torch and of itself that are on their way out
            program = torch.onnx.export(
                exported,
                (torch.zeros(2, 28, 28, dtype=torch.uint8),),
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_shapes={"images": {0: torch.export.Dim("N", min=1)}},
                dynamo=True,
                verbose=False,
            )
    except ImportError as error:
        raise MissingExtra("exporting a model", "export") from error
    finally:
        exporter.setLevel(level)
    assert program is not None, "the exporter raises where it cannot"
    for node in program.model.graph:
        node.metadata_props.clear()  # where on this machine each line of our code lies
    return program


def largest_difference(exported: ExportedNetwork, path: Path, images: NDArray[np.uint8]) -> float:
    """Of any probability between torch and ONNX Runtime on uint8 (N, 28, 28)."""
    with torch.no_grad():
        ours = exported(torch.from_numpy(images)).numpy()
    return float(np.abs(ours - _answers(path, images)).max())


def _answers(model: Path | bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """ONNX Runtime's, on uint8 (N, 28, 28)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else os.fspath(model)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    said: NDArray[np.float32] = np.concatenate(
        [session.run(["probabilities"], {"images": block})[0] for block in blocks]
    )
    return said


@dataclass(frozen=True)
class Export:
    """What `inkdigits export` prints: the file, and how far it is from the network, on digits that nothing was set by.

    largest_difference: of a probability. read_otherwise: how many of the `compared` digits; in float32 that is 0.
    """

    path: str
    bytes: int
    precision: str  # "float32" or "int8"
    largest_difference: float
    read_otherwise: int
    compared: int
    compared_on: str  # a dataset's name


def export_run(
    model: str | Path, path: Path, *, int8: bool = False, data_dir: str | Path | None = None
) -> Export:
    """Write the network of a shipped model or a run folder as one ONNX file, compared with it on real digits.

    Those are MNIST's where they lie at hand, else optdigits. int8: in eight bits, whose ranges are set by other digits of the same
    set. Raises InkdigitsError; then whatever lay at `path` lies there still.
    """
    checkpoint = load_run(model)
    try:
        digits = load_dataset("mnist", data_dir=data_dir, download=False)
    except BadData:
        digits = load_dataset("optdigits")
    try:
        facts = {
            "recipe": checkpoint.recipe.name,
            "data": checkpoint.config["data"]["name"],
            "seed": checkpoint.config["seed"],
        }
        facts["inkdigits"] = __version__
        temperature = float(checkpoint.config["temperature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"the {CONFIG_FILE} of {model} is damaged: no good {error}") from error
    compared = digits.validation.images
    given: dict[str, Any] = {"temperature": temperature, "facts": facts}
    if int8:
        difference, otherwise = export_int8(
            checkpoint.network, path, digits.train.images, compared, **given
        )
        return Export(
            str(path),
            path.stat().st_size,
            "int8",
            difference,
            otherwise,
            len(compared),
            digits.name,
        )
    compared = compared[:COMPARED]
    difference = export_onnx(checkpoint.network, path, compared, **given)
    return Export(
        str(path), path.stat().st_size, "float32", difference, 0, len(compared), digits.name
    )


def export_int8(
    network: nn.Module,
    path: Path,
    images: NDArray[np.uint8],
    compared: NDArray[np.uint8],
    *,
    temperature: float = 1.0,
    facts: Mapping[str, Any] | None = None,
) -> tuple[float, int]:
    """`export_onnx` in eight bits. Returns the largest difference of a probability on `compared`, and how many are read otherwise.

    images, compared: uint8 (N, 28, 28), real digits; the ranges are set by the first, the answers compared on the others.
    temperature, facts: as for `export_onnx`. Raises what that raises, and InkdigitsError where more than 2 % are read otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder, "float32.onnx")
        export_onnx(network, exact, compared, temperature=temperature, facts=facts)
        content = quantise(exact, images)
        before, after = _answers(exact, compared), _answers(content, compared)
    otherwise = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
    if otherwise > MOST_OTHERWISE * len(compared):
        raise InkdigitsError(
            f"in eight bits it would read {otherwise:,} of {len(compared):,} digits otherwise, more than {MOST_OTHERWISE:.0%}; not "
            "written. Without --int8 it can be exported"
        )
    write_whole(path, content)
    return float(np.abs(before - after).max()), otherwise
