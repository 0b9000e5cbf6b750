"""A torch network in, the same calculation as an ONNX model out.

The network is run once on an example while `_Recorder` watches: every call of a torch function
becomes one ONNX node, written by the function in WRITERS that stands for it. torch's own exporter
can do any network and takes seconds; this one knows the few functions that our networks call, and
takes milliseconds. To export a network that calls another one, add a writer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from inkdigits.core.errors import InkdigitsError, needs_extra

OPSET = 20  # of ONNX's operators
IR_VERSION = 10  # of the file format that goes with it

Pair = int | tuple[int, ...] | list[int]


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

    recorder = _Recorder(network, inputs)
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
    return helper.make_tensor_value_info(name, _onnx_type(example.dtype), shape)


def _onnx_type(dtype: torch.dtype) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=dtype).numpy().dtype))


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    """Yield values, and those in sequences among them."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


class _Recorder(TorchFunctionMode):
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

        if isinstance(given, Tensor):
            array = given.detach().numpy()
        elif isinstance(given, (int, float)):
            array = np.float32(given)
        else:
            array = given

        name = self.constant(array, self._weights.get(id(given), ""))
        if isinstance(given, Tensor):
            self._name(given, name)

        return name

    def constant(self, array: Any, name: str = "") -> str:
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


Writer = Callable[..., str]


def _binary(operator: str, *, reverse: bool = False) -> Writer:
    """Make the writer of an operation on two values, one of which may be a number."""

    def write(recorder: _Recorder, one: Any, other: Any) -> str:
        given = [other, one] if reverse else [one, other]
        return recorder.add(operator, given)

    return write


def _unary(operator: str) -> Writer:
    """Make the writer of an operation on one value."""

    def write(recorder: _Recorder, x: Tensor, **_: Any) -> str:
        return recorder.add(operator, [x])

    return write


def _over_axis(operator: str) -> Writer:
    """Make the writer of an operation along one axis that leaves the shape as it is."""

    def write(recorder: _Recorder, x: Tensor, dim: int, **_: Any) -> str:
        return recorder.add(operator, [x], axis=dim)

    return write


def _reduction(operator: str) -> Writer:
    """Make the writer of an operation that takes axes away."""

    def write(recorder: _Recorder, x: Tensor, dim: Pair) -> str:
        return recorder.add(operator, [x, _integers(dim)], keepdims=0)

    return write


def _integers(values: Pair) -> Any:
    return np.atleast_1d(np.asarray(values, np.int64))


def _pair(values: Pair) -> list[int]:
    """Return what stands for height and width."""
    return [values, values] if isinstance(values, int) else list(values)


def _convolution(
    recorder: _Recorder,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> str:
    given = [x, weight] if bias is None else [x, weight, bias]
    return recorder.add(
        "Conv",
        given,
        kernel_shape=list(weight.shape[2:]),
        strides=_pair(stride),
        pads=_pair(padding) * 2,
        dilations=_pair(dilation),
        group=groups,
    )


def _linear(recorder: _Recorder, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    given = [x, weight] if bias is None else [x, weight, bias]
    return recorder.add("Gemm", given, transB=1)


def _max_pool(
    recorder: _Recorder,
    x: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    **_: Any,
) -> str:
    return recorder.add(
        "MaxPool",
        [x],
        kernel_shape=_pair(kernel_size),
        strides=_pair(kernel_size if stride is None else stride),
        pads=_pair(padding) * 2,
    )


def _batch_norm(
    recorder: _Recorder,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float = 1e-5,
    **_: Any,
) -> str:
    return recorder.add("BatchNormalization", [x, weight, bias, mean, variance], epsilon=eps)


def _instance_norm(recorder: _Recorder, x: Tensor, *, eps: float = 1e-5, **_: Any) -> str:
    ones = np.ones(x.shape[1], np.float32)
    return recorder.add("InstanceNormalization", [x, ones, 0 * ones], epsilon=eps)


def _interpolate(
    recorder: _Recorder,
    x: Tensor,
    size: Pair | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    **_: Any,
) -> str:
    is_nearest = mode == "nearest"
    scales = None if scale_factor is None else np.full(2, scale_factor, np.float32)
    sizes = None if size is None else _integers(size)
    return recorder.add(
        "Resize",
        [x, None, scales, sizes],
        axes=[2, 3],
        mode="nearest" if is_nearest else "linear",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric" if is_nearest else "half_pixel",
    )


def _flatten(recorder: _Recorder, x: Tensor, start_dim: int, end_dim: int = -1) -> str:
    if end_dim != -1:
        raise InkdigitsError("only flattening to the last axis can be exported yet")

    return recorder.add("Reshape", [x, _integers([0] * start_dim + [-1])])


def _permute(recorder: _Recorder, x: Tensor, *axes: int) -> str:
    return recorder.add("Transpose", [x], perm=list(axes))


def _unsqueeze(recorder: _Recorder, x: Any, dim: Pair) -> str:
    return recorder.add("Unsqueeze", [x, _integers(dim)])


def _stack(recorder: _Recorder, values: Sequence[Tensor], dim: int = 0) -> str:
    layers = [_unsqueeze(recorder, value, dim) for value in values]
    return recorder.add("Concat", layers, axis=dim)


def _concatenate(recorder: _Recorder, values: Sequence[Tensor], dim: int = 0) -> str:
    return recorder.add("Concat", values, axis=dim)


def _part(recorder: _Recorder, x: Tensor, index: Any) -> str:
    """Write an index: of slices, numbers, and None where an axis is added."""
    indices = index if isinstance(index, tuple) else (index,)
    name = recorder.value(x)
    axis = 0
    for one in indices:
        if one is None:
            name = _unsqueeze(recorder, name, axis)
            axis += 1
        elif isinstance(one, int):
            name = recorder.add("Gather", [name, np.int64(one)], axis=axis)
        else:
            if one != slice(None):
                bounds = one.indices(x.shape[axis])
                first, last, step = map(_integers, bounds)
                name = recorder.add("Slice", [name, first, last, _integers(axis), step])
            axis += 1

    return name


def _as_float(recorder: _Recorder, x: Tensor) -> str:
    return recorder.add("Cast", [x], to=_onnx_type(torch.float32))


def _nothing(recorder: _Recorder, x: Tensor, *_: Any, **__: Any) -> str:
    return recorder.value(x)


WRITERS: dict[str, Writer] = {
    "__add__": _binary("Add"),
    "__radd__": _binary("Add"),
    "add": _binary("Add"),
    "__sub__": _binary("Sub"),
    "__rsub__": _binary("Sub", reverse=True),
    "sub": _binary("Sub"),
    "__mul__": _binary("Mul"),
    "__rmul__": _binary("Mul"),
    "mul": _binary("Mul"),
    "__truediv__": _binary("Div"),
    "div": _binary("Div"),
    "relu": _unary("Relu"),
    "relu_": _unary("Relu"),
    "log": _unary("Log"),
    "softmax": _over_axis("Softmax"),
    "log_softmax": _over_axis("LogSoftmax"),
    "logsumexp": _reduction("ReduceLogSumExp"),
    "amax": _reduction("ReduceMax"),
    "mean": _reduction("ReduceMean"),
    "conv2d": _convolution,
    "linear": _linear,
    "max_pool2d": _max_pool,
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "interpolate": _interpolate,
    "flatten": _flatten,
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "stack": _stack,
    "cat": _concatenate,
    "__getitem__": _part,
    "float": _as_float,
    "dropout": _nothing,  # networks are exported in evaluation mode
}
