"""The page reader's two networks in, two self-contained ONNX files out, each compared with torch.

Both take uint8 and normalise inside, so that nothing else has to know how. Their kernels are stored
in half precision, which halves the files; ONNX Runtime widens them when it loads a file.
"""

import copy
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inkdigits.core.errors import InkdigitsError, MissingExtra
from inkdigits.core.files import write_whole
from inkdigits.training.page.network import GRAIN, PageMaps

PAGE_FILE = "page.onnx"
LOOK_FILE = "look.onnx"
LARGE_TENSOR = 256  # values from which a tensor is stored in half precision
TOLERANCE = 2e-3  # the largest difference of a logit; they reach 20, in float32


class CalibratedLook(nn.Module):
    """The second network with probabilities as its output."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, looks: Tensor) -> Tensor:
        return torch.softmax(self.network(looks) / self.temperature, dim=1)


def export_page_network(network: nn.Module, path: Path) -> float:
    """Write the page network: uint8 (N, 3, H, W) in, the seven maps of PageMaps out.

    Args:
        network: in evaluation mode, on the CPU.
        path: of the ONNX file.

    Returns:
        The largest difference from torch, on random pictures of two sizes.

    Raises:
        InkdigitsError: the file would differ too much.
        MissingExtra: onnx or onnxscript is not installed.
    """
    network = rounded(network)
    sides = {2: GRAIN * torch.export.Dim("rows"), 3: GRAIN * torch.export.Dim("columns")}
    content = _traced(
        network,
        torch.zeros(2, 3, 4 * GRAIN, 6 * GRAIN, dtype=torch.uint8),
        "pictures",
        list(PageMaps._fields),
        {0: torch.export.Dim("N"), **sides},
    )
    shapes = [(1, 3, 3 * GRAIN, 5 * GRAIN), (2, 3, 12 * GRAIN, 4 * GRAIN)]
    return _write_if_equal(network, content, path, shapes)


def export_look_network(network: nn.Module, path: Path, temperature: float) -> float:
    """Write the second network: uint8 (N, 3, 32, 32) in, calibrated probabilities (N, 16) out.

    Arguments, result and errors are those of `export_page_network`.
    """
    calibrated = CalibratedLook(rounded(network), temperature).eval()
    content = _traced(
        calibrated,
        torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        "looks",
        ["probabilities"],
        {0: torch.export.Dim("N")},
    )
    return _write_if_equal(calibrated, content, path, [(1, 3, 32, 32), (7, 3, 32, 32)])


def rounded(network: nn.Module) -> nn.Module:
    """Copy a network, fold normalisation into its kernels, and round these to half precision."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential) or len(module) < 2:
            continue
        if isinstance(module[0], nn.Conv2d) and isinstance(module[1], nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()

    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())

    return network


def _halved(content: bytes) -> bytes:
    """Store the large tensors of an ONNX file in half precision, each widened by a Cast node."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    widening = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE_TENSOR:
            continue

        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        widening.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))

    nodes = [*widening, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def _traced(
    network: nn.Module,
    example: Tensor,
    input_name: str,
    output_names: list[str],
    dynamic: dict[int, Any],
) -> bytes:
    """Return the network as the content of an ONNX file."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it tells of operators of packages that are not installed
    try:
        with warnings.catch_warnings():
            # onnxscript uses parts of torch and of itself that are on their way out.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (example,),
                input_names=[input_name],
                output_names=output_names,
                dynamic_shapes=(dynamic,),
                dynamo=True,
                verbose=False,
            )
    except ImportError as error:
        raise MissingExtra("exporting a model", "export") from error
    finally:
        exporter.setLevel(level)

    assert program is not None, "the exporter raises where it cannot"
    for node in program.model.graph:
        node.metadata_props.clear()  # they name the files on this machine
    return _halved(program.model_proto.SerializeToString())


def _write_if_equal(
    network: nn.Module, content: bytes, path: Path, shapes: Sequence[tuple[int, ...]]
) -> float:
    """Write an ONNX file that agrees with torch on noise of several shapes."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    chance = np.random.default_rng(0)

    largest = 0.0
    for shape in shapes:
        noise = chance.integers(0, 256, shape, np.uint8)
        with torch.no_grad():
            expected = network(torch.from_numpy(noise))
        expected = expected if isinstance(expected, tuple) else (expected,)
        for ours, theirs in zip(session.run(None, {name: noise}), expected, strict=True):
            largest = max(largest, float(np.abs(ours - theirs.numpy()).max()))

    if not largest <= TOLERANCE:
        raise InkdigitsError(
            f"the exported file differs from the network by {largest:.1e}, "
            f"more than {TOLERANCE:.0e}; not written"
        )
    write_whole(path, content)
    return largest
