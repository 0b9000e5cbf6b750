"""The page reader's two networks in, two self-contained ONNX files out, each compared with torch.

Both take uint8 and normalise inside, so that nothing else has to know how. Their kernels are stored
in half precision, which halves the files; ONNX Runtime widens them when it loads a file.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inkdigits.core.errors import InkdigitsError
from inkdigits.core.files import write_whole
from inkdigits.reading.page.find import KINDS
from inkdigits.reading.page.look import PLANES, SIDE
from inkdigits.reading.page.maps import GRAIN
from inkdigits.reading.page.networks import SWITCH
from inkdigits.runs.onnx.graph import to_onnx
from inkdigits.runs.onnx.switch import with_switch
from inkdigits.training.page.network import PageMaps
from inkdigits.training.page.votes import PooledLook, Votes

if TYPE_CHECKING:
    from onnx import ModelProto

PAGE_FILE = "page.onnx"
LOOK_FILE = "look.onnx"
COARSE_MAPS = ("writing", "height")  # which a first look at a picture needs alone
LARGE_TENSOR = 256  # values from which a tensor is stored in half precision
TOLERANCE = 2e-3  # the largest difference of a logit; they reach 20, in float32. Not yet measured


def export_page_network(network: nn.Module, path: Path) -> float:
    """Write the page network: uint8 (N, 3, H, W) in, the seven maps of PageMaps out.

    With its second input, `fine`, at 0 the maps of symbols are left out.

    Args:
        network: in evaluation mode, on the CPU.
        path: of the ONNX file.

    Returns:
        The largest difference from torch, on random pictures of two sizes.

    Raises:
        InkdigitsError: the file would differ too much.
        MissingExtra: onnx is not installed.
    """
    network = rounded(network)
    example = {"pictures": torch.zeros(1, 3, GRAIN, GRAIN, dtype=torch.uint8)}
    model = to_onnx(network, example, PageMaps._fields, {0: "N", 2: "H", 3: "W"})
    content = with_switch(_halved(model), COARSE_MAPS, SWITCH).SerializeToString()

    shapes = [(1, 3, 3 * GRAIN, 5 * GRAIN), (2, 3, 12 * GRAIN, 4 * GRAIN)]
    noise = [(_noise(shape),) for shape in shapes]
    return _write_if_equal(network, content, path, noise, {SWITCH: np.array(1, np.uint8)})


def export_look_network(network: nn.Module, path: Path, votes: Votes) -> float:
    """Write the second network, which pools its votes with those of the page network.

    It takes looks, uint8 (N, 6, 32, 32), and the page network's logits, float32 (N, 16), and gives
    calibrated probabilities (N, 16).

    Args:
        network: in evaluation mode, on the CPU.
        path: of the ONNX file.
        votes: how much each network's count.

    Returns:
        The largest difference from torch, on random looks and logits.

    Raises:
        InkdigitsError: the file would differ too much.
        MissingExtra: onnx is not installed.
    """
    both = PooledLook(rounded(network), votes).eval()
    example = {
        "looks": torch.zeros(1, 2 * PLANES, SIDE, SIDE, dtype=torch.uint8),
        "page_logits": torch.zeros(1, KINDS),
    }
    content = _halved(to_onnx(both, example, ["probabilities"], {0: "N"})).SerializeToString()

    chance = torch.Generator().manual_seed(0)
    noise = [
        (_noise((n, 2 * PLANES, SIDE, SIDE)), 3 * torch.randn(n, KINDS, generator=chance))
        for n in (1, 7)
    ]
    return _write_if_equal(both, content, path, noise)


def _noise(shape: tuple[int, ...]) -> Tensor:
    """Draw pixels, the same ones every time."""
    chance = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=chance)


def rounded(network: nn.Module) -> nn.Module:
    """Copy a network, fold normalisation into its kernels, and round these to half precision.

    Args:
        network: on the CPU; it is not changed.

    Returns:
        The copy in evaluation mode, in float32.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential) or len(module) < 2:
            continue

        first = module[0]
        second = module[1]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(first, second)
            module[1] = nn.Identity()

    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())

    return network


def _halved(model: "ModelProto") -> "ModelProto":
    """Store the large tensors of an ONNX model in half precision, each widened by a Cast node."""
    from onnx import TensorProto, helper, numpy_helper

    widening = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE_TENSOR:
            continue

        name = tensor.name
        half_name = f"{name}.half"
        half = numpy_helper.from_array(values.astype(np.float16), half_name)
        tensor.CopyFrom(half)

        widen = helper.make_node("Cast", [half_name], [name], to=TensorProto.FLOAT)
        widening.append(widen)

    nodes = [*widening, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _write_if_equal(
    network: nn.Module,
    content: bytes,
    path: Path,
    examples: Sequence[tuple[Tensor, ...]],
    switches: Mapping[str, NDArray[np.uint8]] = MappingProxyType({}),
) -> float:
    """Write an ONNX file that agrees with torch on some inputs, with its switches as given."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    inputs = [given.name for given in session.get_inputs()]
    names = [name for name in inputs if name not in switches]

    largest = 0.0
    for example in examples:
        arrays = [given.numpy() for given in example]
        found = session.run(None, dict(zip(names, arrays, strict=True)) | dict(switches))
        with torch.no_grad():
            expected = network(*example)
        if not isinstance(expected, tuple):
            expected = (expected,)

        for ours, theirs in zip(found, expected, strict=True):
            difference = np.abs(ours - theirs.numpy()).max()
            # Unlike Python's, numpy's maximum does not lose what is not a number.
            largest = float(np.maximum(largest, difference))

    if not largest <= TOLERANCE:
        raise InkdigitsError(
            f"the exported file differs from the network by {largest:.1e}, "
            f"more than {TOLERANCE:.0e}; not written"
        )
    write_whole(path, content)
    return largest
