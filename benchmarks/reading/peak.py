"""What this processor can do at best: the arithmetic of a large matrix product."""

import time
from collections.abc import Callable

import torch

SIDE = 2048  # of the matrices
TRIES = 3


def gemm_peak(kind: torch.dtype = torch.float32) -> float:
    """Return the operations a second, by torch, or by NumPy where that is faster.

    Threads are those that the libraries have now.
    """
    left, right = torch.randn(2, SIDE, SIDE).to(kind)
    products: list[Callable[[], object]] = [lambda: left @ right]
    if kind == torch.float32:
        products.append(lambda: left.numpy() @ right.numpy())

    seconds = []
    for product in products * TRIES:
        started = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - started)

    return 2 * SIDE**3 / min(seconds)
