"""A torch network in, the same calculation as an ONNX model out.

The network is run once on an example while `Recorder` watches: every call of a torch function
becomes one ONNX node, written by the function in onnx_writers.py that stands for it. torch's own
exporter can do any network and takes seconds; this one knows the few functions that our networks
call, and takes a tenth of one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from inkdigits.core.errors import InkdigitsError, needs_extra
from inkdigits.runs.onnx_writers import WRITERS, onnx_type

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

    recorder = Recorder(network, inputs)
    with torch.no_grad(), recorder:
        outputs = network(*inputs.values())

    if isinstance(outputs, Tensor):
        outputs = (outputs,)
    for name, output in zip(output_names, outputs, strict=True):
        recorder.add("Identity", [output], name=name)

    takes = [_value_info(name, example, dynamic) for name, example in inputs.items()]
    # Where more than the batch varies, the shapes of outputs are left open.
    varies = dynamic if set(dynamic) == {0} else dict.fromkeys(range(8))
    gives = [
        _value_info(name, output, varies)
        for name, output in zip(output_names, outputs, strict=True)
    ]
    graph = helper.make_graph(recorder.nodes, "inkdigits", takes, gives, recorder.constants)
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


class Recorder(TorchFunctionMode):
    """Writes an ONNX node for each torch function that is called with a recorded value.

    Attributes:
        nodes: of the graph, in the order of the calls.
        constants: the network's weights and other numbers, as ONNX tensors.
    """

    def __init__(self, network: nn.Module, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = {
            id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()
        }
        self._names = {id(example): name for name, example in inputs.items()}
        self._kept: list[Any] = list(inputs.values())  # an id stays taken while its object lives

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        result = function(*args, **given)
        is_recorded = any(id(value) in self._names for value in _flat([*args, *given.values()]))
        if is_recorded and isinstance(result, Tensor):
            name = resolve_name(function) or getattr(function, "__name__", str(function))
            write = WRITERS.get(name.rpartition(".")[2])
            if write is None:
                raise InkdigitsError(f"the network calls {name}, which cannot be exported yet")

            self._name(result, write(self, *args, **given))

        return result

    def _name(self, value: Tensor, name: str) -> None:
        self._names[id(value)] = name
        self._kept.append(value)

    def value(self, given: Any) -> str:
        """Return the name of a value, a weight, or a number, which becomes a constant."""
        if isinstance(given, str):
            return given
        if id(given) in self._names:
            return self._names[id(given)]

        array: NDArray[Any]
        if isinstance(given, Tensor):
            array = given.detach().numpy()
        elif isinstance(given, (int, float)):
            array = np.array(given, np.float32)
        else:
            array = np.asarray(given)

        name = self.constant(array, self._weights.get(id(given), ""))
        if isinstance(given, Tensor):
            self._name(given, name)

        return name

    def constant(self, array: NDArray[Any], name: str = "") -> str:
        """Add a constant, and return its name."""
        from onnx import numpy_helper

        name = name or f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def add(self, operator: str, given: Sequence[Any], *, name: str = "", **attributes: Any) -> str:
        """Add a node of ONNX's, and return the name of its output.

        Args:
            operator: ONNX's name.
            given: values, weights or numbers; None for an input that is left out.
            name: of the output, or empty.
            **attributes: of the operator.
        """
        from onnx import helper

        names = ["" if value is None else self.value(value) for value in given]
        output = name or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output
