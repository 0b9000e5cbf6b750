"""The state of a training under way: all that its next step depends on.

Tensors and facts in memory, on any device; `runs/resume.py` writes them to disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next step depends on.

    Attributes:
        tensors: on the CPU and contiguous; the names say what they belong to, such as
            `network.conv1.weight`.
        facts: as JSON's types.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, contiguous, so that what follows does not change them."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in tensors.items()
    }


def named(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the name of a group before every name: `weight` of `network` is `network.weight`."""
    return {f"{group}.{name}": value for name, value in tensors.items()}


def select(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one group under their own names, undoing `named`."""
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def global_random_state(device: torch.device) -> Tensor:
    """Return the state of torch's global generator for a device; dropout draws from it."""
    return _global_generator(device).get_rng_state()


def set_global_random_state(device: torch.device, state: Tensor) -> None:
    """Set the state of torch's global generator for a device."""
    _global_generator(device).set_rng_state(state)


def _global_generator(device: torch.device) -> Any:
    return {"cpu": torch.random, "cuda": torch.cuda, "mps": torch.mps}[device.type]
