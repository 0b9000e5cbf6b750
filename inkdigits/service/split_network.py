"""Cuts a network in two, so that a browser computes only what it needs.

The bytes of an .onnx file come in; those of two go out. ONNX Runtime computes a whole file even if
few of its outputs are asked for: without its fine maps the page network takes two thirds of the
time (a thumbnail of 400 x 608 pixels: 67 instead of 101 ms of one core, 2026-11-30).
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from inkdigits.core.errors import needs_extra

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

MAPS = (None,) * 4  # (N, C, H, W), of any size: the shape of what one part hands to the other


def split_network(network: bytes, outputs: Collection[str]) -> tuple[bytes, bytes]:
    """Cut a network into what some of its outputs need, and what the others need beyond that.

    Args:
        network: an .onnx file.
        outputs: names of outputs of the first part.

    Returns:
        The two .onnx files. The first one's other outputs are the second one's inputs.

    Raises:
        MissingExtra: the package onnx is not installed.
    """
    with needs_extra("cutting a network in two", "export"):
        import onnx

    whole = onnx.load_model_from_string(network)
    first = _needed(whole.graph.node, outputs)
    rest = [node for node in whole.graph.node if node not in first]
    made = {name for node in first for name in node.output}
    shared = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, MAPS)
        for name in dict.fromkeys(name for node in rest for name in node.input)
        if name in made
    ]
    early = [output for output in whole.graph.output if output.name in outputs]
    late = [output for output in whole.graph.output if output.name not in outputs]
    parts = (
        _part(whole, first, list(whole.graph.input), [*early, *shared]),
        _part(whole, rest, shared, late),
    )
    return parts[0], parts[1]


def _needed(nodes: Sequence["NodeProto"], outputs: Collection[str]) -> list["NodeProto"]:
    """Return the nodes, in order, that compute some outputs."""
    names = set(outputs)
    needed = []
    for node in reversed(nodes):
        if names.intersection(node.output):
            needed.append(node)
            names.update(node.input)

    return needed[::-1]


def _part(
    whole: "ModelProto",
    nodes: Sequence["NodeProto"],
    inputs: Sequence["ValueInfoProto"],
    outputs: Sequence["ValueInfoProto"],
) -> bytes:
    """Return a model of some nodes, with the weights that these take."""
    import onnx

    taken = {name for node in nodes for name in node.input}
    weights = [weight for weight in whole.graph.initializer if weight.name in taken]
    graph = onnx.helper.make_graph(nodes, whole.graph.name or "part", inputs, outputs, weights)
    model = onnx.helper.make_model(
        graph, opset_imports=whole.opset_import, ir_version=whole.ir_version
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
