"""How a gradient moves the weights.

A network's one vector of weights and a recipe come in; an optimiser goes out. What it remembers of
earlier steps are vectors of the same layout, which is how a training is saved.

The arithmetic is torch's own, without its classes: the first of those to be built imports torch's
compiler, which takes about as long as importing torch itself.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adam import adam as adam_step
from torch.optim.sgd import sgd as sgd_step

from inkdigits.training.recipe import Recipe

EPSILON = 1e-8  # torch's own; keeps Adam from dividing by zero


class Optimiser(Protocol):
    """Moves a vector of weights by its gradient.

    Attributes:
        learning_rate: of the next step; a recipe's schedule changes it.
        memory: what is remembered of earlier steps; empty before the first one.
    """

    learning_rate: float
    memory: dict[str, Tensor]

    def new_memory(self) -> dict[str, Tensor]:
        """Return the memory that the first step begins with."""

    def step(self) -> None:
        """Move the weights by their gradient."""


class Adam:
    """Adam, or AdamW, whose decay is apart from the gradient.

    Sources: Kingma & Ba 2015; Loshchilov & Hutter 2019.
    """

    def __init__(self, weights: nn.Parameter, recipe: Recipe, *, decoupled: bool = False) -> None:
        self.weights = weights
        self.learning_rate = recipe.learning_rate
        self.beta1 = recipe.beta1
        self.beta2 = recipe.beta2
        self.weight_decay = recipe.weight_decay
        self.decoupled = decoupled
        self.memory: dict[str, Tensor] = {}

    def new_memory(self) -> dict[str, Tensor]:
        """Return the number of steps, and the averages of the gradient and of its square: zeros."""
        return {
            "step": self.weights.new_zeros(()),
            "exp_avg": torch.zeros_like(self.weights, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(self.weights, requires_grad=False),
        }

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradient."""
        assert self.weights.grad is not None, "the loss was computed before a step"
        self.memory = self.memory or self.new_memory()
        adam_step(
            [self.weights],
            [self.weights.grad],
            [self.memory["exp_avg"]],
            [self.memory["exp_avg_sq"]],
            [],
            [self.memory["step"]],
            fused=True,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=self.beta1,
            beta2=self.beta2,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=EPSILON,
            maximize=False,
        )


class SGD:
    """Stochastic gradient descent with momentum."""

    def __init__(self, weights: nn.Parameter, recipe: Recipe) -> None:
        self.weights = weights
        self.learning_rate = recipe.learning_rate
        self.momentum = recipe.momentum
        self.weight_decay = recipe.weight_decay
        self.memory: dict[str, Tensor] = {}

    def new_memory(self) -> dict[str, Tensor]:
        """Return the direction of the steps so far: zeros, or nothing without momentum."""
        if not self.momentum:
            return {}

        return {"momentum_buffer": torch.zeros_like(self.weights, requires_grad=False)}

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradient."""
        assert self.weights.grad is not None, "the loss was computed before a step"
        self.memory = self.memory or self.new_memory()
        sgd_step(
            [self.weights],
            [self.weights.grad],
            [self.memory.get("momentum_buffer")],
            fused=True,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.learning_rate,
            dampening=0,
            nesterov=False,
            maximize=False,
        )


def adamw(weights: nn.Parameter, recipe: Recipe) -> Optimiser:
    """Build AdamW."""
    return Adam(weights, recipe, decoupled=True)


# the `optimiser` of a recipe -> its optimiser over weights that `as_one_vector` has laid out
OPTIMISERS: dict[str, Callable[[nn.Parameter, Recipe], Optimiser]] = {
    "adam": Adam,
    "adamw": adamw,
    "sgd": SGD,
}
