"""How each torch function is written in ONNX.

A writer takes the nodes so far and what the function was called with, adds nodes, and returns the
name of the result. To export a network that calls another function, add a writer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inkdigits.core.errors import InkdigitsError
from inkdigits.runs.onnx.nodes import Nodes

Pair = int | Sequence[int]
Writer = Callable[..., str]


def _binary(operator: str, *, reverse: bool = False) -> Writer:
    """Make the writer of an operation on two values, one of which may be a number."""

    def write(nodes: Nodes, one: Any, other: Any) -> str:
        given = [other, one] if reverse else [one, other]
        return nodes.add(operator, given)

    return write


def _unary(operator: str) -> Writer:
    """Make the writer of an operation on one value."""

    def write(nodes: Nodes, x: Tensor, **_: Any) -> str:
        return nodes.add(operator, [x])

    return write


def _over_axis(operator: str) -> Writer:
    """Make the writer of an operation along one axis that leaves the shape as it is."""

    def write(nodes: Nodes, x: Tensor, dim: int, **_: Any) -> str:
        return nodes.add(operator, [x], axis=dim)

    return write


def _reduction(operator: str) -> Writer:
    """Make the writer of an operation that takes axes away."""

    def write(nodes: Nodes, x: Tensor, dim: Pair) -> str:
        return nodes.add(operator, [x, _integers(dim)], keepdims=0)

    return write


def onnx_type(dtype: torch.dtype) -> int:
    """Return ONNX's number of a type."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=dtype).numpy().dtype))


def _integers(values: Pair) -> NDArray[np.int64]:
    return np.atleast_1d(np.asarray(values, np.int64))


def _pair(values: Pair) -> list[int]:
    """Return what stands for height and width."""
    return [values, values] if isinstance(values, int) else list(values)


def _convolution(
    nodes: Nodes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> str:
    given = [x, weight] if bias is None else [x, weight, bias]
    return nodes.add(
        "Conv",
        given,
        kernel_shape=list(weight.shape[2:]),
        strides=_pair(stride),
        pads=_pair(padding) * 2,
        dilations=_pair(dilation),
        group=groups,
    )


def _linear(nodes: Nodes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    given = [x, weight] if bias is None else [x, weight, bias]
    return nodes.add("Gemm", given, transB=1)


def _max_pool(
    nodes: Nodes,
    x: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    **_: Any,
) -> str:
    return nodes.add(
        "MaxPool",
        [x],
        kernel_shape=_pair(kernel_size),
        strides=_pair(kernel_size if stride is None else stride),
        pads=_pair(padding) * 2,
    )


def _batch_norm(
    nodes: Nodes,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float = 1e-5,
    **_: Any,
) -> str:
    return nodes.add("BatchNormalization", [x, weight, bias, mean, variance], epsilon=eps)


def _instance_norm(nodes: Nodes, x: Tensor, *, eps: float = 1e-5, **_: Any) -> str:
    ones = np.ones(x.shape[1], np.float32)
    return nodes.add("InstanceNormalization", [x, ones, 0 * ones], epsilon=eps)


def _interpolate(
    nodes: Nodes,
    x: Tensor,
    size: Pair | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    **_: Any,
) -> str:
    is_nearest = mode == "nearest"
    scales = None if scale_factor is None else np.full(2, scale_factor, np.float32)
    sizes = None if size is None else _integers(size)
    return nodes.add(
        "Resize",
        [x, None, scales, sizes],
        axes=[2, 3],
        mode="nearest" if is_nearest else "linear",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric" if is_nearest else "half_pixel",
    )


def _flatten(nodes: Nodes, x: Tensor, start_dim: int, end_dim: int = -1) -> str:
    if end_dim != -1:
        raise InkdigitsError("only flattening to the last axis can be exported yet")

    return nodes.add("Reshape", [x, _integers([0] * start_dim + [-1])])


def _permute(nodes: Nodes, x: Tensor, *axes: int) -> str:
    return nodes.add("Transpose", [x], perm=list(axes))


def _unsqueeze(nodes: Nodes, x: Any, dim: Pair) -> str:
    return nodes.add("Unsqueeze", [x, _integers(dim)])


def _stack(nodes: Nodes, values: Sequence[Tensor], dim: int = 0) -> str:
    layers = [_unsqueeze(nodes, value, dim) for value in values]
    return nodes.add("Concat", layers, axis=dim)


def _concatenate(nodes: Nodes, values: Sequence[Tensor], dim: int = 0) -> str:
    return nodes.add("Concat", values, axis=dim)


def _part(nodes: Nodes, x: Tensor, index: Any) -> str:
    """Write an index: of slices, numbers, and None where an axis is added."""
    indices = index if isinstance(index, tuple) else (index,)
    name = nodes.value(x)
    axis = 0
    for one in indices:
        if one is None:
            name = _unsqueeze(nodes, name, axis)
            axis += 1
        elif isinstance(one, int):
            name = nodes.add("Gather", [name, np.int64(one)], axis=axis)
        else:
            if one != slice(None):
                bounds = one.indices(x.shape[axis])
                first, last, step = map(_integers, bounds)
                name = nodes.add("Slice", [name, first, last, _integers(axis), step])
            axis += 1

    return name


def _as_float(nodes: Nodes, x: Tensor) -> str:
    return nodes.add("Cast", [x], to=onnx_type(torch.float32))


def _nothing(nodes: Nodes, x: Tensor, *_: Any, **__: Any) -> str:
    return nodes.value(x)


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
