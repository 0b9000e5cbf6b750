"""The arithmetic of a training against what the processor can do, and where its time goes.

    share of the peak = multiplications and additions of all passes / seconds
                        / those of a large matrix product a second

A training's arithmetic is counted, not estimated: its network's forward pass, the gradients of the
weights, and those of the inputs but for the first layer, which needs none.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.common import table
from inkdigits.data.datasets import Split
from inkdigits.training import loop
from inkdigits.training.figures import Epoch
from inkdigits.training.models import recipe_network
from inkdigits.training.recipe import Recipe

LONGEST = 5.0  # seconds of a training that are profiled
DATA = "data and augmentation"
OTHER = "elementwise and other"
PYTHON = "Python, between operations"
GROUPS = {  # parts of the names of operations; the first group that fits counts
    "convolutions, backward": "convolution_backward conv_backward conv2d_backward",
    "convolutions, forward": "convolution conv2d im2col col2im",
    "matrix products": "addmm ::mm bmm ::linear matmul mkldnn_linear addmv",
    "optimiser": "fused_adam fused_sgd optimizer lerp",
    "pooling": "pool",
    "copies and conversions": "copy_ ::to contiguous clone reorder ::cat zero_ fill_",
}


def operations(recipe: Recipe) -> int:
    """Count the multiplications and additions that training spends on one digit once.

    Those of convolutions and matrix products count.
    """
    from torch.utils.flop_counter import FlopCounterMode

    # In evaluation, layers are as they are written: a fused operation may do more than it must.
    network = recipe_network(recipe).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 28, 28)).sum().backward()

    return counter.get_total_flops()


def shares(recipe: Recipe, train: Split) -> dict[str, float]:
    """Return the fraction of wall time of each group of operations, over a training's start."""
    with _marked("augment", _marking), _marked("batches", _marking_generator):
        network = loop.seeded_network(recipe, 0)
        records = loop.fit(network, recipe, train, train[:1], device="cpu")
        next(records)  # where kernels are made for the first time
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            started = time.perf_counter()
            for record in records:
                if isinstance(record, Epoch) or time.perf_counter() - started > LONGEST:
                    break

            wall = time.perf_counter() - started

    taken = {PYTHON: wall}
    for event in profiler.events():
        group = group_of(event)
        seconds = event.self_cpu_time_total / 1e6
        taken[group] = taken.get(group, 0.0) + seconds
        taken[PYTHON] -= seconds

    taken[PYTHON] = max(0.0, taken[PYTHON])
    return {name: seconds / sum(taken.values()) for name, seconds in taken.items()}


def group_of(event: Any) -> str:
    """Return what kind of work an operation does.

    All that is called within reading and augmenting a batch belongs to the data.
    """
    outer = event
    while outer is not None:
        if outer.name == DATA:
            return DATA

        outer = outer.cpu_parent

    name = event.name.lower()
    for group, parts in GROUPS.items():
        if any(part in name for part in parts.split()):
            return group

    return OTHER


Work = Callable[..., Any]


@contextmanager
def _marked(name: str, marking: Callable[[Work], Work]) -> Iterator[None]:
    """Let a function of the loop leave a mark in the profile while it works."""
    before = getattr(loop, name)
    setattr(loop, name, marking(before))
    try:
        yield
    finally:
        setattr(loop, name, before)


def _marking(work: Work) -> Work:
    def marked(*arguments: Any, **options: Any) -> Any:
        with record_function(DATA):
            return work(*arguments, **options)

    return marked


def _marking_generator(work: Work) -> Work:
    def marked(*arguments: Any) -> Iterator[tuple[Tensor, Tensor]]:
        found = work(*arguments)
        while True:
            with record_function(DATA):
                batch = next(found, None)

            if batch is None:
                return

            yield batch

    return marked


def profile_table(profiles: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a row a group of operations, a column a recipe."""
    most: dict[str, float] = {}
    for each in profiles.values():
        for group, share in each.items():
            most[group] = max(share, most.get(group, 0.0))

    rows = [
        [group, *(f"{100 * each.get(group, 0.0):.0f} %" for each in profiles.values())]
        for group in sorted(most, key=most.__getitem__, reverse=True)
    ]
    return table(["share of the time", *(f"`{name}`" for name in profiles)], rows)
