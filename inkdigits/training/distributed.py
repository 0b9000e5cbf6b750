"""Several processes that train one network together, as `torchrun` starts them: each takes a share of every batch.

Takes tensors of one process and gives what all of them have together; knows nothing of recipes, digits and files. The weights of a
network lie in one vector (training.py), so data parallelism is one sum of gradients a step. All else that a step depends on,
random numbers too, is the same in every process, so any of them could save it, and any number of them can go on from there.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from inkdigits.core.errors import BadValue, InkdigitsError
from inkdigits.training.fused import keep_statistics
from inkdigits.training.launch import place_in_group, restarts

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _together(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """What all processes have to call at the same time. Raises InkdigitsError where one of them has gone."""

    @wraps(function)
    def call(*arguments: _P.args, **options: _P.kwargs) -> _T:
        try:
            return function(*arguments, **options)
        except RuntimeError as error:  # a connection was closed, or nothing came for half an hour
            raise InkdigitsError(
                f"another process of this training has gone: {str(error).splitlines()[0]}"
            ) from error

    return call


@dataclass(frozen=True)
class Group:
    """The processes of a training. rank: ours, the leader's is 0. size: their number; alone, nothing here costs anything."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Our part of `count` things in a row, of about the same size for everybody; empty where there are fewer than processes."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    @_together
    def sum(self, tensor: Tensor) -> Tensor:
        """Put the sum over all processes in its place, and return it."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    @_together
    def told(self, content: bytes = b"") -> bytes:
        """What the leader says; what others say is not heard."""
        if self.size == 1:
            return content
        place = (
            torch.device("cuda", torch.cuda.current_device())
            if dist.get_backend() == "nccl"
            else torch.device("cpu")
        )
        length = torch.tensor(len(content), device=place)
        dist.broadcast(length, 0)
        said = (
            torch.frombuffer(bytearray(content), dtype=torch.uint8)
            if self.leads and content
            else torch.empty(0).byte()
        )
        said = (
            said.to(place)
            if self.leads
            else torch.empty(int(length), dtype=torch.uint8, device=place)
        )
        if len(said):
            dist.broadcast(said, 0)
        return said.cpu().numpy().tobytes()


ALONE = Group()


class _Sum(torch.autograd.Function):
    """The sum over all processes; the gradient of what each of them makes of it finds back to every one."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, group: Group) -> Tensor:
        context.group = group
        return group.sum(tensor.clone())

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return context.group.sum(gradient.clone()), None


@contextmanager
def group(device: str = "auto") -> Iterator[Group]:
    """The processes that were started together with this one, for as long as the `with` lasts. device: as for `train`.

    Over NCCL where each has a GPU of its own, else over Gloo. Raises BadValue where there are fewer GPUs than processes here.
    """
    rank, size = place_in_group()
    if size == 1 or dist.is_initialized():  # or a program of the user's has done it
        yield Group(rank, size)
        return
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if on_gpu:
        local, here = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if local >= here:
            raise BadValue(
                f"process {local + 1} on this machine has no GPU of its own, there are {here}; start {here}, or --device cpu"
            )
        torch.cuda.set_device(local)
    store, _, _ = next(rendezvous("env://"))
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True):
        # One store serves all restarts, and in it addresses of processes that are dead (pytorch issue 135712).
        store = PrefixStore(f"start {restarts()}", store)
    dist.init_process_group("nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Group(rank, size)
    finally:
        dist.destroy_process_group()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the digits of all processes: the same function as over the whole batch in one.

    PyTorch's SyncBatchNorm does this on GPUs alone.
    """

    together: Group

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W), N from 0. Statistics are renewed (without gradients) and used as in PyTorch, each process for itself."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            values = x.float()
            count = torch.full((1,), x.numel() / x.shape[1], device=x.device)
            ours = torch.cat((values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count))
            sums: Tensor = _Sum.apply(ours, self.together)  # type: ignore[no-untyped-call]
            mean, square = (part / sums[-1] for part in sums[:-1].chunk(2))
            variance = square - mean.square()
            keep_statistics(
                self, mean.detach(), variance.detach() * (sums[-1] / (sums[-1] - 1)).detach()
            )
            scale = self.weight * torch.rsqrt(variance + self.eps)
            shift = self.bias - mean * scale
            return (values * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)).to(x.dtype)


def share_statistics(network: nn.Module, together: Group) -> None:
    """Have every batch normalisation of the network see the whole batch. Parameters and state stay as they are."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d
            cast(SharedBatchNorm2d, module).together = together
