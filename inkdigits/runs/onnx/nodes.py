"""The nodes and constants of an ONNX graph while it is written."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


class Nodes:
    """Collects nodes, and knows the names of the values that flow between them.

    Args:
        network: its weights keep their names.
        inputs: tensors by the names that they have in the file.

    Attributes:
        nodes: of the graph, in the order in which they were added.
        constants: weights and other numbers, as ONNX tensors.
    """

    def __init__(self, network: nn.Module, inputs: Mapping[str, Tensor]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = {
            id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()
        }
        self._names = {id(example): name for name, example in inputs.items()}
        self._kept: list[Any] = list(inputs.values())  # an id stays taken while its object lives

    def knows(self, given: Any) -> bool:
        """Tell whether something is a value of the graph."""
        return id(given) in self._names

    def call(self, value: Tensor, name: str) -> None:
        """Give a value its name."""
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
            self.call(given, name)

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
