"""Saving and averaging that both loops of the page reader share."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from inkdigits.training.state import TrainingState, memory_after_a_step, named, select


def save_adam(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what AdamW remembers of earlier steps, by name.

    Args:
        optimiser: of which the tensors are returned, not copies.
    """
    return _by_name(optimiser.state_dict()["state"])


def adam_after_a_step(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return tensors like those that `save_adam` returns after a step."""
    return _by_name(memory_after_a_step(optimiser))


def _by_name(memories: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for number, memory in memories.items():
        tensors |= named(f"adam.{number}", memory)

    return tensors


def restore_adam(optimiser: torch.optim.Optimizer, state: TrainingState) -> None:
    """Give AdamW back what `save_adam` returned.

    Args:
        optimiser: of the same weights, in the same order.
        state: in which it was saved.
    """
    memories: dict[int, dict[str, Tensor]] = {}
    for name, value in select("adam", state.tensors).items():
        number, _, entry = name.partition(".")
        memory = memories.setdefault(int(number), {})
        memory[entry] = value

    restored = optimiser.state_dict() | {"state": memories}
    optimiser.load_state_dict(restored)


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the exponential moving average of a network's weights by one step.

    Args:
        average: the average, which is changed.
        network: the latest weights; its counters are copied as they are.
        decay: share of itself that the average keeps, 0 to 1.
    """
    ours = average.state_dict()
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point:
            ours[name].lerp_(value, 1 - decay)
        else:
            ours[name].copy_(value)
