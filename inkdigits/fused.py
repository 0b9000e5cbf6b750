"""Convolution and 2x2 max-pooling as one operation with a hand-written gradient, for training on a CPU.

It computes what `F.max_pool2d(F.conv2d(x, weight, bias, padding=padding), 2)` computes and knows nothing of networks; `models.py`
decides where it is used. An output pixel of the two together sees a window of (k + 1) x (k + 1) input pixels and holds the largest
of four dot products with it: the kernel laid into the window's four corners. So one matrix product with the windows as rows gives
all four, and what the plain layers write in between, four times the result, is never laid out as a picture.

Measured on one thread of a Xeon with AVX-512, forward and backward: MEASURED.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


SMALL_BATCH = 32  # digits; above, oneDNN's convolutions of many channels are faster


def is_faster(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> bool:
    """Whether `convolve_and_pool` takes these layers, and takes them faster than PyTorch's own: on the picture itself or a small batch."""
    odd = conv.kernel_size[0] == conv.kernel_size[1] and conv.kernel_size[0] % 2 == 1
    plain = (
        conv.stride == conv.dilation == (1, 1) and conv.groups == 1 and not isinstance(conv.padding, str) and conv.bias is not None
    )
    if not (x.device.type == "cpu" and torch.is_grad_enabled() and odd and plain and conv.padding[0] == conv.padding[1]):
        return False
    if norm is not None:
        return not x.requires_grad and x.shape[1] == 1 and (x.shape[2] + 2 * conv.padding[0] - conv.kernel_size[0]) % 2 == 1
    return x.shape[1] == 1 or len(x) < SMALL_BATCH


