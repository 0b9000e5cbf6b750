"""A recipe and digits so small that a run takes a moment."""

import dataclasses

from few_digits import few_digits
from torch import nn

from inkdigits.data.splits import Dataset
from inkdigits.runs.resume import Interval
from inkdigits.training.recipe import Recipe, load_recipe

EVERY_STEP = Interval(steps=1)
DIGITS = Dataset(
    "few",
    tuple("0123456789"),
    {
        "train": few_digits(100),
        "validation": few_digits(20, "test"),
        "test": few_digits(40, "test")[20:],
    },
)


def small_recipe(**changes: object) -> Recipe:
    """Return a recipe of five steps a pass, with `changes`."""
    settings = {"epochs": 3, "batch": 20, "rotation": 10.0} | changes
    return dataclasses.replace(load_recipe("lenet"), **settings)


def bits(network: nn.Module) -> bytes:
    """Return all weights and statistics of a network on the CPU."""
    tensors = network.state_dict().values()
    return b"".join(tensor.detach().contiguous().numpy().tobytes() for tensor in tensors)
