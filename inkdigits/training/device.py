"""The device that a training runs on, and the settings of torch that make its steps fast there.

A device's name and a recipe come in; a `Speed` goes out, whose context managers wrap the steps. The
settings do not change what is computed, except that bfloat16 rounds more.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from inkdigits.core.errors import BadValue, InkdigitsError, UnknownName
from inkdigits.training.recipe import Recipe

# Below this many digits a batch, a step on a CPU is all overhead: threads wait for each other
# longer than they compute, PyTorch's own convolution starts faster than oneDNN's, and bfloat16
# costs more conversions than it saves.
SMALL_BATCH = 32

DEVICES = ("auto", "cpu", "cuda", "mps")

# The parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_MAX = -4


def choose_device(name: str = "auto") -> torch.device:
    """Return the device with a name, or the fastest one.

    Args:
        name: cpu, cuda or mps; auto is the fastest of them on this machine.

    Raises:
        UnknownName: there is no device of that name.
        BadValue: this machine does not have it.
    """
    if name not in DEVICES:
        raise UnknownName("device", name, DEVICES)

    available = ["cpu"]  # the fastest last
    if torch.backends.mps.is_available():
        available.append("mps")
    if torch.cuda.is_available():
        available.append("cuda")

    if name == "auto":
        name = available[-1]
    if name not in available:
        raise BadValue(f"no {name} device on this machine; here: {', '.join(available)}")

    return torch.device(name)


@contextlib.contextmanager
def name_lack_of_memory() -> Iterator[None]:
    """Raise InkdigitsError, which says what may help, where memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On a CPU torch raises a RuntimeError that only its text tells apart.
        lacking = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not lacking and "t allocate memory" not in str(error):
            raise

        help_is = "a smaller batch or network takes less"
        raise InkdigitsError(f"there is not enough memory for this training; {help_is}") from error


@dataclass(frozen=True)
class Speed:
    """Settings of torch that make training steps fast.

    Attributes:
        memory_format: of images and weights.
        autocast: the kind of device on which bfloat16 is used, None for full precision.
        onednn: whether convolutions on a CPU use oneDNN.
        threads: of a CPU; None leaves their number as it is.
    """

    memory_format: torch.memory_format
    autocast: str | None = None
    onednn: bool = True
    threads: int | None = None

    @contextlib.contextmanager
    def whole_training(self) -> Iterator[None]:
        """Apply the settings for the whole training."""
        _keep_freed_memory()
        threads_before = torch.get_num_threads()
        torch.set_num_threads(self.threads or threads_before)

        # Weights behind paper get no gradient, so Adam's averages of them fade to denormal numbers,
        # which are slow: 15 % of the time of `lenet`.
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.set_flush_denormal(False)

    @contextlib.contextmanager
    def convolutions(self) -> Iterator[None]:
        """Apply the settings for computing a network and its gradients."""
        # torch.backends.mkldnn.flags() does the same, but warns about Intel GPUs on machines that
        # have none.
        enabled_before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(enabled_before and self.onednn)
        try:
            yield
        finally:
            torch._C._set_mkldnn_enabled(enabled_before)

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """Apply the precision for computing the network; its gradients get the same one."""
        if self.autocast is None:
            return contextlib.nullcontext()

        return torch.autocast(self.autocast, torch.bfloat16)


def fastest(recipe: Recipe, device: torch.device) -> Speed:
    """Choose the fastest settings, as measured: see SMALL_BATCH."""
    if device.type == "cpu" and recipe.batch < SMALL_BATCH:
        return Speed(torch.contiguous_format, onednn=False, threads=1)

    autocast = device.type if computes_bfloat16(device) else None
    return Speed(torch.channels_last, autocast)


def computes_bfloat16(device: torch.device) -> bool:
    """Tell whether a device computes in bfloat16 natively."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()

    return device.type == "cuda"


def _keep_freed_memory() -> None:
    """Have glibc keep a step's buffers for the next step instead of handing them back each time.

    An epoch of `batchnorm` then faults 0.1 million pages in, not 1.25 million, and takes a fifth
    less time. Systems without glibc's mallopt are left alone.
    """
    if sys.platform != "linux":
        return

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)  # large buffers come from the heap,
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # which never shrinks
        libc.mallopt(M_TOP_PAD, 2**26)  # and grows by 64 MiB