def convolve_and_pool(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> Tensor:
    """x: float (N, C, H, W). Returns (N, O, h, w) laid out channels last, h = (H + 2 padding - k + 1) // 2, and w alike.

    Of equal values the first in reading order wins the gradient, as in PyTorch. `norm`'s running statistics are brought up to date.
    """
    weight, bias = conv.weight, conv.bias
    padding = conv.padding[0]
    if padding:
        x = F.pad(x, (padding,) * 4)
    if norm is not None:
        weight, bias = fold_norm(x, weight, bias, norm)
    pooled: Tensor = _ConvolveAndPool.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return pooled


def fold_norm(x: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The weight and bias of a convolution that computes what `norm` makes of the given convolution's output on this batch.

    A convolution is linear, so the mean and variance of its outputs follow from those of the patches that it sees, without it.
    """
    with torch.autocast("cpu", enabled=False):
        outputs, channels, k, _ = weight.shape
        patches = x.unfold(2, k, 1).unfold(3, k, 1).permute(1, 4, 5, 0, 2, 3).reshape(channels * k * k, -1)
        count = patches.shape[1]
        centre = patches.mean(1)
        covariance = patches @ patches.T / count - torch.outer(centre, centre)
        flat = weight.view(outputs, -1)
        mean, variance = flat @ centre + bias, ((flat @ covariance) * flat).sum(1)
        with torch.no_grad():
            norm.num_batches_tracked += 1
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        return weight * scale.view(-1, 1, 1, 1), norm.bias + (bias - mean) * scale


class _ConvolveAndPool(torch.autograd.Function):
    """Shapes: M = N h w windows of K = (k + 1)^2 C values; the corners of a window are (column, row), 2 x 2."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        (n, _, height, width), (outputs, _, k, _) = x.shape, weight.shape
        rows, kernels = windows(x, k + 1), corner_kernels(weight)  # (M, K), (K, 4 O)
        corners = (rows @ kernels).view(-1, 2, 2, outputs)
        left, right = corners.unbind(1)
        upper, lower = torch.maximum(left, right).unbind(1)
        largest = torch.maximum(upper, lower).add_(bias)
        # The winners as 0.0 and 1.0, which multiply ten times as fast as booleans, in memory that has done its work.
        ctx.left_wins, ctx.upper_wins = left.ge_(right), upper.ge_(lower)
        ctx.save_for_backward(rows, kernels)
        ctx.shapes = x.shape, weight.shape
        return largest.view(n, (height - k + 1) // 2, (width - k + 1) // 2, outputs).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (rows, kernels), (x_shape, weight_shape) = ctx.saved_tensors, ctx.shapes
        outputs, k = weight_shape[0], weight_shape[2]
        gradient = gradients[0].permute(0, 2, 3, 1).reshape(-1, outputs)  # (M, O)
        halves = gradient.new_empty(len(rows), 2, outputs)
        torch.mul(gradient, ctx.upper_wins, out=halves[:, 0])
        torch.sub(gradient, halves[:, 0], out=halves[:, 1])
        corners = gradient.new_empty(len(rows), 2, 2, outputs)
        torch.mul(halves, ctx.left_wins, out=corners[:, 0])
        torch.sub(halves, corners[:, 0], out=corners[:, 1])
        corners = corners.view(len(rows), -1)  # (M, 4 O)
        to_x = overlap_add(corners @ kernels.T, x_shape, k + 1) if ctx.needs_input_grad[0] else None
        return to_x, corner_gradient(rows.T @ corners, weight_shape), gradient.sum(0)


def windows(x: Tensor, size: int) -> Tensor:
    """Every second window of `size` x `size` pixels both ways, as rows (M, size * size * C). x: (N, C, H, W)."""
    views = x.unfold(2, size, 2).unfold(3, size, 2)  # (N, C, h, w, size, size)
    if x.shape[1] == 1:  # columns are then longer runs in memory than rows
        return views.permute(4, 5, 1, 0, 2, 3).reshape(size * size, -1).T
    return views.permute(0, 2, 3, 4, 5, 1).reshape(-1, size * size * x.shape[1])


def overlap_add(rows: Tensor, shape: torch.Size, size: int) -> Tensor:
    """The transpose of `windows`: what each pixel of (N, C, H, W) gave to its windows, summed. `size` even."""
    n, channels, height, width = shape
    h, w, blocks = (height - size) // 2 + 1, (width - size) // 2 + 1, size // 2
    rows = rows.view(n, h, w, blocks, 2, blocks, 2, channels).permute(3, 5, 0, 1, 4, 2, 6, 7)
    total = rows.new_zeros(n, height, width, channels)
    used = total[:, : 2 * (h + blocks - 1), : 2 * (w + blocks - 1)].unflatten(1, (-1, 2)).unflatten(3, (-1, 2))
    shifted = used.unfold(1, h, 1).unfold(3, w, 1).permute(1, 3, 0, 6, 2, 7, 4, 5)  # as rows, each block a view of the same pixels
    for from_row, to_row in zip(rows.unbind(), shifted.unbind(), strict=True):
        for from_block, to_block in zip(from_row.unbind(), to_row.unbind(), strict=True):
            to_block.add_(from_block)
    return total.permute(0, 3, 1, 2)


def corner_kernels(weight: Tensor) -> Tensor:
    """The kernels (O, C, k, k) in the corners of windows of k + 1: (K, 4 O), column before row."""
    outputs, channels, k, _ = weight.shape
    laid = weight.reshape(-1, k * k) @ _corners(k, weight.dtype)
    return laid.view(outputs, channels, (k + 1) ** 2, 4).permute(2, 1, 3, 0).reshape(-1, 4 * outputs)


def corner_gradient(gradient: Tensor, shape: torch.Size) -> Tensor:
    """The transpose of `corner_kernels`: (K, 4 O) -> (O, C, k, k)."""
    outputs, channels, k, _ = shape
    laid = gradient.view((k + 1) ** 2, channels, 4, outputs).permute(3, 1, 0, 2).reshape(outputs * channels, -1)
    return (laid @ _corners(k, gradient.dtype).T).view(shape)


@lru_cache
def _corners(k: int, dtype: torch.dtype) -> Tensor:
    """(k * k, (k + 1)^2 * 4), 1 where a kernel's pixel falls on a window's pixel when the kernel lies in a corner."""
    laid = torch.zeros(k, k, k + 1, k + 1, 2, 2, dtype=dtype)
    for column in (0, 1):
        for row in (0, 1):
            for i in range(k):
                for j in range(k):
                    laid[i, j, i + row, j + column, column, row] = 1
    return laid.view(k * k, -1)
