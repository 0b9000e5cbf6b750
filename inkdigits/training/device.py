"""What makes a training step fast on one kind of device, without changing what it computes (but for bfloat16's rounding).

Takes a recipe and a device; knows nothing of networks and digits.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from inkdigits.core.errors import BadValue, UnknownName
from inkdigits.training.recipe import Recipe

# Digits. Below this batch size a step on a CPU is all overhead: threads wait for each other longer than they compute, PyTorch's own
# convolution starts faster than oneDNN's, and bfloat16 costs more conversions than it saves.
SMALL_BATCH = 32


def choose_device(name: str = "auto") -> torch.device:
    """auto, cpu, cuda or mps as a device that is there. Raises UnknownName or BadValue."""
    known = ["auto", "cpu", "cuda", "mps"]
    if name not in known:
        raise UnknownName("device", name, known)
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[name]:
        raise BadValue(
            f"no {name} device on this machine; here: {', '.join(known for known, found in there.items() if found)}"
        )
    return torch.device(name)


@dataclass(frozen=True)
class Speed:
    """How a step is taken."""

    memory_format: torch.memory_format
    autocast: str | None = None  # the device type that autocast runs on, None for full precision
    onednn: bool = True
    threads: int | None = None  # None leaves their number as it is

    @contextlib.contextmanager
    def whole_training(self) -> Iterator[None]:
        """Around all steps."""
        _keep_freed_memory()
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        # Weights behind paper get no gradient, so Adam's averages of them fade to denormal numbers, slow ones: 15 % of `lenet`.
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.set_flush_denormal(False)

    @contextlib.contextmanager
    def convolutions(self) -> Iterator[None]:
        """Around a network and its gradients."""
        # torch.backends.mkldnn.flags() does the same, and warns of Intel GPUs on machines that have none.
        before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(before and self.onednn)
        try:
            yield
        finally:
            torch._C._set_mkldnn_enabled(before)

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """Around a network alone: gradients take the precision of what they are gradients of."""
        return (
            torch.autocast(self.autocast, torch.bfloat16)
            if self.autocast
            else contextlib.nullcontext()
        )


def fastest(recipe: Recipe, device: torch.device) -> Speed:
    """Measured, not guessed: see SMALL_BATCH. bfloat16 only where the recipe allows it and the processor computes it natively."""
    if device.type == "cpu" and recipe.batch < SMALL_BATCH:
        return Speed(torch.contiguous_format, onednn=False, threads=1)
    native = {"cpu": torch.cpu._is_avx512_bf16_supported(), "cuda": True, "mps": False}[device.type]
    return Speed(torch.channels_last, device.type if recipe.reduced_precision and native else None)


def _keep_freed_memory() -> None:
    """Ask glibc to reuse a step's buffers in the next step instead of handing the pages back to the system each time.

    An epoch of `batchnorm` then faults 0.1 million pages in, not 1.25 million, and takes a fifth less time. Elsewhere, nothing.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX: large buffers come from the heap
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: which never shrinks
        libc.mallopt(-2, 2**26)  # M_TOP_PAD: and grows by 64 MiB
