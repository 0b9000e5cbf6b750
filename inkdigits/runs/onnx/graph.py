"""A torch network in, the same calculation as an ONNX model out.

The network is run once on an example while `_Recorder` watches: every call of a torch function
becomes one ONNX node, written by the function in writers.py that stands for it. torch's own
exporter can do any network and takes seconds; this one knows the few functions that our networks
call, and takes a tenth of one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from inkdigits.core.errors import InkdigitsError, needs_extra
from inkdigits.runs.onnx.nodes import Nodes
from inkdigits.runs.onnx.writers import WRITERS, onnx_type

OPSET = 20  # of ONNX's operators
IR_VERSION = 10  # of the file format that goes with it


def to_onnx(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    dynamic: Mapping[int, str],
) -> Any:
    """Return a network as an ONNX model.

    Args:
        network: in evaluation mode, on the CPU.
        inputs: examples by their names in the file, in the order in which the network takes them.
        output_names: in the file.
        dynamic: the axes of all inputs that may be of any size, with their names in the file.

    Raises:
        MissingExtra: onnx is not installed.
        InkdigitsError: the network calls a function that has no writer.
    """
    with needs_extra("exporting a model", "export"):
        from onnx import helper

    nodes = Nodes(network, inputs)
    with torch.no_grad(), _Recorder(nodes):
        outputs = network(*inputs.values())

    if isinstance(outputs, Tensor):
        outputs = (outputs,)
    for name, output in zip(output_names, outputs, strict=True):
        nodes.add("Identity", [output], name=name)

    takes = [_value_info(name, example, dynamic) for name, example in inputs.items()]
    # Where more than the batch varies, the shapes of outputs are left open.
    varies = dynamic if set(dynamic) == {0} else dict.fromkeys(range(8))
    gives = [
        _value_info(name, output, varies)
        for name, output in zip(output_names, outputs, strict=True)
    ]
    graph = helper.make_graph(nodes.nodes, "inkdigits", takes, gives, nodes.constants)
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def set_metadata(model: Any, facts: Mapping[str, str]) -> None:
    """Write what an ONNX model's file says of itself."""
    from onnx import helper

    helper.set_model_props(model, dict(facts))


def _value_info(name: str, example: Tensor, dynamic: Mapping[int, str | None]) -> Any:
    """Describe an input or output; axes in `dynamic` may be of any size."""
    from onnx import helper

    shape = [dynamic.get(axis, size) for axis, size in enumerate(example.shape)]
    return helper.make_tensor_value_info(name, onnx_type(example.dtype), shape)


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    """Yield values, and those in sequences among them."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


class _Recorder(TorchFunctionMode):
    """Adds an ONNX node for each torch function that is called with a value of the graph."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__()
        self.nodes = nodes

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        result = function(*args, **given)
        is_recorded = any(map(self.nodes.knows, _flat([*args, *given.values()])))
        if is_recorded and isinstance(result, Tensor):
            name = resolve_name(function) or getattr(function, "__name__", str(function))
            write = WRITERS.get(name.rpartition(".")[2])
            if write is None:
                raise InkdigitsError(f"the network calls {name}, which cannot be exported yet")

            self.nodes.call(result, write(self.nodes, *args, **given))

        return result
