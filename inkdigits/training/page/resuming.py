"""Saving and averaging that both loops of the page reader share."""

import torch
from torch import Tensor, nn

from inkdigits.training.state import TrainingState, named, select


def save_adam(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what AdamW remembers of earlier steps, by name."""
    tensors: dict[str, Tensor] = {}
    for number, memory in optimiser.state_dict()["state"].items():
        tensors |= named(f"adam.{number}", memory)

    return tensors


def restore_adam(optimiser: torch.optim.Optimizer, state: TrainingState) -> None:
    """Give AdamW back what `save_adam` returned."""
    memories: dict[int, dict[str, Tensor]] = {}
    for name, value in select("adam", state.tensors).items():
        number, _, entry = name.partition(".")
        memories.setdefault(int(number), {})[entry] = value

    optimiser.load_state_dict({**optimiser.state_dict(), "state": memories})


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the exponential moving average of a network's weights by one step.

    Args:
        average: keeps `decay` of what it is, and takes the rest from the network.
        network: whose counters are copied as they are.
    """
    ours = average.state_dict()
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point:
            ours[name].lerp_(value, 1 - decay)
        else:
            ours[name].copy_(value)
