"""The arithmetic of a training against what the processor can do, and what the rest of its time is spent on.

    share of the peak = multiplications and additions of all passes / seconds / those of a large matrix product a second

A training's arithmetic is counted, not estimated: its network's forward pass, the gradients of the weights, and those of the inputs
but for the first layer, which needs none.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from inkdigits.data.datasets import Split
from inkdigits.training import loop as training
from inkdigits.training.figures import Epoch
from inkdigits.training.models import recipe_network
from inkdigits.training.recipe import Recipe

LONGEST = 5.0  # seconds of a training that are profiled
GROUPS = (
    ("convolutions, backward", ("convolution_backward", "conv_backward", "conv2d_backward")),
    ("convolutions, forward", ("convolution", "conv2d", "im2col", "col2im")),
    ("matrix products", ("addmm", "::mm", "bmm", "::linear", "matmul", "mkldnn_linear", "addmv")),
    ("optimiser", ("fused_adam", "fused_sgd", "optimizer", "lerp")),
    ("pooling", ("pool",)),
    (
        "copies and conversions",
        ("copy_", "::to", "contiguous", "clone", "reorder", "::cat", "zero_", "fill_"),
    ),
)
DATA, OTHER, PYTHON = "data and augmentation", "elementwise and other", "Python, between operations"


def operations(recipe: Recipe) -> int:
    """Multiplications and additions that training spends on one digit once, in convolutions and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    alone = dataclasses.replace(recipe, members=1)
    network = recipe_network(
        alone
    ).eval()  # with the layers as they are written: a fused operation may do more than it must
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 28, 28)).sum().backward()
    return counter.get_total_flops()


def shares(recipe: Recipe, train: Split) -> dict[str, float]:
    """Fraction of the wall time that each group of operations takes, over the first seconds of a training."""
    with noted("augment"), noted("batches"):
        network = training.seeded_network(recipe, 0)
        records = training.fit(network, recipe, train, train[:1], device="cpu")
        next(records)  # where kernels are made for the first time
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            started = time.perf_counter()
            for record in records:
                if isinstance(record, Epoch) or time.perf_counter() - started > LONGEST:
                    break
            wall = time.perf_counter() - started
    taken = dict.fromkeys((PYTHON,), 0.0)
    for event in profiler.events():
        group = group_of(event)
        taken[group] = taken.get(group, 0.0) + event.self_cpu_time_total / 1e6
    taken[PYTHON] = max(0.0, wall - sum(taken.values()))
    return {name: seconds / sum(taken.values()) for name, seconds in taken.items()}


def group_of(event: Any) -> str:
    """What kind of work an operation does; the data's is all that is called within reading and augmenting a batch."""
    outer = event
    while outer is not None:
        if outer.name == DATA:
            return DATA
        outer = outer.cpu_parent
    name = event.name.lower()
    return next((group for group, parts in GROUPS if any(part in name for part in parts)), OTHER)


class noted:  # noqa: N801
    """A function of the loop, by name, leaves a mark in the profile while it works; nothing where the loop has none of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.before: Callable[..., Any] | None = getattr(training, name, None)

    def __enter__(self) -> None:
        if self.before is not None:
            setattr(
                training,
                self.name,
                self._marked_generator if self.name == "batches" else self._marked,
            )

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            setattr(training, self.name, self.before)

    def _marked(self, *arguments: Any) -> Any:
        assert self.before is not None
        with record_function(DATA):
            return self.before(*arguments)

    def _marked_generator(self, *arguments: Any) -> Iterator[tuple[Tensor, Tensor]]:
        assert self.before is not None
        found = self.before(*arguments)
        while True:
            with record_function(DATA):
                batch = next(found, None)
            if batch is None:
                return
            yield batch


def table(profiles: dict[str, dict[str, float]]) -> list[str]:
    """A row a group of operations, a column a recipe."""
    groups = sorted(
        {group for each in profiles.values() for group in each},
        key=lambda name: -max(_column(profiles, name)),
    )
    head = ["share of the time", *(f"`{name}`" for name in profiles)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    rows = (
        [name, *(f"{100 * share:.0f} %" for share in _column(profiles, name))] for name in groups
    )
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _column(profiles: dict[str, dict[str, float]], group: str) -> list[float]:
    return [each.get(group, 0.0) for each in profiles.values()]
