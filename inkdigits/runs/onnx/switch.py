"""Puts a switch into an ONNX graph: what only some outputs need is computed if it is asked for.

ONNX Runtime computes a whole file even if few of its outputs are wanted. Without its fine maps the
page network takes two thirds of the time (a picture of 480 x 640 pixels: 72 instead of 102 ms of
one core), and with the switch on it takes no longer than without a switch.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto


def with_switch(model: "ModelProto", always: Collection[str], switch: str) -> "ModelProto":
    """Return a model that computes some of its outputs only if a switch is on.

    Args:
        model: a checked one; it is not changed.
        always: names of the outputs that are computed in any case.
        switch: name of the new input, a uint8 scalar, since not every language has tensors of
            booleans. Where it is 0, the other outputs are empty.
    """
    from onnx import TensorProto, checker, helper

    graph = model.graph
    first = _needed(graph.node, always)
    rest = [node for node in graph.node if node not in first]
    optional = [output for output in graph.output if output.name not in always]

    taken = {name for node in first for name in node.input}
    outer = [weight for weight in graph.initializer if weight.name in taken]
    inner = [weight for weight in graph.initializer if weight.name not in taken]

    on = helper.make_graph(rest, "on", [], optional, inner)
    _rename(on, {output.name: f"{output.name}.on" for output in optional})
    is_on = f"{switch}.is_on"
    asked = helper.make_node("Cast", [switch], [is_on], to=TensorProto.BOOL)
    choice = helper.make_node(
        "If",
        [is_on],
        [output.name for output in optional],
        then_branch=on,
        else_branch=_empty(optional),
    )
    inputs = [*graph.input, helper.make_tensor_value_info(switch, TensorProto.UINT8, [])]
    nodes = [*first, asked, choice]
    switched = helper.make_graph(nodes, graph.name, inputs, graph.output, outer)
    made = helper.make_model(
        switched, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    checker.check_model(made)
    return made


def _needed(nodes: Sequence["NodeProto"], outputs: Collection[str]) -> list["NodeProto"]:
    """Return the nodes, in order, that compute some outputs."""
    names = set(outputs)
    needed = []
    for node in reversed(nodes):
        if names.intersection(node.output):
            needed.append(node)
            names.update(node.input)

    return needed[::-1]


def _rename(graph: "GraphProto", names: dict[str, str]) -> None:
    """Give values of a graph other names, since a branch may not reuse those around it."""
    for output in graph.output:
        output.name = names[output.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _empty(outputs: Sequence["ValueInfoProto"]) -> "GraphProto":
    """Return a branch that answers float32 tensors without values, of as many dimensions."""
    from onnx import TensorProto, helper

    nodes = []
    empty = []
    for output in outputs:
        name = f"{output.name}.off"
        shape = [0] * len(output.type.tensor_type.shape.dim)
        value = helper.make_tensor(name, TensorProto.FLOAT, shape, [])
        nodes.append(helper.make_node("Constant", [], [name], value=value))
        empty.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    return helper.make_graph(nodes, "off", [], empty)
